#define ARENAGRAD_LANES 2
#include "loops.h"

namespace arenagrad::program {

void use_portable(Kernels& table, bool strict) { strict ? use<true>(table) : use<false>(table); }

} // namespace arenagrad::program
