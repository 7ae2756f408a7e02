// A node as the arena stores it, and a handle: a node's link to the object outside that keeps it
// alive. The arena has one array for each part of a node (arena.h).
#pragma once

#include <cstdint>

#include "errors.h"
#include "op.h"

namespace arenagrad::core {

// Of a Binary operation the two operands; of a Unary one a; of a Parametric one a and, in b, its
// Literal. A node with a list of operands has its first edge in a and their number in b; a Part has
// its group in a and its position in b.
struct Operand2 {
  NodeId a, b;
};

// A node's operation, and in the high bit whether it has a handle.
using Tag = std::uint8_t;
inline constexpr Tag kHasHandle = 0x80;
static_assert(kOpCount <= kHasHandle);
constexpr Tag tag_of(Op op) { return static_cast<Tag>(op); }
constexpr Op op_of(Tag tag) { return static_cast<Op>(tag & (kHasHandle - 1)); }

// The part of a Python object (or of a C++ holder) that the arena knows. The arena moves `node`
// when it compacts and reads Used; the other bits belong to the owner of the handle.
struct Handle {
  enum : std::uint32_t {
    Used = 1,     // a node has had it as an operand, so its death alone makes no garbage
    Pinned = 2,   // the owner holds a reference to the object, because the object carries state
    Doomed = 4,   // found unreachable: must not be pinned again
    Stateful = 8, // carries attributes or a callback
    Fixed = 16,   // must keep its node: a graph is being read whose numbers are counted from it
    Detached = 32 // a leaf cut off from what it was computed from: as a shape it is a constant
  };
  bool attached() const { return node != kNoNode; }

  NodeId node = kNoNode;
  std::uint32_t bits = 0;
};

} // namespace arenagrad::core
