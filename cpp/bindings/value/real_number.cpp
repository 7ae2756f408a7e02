// Reading real numbers: the common types first, the registered ones by isinstance.
#include "value.h" // is_value, once

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

IsReal converted(double value, double* out) {
  if (value == -1.0 && PyErr_Occurred()) return IsReal::Failed;
  *out = value;
  return IsReal::Yes;
}

} // namespace

IsReal is_real(PyObject* object) {
  if (PyFloat_Check(object) || PyLong_Check(object)) return IsReal::Yes;
  // Exact types that are common operands of an operator and certainly not numbers.
  if (object == Py_None || is_value(object) || PyUnicode_Check(object)) return IsReal::No;
  const int real = PyObject_IsInstance(object, real_types());
  if (real < 0) return IsReal::Failed;
  return real == 0 ? IsReal::No : IsReal::Yes;
}

IsReal read_number(PyObject* object, double* out) {
  if (PyFloat_Check(object)) {
    *out = PyFloat_AS_DOUBLE(object);
    return IsReal::Yes;
  }
  if (PyLong_Check(object)) return converted(PyLong_AsDouble(object), out);
  const IsReal real = is_real(object);
  return real != IsReal::Yes ? real : converted(PyFloat_AsDouble(object), out);
}

double need_number(PyObject* object, const char* what) {
  double value = 0.0;
  switch (read_number(object, &value)) {
  case IsReal::Yes:
    return value;
  case IsReal::Failed:
    throw py::error_already_set();
  case IsReal::No:
    break;
  }
  const char* hint = "";
  if (is_value(object))
    hint = " (use its .data for the number)";
  else if (has_attribute(object, "__array__"))
    hint = " (a Value holds one number; make one Value for each element)";
  PyErr_Format(PyExc_TypeError, "%s must be a real number, got %.100s%s", what,
               Py_TYPE(object)->tp_name, hint);
  throw py::error_already_set();
}

} // namespace arenagrad::bindings
