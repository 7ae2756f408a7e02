#include "domain_check.h"

#include <cmath>
#include <stdexcept>

#include "core/op_domain.h"

namespace arenagrad::program {

void refuse(const Program& program, const double* inputs) {
  std::vector<double> values(program.size());
  interpret(program, inputs, values.data());
  for (std::size_t i = 0; i < program.size(); ++i) {
    const Instruction& at = program.instructions[i];
    const double y = values[i];
    if (!at.checked || std::isfinite(y)) continue;
    const auto number = [&](Index operand) { return operand == kNone ? 0.0 : values[operand]; };
    if (is_table_opcode(at.opcode)) {
      core::check_primal(op_of(at.opcode), number(at.a), number(at.b), y, core::kNoNode);
    } else if (at.opcode == Opcode::Divide) { // was a power of -1, and then a product
      core::check_power(number(at.b), -1.0, core::kNoNode);
    } else if (at.opcode == Opcode::Take) {
      const double index = values[program.lists[at.a]];
      if (!core::is_index(index, at.b - 1))
        throw std::out_of_range("take() was given an index that none of its values has");
    }
  }
}

} // namespace arenagrad::program
