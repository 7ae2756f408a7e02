// The errors of the mathematics: which operands an operation refuses, told apart as Python does.
//
// An operation that fails is a Failure, a number that programs can compute with and files can hold.
// Where nothing catches it, it is thrown as the error of its kind. Pure and thread-safe.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "errors.h"
#include "op.h"

namespace arenagrad::core {

// The kinds of failure. Files hold these numbers, so they stay what they are.
enum class Failure : std::uint8_t { None, DivisionByZero, Domain, Range, NoIndex };

// How Python's float `**` fails where it has no real result.
inline Failure power_failure(double a, double b) {
  if (!std::isfinite(a) || !std::isfinite(b)) return Failure::None;
  if (a == 0.0 && b < 0.0) return Failure::DivisionByZero;
  if (a < 0.0 && b != std::floor(b)) return Failure::Domain;
  return std::isinf(std::pow(a, b)) ? Failure::Range : Failure::None;
}

inline bool power_fails(double a, double b) { return power_failure(a, b) != Failure::None; }

// Whether it might; a quick test that errs on the side of caution.
inline bool power_may_fail(double a, double b) {
  const auto exponent = static_cast<int>(std::bit_cast<std::uint64_t>(a) >> 52 & 0x7ff) - 1023;
  if (exponent == -1023) return a != 0.0 || b < 0.0; // zero or subnormal
  if (a < 0.0 && b != std::floor(b)) return true;
  return !(std::fabs(b) * (std::abs(exponent) + 1) < 1000.0); // |log2(a**b)| is below this
}

// How Python's float operations or `math` fail on `a` (ops.def, may_fail), of which they give y.
inline Failure unary_failure(MayFail how, double a, double y) {
  if (how == MayFail::Never || std::isfinite(y)) return Failure::None;
  if (std::isnan(a) || (std::isinf(a) && !std::isnan(y))) return Failure::None;
  // A subnormal's reciprocal is inf, as 1 / a is in Python.
  if (how == MayFail::Zero) return a == 0.0 ? Failure::DivisionByZero : Failure::None;
  const bool range = std::isinf(y) && !(how == MayFail::Pole && a <= 1.0);
  return range ? Failure::Range : Failure::Domain;
}

// How a remainder or a whole quotient of a and b fails; `how` is Divide or Fmod.
inline Failure divide_failure(MayFail how, double a, double b) {
  if (how == MayFail::Divide) return b == 0.0 ? Failure::DivisionByZero : Failure::None;
  const bool is_outside = (b == 0.0 && !std::isnan(a)) || (std::isinf(a) && !std::isnan(b));
  return is_outside ? Failure::Domain : Failure::None;
}

// How an operation fails that is judged by its two operands alone.
inline Failure binary_failure(MayFail how, double a, double b) {
  if (how != MayFail::Power) return divide_failure(how, a, b);
  return power_may_fail(a, b) ? power_failure(a, b) : Failure::None;
}
constexpr bool is_judged_by_operands(MayFail how) {
  return how == MayFail::Power || how == MayFail::Divide || how == MayFail::Fmod;
}

// Whether x is one of 0, 1, ... below `limit`.
inline bool is_whole_below(double x, double limit) {
  return x >= 0.0 && x < limit && x == std::floor(x);
}

// Requires y = evaluate(op, a, b).
inline Failure failure_of(Op op, double a, double b, double y) {
  const MayFail how = op_info(op).may_fail;
  if (how == MayFail::Never || std::isfinite(y)) [[likely]]
    return Failure::None;
  return is_judged_by_operands(how) ? binary_failure(how, a, b) : unary_failure(how, a, y);
}

// Whether the MayFail of number `how` is that of an operation of one operand.
inline bool is_unary(double how) {
  return how == static_cast<double>(MayFail::Range) || how == static_cast<double>(MayFail::Pole) ||
         how == static_cast<double>(MayFail::Zero);
}

// The Failure of an operation that may fail as the MayFail of number `how` says, as a number. `b`
// is the result of a unary operation, the second operand of a binary one, how many values an index
// is for.
inline double failure_number(double how, double a, double b) {
  Failure failure = Failure::None;
  if (how == static_cast<double>(MayFail::Index))
    failure = is_whole_below(a, b) ? Failure::None : Failure::NoIndex;
  for (const MayFail unary : {MayFail::Range, MayFail::Pole, MayFail::Zero})
    if (how == static_cast<double>(unary)) failure = unary_failure(unary, a, b);
  for (const MayFail binary : {MayFail::Power, MayFail::Divide, MayFail::Fmod})
    if (how == static_cast<double>(binary)) failure = binary_failure(binary, a, b);
  return static_cast<double>(failure);
}

// Throws the error of a failure that is one; `node` is the one to blame.
[[noreturn]] void throw_failure(Failure failure, Op op, double a, double b, NodeId node);

// Throws for a primal that Python's float operations or `math` would refuse. Requires
// y = evaluate(op, a, b).
inline void check_primal(Op op, double a, double b, double y, NodeId node) {
  const Failure failure = failure_of(op, a, b, y);
  if (failure != Failure::None) [[unlikely]]
    throw_failure(failure, op, a, b, node);
}

// The same of a ** b where its result is not at hand.
inline void check_power(double a, double b, NodeId node) {
  const Failure failure = power_failure(a, b);
  if (failure != Failure::None) [[unlikely]]
    throw_failure(failure, Op::Pow, a, b, node);
}

// As Python writes a float.
std::string float_text(double number);

} // namespace arenagrad::core
