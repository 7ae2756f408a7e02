// Named helpers for formulas too long for a row of ops.def. Pure; safe from any thread.
#pragma once

#include <cmath>
#include <limits>

namespace arenagrad::core {

// The functions of C that ops.def names, so that its partials also have a meaning for other types.
using std::acos, std::acosh, std::asin, std::asinh, std::atan, std::atan2, std::atanh, std::cbrt,
    std::ceil, std::cos, std::cosh, std::erf, std::erfc, std::exp, std::exp2, std::expm1, std::fabs,
    std::floor, std::fmod, std::hypot, std::lgamma, std::log, std::log10, std::log1p, std::log2,
    std::pow, std::sin, std::sinh, std::sqrt, std::tan, std::tanh;

// x where the condition holds, else y.
inline double select(bool condition, double x, double y) { return condition ? x : y; }

// a * b, but 0 where one of them is 0, even if the other is not finite.
inline double multiply_no_nan(double a, double b) {
  const double y = a * b;
  return y != y && (a == 0.0 || b == 0.0) ? 0.0 : y;
}

// a ** 0.5 by a square root, which of -infinity is nan, and of -0.0 is -0.0.
inline double power_half(double a) { return std::sqrt(std::isinf(a) ? std::fabs(a) : a + 0.0); }

// The largest number whose reciprocal is infinite.
inline constexpr double kNoReciprocal = 0x1p-1024;

// a / b where a * b**-1 is meant: infinite, or nan, where that power is too large.
inline double quotient(double a, double b) {
  return a / (std::fabs(b) <= kNoReciprocal ? b * 0.0 : b);
}

inline constexpr double kLn2 = 0.69314718055994530942;
inline constexpr double kLog2E = 1.44269504088896340736;
inline constexpr double kLog10E = 0.43429448190325182765;
inline constexpr double kRootHalf = 0.70710678118654752440;
inline constexpr double kRootHalfRest =
    -4.8336466567264567e-17; // what kRootHalf lacks of sqrt(1/2)
inline constexpr double kTwoOverRootPi = 1.12837916709551257390;
inline constexpr double kOneOverRootTwoPi = 0.39894228040143267794;
inline constexpr double kRootTwoPi = 2.50662827463100050242;
inline constexpr double kHalfRootPi = 0.88622692545275801365;
inline constexpr double kPi = 3.14159265358979323846;

// d(a**b)/da for a constant b, in the order of operations micrograd uses. A square's is spared the
// call, which would return a itself; that of a**0 is 0 also where 1/a is infinite.
inline double power_partial(double a, double b) {
  const double rest = b == 2.0 ? a : std::pow(a, b - 1.0);
  return b == 0.0 && std::isinf(rest) ? 0.0 : b * rest;
}

// The same without the exception for a**0: not finite wherever the rule in Python raises.
inline double strict_partial(double a, double b) {
  return b * (b == 2.0 ? a : std::pow(a, b - 1.0));
}

// The same for an exponent that is an operand; from y where that is as good, which spares the call.
inline double power_partial(double a, double b, double y) {
  if (b == 0.0) return 0.0;
  const double size = std::fabs(y);
  const bool usual = size > 1e-280 && size < 1e280 && std::fabs(a) > 1e-20;
  const double partial = b * (usual ? y / a : std::pow(a, b - 1.0));
  return std::isfinite(partial) || a == 0.0 ? partial : b / a * y; // a small b brings it back
}

// d(a**b)/db: y log(a), in the limit 0 at a = 0; a small y in two halves, for its lost digits.
inline double power_partial_b(double a, double b, double y) {
  if (a == 0.0 && b >= 0.0) return 0.0;
  if (!(std::fabs(y) < 1e-290) || !(a > 0.0)) return y * std::log(a);
  const double h = std::pow(a, b / 2.0);
  return h == 0.0 ? 0.0 : h * std::log(a) * h;
}

// The larger one, and nan if one is; 0.0 is above -0.0.
inline double maximum(double a, double b) {
  if (a > b || a != a) return a;
  return a == b && std::signbit(b) ? a : b;
}

// The partial of maximum(a, b) by a.
inline double wins(double a, double b) { return a > b ? 1.0 : a < b ? 0.0 : a == b ? 0.5 : a - b; }

inline constexpr double kScale = 0x1p200; // lifts what is close to the smallest floats

// a / y for the length y of a vector with the component a: the partial of y by a.
inline double hypot_partial(double a, double y) {
  return y == 0.0 ? 0.0 : std::isinf(a) ? std::copysign(1.0, a) : a / y;
}
inline double hypot_partial(double a, double b, double y) {
  if (y > 1e-290 && std::isfinite(y)) return a / y;
  if (y == 0.0 || std::isinf(a) || std::isinf(b) || y != y) return hypot_partial(a, y);
  const double scale = y < 1.0 ? kScale : 1.0 / kScale;
  return hypot_partial(a * scale, std::hypot(a * scale, b * scale));
}

// a / (a a + b b): the partial of an angle; 0 where both are 0, and at infinity.
inline double arctan2_partial(double a, double b) {
  const double y = std::hypot(a, b);
  if (y == 0.0 || std::isinf(a) || std::isinf(b)) return 0.0;
  if (y < 1e-290) return arctan2_partial(a * kScale, b * kScale) * kScale;
  if (y > 1e290) return arctan2_partial(a / kScale, b / kScale) / kScale;
  const double sine = a / y; // which may have lost digits that the partial has
  return std::fabs(sine) < 1e-290 ? a * kScale / y / y / kScale : sine / y;
}

// a % b as Python's floats have it: fmod(a, b), moved up or down by b if its sign is not that of b.
inline double floor_mod(double a, double b) {
  const double y = std::fmod(a, b);
  if (y == 0.0) return std::copysign(0.0, b);
  return std::signbit(y) != std::signbit(b) ? y + b : y;
}

// a // b as Python's floats have it: the remainder goes first, so that the rounding of the quotient
// does not decide on which side of a whole number it is. nan where b is 0.
inline double floor_divide(double a, double b) {
  const double rest = std::fmod(a, b);
  double y = (a - rest) / b;
  if (rest != 0.0 && std::signbit(rest) != std::signbit(b)) y -= 1.0;
  if (y == 0.0) return std::copysign(0.0, a / b);
  const double whole = std::floor(y);
  return y - whole > 0.5 ? whole + 1.0 : whole;
}

inline double sign(double a) { return std::isnan(a) ? a : double(a > 0.0) - double(a < 0.0); }

// 1 - tanh(a)**2 for y = tanh(a), which by the square loses all digits as y nears 1.
inline double tanh_partial(double a, double y) {
  if (std::fabs(y) <= 0.7) return 1.0 - y * y;
  const double e = std::exp(-2.0 * std::fabs(a));
  return 4.0 * e / ((1.0 + e) * (1.0 + e));
}

// sigmoid(a) as an unrounded sum: the quotient, and what it lacks for the roundings of 1 + e and of
// the division.
struct Sigmoid {
  double high, low;

  explicit Sigmoid(double a) {
    const double e = std::exp(-std::fabs(a)), top = a < 0.0 ? e : 1.0, sum = 1.0 + e;
    high = top / sum;
    low = (std::fma(-high, sum, top) - high * (e - (sum - 1.0))) / sum;
  }
};

// 1 / (1 + exp(-a)) without overflow.
inline double sigmoid(double a) {
  const Sigmoid y(a);
  return y.high + y.low;
}

// log(1 + exp(a)) without overflow.
inline double softplus(double a) {
  return a != a ? a : (a > 0.0 ? a : 0.0) + std::log1p(std::exp(-std::fabs(a)));
}

// a - b, and what it lacks for its rounding.
struct Difference {
  double high, low;

  Difference(double a, double b) : high(a - b) {
    const double back = a - high, rest = (back - b) + (a - (high + back));
    low = std::isfinite(rest) ? rest : 0.0;
  }
};

// log(exp(a) + exp(b)) without overflow.
inline double logaddexp(double a, double b) {
  if (a == b) return a + kLn2; // infinities too
  const double largest = a > b ? a : b;
  const Difference fall(a > b ? b : a, largest);
  const double e = std::exp(fall.high);
  return largest + std::log1p(e + e * fall.low);
}

// The partial of logaddexp(a, b) by a, sigmoid(a - b); a half where both are the same infinity.
inline double logaddexp_partial(double a, double b) {
  if (a == b) return 0.5;
  const Difference d(a, b);
  const double y = sigmoid(d.high);
  return y + y * sigmoid(-d.high) * d.low;
}

// a / (1 + |a|).
inline double softsign(double a) {
  return std::isinf(a) ? std::copysign(1.0, a) : a / (1.0 + std::fabs(a));
}

inline double hardtanh(double a) {
  if (a < -1.0) return -1.0;
  return a > 1.0 ? 1.0 : a;
}

// a * sigmoid(a); far below, where sigmoid(a) has lost its digits, exp(a) in two halves.
inline double silu(double a) {
  if (a == 0.0) return a; // with its sign
  if (std::fabs(a) <= 700.0) {
    const Sigmoid s(a);
    const double y = a * s.high;
    return y + (std::fma(a, s.high, -y) + a * s.low);
  }
  if (!(a < 0.0)) return a;
  const double h = std::exp(a / 2.0);
  return h == 0.0 ? -0.0 : a * h * h;
}

inline double silu_partial(double a) {
  if (std::isinf(a)) return a > 0.0 ? 1.0 : 0.0;
  if (a >= -700.0) return sigmoid(a) * (1.0 + a * sigmoid(-a));
  const double h = std::exp(a / 2.0);
  return (1.0 + a) * h * h;
}

// 1 / (3 y y) for y = cbrt(a), corrected for what y is off by: glibc's is good to 2.75 ulps only.
inline double cbrt_partial(double a, double y) {
  if (a == 0.0 || !std::isfinite(a)) return 1.0 / (3.0 * y * y);
  const double square = y * y, rest = std::fma(y, y, -square);
  const double q = a / square, r = std::fma(-q, square, a);
  const double off = (q - y + (r - q * rest) / square) / (3.0 * y);
  const double partial = 1.0 / (3.0 * square);
  return partial - partial * (2.0 * off + rest / square);
}

// 1 / (1 + a a), also where a a is too large.
inline double arctan_partial(double a) {
  return std::fabs(a) > 1e100 ? 1.0 / a / a : 1.0 / (1.0 + a * a);
}

// exp(-scale * a * a), corrected for the rounding error of a * a; scale is a power of two.
inline double exp_minus_square(double a, double scale = 1.0) {
  const double square = a * a;
  if (!(square * scale < 750.0)) return std::exp(-square * scale); // zero, or nan
  const double rest = std::fma(a, a, -square);
  const double y = std::exp(-square * scale);
  return y - y * (rest * scale);
}

// The standard normal distribution function, corrected for the rounding error of a * sqrt(1/2).
inline double normal_below(double a) {
  const double u = -a * kRootHalf;
  const double y = 0.5 * std::erfc(u);
  if (!(std::fabs(a) < 38.0)) return y; // zero or one, or nan
  const double rest = std::fma(-a, kRootHalf, -u) - a * kRootHalfRest;
  return y - 0.5 * kTwoOverRootPi * rest * std::exp(-u * u);
}

// gelu and its partial far below 0, where the distribution function is so small that it has lost
// digits: the asymptotic series (Abramowitz and Stegun 26.2.12), and exp(-a a / 2) in two halves so
// that the result is rounded to few digits only once.
inline constexpr double kGeluTail = -37.4;
inline double gelu_tail(double a, bool partial) {
  const double t = 1.0 / (a * a), h = exp_minus_square(a, 0.25);
  if (h == 0.0) return -0.0;
  const double far = t * (945.0 - t * (10395.0 - t * 135135.0));
  const double series = 1.0 - t * (1.0 - t * (3.0 - t * (15.0 - t * (105.0 - far))));
  const double rest = partial ? -a * (1.0 - t * series) : series;
  return -(kOneOverRootTwoPi * rest * h) * h;
}

inline double gelu(double a) {
  if (a < kGeluTail) return gelu_tail(a, false);
  return std::isinf(a) ? a : a * normal_below(a);
}

inline double gelu_partial(double a) {
  if (a < kGeluTail) return gelu_tail(a, true);
  if (std::isinf(a)) return 1.0;
  return normal_below(a) + a * kOneOverRootTwoPi * exp_minus_square(a, 0.5);
}

// Far below 0 the logarithm of the standard normal distribution function is
// -a a / 2 - log(-a sqrt(2 pi)) and the logarithm of an asymptotic series (Abramowitz and Stegun
// 26.2.12), which is the sum of c[k] / a**2k.
struct NormalTail {
  static constexpr int kTerms = 20;
  // Its least term is below 1e-17 from here on down.
  static constexpr double kEnd = -12.0;
  double c[kTerms + 1] = {};

  constexpr NormalTail() {
    double series[kTerms + 1] = {1.0}; // 1 - t + 3 t t - 15 t t t + ...
    for (int k = 1; k <= kTerms; ++k) {
      series[k] = -series[k - 1] * (2.0 * k - 1.0);
      double sum = k * series[k];
      for (int j = 1; j < k; ++j) sum -= j * c[j] * series[k - j];
      c[k] = sum / k;
    }
  }
  // The derivative of order n of that series at a.
  double series(int n, double a) const {
    double y = 0.0, before = std::numeric_limits<double>::infinity();
    for (int k = 1; k <= kTerms; ++k) {
      double term = c[k] * std::pow(a, -2.0 * k - n);
      for (int m = 0; m < n; ++m) term *= -(2.0 * k + m);
      if (!(std::fabs(term) < before)) break; // it diverges from there on
      before = std::fabs(term);
      y += term;
    }
    return y;
  }
};
inline constexpr NormalTail kNormalTail;

inline double log_norm_cdf(double a) {
  if (a > 0.0) return std::log1p(-normal_below(-a));
  if (a > NormalTail::kEnd || std::isnan(a)) return std::log(normal_below(a));
  if (std::isinf(a)) return a;
  return (-0.5 * a * a - std::log(-a / kOneOverRootTwoPi)) + kNormalTail.series(0, a);
}

// The standard normal density over its distribution function; far below by the continued fraction
// of Mills' ratio (Abramowitz and Stegun 26.2.14), which has fewer roundings. It is begun with
// about the value of all that is left out.
inline double normal_density_ratio(double a) {
  if (!(a < -3.0)) return kOneOverRootTwoPi * exp_minus_square(a, 0.5) / normal_below(a);
  if (std::isinf(a)) return -a;
  int k = 8 + static_cast<int>(300.0 / (a * a));
  double rest = (std::hypot(a, 2.0 * std::sqrt(k + 1.0)) + a) / 2.0;
  for (; k >= 1; --k) rest = k / (rest - a);
  return rest - a;
}

// The derivative of order n of log_norm_cdf, n = 1, 2, ...: by that ratio p and p' = -p (a + p)
// differentiated n - 2 times; far below, where a + p cancels, from the series.
inline double log_norm_cdf_partial(double n, double a) {
  constexpr int kMost = 30;
  if (!(n >= 1.0 && n <= kMost)) return std::nan("");
  const int count = static_cast<int>(n);
  if (count == 1) return normal_density_ratio(a);
  if (a < NormalTail::kEnd) {
    const double square = count == 2 ? -1.0 : 0.0;
    if (std::isinf(a)) return square;
    double logarithm = -1.0 / a;
    for (int m = 1; m < count; ++m) logarithm *= -m / a;
    return square + (logarithm + kNormalTail.series(count, a));
  }
  double y[kMost] = {normal_density_ratio(a)}; // y[k]: of order k + 1
  if (y[0] == 0.0) return 0.0;
  for (int k = 1; k < count; ++k) {
    double sum = a * y[k - 1], choose = 1.0;
    if (k > 1) sum += (k - 1) * y[k - 2];
    for (int j = 0; j < k; ++j) {
      sum += choose * y[j] * y[k - 1 - j];
      choose *= static_cast<double>(k - 1 - j) / (j + 1);
    }
    y[k] = -sum;
  }
  return y[count - 1];
}

// The derivative of lgamma: reflection to the right, recurrence up to 10, then the asymptotic
// series with Bernoulli numbers (Abramowitz and Stegun 6.3.7, 6.3.5, 6.3.18).
inline double digamma(double a) {
  if (a <= 0.0 && a == std::floor(a)) return std::nan("");
  double y = 0.0;
  if (a < 0.0) {
    y = -kPi / std::tan(kPi * (a - std::round(a)));
    a = 1.0 - a;
  }
  while (a < 10.0) {
    y -= 1.0 / a;
    a += 1.0;
  }
  const double t = 1.0 / (a * a);
  const double series =
      t * (1.0 / 12 - t * (1.0 / 120 -
                           t * (1.0 / 252 -
                                t * (1.0 / 240 - t * (1.0 / 132 - t * (691.0 / 32760 - t / 12))))));
  return y + (std::log(a) - 0.5 / a - series);
}

// exp(x - largest), and 1 where that is inf - inf.
inline double shifted_exp(double x, double largest) {
  return x == largest ? 1.0 : std::exp(x - largest);
}

// x - largest, and 0 where that is inf - inf.
inline double distance(double x, double largest) { return x == largest ? 0.0 : x - largest; }

inline double log_or_zero(double a) { return a == 0.0 ? 0.0 : std::log(a); }

inline constexpr double kMostPolygamma = 170.0; // whose factorial is finite

// The sum of (a + k)**-(n + 1) over k = 0, 1, ..., times n!: term by term up to where the
// asymptotic series serves, then that series (Abramowitz and Stegun 6.4.11). Requires a > 0.
inline double polygamma_sum(double n, double a) {
  const double factorial = std::exp(std::lgamma(n + 1.0));
  const double far = 20.0 + 2.0 * n;
  const int steps = a < far ? static_cast<int>(std::ceil(far - a)) : 0;
  const double z = a + steps;
  constexpr double kBernoulli[] = {1.0 / 6,  -1.0 / 30,     1.0 / 42, -1.0 / 30,
                                   5.0 / 66, -691.0 / 2730, 7.0 / 6,  -3617.0 / 510};
  // (n-1)!/z^n + n!/(2 z^(n+1)) + sum of B_2k (2k+n-1)!/((2k)! z^(2k+n))
  const double half = std::pow(z, -0.5 * n); // the whole power may be too small for the factorial
  double term = n > 60.0 ? factorial / n * half * half : factorial / n * std::pow(z, -n);
  double sum = term * (1.0 + n / (2.0 * z));
  for (int k = 1; k <= 8; ++k) {
    const double m = 2.0 * k;
    term *= (m + n - 2.0) * (m + n - 1.0) / (m * (m - 1.0) * z * z);
    sum += kBernoulli[k - 1] * term;
  }
  // From the smallest on.
  for (int k = steps; k-- > 0;) {
    const double root = n > 60.0 ? std::pow(a + k, -0.5 * (n + 1.0)) : 1.0;
    sum += n > 60.0 ? factorial * root * root : factorial * std::pow(a + k, -n - 1.0);
  }
  return sum;
}

// The derivative of order n of digamma, n = 0, 1, 2, ... up to 170. Below 0 it is the sum over all
// whole k, which has a period of 1, without those on the far side.
inline double polygamma(double n, double a) {
  if (n == 0.0) return digamma(a);
  if (!(n >= 1.0 && n <= kMostPolygamma) || (a <= 0.0 && a == std::floor(a))) return std::nan("");
  if (std::isinf(a)) return 0.0;
  const double sign_of = std::fmod(n, 2.0) == 1.0 ? 1.0 : -1.0; // (-1)**(n + 1)
  if (a > 0.0) return sign_of * polygamma_sum(n, a);
  const double r = a - std::round(a), near = std::fabs(r);
  const double all = polygamma_sum(n, near) + sign_of * polygamma_sum(n, 1.0 - near);
  return sign_of * ((r < 0.0 ? sign_of * all : all) - sign_of * polygamma_sum(n, 1.0 - a));
}

} // namespace arenagrad::core
