#include "without_partials.h"

#include <algorithm>

#include "passes.h"
#include "program/ir/analysis.h"
#include "rewriting.h"

namespace arenagrad::program {
namespace {

bool says_partials(const Instruction& at) { return at.opcode == Opcode::WithPartials; }

Index value_of(const Program& program, const Instruction& at) { return program.lists[at.a]; }

// Marks what the partials of some instruction are computed from, and nothing else is.
Marks of_partials_alone(const Program& program) {
  Marks used(program.size(), 0), by_partials(program.size(), 0);
  for (const Index output : program.outputs) used[output] = 1;
  for (const Guard& guard : program.guards) used[guard.condition] = 1;
  for (std::size_t i = program.size(); i-- > 0;) {
    const Instruction& at = program.instructions[i];
    if (says_partials(at)) {
      (used[i] != 0 ? used : by_partials)[value_of(program, at)] = 1;
      program.for_each_operand(at, [&](Index operand) {
        if (operand != value_of(program, at)) by_partials[operand] = 1;
      });
      continue;
    }
    if (by_partials[i] == 0 && at.checked) used[i] = 1;
    Marks& marks = used[i] != 0 ? used : by_partials;
    if (used[i] != 0 || by_partials[i] != 0)
      program.for_each_operand(at, [&](Index operand) { marks[operand] = 1; });
  }
  for (std::size_t i = 0; i < program.size(); ++i) by_partials[i] &= used[i] == 0;
  return by_partials;
}

} // namespace

bool has_partials(const Program& program) {
  return std::ranges::any_of(program.instructions, says_partials);
}

Program without_partials(const Program& program) {
  const Marks dropped = of_partials_alone(program);
  Builder builder(Passes::none());
  Rewriting out(program, builder);
  for (Index i = 0; i < program.size(); ++i) {
    const Instruction& at = program.instructions[i];
    if (at.opcode == Opcode::Input)
      out.copy(i);
    else if (dropped[i] != 0)
      continue;
    else if (says_partials(at))
      out.place(i) = out.place(value_of(program, at));
    else
      out.copy(i);
  }
  out.finish();
  return prune(builder.finish(), Passes::none());
}

} // namespace arenagrad::program
