// An array that grows without moving: it gets addresses that nothing else in the process uses, and
// maps them page after page as they are needed. Only what is mapped is address space that the
// system counts, so a limit on that, set at any time, takes nothing from the rest of the program.
// Memory goes back to the system when it is no longer needed. Fresh pages read as zero.
//
// Not thread-safe. Costs: commit and release are system calls, access is a plain pointer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace arenagrad::core {

// A range of address space. All sizes are in bytes; the last page of a range is rounded up.
class Reservation {
public:
  Reservation() = default;
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;
  ~Reservation();

  // Finds `bytes` of addresses, and maps a page of them. Where the system gives no addresses that
  // are asked for, all are mapped at once, without memory. False if the system refuses that too.
  bool reserve(std::size_t bytes);
  // Maps so many bytes anywhere, all of them committed. False if the system refuses.
  bool map(std::size_t bytes);
  // Makes [0, bytes) readable and writable. False if the system refuses, with all as it was.
  // Requires bytes reserved.
  bool commit(std::size_t bytes);
  // Puts memory behind [from, to) at once, where the system can: cheaper by far than a fault for
  // each page. Requires it committed.
  void populate(std::size_t from, std::size_t to);
  // Gives the memory behind [from, committed) back; it stays usable and reads as zero.
  void release(std::size_t from);
  void unreserve();

  void* base() const { return base_; }

private:
  bool claim(char* base, std::size_t bytes);

  void* base_ = nullptr;
  std::size_t reserved_ = 0;
  std::size_t committed_ = 0;
  bool whole_ = false; // all that is reserved is mapped
};

// An array of T in a Reservation. Arrays that are walked side by side must get different staggers:
// with equal low address bits the caches' way predictors take them for one another, which was
// measured to cost a factor of 5.
template <class T> class ReservedArray {
public:
  explicit ReservedArray(unsigned stagger) : skew_(stagger * kSkew) {}

  bool reserve(std::size_t count) {
    const bool ok = memory_.reserve(skew_ + count * sizeof(T));
    items_ = reinterpret_cast<T*>(static_cast<char*>(memory_.base()) + skew_);
    return ok;
  }
  bool commit(std::size_t count) { return memory_.commit(skew_ + count * sizeof(T)); }
  void populate(std::size_t from, std::size_t to) {
    memory_.populate(skew_ + from * sizeof(T), skew_ + to * sizeof(T));
  }
  void release(std::size_t from) { memory_.release(skew_ + from * sizeof(T)); }
  void unreserve() { memory_.unreserve(); }

  T& operator[](std::size_t i) { return items_[i]; }
  const T& operator[](std::size_t i) const { return items_[i]; }
  T* data() { return items_; }
  const T* data() const { return items_; }

private:
  static constexpr std::size_t kSkew = 3 * 4096 + 7 * 64; // pages and lines both differ

  Reservation memory_;
  std::size_t skew_;
  T* items_ = nullptr;
};

// Whether none of eight bytes has a bit of `mask`: long runs are skipped this way.
inline bool all_clear(const std::uint8_t* bytes, std::uint8_t mask = 0xff) {
  std::uint64_t word;
  std::memcpy(&word, bytes, sizeof word);
  return (word & (mask * std::uint64_t{0x0101010101010101})) == 0;
}

} // namespace arenagrad::core
