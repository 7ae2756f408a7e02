// The reverse sweep where a rule may fail, as micrograd's rule for `**` does in Python, or is the
// user's own. sweep.cpp asks for it; it is slower, since it lists the nodes first.
#pragma once

#include "sweep.h"

namespace arenagrad::core {

// When the operands of a group get what its Parts pass on: with the group's own step, which comes
// below all of them, or at once, where no group is visited.
enum class GroupStep : std::uint8_t { Later, Now };

// The step of one node, whose rule must not fail (sweep.cpp).
void step_alone(Arena& arena, NodeId node, GroupStep when);

// Whether the rule of some node up to `root` might fail: one look at each tag, far cheaper than
// listing the reachable nodes.
bool partials_may_fail(Arena& arena, NodeId root);

// What sweep.h says of reverse_sweep.
void checked_sweep(Arena& arena, NodeId root, Callback callback);

} // namespace arenagrad::core
