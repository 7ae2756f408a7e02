// What kernels.cpp and the kernels of each instruction set know of one another.
#pragma once

#include "kernels.h"

namespace arenagrad::program {

// evaluate(), out of line. Kernels compiled for more than the baseline must not expand inline
// functions that others expand too: the linker keeps one of all copies, for any processor.
double evaluate_one(Opcode opcode, double a, double b, double c);

// Each puts its own loops in the place of those that call evaluate.
void use_portable(Kernels& table, bool strict);
#if defined(__x86_64__)
void use_avx2(Kernels& table, bool strict);
void use_avx512(Kernels& table, bool strict);
#endif

} // namespace arenagrad::program
