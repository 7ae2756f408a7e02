// The Python object of a node. Everything in bindings/ that touches a `Value` goes through here.
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
#include <structmember.h>

#include <memory>
#include <vector>

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
// Changes whenever a live Value may have got another node.
extern std::size_t rehomed; // times that a second __init__ gave a Value one
inline std::size_t places() { return arena().compactions() + rehomed; }
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

// --- objects (value_pool.cpp, value_object.cpp) ------------------------------------------------

// Where plain Values come from: blocks of address space, and a stack of dead objects for reuse,
// each still owning its reference to the type. The blocks also say where every live handle is, so
// that recording need not keep a list of them.
//
// A stack and not a list through the objects: the processor then need not wait for one object to be
// written before it knows the next (4 ns in a loop of three operations).
class ValuePool {
public:
  bool empty() const { return ready_count_ == 0; }
  PyValue* take() {
    PyValue* value = ready_[--ready_count_];
#ifdef Py_REF_DEBUG
    _Py_NewReference(as_object(value));
#else
    Py_SET_REFCNT(as_object(value), 1);
#endif
    value->dict = nullptr;
    return value;
  }
  bool full() const { return ready_count_ == kReady; }
  // Requires !full() and a detached handle.
  void put(PyValue* value) { ready_[ready_count_++] = value; }

  // Makes empty() false, or throws std::bad_alloc.
  void grow();
  // Makes full() false.
  void spill();
  // Gives blocks without a live Value back to the system when most of them are dead. Cost: looks at
  // every object, but only after as many have died.
  void shrink_if_worth();
  // Calls visit for each attached handle.
  void walk(core::Arena::Visit visit, void* context);

private:
  static constexpr std::size_t kReady = 1024;
  struct Block;
  template <class Use> void each_object(Use&& use);
  void put_aside(PyValue* value);

  std::size_t ready_count_ = 0;
  PyValue* ready_[kReady];
  PyObject* aside_ = nullptr; // more dead objects, each holding the next in its `dict`
  std::vector<std::unique_ptr<Block>>* blocks_ = nullptr; // leaked: Values may die very late
  std::size_t shrink_below_ = 0, blocks_left_ = 0;        // as the last shrinking found them
};
extern ValuePool pool;

// A fresh object without a node; attach one at once, which also clears its bits. Throws
// std::bad_alloc.
inline PyValue* new_handle() {
  if (pool.empty()) [[unlikely]]
    pool.grow();
  return pool.take();
}
// Instances of subclasses are Python's own objects: they are remembered one by one.
void remember_instance(PyValue* value);
void forget_instance(PyValue* value);
void walk_handles(core::Arena::Visit visit, void* context);

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

// The object of `node`, made if it has none. New reference; throws error_already_set.
PyObject* object_of(core::NodeId node);
// Gives back the memory of an object that has no node.
void free_object(PyValue* value);
void value_dealloc(PyObject* self);
void value_finalize(PyObject* self);

// --- attributes (value_attributes.cpp) ---------------------------------------------------------

extern PyGetSetDef value_getset[];
PyObject* value_repr(PyObject* self);
int value_setattro(PyObject* self, PyObject* name, PyObject* value);
// self.dict[name] = value, registering the state. Throws error_already_set.
void set_state(PyObject* self, const char* name, PyObject* value);
// Calls the `_backward` assigned to this node; false if there is none after all.
bool call_backward(core::Handle& handle);

// --- construction (value_construct.cpp) --------------------------------------------------------

PyObject* value_vectorcall(PyObject* type, PyObject* const* args, size_t nargsf, PyObject* names);
PyObject* value_new(PyTypeObject* type, PyObject* args, PyObject* kwargs);
int value_init(PyObject* self, PyObject* args, PyObject* kwargs);

// --- numbers (value_number.cpp, value_read.cpp, bind_ops.cpp, number.cpp)
// ----------------------------------------------------

extern PyType_Slot value_number_slots[]; // operators
extern PyType_Slot value_read_slots[];   // float(), int(), <, hash()
extern PyMethodDef value_read_methods[];
// A new Value: the operation of a Value, of two operands of which one is a Value, or of a Value and
// a constant. Null with a Python error set; NotImplemented if the other operand is no number.
PyObject* value_unary(core::Op op, PyObject* a);
PyObject* value_binary(core::Op op, PyObject* a, PyObject* b);
// The methods that ops.def gives a Value, and their number.
std::vector<PyMethodDef> op_methods();

enum class Number { Yes, No, Failed }; // Failed: a Python error is set
// Whether it is one: float, int, and what registers as numbers.Real or is a Decimal. Failed: an
// error is set.
Number is_real(PyObject* object);
// Reads one.
Number read_number(PyObject* object, double* out);
// The same for an argument that must be one; throws TypeError naming `what`.
double need_number(PyObject* object, const char* what);

// --- saving (bind_saving.cpp, bind_copying.cpp) ------------------------------------------------

PyObject* value_reduce(PyObject* self, PyObject* protocol);
PyObject* value_copy(PyObject* self, PyObject*);
PyObject* value_deepcopy(PyObject* self, PyObject* memo);

// --- reclaiming (cycles.cpp) -------------------------------------------------------------------

// Objects with state are remembered, so that cycles through them can be found.
void remember_state(PyValue* value);
void forget_state(PyValue* value);
// Keeps `value` for as long as its node; drops that reference again.
void pin(PyValue* value);
// Breaks cycles among unreachable nodes, then compacts if it is worth it, or always. Returns how
// many nodes went.
std::size_t collect(bool always);
void drop_pinned_at_top();

// --- errors (bind_errors.cpp) ------------------------------------------------------------------

// Turns the C++ exception in flight into a Python one: for slots, which pybind11 does not wrap.
void set_python_error() noexcept;
void bind_errors(py::module_& module);

// --- the rest of the module --------------------------------------------------------------------

void bind_value(py::module_& module); // value_type.cpp
void bind_graph(py::module_& module);
void bind_ops(py::module_& module);
void bind_nary(py::module_& module);
void bind_functional(py::module_& module);
void bind_arrays(py::module_& module);
void bind_build(py::module_& module);
void bind_saving(py::module_& module);
void bind_copying(py::module_& module);
void bind_info(py::module_& module);
void bind_optim(py::module_& module);

} // namespace arenagrad::bindings

// Lets every pybind11 function take and return `Value` as a py::object that is checked to be one.
namespace arenagrad::bindings {
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
