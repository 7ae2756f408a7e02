// The attributes that floats have and Values have not. Asking for one is an AttributeError, as for
// any name; while a function is traced the trace ends with it even if the function catches it,
// since a float would have the attribute. They are descriptors without a setter, so that an
// attribute of the name may still be set on a Value, and the lookup of all other names costs
// nothing more.
#include "trace.h"

namespace arenagrad::bindings {
namespace {

struct AbsentAttribute {
  PyObject_HEAD PyObject* name;
};

AbsentAttribute* as_absent(PyObject* object) { return reinterpret_cast<AbsentAttribute*>(object); }

PyObject* get_absent(PyObject* self, PyObject* object, PyObject* type) {
  PyObject* const name = as_absent(self)->name;
  if (object == nullptr || object == Py_None)
    return PyErr_Format(PyExc_AttributeError, "type object '%.100s' has no attribute '%U'",
                        reinterpret_cast<PyTypeObject*>(type)->tp_name, name);
  const bool refused = tracing() != nullptr && is_exact_value(object);
  PyErr_Format(
      PyExc_AttributeError, "'%.100s' object has no attribute '%U'%s", Py_TYPE(object)->tp_name,
      name, refused ? ", which floats have: a function that asks for it cannot be compiled" : "");
  if (refused) remember_refusal();
  return nullptr;
}

void dealloc_absent(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  Py_XDECREF(as_absent(self)->name);
  type->tp_free(self);
  Py_DECREF(type);
}

} // namespace

void refuse_float_attributes(PyObject* type) {
  PyType_Slot slots[] = {{Py_tp_descr_get, reinterpret_cast<void*>(get_absent)},
                         {Py_tp_dealloc, reinterpret_cast<void*>(dealloc_absent)},
                         {0, nullptr}};
  PyType_Spec spec = {"arenagrad._core.AbsentAttribute", sizeof(AbsentAttribute), 0,
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  const auto absent = py::reinterpret_steal<py::object>(PyType_FromSpec(&spec));
  if (!absent) throw py::error_already_set();
  auto* const absent_type = reinterpret_cast<PyTypeObject*>(absent.ptr());
  for (const char* name : {"real", "imag", "hex", "fromhex", "is_integer", "as_integer_ratio"}) {
    const auto attribute = py::reinterpret_steal<py::object>(absent_type->tp_alloc(absent_type, 0));
    if (!attribute) throw py::error_already_set();
    as_absent(attribute.ptr())->name = PyUnicode_InternFromString(name);
    if (as_absent(attribute.ptr())->name == nullptr ||
        PyObject_SetAttrString(type, name, attribute.ptr()) != 0)
      throw py::error_already_set();
  }
}

} // namespace arenagrad::bindings
