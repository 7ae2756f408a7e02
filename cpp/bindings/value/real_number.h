// What counts as a real number at Python's edge: float, int, and what registers as numbers.Real or
// is a Decimal; never a Value. Needs the GIL.
#pragma once

#include <Python.h>

namespace arenagrad::bindings {

enum class IsReal { Yes, No, Failed }; // Failed: a Python error is set

IsReal is_real(PyObject* object);
// Reads one. A plain float costs a few instructions and runs nothing; others may run anything.
IsReal read_number(PyObject* object, double* out);
// The same for an argument that must be one; throws TypeError naming `what`.
double need_number(PyObject* object, const char* what);

} // namespace arenagrad::bindings
