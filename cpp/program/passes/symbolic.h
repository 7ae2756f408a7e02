// A number that stands for an instruction: what is done to it is written into a program. With it
// the slopes in core/ops.def and codes.def, read as code, write the program of the slope.
#pragma once

#include "builder.h"

namespace arenagrad::program {

class Number {
public:
  // Numbers are written by the Builder of the innermost Writing of this thread.
  class Writing {
  public:
    explicit Writing(Builder& builder) : before_(builder_) { builder_ = &builder; }
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;
    ~Writing() { builder_ = before_; }

  private:
    Builder* before_;
  };

  Number(double value) : index_(builder_->constant(value)) {} // NOLINT: meant to be implicit
  static Number of(Index index) { return Number(index, 0); }
  static Number done(Code code, Number a) { return of(builder_->emit(code, a.index_)); }
  static Number done(Code code, Number a, Number b) {
    return of(builder_->emit(code, a.index_, b.index_));
  }
  static Number done(Code code, Number a, Number b, Number c) {
    return of(builder_->emit(code, a.index_, b.index_, c.index_));
  }
  Index index() const { return index_; }
  // Of the innermost Writing.
  static Builder& builder() { return *builder_; }

private:
  Number(Index index, int) : index_(index) {}
  static inline thread_local Builder* builder_ = nullptr;
  Index index_;
};

inline Number operator+(Number a, Number b) { return Number::done(Code::Add, a, b); }
inline Number operator-(Number a, Number b) { return Number::done(Code::Subtract, a, b); }
inline Number operator*(Number a, Number b) { return Number::done(Code::Mul, a, b); }
inline Number operator/(Number a, Number b) { return Number::done(Code::Divide, a, b); }
inline Number operator-(Number a) { return Number::done(Code::Negate, a); }
inline Number operator<(Number a, Number b) { return Number::done(Code::Less, a, b); }
inline Number operator>(Number a, Number b) { return Number::done(Code::Less, b, a); }
inline Number operator==(Number a, Number b) { return Number::done(Code::Equal, a, b); }
inline Number pick(Number condition, Number x, Number y) {
  return Number::done(Code::Select, condition, x, y);
}

#define ARENAGRAD_UNARY(name, Id)                                                                  \
  inline Number name(Number a) { return Number::done(Code::Id, a); }
#define ARENAGRAD_BINARY(name, Id)                                                                 \
  inline Number name(Number a, Number b) { return Number::done(Code::Id, a, b); }
#define ARENAGRAD_TERNARY(name, Id)                                                                \
  inline Number name(Number a, Number b, Number c) { return Number::done(Code::Id, a, b, c); }
ARENAGRAD_UNARY(exp, Exp)
ARENAGRAD_UNARY(log, Log)
ARENAGRAD_UNARY(sqrt, Sqrt)
ARENAGRAD_UNARY(fabs, Abs)
ARENAGRAD_UNARY(sin, Sin)
ARENAGRAD_UNARY(cos, Cos)
ARENAGRAD_UNARY(sinh, Sinh)
ARENAGRAD_UNARY(cosh, Cosh)
ARENAGRAD_UNARY(sign, Sign)
ARENAGRAD_UNARY(sigmoid, Sigmoid)
ARENAGRAD_UNARY(silu_slope, SiluSlope)
ARENAGRAD_UNARY(gelu_slope, GeluSlope)
ARENAGRAD_UNARY(arctan_slope, ArctanSlope)
ARENAGRAD_UNARY(digamma, Digamma)
ARENAGRAD_UNARY(log_or_zero, LogOrZero)
ARENAGRAD_BINARY(pow, Power)
ARENAGRAD_BINARY(hypot, Hypot)
ARENAGRAD_BINARY(power_slope, PowerSlope)
ARENAGRAD_BINARY(wins, Wins)
ARENAGRAD_BINARY(hypot_slope, HypotSlope)
ARENAGRAD_BINARY(arctan2_slope, Arctan2Slope)
ARENAGRAD_BINARY(tanh_slope, TanhSlope)
ARENAGRAD_BINARY(cbrt_slope, CbrtSlope)
ARENAGRAD_BINARY(exp_minus_square, ExpMinusSquare)
ARENAGRAD_BINARY(polygamma, Polygamma)
ARENAGRAD_BINARY(shifted_exp, ShiftedExp)
inline Number exp_minus_square(Number a) { return exp_minus_square(a, 1.0); }
ARENAGRAD_TERNARY(power_slope, PowerSlopeOf)
ARENAGRAD_TERNARY(power_slope_b, PowerSlopeB)
ARENAGRAD_TERNARY(hypot_slope, HypotSlopeOf)
#undef ARENAGRAD_UNARY
#undef ARENAGRAD_BINARY
#undef ARENAGRAD_TERNARY

} // namespace arenagrad::program
