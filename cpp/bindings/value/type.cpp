// The Value heap type: its slots and its methods.

#include <Python.h>
#include <structmember.h>

#include <charconv>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "core/sweep.h"
#include "record.h"

namespace arenagrad::bindings {

ArenaStorage the_arena;
std::size_t reattachments = 0;
PyTypeObject* value_type = nullptr;

namespace {

PyObject* backward(PyObject* self, PyObject*) {
  return caught<PyObject*>(nullptr, [&] {
    const auto keep = py::reinterpret_borrow<py::object>(self);
    core::reverse_sweep(arena(), node_of(self), call_backward);
    return Py_NewRef(Py_None);
  });
}

PyObject* repr_svg(PyObject* self, PyObject*) {
  PyObject* pictures = PyImport_ImportModule("arenagrad.pictures");
  if (pictures == nullptr) return nullptr;
  PyObject* svg = PyObject_CallMethod(pictures, "repr_svg", "O", self);
  Py_DECREF(pictures);
  return svg;
}

PyObject* detach(PyObject* self, PyObject*) {
  PyObject* out = recorded(1, [&](core::Arena& g) {
    return tracing() != nullptr ? stop_gradient(use(self)) : g.push_leaf(g.data(node_of(self)));
  });
  if (out != nullptr) as_value(out)->link.bits |= core::Handle::Detached;
  return out;
}

std::vector<PyMethodDef> make_methods() {
  std::vector<PyMethodDef> methods = op_methods();
  methods.push_back(
      {"backward", backward, METH_NOARGS,
       "Set self.grad to 1 and add d(self)/d(node) to the grad of every node below.\n\n"
       "Primals are read as they are now; an assigned _backward is called at its node's "
       "turn.\nRaises what ** raises where a partial has no real value, before any grad "
       "changes.\nCost: 2 to 4 ns a node."});
  methods.push_back({"detach", detach, METH_NOARGS,
                     "A new leaf with the same data; in a compiled function, the same number "
                     "without derivatives."});
  methods.push_back(
      {"_repr_svg_", repr_svg, METH_NOARGS,
       "A small picture of the graph below self as SVG text: what a notebook shows."});
  methods.push_back({"__reduce_ex__", value_reduce, METH_O,
                     "For pickle: this Value with all that it was computed from."});
  methods.push_back({"__reduce__", value_reduce, METH_NOARGS, "The same as __reduce_ex__."});
  methods.push_back({"__copy__", value_copy, METH_NOARGS,
                     "For copy.copy: a twin, the same operation on the same operands."});
  methods.push_back({"__deepcopy__", value_deepcopy, METH_O,
                     "For copy.deepcopy: this Value and all that it was computed from, anew."});
  for (PyMethodDef* method = value_read_methods; method->ml_name != nullptr; ++method)
    methods.push_back(*method);
  methods.push_back({nullptr, nullptr, 0, nullptr});
  return methods;
}

// The capacity that the environment asks for.
void read_max_nodes() {
  const char* const text = std::getenv("ARENAGRAD_MAX_NODES");
  if (text == nullptr || *text == '\0') return;
  const std::string_view digits = text;
  std::size_t nodes = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), nodes);
  if (error != std::errc() || end != digits.end() || nodes == 0)
    throw py::import_error("ARENAGRAD_MAX_NODES must be a number of nodes above 0, got " +
                           std::string(digits));
  arena().set_capacity(nodes);
}

} // namespace

void bind_value(py::module_& module) {
  new (&the_arena.arena) core::Arena;
  read_max_nodes();
  arena().set_reclaim([](core::Arena&) { collect(false); });
  arena().set_walk(walk_handles);

  static auto methods = make_methods();
  static PyMemberDef members[] = {
      {"__dictoffset__", T_PYSSIZET, offsetof(PyValue, dict), READONLY, nullptr},
      {nullptr, 0, 0, 0, nullptr},
  };
  static char doc[] =
      "Value(data, _children=(), _op='', label='')\n--\n\n"
      "A number that remembers how it was computed.\n\n"
      "data is a real number. _children are the operands of a node of your own, and _op its text:\n"
      "assign its _backward afterwards. With a tuple of numbers in place of _op, these are the\n"
      "partials d(self)/d(child), and no _backward is needed. Raises TypeError for what is not a\n"
      "real number or not a Value, ValueError if partials and children differ in number.";
  std::vector<PyType_Slot> slots = {
      {Py_tp_doc, doc},
      {Py_tp_dealloc, reinterpret_cast<void*>(value_dealloc)},
      {Py_tp_finalize, reinterpret_cast<void*>(value_finalize)},
      {Py_tp_new, reinterpret_cast<void*>(value_new)},
      {Py_tp_init, reinterpret_cast<void*>(value_init)},
      {Py_tp_repr, reinterpret_cast<void*>(value_repr)},
      {Py_tp_setattro, reinterpret_cast<void*>(value_setattro)},
      {Py_tp_getset, value_getset},
      {Py_tp_methods, methods.data()},
      {Py_tp_members, members},
  };
  for (PyType_Slot* more : {value_number_slots, value_read_slots})
    for (; more->slot != 0; ++more) slots.push_back(*more);
  slots.push_back({0, nullptr});
  PyType_Spec spec = {"arenagrad.Value", sizeof(PyValue), 0,
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots.data()};
  PyObject* type = PyType_FromSpec(&spec);
  if (type == nullptr) throw py::error_already_set();
  value_type = reinterpret_cast<PyTypeObject*>(type);
  value_type->tp_vectorcall = value_vectorcall;
  // A class default, as in the lecture's Value: draw_dot and the like read n.label everywhere.
  if (PyObject_SetAttrString(type, "label", py::str("").ptr()) != 0) throw py::error_already_set();
  refuse_float_attributes(type);
  module.add_object("Value", type);
}

} // namespace arenagrad::bindings
