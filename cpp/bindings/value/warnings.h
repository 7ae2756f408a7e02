// Warnings about numbers that leave the graph, and the line that they blame. Needs the GIL.
#pragma once

#include <Python.h>

namespace arenagrad::bindings {

// For PyErr_WarnFormat: how far up the stack the nearest line is that somebody wrote who uses this
// package, past those of this package, of NumPy and of the standard library.
Py_ssize_t level_of_own_line();

// To be called before a Value is turned into a number of Python's, which carries no derivative.
// False: the warning has become an error, which is set. Costs 1 to 2 us where it warns.
bool note_detached_number(PyObject* value);

} // namespace arenagrad::bindings
