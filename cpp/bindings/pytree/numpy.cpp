#include "numpy.h"

namespace arenagrad::bindings {

std::size_t size_of(const Shape& shape) {
  std::size_t size = 1;
  for (const py::ssize_t n : shape) size *= static_cast<std::size_t>(n);
  return size;
}

bool is_array(PyObject* object) {
  // Of these it is known without asking NumPy, whose import takes longer than a whole call.
  if (PyList_CheckExact(object) || PyTuple_CheckExact(object) || PyFloat_CheckExact(object))
    return false;
  return py::isinstance<py::array>(py::handle(object));
}

py::array as_doubles(PyObject* array) {
  using Contiguous = py::array_t<double, py::array::c_style | py::array::forcecast>;
  return Contiguous(py::reinterpret_borrow<py::object>(array));
}

py::list elements_of(PyObject* array) { return py::handle(array).attr("ravel")().attr("tolist")(); }

} // namespace arenagrad::bindings
