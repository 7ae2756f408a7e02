// Functions that the C library lacks, as pointers that whoever has them sets (bindings/functions:
// those that SciPy exports), and the densities that are their partials. Without the pointers the
// results are nan, so whoever records or reads such an operation asks for them first.
//
// The pointers are set once, before any program that needs them exists. Functions with shapes are
// out of line, for they are never as cheap as a call. Safe from any thread.
#pragma once

#include <limits>

#include "errors.h"
#include "op.h"

namespace arenagrad::core {

struct SpecialFunctions {
  using Unary = double (*)(double, int); // the last argument is for Cython, and 0
  using Binary = double (*)(double, double, int);
  using Ternary = double (*)(double, double, double, int);
  Unary erfinv = nullptr, norm_ppf = nullptr;
  Binary gammainc = nullptr;
  Ternary betainc = nullptr;
};
inline SpecialFunctions special_functions;

inline double erfinv(double a) {
  const auto function = special_functions.erfinv;
  return function == nullptr ? std::numeric_limits<double>::quiet_NaN() : function(a, 0);
}
inline double norm_ppf(double a) {
  const auto function = special_functions.norm_ppf;
  return function == nullptr ? std::numeric_limits<double>::quiet_NaN() : function(a, 0);
}

// The regularised lower incomplete gamma function of the shape a, and the incomplete beta function
// of the shapes a and b.
double gammainc(double a, double x);
double betainc(double a, double b, double x);
// Their partials by x: x**(a-1) exp(-x) / gamma(a), and x**(a-1) (1-x)**(b-1) / beta(a, b). The
// shapes may be negative, since the partials of these by x have shapes that are less by 1.
double gamma_density(double a, double x);
double beta_density(double a, double b, double x);

// The functions whose partials by their shapes nobody has.
enum class Shaped { Gammainc, Betainc };
// Of its number in a program, whoever wrote that.
constexpr Shaped shaped_of(double number) {
  return number == static_cast<double>(Shaped::Betainc) ? Shaped::Betainc : Shaped::Gammainc;
}
// In place of such a partial, times an adjoint or a tangent.
inline double no_partial(double g) {
  return g == 0.0 ? 0.0 : std::numeric_limits<double>::quiet_NaN();
}
// Throws the Error that says so.
[[noreturn]] void throw_no_partial(Shaped of, NodeId node);

constexpr bool is_special(Op op) {
  return op == Op::Erfinv || op == Op::NormPpf || op == Op::Gammainc || op == Op::Betainc;
}

} // namespace arenagrad::core
