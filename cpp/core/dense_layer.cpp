#include "dense_layer.h"

#include <algorithm>

namespace arenagrad::core {

std::vector<NodeId> dense(Arena& arena, const std::vector<NeuronView>& neurons,
                          const std::vector<Input>& inputs) {
  std::vector<NodeId> outputs;
  outputs.reserve(neurons.size());
  for (const NeuronView& neuron : neurons) {
    NodeId sum = neuron.bias;
    const std::size_t terms = std::min(neuron.weight_count, inputs.size());
    for (std::size_t i = 0; i < terms; ++i) {
      const Input& x = inputs[i];
      const NodeId node = x.node != kNoNode ? x.node : arena.push_leaf(x.value);
      sum = arena.record(Op::Add, sum, arena.record(Op::Mul, neuron.weights[i], node));
    }
    outputs.push_back(neuron.relu ? arena.record(Op::Relu, sum, kNoNode) : sum);
  }
  return outputs;
}

} // namespace arenagrad::core
