#include "kernel_sets.h"

#if defined(__x86_64__)

namespace arenagrad::program {

void use_avx2(Kernels&, bool) {}

} // namespace arenagrad::program

#endif
