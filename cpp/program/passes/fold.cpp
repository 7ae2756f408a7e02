#include <algorithm>
#include <cmath>

#include "builder.h"
#include "writing_rules.h"

namespace arenagrad::program {
namespace {

Index constant_unless_refused(Builder& builder, double y, bool checked) {
  return checked && !std::isfinite(y) ? kNone : builder.constant(y);
}

} // namespace

Index fold(Builder& builder, const Instruction& instruction) {
  const std::size_t count = operand_count(instruction.opcode);
  const Index operands[] = {instruction.a, instruction.b, instruction.c};
  if (instruction.opcode == Opcode::RowSum || instruction.opcode == Opcode::Element) return kNone;
  double x[] = {0.0, 0.0, 0.0};
  for (std::size_t k = 0; k < count; ++k) {
    if (!builder.is_constant(operands[k])) return kNone;
    x[k] = builder.constant_of(operands[k]);
  }
  return constant_unless_refused(builder, evaluate(instruction.opcode, x[0], x[1], x[2]),
                                 instruction.checked);
}

Index fold_many(Builder& builder, Opcode opcode, const std::vector<Index>& operands, bool checked) {
  if (is_matrix(opcode) || opcode == Opcode::Callback) return kNone; // these are called at each run
  if (!std::ranges::all_of(operands, [&](Index o) { return builder.is_constant(o); })) return kNone;
  std::vector<double> x, scratch(operands.size());
  for (const Index operand : operands) x.push_back(builder.constant_of(operand));
  return constant_unless_refused(builder, many_value(opcode, x.size(), x.data(), scratch.data()),
                                 checked);
}

} // namespace arenagrad::program
