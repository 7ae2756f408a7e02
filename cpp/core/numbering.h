// Numbers for the nodes of a graph that leaves the arena, or has a copy there: operands before
// users. Not thread-safe. Never recurses. Cost: about 50 ns a node.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "arena.h"

namespace arenagrad::core {

using NodeNumber = std::uint32_t;
inline constexpr NodeNumber kNoNumber = std::numeric_limits<NodeNumber>::max();

// Which number each node of an arena has in a saved graph. Valid until nodes move.
class Numbering {
public:
  // Requires that no number was given to a node that has died since. Numbers all that `root`
  // reaches and that has no number, and returns it in ascending order, root last.
  std::vector<NodeId> add_below(const Arena& arena, NodeId root);
  // Takes the numbers back that add_below gave last.
  void take_back(const std::vector<NodeId>& nodes);
  NodeNumber of(NodeId node) const;
  NodeNumber size() const { return size_; }
  // Finds the nodes that had a number again after Arena::compact, which keeps their order: they are
  // what these roots reach.
  void follow(const Arena& arena, const std::vector<NodeId>& roots);

private:
  static constexpr std::size_t kPage = 1024;
  NodeNumber& at(NodeId node);
  std::vector<NodeId> collect(const Arena& arena, const std::vector<NodeId>& roots);

  std::vector<std::unique_ptr<std::array<NodeNumber, kPage>>> pages_;
  std::vector<NodeId> nodes_; // by number
  NodeNumber size_ = 0;
};

} // namespace arenagrad::core
