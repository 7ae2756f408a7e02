// The operations of any number of operands as functions of the module: one node for each result.
// A row of ops.def that takes one list, Xs, needs nothing here; the others read their own
// arguments.
#include <algorithm>
#include <array>
#include <string>

#include "arguments.h"
#include "bindings/pytree/numpy.h"
#include "bindings/value/record.h"
#include "core/nary.h"
#include "documentation.h"
#include "elementwise.h"
#include "operands.h"
#include "special.h"

namespace arenagrad::bindings {
namespace {

using core::Arena;
using core::NodeId;
using core::Op;

constexpr double zero() { return 0.0; }

// Results come in a list, or in an array where an array was given.
py::object like(PyObject* given, py::list results) {
  if (!is_array_like(given)) return results;
  const py::module_ numpy = py::module_::import("numpy");
  return as_value_array(numpy.attr("array")(results, py::arg("dtype") = "O"));
}

// The start of a sum, if any; one that adds nothing is left out of the node. Read once only, since
// that may run anything.
struct Start {
  explicit Start(PyObject* start) {
    if (start == nullptr || is_value(start)) {
      value = start;
      return;
    }
    number = need_number(start, "start");
    foreign = !PyFloat_CheckExact(start) && !PyLong_CheckExact(start);
  }
  bool counts() const { return value != nullptr || number != zero(); }

  PyObject* value = nullptr;
  double number = zero();
  bool foreign = false;
};

// op over a start, if it counts, and the items of all parts: a Value if one of them is, else a
// float.
PyObject* apply(Op op, const Start& start, std::initializer_list<Sequence*> parts) {
  need_unchanged(parts, start.foreign);
  std::size_t count = start.counts() ? 1 : 0;
  bool values = start.value != nullptr;
  for (const Sequence* part : parts) {
    count += part->size();
    values = values || part->has_values();
  }
  arena().reserve_scratch(core::scratch_size(op, count));
  if (!values) {
    std::vector<double> numbers;
    if (start.counts()) numbers.push_back(start.number);
    for (const Sequence* part : parts)
      for (std::size_t i = 0; i < part->size(); ++i) numbers.push_back(part->number(i));
    const auto x = [&](std::size_t i) { return numbers[i]; };
    return PyFloat_FromDouble(core::nary_value(op, count, x, arena().scratch()));
  }
  reserve_for(parts, count + 1, count);
  return recorded(0, [&](Arena& g) {
    NodeId* operand = g.next_edges();
    if (start.counts())
      *operand++ = start.value != nullptr ? use(start.value) : g.push_leaf(start.number);
    for (const Sequence* part : parts) operand = part->nodes(operand);
    const NodeId node = core::record_nary(g, op, count);
    return op == Op::Take ? note_fallible(node) : node;
  });
}

// Throws ValueError if the operation needs more numbers than there are.
void need_enough(Op op, const Sequence& xs) {
  const std::size_t least = core::operand_counts(op).least, count = xs.size();
  if (count >= least) return;
  const std::string needed = least == 1 ? "one number" : std::to_string(least) + " numbers";
  throw py::value_error(std::string(core::op_info(op).name) + "() needs at least " + needed +
                        ", got " + (count == 0 ? "none" : std::to_string(count)));
}

void need_equal(const char* what, std::size_t one, const char* other_what, std::size_t other) {
  if (one != other)
    throw py::value_error(std::string(what) + " and " + other_what + " must be equally many, got " +
                          std::to_string(one) + " and " + std::to_string(other));
}

using Args = PyObject* const*;

// The function of a row with one result; rows with arguments of their own specialise it.
template <Op op> PyObject* function(PyObject*, Args args, Py_ssize_t count, PyObject* keywords) {
  Arguments<1> a;
  if (!a.read(core::op_info(op).name, {"xs"}, 1, args, count, keywords)) return nullptr;
  return guarded([&] {
    Sequence xs(a[0], "xs");
    need_enough(op, xs);
    return apply(op, Start(nullptr), {&xs});
  });
}

// The function of a row with as many results as operands.
template <Op op>
PyObject* group_function(PyObject*, Args args, Py_ssize_t count, PyObject* keywords) {
  Arguments<1> a;
  if (!a.read(core::op_info(op).name, {"xs"}, 1, args, count, keywords)) return nullptr;
  return guarded([&]() -> PyObject* {
    Sequence xs(a[0], "xs");
    need_enough(core::group_of(op), xs);
    const std::size_t n = xs.size();
    py::list results(n);
    if (!xs.has_values()) {
      std::vector<double> primals(n);
      const auto x = [&](std::size_t i) { return xs.number(i); };
      core::visit_group(op, [&](auto rule) { rule.results(n, x, primals.data()); });
      for (std::size_t i = 0; i < n; ++i) results[i] = py::float_(primals[i]);
      return like(a[0], std::move(results)).release().ptr();
    }
    std::vector<NodeId> nodes;
    nodes.reserve(n);
    Arena& g = arena();
    reserve_for(std::array{&xs}, 2 * n + 1, n);
    g.reserve_scratch(core::scratch_size(core::group_of(op), n));
    const Recording recording;
    xs.nodes(g.next_edges());
    core::record_group(g, op, n, nodes);
    recording.finish(nodes);
    const Arena::Frozen frozen(g); // making Values may run a collection
    for (std::size_t i = 0; i < n; ++i)
      results[i] = py::reinterpret_steal<py::object>(new_value(nodes[i]));
    return like(a[0], std::move(results)).release().ptr();
  });
}

template <>
PyObject* function<Op::Sum>(PyObject*, Args args, Py_ssize_t count, PyObject* keywords) {
  Arguments<2> a;
  if (!a.read("sum", {"xs", "start"}, 1, args, count, keywords)) return nullptr;
  return guarded([&] {
    Sequence xs(a[0], "xs");
    return apply(Op::Sum, Start(a[1]), {&xs});
  });
}

template <>
PyObject* function<Op::Dot>(PyObject*, Args args, Py_ssize_t count, PyObject* keywords) {
  Arguments<3> a;
  if (!a.read("dot", {"ws", "xs", "start"}, 2, args, count, keywords)) return nullptr;
  return guarded([&] {
    Sequence ws(a[0], "ws"), xs(a[1], "xs");
    need_equal("ws", ws.size(), "xs", xs.size());
    return apply(Op::Dot, Start(a[2]), {&ws, &xs});
  });
}

template <>
PyObject* function<Op::Where>(PyObject*, Args args, Py_ssize_t count, PyObject* keywords) {
  Arguments<3> a;
  if (!a.read("where", {"condition", "x", "y"}, 3, args, count, keywords)) return nullptr;
  return guarded([&]() -> PyObject* {
    for (PyObject* operand : a.given)
      if (is_list_or_array(operand))
        return as_value_array(elementwise("where", a.given, 3)).release().ptr();
    py::object condition = py::reinterpret_borrow<py::object>(a[0]);
    if (!is_value(a[0])) {
      const int truth = PyObject_IsTrue(a[0]);
      if (truth < 0) throw py::error_already_set();
      condition = py::float_(static_cast<double>(truth));
    }
    const py::tuple operands = py::make_tuple(condition, py::handle(a[1]), py::handle(a[2]));
    Sequence all(operands.ptr(), "x and y");
    return apply(Op::Where, Start(nullptr), {&all});
  });
}

// The number of one of `count` values that an object, or a Value's primal, is.
std::size_t index_of(PyObject* index, std::size_t count) {
  const bool traced = is_value(index);
  const double x = traced ? arena().data(node_of(index)) : need_number(index, "the index");
  if (core::is_index(x, count)) return static_cast<std::size_t>(x);
  if (Trace* trace = traced ? tracing() : nullptr)
    trace->failed(Op::Take, index, x, nullptr, static_cast<double>(count), core::Failure::NoIndex);
  throw py::index_error("take() wants the number of one of " + std::to_string(count) +
                        " values, from 0, got " + core::float_text(x));
}

// Number `index` of the values: the very object, or a node if the index is a Value.
PyObject* take_one(PyObject* index, PyObject* given) {
  Sequence values(given, "values");
  const std::size_t which = index_of(index, values.size());
  if (!is_value(index)) {
    PyObject* item = values.item(which);
    return is_value(item) ? Py_NewRef(item) : PyFloat_FromDouble(values.number(which));
  }
  const py::tuple only = py::make_tuple(py::handle(index));
  Sequence first(only.ptr(), "the index");
  return apply(Op::Take, Start(nullptr), {&first, &values});
}

// The same of each column of rows.
py::object take_row(PyObject* index, PyObject* values, const py::tuple& rows) {
  const std::size_t which = index_of(index, rows.size());
  std::vector<py::tuple> read;
  for (const py::handle row : rows) {
    read.emplace_back(items_as_tuple(row.ptr(), "a row of values must be a list, tuple or array"));
    need_equal("rows of values", read.back().size(), "the first", read.front().size());
  }
  const std::size_t width = read.front().size();
  py::list results(width);
  for (std::size_t k = 0; k < width; ++k) {
    py::list column;
    for (const py::tuple& row : read) column.append(row[k]);
    PyObject* taken = take_one(is_value(index) ? index : py::int_(which).ptr(), column.ptr());
    if (taken == nullptr) throw py::error_already_set();
    results[k] = py::reinterpret_steal<py::object>(taken);
  }
  return like(is_array_like(values) ? values : read.front().ptr(), std::move(results));
}

template <>
PyObject* function<Op::Take>(PyObject*, Args args, Py_ssize_t count, PyObject* keywords) {
  Arguments<2> a;
  if (!a.read("take", {"values", "index"}, 2, args, count, keywords)) return nullptr;
  return guarded([&]() -> PyObject* {
    const py::tuple rows = items_as_tuple(a[0], "values must be a list, tuple or array");
    if (rows.empty()) index_of(a[1], 0);
    PyObject* first = PyTuple_GET_ITEM(rows.ptr(), 0);
    if (PyList_Check(first) || PyTuple_Check(first) || is_array_like(first))
      return take_row(a[1], a[0], rows).release().ptr();
    return take_one(a[1], rows.ptr());
  });
}

// The variance or its root: of n - ddof numbers, one more node where ddof is not 0.
template <Op op, class Rule> PyObject* spread(Args args, Py_ssize_t count, PyObject* keywords) {
  Arguments<2> a;
  if (!a.read(core::op_info(op).name, {"xs", "ddof"}, 1, args, count, keywords)) return nullptr;
  return guarded([&]() -> PyObject* {
    const double less = a[1] == nullptr ? zero() : need_number(a[1], "ddof");
    Sequence xs(a[0], "xs");
    need_enough(op, xs);
    if (!(static_cast<double>(xs.size()) > less))
      throw py::value_error(std::string(core::op_info(op).name) +
                            "() needs more numbers than ddof, " + core::float_text(less) +
                            ", got " + std::to_string(xs.size()));
    const double scale = Rule::scale(xs.size(), less);
    PyObject* plain = apply(op, Start(nullptr), {&xs});
    if (plain == nullptr || less == zero()) return plain;
    const auto held = py::reinterpret_steal<py::object>(plain);
    return PyNumber_Multiply(plain, py::float_(scale).ptr());
  });
}

template <>
PyObject* function<Op::Var>(PyObject*, Args args, Py_ssize_t count, PyObject* keywords) {
  return spread<Op::Var, core::nary::Var>(args, count, keywords);
}

template <>
PyObject* function<Op::Std>(PyObject*, Args args, Py_ssize_t count, PyObject* keywords) {
  return spread<Op::Std, core::nary::Std>(args, count, keywords);
}

// interp() of each element of x.
PyObject* interp_each(const Arguments<5>& a) {
  const py::object whole = py::module_::import("arenagrad._core.functions").attr("interp");
  py::dict rest;
  const char* const names[] = {"x", "xp", "fp", "left", "right"};
  for (std::size_t i = 1; i < std::size(names); ++i)
    if (a[i] != nullptr) rest[names[i]] = py::handle(a[i]);
  const py::object each = py::module_::import("functools").attr("partial")(whole, **rest);
  return as_floats(elementwise(each, a.given, 1)).release().ptr();
}

template <>
PyObject* function<Op::Interp>(PyObject*, Args args, Py_ssize_t count, PyObject* keywords) {
  Arguments<5> a;
  if (!a.read("interp", {"x", "xp", "fp", "left", "right"}, 3, args, count, keywords))
    return nullptr;
  return guarded([&]() -> PyObject* {
    if (is_list_or_array(a[0])) return interp_each(a);
    const py::tuple points = items_as_tuple(a[1], "xp must be a list, tuple or array");
    const py::tuple numbers = items_as_tuple(a[2], "fp must be a list, tuple or array");
    need_equal("xp", points.size(), "fp", numbers.size());
    if (points.empty()) throw py::value_error("interp() needs at least one point, got none");
    const auto or_end = [&](PyObject* given, std::size_t end) {
      return given == nullptr || given == Py_None ? py::object(numbers[end])
                                                  : py::reinterpret_borrow<py::object>(given);
    };
    const py::tuple ends =
        py::make_tuple(py::handle(a[0]), or_end(a[3], 0), or_end(a[4], numbers.size() - 1));
    Sequence first(ends.ptr(), "x, left and right"), xp(points.ptr(), "xp"),
        fp(numbers.ptr(), "fp");
    return apply(Op::Interp, Start(nullptr), {&first, &xp, &fp});
  });
}

// A shape: a number, or a Value by which no partial is wanted, as a Literal; a Value of a trace as
// it is. Requires room for three nodes and two edges.
NodeId shape_node(Arena& g, const Sequence& operands, std::size_t i) {
  PyObject* const shape = operands.item(i);
  if (!is_value(shape)) return g.push_leaf(operands.number(i), Op::Literal);
  if ((as_value(shape)->link.bits & core::Handle::Detached) == 0) return use(shape);
  if (tracing() != nullptr) return stop_gradient(use(shape));
  return g.push_leaf(g.data(node_of(shape)), Op::Literal);
}

// Throws the error of a function of shapes that failed with y. A trace under way remembers it.
[[noreturn]] void throw_shaped(core::Failure failure, Op op, Sequence& operands,
                               const core::Numbers<double>& numbers, double y) {
  NodeId node = core::kNoNode;
  for (std::size_t i = 0; i < operands.size(); ++i)
    if (is_value(operands.item(i))) node = node_of(operands.item(i));
  Trace* const trace = operands.has_values() ? tracing() : nullptr;
  if (trace != nullptr) {
    const auto sum = py::reinterpret_steal<py::object>(apply(Op::Sum, Start(nullptr), {&operands}));
    if (!sum) throw py::error_already_set();
    trace->failed(op, sum.ptr(), y, nullptr, zero(), failure);
  }
  core::throw_shaped(failure, op, numbers, node);
}

// A function whose operands but for the last are shapes.
PyObject* apply_shaped(Op op, PyObject* const* given, std::size_t count, const char* names) {
  for (std::size_t i = 0; i < count; ++i)
    if (is_list_or_array(given[i]))
      return as_floats(elementwise(core::op_info(op).name, given, count)).release().ptr();
  need_special(op);
  py::tuple together(count);
  for (std::size_t i = 0; i < count; ++i) together[i] = py::handle(given[i]);
  Sequence operands(together.ptr(), names);
  core::Numbers<double> numbers;
  for (std::size_t i = 0; i < count; ++i) numbers.push_back(operands.primal(i));
  const double y = core::nary_value(op, count, [&](std::size_t i) { return numbers[i]; }, nullptr);
  const core::Failure failure = core::shaped_failure(numbers, y);
  if (failure != core::Failure::None) throw_shaped(failure, op, operands, numbers, y);
  if (!operands.has_values()) return PyFloat_FromDouble(y);
  reserve_for(std::array{&operands}, 3 * count + 1, 3 * count);
  return recorded(0, [&](Arena& g) {
    core::Numbers<NodeId> nodes;
    for (std::size_t i = 0; i + 1 < count; ++i) nodes.push_back(shape_node(g, operands, i));
    nodes.push_back(operands.node(count - 1));
    std::copy(nodes.begin(), nodes.end(), g.next_edges());
    return note_fallible(core::record_nary(g, op, count));
  });
}

// Throws unless n is the order of a derivative of digamma.
void need_order(PyObject* n) {
  if (is_value(n))
    throw py::type_error("n of polygamma() must be a whole number, got a Value: write int(n)");
  const double order = need_number(n, "n");
  if (!(core::is_whole_below(order, core::kMostPolygamma + 1.0)))
    throw py::value_error("n of polygamma() must be one of 0, 1, 2, ... up to " +
                          std::to_string(static_cast<int>(core::kMostPolygamma)) + ", got " +
                          core::float_text(order));
}

template <>
PyObject* function<Op::Polygamma>(PyObject*, Args args, Py_ssize_t count, PyObject* keywords) {
  Arguments<2> a;
  if (!a.read("polygamma", {"n", "x"}, 2, args, count, keywords)) return nullptr;
  return guarded([&] {
    if (!is_list_or_array(a[0])) need_order(a[0]);
    return apply_shaped(Op::Polygamma, a.given, 2, "n and x");
  });
}

template <>
PyObject* function<Op::Gammainc>(PyObject*, Args args, Py_ssize_t count, PyObject* keywords) {
  Arguments<2> a;
  if (!a.read("gammainc", {"a", "x"}, 2, args, count, keywords)) return nullptr;
  return guarded([&] { return apply_shaped(Op::Gammainc, a.given, 2, "a and x"); });
}

template <>
PyObject* function<Op::Betainc>(PyObject*, Args args, Py_ssize_t count, PyObject* keywords) {
  Arguments<3> a;
  if (!a.read("betainc", {"a", "b", "x"}, 3, args, count, keywords)) return nullptr;
  return guarded([&] { return apply_shaped(Op::Betainc, a.given, 3, "a, b and x"); });
}

PyObject* cumsum(PyObject*, Args args, Py_ssize_t count, PyObject* keywords) {
  Arguments<1> a;
  if (!a.read("cumsum", {"xs"}, 1, args, count, keywords)) return nullptr;
  return guarded([&] {
    const py::tuple items =
        items_as_tuple(a[0], "xs must be a list, tuple or array of Values and numbers");
    const Sequence xs(items.ptr(), "xs");
    py::list results(xs.size());
    for (std::size_t i = 0; i < xs.size(); ++i) {
      const py::object x = is_value(xs.item(i)) ? py::object(items[i]) : py::float_(xs.number(i));
      results[i] = i == 0 ? x : py::object(results[i - 1]) + x;
    }
    return like(a[0], std::move(results)).release().ptr();
  });
}

// The rows of a matrix, each with as many numbers as there are inputs.
std::vector<Sequence> read_rows(PyObject* weights, std::size_t inputs) {
  const py::object rows = items_as_tuple(weights, "weights must be a list, tuple or array of rows");
  std::vector<Sequence> read;
  read.reserve(static_cast<std::size_t>(PyTuple_GET_SIZE(rows.ptr())));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(rows.ptr()); ++i) {
    read.emplace_back(PyTuple_GET_ITEM(rows.ptr(), i), "a row of weights");
    need_equal("the weights of a row", read.back().size(), "x", inputs);
  }
  return read;
}

PyObject* linear(PyObject*, Args args, Py_ssize_t count, PyObject* keywords) {
  Arguments<3> a;
  if (!a.read("linear", {"weights", "x", "biases"}, 2, args, count, keywords)) return nullptr;
  return guarded([&]() -> PyObject* {
    Sequence x(a[1], "x");
    std::vector<Sequence> rows = read_rows(a[0], x.size());
    const bool biased = a[2] != nullptr && a[2] != Py_None;
    const py::tuple nothing;
    Sequence biases(biased ? a[2] : nothing.ptr(), "biases");
    if (biased) need_equal("biases", biases.size(), "rows of weights", rows.size());
    const std::size_t n = x.size();

    std::vector<Sequence*> read{&x, &biases};
    for (Sequence& row : rows) read.push_back(&row);
    need_unchanged(read, !PyList_CheckExact(a[0]) && !PyTuple_CheckExact(a[0]));
    const bool values = std::any_of(read.begin(), read.end(),
                                    [](const Sequence* one) { return one->has_values(); });
    py::list results(rows.size());
    if (!values) {
      for (std::size_t k = 0; k < rows.size(); ++k) {
        std::vector<double> numbers;
        if (biased) numbers.push_back(biases.number(k));
        for (std::size_t i = 0; i < n; ++i) numbers.push_back(rows[k].number(i));
        for (std::size_t i = 0; i < n; ++i) numbers.push_back(x.number(i));
        results[k] = py::float_(core::nary_value(
            Op::Dot, numbers.size(), [&](std::size_t i) { return numbers[i]; }, nullptr));
      }
      return like(a[1], std::move(results)).release().ptr();
    }
    std::vector<NodeId> inputs, outputs;
    inputs.reserve(n), outputs.reserve(rows.size());
    reserve_for(read, rows.size() * (n + 2) + n, rows.size() * (2 * n + 1));
    Arena& g = arena();
    const Recording recording;
    inputs.resize(n); // never above what was reserved
    x.nodes(inputs.data());
    for (std::size_t k = 0; k < rows.size(); ++k) {
      NodeId* operand = g.next_edges();
      if (biased) *operand++ = biases.node(k);
      operand = rows[k].nodes(operand);
      std::copy(inputs.begin(), inputs.end(), operand);
      outputs.push_back(core::record_nary(g, Op::Dot, 2 * n + biased));
    }
    recording.finish(outputs);
    const Arena::Frozen frozen(g); // making Values may run a collection
    for (std::size_t k = 0; k < outputs.size(); ++k)
      results[k] = py::reinterpret_steal<py::object>(new_value(outputs[k]));
    return like(a[1], std::move(results)).release().ptr();
  });
}

// The docstring of a row that takes xs: its help, then the sections that all of them share.
const char* doc_of(Op op, const char* help, bool many_results) {
  const bool refuses_empty = core::operand_counts(core::group_of(op)).least != 0;
  const auto* text = new std::string( // leaked: Python keeps the pointer
      std::string(core::op_info(op).name) + "($module, xs)\n--\n\n" + help +
      "\n\nArgs:\n    xs: as for sum().\n\nReturns:\n    " +
      (many_results ? "A list, or an array if xs is one."
                    : "A Value if an operand is one, else a float.") +
      "\n\nRaises:\n" + (refuses_empty ? "    ValueError: xs is empty.\n" : "") +
      "    TypeError: as sum() does.");
  return text->c_str();
}

} // namespace

void bind_nary(py::module_& module) {
  static PyMethodDef definitions[] = {
#define ARENAGRAD_NARY_DOC_Xs(Id, help, many_results) doc_of(Op::Id, help, many_results)
#define ARENAGRAD_NARY_DOC_Own(Id, help, many_results) k##Id##Doc
#define ARENAGRAD_NARY(Id, name, symbol, arguments, help)                                          \
  definition(#name, function<Op::Id>, ARENAGRAD_NARY_DOC_##arguments(Id, help, false)),
#define ARENAGRAD_GROUP(Id, name, symbol, arguments, help)                                         \
  definition(#name, group_function<Op::Id>, ARENAGRAD_NARY_DOC_##arguments(Id, help, true)),
#include "core/ops.def"
#undef ARENAGRAD_NARY_DOC_Xs
#undef ARENAGRAD_NARY_DOC_Own
      definition("linear", linear, kLinearDoc),
      definition("cumsum", cumsum, kCumsumDoc),
      {nullptr, nullptr, 0, nullptr}};
  if (PyModule_AddFunctions(module.ptr(), definitions) != 0) throw py::error_already_set();
}

} // namespace arenagrad::bindings
