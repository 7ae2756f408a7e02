// LAPACK, as SciPy has it. Needs the GIL.
#pragma once

#include <cstddef>

namespace arenagrad::bindings {

// Matrices of more rows take LAPACK; plain loops would be slow.
inline constexpr std::size_t kMostRowsWithoutLapack = 128;

// Looks for SciPy's functions when matrices are first computed with. Throws ImportError that says
// what to install where there are none, and there are more rows than kMostRowsWithoutLapack.
void need_lapack(std::size_t rows);

} // namespace arenagrad::bindings
