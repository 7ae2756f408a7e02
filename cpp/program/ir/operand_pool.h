// The lists of operands of a program, each kept once: the dot products of a layer share their
// numbers, those of many points share their weights. So a program of dot products takes less memory
// than the sums and products it was made of: value and gradient of an MLP over many points take 20
// bytes an instruction, and 57 if each instruction has a list of its own.
//
// Invariant: the table knows every list that it placed, so equal lists have equal positions.
// Not thread-safe. Cost: about 1 ns an operand.
#pragma once

#include <cstdint>
#include <vector>

namespace arenagrad::program {

// A step of a hash, for tables whose size is a power of two.
constexpr std::uint64_t mix(std::uint64_t x) {
  x *= 0x9e3779b97f4a7c15u;
  return x ^ x >> 32;
}

class OperandPool {
public:
  // Where a list stands in `all`, to whose end it is added if it is new. Requires the same `all` in
  // every call, which nothing else changes. An empty list is at 0.
  std::uint32_t place(std::vector<std::uint32_t>& all, const std::uint32_t* list,
                      std::size_t count);

private:
  struct Known {
    std::uint32_t start, count; // a count of 0: a free entry
  };
  static std::uint64_t hash(const std::uint32_t* list, std::size_t count);
  void grow(const std::vector<std::uint32_t>& all);

  std::vector<Known> table_; // open addressing, at most half full
  std::size_t size_ = 0;
};

} // namespace arenagrad::program
