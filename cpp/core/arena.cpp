#include "arena.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace arenagrad::core {
namespace {

constexpr std::size_t kCommitMin = std::size_t{1} << 20;   // nodes committed at a time, at least
constexpr std::size_t kReclaimFrom = std::size_t{1} << 18; // below this garbage is not worth a look
// Freed nodes up to kLeave keep their memory, so that a loop of middling graphs does not ask for it
// again and again; when there are more, all but kKeep give it back.
constexpr std::size_t kKeep = std::size_t{1} << 16;
// Nodes that get their memory ahead of time, in one system call and not in one fault a page.
constexpr std::size_t kTouchMin = std::size_t{1} << 12, kTouchMax = std::size_t{1} << 18;
constexpr std::size_t kListMin = 4096; // nodes whose handles are listed ahead

} // namespace

Arena::Arena() {
  capacity_ = std::numeric_limits<NodeId>::max(); // the highest index is kNoNode
  while (!try_reserve(capacity_)) {
    capacity_ /= 2;
    if (capacity_ < 1024) throw ArenaFull("no address space for the arena");
  }
  look_again_at(0);
}

bool Arena::try_reserve(std::size_t n) {
  if (data_.reserve(n) && grad_.reserve(n) && operands_.reserve(n) && tags_.reserve(n) &&
      marks_.reserve(n) && callbacks_.reserve(n) && handles_.reserve(n) && forward_.reserve(n) &&
      edge_operands_.reserve(n) && edge_numbers_.reserve(n))
    return true;
  data_.unreserve(), grad_.unreserve(), operands_.unreserve(), tags_.unreserve();
  marks_.unreserve(), callbacks_.unreserve(), handles_.unreserve(), forward_.unreserve();
  edge_operands_.unreserve(), edge_numbers_.unreserve();
  return false;
}

void Arena::look_again_at(std::size_t size) {
  reclaim_at_ = std::max(kReclaimFrom, size);
  set_limit();
}

void Arena::set_limit() { limit_ = detaching_ ? 0 : std::min(reclaim_at_, touched_); }

void Arena::detach_above(std::size_t size, std::size_t edge_size, std::vector<NodeId>& nodes) {
  std::vector<double> primals;
  primals.reserve(nodes.size());
  for (const NodeId node : nodes) primals.push_back(data_[node]);
  edge_touched_ = std::max(edge_touched_, edge_size_);
  size_ = size, edge_size_ = edge_size;
  ++deaths_; // their operands count as used, so that no one will count their deaths
  if (size <= first_power_) first_power_ = kNoNode;
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (nodes[i] >= size) nodes[i] = push_leaf(primals[i]);
}

void Arena::make_room(std::size_t nodes, std::size_t edges) {
  if (size_ + nodes > reclaim_at_) {
    if (deaths_ != 0 && frozen_ == 0) reclaim_(*this);
    look_again_at(std::max(reclaim_at_, 2 * size_ + nodes));
  }
  const bool full = size_ + nodes > capacity_ || edge_size_ + edges > capacity_;
  if (full && frozen_ == 0) {
    deaths_ = size_;
    reclaim_(*this);
    if (!frozen()) compact(); // reclaiming may have let another thread in
  }
  commit(size_ + nodes, edge_size_ + edges);
  touch(size_ + nodes);
  set_limit();
}

void Arena::commit(std::size_t nodes, std::size_t edges) {
  if (nodes > capacity_ || edges > capacity_)
    throw ArenaFull("the arena is full: " + std::to_string(capacity_) +
                    " nodes are in use; drop the graphs that are no longer needed");
  // Twice what is asked, so that system calls are few and a whole huge page is always there to be
  // faulted in; committed memory costs nothing until it is touched.
  const auto steps = [&](std::size_t n) {
    return std::min(capacity_, std::max(kCommitMin, 2 * n));
  };
  if (nodes > committed_) {
    const std::size_t n = steps(nodes);
    if (!(data_.commit(n) && grad_.commit(n) && operands_.commit(n) && tags_.commit(n) &&
          marks_.commit(n) && callbacks_.commit(n) && handles_.commit(n) && forward_.commit(n)))
      throw ArenaFull("the system has no memory for more nodes");
    committed_ = n;
  }
  if (edges > edge_limit_) {
    const std::size_t n = steps(edges);
    if (!(edge_operands_.commit(n) && edge_numbers_.commit(n)))
      throw ArenaFull("the system has no memory for more operands");
    edge_limit_ = n;
  }
}

void Arena::touch(std::size_t nodes) {
  if (nodes <= touched_) return;
  const std::size_t ahead = std::clamp(nodes / 4, kTouchMin, kTouchMax);
  nodes = std::min(committed_, nodes + ahead);
  data_.populate(touched_, nodes), operands_.populate(touched_, nodes);
  tags_.populate(touched_, nodes);
  touched_ = nodes;
  leave_ = kLeave;
}

NodeId Arena::push_many(Op op, double y, const NodeId* operands, const double* partials,
                        std::size_t count, Tag held) {
  const std::size_t first = edge_size_;
  if (operands != next_edges()) std::copy_n(operands, count, next_edges());
  if (partials != nullptr) std::copy_n(partials, count, edge_numbers_.data() + first);
  if (is_group(op)) std::fill_n(edge_numbers_.data() + first, count, 0.0);
  edge_size_ += count;
  return push(op, y, {static_cast<NodeId>(first), static_cast<NodeId>(count)}, held);
}

void Arena::reserve_scratch(std::size_t count) {
  if (scratch_.size() < count) scratch_.resize(std::max(count, 2 * scratch_.size()));
}

void Arena::set_callback(NodeId node, bool on) {
  if (on == has_callback(node)) return;
  callbacks_[node] = on;
  on ? ++callback_count_ : --callback_count_;
}

void Arena::list_handles() {
  walk_([](Handle& handle,
           void* arena) { static_cast<Arena*>(arena)->handles_[handle.node] = &handle; },
        this);
  // As many again are listed as they come, so that a walk over all costs each of them little.
  listed_ = std::min(committed_, size_ + std::max(size_, kListMin));
}

void Arena::trim() {
  const Tag* tags = tags_.data();
  std::size_t top = size_, edge_top = edge_size_;
  while (top > 0) {
    if (edge_top == 0)
      while (top >= 8 && all_clear(tags + top - 8, kHasHandle)) top -= 8;
    if (top == 0 || tags[top - 1] & kHasHandle) break;
    --top;
    if (op_info(op_of(tags[top])).operands == Operands::Many) edge_top = operands_[top].a;
  }
  edge_touched_ = std::max(edge_touched_, edge_size_);
  edge_size_ = edge_top;
  // Whoever these nodes used may have lost its last user; if every node left has a handle,
  // nothing has.
  deaths_ = handle_count_ == top ? 0 : deaths_ + 1;
  shrink_to(top);
  // Never later than planned: what is left may be garbage that no one has counted yet.
  look_again_at(std::min(reclaim_at_, 2 * size_));
}

void Arena::mark_living() {
  std::uint8_t* marks = marks_.data();
  const Tag* tags = tags_.data();
  for (std::size_t i = size_; i-- > 0;) {
    while (i >= 8 && all_clear(marks + i - 7) && all_clear(tags + i - 7, kHasHandle)) i -= 8;
    if (tags[i] & kHasHandle) marks[i] = 1;
    if (marks[i]) for_each_operand(static_cast<NodeId>(i), true, [&](NodeId o) { marks[o] = 1; });
  }
}

void Arena::compact_if_worth() {
  deaths_ = 0;
  mark_living();
  std::size_t living = 0;
  for (std::size_t i = 0; i < size_; ++i) living += marks_[i];
  if (2 * living <= size_)
    slide();
  else
    std::memset(marks_.data(), 0, size_);
}

std::size_t Arena::compact() {
  mark_living();
  return slide();
}

std::size_t Arena::slide() {
  // One ascending pass moves and patches: an operand's new place is known before its user moves.
  const std::size_t before = size_;
  const std::uint8_t* marks = marks_.data();
  NodeId* const forward = forward_.data();
  edge_touched_ = std::max(edge_touched_, edge_size_);
  std::size_t to = 0, edge_to = 0;
  first_power_ = kNoNode;
  for (std::size_t from = 0; from < before; ++from) {
    while (from + 8 <= before && all_clear(marks + from)) from += 8;
    if (from == before) break;
    if (!marks[from]) continue;
    marks_[from] = 0;
    forward[from] = static_cast<NodeId>(to);
    Operand2 o = operands_[from];
    switch (op_info(op(from)).operands) {
    case Operands::None:
      break;
    case Operands::Many:
      for (std::size_t k = 0; k < o.b; ++k)
        edge_operands_[edge_to + k] = forward[edge_operands_[o.a + k]];
      if (has_edge_numbers(op(from)))
        std::copy_n(&edge_numbers_[o.a], o.b, &edge_numbers_[edge_to]); // downwards, if at all
      o.a = static_cast<NodeId>(edge_to);
      edge_to += o.b;
      break;
    case Operands::Part:
    case Operands::Unary:
      o.a = forward[o.a];
      break;
    case Operands::Binary:
    case Operands::Parametric:
      o = {forward[o.a], forward[o.b]};
    }
    data_[to] = data_[from];
    if (to < grad_end_) grad_[to] = grad_[from];
    operands_[to] = o;
    tags_[to] = tags_[from];
    if (op(to) == Op::Pow && to < first_power_) first_power_ = to;
    if (has_callback(from) && to != from) callbacks_[from] = 0, callbacks_[to] = 1;
    ++to;
  }
  walk_(
      [](Handle& handle, void* context) {
        Arena& arena = *static_cast<Arena*>(context);
        handle.node = arena.forward_[handle.node];
        if (handle.node < arena.listed_) arena.handles_[handle.node] = &handle;
      },
      this);
  forward_.release(std::min(before, kKeep));
  edge_size_ = edge_to;
  deaths_ = 0;
  ++compactions_;
  shrink_to(to);
  look_again_at(2 * size_); // all of it lives
  return before - to;
}

void Arena::shrink_to(std::size_t size) {
  size_ = size;
  if (size <= first_power_) first_power_ = kNoNode;
  const std::size_t keep = size + kKeep;
  const bool release = touched_ > size + leave_;
  if (grad_end_ > size) {
    const std::size_t end = release ? std::min(grad_end_, keep) : grad_end_;
    std::memset(grad_.data() + size, 0, (end - size) * sizeof(double));
    grad_end_ = size;
  }
  if (release) {
    data_.release(keep), grad_.release(keep), operands_.release(keep), tags_.release(keep);
    marks_.release(keep), callbacks_.release(keep), handles_.release(keep);
    listed_ = std::min(listed_, keep);
    touched_ = keep;
    leave_ = 2 * kKeep; // the rest of a large graph may go bit by bit
  }
  if (edge_touched_ > edge_size_ + kLeave) {
    edge_operands_.release(edge_size_ + kKeep), edge_numbers_.release(edge_size_ + kKeep);
    edge_touched_ = edge_size_ + kKeep;
  }
}

} // namespace arenagrad::core
