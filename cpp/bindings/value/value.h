// The Value type as the rooms see it: objects of nodes, its slots and methods, and what keeps its
// state. handle.h says what a Value is. Needs the GIL.
#pragma once

#include <vector>

#include "handle.h"
#include "pool.h"
#include "real_number.h"

namespace arenagrad::bindings {

// What `make` gives the first time, borrowed for the life of the process. A static local would not
// do where making lets go of the GIL, as an import does: another thread would wait for it, with the
// GIL, for ever.
template <class Make> PyObject* once(PyObject*& kept, Make&& make) {
  if (kept == nullptr) {
    py::object made = make();
    if (kept == nullptr) kept = made.release().ptr();
  }
  return kept;
}

// --- life (object.cpp) --------------------------------------------------------------------------

// The object of `node`, made if it has none. New reference; throws error_already_set.
PyObject* object_of(core::NodeId node);
// Gives back the memory of an object that has no node.
void free_object(PyValue* value);
void value_dealloc(PyObject* self);
void value_finalize(PyObject* self);

// --- construction (construct.cpp) ---------------------------------------------------------------

PyObject* value_vectorcall(PyObject* type, PyObject* const* args, size_t nargsf, PyObject* names);
PyObject* value_new(PyTypeObject* type, PyObject* args, PyObject* kwargs);
int value_init(PyObject* self, PyObject* args, PyObject* kwargs);
// Lets `Value(...)` call this function with all but one plain number; None takes it away.
void set_constructor(const py::object& function);

// --- attributes (attributes.cpp) ----------------------------------------------------------------

extern PyGetSetDef value_getset[];
PyObject* value_repr(PyObject* self);
int value_setattro(PyObject* self, PyObject* name, PyObject* value);
// The entry of a dict, borrowed, or null. Throws error_already_set.
PyObject* item_named(PyObject* dict, const char* name);
// Whether object has the attribute. Throws error_already_set where looking for it fails otherwise.
bool has_attribute(py::handle object, const char* name);
// self.dict[name] = value, registering the state. Throws error_already_set.
void set_state(PyObject* self, const char* name, PyObject* value);
// Calls the `_backward` assigned to this node; false if there is none after all.
bool call_backward(core::Handle& handle);

// --- numbers (number_slots.cpp, read.cpp, functions/scalar.cpp) ---------------------------------

extern PyType_Slot value_number_slots[]; // operators
extern PyType_Slot value_read_slots[];   // float(), int(), <, ==
extern PyMethodDef value_read_methods[];
// Puts what refuses the attributes that floats have and Values have not on the class
// (float_attributes.cpp). Throws error_already_set.
void refuse_float_attributes(PyObject* type);
// A new Value: the operation of a Value, of two operands of which one is a Value, or of a Value and
// a constant. Null with a Python error set; NotImplemented if the other operand is no number.
PyObject* value_unary(core::Op op, PyObject* a);
PyObject* value_binary(core::Op op, PyObject* a, PyObject* b);
// The methods that ops.def gives a Value.
std::vector<PyMethodDef> op_methods();

// --- saving (saving/pickle.cpp, saving/copy.cpp) ------------------------------------------------

PyObject* value_reduce(PyObject* self, PyObject* protocol);
PyObject* value_copy(PyObject* self, PyObject*);
PyObject* value_deepcopy(PyObject* self, PyObject* memo);

// --- state and cycles through it (cycles.cpp) ---------------------------------------------------

// Objects with state are remembered, so that cycles through them can be found.
void remember_state(PyValue* value);
void forget_state(PyValue* value);
// Keeps `value` for as long as its node; drops that reference again.
void pin(PyValue* value);
// Breaks cycles among unreachable nodes, then compacts if it is worth it, or always. Returns how
// many nodes went.
std::size_t collect(bool always);
void drop_pinned_at_top();

// --- errors (errors.cpp) ------------------------------------------------------------------------

// Turns the C++ exception in flight into a Python one: for slots, which pybind11 does not wrap.
void set_python_error() noexcept;

// What `body` returns, or `failed` with a Python error set if it throws.
template <class Result, class Body> Result caught(Result failed, Body&& body) {
  try {
    return body();
  } catch (...) {
    set_python_error();
    return failed;
  }
}

// A new class of exceptions of the module, owned by the process.
PyObject* new_exception(py::module_& module, const char* name, const char* doc, py::handle bases);

// Lets every pybind11 function take and return `Value` as a py::object that is checked to be one.
class ValueObject : public py::object {
public:
  PYBIND11_OBJECT(ValueObject, py::object, is_value)
  core::NodeId node() const { return node_of(ptr()); }
};

} // namespace arenagrad::bindings

namespace pybind11::detail {
template <> struct handle_type_name<arenagrad::bindings::ValueObject> {
  static constexpr auto name = const_name("arenagrad.Value");
};
} // namespace pybind11::detail
