// NumPy arrays looked at without copying, and the one rule of what counts as an array. Needs the
// GIL.
#pragma once

#include <pybind11/numpy.h>

#include <vector>

#include "bindings/value/value.h"

namespace arenagrad::bindings {

using Shape = std::vector<py::ssize_t>;

// How many numbers an array of this shape has: 1 for the shape ().
std::size_t size_of(const Shape& shape);

// Whether it is an array: a NumPy array, memory map, record array or array of Values of that very
// class. Other
// subclasses, such as matrices, masked arrays and arrays with units, may calculate or read
// otherwise, and are not arrays here. Does not import NumPy for objects that are not.
bool is_array(PyObject* object);
// Whether NumPy reads a whole array out of it: an array, or a sequence with `__array__` or
// `__array_interface__`, which lists and NumPy's scalars are not. Functions of Values take these as
// they take arrays. A compiled function refuses those that are not arrays, since it would be given
// an array where it reads something else.
bool is_array_like(PyObject* object);

// Whether it may name an axis: an int, NumPy's too.
inline bool is_axis(PyObject* object) {
  return PyIndex_Check(object) && !PyBool_Check(object) && !is_array(object);
}

// A new array of Values, of None at first: an arenagrad.ValueArray.
py::array value_array(const Shape& shape);
// The same array as an arenagrad.ValueArray if it is one of objects; anything else as it is.
py::object as_value_array(const py::object& object);

// Below, `array` must be one.

inline const py::detail::PyArray_Proxy* array_view(PyObject* array) {
  return py::detail::array_proxy(array);
}

// Whether it holds doubles of this machine's own kind that can be read in place: aligned, and if
// `contiguous` one after another.
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

// Requires holds_doubles().
inline const double* doubles(PyObject* array) {
  return reinterpret_cast<const double*>(array_view(array)->data);
}

// The letter of NumPy's kind of dtype: 'f', 'i', 'b', 'O' and so on.
inline char kind_of(PyObject* array) {
  return py::reinterpret_borrow<py::array>(array).dtype().kind();
}

// The numbers as doubles one after another, copied if need be: as many as the shape says, else
// ValueError. Requires a kind of real numbers.
py::array as_doubles(PyObject* array);

// The objects in an array of them, if they lie side by side, else null: borrowed, and null where
// the array has none. Python code may change them.
inline PyObject* const* objects_in(PyObject* array) {
  const auto* view = array_view(array);
  constexpr int kWanted =
      py::detail::npy_api::NPY_ARRAY_ALIGNED_ | py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_;
  return (view->flags & kWanted) == kWanted ? reinterpret_cast<PyObject* const*>(view->data)
                                            : nullptr;
}

// The elements as Python objects, row by row: as many as the shape says, else ValueError.
py::list elements_of(PyObject* array);

} // namespace arenagrad::bindings
