// What counts as a number at Python's edge.
#include "value.h"

namespace arenagrad::bindings {
namespace {

// Borrowed for the life of the process: (numbers.Real, decimal.Decimal).
PyObject* real_types() {
  static PyObject* types = nullptr;
  return once(types, [] {
    return py::make_tuple(py::module_::import("numbers").attr("Real"),
                          py::module_::import("decimal").attr("Decimal"));
  });
}

Number converted(double value, double* out) {
  if (value == -1.0 && PyErr_Occurred()) return Number::Failed;
  *out = value;
  return Number::Yes;
}

} // namespace

Number is_real(PyObject* object) {
  if (PyFloat_Check(object) || PyLong_Check(object)) return Number::Yes;
  // Exact types that are common operands of an operator and certainly not numbers.
  if (object == Py_None || is_value(object) || PyUnicode_Check(object)) return Number::No;
  const int real = PyObject_IsInstance(object, real_types());
  return real < 0 ? Number::Failed : real == 0 ? Number::No : Number::Yes;
}

Number read_number(PyObject* object, double* out) {
  if (PyFloat_Check(object)) {
    *out = PyFloat_AS_DOUBLE(object);
    return Number::Yes;
  }
  if (PyLong_Check(object)) return converted(PyLong_AsDouble(object), out);
  const Number real = is_real(object);
  return real != Number::Yes ? real : converted(PyFloat_AsDouble(object), out);
}

double need_number(PyObject* object, const char* what) {
  double value = 0.0;
  switch (read_number(object, &value)) {
  case Number::Yes:
    return value;
  case Number::Failed:
    throw py::error_already_set();
  case Number::No:
    break;
  }
  const char* hint = is_value(object) ? " (use its .data for the number)"
                     : PyObject_HasAttrString(object, "__array__")
                         ? " (a Value holds one number; make one Value for each element)"
                         : "";
  PyErr_Format(PyExc_TypeError, "%s must be a real number, got %.100s%s", what,
               Py_TYPE(object)->tp_name, hint);
  throw py::error_already_set();
}

} // namespace arenagrad::bindings
