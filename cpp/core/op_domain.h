// The errors of the mathematics: which operands an operation refuses, told apart as Python does.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "errors.h"
#include "op.h"

namespace arenagrad::core {

// Whether Python's float `**` has no real result.
inline bool power_fails(double a, double b) {
  if (!std::isfinite(a) || !std::isfinite(b)) return false;
  return (a == 0.0 && b < 0.0) || (a < 0.0 && b != std::floor(b)) || std::isinf(std::pow(a, b));
}

// Throws as Python's float `**` does where it has no real result; `node` is the one to blame.
inline void check_power(double a, double b, NodeId node) {
  if (!std::isfinite(a) || !std::isfinite(b)) return;
  if (a == 0.0 && b < 0.0) throw DivisionByZero("0.0 cannot be raised to a negative power", node);
  if (a < 0.0 && b != std::floor(b))
    throw DomainError("a negative number cannot be raised to a fractional power: "
                      "the result is complex, and a Value is real",
                      node);
  if (std::isinf(std::pow(a, b))) throw RangeError("the result of ** is too large", node);
}

// Whether check_power(a, b) might throw; a quick test that errs on the side of caution.
inline bool power_may_fail(double a, double b) {
  const auto exponent = static_cast<int>(std::bit_cast<std::uint64_t>(a) >> 52 & 0x7ff) - 1023;
  if (exponent == -1023) return a != 0.0 || b < 0.0; // zero or subnormal
  if (a < 0.0 && b != std::floor(b)) return true;
  return !(std::fabs(b) * (std::abs(exponent) + 1) < 1000.0); // |log2(a**b)| is below this
}

// Throws for a primal that Python's float operations or `math` would refuse (ops.def, may_fail).
// Requires y = evaluate(op, a, b).
inline void check_primal(Op op, double a, double b, double y, NodeId node) {
  const MayFail how = op_info(op).may_fail;
  if (how == MayFail::Never || std::isfinite(y)) return;
  if (how == MayFail::Power) return check_power(a, b, node);
  if (std::isnan(a) || (std::isinf(a) && !std::isnan(y))) return;
  if (how == MayFail::Zero) {
    if (a == 0.0) throw DivisionByZero("division by zero", node);
    return; // a subnormal's reciprocal is inf, as 1 / a is in Python
  }
  if (std::isinf(y) && !(how == MayFail::Pole && a <= 1.0))
    throw RangeError("math range error", node);
  throw DomainError("math domain error", node);
}

} // namespace arenagrad::core
