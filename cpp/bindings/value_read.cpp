// What reads a Value as a number: float(), int(), round(), format(), the orderings. Equality and
// hash stay those of the object, since a node is itself and not its number.
#include "value.h"

namespace arenagrad::bindings {
namespace {

double data_of(PyObject* self) { return arena().data(node_of(self)); }

PyObject* to_float(PyObject* self) { return PyFloat_FromDouble(data_of(self)); }

PyObject* to_int(PyObject* self) { return PyLong_FromDouble(data_of(self)); }

// Does to the number what Python would do to a float.
PyObject* as_float(PyObject* self, const char* method, PyObject* const* args, Py_ssize_t count) {
  const auto number = py::reinterpret_steal<py::object>(to_float(self));
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

PyObject* compare(PyObject* self, PyObject* other, int op) {
  if (op == Py_EQ || op == Py_NE) Py_RETURN_NOTIMPLEMENTED; // identity, then
  const double left = data_of(self);
  if (is_value(other)) Py_RETURN_RICHCOMPARE(left, data_of(other), op);
  if (PyFloat_CheckExact(other)) Py_RETURN_RICHCOMPARE(left, PyFloat_AS_DOUBLE(other), op);
  const Number real = is_real(other);
  if (real == Number::Failed) return nullptr;
  if (real == Number::No) Py_RETURN_NOTIMPLEMENTED;
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
    {"conjugate", conjugate, METH_NOARGS,
     "Self: a real number is its own conjugate, which NumPy asks for in norm, var and vdot."},
    {"__trunc__", trunc, METH_NOARGS, "The data towards 0, an int: what math.trunc gives."},
    {"__format__", format, METH_O, "The data formatted as a float is; str(self) without a format."},
    {nullptr, nullptr, 0, nullptr},
};

} // namespace arenagrad::bindings
