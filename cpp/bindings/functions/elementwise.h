// Functions of numbers and Values over lists and arrays: element by element, broadcast as NumPy
// does. Needs the GIL. Costs about 100 ns an element.
#pragma once

#include "bindings/pytree/numpy.h"
#include "bindings/value/value.h"

namespace arenagrad::bindings {

inline bool is_list_or_array(PyObject* object) {
  return PyList_Check(object) || PyTuple_Check(object) || is_array_like(object);
}

// The function of as many arguments for each element of the `count` operands: an array if an
// operand is one, else nested lists. Throws what the function raises, and ValueError for shapes
// that do not fit.
inline py::object elementwise(const py::object& function, PyObject* const* operands,
                              std::size_t count) {
  const py::object each = py::module_::import("numpy").attr("frompyfunc")(function, count, 1);
  py::tuple given(count);
  for (std::size_t i = 0; i < count; ++i) given[i] = py::handle(operands[i]);
  py::object results = each(*given);
  for (std::size_t i = 0; i < count; ++i)
    if (is_array_like(operands[i])) return results;
  return results.attr("tolist")();
}

// The same of a function of ours.
inline py::object elementwise(const char* name, PyObject* const* operands, std::size_t count) {
  return elementwise(py::module_::import("arenagrad._core.functions").attr(name), operands, count);
}

// An array of floats where all elements are: the results of numbers alone. Else one of Values.
inline py::object as_floats(const py::object& results) {
  if (!is_array(results.ptr())) return results;
  for (const py::handle item : elements_of(results.ptr()))
    if (!PyFloat_CheckExact(item.ptr())) return as_value_array(results);
  return results.attr("astype")("float64");
}

} // namespace arenagrad::bindings
