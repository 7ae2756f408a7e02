#include "checked_sweep.h"

#include <algorithm>

namespace arenagrad::core {
namespace {

// Whether it has an operand by which nobody has the partial: a shape that is no constant.
bool lacks_partial(Arena& arena, NodeId node) {
  const Op op = arena.op(node);
  if (op != Op::Gammainc && op != Op::Betainc) return false;
  const Operand2 o = arena.operands(node);
  const NodeId* const shapes = arena.edge_operands(o.a);
  return std::any_of(shapes, shapes + o.b - 1,
                     [&](NodeId shape) { return !is_literal(arena.op(shape)); });
}

// Whether micrograd's own rule would raise in Python, or there is none.
bool partial_fails(Arena& arena, NodeId node) {
  if (arena.op(node) != Op::Pow) return lacks_partial(arena, node);
  const Operand2 o = arena.operands(node);
  return power_fails(arena.data(o.a), arena.data(o.b) - 1.0);
}

// Throws there, unless there is no adjoint to pass on. Returns whether there is something to do.
bool check_partial(Arena& arena, NodeId node) {
  if (!partial_fails(arena, node)) return true;
  if (arena.gradient(node) == 0.0) return false;
  const Op op = arena.op(node);
  if (op != Op::Pow)
    throw_no_partial(op == Op::Gammainc ? Shaped::Gammainc : Shaped::Betainc, node);
  const Operand2 o = arena.operands(node);
  check_power(arena.data(o.a), arena.data(o.b) - 1.0, o.a);
  return true;
}

// Whether both are results of one group, as of one softmax.
bool share_group(const Arena& arena, NodeId one, NodeId other) {
  for (const NodeId node : {one, other})
    if (op_info(arena.op(node)).operands != Operands::Part) return false;
  return arena.operands(one).a == arena.operands(other).a;
}

// The sweep over `nodes`, users before operands, where a rule may fail or be the user's.
void sweep_steps(Arena& arena, const std::vector<NodeId>& nodes, Callback callback) {
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const NodeId node = nodes[i];
    if (arena.has_callback(node) && callback(*arena.handle_of(node))) continue;
    // The Parts of a group are neighbours and none uses another: the last one's step does them all.
    while (i + 1 < nodes.size() && share_group(arena, node, nodes[i + 1]) &&
           !arena.has_callback(nodes[i + 1]))
      step_alone(arena, nodes[++i], GroupStep::Later);
    reverse_step(arena, node); // checks anew: a callback may have changed the primals
  }
}

// The same; if a rule fails, the adjoints are what they were. Whether one does is known at its turn
// only, when its node's adjoint is.
void sweep_or_restore(Arena& arena, const std::vector<NodeId>& nodes, Callback callback) {
  std::vector<double> before;
  before.reserve(nodes.size());
  for (const NodeId node : nodes) before.push_back(arena.gradient(node));
  const auto restore = [&] {
    double* const gradients = arena.gradients(std::size_t{nodes.front()} + 1);
    for (std::size_t i = 0; i < nodes.size(); ++i) gradients[nodes[i]] = before[i];
  };
  try {
    arena.gradients(std::size_t{nodes.front()} + 1)[nodes.front()] = 1.0;
    sweep_steps(arena, nodes, callback);
  } catch (...) {
    restore();
    throw;
  }
}

} // namespace

bool partials_may_fail(Arena& arena, NodeId root) {
  const Tag* tags = arena.tag_array();
  for (std::size_t i = arena.first_power(); i <= root; ++i) {
    if (op_of(tags[i]) != Op::Pow) continue;
    const Operand2 o = arena.operands(static_cast<NodeId>(i));
    if (power_may_fail(arena.data(o.a), arena.data(o.b) - 1.0)) return true;
  }
  for (std::size_t i = arena.first_shaped(); i <= root; ++i)
    if (lacks_partial(arena, static_cast<NodeId>(i))) return true;
  return false;
}

void reverse_step(Arena& arena, NodeId node) {
  if (check_partial(arena, node)) step_alone(arena, node, GroupStep::Now);
}

void checked_sweep(Arena& arena, NodeId root, Callback callback) {
  // A rule that fails must leave the adjoints as they are, and a callback may itself sweep: both
  // want the order in a list.
  const std::vector<NodeId> nodes = reachable(arena, root);
  const Arena::Frozen frozen(arena);
  const bool may_fail = std::ranges::any_of(nodes, [&](NodeId node) {
    return !arena.has_callback(node) &&
           (arena.op(node) == Op::FunctionResult || partial_fails(arena, node));
  });
  if (may_fail) return sweep_or_restore(arena, nodes, callback);
  arena.gradients(std::size_t{root} + 1)[root] = 1.0;
  sweep_steps(arena, nodes, callback);
}

} // namespace arenagrad::core
