// Modules of arenagrad.nn as leaves of a structure: the numbers of one are those of its parameters.
// Needs the GIL.
#pragma once

#include "bindings/value/value.h"

namespace arenagrad::bindings {

// An instance of arenagrad.nn.Module. False, without importing it, where nobody has.
bool is_module(PyObject* object);

// The Values that model.parameters() gives now; throws TypeError unless all of them are.
py::tuple parameters_of(PyObject* model);

} // namespace arenagrad::bindings
