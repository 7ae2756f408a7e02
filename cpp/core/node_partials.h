// The partials of one node by its operands, as numbers.
//
// A sweep never needs them apart from the adjoint; a script that keeps them in a field of its nodes
// reads them. Not thread-safe.
#pragma once

#include <vector>

#include "arena.h"

namespace arenagrad::core {

// The partial by each operand of a node of one or two operands, or of one whose partials are fixed,
// with the primals as they are now; nothing for a leaf. Throws as reverse_sweep does, and
// std::invalid_argument for other nodes.
std::vector<double> partials_of(Arena& arena, NodeId node);

} // namespace arenagrad::core
