// Functions that the C library lacks, as pointers that whoever has them sets (bindings/functions:
// those that SciPy exports). Without them the results are nan, so whoever records or reads such an
// operation asks for them first.
//
// Set once, before any program that needs them exists; read from any thread.
#pragma once

#include <limits>

#include "op.h"

namespace arenagrad::core {

struct SpecialFunctions {
  using Unary = double (*)(double, int); // the second argument is for Cython, and 0
  Unary erfinv = nullptr, norm_ppf = nullptr;
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

constexpr bool is_special(Op op) { return op == Op::Erfinv || op == Op::NormPpf; }

} // namespace arenagrad::core
