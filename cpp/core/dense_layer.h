// Bulk builders: whole layers of nodes in one call. Not thread-safe.
#pragma once

#include <cstddef>
#include <vector>

#include "arena.h"

namespace arenagrad::core {

// An input of a layer: a node, or (node == kNoNode) a number that becomes a leaf where it is used.
struct Input {
  NodeId node;
  double value;
};

// A neuron as micrograd draws it: b + w[0]*x[0] + ... left to right, then perhaps a ReLU.
struct NeuronView {
  const NodeId* weights;
  std::size_t weight_count;
  NodeId bias;
  bool relu;
};

// Upper bound of the nodes that `dense` records for so many neurons with so many weights in all;
// reserve them before reading indices (compaction moves those).
constexpr std::size_t dense_size(std::size_t neurons, std::size_t weights) {
  return 3 * weights + neurons;
}

// Records one output node a neuron, node for node as micrograd's expression would, the shorter of
// weights and inputs ending the sum. Requires reserved room. Returns the outputs in order; a
// neuron without terms and without ReLU is its bias. Cost: about 5 ns a node.
std::vector<NodeId> dense(Arena& arena, const std::vector<NeuronView>& neurons,
                          const std::vector<Input>& inputs);

} // namespace arenagrad::core
