// Value(data, _children=(), _op='', label=''), and Value(data, children, (d1, d2, ...)), in which a
// tuple in third place holds the partial of each operand.
#include <vector>

#include "record.h"

namespace arenagrad::bindings {
namespace {

using core::Arena;
using core::NodeId;
using core::Op;

struct ConstructorArguments {
  double data = 0.0;
  py::object operands;          // a tuple of Values, or null
  std::vector<double> partials; // given if has_partials
  bool has_partials = false;
  PyObject* op = nullptr;    // non-empty text, borrowed, or null
  PyObject* label = nullptr; // non-empty text, borrowed, or null

  std::size_t count() const { return operands ? PyTuple_GET_SIZE(operands.ptr()) : 0; }
  PyObject* operand(std::size_t i) const { return PyTuple_GET_ITEM(operands.ptr(), i); }
  bool is_leaf() const { return count() == 0 && op == nullptr; }
};

[[noreturn]] void fail(PyObject* type, const char* format, ...) {
  va_list list;
  va_start(list, format);
  PyErr_FormatV(type, format, list);
  va_end(list);
  throw py::error_already_set();
}

bool non_empty_text(PyObject* object) { return PyUnicode_GET_LENGTH(object) != 0; }

// A tuple and not the caller's list: reading numbers and making room may run code that changes
// that.
py::object as_tuple(PyObject* items, const char* wanted) {
  PyObject* tuple = PySequence_Tuple(items);
  if (tuple == nullptr && PyErr_ExceptionMatches(PyExc_TypeError) &&
      Py_TYPE(items)->tp_iter == nullptr)
    fail(PyExc_TypeError, wanted);
  if (tuple == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(tuple);
}

void read_operands(PyObject* children, ConstructorArguments& out) {
  out.operands = as_tuple(children, "_children must be a tuple, list or set of Value");
  for (std::size_t i = 0; i < out.count(); ++i)
    if (!is_value(out.operand(i)))
      fail(PyExc_TypeError, "_children must be Values, but number %zu is %.100s", i,
           Py_TYPE(out.operand(i))->tp_name);
}

void read_partials(PyObject* given, ConstructorArguments& out) {
  const py::object items = as_tuple(
      given, "the third argument must be the text of the operation or a tuple of partials");
  const Py_ssize_t count = PyTuple_GET_SIZE(items.ptr());
  if (static_cast<std::size_t>(count) != out.count())
    fail(PyExc_ValueError,
         "one partial for each operand is wanted: got %zd partials for %zu operands", count,
         out.count());
  for (Py_ssize_t i = 0; i < count; ++i)
    out.partials.push_back(need_number(PyTuple_GET_ITEM(items.ptr(), i), "a partial of Value"));
  out.has_partials = true;
}

enum Parameter { Data, Children, Third, Label, ParameterCount };

Parameter parameter_named(PyObject* name) {
  constexpr struct {
    const char* name;
    Parameter parameter;
  } kNames[] = {{"data", Data}, {"_children", Children}, {"children", Children}, {"_op", Third},
                {"op", Third},  {"local_grads", Third},  {"label", Label}};
  for (const auto& known : kNames)
    if (PyUnicode_CompareWithASCIIString(name, known.name) == 0) return known.parameter;
  fail(PyExc_TypeError, "Value() has no argument '%U'; it takes data, _children, _op and label",
       name);
}

ConstructorArguments parse(PyObject* const* args, std::size_t count, PyObject* names) {
  PyObject* given[ParameterCount] = {};
  if (count > ParameterCount)
    fail(PyExc_TypeError, "Value() takes at most %d arguments, got %zu",
         static_cast<int>(ParameterCount), count);
  for (std::size_t i = 0; i < count; ++i) given[i] = args[i];
  for (Py_ssize_t i = 0; names != nullptr && i < PyTuple_GET_SIZE(names); ++i) {
    PyObject* name = PyTuple_GET_ITEM(names, i);
    PyObject*& slot = given[parameter_named(name)];
    if (slot != nullptr) fail(PyExc_TypeError, "Value() got '%U' twice", name);
    slot = args[count + static_cast<std::size_t>(i)];
  }
  if (given[Data] == nullptr) fail(PyExc_TypeError, "Value() needs its data, a real number");

  ConstructorArguments out;
  out.data = need_number(given[Data], "data");
  if (given[Children] != nullptr) read_operands(given[Children], out);
  if (given[Third] != nullptr) {
    if (!PyUnicode_Check(given[Third])) {
      if (given[Children] != nullptr && PyAnySet_Check(given[Children]) &&
          PySet_GET_SIZE(given[Children]) > 1)
        fail(PyExc_TypeError,
             "with partials _children must have an order: a tuple or a list, not a %.100s",
             Py_TYPE(given[Children])->tp_name);
      read_partials(given[Third], out);
    } else if (non_empty_text(given[Third]))
      out.op = given[Third];
  }
  if (given[Label] != nullptr) {
    if (!PyUnicode_Check(given[Label]))
      fail(PyExc_TypeError, "label must be a str, got %.100s", Py_TYPE(given[Label])->tp_name);
    if (non_empty_text(given[Label])) out.label = given[Label];
  }
  return out;
}

// Records the node; room has been made.
NodeId push(const ConstructorArguments& arguments) {
  if (arguments.is_leaf() || no_grad_depth != 0) return arena().push_leaf(arguments.data);
  std::vector<NodeId> operands;
  operands.reserve(arguments.count());
  for (std::size_t i = 0; i < arguments.count(); ++i) operands.push_back(use(arguments.operand(i)));
  return arena().push_many(
      arguments.has_partials ? Op::FixedPartials : Op::Opaque, arguments.data, operands.data(),
      arguments.has_partials ? arguments.partials.data() : nullptr, operands.size());
}

// A Value made anew keeps its attributes, but not what it computed before.
void forget_rule(PyObject* self) {
  arena().set_callback(node_of(self), false);
  PyObject* dict = as_value(self)->dict;
  for (const char* name : {"_backward", "_op"})
    if (dict != nullptr && item_named(dict, name) != nullptr &&
        PyDict_DelItemString(dict, name) != 0)
      throw py::error_already_set();
}

// Called by `Value(...)` with all but one plain number, if it is set: how a script's own class is
// constructed.
PyObject* own_constructor = nullptr;

void set_texts(PyObject* self, const ConstructorArguments& arguments) {
  if (arguments.op != nullptr) set_state(self, "_op", arguments.op);
  if (arguments.label != nullptr) set_state(self, "label", arguments.label);
}

} // namespace

PyObject* value_vectorcall(PyObject*, PyObject* const* args, size_t nargsf, PyObject* names) {
  try {
    const auto count = static_cast<std::size_t>(PyVectorcall_NARGS(nargsf));
    double leaf = 0.0;
    if (count == 1 && names == nullptr && read_number(args[0], &leaf) == IsReal::Yes) {
      arena().reserve(1);
      PyValue* out = new_handle();
      arena().attach_new(out->link, arena().push_leaf(leaf, Op::Leaf, core::kHasHandle));
      return as_object(out);
    }
    if (PyErr_Occurred()) return nullptr;
    if (own_constructor != nullptr) [[unlikely]]
      return PyObject_Vectorcall(own_constructor, args, count, names);
    const ConstructorArguments arguments = parse(args, count, names);
    arena().reserve(1, arguments.count());
    PyValue* out = new_handle();
    arena().attach(out->link, push(arguments));
    const auto owned = py::reinterpret_steal<py::object>(as_object(out));
    set_texts(owned.ptr(), arguments);
    return Py_NewRef(owned.ptr());
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

void set_constructor(const py::object& function) {
  PyObject* former = own_constructor;
  own_constructor = function.is_none() ? nullptr : py::object(function).release().ptr();
  Py_XDECREF(former);
}

// For subclasses: a leaf of 0.0 that __init__ then fills, so that no half-made Value exists.
PyObject* value_new(PyTypeObject* type, PyObject*, PyObject*) {
  try {
    PyObject* self = type == value_type ? as_object(new_handle()) : type->tp_alloc(type, 0);
    if (self == nullptr) return nullptr;
    as_value(self)->link = {};
    if (type != value_type) remember_instance(as_value(self));
    try {
      arena().reserve(1); // after the allocation, which may run destructors that use the room up
    } catch (...) {
      free_object(as_value(self));
      throw;
    }
    arena().attach(as_value(self)->link, arena().push_leaf(0.0));
    return self;
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

int value_init(PyObject* self, PyObject* args, PyObject* kwargs) {
  try {
    std::vector<PyObject*> all(PySequence_Fast_ITEMS(args),
                               PySequence_Fast_ITEMS(args) + PyTuple_GET_SIZE(args));
    const std::size_t count = all.size();
    py::list names;
    PyObject *key = nullptr, *item = nullptr;
    for (Py_ssize_t i = 0; kwargs != nullptr && PyDict_Next(kwargs, &i, &key, &item);) {
      names.append(py::handle(key));
      all.push_back(item);
    }
    const py::tuple keywords(names);
    const ConstructorArguments arguments = parse(all.data(), count, keywords.ptr());
    core::Handle& link = as_value(self)->link;
    for (std::size_t i = 0; i < arguments.count(); ++i)
      if (arguments.operand(i) == self)
        fail(PyExc_RuntimeError, "a Value cannot be its own operand");
    const bool leaf = arguments.is_leaf() && arena().op(link.node) == Op::Leaf;
    if (!leaf && link.bits & (core::Handle::Used | core::Handle::Fixed))
      fail(PyExc_RuntimeError,
           "this Value is already an operand: its operands cannot change; make a new Value");
    if (!leaf) arena().reserve(1, arguments.count());
    forget_rule(self);
    if (leaf) {
      arena().data(link.node) = arguments.data;
      arena().gradients(std::size_t{link.node} + 1)[link.node] = 0.0;
    } else {
      const std::uint32_t bits = link.bits;
      arena().detach(link);
      arena().attach(link, push(arguments));
      link.bits = bits;
      ++reattachments;
    }
    set_texts(self, arguments);
    return 0;
  } catch (...) {
    set_python_error();
    return -1;
  }
}

} // namespace arenagrad::bindings
