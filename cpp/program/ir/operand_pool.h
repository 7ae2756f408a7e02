// Lists of operands, each of which is kept once: the dot products of a layer are of the same
// numbers, those of many points have the same weights. So a program of dot products takes less
// memory than the sums and products it was made of.
//
// Not thread-safe. Cost: about 1 ns an operand.
#pragma once

#include <cstdint>
#include <vector>

namespace arenagrad::program {

// A step of a hash, for tables of a power of two.
constexpr std::uint64_t mix(std::uint64_t x) {
  x *= 0x9e3779b97f4a7c15u;
  return x ^ x >> 32;
}

class OperandLists {
public:
  // Where a list stands in `all`, to whose end it is added if it is new. Always the same `all`.
  std::uint32_t place(std::vector<std::uint32_t>& all, const std::uint32_t* list,
                      std::size_t count);

private:
  struct Known {
    std::uint32_t start, count; // 0: none
  };
  static std::uint64_t hash(const std::uint32_t* list, std::size_t count);
  void grow(const std::vector<std::uint32_t>& all);

  std::vector<Known> table_; // open addressing
  std::size_t size_ = 0;
};

} // namespace arenagrad::program
