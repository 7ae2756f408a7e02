#include "operand_pool.h"

#include <algorithm>

namespace arenagrad::program {

std::uint32_t OperandPool::place(std::vector<std::uint32_t>& all, const std::uint32_t* list,
                                 std::size_t count) {
  if (count == 0) return 0;
  if (2 * (size_ + 1) > table_.size()) grow(all);
  const std::size_t mask = table_.size() - 1;
  for (std::size_t k = hash(list, count) & mask;; k = (k + 1) & mask) {
    Known& known = table_[k];
    if (known.count == 0) {
      known = {static_cast<std::uint32_t>(all.size()), static_cast<std::uint32_t>(count)};
      all.insert(all.end(), list, list + count);
      ++size_;
      return known.start;
    }
    if (known.count == count && std::equal(list, list + count, all.data() + known.start))
      return known.start;
  }
}

std::uint64_t OperandPool::hash(const std::uint32_t* list, std::size_t count) {
  std::uint64_t h = count;
  for (std::size_t k = 0; k < count; ++k) h = mix(h + list[k]);
  return h;
}

void OperandPool::grow(const std::vector<std::uint32_t>& all) {
  std::vector<Known> larger(std::max<std::size_t>(64, 4 * table_.size()), Known{0, 0});
  const std::size_t mask = larger.size() - 1;
  for (const Known& known : table_) {
    if (known.count == 0) continue;
    std::size_t k = hash(all.data() + known.start, known.count) & mask;
    while (larger[k].count != 0) k = (k + 1) & mask;
    larger[k] = known;
  }
  table_.swap(larger);
}

} // namespace arenagrad::program
