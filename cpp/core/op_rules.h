// The formulas of ops.def as two functions, their only expansion. Pure and thread-safe. With `op` a
// compile-time constant both fold to the bare formula; compilers do not inline so long a switch
// unless they are told to.
#pragma once

#include <cmath>

#include "op.h"
#include "op_math.h"
#include "special.h"

namespace arenagrad::core {

template <class Number> struct PartialsOf {
  Number a, b;
};
using Partials = PartialsOf<double>;

// The primal y of a table operation. Never throws: see check_primal for the errors.
[[gnu::always_inline]] inline double evaluate(Op op, [[maybe_unused]] double a,
                                              [[maybe_unused]] double b) {
  switch (op) {
#define ARENAGRAD_OP(Id, name, symbol, operands, primal, da, db, ...)                              \
  case Op::Id:                                                                                     \
    return primal;
#include "ops.def"
  default:
    return 0.0;
  }
}

// dy/da and dy/db of a table operation at (a, b) with y = evaluate(op, a, b).
// Number is double, or one that writes down what is done to it (program/passes/symbolic.h).
template <class Number> [[gnu::always_inline]] inline PartialsOf<Number>
partials(Op op, [[maybe_unused]] Number a, [[maybe_unused]] Number b, [[maybe_unused]] Number y) {
  switch (op) {
#define ARENAGRAD_OP(Id, name, symbol, operands, primal, da, db, ...)                              \
  case Op::Id:                                                                                     \
    return {da, db};
#include "ops.def"
  default:
    return {0.0, 0.0};
  }
}

} // namespace arenagrad::core
