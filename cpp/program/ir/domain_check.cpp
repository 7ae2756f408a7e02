#include "domain_check.h"

#include <cmath>
#include <stdexcept>
#include <vector>

#include "core/op_domain.h"

namespace arenagrad::program {
namespace {

// Throws if the operation whose result is y, which is not finite, refuses its operands. Capture and
// passes leave `checked` on these opcodes only.
void check_instruction(const Program& program, const Instruction& at,
                       const std::vector<double>& values, double y) {
  const auto number = [&](Index operand) { return operand == kNone ? 0.0 : values[operand]; };
  if (is_table_opcode(at.opcode)) {
    core::check_primal(op_of(at.opcode), number(at.a), number(at.b), y, core::kNoNode);
  } else if (at.opcode == Opcode::Divide) {
    // fuse made it of a power of -1, which is what was checked, and a product.
    core::check_power(number(at.b), -1.0, core::kNoNode);
  } else if (at.opcode == Opcode::Take) {
    const double index = values[program.lists[at.a]];
    if (!core::is_index(index, at.b - 1))
      throw std::out_of_range("take() was given an index that none of its values has");
  }
}

} // namespace

void check_domain(const Program& program, const double* inputs) {
  std::vector<double> values(program.size());
  interpret(program, inputs, values.data());
  for (std::size_t i = 0; i < program.size(); ++i)
    if (program.instructions[i].checked && !std::isfinite(values[i]))
      check_instruction(program, program.instructions[i], values, values[i]);
}

} // namespace arenagrad::program
