// A number that stands for an instruction: its operators write instructions into a program. With it
// the partials in core/ops.def and ir/opcodes.def, read as code, write the program of the partial.
//
// Requires a Writing, which says where to, for as long as a Symbolic is used: the builder is that
// of the thread's innermost one, so that formulas need not name it. A partial's helper function
// gets a line below when it is first used in a table. Safe in several threads, each with its own
// Writing. Cost: that of Builder::emit.
#pragma once

#include "builder.h"

namespace arenagrad::program {

class Symbolic {
  // Where this thread writes to, and how.
  struct Context {
    Builder* builder;
    bool no_nan;
  };

public:
  // While it lives, Symbolic writes with this builder, on this thread.
  class Writing {
  public:
    explicit Writing(Builder& builder) : before_(context_) { context_ = {&builder, false}; }
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;
    ~Writing() { context_ = before_; }

  private:
    Context before_;
  };

  // While it lives, products and quotients on this thread are MulNoNan and DivideNoNan: for
  // partials that can be infinite, so that in derivatives of them, too, 0 times infinity is 0.
  class NoNan {
  public:
    explicit NoNan(bool on) : before_(context_.no_nan) { context_.no_nan = on; }
    NoNan(const NoNan&) = delete;
    NoNan& operator=(const NoNan&) = delete;
    ~NoNan() { context_.no_nan = before_; }

  private:
    bool before_;
  };
  static bool no_nan() { return context_.no_nan; }

  Symbolic(double value) // NOLINT(google-explicit-constructor): formulas mix both
      : index_(context_.builder->constant(value)) {}
  // The value of an instruction that has been written.
  static Symbolic of(Index index) { return Symbolic(index, Written{}); }
  static Symbolic emit(Opcode opcode, Symbolic a) {
    return of(context_.builder->emit(opcode, a.index_));
  }
  static Symbolic emit(Opcode opcode, Symbolic a, Symbolic b) {
    return of(context_.builder->emit(opcode, a.index_, b.index_));
  }
  static Symbolic emit(Opcode opcode, Symbolic a, Symbolic b, Symbolic c) {
    return of(context_.builder->emit(opcode, a.index_, b.index_, c.index_));
  }
  // The same of an operation that the eager function refuses where it has no result.
  static Symbolic checked(Opcode opcode, Symbolic a, Symbolic b) {
    return of(context_.builder->emit(opcode, a.index_, b.index_, kNone, true));
  }
  static Symbolic checked(Opcode opcode, Symbolic a, Symbolic b, Symbolic c) {
    return of(context_.builder->emit(opcode, a.index_, b.index_, c.index_, true));
  }
  Index index() const { return index_; }
  // That of the innermost Writing.
  static Builder& builder() { return *context_.builder; }

private:
  struct Written {}; // tells an index from a number
  Symbolic(Index index, Written /*tag*/) : index_(index) {}
  static inline thread_local Context context_{nullptr, false};
  Index index_;
};

inline Symbolic operator+(Symbolic a, Symbolic b) { return Symbolic::emit(Opcode::Add, a, b); }
inline Symbolic operator-(Symbolic a, Symbolic b) { return Symbolic::emit(Opcode::Subtract, a, b); }
inline Symbolic operator*(Symbolic a, Symbolic b) {
  return Symbolic::emit(Symbolic::no_nan() ? Opcode::MulNoNan : Opcode::Mul, a, b);
}
inline Symbolic operator/(Symbolic a, Symbolic b) {
  return Symbolic::emit(Symbolic::no_nan() ? Opcode::DivideNoNan : Opcode::Divide, a, b);
}
inline Symbolic operator-(Symbolic a) { return Symbolic::emit(Opcode::Negate, a); }
inline Symbolic operator<(Symbolic a, Symbolic b) { return Symbolic::emit(Opcode::Less, a, b); }
inline Symbolic operator>(Symbolic a, Symbolic b) { return Symbolic::emit(Opcode::Less, b, a); }
inline Symbolic operator==(Symbolic a, Symbolic b) { return Symbolic::emit(Opcode::Equal, a, b); }
inline Symbolic select(Symbolic condition, Symbolic x, Symbolic y) {
  return Symbolic::emit(Opcode::Select, condition, x, y);
}

#define ARENAGRAD_UNARY(name, Id)                                                                  \
  inline Symbolic name(Symbolic a) { return Symbolic::emit(Opcode::Id, a); }
#define ARENAGRAD_BINARY(name, Id)                                                                 \
  inline Symbolic name(Symbolic a, Symbolic b) { return Symbolic::emit(Opcode::Id, a, b); }
#define ARENAGRAD_TERNARY(name, Id)                                                                \
  inline Symbolic name(Symbolic a, Symbolic b, Symbolic c) {                                       \
    return Symbolic::emit(Opcode::Id, a, b, c);                                                    \
  }
ARENAGRAD_UNARY(exp, Exp)
ARENAGRAD_UNARY(log, Log)
ARENAGRAD_UNARY(log1p, Log1p)
ARENAGRAD_UNARY(sqrt, Sqrt)
ARENAGRAD_UNARY(fabs, Abs)
ARENAGRAD_UNARY(sin, Sin)
ARENAGRAD_UNARY(cos, Cos)
ARENAGRAD_UNARY(sinh, Sinh)
ARENAGRAD_UNARY(cosh, Cosh)
ARENAGRAD_UNARY(sign, Sign)
ARENAGRAD_UNARY(sigmoid, Sigmoid)
ARENAGRAD_UNARY(silu_partial, SiluPartial)
ARENAGRAD_UNARY(gelu_partial, GeluPartial)
ARENAGRAD_UNARY(arctan_partial, ArctanPartial)
ARENAGRAD_UNARY(digamma, Digamma)
ARENAGRAD_UNARY(log_or_zero, LogOrZero)
ARENAGRAD_BINARY(floor_divide, FloorDivide)
ARENAGRAD_BINARY(logaddexp_partial, LogaddexpPartial)
ARENAGRAD_BINARY(log_norm_cdf_partial, LogNormCdfPartial)
ARENAGRAD_BINARY(pow, Power)
ARENAGRAD_BINARY(hypot, Hypot)
ARENAGRAD_BINARY(power_partial, PowerPartial)
ARENAGRAD_BINARY(wins, Wins)
ARENAGRAD_BINARY(hypot_partial, HypotPartial)
ARENAGRAD_BINARY(arctan2_partial, Arctan2Partial)
ARENAGRAD_BINARY(tanh_partial, TanhPartial)
ARENAGRAD_BINARY(cbrt_partial, CbrtPartial)
ARENAGRAD_BINARY(exp_minus_square, ExpMinusSquare)
ARENAGRAD_BINARY(polygamma, Polygamma)
ARENAGRAD_BINARY(shifted_exp, ShiftedExp)
ARENAGRAD_BINARY(gamma_density, GammaDensity)
inline Symbolic exp_minus_square(Symbolic a) { return exp_minus_square(a, 1.0); }
ARENAGRAD_TERNARY(power_partial, PowerPartialOf)
ARENAGRAD_TERNARY(power_partial_b, PowerPartialB)
ARENAGRAD_TERNARY(hypot_partial, HypotPartialOf)
ARENAGRAD_TERNARY(beta_density, BetaDensity)
#undef ARENAGRAD_UNARY
#undef ARENAGRAD_BINARY
#undef ARENAGRAD_TERNARY

} // namespace arenagrad::program
