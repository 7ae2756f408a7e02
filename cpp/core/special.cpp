#include "special.h"

#include <cmath>

#include "errors.h"
#include "op_math.h"

namespace arenagrad::core {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Whether the gamma function is infinite there.
bool is_pole(double a) { return a <= 0.0 && a == std::floor(a); }

double sign_of_gamma(double a) {
  return a > 0.0 || std::fmod(std::floor(a), 2.0) == 0.0 ? 1.0 : -1.0;
}

// 0**k with its limit, which std::pow has too, but for the sign that it takes from that of the 0.
double power_of_zero(double k) {
  if (k == 0.0) return 1.0;
  return k > 0.0 ? 0.0 : kInfinity;
}

// ratio - 1 - log(ratio), where u = ratio - 1; near 1 by the series of the logarithm, since the
// difference cancels there.
double deviance(double ratio, double u) {
  if (!(std::fabs(u) < 0.5)) return u - std::log(ratio);
  const double r = u / (2.0 + u), t = r * r;
  double sum = 0.0;
  for (int k = 15; k >= 1; --k) sum = t * (1.0 / (2 * k + 1) + sum);
  return u * r - 2.0 * r * sum;
}

// Shapes from which on Stirling's formula serves (Abramowitz and Stegun 6.1.41), and what
// log(gamma(a)) is above it.
constexpr double kLarge = 15.0;
double stirling_rest(double a) {
  const double t = 1.0 / (a * a);
  return (1.0 / 12 - t * (1.0 / 360 - t * (1.0 / 1260 - t * (1.0 / 1680 - t / 1188)))) / a;
}

double sign_of_beta(double a, double b) {
  return sign_of_gamma(a) * sign_of_gamma(b) * sign_of_gamma(a + b);
}

// log |1 / beta(a, b)|; the logarithms of two large gamma functions, which would cancel, together.
double log_beta_scale(double a, double b) {
  const double large = a > b ? a : b, small = a > b ? b : a, n = a + b;
  if (large < kLarge) return std::lgamma(n) - std::lgamma(a) - std::lgamma(b);
  const double ratio = (large - 0.5) * std::log1p(small / large) + small * (std::log(n) - 1.0);
  const double rest = n < kLarge ? 0.0 : stirling_rest(n) - stirling_rest(large);
  const double both = n < kLarge ? std::lgamma(n) - std::lgamma(large) : ratio + rest;
  return both - std::lgamma(small);
}

double beta_scale(double a, double b) {
  return sign_of_beta(a, b) * std::exp(log_beta_scale(a, b));
}

} // namespace

double gammainc(double a, double x) {
  const auto function = special_functions.gammainc;
  return function == nullptr ? kNan : function(a, x, 0);
}

double betainc(double a, double b, double x) {
  const auto function = special_functions.betainc;
  return function == nullptr ? kNan : function(a, b, x, 0);
}

// A large shape by Stirling's formula, in which nothing large cancels.
double gamma_density(double a, double x) {
  if (std::isnan(a) || !(x >= 0.0)) return kNan;
  if (is_pole(a) || std::isinf(a)) return 0.0;
  if (x == 0.0) return sign_of_gamma(a) * power_of_zero(a - 1.0);
  if (std::isinf(x)) return 0.0;
  if (a >= kLarge) {
    const double exponent = a * deviance(x / a, (x - a) / a) + stirling_rest(a);
    return std::sqrt(a / (2.0 * kPi)) / x * std::exp(-exponent);
  }
  const double half = std::exp(-0.5 * x);
  return half == 0.0 ? 0.0 : half * std::pow(x, a - 1.0) / std::tgamma(a) * half;
}

double beta_density(double a, double b, double x) {
  if (std::isnan(a) || std::isnan(b) || !(x >= 0.0 && x <= 1.0)) return kNan;
  if (is_pole(a) || is_pole(b) || std::isinf(a) || std::isinf(b)) return 0.0;
  if (x == 0.0 || x == 1.0) {
    const double power = power_of_zero((x == 0.0 ? a : b) - 1.0);
    return power == 0.0 ? 0.0 : power * beta_scale(a, b);
  }
  if (a >= kLarge && b >= kLarge) {
    const double n = a + b, rest = stirling_rest(a) + stirling_rest(b) - stirling_rest(n);
    const double left = n * x, right = n * (1.0 - x);
    const double exponent =
        a * deviance(left / a, (left - a) / a) + b * deviance(right / b, (right - b) / b);
    return std::sqrt(a / n * b / (2.0 * kPi)) / (x * (1.0 - x)) * std::exp(-exponent - rest);
  }
  const double exponent = (a - 1.0) * std::log(x) + (b - 1.0) * std::log1p(-x);
  return sign_of_beta(a, b) * std::exp(exponent + log_beta_scale(a, b));
}

void throw_no_partial(Shaped of, NodeId node) {
  const char* const what = of == Shaped::Gammainc ? "gammainc() has no partial by its shape a"
                                                  : "betainc() has no partial by its shapes a, b";
  throw Error(std::string(what) +
                  ": no library has it. Pass a shape that stays the same as a number, or by "
                  "stop_gradient()",
              node);
}

} // namespace arenagrad::core
