// Handles: what holds a node from outside.
#pragma once

#include <cstdint>

#include "errors.h"

namespace arenagrad::core {

// The part of a Python object (or of a C++ holder) that the arena knows: where its node is.
struct Handle {
  enum : std::uint32_t {
    Used = 1,    // some node has had it as an operand
    Pinned = 2,  // the arena's side holds a reference to it because it carries state
    Doomed = 4,  // found unreachable: must not be pinned again
    Stateful = 8 // carries attributes or a callback
  };
  bool attached() const { return node != kNoNode; }

  NodeId node = kNoNode;
  std::uint32_t bits = 0;
};

} // namespace arenagrad::core
