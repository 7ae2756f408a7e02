// The errors of the core. Every error carries the node to blame (kNoNode if none), is thrown
// before anything has changed, and is mapped to a Python class in one place (bindings/value).
#pragma once

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

namespace arenagrad::core {

// 32 bits hold four thousand million nodes; a test build narrows them to see the arena run out.
#ifdef ARENAGRAD_NODE_ID
using NodeId = ARENAGRAD_NODE_ID;
#else
using NodeId = std::uint32_t;
#endif

inline constexpr NodeId kNoNode = std::numeric_limits<NodeId>::max();

class Error : public std::runtime_error {
public:
  explicit Error(const std::string& what, NodeId node = kNoNode)
      : std::runtime_error(what), node(node) {}
  const NodeId node;
};

// No index or no memory is left for another node.
struct ArenaFull : Error {
  using Error::Error;
};
// An operand lies where the operation has no real result.
struct DomainError : Error {
  using Error::Error;
};
// Zero raised to a negative power, which is also what division by zero is here.
struct DivisionByZero : Error {
  using Error::Error;
};
// The result is too large for a double.
struct RangeError : Error {
  using Error::Error;
};
// A matrix is singular, or not positive definite.
struct SingularMatrix : Error {
  using Error::Error;
};
// Bytes that should hold a graph do not.
struct FormatError : Error {
  using Error::Error;
};

} // namespace arenagrad::core
