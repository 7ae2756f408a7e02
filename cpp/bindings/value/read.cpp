// A Value read as a number: float(), int(), round(), format(), comparisons. The hash stays that of
// the object, and so does the equality of two Values, since a node is itself and not its number.
#include "trace.h"
#include "warnings.h"

namespace arenagrad::bindings {
namespace {

double data_of(PyObject* self) { return arena().data(node_of(self)); }

PyObject* to_float(PyObject* self) {
  return note_detached_number(self) ? PyFloat_FromDouble(data_of(self)) : nullptr;
}

PyObject* to_int(PyObject* self) {
  return note_detached_number(self) ? PyLong_FromDouble(data_of(self)) : nullptr;
}

// The number where it is plain that a number is meant.
PyObject* item(PyObject* self, PyObject*) {
  return note_frozen(self, "reading the number") ? PyFloat_FromDouble(data_of(self)) : nullptr;
}

// Does to the number what Python would do to a float.
PyObject* as_float(PyObject* self, const char* method, PyObject* const* args, Py_ssize_t count) {
  const auto number = py::reinterpret_steal<py::object>(item(self, nullptr));
  const auto bound = py::reinterpret_steal<py::object>(
      number ? PyObject_GetAttrString(number.ptr(), method) : nullptr);
  return bound ? PyObject_Vectorcall(bound.ptr(), args, static_cast<size_t>(count), nullptr)
               : nullptr;
}

PyObject* round(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  return as_float(self, "__round__", args, count);
}

PyObject* conjugate(PyObject* self, PyObject*) { return Py_NewRef(self); }

PyObject* trunc(PyObject* self, PyObject*) { return to_int(self); }

PyObject* format(PyObject* self, PyObject* spec) {
  if (PyUnicode_Check(spec) && PyUnicode_GET_LENGTH(spec) == 0) return PyObject_Str(self);
  return as_float(self, "__format__", &spec, 1);
}

// Reads `other` for a comparison that a program must be able to make again.
IsReal read_exactly(PyObject* other, double* out) {
  const IsReal real = is_real(other);
  if (real != IsReal::Yes || PyFloat_CheckExact(other)) return read_number(other, out);
  int exact = 0;
  if (read_number(other, out) == IsReal::Yes) {
    const auto number = py::reinterpret_steal<py::object>(PyFloat_FromDouble(*out));
    exact = number ? PyObject_RichCompareBool(number.ptr(), other, Py_EQ) : -1;
  } else if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
    PyErr_Clear();
  } else {
    return IsReal::Failed;
  }
  if (exact < 0) return IsReal::Failed;
  if (exact > 0) return IsReal::Yes;
  PyErr_Format(PyExc_TypeError,
               "a compiled function compares with floats and what equals one, got %R of type "
               "%.100s",
               other, Py_TYPE(other)->tp_name);
  return IsReal::Failed;
}

// The same, remembered as a comparison of the function that is being compiled.
PyObject* compare_traced(Trace& trace, PyObject* self, PyObject* other, int op) {
  const double left = data_of(self);
  double right = 0.0;
  const IsReal real = is_value(other) ? IsReal::Yes : read_exactly(other, &right);
  if (real == IsReal::Failed) return nullptr;
  if (real == IsReal::No) Py_RETURN_NOTIMPLEMENTED;
  PyObject* const value = is_value(other) ? other : nullptr;
  if (value != nullptr) right = data_of(value);
  const bool turned = op == Py_GT || op == Py_GE;
  const auto relation =
      op == Py_LT || op == Py_GT ? program::Relation::Less : program::Relation::LessEqual;
  const double low = turned ? right : left, high = turned ? left : right;
  const bool outcome = relation == program::Relation::Less ? low < high : low <= high;
  try {
    if (turned)
      trace.compared(value, right, self, left, relation, outcome);
    else
      trace.compared(self, left, value, right, relation, outcome);
  } catch (...) {
    set_python_error();
    return nullptr;
  }
  return PyBool_FromLong(outcome);
}

PyObject* compare(PyObject* self, PyObject* other, int op) {
  const bool equality = op == Py_EQ || op == Py_NE;
  if (Trace* trace = tracing()) {
    if (equality) Py_RETURN_NOTIMPLEMENTED; // identity, then
    return compare_traced(*trace, self, other, op);
  }
  const double left = data_of(self);
  if (is_value(other)) {
    // Two Values are equal if they are one, but for a nan: v != v is the test for it.
    if (equality && self != other) return PyBaseObject_Type.tp_richcompare(self, other, op);
    Py_RETURN_RICHCOMPARE(left, data_of(other), op);
  }
  if (PyFloat_CheckExact(other)) Py_RETURN_RICHCOMPARE(left, PyFloat_AS_DOUBLE(other), op);
  const IsReal real = is_real(other);
  if (real == IsReal::Failed) return nullptr;
  if (real == IsReal::No && !(equality && PyComplex_Check(other))) Py_RETURN_NOTIMPLEMENTED;
  // As a float compares, exactly: not every int or Fraction has a double.
  const auto number = py::reinterpret_steal<py::object>(PyFloat_FromDouble(left));
  return number ? PyObject_RichCompare(number.ptr(), other, op) : nullptr;
}

} // namespace

PyType_Slot value_read_slots[] = {
    {Py_nb_float, reinterpret_cast<void*>(to_float)},
    {Py_nb_int, reinterpret_cast<void*>(to_int)},
    {Py_tp_richcompare, reinterpret_cast<void*>(compare)},
    {0, nullptr},
};

PyMethodDef value_read_methods[] = {
    {"__round__", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(round)), METH_FASTCALL,
     "The data rounded as a float is: an int, or with a number of digits a float."},
    {"item", item, METH_NOARGS, "The data, a float; never warns outside compiled functions."},
    {"conjugate", conjugate, METH_NOARGS,
     "Self: a real number is its own conjugate, which NumPy asks for in norm, var and vdot."},
    {"__trunc__", trunc, METH_NOARGS, "The data towards 0, an int: what math.trunc gives."},
    {"__format__", format, METH_O, "The data formatted as a float is; str(self) without a format."},
    {nullptr, nullptr, 0, nullptr},
};

} // namespace arenagrad::bindings
