// Names under which pickles of earlier versions ask arenagrad._core for what has moved since.
#pragma once

#include <pybind11/pybind11.h>

namespace arenagrad::bindings {

// Gives `module` a __getattr__ that finds them. Requires that its submodules are complete.
[[gnu::cold]] void bind_former_names(pybind11::module_& module);

} // namespace arenagrad::bindings
