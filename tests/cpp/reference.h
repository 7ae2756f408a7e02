// What the codes mean in long double, by the same table: truth for functions of double.
#pragma once

#include <cmath>
#include <type_traits>

#include "program/ir/opcode.h"

namespace reference {

using Long = long double;
using arenagrad::program::Opcode;
using std::acos, std::acosh, std::asin, std::asinh, std::atan, std::atan2, std::atanh, std::cbrt,
    std::ceil, std::cos, std::cosh, std::erf, std::exp, std::exp2, std::expm1, std::fabs,
    std::floor, std::hypot, std::lgamma, std::log, std::log10, std::log1p, std::log2, std::pow,
    std::sin, std::sinh, std::sqrt, std::tan, std::tanh;

inline const Long kPi = acos(Long(-1));

inline Long maximum(Long a, Long b) { return arenagrad::core::maximum(double(a), double(b)); }
inline Long wins(Long a, Long b) { return arenagrad::core::wins(double(a), double(b)); }
inline Long sign(Long a) { return arenagrad::core::sign(double(a)); }
inline Long sigmoid(Long a) { return 1 / (1 + exp(-a)); }
inline Long softplus(Long a) { return a > 60 ? a : log1p(exp(a)); }
inline Long softsign(Long a) {
  return std::isinf(a) ? std::copysign(Long(1), a) : a / (1 + fabs(a));
}
inline Long silu(Long a) { return std::isinf(a) && a < 0 ? -Long(0) : a * sigmoid(a); }
inline Long silu_partial(Long a) {
  if (std::isinf(a)) return a > 0 ? 1 : 0;
  return sigmoid(a) * (1 + a * sigmoid(-a));
}
inline Long normal_below(Long a) { return std::erfc(-a / sqrt(Long(2))) / 2; }
inline Long normal_density(Long a) { return exp(-a * a / 2) / sqrt(2 * kPi); }
inline Long gelu(Long a) {
  if (std::isinf(a)) return a > 0 ? a : -Long(0);
  return a * normal_below(a);
}
inline Long gelu_partial(Long a) {
  if (std::isinf(a)) return a > 0 ? Long(1) : -Long(0);
  return normal_below(a) + a * normal_density(a);
}
inline Long tanh_partial(Long a, Long) {
  const Long e = exp(-2 * fabs(a));
  return 4 * e / ((1 + e) * (1 + e));
}
inline Long cbrt_partial(Long a, Long) { return 1 / (3 * cbrt(a) * cbrt(a)); }
inline Long arctan_partial(Long a) { return 1 / (1 + a * a); }
inline Long exp_minus_square(Long a, Long b) { return exp(-b * a * a); }
inline Long log_or_zero(Long a) { return a == 0 ? 0 : log(a); }
inline Long shifted_exp(Long a, Long b) { return a == b ? 1 : exp(Long(double(a - b))); }
// In double, b - 1 is rounded and the power may be too large or too small.
inline Long power_partial(Long a, Long b) {
  const Long power = pow(a, Long(double(b - 1)));
  if (b == 0 && std::isinf(double(power))) return 0; // in the limit
  return b * (std::isnormal(double(power)) ? power : Long(double(power)));
}
inline Long power_partial(Long a, Long b, Long) { return power_partial(a, b); }
inline Long power_partial_b(Long a, Long b, Long) {
  return a == 0 && b >= 0 ? 0 : pow(a, b) * log(a);
}
inline Long hypot_partial(Long a, Long y) {
  return y == 0 ? 0 : std::isinf(a) ? std::copysign(Long(1), a) : a / y;
}
inline Long hypot_partial(Long a, Long b, Long) { return hypot_partial(a, hypot(a, b)); }
inline Long arctan2_partial(Long a, Long b) {
  if ((a == 0 && b == 0) || std::isinf(a) || std::isinf(b)) return 0;
  return a / (a * a + b * b);
}

inline Long evaluate(Opcode opcode, [[maybe_unused]] Long a, [[maybe_unused]] Long b,
                     [[maybe_unused]] Long c) {
  using namespace arenagrad::core; // what has no reference above
  switch (opcode) {
#define ARENAGRAD_OP(Id, name, symbol, operands, primal, ...)                                      \
  case Opcode::Id:                                                                                 \
    return primal;
#include "core/ops.def"
#define ARENAGRAD_OPCODE(Id, operands, primal, ...)                                                \
  case Opcode::Id:                                                                                 \
    return primal;
#include "program/ir/opcodes.def"
  default:
    return 0;
  }
}

} // namespace reference
