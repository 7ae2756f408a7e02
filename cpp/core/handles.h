// From a node to its handle. A node stores one bit, whether it has a handle (its tag); the index
// finds which, and is filled only as far as somebody has asked.
//
// Invariants
//  1. Every handle of a node below end() is in the index.
//  2. Above end() nothing is: find() there looks at every handle once and moves end() beyond the
//     newest node, so that later handles are entered as they are attached.
//
// Not thread-safe. Cost: attaching is a store and a comparison.
#pragma once

#include <algorithm>
#include <cstddef>

#include "node.h"
#include "virtual_memory.h"

namespace arenagrad::core {

class HandleIndex {
public:
  // The owner of the handles: walk(visit, context) calls visit(handle, context) for each attached.
  using Visit = void (*)(Handle&, void*);
  using Walk = void (*)(Visit, void*);

  explicit HandleIndex(unsigned stagger) : handles_(stagger) {}

  void set_walk(Walk walk) { walk_ = walk; }
  void for_each(Visit visit, void* context) const { walk_(visit, context); }
  std::size_t count() const { return count_; }
  std::size_t end() const { return end_; }

  void attach(Handle& handle, NodeId node) {
    handle = {node, 0};
    ++count_;
    if (node < end_) [[unlikely]]
      handles_[node] = &handle;
  }
  void detach(Handle& handle) {
    handle.node = kNoNode;
    --count_;
  }
  // The handle has a node of another index, as compacting gave it.
  void moved(Handle& handle) {
    if (handle.node < end_) handles_[handle.node] = &handle;
  }

  // The handle of a node that has one. `size` nodes exist, `committed` fit into the memory.
  Handle* find(NodeId node, std::size_t size, std::size_t committed) {
    if (node >= end_) [[unlikely]]
      fill(size, committed);
    return handles_[node];
  }

  // The memory above `node` is about to be given back.
  void forget_above(std::size_t node) { end_ = std::min(end_, node); }
  ReservedArray<Handle*>& memory() { return handles_; }

private:
  static constexpr std::size_t kAheadMin = 4096; // nodes beyond the newest, at least

  void fill(std::size_t size, std::size_t committed) {
    walk_([](Handle& handle,
             void* index) { static_cast<HandleIndex*>(index)->handles_[handle.node] = &handle; },
          this);
    // As many again are entered as they come, so that a walk over all costs each of them little.
    end_ = std::min(committed, size + std::max(size, kAheadMin));
  }

  ReservedArray<Handle*> handles_;
  std::size_t end_ = 0, count_ = 0;
  Walk walk_ = [](Visit, void*) {};
};

} // namespace arenagrad::core
