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

} // namespace

int main(int count, char** arguments) {
  // In place of SciPy's.
  arenagrad::core::special_functions = {erfinv, norm_ppf};
  return doctest::Context(count, arguments).run();
}
