// The operations with any number of operands: one struct for each row ARENAGRAD_NARY or
// ARENAGRAD_GROUP of ops.def, with all that recording, the sweep, files and compiled programs need
// of it. A row without its struct, or a struct without one of the parts, does not compile.
//
// In all of them x(i) is the primal of operand i, add(i, amount) adds to its adjoint, g is the
// adjoint of the result. Sums run from left to right, as a loop in Python would.
//
// Pure and thread-safe but for record_nary and record_group. Cost: linear in the operands.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <vector>

#include "errors.h"
#include "op.h"
#include "op_domain.h"
#include "op_math.h"
#include "special.h"

namespace arenagrad::core {

class Arena;

// --- helpers -------------------------------------------------------------------------------------

// The operands of a dot product: the start if there is one, then w..., then x.... `At` is a
// position: an index into the operands or a pointer to them.
template <class At> struct DotView {
  At start; // not an operand of its own unless has_start()
  At w, x;
  std::size_t terms;

  [[gnu::always_inline]] constexpr bool has_start() const { return w != start; }
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

// The first of the largest; {-inf, 0} if no element exceeds -inf.
struct Largest {
  double value = -std::numeric_limits<double>::infinity();
  std::size_t index = 0;

  template <class X> Largest(std::size_t n, X&& x) {
    for (std::size_t i = 0; i < n; ++i)
      if (x(i) > value) value = x(i), index = i;
  }
};

// The sums that softmax and its relatives need: the largest x, the sum of exp(x - largest), that
// sum without the largest's own 1, which keeps the digits of a small logarithm, and in `each` the
// terms.
struct Exponentials {
  double largest, total = 0.0, others = 0.0;

  template <class X> Exponentials(std::size_t n, X&& x, double* each) {
    const Largest most(n, x);
    largest = most.value;
    for (std::size_t i = 0; i < n; ++i) {
      each[i] = shifted_exp(x(i), largest);
      total += each[i];
      if (i != most.index) others += each[i];
    }
  }
  double log_softmax(double x) const { return distance(x, largest) - std::log1p(others); }
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

// Whether x is the index of one of `count` things.
inline bool is_index(double x, std::size_t count) {
  return is_whole_below(x, static_cast<double>(count));
}

// --- the language of formula() -------------------------------------------------------------------

// formula(xs) is the primal once more, written with operators, the functions of op_math.h and these
// functions of lists, for any type Number. With doubles it computes; with program::Symbolic, for
// which program/passes/symbolic_lists.h has the same functions, it writes the instructions of a
// compiled program, which then has derivatives of every order.
template <class Number> using Numbers = std::vector<Number>;

inline auto element_of(const Numbers<double>& xs) {
  return [&xs](std::size_t i) { return xs[i]; };
}
// From 0, left to right.
inline double sum(const Numbers<double>& xs) {
  double y = 0.0;
  for (const double x : xs) y += x;
  return y;
}
// With the operands of a DotView.
inline double dot(const Numbers<double>& xs) {
  const auto view = dot_view(xs.data(), xs.size());
  double y = view.has_start() ? *view.start : 0.0;
  for (std::size_t k = 0; k < view.terms; ++k) y += view.w[k] * view.x[k];
  return y;
}
inline double norm(const Numbers<double>& xs) { return norm(xs.size(), element_of(xs)); }
// The largest, where a shift of it changes no result, so that its partials count as 0.
inline double max_shift(const Numbers<double>& xs) {
  return Largest(xs.size(), element_of(xs)).value;
}
// log(sum of exp(x - largest)).
inline double log_sum_exp_shifted(const Numbers<double>& xs) {
  Numbers<double> each(xs.size());
  return std::log1p(Exponentials(xs.size(), element_of(xs), each.data()).others);
}
// The largest, nan if one is.
template <class X> double largest_of(std::size_t n, X&& x) {
  double y = x(0);
  for (std::size_t i = 1; i < n; ++i) y = maximum(y, x(i));
  return y;
}
inline double largest(const Numbers<double>& xs) { return largest_of(xs.size(), element_of(xs)); }
// Functions of shapes, which the eager function judges (nary::judged).
inline double polygamma_checked(double n, double a) { return polygamma(n, a); }
inline double gammainc_checked(double a, double x) { return gammainc(a, x); }
inline double betainc_checked(double a, double b, double x) { return betainc(a, b, x); }
// 1 where a <= b, else 0.
inline double is_up_to(double a, double b) { return a <= b ? 1.0 : 0.0; }
// xs[1 + xs[0]]; nan where xs[0] is no index.
inline double take(const Numbers<double>& xs) {
  return is_index(xs[0], xs.size() - 1) ? xs[1 + static_cast<std::size_t>(xs[0])]
                                        : std::numeric_limits<double>::quiet_NaN();
}

// --- the operations ------------------------------------------------------------------------------

// How many operands an operation has.
struct Counts {
  std::size_t least, most = std::numeric_limits<std::size_t>::max();
};

namespace nary {

struct Sum {
  static constexpr Counts kCounts{0};
  static constexpr bool kAddsToAll = true;
  static constexpr std::size_t scratch(std::size_t) { return 0; }
  template <class X> static double value(std::size_t n, X&& x, double*) {
    double y = 0.0;
    for (std::size_t i = 0; i < n; ++i) y += x(i);
    return y;
  }
  template <class X, class Add>
  static void pullback(std::size_t n, double, double g, X&&, Add&& add, double*) {
    for (std::size_t i = 0; i < n; ++i) add(i, g);
  }
  template <class Number> static Number formula(const Numbers<Number>& xs) { return sum(xs); }
};

struct Mean {
  static constexpr Counts kCounts{1};
  static constexpr bool kAddsToAll = true;
  static constexpr std::size_t scratch(std::size_t) { return 0; }
  template <class X> static double value(std::size_t n, X&& x, double* scratch) {
    return Sum::value(n, x, scratch) / static_cast<double>(n);
  }
  template <class X, class Add>
  static void pullback(std::size_t n, double, double g, X&&, Add&& add, double*) {
    for (std::size_t i = 0; i < n; ++i) add(i, g / static_cast<double>(n));
  }
  template <class Number> static Number formula(const Numbers<Number>& xs) {
    const Number total = sum(xs);
    return total / Number(static_cast<double>(xs.size()));
  }
};

struct Prod {
  static constexpr Counts kCounts{0};
  static constexpr bool kAddsToAll = true;
  static constexpr std::size_t scratch(std::size_t n) { return n; }
  template <class X> static double value(std::size_t n, X&& x, double*) {
    double y = 1.0;
    for (std::size_t i = 0; i < n; ++i) y *= x(i);
    return y;
  }
  // As the sweep of `y = y * x` in a loop has it, to the last bit; a division would be spoilt by a
  // zero.
  template <class X, class Add>
  static void pullback(std::size_t n, double, double g, X&& x, Add&& add, double* scratch) {
    double product = 1.0;
    for (std::size_t i = 0; i < n; ++i) scratch[i] = product, product *= x(i);
    double adjoint = g; // of the product of the first i + 1
    for (std::size_t i = n; i-- > 0;) add(i, scratch[i] * adjoint), adjoint *= x(i);
  }
  template <class Number> static Number formula(const Numbers<Number>& xs) {
    if (xs.empty()) return Number(1.0);
    Number y = xs[0];
    for (std::size_t k = 1; k < xs.size(); ++k) y = y * xs[k];
    return y;
  }
};

struct Dot {
  static constexpr Counts kCounts{0};
  static constexpr bool kAddsToAll = true;
  static constexpr std::size_t scratch(std::size_t) { return 0; }
  template <class X> static double value(std::size_t n, X&& x, double*) {
    const auto view = dot_view(std::size_t{0}, n);
    double y = view.has_start() ? x(view.start) : 0.0;
    for (std::size_t k = 0; k < view.terms; ++k) y += x(view.w + k) * x(view.x + k);
    return y;
  }
  template <class X, class Add>
  static void pullback(std::size_t n, double, double g, X&& x, Add&& add, double*) {
    const auto view = dot_view(std::size_t{0}, n);
    if (view.has_start()) add(view.start, g);
    for (std::size_t k = 0; k < view.terms; ++k) {
      const double w = x(view.w + k), z = x(view.x + k);
      add(view.w + k, z * g);
      add(view.x + k, w * g);
    }
  }
  template <class Number> static Number formula(const Numbers<Number>& xs) { return dot(xs); }
};

struct Norm {
  static constexpr Counts kCounts{0};
  static constexpr bool kAddsToAll = false; // nothing where all are 0
  static constexpr std::size_t scratch(std::size_t) { return 0; }
  template <class X> static double value(std::size_t n, X&& x, double*) { return norm(n, x); }
  template <class X, class Add>
  static void pullback(std::size_t n, double y, double g, X&& x, Add&& add, double*) {
    if (y == 0.0) return;
    for (std::size_t i = 0; i < n; ++i) add(i, hypot_partial(x(i), y) * g);
  }
  template <class Number> static Number formula(const Numbers<Number>& xs) { return norm(xs); }
};

struct LogSumExp {
  static constexpr Counts kCounts{1};
  static constexpr bool kAddsToAll = true;
  static constexpr std::size_t scratch(std::size_t n) { return n; }
  template <class X> static double value(std::size_t n, X&& x, double* scratch) {
    return Exponentials(n, x, scratch).logsumexp();
  }
  template <class X, class Add>
  static void pullback(std::size_t n, double, double g, X&& x, Add&& add, double* scratch) {
    const Exponentials e(n, x, scratch);
    for (std::size_t i = 0; i < n; ++i) add(i, scratch[i] / e.total * g);
  }
  template <class Number> static Number formula(const Numbers<Number>& xs) {
    const Number rest = log_sum_exp_shifted(xs);
    return max_shift(xs) + rest;
  }
};

// The condition, x, y.
struct Where {
  static constexpr Counts kCounts{3, 3};
  static constexpr bool kAddsToAll = false;
  static constexpr std::size_t scratch(std::size_t) { return 0; }
  template <class X> static double value(std::size_t, X&& x, double*) {
    return x(0) != 0.0 ? x(1) : x(2);
  }
  template <class X, class Add>
  static void pullback(std::size_t, double, double g, X&& x, Add&& add, double*) {
    add(x(0) != 0.0 ? 1 : 2, g);
  }
  template <class Number> static Number formula(const Numbers<Number>& xs) {
    return select(xs[0], xs[1], xs[2]);
  }
};

// An index, then the values.
struct Take {
  static constexpr Counts kCounts{2};
  static constexpr bool kAddsToAll = false;
  static constexpr std::size_t scratch(std::size_t) { return 0; }
  template <class X> static double value(std::size_t n, X&& x, double*) {
    return is_index(x(0), n - 1) ? x(1 + static_cast<std::size_t>(x(0)))
                                 : std::numeric_limits<double>::quiet_NaN();
  }
  template <class X, class Add>
  static void pullback(std::size_t n, double, double g, X&& x, Add&& add, double*) {
    if (is_index(x(0), n - 1)) add(1 + static_cast<std::size_t>(x(0)), g);
  }
  template <class Number> static Number formula(const Numbers<Number>& xs) { return take(xs); }
};

struct Max {
  static constexpr Counts kCounts{1};
  static constexpr bool kAddsToAll = false;
  static constexpr std::size_t scratch(std::size_t) { return 0; }
  template <class X> static double value(std::size_t n, X&& x, double*) { return largest_of(n, x); }
  template <class X, class Add>
  static void pullback(std::size_t n, double, double g, X&& x, Add&& add, double*) {
    const double y = largest_of(n, x);
    double ties = 0.0;
    for (std::size_t i = 0; i < n; ++i) ties += is_up_to(y, x(i));
    for (std::size_t i = 0; i < n; ++i)
      if (!(x(i) < y)) add(i, y == y ? g / ties : y);
  }
  template <class Number> static Number formula(const Numbers<Number>& xs) { return largest(xs); }
};

struct Min {
  static constexpr Counts kCounts{1};
  static constexpr bool kAddsToAll = false;
  static constexpr std::size_t scratch(std::size_t) { return 0; }
  template <class X> static double value(std::size_t n, X&& x, double*) {
    return -largest_of(n, [&](std::size_t i) { return -x(i); });
  }
  template <class X, class Add>
  static void pullback(std::size_t n, double y, double g, X&& x, Add&& add, double* scratch) {
    Max::pullback(n, -y, g, [&](std::size_t i) { return -x(i); }, add, scratch);
  }
  template <class Number> static Number formula(const Numbers<Number>& xs) {
    Numbers<Number> negated;
    for (const Number x : xs) negated.push_back(-x);
    return -largest(negated);
  }
};

// The distances of operands from their mean.
template <class X> struct Deviations {
  std::size_t n;
  X& x;
  double mean, rest = 0.0; // the mean of the deviations, which is what the mean is off by

  Deviations(std::size_t count, X& operands)
      : n(count), x(operands), mean(Mean::value(n, x, nullptr)) {
    for (std::size_t i = 0; i < n; ++i) rest += (*this)(i);
    rest /= size();
  }
  double operator()(std::size_t i) const { return x(i) - mean; }
  double size() const { return static_cast<double>(n); }
};
template <class Number> Numbers<Number> deviations(const Numbers<Number>& xs) {
  const Number mean = Mean::formula(xs);
  Numbers<Number> each;
  for (const Number x : xs) each.push_back(x - mean);
  return each;
}

struct Var {
  static constexpr Counts kCounts{1};
  static constexpr bool kAddsToAll = true;
  static constexpr std::size_t scratch(std::size_t) { return 0; }
  // What makes it the sum divided by n - less instead of n. Requires n > less.
  static double scale(std::size_t n, double less) {
    return static_cast<double>(n) / (static_cast<double>(n) - less);
  }
  template <class X> static double value(std::size_t n, X&& x, double*) {
    const Deviations d(n, x);
    double squares = 0.0;
    for (std::size_t i = 0; i < n; ++i) squares += d(i) * d(i);
    return squares / d.size();
  }
  template <class X, class Add>
  static void pullback(std::size_t n, double, double g, X&& x, Add&& add, double*) {
    const Deviations d(n, x);
    for (std::size_t i = 0; i < n; ++i) add(i, 2.0 / d.size() * (d(i) - d.rest) * g);
  }
  template <class Number> static Number formula(const Numbers<Number>& xs) {
    Numbers<Number> twice = deviations(xs);
    twice.insert(twice.end(), twice.begin(),
                 twice.begin() + static_cast<std::ptrdiff_t>(xs.size()));
    const Number squares = dot(twice);
    return squares / Number(static_cast<double>(xs.size()));
  }
};

struct Std {
  static constexpr Counts kCounts{1};
  static constexpr bool kAddsToAll = false; // nothing where all are the same
  static constexpr std::size_t scratch(std::size_t) { return 0; }
  static double scale(std::size_t n, double less) { return std::sqrt(Var::scale(n, less)); }
  template <class X> static double value(std::size_t n, X&& x, double*) {
    const Deviations d(n, x);
    return norm(n, d) / std::sqrt(d.size());
  }
  template <class X, class Add>
  static void pullback(std::size_t n, double, double g, X&& x, Add&& add, double*) {
    const Deviations d(n, x);
    const double length = norm(n, d);
    if (length == 0.0) return;
    for (std::size_t i = 0; i < n; ++i) add(i, (d(i) - d.rest) / length / std::sqrt(d.size()) * g);
  }
  template <class Number> static Number formula(const Numbers<Number>& xs) {
    const Number length = norm(deviations(xs));
    return length / Number(std::sqrt(static_cast<double>(xs.size())));
  }
};

// x, the results on the left and right of all points, the points, the numbers at the points.
struct Interp {
  static constexpr Counts kCounts{5};
  static constexpr bool kAddsToAll = false;
  static constexpr std::size_t kLeft = 1, kRight = 2, kPoints = 3;
  static constexpr std::size_t scratch(std::size_t) { return 0; }
  static constexpr std::size_t count(std::size_t n) { return (n - kPoints) / 2; }

  // The line through the points on both sides of x, of which `first` is the operand on the left.
  // Requires two points.
  template <class X> struct Line {
    std::size_t first = kPoints, points;
    double x0, y0, rise, width;

    Line(std::size_t n, X& x) : points(count(n)) {
      for (std::size_t k = 1; k + 1 < points; ++k)
        if (x(kPoints + k) <= x(0)) ++first;
      x0 = x(first), y0 = x(first + points);
      width = x(first + 1) - x0;
      rise = (x(first + 1 + points) - y0) / width;
    }
  };
  // The operand that the result is where x is not between two points, else 0.
  template <class X> static std::size_t outside(std::size_t n, X&& x) {
    const std::size_t last = kPoints + count(n) - 1;
    if (x(0) < x(kPoints)) return kLeft;
    if (x(last) < x(0)) return kRight;
    return x(0) == x(last) ? last + count(n) : 0;
  }

  template <class X> static double value(std::size_t n, X&& x, double*) {
    const std::size_t flat = outside(n, x);
    if (flat != 0 || count(n) == 1) return x(flat); // x itself is nan
    const Line line(n, x);
    return line.rise * (x(0) - line.x0) + line.y0;
  }
  template <class X, class Add>
  static void pullback(std::size_t n, double, double g, X&& x, Add&& add, double*) {
    const std::size_t flat = outside(n, x);
    if (flat != 0 || count(n) == 1) return add(flat, g);
    const Line line(n, x);
    const double right = (x(0) - line.x0) / line.width, left = 1.0 - right;
    add(0, line.rise * g);
    add(line.first, -line.rise * left * g);
    add(line.first + 1, -line.rise * right * g);
    add(line.first + line.points, left * g);
    add(line.first + line.points + 1, right * g);
  }
  template <class Number> static Number formula(const Numbers<Number>& xs) {
    const std::size_t points = count(xs.size()), last = kPoints + points - 1;
    const Number x = xs[0], end = select(x == xs[last], xs[last + points], inside(xs));
    return select(x < xs[kPoints], xs[kLeft], select(xs[last] < x, xs[kRight], end));
  }

private:
  template <class Number> static Number inside(const Numbers<Number>& xs) {
    const std::size_t points = count(xs.size());
    const Number x = xs[0];
    if (points == 1) return x;
    Numbers<Number> passed;
    for (std::size_t k = 1; k + 1 < points; ++k) passed.push_back(is_up_to(xs[kPoints + k], x));
    const Number first = sum(passed);
    // Number `first` of the operands from `from` on.
    const auto chosen = [&](std::size_t from) {
      Numbers<Number> choice{first};
      for (std::size_t k = 0; k + 1 < points; ++k) choice.push_back(xs[from + k]);
      return take(choice);
    };
    const Number x0 = chosen(kPoints), x1 = chosen(kPoints + 1);
    const Number y0 = chosen(kPoints + points), y1 = chosen(kPoints + points + 1);
    const Number rise = (y1 - y0) / (x1 - x0);
    return rise * (x - x0) + y0;
  }
};

// The number that a function of shapes is judged by, if it fails (MayFail::Pole): x, or nan where
// an operand is.
template <class Number> Number judged(const Numbers<Number>& shapes_and_x) {
  const Number all = sum(shapes_and_x);
  return select(all == all, shapes_and_x.back(), all);
}

// The order, which is a Literal, and x.
struct Polygamma {
  static constexpr Counts kCounts{2, 2};
  static constexpr bool kAddsToAll = false;
  static constexpr std::size_t scratch(std::size_t) { return 0; }
  template <class X> static double value(std::size_t, X&& x, double*) {
    return polygamma(x(0), x(1));
  }
  template <class X, class Add>
  static void pullback(std::size_t, double, double g, X&& x, Add&& add, double*) {
    add(1, multiply_no_nan(polygamma(x(0) + 1.0, x(1)), g));
  }
  template <class Number> static Number formula(const Numbers<Number>& xs) {
    return polygamma_checked(xs[0], xs[1]);
  }
};

// The shape and x. By shapes, here and below, a sweep that gets so far has nothing to pass on
// (checked_sweep.h).
struct Gammainc {
  static constexpr Counts kCounts{2, 2};
  static constexpr bool kAddsToAll = false;
  static constexpr std::size_t scratch(std::size_t) { return 0; }
  template <class X> static double value(std::size_t, X&& x, double*) {
    return gammainc(x(0), x(1));
  }
  template <class X, class Add>
  static void pullback(std::size_t, double, double g, X&& x, Add&& add, double*) {
    add(1, multiply_no_nan(gamma_density(x(0), x(1)), g));
  }
  template <class Number> static Number formula(const Numbers<Number>& xs) {
    return gammainc_checked(xs[0], xs[1]);
  }
};

// Two shapes and x.
struct Betainc {
  static constexpr Counts kCounts{3, 3};
  static constexpr bool kAddsToAll = false;
  static constexpr std::size_t scratch(std::size_t) { return 0; }
  template <class X> static double value(std::size_t, X&& x, double*) {
    return betainc(x(0), x(1), x(2));
  }
  template <class X, class Add>
  static void pullback(std::size_t, double, double g, X&& x, Add&& add, double*) {
    add(2, multiply_no_nan(beta_density(x(0), x(1), x(2)), g));
  }
  template <class Number> static Number formula(const Numbers<Number>& xs) {
    return betainc_checked(xs[0], xs[1], xs[2]);
  }
};

// The results of a group: result i is made of term i and of the total, which all of them share.
template <class Number> struct GroupFormula {
  Numbers<Number> terms;
  Number total;
};

// The pullback of a softmax (p_j (g_j (1 - p_j) - sum of g_i p_i over i != j)) and of its logarithm
// (g_j (1 - p_j) - p_j (sum of g_i over i != j)), where p = softmax(x). Every 1 - p_j and every sum
// is taken from terms on both sides of j, so that nothing cancels. g(i) is the adjoint of result i.
template <bool kLogarithm, class X, class G, class Add>
void softmax_pullback(std::size_t n, X&& x, G&& g, Add&& add, double* scratch) {
  double *p = scratch, *below = scratch + n, *sum_below = scratch + 2 * n;
  const Exponentials e(n, x, p);
  double rest = 0.0, sum = 0.0;
  for (std::size_t j = 0; j < n; ++j) {
    p[j] /= e.total;
    below[j] = rest, sum_below[j] = sum;
    rest += p[j], sum += kLogarithm ? g(j) : g(j) * p[j];
  }
  rest = sum = 0.0;
  for (std::size_t j = n; j-- > 0;) {
    const double own = g(j) * (below[j] + rest), others = sum_below[j] + sum;
    rest += p[j], sum += kLogarithm ? g(j) : g(j) * p[j];
    add(j, kLogarithm ? own - p[j] * others : p[j] * (own - others));
  }
}

struct Softmax {
  static constexpr Counts kCounts{0};
  static constexpr std::size_t scratch(std::size_t n) { return 3 * n; }
  template <class X> static void results(std::size_t n, X&& x, double* out) {
    const Exponentials e(n, x, out);
    for (std::size_t i = 0; i < n; ++i) out[i] /= e.total;
  }
  template <class X, class G, class Add>
  static void pullback(std::size_t n, X&& x, G&& g, Add&& add, double* scratch) {
    softmax_pullback<false>(n, x, g, add, scratch);
  }
  template <class Number> static GroupFormula<Number> formula(const Numbers<Number>& xs) {
    const Number largest = max_shift(xs);
    Numbers<Number> terms;
    for (const Number x : xs) terms.push_back(shifted_exp(x, largest));
    const Number total = sum(terms);
    return {terms, total};
  }
  template <class Number> static Number result(Number term, Number total) { return term / total; }
};

struct LogSoftmax {
  static constexpr Counts kCounts{0};
  static constexpr std::size_t scratch(std::size_t n) { return 3 * n; }
  template <class X> static void results(std::size_t n, X&& x, double* out) {
    const Exponentials e(n, x, out);
    for (std::size_t i = 0; i < n; ++i) out[i] = e.log_softmax(x(i));
  }
  template <class X, class G, class Add>
  static void pullback(std::size_t n, X&& x, G&& g, Add&& add, double* scratch) {
    softmax_pullback<true>(n, x, g, add, scratch);
  }
  template <class Number> static GroupFormula<Number> formula(const Numbers<Number>& xs) {
    const Number largest = max_shift(xs);
    Numbers<Number> terms;
    for (const Number x : xs) terms.push_back(distance(x, largest));
    const Number total = log_sum_exp_shifted(xs);
    return {terms, total};
  }
  template <class Number> static Number result(Number term, Number total) { return term - total; }
};

// --- what each struct must have ------------------------------------------------------------------

using Reading = double (*)(std::size_t);
using Adding = void (*)(std::size_t, double);

template <class Rule>
concept HasCounts = requires(std::size_t n) {
  { Rule::kCounts } -> std::convertible_to<Counts>;
  { Rule::scratch(n) } -> std::same_as<std::size_t>; // numbers that value and pullback may use
};
template <class Rule>
concept OneResult = HasCounts<Rule> && requires(std::size_t n, double number, Reading x, Adding add,
                                                double* scratch, const Numbers<double>& xs) {
  // Whether pullback adds to every operand, whatever the primals are.
  { Rule::kAddsToAll } -> std::convertible_to<bool>;
  { Rule::value(n, x, scratch) } -> std::same_as<double>;
  { Rule::pullback(n, number, number, x, add, scratch) } -> std::same_as<void>;
  { Rule::formula(xs) } -> std::same_as<double>;
};
template <class Rule>
concept ManyResults =
    HasCounts<Rule> && requires(std::size_t n, double number, Reading x, Adding add,
                                double* scratch, const Numbers<double>& xs) {
      { Rule::results(n, x, scratch) } -> std::same_as<void>;
      { Rule::pullback(n, x, x, add, scratch) } -> std::same_as<void>;
      { Rule::formula(xs) } -> std::same_as<GroupFormula<double>>;
      { Rule::result(number, number) } -> std::same_as<double>;
    };

#define ARENAGRAD_NARY(Id, ...) static_assert(OneResult<Id>, #Id " lacks a part");
#define ARENAGRAD_GROUP(Id, ...) static_assert(ManyResults<Id>, #Id " lacks a part");
#include "ops.def"

} // namespace nary

// --- by operation --------------------------------------------------------------------------------

// visit(rule) with the struct of an operation that has one result. Requires op to be such a row.
template <class Visit> [[gnu::always_inline]] inline auto visit_nary(Op op, Visit&& visit) {
  switch (op) {
#define ARENAGRAD_NARY(Id, ...)                                                                    \
  case Op::Id:                                                                                     \
    return visit(nary::Id{});
#include "ops.def"
  default:
    std::abort();
  }
}

// The same for an operation with many results; `op` may be its group too.
template <class Visit> [[gnu::always_inline]] inline auto visit_group(Op op, Visit&& visit) {
  switch (op) {
#define ARENAGRAD_GROUP(Id, ...)                                                                   \
  case Op::Id:                                                                                     \
  case Op::Id##Group:                                                                              \
    return visit(nary::Id{});
#include "ops.def"
  default:
    std::abort();
  }
}

// How many operands a node of `op` may have. Of Opaque and FixedPartials any number.
constexpr Counts operand_counts(Op op) {
  switch (op) {
#define ARENAGRAD_NARY(Id, ...)                                                                    \
  case Op::Id:                                                                                     \
    return nary::Id::kCounts;
#define ARENAGRAD_GROUP(Id, ...)                                                                   \
  case Op::Id##Group:                                                                              \
    return nary::Id::kCounts;
#include "ops.def"
  default:
    return {0};
  }
}

// Numbers of scratch that recording and sweeping a node of `op` use.
constexpr std::size_t scratch_size(Op op, std::size_t n) {
  switch (op) {
#define ARENAGRAD_NARY(Id, ...)                                                                    \
  case Op::Id:                                                                                     \
    return nary::Id::scratch(n);
#define ARENAGRAD_GROUP(Id, ...)                                                                   \
  case Op::Id##Group:                                                                              \
    return nary::Id::scratch(n);
#include "ops.def"
  default:
    return 0;
  }
}

template <class X> double nary_value(Op op, std::size_t n, X&& x, double* scratch) {
  return visit_nary(op, [&](auto rule) { return rule.value(n, x, scratch); });
}

// How a function of shapes fails on its operands, of which it gives y.
inline Failure shaped_failure(const Numbers<double>& operands, double y) {
  if (std::isfinite(y)) return Failure::None;
  return unary_failure(MayFail::Pole, nary::judged(operands), y);
}
// Throws the error of such a failure that is one.
[[noreturn]] void throw_shaped(Failure failure, Op op, const Numbers<double>& operands,
                               NodeId node);

// --- recording -----------------------------------------------------------------------------------

// Records a node of `op` over the `count` operands that stand at arena.next_edges(). Requires
// reserved room and scratch.
NodeId record_nary(Arena& arena, Op op, std::size_t count);

// The same for an operation with many results: its group, then a node for each operand, which are
// appended to `results`. Requires capacity there.
void record_group(Arena& arena, Op op, std::size_t count, std::vector<NodeId>& results);

} // namespace arenagrad::core
