#include "instance.h"

#include <new>
#include <unordered_map>
#include <utility>

#include "value.h"

namespace arenagrad::bindings {
namespace {

// Called by pybind11, whose frames an exception may pass, and by new_native.
PyObject* allocate_instance(PyTypeObject* type, Py_ssize_t items) {
  PyObject* self = PyType_GenericAlloc(type, items);
  if (self == nullptr) throw py::error_already_set();
  return self;
}

PyObject* new_native(PyTypeObject* type, PyObject*, PyObject*) {
  return caught<PyObject*>(nullptr, [&] { return py::detail::make_new_instance(type); });
}

using Initialiser = void (*)(py::detail::instance*, const void*);

// What pybind11 made for each class, which init_instance calls.
std::unordered_map<PyTypeObject*, Initialiser>& initialisers() {
  static auto* const map = new std::unordered_map<PyTypeObject*, Initialiser>;
  return *map;
}

// Memory that is given back where there is none for the entry of one object.
void* spare = nullptr;

void refill_spare() {
  constexpr std::size_t kEntry = 256; // more than an entry and a holder take
  if (spare == nullptr) spare = ::operator new(kEntry, std::nothrow);
}

// Enters an object, which is in `holder` if that is given, among those that pybind11 knows. Where
// there is no memory for that pybind11 would end the process, if it calls this after an __init__,
// or free the C++ object, which the holder then destroys again.
void init_instance(py::detail::instance* self, const void* holder) {
  const Initialiser init = initialisers().at(Py_TYPE(reinterpret_cast<PyObject*>(self)));
  try {
    init(self, holder);
  } catch (const std::bad_alloc&) {
    ::operator delete(std::exchange(spare, nullptr));
    try {
      init(self, holder); // goes on where it was
    } catch (...) {
      if (holder != nullptr) self->owned = false;
      throw;
    }
  }
  refill_spare();
}

} // namespace

void guard_classes(const py::module_& module) {
  for (const auto& [name, object] : py::dict(module.attr("__dict__"))) {
    if (!PyType_Check(object.ptr())) continue;
    auto* const type = reinterpret_cast<PyTypeObject*>(object.ptr());
    if (type->tp_new != py::detail::pybind11_object_new) continue;
    py::detail::type_info* const info = py::detail::get_type_info(type);
    initialisers()[type] = info->init_instance;
    info->init_instance = init_instance;
    type->tp_new = new_native;
    type->tp_alloc = allocate_instance;
    type->tp_flags &= ~Py_TPFLAGS_BASETYPE;
    PyType_Modified(type);
  }
}

} // namespace arenagrad::bindings
