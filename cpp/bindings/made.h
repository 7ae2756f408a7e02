// Instances of pybind11 classes as their `__init__` has made them. Needs the GIL.
#pragma once

#include <pybind11/pybind11.h>

namespace arenagrad::bindings {

namespace py = pybind11;

// Whether it is a T at all, and not an empty one that `T.__new__(T)` gives without `__init__`.
template <class T> bool is_made(py::handle object) {
  return py::isinstance<T>(object) && py::detail::is_holder_constructed(object.ptr());
}

} // namespace arenagrad::bindings
