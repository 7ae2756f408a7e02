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
  most_ = std::numeric_limits<NodeId>::max(); // the highest index is kNoNode
  while (!try_reserve(most_)) {
    most_ /= 2;
    if (most_ < 1024) throw ArenaFull("no address space for the arena");
  }
  capacity_ = most_;
}

void Arena::set_capacity(std::size_t count) {
  const std::size_t used = std::max(nodes_.size, edges_.size);
  if (count < used)
    throw ArenaFull("the arena has " + std::to_string(used) +
                    " nodes or operands in use, more than the capacity asked for");
  capacity_ = std::min(count, most_);
  edges_.committed = std::min(edges_.committed, capacity_); // ready_for() compares with that alone
  set_ready_limit();
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
  ready_limit_ = detaching_ ? 0 : std::min({policy_.look_at(), nodes_.touched, capacity_});
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

// How many to commit for a need of `count`: twice the need, so that system calls are few and a
// whole huge page is always there to be faulted in, since committed memory costs nothing until it
// is touched. Where the system refuses that, less.
template <class Commit> std::size_t Arena::commit_for(std::size_t count, Commit&& commit) const {
  for (const std::size_t generous : {std::max(kCommitMin, 2 * count), count + kTouchMin, count}) {
    const std::size_t n = std::min(capacity_, generous);
    if (commit(n)) return n;
  }
  return 0;
}

void Arena::commit(std::size_t nodes, std::size_t edges) {
  if (nodes > capacity_ || edges > capacity_)
    throw ArenaFull("the arena is full: its capacity is " + std::to_string(capacity_) +
                    " nodes; drop the graphs that are no longer needed");
  const auto refused = [&] {
    throw ArenaFull("the system has no memory for more than " + std::to_string(nodes_.size) +
                    " nodes and " + std::to_string(edges_.size) + " operands in lists");
  };
  if (nodes > nodes_.committed) {
    const std::size_t n = commit_for(nodes, [&](std::size_t count) {
      return for_node_arrays([&](auto& array) { return array.commit(count); });
    });
    if (n == 0) refused();
    nodes_.committed = n;
  }
  if (edges > edges_.committed) {
    const std::size_t n = commit_for(edges, [&](std::size_t count) {
      return for_edge_arrays([&](auto& array) { return array.commit(count); });
    });
    if (n == 0) refused();
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
  if (has_shapes(op)) first_shaped_ = std::min(first_shaped_, nodes_.size);
  return push(op, y, {static_cast<NodeId>(first), static_cast<NodeId>(count)}, held);
}

NodeId Arena::push_function(std::shared_ptr<const Function> function, std::size_t count) {
  std::vector<double> adjoints(function->results(), 0.0);
  functions_.reserve();
  const NodeId call = push_many(Op::Function, 0.0, next_edges(), nullptr, count);
  functions_.push(call, std::move(function), std::move(adjoints));
  return call;
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
  functions_.drop_above(size);
  policy_.suspect(); // their operands count as used, so that no one will notice their deaths
  if (size <= first_power_) first_power_ = kNoNode;
  if (size <= first_shaped_) first_shaped_ = kNoNode;
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (nodes[i] >= size) nodes[i] = push_leaf(primals[i]);
}

} // namespace arenagrad::core
