// The kernels compiled with -mavx512f, dq and vl: eight lanes.
#if defined(__x86_64__)

#define ARENAGRAD_LANES 8
#include "loops.h"

namespace arenagrad::program {

void use_avx512(Kernels& table, bool strict) { strict ? use<true>(table) : use<false>(table); }

} // namespace arenagrad::program

#endif
