// The C functions that SciPy exports for Cython, in capsules of its modules. Needs the GIL.
#pragma once

#include <string>

#include "bindings/value/value.h"

namespace arenagrad::bindings {

// The first of these names under which the module exports a function of this signature, else null.
inline void* exported_by_scipy(const py::dict& functions, std::initializer_list<std::string> names,
                               const char* signature) {
  for (const std::string& name : names) {
    if (!functions.contains(name.c_str())) continue;
    const py::object capsule = functions[name.c_str()];
    if (PyCapsule_IsValid(capsule.ptr(), signature) != 0)
      return PyCapsule_GetPointer(capsule.ptr(), signature);
  }
  return nullptr;
}

} // namespace arenagrad::bindings
