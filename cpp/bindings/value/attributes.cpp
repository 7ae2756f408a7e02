// Python reads and writes these on a Value: data, grad, _op, _prev, _backward, and any attribute.

#include <vector>

#include "core/sweep.h"
#include "trace.h"

namespace arenagrad::bindings {
namespace {

using core::NodeId;
using core::Op;

// The entry of self's dict, borrowed, or null. Throws error_already_set.
PyObject* state(PyObject* self, const char* name) {
  PyObject* dict = as_value(self)->dict;
  return dict == nullptr ? nullptr : item_named(dict, name);
}

// Runs the body of a getter or method that may throw.
template <class Body> PyObject* guarded_getter(Body&& body) {
  return caught<PyObject*>(nullptr, body);
}

// Runs a setter body that may throw.
template <class Body> int guarded_setter(Body&& body) {
  return caught(-1, [&] {
    body();
    return 0;
  });
}

double need_value(PyObject* value, const char* name) {
  if (value == nullptr) {
    PyErr_Format(PyExc_AttributeError, "%s of a Value cannot be deleted", name);
    throw py::error_already_set();
  }
  return need_number(value, name);
}

PyObject* get_data(PyObject* self, void*) {
  if (!note_frozen(self, "reading data")) return nullptr;
  return PyFloat_FromDouble(arena().data(node_of(self)));
}

int set_data(PyObject* self, PyObject* value, void*) {
  return guarded_setter([&] {
    const double number = need_value(value, "data");
    refuse_writing(self);
    arena().data(node_of(self)) = number;
  });
}

PyObject* get_grad(PyObject* self, void*) {
  if (!note_frozen(self, "reading grad")) return nullptr;
  return PyFloat_FromDouble(arena().gradient(node_of(self)));
}

int set_grad(PyObject* self, PyObject* value, void*) {
  return guarded_setter([&] {
    const double number = need_value(value, "grad");
    const NodeId node = node_of(self);
    arena().gradients(std::size_t{node} + 1)[node] = number;
  });
}

// The text of the operation itself.
PyObject* text_of_op(PyObject* self) {
  const NodeId node = node_of(self);
  const Op op = arena().op(node);
  const char* symbol = core::op_info(op).symbol;
  if (core::op_info(op).operands != core::Operands::Parametric) return PyUnicode_FromString(symbol);
  const NodeId literal = arena().operands(node).b;
  const double number = arena().data(literal);
  PyObject* constant = arena().op(literal) == Op::LiteralInt ? PyLong_FromDouble(number)
                                                             : PyFloat_FromDouble(number);
  if (constant == nullptr) return nullptr;
  const char* format = op == Op::Pow ? "%s%S" : "%s(%S)";
  PyObject* text = PyUnicode_FromFormat(format, symbol, constant);
  Py_DECREF(constant);
  return text;
}

PyObject* get_op(PyObject* self, void*) {
  return guarded_getter([&] {
    PyObject* const text = state(self, "_op");
    return text != nullptr ? Py_NewRef(text) : text_of_op(self);
  });
}

int set_op(PyObject* self, PyObject* value, void*) {
  return guarded_setter([&] {
    if (value == nullptr || !PyUnicode_Check(value)) {
      PyErr_Format(PyExc_TypeError, "_op must be a str, got %.100s",
                   value == nullptr ? "nothing" : Py_TYPE(value)->tp_name);
      throw py::error_already_set();
    }
    set_state(self, "_op", value);
  });
}

PyObject* get_prev(PyObject* self, void*) {
  return guarded_getter([&] {
    // The objects first: a subclass's __hash__ may run anything, even what moves the nodes.
    std::vector<py::object> found;
    arena().for_each_operand(node_of(self), false, [&](NodeId operand) {
      found.push_back(py::reinterpret_steal<py::object>(object_of(operand)));
    });
    py::set operands;
    for (const py::object& operand : found)
      if (PySet_Add(operands.ptr(), operand.ptr()) != 0) throw py::error_already_set();
    return operands.release().ptr();
  });
}

PyObject* step(PyObject* self, PyObject*) {
  return guarded_getter([&] {
    core::reverse_step(arena(), node_of(self));
    return Py_NewRef(Py_None);
  });
}

PyMethodDef step_method = {"_backward", step, METH_NOARGS,
                           "Add this node's part of the gradient to each operand's grad."};

PyObject* get_backward(PyObject* self, void*) {
  return guarded_getter([&] {
    PyObject* const assigned = state(self, "_backward");
    return assigned != nullptr ? Py_NewRef(assigned) : PyCFunction_New(&step_method, self);
  });
}

int set_backward(PyObject* self, PyObject* value, void*) {
  return guarded_setter([&] {
    if (value != nullptr && !PyCallable_Check(value)) {
      PyErr_Format(PyExc_TypeError, "_backward must be callable without arguments, got %.100s",
                   Py_TYPE(value)->tp_name);
      throw py::error_already_set();
    }
    if (value != nullptr) {
      set_state(self, "_backward", value);
    } else if (state(self, "_backward") != nullptr &&
               PyDict_DelItemString(as_value(self)->dict, "_backward") != 0) {
      throw py::error_already_set();
    }
    arena().set_callback(node_of(self), value != nullptr);
  });
}

PyObject* get_dict(PyObject* self, void*) {
  PyObject* dict = PyObject_GenericGetDict(self, nullptr);
  if (dict == nullptr) return nullptr;
  arena().set_callback(node_of(self), true); // a rule may come and go through it, unseen
  remember_state(as_value(self));
  return dict;
}

int set_dict(PyObject* self, PyObject* value, void*) {
  const int result = PyObject_GenericSetDict(self, value, nullptr);
  if (result == 0) {
    arena().set_callback(node_of(self), true); // as in get_dict
    remember_state(as_value(self));
  }
  return result;
}

} // namespace

PyObject* item_named(PyObject* dict, const char* name) {
  const auto key = py::reinterpret_steal<py::object>(PyUnicode_InternFromString(name));
  PyObject* const found = key ? PyDict_GetItemWithError(dict, key.ptr()) : nullptr;
  if (found == nullptr && PyErr_Occurred()) throw py::error_already_set();
  return found;
}

bool has_attribute(py::handle object, const char* name) {
  const auto found = py::reinterpret_steal<py::object>(PyObject_GetAttrString(object.ptr(), name));
  if (found) return true;
  if (!PyErr_ExceptionMatches(PyExc_AttributeError)) throw py::error_already_set();
  PyErr_Clear();
  return false;
}

void set_state(PyObject* self, const char* name, PyObject* value) {
  if (value == nullptr) throw py::error_already_set();
  PyValue* object = as_value(self);
  if (object->dict == nullptr) object->dict = PyDict_New();
  if (object->dict == nullptr || PyDict_SetItemString(object->dict, name, value) != 0)
    throw py::error_already_set();
  remember_state(object);
}

// Whether `value` must not be this attribute: a label is a str, unless a subclass has a rule of its
// own for it. Numbers are what is mostly set, in loops that are hot, so they are let through first.
static bool is_wrong_label(PyObject* self, PyObject* name, PyObject* value) {
  if (value == nullptr || PyFloat_CheckExact(value) || PyUnicode_Check(value)) return false;
  if (!PyUnicode_Check(name) || PyUnicode_CompareWithASCIIString(name, "label") != 0) return false;
  const auto own = py::reinterpret_steal<py::object>(
      PyObject_GetAttr(reinterpret_cast<PyObject*>(Py_TYPE(self)), name));
  if (!own) PyErr_Clear();
  return !own || Py_TYPE(own.ptr())->tp_descr_set == nullptr;
}

int value_setattro(PyObject* self, PyObject* name, PyObject* value) {
  if (is_wrong_label(self, name, value)) {
    PyErr_Format(PyExc_TypeError, "label must be a str, got %.100s", Py_TYPE(value)->tp_name);
    return -1;
  }
  const int result = PyObject_GenericSetAttr(self, name, value);
  if (as_value(self)->dict != nullptr) remember_state(as_value(self));
  return result;
}

PyObject* value_repr(PyObject* self) {
  // A text holds the number of now as reading it does: str(), print() and f"{x}" come here too.
  if (!note_frozen(self, "the text")) return nullptr;
  const NodeId node = node_of(self);
  auto data = py::reinterpret_steal<py::object>(PyFloat_FromDouble(arena().data(node)));
  auto grad = py::reinterpret_steal<py::object>(PyFloat_FromDouble(arena().gradient(node)));
  if (!data || !grad) return nullptr;
  return PyUnicode_FromFormat("Value(data=%R, grad=%R)", data.ptr(), grad.ptr());
}

bool call_backward(core::Handle& handle) {
  PyObject* self = as_object(owner(&handle));
  const auto keep = py::reinterpret_borrow<py::object>(self);
  PyObject* function = state(self, "_backward");
  if (function == nullptr) return false;
  const auto callable = py::reinterpret_borrow<py::object>(function);
  callable();
  return true;
}

PyGetSetDef value_getset[] = {
    {"data", get_data, set_data, "The number this node holds, a float; may be assigned.", nullptr},
    {"grad", get_grad, set_grad,
     "d(root)/d(self), accumulated by backward(), a float; may be assigned.", nullptr},
    {"_op", get_op, set_op, "The text of the operation that made this node; '' for a leaf.",
     nullptr},
    {"_prev", get_prev, nullptr, "The set of this node's operands: the very objects.", nullptr},
    {"_backward", get_backward, set_backward,
     "A callable doing this node's step of backward(); assign one to replace the rule.", nullptr},
    {"__dict__", get_dict, set_dict, "The attributes that were set on this Value.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

} // namespace arenagrad::bindings
