// Operations whose functions come from SciPy. Needs the GIL.
#pragma once

#include "core/special.h"

namespace arenagrad::bindings {

// Looks for SciPy's functions when the first of them is needed. Throws ImportError that says what
// to install.
void load_special(core::Op op);

inline void need_special(core::Op op) {
  if (core::is_special(op)) [[unlikely]]
    load_special(op);
}

} // namespace arenagrad::bindings
