// Walks over the graph below a root: reachability, topological order, reverse sweep.
//
// All are one descending scan over the indices, because an operand's index is smaller than its
// user's (arena.h, invariant 1): no recursion and no sorting, whatever the depth of the graph.
// Not thread-safe. Cost: 2 to 4 ns a node between the root and its lowest reachable node.
#pragma once

#include <vector>

#include "arena.h"

namespace arenagrad::core {

// Called for a node whose rule the user may have replaced; returns false if that is not so.
// May throw, may record new nodes.
using Callback = bool (*)(Handle&);

// The nodes that `root` reaches, itself included, in descending order: users before operands.
// `hidden` includes the Literals of Parametric operations, which Python never sees.
std::vector<NodeId> reachable(Arena& arena, NodeId root, bool hidden = false);

// Sets the root's adjoint to 1; then, users before operands, each node adds partial * adjoint(node)
// to the adjoint of each of its operands, with the primals as they are now.
// Throws the errors of check_power where micrograd's own rule would raise for an adjoint that is
// not 0, with all adjoints as they were, and whatever a callback throws.
void reverse_sweep(Arena& arena, NodeId root, Callback callback);

// The step of one node alone, its callback apart. Throws as reverse_sweep does.
void reverse_step(Arena& arena, NodeId node);

} // namespace arenagrad::core
