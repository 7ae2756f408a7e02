// The operations of any number of operands as functions of the module: one node for each result.
#include <algorithm>

#include <array>

#include "arguments.h"
#include "bindings/value/record.h"
#include "core/nary.h"
#include "documentation.h"
#include "operands.h"

namespace arenagrad::bindings {
namespace {

using core::Arena;
using core::NodeId;
using core::Op;

constexpr double zero() { return 0.0; }

// NumPy's scalars have the interface too, but are no sequences.
bool is_array(PyObject* object) {
  return PySequence_Check(object) && !PyList_Check(object) && !PyTuple_Check(object) &&
         PyObject_HasAttrString(object, "__array_interface__");
}

// Results come in a list, or in an array where an array was given.
py::object like(PyObject* given, py::list results) {
  if (!is_array(given)) return results;
  const py::module_ numpy = py::module_::import("numpy");
  return numpy.attr("array")(results, py::arg("dtype") = "O");
}

// Records the node of `op` over the operands that stand at next_edges(); requires room.
NodeId push_nary(Arena& g, Op op, std::size_t count) {
  const NodeId* operands = g.next_edges();
  const double* data = g.data_array();
  const auto x = [=](std::size_t i) { return data[operands[i]]; };
  // With Dot known to the compiler its loop is a loop and nothing else.
  const double y = op == Op::Dot ? core::nary_value(Op::Dot, count, x, nullptr)
                                 : core::nary_value(op, count, x, g.scratch());
  return g.push_many(op, y, operands, nullptr, count);
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
    return push_nary(g, op, count);
  });
}

void need_some(const Sequence& xs, const char* function) {
  if (xs.size() == 0)
    throw py::value_error(std::string(function) + "() needs at least one number, got none");
}

void need_equal(const char* what, std::size_t one, const char* other_what, std::size_t other) {
  if (one != other)
    throw py::value_error(std::string(what) + " and " + other_what + " must be equally many, got " +
                          std::to_string(one) + " and " + std::to_string(other));
}

using Args = PyObject* const*;

template <Op op> PyObject* one_list(PyObject*, Args args, Py_ssize_t count, PyObject* keywords) {
  Arguments<1> a;
  if (!a.read(core::op_info(op).name, {"xs"}, 1, args, count, keywords)) return nullptr;
  return guarded([&] {
    Sequence xs(a[0], "xs");
    if (op == Op::Mean || op == Op::LogSumExp) need_some(xs, core::op_info(op).name);
    return apply(op, Start(nullptr), {&xs});
  });
}

PyObject* sum(PyObject*, Args args, Py_ssize_t count, PyObject* keywords) {
  Arguments<2> a;
  if (!a.read("sum", {"xs", "start"}, 1, args, count, keywords)) return nullptr;
  return guarded([&] {
    Sequence xs(a[0], "xs");
    return apply(Op::Sum, Start(a[1]), {&xs});
  });
}

PyObject* dot(PyObject*, Args args, Py_ssize_t count, PyObject* keywords) {
  Arguments<3> a;
  if (!a.read("dot", {"ws", "xs", "start"}, 2, args, count, keywords)) return nullptr;
  return guarded([&] {
    Sequence ws(a[0], "ws"), xs(a[1], "xs");
    need_equal("ws", ws.size(), "xs", xs.size());
    return apply(Op::Dot, Start(a[2]), {&ws, &xs});
  });
}

template <Op op, Op group>
PyObject* parts(PyObject*, Args args, Py_ssize_t count, PyObject* keywords) {
  Arguments<1> a;
  if (!a.read(core::op_info(op).name, {"xs"}, 1, args, count, keywords)) return nullptr;
  return guarded([&]() -> PyObject* {
    Sequence xs(a[0], "xs");
    const std::size_t n = xs.size();
    py::list results(n);
    std::vector<NodeId> nodes;
    nodes.reserve(n);
    Arena& g = arena();
    if (xs.has_values()) reserve_for(std::array{&xs}, 2 * n + 1, n);
    g.reserve_scratch(core::scratch_size(group, n));
    const double* each = g.scratch();
    const auto result = [each](const core::Exponentials& e, double x, std::size_t i) {
      return op == Op::Softmax ? each[i] / e.total : e.log_softmax(x);
    };
    if (!xs.has_values()) {
      const core::Exponentials e(n, [&](std::size_t i) { return xs.number(i); }, g.scratch());
      for (std::size_t i = 0; i < n; ++i) results[i] = py::float_(result(e, xs.number(i), i));
      return like(a[0], std::move(results)).release().ptr();
    }
    const Recording recording;
    const NodeId* operands = g.next_edges();
    xs.nodes(g.next_edges());
    const auto x = [&](std::size_t i) { return g.data(operands[i]); };
    const core::Exponentials e(n, x, g.scratch());
    const NodeId shared = g.push_many(group, zero(), operands, nullptr, n);
    for (std::size_t i = 0; i < n; ++i)
      nodes.push_back(g.push(op, result(e, x(i), i), {shared, static_cast<NodeId>(i)}));
    recording.finish(nodes);
    const Arena::Frozen frozen(g); // making Values may run a collection
    for (std::size_t i = 0; i < n; ++i)
      results[i] = py::reinterpret_steal<py::object>(new_value(nodes[i]));
    return like(a[0], std::move(results)).release().ptr();
  });
}

// Element by element over arrays and lists, as NumPy broadcasts them.
PyObject* where_of_arrays(const Arguments<3>& a) {
  static PyObject* of_scalars = nullptr;
  const py::handle scalar =
      once(of_scalars, [] { return py::module_::import("arenagrad._core").attr("where"); });
  const py::module_ numpy = py::module_::import("numpy");
  const py::object function = numpy.attr("frompyfunc")(scalar, 3, 1);
  py::object results = function(py::handle(a[0]), py::handle(a[1]), py::handle(a[2]));
  for (std::size_t i = 0; i < 3; ++i)
    if (is_array(a[i])) return results.release().ptr();
  return results.attr("tolist")().release().ptr();
}

PyObject* where(PyObject*, Args args, Py_ssize_t count, PyObject* keywords) {
  Arguments<3> a;
  if (!a.read("where", {"condition", "x", "y"}, 3, args, count, keywords)) return nullptr;
  return guarded([&]() -> PyObject* {
    for (std::size_t i = 0; i < 3; ++i)
      if (PyList_Check(a[i]) || PyTuple_Check(a[i]) || is_array(a[i])) return where_of_arrays(a);
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
  const double x = is_value(index) ? arena().data(node_of(index)) : need_number(index, "the index");
  if (!core::is_index(x, count))
    throw py::index_error("take() wants the number of one of " + std::to_string(count) +
                          " values, from 0, got " + std::string(py::repr(py::float_(x))));
  return static_cast<std::size_t>(x);
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
    read.emplace_back(tuple_of(row.ptr(), "a row of values must be a list, tuple or array"));
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
  return like(is_array(values) ? values : read.front().ptr(), std::move(results));
}

PyObject* take(PyObject*, Args args, Py_ssize_t count, PyObject* keywords) {
  Arguments<2> a;
  if (!a.read("take", {"values", "index"}, 2, args, count, keywords)) return nullptr;
  return guarded([&]() -> PyObject* {
    const py::tuple rows = tuple_of(a[0], "values must be a list, tuple or array");
    if (rows.empty()) index_of(a[1], 0);
    PyObject* first = PyTuple_GET_ITEM(rows.ptr(), 0);
    if (PyList_Check(first) || PyTuple_Check(first) || is_array(first))
      return take_row(a[1], a[0], rows).release().ptr();
    return take_one(a[1], rows.ptr());
  });
}

// The rows of a matrix, each with as many numbers as there are inputs.
std::vector<Sequence> read_rows(PyObject* weights, std::size_t inputs) {
  const py::object rows = tuple_of(weights, "weights must be a list, tuple or array of rows");
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
      outputs.push_back(push_nary(g, Op::Dot, 2 * n + biased));
    }
    recording.finish(outputs);
    const Arena::Frozen frozen(g); // making Values may run a collection
    for (std::size_t k = 0; k < outputs.size(); ++k)
      results[k] = py::reinterpret_steal<py::object>(new_value(outputs[k]));
    return like(a[1], std::move(results)).release().ptr();
  });
}

} // namespace

void bind_nary(py::module_& module) {
  static PyMethodDef definitions[] = {
      definition("sum", sum, kSumDoc),
      definition("mean", one_list<Op::Mean>, kMeanDoc),
      definition("prod", one_list<Op::Prod>, kProdDoc),
      definition("norm", one_list<Op::Norm>, kNormDoc),
      definition("logsumexp", one_list<Op::LogSumExp>, kLogsumexpDoc),
      definition("dot", dot, kDotDoc),
      definition("softmax", parts<Op::Softmax, Op::SoftmaxGroup>, kSoftmaxDoc),
      definition("log_softmax", parts<Op::LogSoftmax, Op::LogSoftmaxGroup>, kLogSoftmaxDoc),
      definition("where", where, kWhereDoc),
      definition("linear", linear, kLinearDoc),
      definition("take", take, kTakeDoc),
      {nullptr, nullptr, 0, nullptr}};
  if (PyModule_AddFunctions(module.ptr(), definitions) != 0) throw py::error_already_set();
}

} // namespace arenagrad::bindings
