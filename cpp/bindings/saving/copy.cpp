// copy.copy and copy.deepcopy of Values.
#include <algorithm>

#include "bindings/value/instance.h"
#include "bindings/value/record.h"
#include "graph_codec.h"

namespace arenagrad::bindings {
namespace {

using core::Arena;
using core::NodeId;
using core::Op;
using core::Operand2;
using core::Operands;

// Kept in the memo of a deepcopy, so that what several Values share is copied once.
struct DeepCopy {
  GraphEncoder from;
  GraphDecoder to;
};

void refuse_rules(const py::object& value) {
  if (has_rule(value))
    throw py::type_error("a Value with an assigned _backward cannot be copied: the function would "
                         "go on writing to the grads of the original's nodes");
}

// Another call of the same function on the same operands.
NodeId push_call_twin(Arena& g, NodeId call) {
  const Operand2 edges = g.operands(call);
  std::copy_n(g.edge_operands(edges.a), edges.b, g.next_edges());
  return g.push_function(g.functions().of(call).function, edges.b);
}

// The same operation on the same operands; requires room for two nodes and as many edges.
NodeId push_twin(Arena& g, NodeId node) {
  const Op op = g.op(node);
  const double y = g.data(node);
  Operand2 o = g.operands(node);
  const auto many = [&](NodeId of) {
    const Operand2 edges = g.operands(of);
    const std::vector<NodeId> operands(g.edge_operands(edges.a),
                                       g.edge_operands(edges.a) + edges.b);
    const double* partials = g.op(of) == Op::FixedPartials ? g.edge_numbers(edges.a) : nullptr;
    return g.push_many(g.op(of), g.data(of), operands.data(), partials, edges.b);
  };
  switch (core::op_info(op).operands) {
  case Operands::None:
    return g.push_leaf(y, op);
  case Operands::Many:
    return many(node);
  case Operands::Part: // each place of a group is one node's
    o.a = op == Op::FunctionResult ? push_call_twin(g, o.a) : many(o.a);
    break;
  default:
    break;
  }
  return g.push(op, y, o);
}

std::size_t edges_of(const Arena& g, NodeId node) {
  const Operands kind = core::op_info(g.op(node)).operands;
  if (kind == Operands::Many) return g.operands(node).b;
  return kind == Operands::Part ? g.operands(g.operands(node).a).b : 0;
}

py::object deep_copy_in(const py::dict& memo) {
  static PyObject* type = nullptr;
  const py::handle key =
      once(type, [] { return py::module_::import("arenagrad._core").attr("_DeepCopy"); });
  if (memo.contains(key)) {
    const py::object found = memo[key];
    if (is_initialised<DeepCopy>(found) && found.cast<DeepCopy&>().from.valid()) return found;
  }
  memo[key] = py::cast(std::make_unique<DeepCopy>());
  return memo[key];
}

py::object deep_copy_of(const py::object& self, const py::dict& memo) {
  const py::object kept = deep_copy_in(memo);
  auto& work = kept.cast<DeepCopy&>();
  const std::vector<NodeId> nodes = work.from.add(self.ptr());
  const NumberedObjects stateful = work.from.with_state(nodes);
  const core::NodeNumber number = work.from.number_of(self.ptr()); // before the nodes move
  NumberedObjects classes;
  try {
    for (const auto& [place, value] : stateful) {
      refuse_rules(value);
      if (!is_exact_value(value.ptr())) classes.emplace_back(place, py::type::of(value));
    }
    work.to.add(core::write_part(arena(), work.from.numbers(), nodes), classes);
  } catch (...) {
    work.from.take_back(nodes);
    throw;
  }
  const py::object copy = work.to.value(number);
  if (stateful.empty()) return copy;
  const py::object deep = py::module_::import("copy").attr("deepcopy");
  for (const auto& [place, value] : stateful) {
    const py::object state = state_of(value);
    if (!state.is_none()) restore_state(work.to.value(place), deep(state, memo));
  }
  return copy;
}

} // namespace

PyObject* value_copy(PyObject* self, PyObject*) {
  return guarded([&] {
    const auto value = py::reinterpret_borrow<py::object>(self);
    refuse_rules(value);
    if (arena().op(node_of(self)) == Op::Leaf) warn_if_frozen(self, "copying");
    const py::object state = state_of(value);
    py::object twin = is_exact_value(self) ? py::object() : new_instance(Py_TYPE(self));
    Arena& g = arena();
    g.reserve(2, edges_of(g, node_of(self)));
    const NodeId node = push_twin(g, node_of(self));
    g.gradients(std::size_t{node} + 1)[node] = g.gradient(node_of(self));
    if (twin)
      move_to(twin.ptr(), node);
    else
      twin = py::reinterpret_steal<py::object>(new_value(node));
    if (!state.is_none()) restore_state(twin, state);
    return twin;
  });
}

PyObject* value_deepcopy(PyObject* self, PyObject* memo) {
  return guarded([&] {
    warn_if_frozen(self, "copying");
    if (!PyDict_Check(memo)) throw py::type_error("__deepcopy__() wants the memo of a deepcopy");
    return deep_copy_of(py::reinterpret_borrow<py::object>(self),
                        py::reinterpret_borrow<py::dict>(memo));
  });
}

void bind_copy(py::module_& module) {
  py::class_<DeepCopy>(module, "_DeepCopy").def("__reduce__", no_pickle);
}

} // namespace arenagrad::bindings
