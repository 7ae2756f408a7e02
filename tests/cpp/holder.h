// A C++ holder of a node, doing for the tests what a Python object does for users.
#pragma once

#include <memory>
#include <unordered_set>

#include "core/arena.h"

struct Holder {
  Holder(arenagrad::core::Arena& arena, arenagrad::core::NodeId node) : arena(arena) {
    arena.attach(handle, node);
    all().insert(this);
    arena.set_walk([](arenagrad::core::HandleIndex::Visit visit, void* context) {
      for (Holder* holder : all()) visit(holder->handle, context);
    });
  }
  ~Holder() {
    all().erase(this);
    arena.detach(handle);
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

  arenagrad::core::NodeId node() const { return handle.node; }
  arenagrad::core::NodeId use() {
    handle.bits |= arenagrad::core::Handle::Used;
    return handle.node;
  }

  // Of the one arena that a test has.
  static std::unordered_set<Holder*>& all() {
    static std::unordered_set<Holder*> holders;
    return holders;
  }

  arenagrad::core::Arena& arena;
  arenagrad::core::Handle handle;
};

using Held = std::unique_ptr<Holder>;

inline Held hold(arenagrad::core::Arena& arena, arenagrad::core::NodeId node) {
  return std::make_unique<Holder>(arena, node);
}

inline Held leaf(arenagrad::core::Arena& arena, double value) {
  arena.reserve(1);
  return hold(arena, arena.push_leaf(value));
}

inline Held apply(arenagrad::core::Op op, Holder& a, Holder& b) {
  a.arena.reserve(1);
  return hold(a.arena, a.arena.record(op, a.use(), b.use()));
}
