// The arena: every node of every graph, in order of creation.
//
// Invariants
//  1. An operand's index is smaller than its user's: creation order is a topological order.
//  2. A node lives while a handle reaches it. trim() drops all above the highest handle; compact()
//     slides the living down, keeping their order, and patches operands and handles.
//  3. A node has at most one handle; its tag says whether it has one, handle_of() finds it.
//  4. Growing never moves a node: the arrays live in reserved address space.
//  5. Above size() gradients, marks and callback bytes are zero, so recording need not write them.
//
// Not thread-safe: the caller holds one lock (in Python the GIL) around every call. Cost: recording
// is a handful of stores; 17 bytes a node, 26 once swept, 35 once handles are listed.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "counted.h"
#include "node.h"
#include "op_domain.h"
#include "op_rules.h"
#include "virtual_memory.h"

namespace arenagrad::core {

class Arena {
public:
  // If every array is in use.
  static constexpr std::size_t kBytesPerNode =
      sizeof(double) * 2 + sizeof(Operand2) + sizeof(Handle*) + 3 * sizeof(std::uint8_t);

  // Reserves address space for as many nodes as NodeId counts, or as many as the system grants.
  Arena();

  // --- recording -----------------------------------------------------------------------------

  // Makes room for `nodes` more nodes (and `edges` more edges): what follows cannot fail then. May
  // compact: read operand indices after it. Throws ArenaFull, with everything as it was.
  void reserve(std::size_t nodes) {
    if (!has_room(nodes)) [[unlikely]]
      make_room(nodes, 0);
  }
  bool has_room(std::size_t nodes) const { return size_ + nodes <= limit_; }
  bool has_room(std::size_t nodes, std::size_t edges) const {
    return has_room(nodes) && edge_size_ + edges <= edge_limit_;
  }
  void reserve(std::size_t nodes, std::size_t edges) {
    if (!has_room(nodes, edges)) [[unlikely]]
      make_room(nodes, edges);
  }

  // Makes room for the intermediate numbers of a rule (scratch_size): a sweep must not ask for it.
  void reserve_scratch(std::size_t count);

  // In all of these `held` is kHasHandle if the caller attaches a fresh handle at once, by
  // attach_new. Tags come last: a store of bytes may alias anything, so all is read anew after it.
  NodeId push_leaf(double value, Op op = Op::Leaf, Tag held = 0) {
    const std::size_t i = size_++;
    data_[i] = value; // the operands of a leaf are never read
    tags_[i] = tag_of(op) | held;
    return static_cast<NodeId>(i);
  }

  // A node of a table operation whose primal is already computed and checked.
  NodeId push(Op op, double y, Operand2 operands, Tag held = 0) {
    const std::size_t i = size_++;
    if (op == Op::Pow && i < first_power_) first_power_ = i;
    data_[i] = y;
    operands_[i] = operands;
    tags_[i] = tag_of(op) | held;
    return static_cast<NodeId>(i);
  }

  // A leaf and, right above it, a node with it as the second operand.
  NodeId push_with_leaf(Op op, double y, NodeId a, double value, Tag held = 0) {
    const std::size_t i = size_;
    Tag* tags = &tags_[i];
    size_ = i + 2;
    data_[i] = value;
    data_[i + 1] = y;
    operands_[i + 1] = {a, static_cast<NodeId>(i)};
    tags[0] = tag_of(Op::Leaf);
    tags[1] = tag_of(op) | held;
    return static_cast<NodeId>(i + 1);
  }

  // A node whose operands are edges; requires reserved room for them. They may have been written
  // to next_edges() already. `partials` may be null.
  NodeId push_many(Op op, double y, const NodeId* operands, const double* partials,
                   std::size_t count, Tag held = 0);
  NodeId* next_edges() { return edge_operands_.data() + edge_size_; }

  // Computes and records one table operation; throws its DomainError and so on before recording.
  NodeId record(Op op, NodeId a, NodeId b) {
    const double x = data_[a], z = b == kNoNode ? 0.0 : data_[b], y = evaluate(op, x, z);
    check_primal(op, x, z, y, a);
    return push(op, y, {a, b});
  }

  // While on, has_room() is false, so that every recording takes the way that asks for room and
  // looks whether its thread wants no graph (Python's no_grad).
  void set_detaching(bool on) {
    detaching_ = on;
    set_limit();
  }
  bool detaching() const { return detaching_; }
  // Turns the newest nodes, all above `size`, into leaves of the same primals: `nodes` of them,
  // which get their new indices. Requires that none has a handle.
  void detach_above(std::size_t size, std::size_t edge_size, std::vector<NodeId>& nodes);

  // --- handles -------------------------------------------------------------------------------

  // Ties a handle to a node that has none, its bits cleared.
  void attach(Handle& handle, NodeId node) {
    tags_[node] |= kHasHandle;
    attach_new(handle, node);
  }
  // The same for a node pushed with kHasHandle.
  void attach_new(Handle& handle, NodeId node) {
    handle = {node, 0};
    ++handle_count_;
    if (node < listed_) [[unlikely]]
      handles_[node] = &handle;
  }

  bool is_top(NodeId node) const { return std::size_t{node} + 1 == size_; }

  // The handle died; it was not the highest.
  void detach_below_top(Handle& handle) {
    tags_[handle.node] &= Tag{0x7f};
    handle.node = kNoNode;
    --handle_count_;
    if (!(handle.bits & Handle::Used)) ++deaths_;
  }
  // The handle died. If it was the highest, everything above the next one is dropped.
  void detach(Handle& handle) {
    const bool top = is_top(handle.node);
    detach_below_top(handle);
    if (top) trim();
  }

  bool has_handle(NodeId node) const { return tags_[node] & kHasHandle; }
  // Null if the node has none. Cost: the first call looks at every handle; later ones are cheap.
  Handle* handle_of(NodeId node) {
    if (!has_handle(node)) return nullptr;
    if (node >= listed_) [[unlikely]]
      list_handles();
    return handles_[node];
  }

  // The owner of the handles: walk(visit, context) calls visit(handle, context) for each attached.
  using Visit = void (*)(Handle&, void*);
  using Walk = void (*)(Visit, void*);
  void set_walk(Walk walk) { walk_ = walk; }

  void set_callback(NodeId node, bool on);
  bool has_callback(NodeId node) const { return callback_count_ != 0 && callbacks_[node]; }

  // --- reclaiming ----------------------------------------------------------------------------

  // Drops every node above the highest handle. Cost: a byte read a node, and page release.
  void trim();

  // Drops every node that no handle reaches, keeping the order of the rest. Returns how many.
  // Requires that no sweep is under way. Cost: a few ns a node.
  std::size_t compact();

  // Called when the arena has doubled since the last look and something may have died. Python's
  // edge has one that first breaks reference cycles; the default is compact_if_worth.
  using Reclaim = void (*)(Arena&);
  void set_reclaim(Reclaim reclaim) { reclaim_ = reclaim; }
  // Compacts if at least half of the nodes are dead.
  void compact_if_worth();

  // --- reading -------------------------------------------------------------------------------

  std::size_t size() const { return size_; }
  std::size_t edge_size() const { return edge_size_; }
  std::size_t capacity() const { return capacity_; }
  std::size_t handle_count() const { return handle_count_; }
  // At most so much memory is behind the nodes, those in use and those kept for reuse.
  std::size_t resident_bytes() const { return touched_ * kBytesPerNode; }
  std::size_t compactions() const { return compactions_; }
  std::size_t callback_count() const { return callback_count_; }
  // No node below is a Pow, the operation whose rule can fail.
  std::size_t first_power() const { return first_power_; }
  bool frozen() const { return frozen_ != 0; }
  double& data(NodeId i) { return data_[i]; }
  double gradient(NodeId i) const { return grad_[i]; }
  // Writable adjoints of [0, end): remembers that they may no longer be zero.
  double* gradients(std::size_t end) {
    if (end > grad_end_) grad_end_ = end;
    return grad_.data();
  }
  Op op(NodeId i) const { return op_of(tags_[i]); }
  Operand2 operands(NodeId i) const { return operands_[i]; }
  std::uint8_t* marks() { return marks_.data(); }
  const NodeId* edge_operands(std::size_t offset) const { return edge_operands_.data() + offset; }
  // An edge's number: the partial of a FixedPartials; of a group, during a sweep, the adjoint of
  // its result for this operand, else 0.
  double* edge_numbers(std::size_t offset) { return edge_numbers_.data() + offset; }
  double* scratch() { return scratch_.data(); }
  const double* data_array() const { return data_.data(); }
  const Operand2* operand_array() const { return operands_.data(); }
  const Tag* tag_array() const { return tags_.data(); }

  // Calls visit(operand) for each operand. What Python never sees, the Literal of a Parametric
  // operation and the group of a Part, is visited only if `hidden`; else the group's operands are.
  template <class Visit> void for_each_operand(NodeId i, bool hidden, Visit&& visit) const {
    Operand2 o = operands_[i];
    Operands kind = op_info(op(i)).operands;
    if (kind == Operands::Part) {
      if (hidden) return visit(o.a);
      o = operands_[o.a], kind = Operands::Many;
    }
    if (kind == Operands::Many) {
      for (std::size_t k = 0; k < o.b; ++k) visit(edge_operands_[o.a + k]);
    } else if (kind != Operands::None) {
      visit(o.a);
      if (kind == Operands::Binary || (kind == Operands::Parametric && hidden)) visit(o.b);
    }
  }

  // While one of these exists nothing is compacted, so indices stay what they are. Whoever may run
  // Python between reading an index and using it holds one.
  struct Frozen : Counted {
    explicit Frozen(Arena& arena) : Counted(arena.frozen_) {}
  };

private:
  static constexpr std::size_t kLeave = std::size_t{3} << 17;
  bool try_reserve(std::size_t capacity);
  void make_room(std::size_t nodes, std::size_t edges);
  void commit(std::size_t nodes, std::size_t edges);
  void mark_living();
  void list_handles();
  std::size_t slide();
  void touch(std::size_t nodes);
  void set_limit();
  void shrink_to(std::size_t size);
  void look_again_at(std::size_t size);

  ReservedArray<double> data_{0}, grad_{1};
  ReservedArray<Operand2> operands_{2};
  ReservedArray<Tag> tags_{3};
  ReservedArray<std::uint8_t> marks_{4};
  ReservedArray<std::uint8_t> callbacks_{5}; // 1 where the user has replaced the rule
  ReservedArray<Handle*> handles_{6};        // of nodes below listed_ that have one
  ReservedArray<NodeId> forward_{7};         // new places of the living, while compacting only
  ReservedArray<NodeId> edge_operands_{8};
  ReservedArray<double> edge_numbers_{9};
  std::vector<double> scratch_; // enough for the rule of every node

  std::size_t size_ = 0, limit_ = 0;           // limit_: where make_room is asked next
  std::size_t edge_size_ = 0, edge_limit_ = 0; // edge_limit_: edges committed
  std::size_t committed_ = 0, capacity_ = 0;
  std::size_t reclaim_at_ = 0;                    // size at which reclaiming is considered next
  std::size_t grad_end_ = 0;                      // gradients at and above are zero
  std::size_t touched_ = 0;                       // nodes at and above have no memory behind them
  std::size_t edge_touched_ = 0, leave_ = kLeave; // leave_: freed nodes that keep their memory
  std::size_t handle_count_ = 0, callback_count_ = 0, compactions_ = 0;
  std::size_t listed_ = 0; // a handle attached below goes into handles_ at once
  std::size_t deaths_ = 0; // nodes that may have become garbage since the last look
  int frozen_ = 0;
  bool detaching_ = false;
  std::size_t first_power_ = kNoNode;
  Reclaim reclaim_ = [](Arena& arena) { arena.compact_if_worth(); };
  Walk walk_ = [](Visit, void*) {};
};

} // namespace arenagrad::core
