// Instances of pybind11 classes as their `__init__` has made them. Needs the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

namespace arenagrad::bindings {

namespace py = pybind11;

// Whether it is a T at all, and not an empty one that `T.__new__(T)` gives without `__init__`.
template <class T> bool is_made(py::handle object) {
  return py::isinstance<T>(object) && py::detail::is_holder_constructed(object.ptr());
}

// The `__reduce__` of a class whose objects only live within one call. Without it Python would ask
// pybind11's base class for an instance, and pybind11 would end the process.
inline py::object no_pickle(const py::object& self) {
  throw py::type_error(std::string(Py_TYPE(self.ptr())->tp_name) + " cannot be pickled");
}

} // namespace arenagrad::bindings
