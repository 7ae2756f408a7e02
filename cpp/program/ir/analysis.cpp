#include "analysis.h"

#include <algorithm>

namespace arenagrad::program {

Marks needed(const Program& program) {
  Marks marks(program.size(), 0);
  for (const Index output : program.outputs) marks[output] = 1;
  for (const Guard& guard : program.guards) marks[guard.condition] = 1;
  // One walk: whether an instruction is needed is known once all its users have been met.
  for (std::size_t i = program.size(); i-- > 0;) {
    const Instruction& at = program.instructions[i];
    if (at.checked && at.opcode != Opcode::NoPartial) marks[i] = 1;
    if (marks[i] != 0) program.for_each_operand(at, [&](Index operand) { marks[operand] = 1; });
  }
  return marks;
}

std::vector<Index> count_uses(const Program& program, const Marks* users) {
  std::vector<Index> uses(program.size(), 0);
  for (std::size_t i = 0; i < program.size(); ++i)
    if (users == nullptr || (*users)[i] != 0)
      program.for_each_operand(program.instructions[i], [&](Index operand) { ++uses[operand]; });
  for (const Index output : program.outputs) ++uses[output];
  for (const Guard& guard : program.guards) ++uses[guard.condition];
  return uses;
}

Marks decision_cone(const Program& program) {
  if (program.guards.empty()) return {};
  Marks marks(program.size(), 0);
  for (const Guard& guard : program.guards) marks[guard.condition] = 1;
  for_each_marked_downwards(program, marks, program.size(), [](Index) { return true; });
  return marks;
}

void mark_dependents(const Program& program, Marks& marks) {
  for (std::size_t i = 0; i < program.size(); ++i)
    program.for_each_operand(program.instructions[i],
                             [&](Index operand) { marks[i] |= marks[operand]; });
}

Marks varying(const Program& program, const std::vector<std::uint8_t>& inputs) {
  Marks varies(program.size(), 0);
  for (std::size_t i = 0; i < program.size(); ++i) {
    const Instruction& at = program.instructions[i];
    if (at.opcode == Opcode::Input) varies[i] = inputs[at.a];
    if (at.opcode == Opcode::RowSum) continue;
    program.for_each_operand(at, [&](Index operand) { varies[i] |= varies[operand]; });
  }
  return varies;
}

bool may_overflow_otherwise(const Program& program) {
  return std::ranges::any_of(program.instructions, [](const Instruction& at) {
    return at.opcode == Opcode::MultiplyAdd || at.opcode == Opcode::DotN ||
           at.opcode == Opcode::SumN || at.opcode == Opcode::Divide;
  });
}

} // namespace arenagrad::program
