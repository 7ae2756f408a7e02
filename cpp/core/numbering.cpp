#include "numbering.h"

#include <algorithm>

namespace arenagrad::core {

NodeNumber& Numbering::at(NodeId node) {
  const std::size_t page = node / kPage;
  if (page >= pages_.size()) pages_.resize(page + 1);
  if (pages_[page] == nullptr) {
    pages_[page] = std::make_unique<std::array<NodeNumber, kPage>>();
    pages_[page]->fill(kNoNumber);
  }
  return (*pages_[page])[node % kPage];
}

NodeNumber Numbering::of(NodeId node) const {
  const std::size_t page = node / kPage;
  if (page >= pages_.size() || pages_[page] == nullptr) return kNoNumber;
  return (*pages_[page])[node % kPage];
}

// The nodes that the roots reach and that have no number yet, ascending. Each gets a provisional
// one, which only says that it has been found.
std::vector<NodeId> Numbering::collect(const Arena& arena, const std::vector<NodeId>& roots) {
  std::vector<NodeId> found;
  const auto meet = [&](NodeId node) {
    NodeNumber& number = at(node);
    if (number != kNoNumber) return;
    number = size_;
    found.push_back(node);
  };
  for (const NodeId root : roots) meet(root);
  for (std::size_t i = 0; i < found.size(); ++i) arena.for_each_operand(found[i], true, meet);
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<NodeId> Numbering::add_below(const Arena& arena, NodeId root) {
  std::vector<NodeId> found = collect(arena, {root});
  for (const NodeId node : found) at(node) = size_++;
  nodes_.insert(nodes_.end(), found.begin(), found.end());
  return found;
}

void Numbering::take_back(const std::vector<NodeId>& nodes) {
  for (const NodeId node : nodes) at(node) = kNoNumber;
  size_ -= static_cast<NodeNumber>(nodes.size());
  nodes_.resize(size_);
}

void Numbering::follow(const Arena& arena, const std::vector<NodeId>& roots) {
  std::vector<NodeNumber> order(size_); // the numbers in the order of the nodes
  for (NodeNumber number = 0; number < size_; ++number) order[number] = number;
  std::sort(order.begin(), order.end(),
            [&](NodeNumber a, NodeNumber b) { return nodes_[a] < nodes_[b]; });
  pages_.clear();
  const std::vector<NodeId> found = collect(arena, roots);
  for (std::size_t i = 0; i < found.size(); ++i) {
    at(found[i]) = order[i];
    nodes_[order[i]] = found[i];
  }
}

} // namespace arenagrad::core
