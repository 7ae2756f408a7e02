#include "instance.h"

#include "value.h"

namespace arenagrad::bindings {
namespace {

// Called by pybind11, whose frames an exception may pass, and by new_instance.
PyObject* allocate_instance(PyTypeObject* type, Py_ssize_t items) {
  PyObject* self = PyType_GenericAlloc(type, items);
  if (self == nullptr) throw py::error_already_set();
  return self;
}

PyObject* new_instance(PyTypeObject* type, PyObject*, PyObject*) {
  try {
    return py::detail::make_new_instance(type);
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

} // namespace

void guard_classes(const py::module_& module) {
  for (const auto& [name, object] : py::dict(module.attr("__dict__"))) {
    if (!PyType_Check(object.ptr())) continue;
    auto* const type = reinterpret_cast<PyTypeObject*>(object.ptr());
    if (type->tp_new != py::detail::pybind11_object_new) continue;
    type->tp_new = new_instance;
    type->tp_alloc = allocate_instance;
    type->tp_flags &= ~Py_TPFLAGS_BASETYPE;
    PyType_Modified(type);
  }
}

} // namespace arenagrad::bindings
