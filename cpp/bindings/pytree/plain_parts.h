// Structures as plain Python objects, for pickles and files.
#pragma once

#include "pytree.h"

namespace arenagrad::bindings {

// A tuple of (kind, varies, size, () or (extra,)), one for each node: size is the shape of an
// array, the number of children or of a Module's parameters, or None.
py::tuple to_parts(const PyTree& structure);
// Throws FormatError for anything but such parts: they may come from a file.
PyTree from_parts(const py::tuple& parts);

} // namespace arenagrad::bindings
