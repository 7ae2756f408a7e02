// The Python object of a node, and the one arena. Everything in bindings/ that touches a `Value`
// goes through here.
//
// A PyValue is a handle: it says where its node is, and the node lives while handles reach it.
// Objects come from a pool of their own and carry no GC header. Attributes, an assigned `_backward`
// and the text of a user's `_op` live in `dict`; such an object, and an instance of a subclass,
// must be the very same as long as its node, so when its last reference goes while the node may
// have users it is kept ("pinned"). Reference cycles through attributes and closures are broken by
// cycles.cpp. Needs the GIL throughout.
#pragma once

#include <Python.h>
#include <pybind11/pybind11.h>

#include <cstddef>

#include "core/arena.h"

namespace arenagrad::bindings {

namespace py = pybind11;

struct PyValue {
  PyObject_HEAD core::Handle link;
  PyObject* dict;
};
static_assert(sizeof(PyObject) > 16 || sizeof(PyValue) <= 32, "a Value is at most 32 bytes");

// Made with the module and never destroyed: Values may outlive every other object.
union ArenaStorage {
  ArenaStorage() noexcept {}
  ~ArenaStorage() {}
  core::Arena arena;
};
extern ArenaStorage the_arena;
extern PyTypeObject* value_type; // arenagrad.Value

inline core::Arena& arena() { return the_arena.arena; }
extern std::size_t reattachments; // times that a second __init__ gave a Value another node
// Changes whenever a live Value may have got another node, so that nodes looked up before are old.
inline std::size_t node_epoch() { return arena().compactions() + reattachments; }
inline PyValue* as_value(PyObject* object) { return reinterpret_cast<PyValue*>(object); }
inline PyObject* as_object(PyValue* value) { return reinterpret_cast<PyObject*>(value); }
inline PyValue* owner(core::Handle* handle) {
  return reinterpret_cast<PyValue*>(reinterpret_cast<char*>(handle) - offsetof(PyValue, link));
}
inline bool is_exact_value(PyObject* object) { return Py_TYPE(object) == value_type; }
inline bool is_value(PyObject* object) {
  return is_exact_value(object) || PyType_IsSubtype(Py_TYPE(object), value_type);
}
inline core::NodeId node_of(PyObject* object) { return as_value(object)->link.node; }
// The same, noting that the node now has a user.
inline core::NodeId use(PyObject* object) {
  as_value(object)->link.bits |= core::Handle::Used;
  return node_of(object);
}

} // namespace arenagrad::bindings
