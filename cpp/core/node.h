// What a node is made of, and what holds it from outside.
#pragma once

#include <cstdint>

#include "errors.h"
#include "op.h"

namespace arenagrad::core {

// Binary operations use both; Parametric ones keep their Literal in b; Opaque and FixedPartials
// keep the offset of their first edge in a and the number of edges in b.
struct Operand2 {
  NodeId a, b;
};

// A node's operation, and in the high bit whether it has a handle.
using Tag = std::uint8_t;
inline constexpr Tag kHasHandle = 0x80;
static_assert(kOpCount <= kHasHandle);
constexpr Tag tag_of(Op op) { return static_cast<Tag>(op); }
constexpr Op op_of(Tag tag) { return static_cast<Op>(tag & (kHasHandle - 1)); }

// The part of a Python object (or of a C++ holder) that the arena knows: where its node is.
struct Handle {
  enum : std::uint32_t {
    Used = 1,     // some node has had it as an operand
    Pinned = 2,   // the arena's side holds a reference to it because it carries state
    Doomed = 4,   // found unreachable: must not be pinned again
    Stateful = 8, // carries attributes or a callback
    Fixed = 16    // must keep its node: a graph is being read whose numbers are counted from it
  };
  bool attached() const { return node != kNoNode; }

  NodeId node = kNoNode;
  std::uint32_t bits = 0;
};

} // namespace arenagrad::core
