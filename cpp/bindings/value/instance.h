// Instances of pybind11 classes as their `__init__` has made them, and how those that hold Python
// objects take part in cycle collection. Needs the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

namespace arenagrad::bindings {

namespace py = pybind11;

// Whether it is a T at all, and not an empty one that `T.__new__(T)` gives without `__init__`:
// pybind11 would lend memory that nothing was ever written to.
template <class T> bool is_initialised(py::handle object) {
  return py::isinstance<T>(object) && py::detail::is_holder_constructed(object.ptr());
}

// The `__reduce__` of a class whose objects only live within one call. Without it Python would ask
// pybind11's base class for an instance, and pybind11 would end the process.
inline py::object no_pickle(const py::object& self) {
  throw py::type_error(std::string(Py_TYPE(self.ptr())->tp_name) + " cannot be pickled");
}

// Lets the collector see what the Ts hold, through int T::traverse(visitproc, void*) const. That
// must visit every reference which the object owns alone, once, and no other: hence no T is shared
// between a Python object and anything else.
//
// There is no tp_clear, as for tuples. What a T holds is given to its constructor and never
// changed, so a cycle through it has a mutable object in it, and clearing that breaks it.
template <class T> py::custom_type_setup collected() {
  return py::custom_type_setup([](PyHeapTypeObject* type) {
    type->ht_type.tp_flags |= Py_TPFLAGS_HAVE_GC;
    type->ht_type.tp_traverse = [](PyObject* self, visitproc visit, void* arg) {
      Py_VISIT(Py_TYPE(self));
      // Before __init__, and for what only refers to an object inside another, there is no holder.
      if (!py::detail::is_holder_constructed(self)) return 0;
      auto* instance = reinterpret_cast<py::detail::instance*>(self);
      return static_cast<const T*>(instance->get_value_and_holder().value_ptr())
          ->traverse(visit, arg);
    };
  });
}

// Completes the classes that pybind11 made in a module. Where there is no memory for an object they
// say so, which pybind11 does not look for. `T.__new__(T)`, which would give an object that no C++
// object is in, is a TypeError: Python's own check of `__new__` sees that T makes its objects
// itself. None can be subclassed, since an __init__ of a subclass could use such an object too.
void guard_classes(const py::module_& module);

} // namespace arenagrad::bindings
