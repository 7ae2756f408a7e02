// The step of one node in a reverse sweep: adjoint(operand) += partial * adjoint(node), with the
// partials of the node's row in ops.def. Not thread-safe; only check_partials throws.
#pragma once

#include <algorithm>

#include "arena.h"
#include "nary.h"

namespace arenagrad::core {

// The arena's arrays as plain local pointers: the byte stores into the marks may alias the arena's
// members, so without this each would be loaded anew for every node.
struct Tape {
  const double* data;
  double* grad;
  const Operand2* operands;
  const Tag* tags;
  const NodeId* edge_operands;
  double *edge_numbers, *scratch;

  Tape(Arena& arena, NodeId root)
      : data(arena.data_array()), grad(arena.gradients(std::size_t{root} + 1)),
        operands(arena.operand_array()), tags(arena.tag_array()),
        edge_operands(arena.edge_operands(0)), edge_numbers(arena.edge_numbers(0)),
        scratch(arena.scratch()) {}
};

// Called with each node that a sweep is to come to.
struct Reached {
  std::uint8_t* marks;
  std::size_t lowest;
  void operator()(NodeId operand) {
    marks[operand] = 1;
    lowest = std::min<std::size_t>(lowest, operand);
  }
};

// Adds what `node`, of operation `op`, owes its operands; calls reached(operand) for each of them.
template <Op op, class Visit>
inline void propagate_as(const Tape& t, NodeId node, Visit&& reached) {
  constexpr Operands kind = op_info(op).operands;
  const double g = t.grad[node];
  const Operand2 o = t.operands[node];
  if constexpr (kind == Operands::Binary) {
    const Partials d = partials(op, t.data[o.a], t.data[o.b], t.data[node]);
    t.grad[o.a] += d.a * g;
    t.grad[o.b] += d.b * g;
    reached(o.a);
    reached(o.b);
  } else {
    const double b = kind == Operands::Parametric ? t.data[o.b] : 0.0;
    t.grad[o.a] += partials(op, t.data[o.a], b, t.data[node]).a * g;
    reached(o.a);
  }
}

// The same for the nodes of other kinds. `whole` says that the sweep comes to a Part's group too,
// which then does the step of all its Parts at once.
template <class Visit>
[[gnu::noinline]] void propagate_many(const Tape& t, NodeId node, bool whole, Visit& reached) {
  const Op op = op_of(t.tags[node]);
  const double g = t.grad[node];
  Operand2 o = t.operands[node];
  if (op_info(op).operands == Operands::Part && whole) {
    t.edge_numbers[t.operands[o.a].a + o.b] += g; // a loaded graph may have it twice
    return reached(o.a);
  }
  const std::size_t position = o.b;
  Op group = op;
  if (op_info(op).operands == Operands::Part) group = op_of(t.tags[o.a]), o = t.operands[o.a];
  const NodeId* const operands = t.edge_operands + o.a;
  const std::size_t count = o.b;
  double *const numbers = t.edge_numbers + o.a, *const scratch = t.scratch;
  // Copies, for the reason that Tape is made of them.
  const double* const data = t.data;
  double* const grad = t.grad;
  const double y = data[node];
  const auto x = [=](std::size_t i) { return data[operands[i]]; };
  const auto add = [=, &reached](std::size_t i, double amount) {
    grad[operands[i]] += amount;
    reached(operands[i]);
  };
  switch (is_group(group) ? group : op) {
  case Op::Sum: // by far the most frequent two, unrolled from the general rule
    return propagate_nary(Op::Sum, count, y, g, x, add, scratch);
  case Op::Dot:
    return propagate_nary(Op::Dot, count, y, g, x, add, scratch);
  case Op::FixedPartials:
    for (std::size_t i = 0; i < count; ++i) add(i, numbers[i] * g);
    return;
  case Op::SoftmaxGroup:
  case Op::LogSoftmaxGroup:
    if (!whole) numbers[position] += g;
    propagate_group(group, count, x, [=](std::size_t i) { return numbers[i]; }, add, scratch);
    std::fill_n(numbers, count, 0.0);
    return;
  default: // some of these rules leave operands out
    for (std::size_t i = 0; i < count; ++i) reached(operands[i]);
    propagate_nary(op, count, y, g, x, add, scratch);
  }
}

template <class Visit>
inline void propagate(const Tape& t, NodeId node, bool whole, Visit&& reached) {
  switch (op_of(t.tags[node])) {
  case Op::Leaf:
  case Op::Literal:
  case Op::LiteralInt:
    return;
#define ARENAGRAD_OP(Id, ...)                                                                      \
  case Op::Id:                                                                                     \
    return propagate_as<Op::Id>(t, node, reached);
#include "ops.def"
  default: { // copies, lest the sweep's own must have an address
    const Tape tape = t;
    auto others = reached;
    propagate_many(tape, node, whole, others);
    reached = others;
  }
  }
}

// Throws where micrograd's own rule would raise in Python.
inline void check_partials(Arena& arena, NodeId node) {
  if (arena.op(node) != Op::Pow) return;
  const Operand2 o = arena.operands(node);
  check_power(arena.data(o.a), arena.data(o.b) - 1.0, o.a);
}

// Whether both are results of one group, as of one softmax.
inline bool share_group(const Arena& arena, NodeId one, NodeId other) {
  for (const NodeId node : {one, other})
    if (op_info(arena.op(node)).operands != Operands::Part) return false;
  return arena.operands(one).a == arena.operands(other).a;
}

} // namespace arenagrad::core
