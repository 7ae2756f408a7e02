// The arena: every node of every graph, in order of creation.
//
// Invariants
//  1. An operand's index is smaller than its user's: creation order is a topological order.
//  2. A node lives while a handle reaches it. trim() drops all above the highest handle; compact()
//     slides the living down, keeping their order, and patches operands and handles.
//  3. A node has at most one handle; its tag says whether it has one, handle_of() finds it.
//  4. Growing never moves a node: the arrays have their addresses to themselves.
//  5. Above size() gradients, marks and callback bytes are zero, so recording need not write them.
//
// Recording and memory are in arena.cpp, handles in handles.h, dropping nodes in reclaim.*.
// Not thread-safe: the caller holds one lock (in Python the GIL) around every call. Cost: recording
// is a handful of stores; 17 bytes a node, 26 once swept, 35 once handles are listed.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "counted.h"
#include "function_nodes.h"
#include "handles.h"
#include "node.h"
#include "op_domain.h"
#include "op_rules.h"
#include "reclaim.h"
#include "virtual_memory.h"

namespace arenagrad::core {

class Arena {
public:
  // If every array is in use.
  static constexpr std::size_t kBytesPerNode =
      sizeof(double) * 2 + sizeof(Operand2) + sizeof(Handle*) + 3 * sizeof(std::uint8_t);

  // Finds addresses for as many nodes as NodeId counts, or as many as the system grants.
  Arena();

  // At most so many nodes, and operands in lists, are there at a time from now on. Throws ArenaFull
  // if more are in use.
  void set_capacity(std::size_t count);

  // --- recording -----------------------------------------------------------------------------

  // Whether so many nodes (and edges) can be recorded at once, without reserve(): there is memory
  // behind them, no look for garbage is due, and no thread records without a graph. All three are
  // in ready_limit_, so that the fast path of recording makes one comparison.
  bool ready_for(std::size_t nodes) const { return nodes_.size + nodes <= ready_limit_; }
  bool ready_for(std::size_t nodes, std::size_t edges) const {
    return ready_for(nodes) && edges_.size + edges <= edges_.committed;
  }
  // Makes room for `nodes` more nodes (and `edges` more edges): recording them cannot fail then.
  // May compact: read operand indices after it. Throws ArenaFull, with everything as it was.
  void reserve(std::size_t nodes) {
    if (!ready_for(nodes)) [[unlikely]]
      make_room(nodes, 0);
  }
  void reserve(std::size_t nodes, std::size_t edges) {
    if (!ready_for(nodes, edges)) [[unlikely]]
      make_room(nodes, edges);
  }
  // Makes room for the intermediate numbers of a rule (scratch_size): a sweep must not ask for it.
  void reserve_scratch(std::size_t count);

  // In all of these `held` is kHasHandle if the caller attaches a fresh handle at once, by
  // attach_new. Tags come last: a store of bytes may alias anything, so all is read anew after it.
  NodeId push_leaf(double value, Op op = Op::Leaf, Tag held = 0) {
    const std::size_t i = nodes_.size++;
    data_[i] = value; // the operands of a leaf are never read
    tags_[i] = tag_of(op) | held;
    return static_cast<NodeId>(i);
  }

  // A node of a table operation whose primal is already computed and checked.
  NodeId push(Op op, double y, Operand2 operands, Tag held = 0) {
    const std::size_t i = nodes_.size++;
    if (op == Op::Pow && i < first_power_) first_power_ = i;
    data_[i] = y;
    operands_[i] = operands;
    tags_[i] = tag_of(op) | held;
    return static_cast<NodeId>(i);
  }

  // A leaf and, right above it, a node with it as the second operand.
  NodeId push_with_leaf(Op op, double y, NodeId a, double value, Tag held = 0) {
    const std::size_t i = nodes_.size;
    Tag* tags = &tags_[i];
    nodes_.size = i + 2;
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
  // A call of `function` on the `count` operands at next_edges(); result k is then a FunctionResult
  // of {call, k}. Requires reserved room; throws std::bad_alloc with nothing changed.
  NodeId push_function(std::shared_ptr<const Function> function, std::size_t count);
  NodeId* next_edges() { return edge_operands_.data() + edges_.size; }

  // Computes and records one table operation; throws its DomainError and so on before recording.
  NodeId record(Op op, NodeId a, NodeId b) {
    const double x = data_[a], z = b == kNoNode ? 0.0 : data_[b], y = evaluate(op, x, z);
    check_primal(op, x, z, y, a);
    return push(op, y, {a, b});
  }

  // While on, ready_for() is false: every recording then asks for room, and whoever asks looks
  // whether its thread wants no graph (Python's no_grad).
  void set_detaching(bool on) {
    detaching_ = on;
    set_ready_limit();
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
  void attach_new(Handle& handle, NodeId node) { handles_.attach(handle, node); }

  bool is_top(NodeId node) const { return std::size_t{node} + 1 == nodes_.size; }

  // The handle died; it was not the highest.
  void detach_below_top(Handle& handle) {
    tags_[handle.node] &= Tag{0x7f};
    handles_.detach(handle);
    if (!(handle.bits & Handle::Used)) policy_.suspect();
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
    return has_handle(node) ? handles_.find(node, nodes_.size, nodes_.committed) : nullptr;
  }
  void set_walk(HandleIndex::Walk walk) { handles_.set_walk(walk); }

  void set_callback(NodeId node, bool on);
  bool has_callback(NodeId node) const { return callback_count_ != 0 && callbacks_[node]; }

  // --- reclaiming ----------------------------------------------------------------------------

  // Drops every node above the highest handle, unless an Untrimmed exists. Cost: a byte read a
  // node, and page release.
  void trim();

  // Drops every node that no handle reaches, keeping the order of the rest. Returns how many.
  // Requires that no sweep is under way. Cost: a few ns a node.
  std::size_t compact();
  // The same if at least half of the nodes are dead.
  void compact_if_worth();

  // Called when a look for garbage is due (ReclaimPolicy). Python's edge has one that first breaks
  // reference cycles; the default is compact_if_worth.
  using Reclaim = void (*)(Arena&);
  void set_reclaim(Reclaim reclaim) { reclaim_ = reclaim; }

  // While one of these exists nothing is compacted, so indices stay what they are. Whoever may run
  // Python between reading an index and using it holds one.
  struct Frozen : Counted {
    explicit Frozen(Arena& arena) : Counted(arena.frozen_) {}
  };
  bool frozen() const { return frozen_ != 0; }

  // While one of these exists nothing is trimmed either; whoever ends the last one trims.
  struct Untrimmed : Counted {
    explicit Untrimmed(Arena& arena) : Counted(arena.untrimmed_) {}
  };

  // --- reading -------------------------------------------------------------------------------

  std::size_t size() const { return nodes_.size; }
  std::size_t edge_size() const { return edges_.size; }
  std::size_t capacity() const { return capacity_; }
  std::size_t handle_count() const { return handles_.count(); }
  // At most so much memory is behind the nodes, those in use and those kept for reuse.
  std::size_t resident_bytes() const { return nodes_.touched * kBytesPerNode; }
  std::size_t compactions() const { return compactions_; }
  std::size_t callback_count() const { return callback_count_; }
  // No node below is a Pow, the operation whose rule can fail.
  std::size_t first_power() const { return first_power_; }
  // No node below has shapes (op.h) by which its rule may have no partials.
  std::size_t first_shaped() const { return first_shaped_; }
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
  FunctionNodes& functions() { return functions_; }
  const FunctionNodes& functions() const { return functions_; }
  const double* data_array() const { return data_.data(); }
  const Operand2* operand_array() const { return operands_.data(); }
  const Tag* tag_array() const { return tags_.data(); }

  // Calls visit(operand) for each operand. Literals, as of a Parametric operation, and the group of
  // a Part, which Python never sees, are visited only if `hidden`; else the group's operands are.
  template <class Visit> void for_each_operand(NodeId i, bool hidden, Visit&& visit) const {
    Operand2 o = operands_[i];
    Operands kind = op_info(op(i)).operands;
    if (kind == Operands::Part) {
      if (hidden) return visit(o.a);
      o = operands_[o.a], kind = Operands::Many;
    }
    if (kind == Operands::Many) {
      for (std::size_t k = 0; k < o.b; ++k)
        if (const NodeId operand = edge_operands_[o.a + k]; hidden || !is_literal(op(operand)))
          visit(operand);
    } else if (kind != Operands::None) {
      visit(o.a);
      if (kind == Operands::Binary || (kind == Operands::Parametric && hidden)) visit(o.b);
    }
  }

private:
  // Of the nodes or the edges: how many there are, how many have memory behind them, and how many
  // the system has granted.
  struct Extent {
    std::size_t size = 0, touched = 0, committed = 0;
  };

  // Calls visit(array) for each array with an entry a node; false as soon as one call is.
  template <class Visit> bool for_node_arrays(Visit&& visit);
  template <class Visit> bool for_edge_arrays(Visit&& visit);
  bool try_reserve(std::size_t capacity);
  template <class Commit> std::size_t commit_for(std::size_t count, Commit&& commit) const;
  void make_room(std::size_t nodes, std::size_t edges);
  void commit(std::size_t nodes, std::size_t edges);
  void touch(std::size_t nodes);
  void set_ready_limit();
  void drop_edges_above(std::size_t size);
  void drop_nodes_above(std::size_t size);
  void mark_living();
  Operand2 moved_operands(std::size_t node, std::size_t& edge_to);
  std::size_t slide();

  ReservedArray<double> data_{0}, grad_{1};
  ReservedArray<Operand2> operands_{2};
  ReservedArray<Tag> tags_{3};
  ReservedArray<std::uint8_t> marks_{4};
  ReservedArray<std::uint8_t> callbacks_{5}; // 1 where the user has replaced the rule
  HandleIndex handles_{6};
  ReservedArray<NodeId> forward_{7}; // new indices of the living, while compacting only
  ReservedArray<NodeId> edge_operands_{8};
  ReservedArray<double> edge_numbers_{9};
  std::vector<double> scratch_; // enough for the rule of every node

  FunctionNodes functions_;
  Extent nodes_, edges_;
  std::size_t ready_limit_ = 0; // see ready_for
  std::size_t capacity_ = 0;    // of nodes, and of edges
  std::size_t most_ = 0;        // that there are addresses for
  std::size_t grad_end_ = 0;    // gradients at and above are zero
  std::size_t first_power_ = kNoNode, first_shaped_ = kNoNode;
  std::size_t callback_count_ = 0, compactions_ = 0;
  int frozen_ = 0, untrimmed_ = 0;
  bool detaching_ = false;
  ReclaimPolicy policy_;
  Reclaim reclaim_ = [](Arena& arena) { arena.compact_if_worth(); };
};

} // namespace arenagrad::core
