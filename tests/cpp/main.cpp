#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cmath>

#include "core/special.h"

namespace {

// Where an increasing function is y, which lies between those of low and high.
template <class Function> double where(Function function, double y, double low, double high) {
  for (int k = 0; k < 100; ++k) {
    const double middle = 0.5 * (low + high);
    (function(middle) < y ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

double erfinv(double a, int) {
  if (!(std::fabs(a) < 1.0)) return std::fabs(a) == 1.0 ? a * HUGE_VAL : std::nan("");
  return where([](double x) { return std::erf(x); }, a, -7.0, 7.0);
}

double norm_ppf(double a, int) {
  if (!(a > 0.0 && a < 1.0)) return a == 0.0 ? -HUGE_VAL : a == 1.0 ? HUGE_VAL : std::nan("");
  return where([](double x) { return 0.5 * std::erfc(-x * std::sqrt(0.5)); }, a, -40.0, 40.0);
}

// x times its density over a, times 1 + b/(a+1) + b/(a+1) b'/(a+2) + ...: the power series of both
// functions, of whose terms next(k) is the quotient.
template <class Next> double series(double first, Next next) {
  double sum = 0.0, term = first;
  for (int k = 1; k < 5000 && sum + term != sum; ++k) {
    sum += term;
    term *= next(k);
  }
  return sum;
}

double gammainc(double a, double x, int) {
  if (!(a > 0.0 && x >= 0.0)) return std::nan("");
  const double first = x * arenagrad::core::gamma_density(a, x) / a;
  return series(first, [=](int k) { return x / (a + k); });
}

double lower_beta(double a, double b, double x) {
  const double first = x * (1.0 - x) * arenagrad::core::beta_density(a, b, x) / a;
  return series(first, [=](int k) { return x * (a + b + k - 1.0) / (a + k); });
}

double betainc(double a, double b, double x, int) {
  if (!(a > 0.0 && b > 0.0 && x >= 0.0 && x <= 1.0)) return std::nan("");
  return x < 0.5 ? lower_beta(a, b, x) : 1.0 - lower_beta(b, a, 1.0 - x);
}

} // namespace

int main(int count, char** arguments) {
  // In place of SciPy's.
  arenagrad::core::special_functions = {erfinv, norm_ppf, gammainc, betainc};
  return doctest::Context(count, arguments).run();
}
