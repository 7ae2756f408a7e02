// The kernels compiled with -mavx2 -mfma: four lanes.
#if defined(__x86_64__)

#define ARENAGRAD_LANES 4
#include "loops.h"

namespace arenagrad::program {

void use_avx2(Kernels& table, bool strict) { strict ? use<true>(table) : use<false>(table); }

} // namespace arenagrad::program

#endif
