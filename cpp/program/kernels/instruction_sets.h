// The seam between kernels.cpp, compiled for the baseline, and portable.cpp, avx2.cpp and
// avx512.cpp, each compiled for one instruction set and free to use it anywhere.
//
// Invariant: code of an instruction set is entered through the functions below only, and only after
// the processor was asked for the set. See simd.h for what those files may include.
#pragma once

#include "kernels.h"

namespace arenagrad::program {

// evaluate(), out of line. A file compiled for more than the baseline must not call an inline
// function that other files call too: the linker keeps one copy for all, which may then be one with
// instructions that the processor lacks.
double evaluate_one(Opcode opcode, double a, double b, double c);

// Each replaces the table's plain loops by its own, as far as it has better ones.
void use_portable(Kernels& table, bool strict);
#if defined(__x86_64__)
void use_avx2(Kernels& table, bool strict);
void use_avx512(Kernels& table, bool strict);
#endif

} // namespace arenagrad::program
