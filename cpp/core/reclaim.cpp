// Dropping nodes: trimming from the top, and compacting.
#include <algorithm>
#include <cstring>

#include "arena.h"

namespace arenagrad::core {

void Arena::trim() {
  if (untrimmed_ != 0) return;
  const Tag* tags = tags_.data();
  std::size_t top = nodes_.size, edge_top = edges_.size;
  while (top > 0) {
    if (edge_top == 0)
      while (top >= 8 && all_clear(tags + top - 8, kHasHandle)) top -= 8;
    if (top == 0 || tags[top - 1] & kHasHandle) break;
    --top;
    if (op_info(op_of(tags[top])).operands == Operands::Many) edge_top = operands_[top].a;
  }
  drop_edges_above(edge_top);
  drop_nodes_above(top);
  policy_.trimmed_to(top, handles_.count() == top);
  set_ready_limit();
}

void Arena::mark_living() {
  std::uint8_t* marks = marks_.data();
  const Tag* tags = tags_.data();
  for (std::size_t i = nodes_.size; i-- > 0;) {
    while (i >= 8 && all_clear(marks + i - 7) && all_clear(tags + i - 7, kHasHandle)) i -= 8;
    if (tags[i] & kHasHandle) marks[i] = 1;
    if (marks[i]) for_each_operand(static_cast<NodeId>(i), true, [&](NodeId o) { marks[o] = 1; });
  }
}

void Arena::compact_if_worth() {
  policy_.looked();
  mark_living();
  std::size_t living = 0;
  for (std::size_t i = 0; i < nodes_.size; ++i) living += marks_[i];
  if (2 * living <= nodes_.size)
    slide();
  else
    std::memset(marks_.data(), 0, nodes_.size);
}

std::size_t Arena::compact() {
  mark_living();
  return slide();
}

// The operands of a node with the new indices of what they refer to; moves its edges to edge_to.
inline Operand2 Arena::moved_operands(std::size_t node, std::size_t& edge_to) {
  const NodeId* const forward = forward_.data();
  const Operand2 o = operands_[node];
  const Op op = op_of(tags_[node]);
  switch (op_info(op).operands) {
  case Operands::None:
    return o;
  case Operands::Many: {
    const std::size_t first = edge_to;
    for (std::size_t k = 0; k < o.b; ++k)
      edge_operands_[first + k] = forward[edge_operands_[o.a + k]];
    if (has_edge_numbers(op))
      std::copy_n(&edge_numbers_[o.a], o.b, &edge_numbers_[first]); // downwards, if at all
    edge_to += o.b;
    return {static_cast<NodeId>(first), o.b};
  }
  case Operands::Part:
  case Operands::Unary:
    return {forward[o.a], o.b};
  case Operands::Binary:
  case Operands::Parametric:
    return {forward[o.a], forward[o.b]};
  }
  return o;
}

// Moves the marked nodes down in one ascending pass: an operand's new index is known before its
// user moves.
std::size_t Arena::slide() {
  const std::size_t before = nodes_.size;
  const std::uint8_t* marks = marks_.data();
  std::size_t to = 0, edge_to = 0;
  first_power_ = kNoNode;
  if (first_shaped_ != kNoNode) first_shaped_ = 0;
  functions_.keep_marked(marks);
  for (std::size_t from = 0; from < before; ++from) {
    while (from + 8 <= before && all_clear(marks + from)) from += 8;
    if (from == before) break;
    if (!marks[from]) continue;
    marks_[from] = 0;
    forward_[from] = static_cast<NodeId>(to);
    data_[to] = data_[from];
    if (to < grad_end_) grad_[to] = grad_[from];
    operands_[to] = moved_operands(from, edge_to);
    tags_[to] = tags_[from];
    if (op(to) == Op::Pow && to < first_power_) first_power_ = to;
    if (has_callback(from) && to != from) callbacks_[from] = 0, callbacks_[to] = 1;
    ++to;
  }
  functions_.follow(forward_.data());
  handles_.for_each(
      [](Handle& handle, void* context) {
        Arena& arena = *static_cast<Arena*>(context);
        handle.node = arena.forward_[handle.node];
        arena.handles_.moved(handle);
      },
      this);
  forward_.release(std::min(before, ReclaimPolicy::kReserve));
  ++compactions_;
  drop_edges_above(edge_to);
  drop_nodes_above(to);
  policy_.compacted_to(to);
  set_ready_limit();
  return before - to;
}

void Arena::drop_edges_above(std::size_t size) {
  edges_.touched = std::max(edges_.touched, edges_.size);
  edges_.size = size;
  if (edges_.touched <= size + ReclaimPolicy::kKeepFreed) return;
  edges_.touched = size + ReclaimPolicy::kReserve;
  edge_operands_.release(edges_.touched);
  edge_numbers_.release(edges_.touched);
}

void Arena::drop_nodes_above(std::size_t size) {
  nodes_.size = size;
  functions_.drop_above(size);
  if (size <= first_power_) first_power_ = kNoNode;
  if (size <= first_shaped_) first_shaped_ = kNoNode;
  const std::size_t keep = size + ReclaimPolicy::kReserve;
  const bool release = nodes_.touched > size && policy_.releases(nodes_.touched - size);
  if (grad_end_ > size) {
    const std::size_t end = release ? std::min(grad_end_, keep) : grad_end_;
    std::memset(grad_.data() + size, 0, (end - size) * sizeof(double));
    grad_end_ = size;
  }
  if (!release) return;
  data_.release(keep), grad_.release(keep), operands_.release(keep), tags_.release(keep);
  marks_.release(keep), callbacks_.release(keep), handles_.memory().release(keep);
  handles_.forget_above(keep);
  nodes_.touched = keep;
  policy_.released();
}

} // namespace arenagrad::core
