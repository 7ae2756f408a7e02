// Recording and the memory behind it; dropping nodes is in reclaim.cpp.
#include "arena.h"

#include <algorithm>
#include <limits>
#include <string>

namespace arenagrad::core {
namespace {

constexpr std::size_t kCommitMin = std::size_t{1} << 20; // nodes committed at a time, at least
// Nodes that get their memory ahead of time, in one system call and not in one fault a page.
constexpr std::size_t kTouchMin = std::size_t{1} << 12, kTouchMax = std::size_t{1} << 18;

} // namespace

template <class Visit> bool Arena::for_node_arrays(Visit&& visit) {
  return visit(data_) && visit(grad_) && visit(operands_) && visit(tags_) && visit(marks_) &&
         visit(callbacks_) && visit(handles_.memory()) && visit(forward_);
}

template <class Visit> bool Arena::for_edge_arrays(Visit&& visit) {
  return visit(edge_operands_) && visit(edge_numbers_);
}

Arena::Arena() {
  capacity_ = std::numeric_limits<NodeId>::max(); // the highest index is kNoNode
  while (!try_reserve(capacity_)) {
    capacity_ /= 2;
    if (capacity_ < 1024) throw ArenaFull("no address space for the arena");
  }
}

bool Arena::try_reserve(std::size_t n) {
  const auto reserve = [n](auto& array) { return array.reserve(n); };
  const auto unreserve = [](auto& array) { return array.unreserve(), true; };
  if (for_node_arrays(reserve) && for_edge_arrays(reserve)) return true;
  for_node_arrays(unreserve);
  for_edge_arrays(unreserve);
  return false;
}

void Arena::set_ready_limit() {
  ready_limit_ = detaching_ ? 0 : std::min(policy_.look_at(), nodes_.touched);
}

void Arena::make_room(std::size_t nodes, std::size_t edges) {
  if (nodes_.size + nodes > policy_.look_at()) {
    if (policy_.suspicious() && !frozen()) reclaim_(*this);
    policy_.grown_to(nodes_.size, nodes);
  }
  const bool full = nodes_.size + nodes > capacity_ || edges_.size + edges > capacity_;
  if (full && !frozen()) {
    reclaim_(*this);
    if (!frozen()) compact(); // reclaiming may have let another thread in
  }
  commit(nodes_.size + nodes, edges_.size + edges);
  touch(nodes_.size + nodes);
  set_ready_limit();
}

void Arena::commit(std::size_t nodes, std::size_t edges) {
  if (nodes > capacity_ || edges > capacity_)
    throw ArenaFull("the arena is full: " + std::to_string(capacity_) +
                    " nodes are in use; drop the graphs that are no longer needed");
  // Twice the need, so that system calls are few and a whole huge page is always there to be
  // faulted in; committed memory costs nothing until it is touched.
  const auto generous = [&](std::size_t n) {
    return std::min(capacity_, std::max(kCommitMin, 2 * n));
  };
  if (nodes > nodes_.committed) {
    const std::size_t n = generous(nodes);
    if (!for_node_arrays([n](auto& array) { return array.commit(n); }))
      throw ArenaFull("the system has no memory for more nodes");
    nodes_.committed = n;
  }
  if (edges > edges_.committed) {
    const std::size_t n = generous(edges);
    if (!for_edge_arrays([n](auto& array) { return array.commit(n); }))
      throw ArenaFull("the system has no memory for more operands");
    edges_.committed = n;
  }
}

void Arena::touch(std::size_t nodes) {
  if (nodes <= nodes_.touched) return;
  const std::size_t ahead = std::clamp(nodes / 4, kTouchMin, kTouchMax);
  nodes = std::min(nodes_.committed, nodes + ahead);
  data_.populate(nodes_.touched, nodes);
  operands_.populate(nodes_.touched, nodes);
  tags_.populate(nodes_.touched, nodes);
  nodes_.touched = nodes;
  policy_.touched();
}

NodeId Arena::push_many(Op op, double y, const NodeId* operands, const double* partials,
                        std::size_t count, Tag held) {
  const std::size_t first = edges_.size;
  if (operands != next_edges()) std::copy_n(operands, count, next_edges());
  if (partials != nullptr) std::copy_n(partials, count, edge_numbers_.data() + first);
  if (is_group(op)) std::fill_n(edge_numbers_.data() + first, count, 0.0);
  edges_.size += count;
  return push(op, y, {static_cast<NodeId>(first), static_cast<NodeId>(count)}, held);
}

void Arena::reserve_scratch(std::size_t count) {
  if (scratch_.size() < count) scratch_.resize(std::max(count, 2 * scratch_.size()));
}

void Arena::set_callback(NodeId node, bool on) {
  if (on == has_callback(node)) return;
  callbacks_[node] = on;
  if (on)
    ++callback_count_;
  else
    --callback_count_;
}

void Arena::detach_above(std::size_t size, std::size_t edge_size, std::vector<NodeId>& nodes) {
  std::vector<double> primals;
  primals.reserve(nodes.size());
  for (const NodeId node : nodes) primals.push_back(data_[node]);
  edges_.touched = std::max(edges_.touched, edges_.size);
  nodes_.size = size;
  edges_.size = edge_size;
  policy_.suspect(); // their operands count as used, so that no one will notice their deaths
  if (size <= first_power_) first_power_ = kNoNode;
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (nodes[i] >= size) nodes[i] = push_leaf(primals[i]);
}

} // namespace arenagrad::core
