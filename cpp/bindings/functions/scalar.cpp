// The table of operations as methods of Value and as functions of the module: exp(x) of a Value is
// a Value, of a number a float, by the same formula and with the same errors; of lists and arrays
// element by element.
#include <array>

#include "arguments.h"
#include "bindings/value/record.h"
#include "documentation.h"
#include "elementwise.h"
#include "special.h"

namespace arenagrad::bindings {
namespace {

using core::Arena;
using core::NodeId;
using core::Op;
using core::Operands;

PyCFunction fast(PyObject* (*function)(PyObject*, PyObject* const*, Py_ssize_t)) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

bool wrong_count(Op op, Py_ssize_t count, Py_ssize_t least, Py_ssize_t most) {
  if (count >= least && count <= most) return false;
  const char* limit = count < least ? "at least" : "at most";
  PyErr_Format(PyExc_TypeError, "%s() takes %s %zd arguments, got %zd", core::op_info(op).name,
               limit, count < least ? least : most, count);
  return true;
}

// The operation on numbers alone.
PyObject* of_numbers(Op op, double a, double b) {
  need_special(op);
  const double y = core::evaluate(op, a, b);
  core::check_primal(op, a, b, y, core::kNoNode);
  return PyFloat_FromDouble(y);
}

// A new Value of `op`, Parametric and none that can fail, with its constant as a Literal.
template <Op op> PyObject* parametric(PyObject* a, double constant) {
  const auto push = [=](Arena& g, core::Tag held) {
    const NodeId operand = use(a), literal = g.push_leaf(constant, Op::Literal);
    return g.push(op, core::evaluate(op, g.data(operand), constant), {operand, literal}, held);
  };
  Arena& g = arena();
  if (pool.empty() || !g.ready_for(2)) [[unlikely]]
    return recorded(2, [&](Arena& room) { return push(room, 0); });
  PyValue* out = pool.take();
  g.attach_new(out->link, push(g, core::kHasHandle));
  return as_object(out);
}

// Whether an operand is a list or an array, which the usual operands are seen not to be at once.
template <std::size_t N> bool any_list_or_array(PyObject* const (&operands)[N]) {
  for (PyObject* operand : operands)
    if (!is_value(operand) && !PyFloat_CheckExact(operand) && is_list_or_array(operand))
      return true;
  return false;
}

template <std::size_t N> PyObject* for_each_element(Op op, PyObject* const (&operands)[N]) {
  return as_floats(elementwise(core::op_info(op).name, operands, N)).release().ptr();
}

template <Op op> PyObject* apply_parametric(PyObject* a, PyObject* const* given, Py_ssize_t count) {
  if (count == 0 && any_list_or_array({a})) return for_each_element(op, {a});
  if (count != 0 && any_list_or_array({a, given[0]})) return for_each_element(op, {a, given[0]});
  const double constant =
      count == 0 ? core::op_info(op).b : need_number(given[0], "the second argument");
  if (is_value(a)) return parametric<op>(a, constant);
  return of_numbers(op, need_number(a, "the first argument"), constant);
}

PyObject* apply_binary(Op op, PyObject* a, PyObject* b) {
  if (any_list_or_array({a, b})) return for_each_element(op, {a, b});
  if (is_value(a) || is_value(b)) {
    PyObject* out = value_binary(op, a, b);
    if (out != Py_NotImplemented) return out;
    Py_DECREF(out);
  }
  const double x = is_value(a) ? 0.0 : need_number(a, "the first argument");
  return of_numbers(op, x, need_number(b, "the second argument"));
}

template <Op op> PyObject* unary_method(PyObject* self, PyObject*) {
  if (PyObject* out = recorded_at_once<op>(self)) [[likely]]
    return out;
  return value_unary(op, self);
}

template <Op op> PyObject* binary_method(PyObject* self, PyObject* other) {
  if (PyObject* out = recorded_at_once<op>(self, other)) [[likely]]
    return out;
  return guarded([&] { return apply_binary(op, self, other); });
}

template <Op op>
PyObject* parametric_method(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (wrong_count(op, count, 0, 1)) return nullptr;
  return guarded([&] { return apply_parametric<op>(self, args, count); });
}

template <Op op> PyObject* unary_function(PyObject*, PyObject* x) {
  if (PyObject* out = recorded_at_once<op>(x)) [[likely]]
    return out;
  if (is_value(x)) return value_unary(op, x);
  return guarded([&] {
    if (any_list_or_array({x})) return for_each_element(op, {x});
    return of_numbers(op, need_number(x, "the argument"), 0.0);
  });
}

template <Op op> PyObject* binary_function(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (wrong_count(op, count, 2, 2)) return nullptr;
  if (PyObject* out = recorded_at_once<op>(args[0], args[1])) [[likely]]
    return out;
  return guarded([&] { return apply_binary(op, args[0], args[1]); });
}

template <Op op> PyObject* parametric_function(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (wrong_count(op, count, 1, 2)) return nullptr;
  return guarded([&] { return apply_parametric<op>(args[0], args + 1, count - 1); });
}

PyObject* clip(PyObject*, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  Arguments<3> a;
  if (!a.read("clip", {"a", "a_min", "a_max"}, 1, args, count, keywords)) return nullptr;
  return guarded([&] {
    auto result = py::reinterpret_borrow<py::object>(a[0]);
    const auto bound = [&](Op op, PyObject* limit) {
      if (limit == nullptr || limit == Py_None) return;
      PyObject* bounded = apply_binary(op, result.ptr(), limit);
      if (bounded == nullptr) throw py::error_already_set();
      result = py::reinterpret_steal<py::object>(bounded);
    };
    bound(Op::Maximum, a[1]);
    bound(Op::Minimum, a[2]);
    if (!is_value(result.ptr()) && !is_list_or_array(result.ptr()))
      result = py::float_(need_number(result.ptr(), "a"));
    return result.release().ptr();
  });
}

// What Python spells with an operator has no method or function.
constexpr bool is_operator(Op op) { return op == Op::Add || op == Op::Mul || op == Op::Pow; }

constexpr const char* kFormulas[] = {
#define ARENAGRAD_OP(Id, name, symbol, operands, primal, ...) #primal,
#include "core/ops.def"
};

// What help() shows: the signature, and the formula as it stands in the table.
const char* doc_of(Op op, const char* receiver) {
  const core::OpInfo& info = core::op_info(op);
  const bool method = receiver[1] == 's';
  std::string second;
  if (info.operands == Operands::Binary) second = ", b";
  if (info.operands == Operands::Parametric)
    second = ", b=" + std::string(py::str(py::float_(info.b)));
  const auto row = static_cast<std::size_t>(op) - core::kFirstTableOp;
  // Leaked: Python keeps the pointer.
  const auto* text = new std::string(
      std::string(info.name) + "(" + receiver + (method ? "" : ", a") + second + ", /)\n--\n\n" +
      kFormulas[row] +
      (method
           ? ", where a is self: a new Value."
           : ": a Value if an argument is one, a float for real numbers."
             "\n\nLists and arrays are taken element by element, broadcast as NumPy does: an array "
             "if one\nis an array, else a list.") +
      "\n\nRaises what Python's math raises outside the domain, TypeError for what is neither a "
      "Value\nnor a real number. Its errors and conventions stand in cpp/OPERATIONS.md.");
  return text->c_str();
}

template <Op op> PyMethodDef method_of() {
  const char *name = core::op_info(op).name, *doc = doc_of(op, "$self");
  if constexpr (core::op_info(op).operands == Operands::Unary)
    return {name, unary_method<op>, METH_NOARGS, doc};
  else if constexpr (core::op_info(op).operands == Operands::Binary)
    return {name, binary_method<op>, METH_O, doc};
  else
    return {name, fast(parametric_method<op>), METH_FASTCALL, doc};
}

template <Op op> PyMethodDef function_of() {
  const char *name = core::op_info(op).name, *doc = doc_of(op, "$module");
  if constexpr (core::op_info(op).operands == Operands::Unary)
    return {name, unary_function<op>, METH_O, doc};
  else if constexpr (core::op_info(op).operands == Operands::Binary)
    return {name, fast(binary_function<op>), METH_FASTCALL, doc};
  else
    return {name, fast(parametric_function<op>), METH_FASTCALL, doc};
}

} // namespace

PyObject* value_unary(Op op, PyObject* a) {
  return recorded(1, [&](Arena& g) {
    need_special(op);
    return record_checked(g, op, a, nullptr);
  });
}

PyObject* value_binary(Op op, PyObject* a, PyObject* b) {
  if (is_value(a) && is_value(b))
    return recorded(1, [&](Arena& g) { return record_checked(g, op, a, b); });
  double number = 0.0;
  switch (read_number(is_value(a) ? b : a, &number)) {
  case IsReal::Failed:
    return nullptr;
  case IsReal::No:
    Py_RETURN_NOTIMPLEMENTED;
  case IsReal::Yes:
    break;
  }
  return recorded(2, [&](Arena& g) {
    const bool first = is_value(a);
    PyObject* value = first ? a : b;
    const Operand known{nullptr, number}, asked = operand_of(value);
    const Operand x = first ? asked : known, z = first ? known : asked;
    const double y = core::evaluate(op, x.number, z.number);
    check_recorded(op, x, z, y);
    const NodeId node = use(value), leaf = g.push_leaf(number);
    const NodeId out =
        g.push(op, y, first ? core::Operand2{node, leaf} : core::Operand2{leaf, node});
    return core::op_info(op).may_fail == core::MayFail::Never ? out : note_fallible(out);
  });
}

std::vector<PyMethodDef> op_methods() {
  std::vector<PyMethodDef> methods;
#define ARENAGRAD_OP(Id, ...)                                                                      \
  if (!is_operator(Op::Id)) methods.push_back(method_of<Op::Id>());
#include "core/ops.def"
  return methods;
}

void bind_ops(py::module_& module) {
  static std::array<PyMethodDef, core::kOpCount> definitions{}; // ends with an empty one
  static PyMethodDef others[] = {definition("clip", clip, kClipDoc),
                                 {nullptr, nullptr, 0, nullptr}};
  PyMethodDef* next = definitions.data();
#define ARENAGRAD_OP(Id, ...)                                                                      \
  if (!is_operator(Op::Id)) *next++ = function_of<Op::Id>();
#include "core/ops.def"
  for (PyMethodDef* functions : {definitions.data(), others})
    if (PyModule_AddFunctions(module.ptr(), functions) != 0) throw py::error_already_set();
  module.attr("mod") = module.attr("remainder"); // NumPy's other name
}

} // namespace arenagrad::bindings
