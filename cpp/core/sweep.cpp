#include "sweep.h"

#include <algorithm>
#include <cstring>

#include "propagate.h"

namespace arenagrad::core {
namespace {

// Calls visit(node, reached) for each node from `root` down that was passed to reached before.
//
// What the loop uses is its own, and nothing that it calls gets the address of it: the byte stores
// into the marks might alias what has one, which would be loaded anew for every node.
template <class Visit> void descend(std::uint8_t* marks, NodeId root, Visit visit) {
  Reached reached{marks, root};
  reached(root);
  for (std::size_t i = std::size_t{root} + 1; i-- > reached.lowest;) {
    if (!marks[i]) {
      while (i >= reached.lowest + 8 && all_clear(marks + i - 7)) i -= 8;
      if (!marks[i]) continue;
    }
    marks[i] = 0;
    visit(static_cast<NodeId>(i), reached);
  }
}

// Whether check_partials might throw for some node up to `root`: one look at each tag, far cheaper
// than listing what is reachable.
bool partials_may_fail(Arena& arena, NodeId root) {
  const Tag* tags = arena.tag_array();
  for (std::size_t i = arena.first_power(); i <= root; ++i) {
    if (op_of(tags[i]) != Op::Pow) continue;
    const Operand2 o = arena.operands(static_cast<NodeId>(i));
    if (power_may_fail(arena.data(o.a), arena.data(o.b) - 1.0)) return true;
  }
  return false;
}

} // namespace

std::vector<NodeId> reachable(Arena& arena, NodeId root, bool hidden) {
  std::vector<NodeId> nodes;
  descend(arena.marks(), root, [&](NodeId node, auto& reached) {
    nodes.push_back(node);
    arena.for_each_operand(node, hidden, reached);
  });
  return nodes;
}

void reverse_step(Arena& arena, NodeId node) {
  check_partials(arena, node);
  propagate(Tape(arena, node), node, false, [](NodeId) {});
}

void reverse_sweep(Arena& arena, NodeId root, Callback callback) {
  if (arena.callback_count() == 0 && !partials_may_fail(arena, root)) {
    const Tape tape(arena, root);
    tape.grad[root] = 1.0;
    return descend(arena.marks(), root,
                   [=](NodeId node, auto& reached) { propagate(tape, node, true, reached); });
  }
  // Rules that can fail are checked before the first adjoint changes, and a callback may itself
  // sweep: both want the order in a list.
  const std::vector<NodeId> nodes = reachable(arena, root);
  for (const NodeId node : nodes)
    if (!arena.has_callback(node)) check_partials(arena, node);
  const Arena::Frozen frozen(arena);
  arena.gradients(std::size_t{root} + 1)[root] = 1.0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const NodeId node = nodes[i];
    if (arena.has_callback(node) && callback(*arena.handle_of(node))) continue;
    // The Parts of a group are neighbours and none uses another: one step does them all.
    while (i + 1 < nodes.size() && share_group(arena, node, nodes[i + 1]) &&
           !arena.has_callback(nodes[i + 1]))
      propagate(Tape(arena, node), nodes[++i], true, [](NodeId) {});
    reverse_step(arena, node); // checks anew: a callback may have changed the primals
  }
}

} // namespace arenagrad::core
