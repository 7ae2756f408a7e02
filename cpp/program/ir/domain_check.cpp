#include "domain_check.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/op_domain.h"
#include "matrix.h"

namespace arenagrad::program {
namespace {

// Throws for a product that reorder made of a square or a cube, as for that power.
void check_product(const Program& program, const Instruction& product,
                   const std::vector<double>& values) {
  const auto is_square_of = [&](Index i, Index base) {
    const Instruction& at = program.instructions[i];
    return at.opcode == Opcode::Mul && at.a == base && at.b == base;
  };
  const auto [a, b] = std::pair(product.a, product.b);
  if (a == b) core::check_power(values[a], 2.0, core::kNoNode);
  if (is_square_of(a, b)) core::check_power(values[b], 3.0, core::kNoNode);
  if (is_square_of(b, a)) core::check_power(values[a], 3.0, core::kNoNode);
}

// Throws if the operation whose result is y, which is not finite, refuses its operands. Capture and
// passes leave `checked` on these opcodes only.
void check_instruction(const Program& program, const Instruction& at,
                       const std::vector<double>& values, double y) {
  const auto number = [&](Index operand) { return operand == kNone ? 0.0 : values[operand]; };
  const double a = is_many(at.opcode) ? 0.0 : number(at.a);
  if (at.opcode == Opcode::Mul) {
    check_product(program, at, values);
  } else if (is_table_opcode(at.opcode)) {
    core::check_primal(op_of(at.opcode), a, number(at.b), y, core::kNoNode);
  } else if (at.opcode == Opcode::Divide || at.opcode == Opcode::DivideNoNan) {
    // fuse made it of a power of -1, which is what was checked, and a product.
    core::check_power(number(at.b), -1.0, core::kNoNode);
  } else if (at.opcode == Opcode::PowerInverse) {
    core::check_power(a, -1.0, core::kNoNode);
  } else if (at.opcode == Opcode::PowerHalf) {
    core::check_power(a, 0.5, core::kNoNode);
  } else if (at.opcode == Opcode::StrictPartial) {
    if (number(at.c) != 0.0) core::check_power(a, number(at.b) - 1.0, core::kNoNode);
  } else if (is_matrix(at.opcode)) {
    throw core::SingularMatrix(matrix_failure(at.opcode));
  } else if (at.opcode == Opcode::Callback) {
    std::vector<double> operands;
    for (const Index operand : program.call_operands(at)) operands.push_back(values[operand]);
    const CallResult result = call_result(program.callback(at), operands.data());
    if (result.error != nullptr) throw CallFailed(result.error);
  } else if (at.opcode == Opcode::NoPartial) {
    if (a != 0.0) core::throw_no_partial(core::shaped_of(number(at.b)), core::kNoNode);
  } else if (has_shapes(at.opcode)) {
    core::Numbers<double> operands{a, number(at.b)};
    if (at.c != kNone) operands.push_back(number(at.c));
    const core::Failure failure = core::shaped_failure(operands, y);
    if (failure != core::Failure::None)
      core::throw_shaped(failure, op_with_shapes(at.opcode), operands, core::kNoNode);
  } else if (at.opcode == Opcode::Take) {
    const double index = values[program.lists[at.a]];
    if (!core::is_index(index, at.b - 1))
      throw std::out_of_range("take() wants the number of one of " + std::to_string(at.b - 1) +
                              " values, from 0, got " + core::float_text(index));
  }
}

// Where a guard that does not hold says that the function did something else: at the comparison, or
// at the operation that fails now.
Index start_of(const Program& program, const Guard& guard, const std::vector<double>& values) {
  const Instruction& condition = program.instructions[guard.condition];
  if (condition.opcode != Opcode::Equal) return guard.condition;
  for (const Index operand : {condition.a, condition.b}) {
    const Instruction& at = program.instructions[operand];
    if (at.opcode == Opcode::Failure && core::is_unary(values[at.a])) return at.c;
  }
  return guard.condition;
}

// Calls visit(instruction, values, result) for each that is checked and not finite, up to the first
// guard that does not hold: behind that the function did something else.
template <class Visit>
void visit_not_finite(const Program& program, const double* inputs, Checks checks, Visit&& visit) {
  CallFailures failures; // which of them counts depends on the guards
  const Calls calls(failures);
  std::vector<double> values(program.size());
  interpret(program, inputs, values.data());
  auto end = static_cast<Index>(program.size());
  for (const Guard& guard : program.guards)
    if ((values[guard.condition] != 0.0) != guard.outcome)
      end = std::min(end, start_of(program, guard, values));
  for (Index i = 0; i < end; ++i)
    if (const Instruction& at = program.instructions[i]; at.checked && !std::isfinite(values[i]))
      if (checks == Checks::All || at.opcode == Opcode::NoPartial) visit(at, values, values[i]);
}

} // namespace

bool lacks_partials(const Program& program) {
  return std::ranges::any_of(program.instructions,
                             [](const Instruction& at) { return at.opcode == Opcode::NoPartial; });
}

void check_domain(const Program& program, const double* inputs, Checks checks) {
  if (checks == Checks::Partials && !lacks_partials(program)) return;
  visit_not_finite(program, inputs, checks,
                   [&](const Instruction& at, const std::vector<double>& values, double y) {
                     check_instruction(program, at, values, y);
                   });
}

bool may_refuse(const Program& program, const double* inputs, Checks checks) {
  bool may = false;
  try {
    visit_not_finite(program, inputs, checks,
                     [&](const Instruction& at, const std::vector<double>& values, double y) {
                       check_instruction(program, at, values, y);
                       may = may || (at.opcode == Opcode::Reciprocal && values[at.a] != 0.0 &&
                                     std::isinf(y));
                     });
  } catch (const core::Error&) {
    return true;
  } catch (const std::out_of_range&) {
    return true;
  } catch (const CallFailed&) {
    return true;
  }
  return may;
}

} // namespace arenagrad::program
