#include "sweep.h"

#include <algorithm>
#include <cstring>

namespace arenagrad::core {
namespace {

// Calls visit(node) for each marked node from `root` down, clearing its mark. visit marks the
// operands and returns the lowest index it marked (or `lowest`), where the scan may end.
template <class Visit> void descend(std::uint8_t* marks, NodeId root, Visit&& visit) {
  marks[root] = 1;
  std::size_t lowest = root;
  for (std::size_t i = std::size_t{root} + 1; i-- > lowest;) {
    if (!marks[i]) {
      for (std::uint64_t word; i >= lowest + 8; i -= 8) {
        std::memcpy(&word, marks + i - 7, sizeof word);
        if (word != 0) break;
      }
      continue;
    }
    marks[i] = 0;
    visit(static_cast<NodeId>(i), lowest);
  }
}

// Adds what `node` owes its operands; calls reached(operand) for each of them.
template <class Reached>
inline void propagate(Arena& arena, double* grad, NodeId node, Reached&& reached) {
  const Op op = arena.op(node);
  const double g = grad[node];
  const Operand2 o = arena.operands(node);
  switch (op_info(op).operands) {
  case Operands::None:
    return;
  case Operands::Unary:
  case Operands::Parametric: {
    const double b = op_info(op).operands == Operands::Parametric ? arena.data(o.b) : 0.0;
    grad[o.a] += partials(op, arena.data(o.a), b, arena.data(node)).a * g;
    return reached(o.a);
  }
  case Operands::Binary: {
    const Partials d = partials(op, arena.data(o.a), arena.data(o.b), arena.data(node));
    grad[o.a] += d.a * g;
    grad[o.b] += d.b * g;
    reached(o.a);
    return reached(o.b);
  }
  case Operands::Many:
    if (op == Op::FixedPartials)
      for (std::size_t k = 0; k < o.b; ++k)
        grad[arena.edge_operands(o.a)[k]] += arena.edge_partials(o.a)[k] * g;
    for (std::size_t k = 0; k < o.b; ++k) reached(arena.edge_operands(o.a)[k]);
  }
}

// Throws where micrograd's own rule would raise in Python, before the sweep changes anything.
void check_partials(Arena& arena, NodeId node) {
  if (arena.op(node) != Op::Pow) return;
  const Operand2 o = arena.operands(node);
  check_power(arena.data(o.a), arena.data(o.b) - 1.0, o.a);
}

} // namespace

std::vector<NodeId> reachable(Arena& arena, NodeId root, bool hidden) {
  std::vector<NodeId> nodes;
  std::uint8_t* marks = arena.marks();
  descend(marks, root, [&](NodeId node, std::size_t& lowest) {
    nodes.push_back(node);
    arena.for_each_operand(node, hidden, [&](NodeId operand) {
      marks[operand] = 1;
      lowest = std::min<std::size_t>(lowest, operand);
    });
  });
  return nodes;
}

void reverse_sweep(Arena& arena, NodeId root, Callback callback) {
  if (arena.callback_count() == 0 && !arena.has_powers()) {
    double* grad = arena.gradients(std::size_t{root} + 1);
    std::uint8_t* marks = arena.marks();
    grad[root] = 1.0;
    return descend(marks, root, [&](NodeId node, std::size_t& lowest) {
      propagate(arena, grad, node, [&](NodeId operand) {
        marks[operand] = 1;
        lowest = std::min<std::size_t>(lowest, operand);
      });
    });
  }
  // Rules that can fail are checked before the first adjoint changes, and a callback may itself
  // sweep: both want the order in a list.
  const std::vector<NodeId> nodes = reachable(arena, root);
  for (const NodeId node : nodes)
    if (!(arena.flags(node) & Arena::HasCallback)) check_partials(arena, node);
  const Arena::Frozen frozen(arena);
  arena.gradients(std::size_t{root} + 1)[root] = 1.0;
  for (const NodeId node : nodes) {
    if (arena.flags(node) & Arena::HasCallback)
      callback(*arena.handle_of(node));
    else
      propagate(arena, arena.gradients(std::size_t{root} + 1), node, [](NodeId) {});
  }
}

void reverse_step(Arena& arena, NodeId node) {
  check_partials(arena, node);
  propagate(arena, arena.gradients(std::size_t{node} + 1), node, [](NodeId) {});
}

} // namespace arenagrad::core
