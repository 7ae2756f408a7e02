// A hash table from Python objects to what a cycle collection knows of them. Open addressing in one
// block: a collection looks up some ten objects for each closure, and a node-based map took longer
// than making the closure had. Not thread-safe; borrows its keys.
#pragma once

#include <Python.h>

#include <cstdint>
#include <vector>

namespace arenagrad::bindings {

struct KnownObject {
  PyObject* object = nullptr;
  Py_ssize_t references = 0; // that were found from within
  bool entered = false;      // its own references have been counted too
  bool marked = false;       // it is reached from outside
};

class ObjectTable {
public:
  explicit ObjectTable(std::size_t expected) { resize(4 * expected + 64); }

  // The entry of `object`, made if it is new; valid until the next call. May throw bad_alloc.
  KnownObject& operator[](PyObject* object) {
    if (2 * (used_ + 1) > entries_.size()) resize(2 * entries_.size());
    KnownObject& entry = slot(object);
    if (entry.object == nullptr) {
      entry.object = object;
      ++used_;
    }
    return entry;
  }
  // Null if it is unknown.
  KnownObject* find(PyObject* object) {
    KnownObject& entry = slot(object);
    return entry.object == nullptr ? nullptr : &entry;
  }

  // All entries, empty ones included.
  auto begin() { return entries_.begin(); }
  auto end() { return entries_.end(); }

private:
  KnownObject& slot(PyObject* object) {
    // The low bits of addresses are equal; a multiplication spreads the others (Knuth, TAOCP 6.4).
    const auto key = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(object));
    const std::size_t mask = entries_.size() - 1;
    std::size_t i = (key * 0x9E3779B97F4A7C15u) >> shift_ & mask;
    while (entries_[i].object != nullptr && entries_[i].object != object) i = (i + 1) & mask;
    return entries_[i];
  }

  void resize(std::size_t wanted) {
    std::size_t size = 64;
    shift_ = 64 - 6;
    for (; size < wanted; size *= 2) --shift_;
    std::vector<KnownObject> old(size);
    old.swap(entries_);
    for (const KnownObject& entry : old)
      if (entry.object != nullptr) slot(entry.object) = entry;
  }

  std::vector<KnownObject> entries_;
  std::size_t used_ = 0;
  int shift_ = 0;
};

} // namespace arenagrad::bindings
