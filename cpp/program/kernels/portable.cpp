// The kernels for any processor: two lanes, which the compiler maps on what there is.
#define ARENAGRAD_LANES 2
#include "loops.h"

namespace arenagrad::program {

void use_portable(Kernels& table, bool strict) { strict ? use<true>(table) : use<false>(table); }

} // namespace arenagrad::program
