#include "builder.h"
#include "writing_rules.h"

namespace arenagrad::program {

Index reorder(Builder& builder, const Instruction& instruction) {
  if (instruction.opcode != Opcode::Pow) return kNone;
  const Index base = instruction.a, exponent = instruction.b;
  const bool checked = instruction.checked;
  if (builder.is_constant(exponent, 2.0))
    return builder.emit(Opcode::Mul, base, base, kNone, checked);
  if (builder.is_constant(exponent,
                          3.0)) // the cube alone is checked: it is finite only if both are
    return builder.emit(Opcode::Mul, builder.emit(Opcode::Mul, base, base), base, kNone, checked);
  if (builder.is_constant(exponent, -1.0))
    return builder.emit(Opcode::PowerInverse, base, kNone, kNone, checked);
  if (builder.is_constant(exponent, 0.5))
    return builder.emit(Opcode::PowerHalf, base, kNone, kNone, checked);
  return kNone;
}

} // namespace arenagrad::program
