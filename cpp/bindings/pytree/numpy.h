// NumPy arrays looked at without copying. Needs the GIL.
#pragma once

#include "pytree.h"

namespace arenagrad::bindings {

inline const py::detail::PyArray_Proxy* array_view(PyObject* array) {
  return py::detail::array_proxy(array);
}

// Whether `array`, a NumPy array, holds doubles of this machine's own kind that can be read in
// place: aligned, and if `contiguous` one after another.
inline bool holds_doubles(PyObject* array, bool contiguous) {
  static PyObject* float64 = nullptr;
  once(float64, [] { return py::dtype::of<double>(); });
  const auto* view = array_view(array);
  int wanted = py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  if (contiguous) wanted |= py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_;
  return view->descr == float64 && (view->flags & wanted) == wanted;
}

inline bool has_shape(PyObject* array, const Shape& shape) {
  const auto* view = array_view(array);
  if (static_cast<std::size_t>(view->nd) != shape.size()) return false;
  for (std::size_t k = 0; k < shape.size(); ++k)
    if (view->dimensions[k] != shape[k]) return false;
  return true;
}

inline const double* doubles(PyObject* array) {
  return reinterpret_cast<const double*>(array_view(array)->data);
}

// The letter of NumPy's kind of dtype: 'f', 'i', 'b', 'O' and so on.
inline char kind_of(PyObject* array) {
  return py::reinterpret_borrow<py::array>(array).dtype().kind();
}

// The array's numbers as doubles one after another. Requires a kind of real numbers.
py::array as_doubles(PyObject* array);

} // namespace arenagrad::bindings
