// Birth and death of Value objects.
#include <new>
#include <vector>

#include "value.h"

namespace arenagrad::bindings {

PyObject* object_of(core::NodeId node) {
  if (core::Handle* handle = arena().handle_of(node)) return Py_NewRef(as_object(owner(handle)));
  PyValue* value = new_handle();
  arena().attach(value->link, node);
  value->link.bits = core::Handle::Used;
  return as_object(value);
}

void free_object(PyValue* value) {
  PyTypeObject* type = Py_TYPE(as_object(value));
  if (type == value_type) {
    if (pool.full()) pool.spill();
    pool.put(value);
    pool.shrink_if_worth();
  } else {
    forget_instance(value);
    type->tp_free(value);
    Py_DECREF(type);
  }
}

// Whether this object must outlive its last reference (value.h). What is on top has no users.
static bool must_stay(PyValue* value) {
  return (value->dict != nullptr || !is_exact_value(as_object(value))) &&
         !arena().is_top(value->link.node) &&
         (value->link.bits & (core::Handle::Used | core::Handle::Pinned | core::Handle::Doomed)) ==
             core::Handle::Used;
}

// Python calls this for instances of subclasses before it takes them apart.
void value_finalize(PyObject* self) {
  if (must_stay(as_value(self))) pin(as_value(self));
}

// Drops the attributes of a dead object. They may hold the last reference to the next object of a
// long list, so what dies meanwhile waits for its turn here and not on the stack.
static void drop_state(PyObject* dict) {
  static std::vector<PyObject*>* waiting = new std::vector<PyObject*>;
  static bool dropping = false;
  if (dict == nullptr) return;
  if (dropping) {
    try {
      return waiting->push_back(dict);
    } catch (const std::bad_alloc&) {
      return Py_DECREF(dict); // the stack is all there is
    }
  }
  dropping = true;
  Py_DECREF(dict);
  while (!waiting->empty()) {
    dict = waiting->back();
    waiting->pop_back();
    Py_DECREF(dict);
  }
  dropping = false;
}

// Apart from the fast path, so that the fast path needs no stack frame.
[[gnu::noinline]] static void dealloc_general(PyObject* self) {
  PyValue* value = as_value(self);
  if (is_exact_value(self) && must_stay(value)) {
    Py_SET_REFCNT(self, 1);
    pin(value);
    Py_SET_REFCNT(self, 1); // the pin is now the only reference
    return;
  }
  PyObject* dict = value->dict;
  value->dict = nullptr;
  forget_state(value);
  arena().set_callback(value->link.node, false);
  arena().detach(value->link);
  free_object(value);
  drop_state(dict);
  drop_pinned_at_top();
}

void value_dealloc(PyObject* self) {
  PyValue* value = as_value(self);
  if (value->dict == nullptr && is_exact_value(self) && !arena().is_top(value->link.node) &&
      !pool.full()) [[likely]] {
    arena().detach_below_top(value->link);
    pool.put(value);
  } else {
    dealloc_general(self);
  }
}

} // namespace arenagrad::bindings
