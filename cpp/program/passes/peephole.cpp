#include <cmath>
#include <utility>

#include "builder.h"
#include "writing_rules.h"

namespace arenagrad::program {
namespace {

Index product(Builder& builder, Index a, Index b) {
  if (builder.is_constant(a)) std::swap(a, b);
  if (!builder.is_constant(b)) return kNone;
  const double factor = builder.constant_of(b);
  if (factor == 1.0) return a;
  return factor == -1.0 ? builder.emit(Opcode::Negate, a) : kNone;
}

// By a constant that is neither 0 nor infinite it is a plain product, and so are its derivatives.
Index product_no_nan(Builder& builder, Index a, Index b) {
  const auto is_plain = [&](Index i) {
    return builder.is_constant(i) && std::isfinite(builder.constant_of(i)) &&
           builder.constant_of(i) != 0.0;
  };
  return is_plain(a) || is_plain(b) ? builder.emit(Opcode::Mul, a, b) : kNone;
}

Index subtraction_of(Builder& builder, Index a, Index negated) {
  const Instruction& at = builder.at(negated);
  return at.opcode == Opcode::Negate ? builder.emit(Opcode::Subtract, a, at.a) : kNone;
}

// x + 0 is not x: -0 + 0 is 0. x + -0 is.
Index sum(Builder& builder, Index a, Index b) {
  if (builder.is_constant(b, -0.0)) return a;
  if (const Index known = subtraction_of(builder, a, b); known != kNone) return known;
  if (builder.is_constant(a, -0.0)) return b;
  return subtraction_of(builder, b, a);
}

Index difference(Builder& builder, Index a, Index b) {
  if (builder.is_constant(b, 0.0)) return a;
  const Instruction& at = builder.at(b);
  return at.opcode == Opcode::Negate ? builder.emit(Opcode::Add, a, at.a) : kNone;
}

Index selection(const Builder& builder, Index condition, Index b, Index c) {
  if (builder.is_constant(condition)) return builder.constant_of(condition) != 0.0 ? b : c;
  return b == c ? b : kNone;
}

} // namespace

Index peephole(Builder& builder, const Instruction& instruction) {
  const auto [opcode, checked, a, b, c] = instruction;
  switch (opcode) {
  case Opcode::Mul:
    return product(builder, a, b);
  case Opcode::MulNoNan:
    return product_no_nan(builder, a, b);
  case Opcode::Add:
    return sum(builder, a, b);
  case Opcode::Subtract:
    return difference(builder, a, b);
  case Opcode::Divide:
  case Opcode::Pow:
    return builder.is_constant(b, 1.0) ? a : kNone;
  case Opcode::Negate:
    return builder.at(a).opcode == Opcode::Negate ? builder.at(a).a : kNone;
  case Opcode::PowerPartial: // of a square
    return builder.is_constant(b, 2.0) ? builder.emit(Opcode::Mul, b, a) : kNone;
  case Opcode::Select:
    return selection(builder, a, b, c);
  default:
    return kNone;
  }
}

} // namespace arenagrad::program
