// The rules of the operations with any number of operands: the values, and what a node owes its
// operands. Sums run from left to right, as a loop in Python would. Pure; thread-safe; cost linear
// in the number of operands. `x(i)` is the primal of operand i, `add(i, amount)` adds to its
// adjoint, `scratch` has room for scratch_size(op, n) numbers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "op.h"
#include "op_math.h"

namespace arenagrad::core {

// The operands of a dot product: the start if there is one, then w..., then x.... `At` is a
// position: an index into the operands or a pointer to them.
template <class At> struct DotView {
  At start; // not an operand of its own unless has_start()
  At w, x;
  std::size_t terms;

  [[gnu::always_inline]] bool has_start() const { return w != start; }
};

// The view of `count` operands from `first` on, which is the only place that knows their order: an
// odd number of them begins with the start. Always inline: kernels of each instruction set call it,
// and an out-of-line copy would be shared by all of them.
template <class At>
[[gnu::always_inline]] constexpr DotView<At> dot_view(At first, std::size_t count) {
  const std::size_t terms = count / 2;
  const At w = first + count % 2;
  return {first, w, w + terms, terms};
}

// The first of the largest; -inf at 0 if there is none above that.
struct Largest {
  double value = -std::numeric_limits<double>::infinity();
  std::size_t place = 0;

  template <class X> Largest(std::size_t n, X&& x) {
    for (std::size_t i = 0; i < n; ++i)
      if (x(i) > value) value = x(i), place = i;
  }
};

// What softmax and its relatives are made of: the largest x, the sum of exp(x - largest), that sum
// without the largest's own 1, which keeps the digits of a small logarithm, and in `each` the
// terms.
struct Exponentials {
  double largest, total = 0.0, others = 0.0;

  template <class X> Exponentials(std::size_t n, X&& x, double* each) {
    const Largest most(n, x);
    largest = most.value;
    for (std::size_t i = 0; i < n; ++i) {
      each[i] = shifted_exp(x(i), largest);
      total += each[i];
      if (i != most.place) others += each[i];
    }
  }
  double log_softmax(double x) const {
    return (x == largest ? 0.0 : x - largest) - std::log1p(others);
  }
  double logsumexp() const { return largest + std::log1p(others); }
};

// sqrt(x0 x0 + x1 x1 + ...), scaled only where the squares are too large or too small.
template <class X> double norm(std::size_t n, X&& x) {
  double squares = 0.0, largest = 0.0;
  for (std::size_t i = 0; i < n; ++i) squares += x(i) * x(i);
  if (squares > 1e-280 && squares < 1e300) return std::sqrt(squares);
  for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(x(i)));
  if (largest == 0.0 || !std::isfinite(largest)) return std::sqrt(squares);
  const int exponent = std::ilogb(largest);
  squares = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    const double scaled = std::scalbn(x(i), -exponent);
    squares += scaled * scaled;
  }
  return std::scalbn(std::sqrt(squares), exponent);
}

// Whether x is the number of one of `count` things.
inline bool is_index(double x, std::size_t count) {
  return x >= 0.0 && x < static_cast<double>(count) && x == std::floor(x);
}

// Numbers of scratch that the rules of an operation want.
constexpr std::size_t scratch_size(Op op, std::size_t n) {
  return op == Op::Prod || op == Op::LogSumExp ? n : is_group(op) ? 3 * n : 0;
}

template <class X> inline double nary_value(Op op, std::size_t n, X&& x, double* scratch) {
  double y = 0.0;
  switch (op) {
  case Op::Sum:
  case Op::Mean:
    for (std::size_t i = 0; i < n; ++i) y += x(i);
    return op == Op::Sum ? y : y / static_cast<double>(n);
  case Op::Prod:
    y = 1.0;
    for (std::size_t i = 0; i < n; ++i) y *= x(i);
    return y;
  case Op::Dot: {
    const auto dot = dot_view(std::size_t{0}, n);
    if (dot.has_start()) y = x(dot.start);
    for (std::size_t k = 0; k < dot.terms; ++k) y += x(dot.w + k) * x(dot.x + k);
    return y;
  }
  case Op::Norm:
    return norm(n, x);
  case Op::LogSumExp:
    return Exponentials(n, x, scratch).logsumexp();
  case Op::Where:
    return x(0) != 0.0 ? x(1) : x(2);
  case Op::Take:
    return is_index(x(0), n - 1) ? x(1 + static_cast<std::size_t>(x(0)))
                                 : std::numeric_limits<double>::quiet_NaN();
  default:
    return 0.0;
  }
}

// Adds partial * g for each operand of a Many node with primal y.
template <class X, class Add> inline void propagate_nary(Op op, std::size_t n, double y, double g,
                                                         X&& x, Add&& add, double* scratch) {
  switch (op) {
  case Op::Sum:
    for (std::size_t i = 0; i < n; ++i) add(i, g);
    return;
  case Op::Mean:
    for (std::size_t i = 0; i < n; ++i) add(i, g / static_cast<double>(n));
    return;
  case Op::Prod: { // the product of the others, without a division that a zero would spoil
    double product = 1.0;
    for (std::size_t i = 0; i < n; ++i) scratch[i] = product, product *= x(i);
    product = 1.0;
    for (std::size_t i = n; i-- > 0;) add(i, scratch[i] * product * g), product *= x(i);
    return;
  }
  case Op::Dot: {
    const auto dot = dot_view(std::size_t{0}, n);
    if (dot.has_start()) add(dot.start, g);
    for (std::size_t k = 0; k < dot.terms; ++k) {
      const double w = x(dot.w + k), z = x(dot.x + k);
      add(dot.w + k, z * g);
      add(dot.x + k, w * g);
    }
    return;
  }
  case Op::Norm:
    if (y == 0.0) return;
    for (std::size_t i = 0; i < n; ++i) add(i, hypot_partial(x(i), y) * g);
    return;
  case Op::LogSumExp: {
    const Exponentials e(n, x, scratch);
    for (std::size_t i = 0; i < n; ++i) add(i, scratch[i] / e.total * g);
    return;
  }
  case Op::Where:
    return add(x(0) != 0.0 ? 1 : 2, g);
  case Op::Take:
    if (is_index(x(0), n - 1)) add(1 + static_cast<std::size_t>(x(0)), g);
    return;
  default:
    return;
  }
}

// Adds for each of n operands what all results of a group owe it; g(i) is the adjoint of result i.
// With p = softmax(x): p_j (g_j (1 - p_j) - sum of g_i p_i over i != j), and for the logarithm
// g_j (1 - p_j) - p_j (sum of g_i over i != j). Every 1 - p_j and every sum is taken from terms on
// both sides of j, so that nothing cancels.
template <class X, class G, class Add>
void propagate_group(Op group, std::size_t n, X&& x, G&& g, Add&& add, double* scratch) {
  const bool logarithm = group == Op::LogSoftmaxGroup;
  double *p = scratch, *below = scratch + n, *owed = scratch + 2 * n;
  const Exponentials e(n, x, p);
  double rest = 0.0, sum = 0.0;
  for (std::size_t j = 0; j < n; ++j) {
    p[j] /= e.total;
    below[j] = rest, owed[j] = sum;
    rest += p[j], sum += logarithm ? g(j) : g(j) * p[j];
  }
  rest = sum = 0.0;
  for (std::size_t j = n; j-- > 0;) {
    const double own = g(j) * (below[j] + rest), others = owed[j] + sum;
    rest += p[j], sum += logarithm ? g(j) : g(j) * p[j];
    add(j, logarithm ? own - p[j] * others : p[j] * (own - others));
  }
}

} // namespace arenagrad::core
