// When the arena looks for garbage, and how much memory of dropped nodes it keeps. Not thread-safe.
//
// A node becomes garbage in two ways: a handle dies whose node nothing used, or trimming drops the
// users of a node that has no handle. So there are three states, and a graph that only grows is
// never scanned:
//   clean      every node is reached: nothing is looked for, however large the arena becomes
//   suspicious one of the two has happened: the arena looks when it reaches look_at() nodes
//   looked     clean again; if half was garbage it is compacted, and either way the next look comes
//              at twice the size, so that looking costs each new node a constant
#pragma once

#include <algorithm>
#include <cstddef>

namespace arenagrad::core {

class ReclaimPolicy {
public:
  // The three thresholds, in nodes.
  static constexpr std::size_t kLookFrom = std::size_t{1} << 18; // smaller arenas are not scanned
  // Freed nodes up to this keep their memory, so that a loop of middling graphs does not ask for it
  // again and again;
  static constexpr std::size_t kKeepFreed = std::size_t{3} << 17;
  // of more than that, all but these give it back.
  static constexpr std::size_t kReserve = std::size_t{1} << 16;

  void suspect() { suspicious_ = true; }
  bool suspicious() const { return suspicious_; }
  std::size_t look_at() const { return look_at_; }

  // The arena has reached look_at() and is about to get `more` nodes.
  void grown_to(std::size_t size, std::size_t more) {
    look_at_ = std::max(look_at_, 2 * size + more);
  }
  // The arena was trimmed to `size` nodes; `clean` says that each of them has a handle. The next
  // look comes no later than planned: the rest may hold garbage that nobody has suspected yet.
  void trimmed_to(std::size_t size, bool clean) {
    suspicious_ = !clean;
    look_at_ = std::max(kLookFrom, std::min(look_at_, 2 * size));
  }
  void looked() { suspicious_ = false; }
  void compacted_to(std::size_t size) {
    suspicious_ = false;
    look_at_ = std::max(kLookFrom, 2 * size);
  }

  // Whether so many freed nodes give their memory back, all but kReserve of them.
  bool releases(std::size_t freed) const { return freed > release_above_; }
  // After that the rest of a large graph may go bit by bit, until new nodes get memory.
  void released() { release_above_ = 2 * kReserve; }
  void touched() { release_above_ = kKeepFreed; }

private:
  std::size_t look_at_ = kLookFrom;
  std::size_t release_above_ = kKeepFreed;
  bool suspicious_ = false;
};

} // namespace arenagrad::core
