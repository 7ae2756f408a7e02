// Arrays that grow in place, and what else a process maps.
#include <doctest/doctest.h>
#include <sys/mman.h>

#include <cstring>
#include <memory>
#include <vector>

#include "core/virtual_memory.h"

using arenagrad::core::Reservation;

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

} // namespace

TEST_CASE("an array grows in place and reads as zero") {
  Reservation memory;
  REQUIRE(memory.reserve(std::size_t{1} << 35));
  void* const base = memory.base();
  REQUIRE(memory.commit(kMiB));
  auto* const bytes = static_cast<unsigned char*>(base);
  std::memset(bytes, 7, kMiB);
  REQUIRE(memory.commit(8 * kMiB));
  CHECK(memory.base() == base);
  CHECK(bytes[kMiB - 1] == 7);
  CHECK(bytes[kMiB] == 0);
  CHECK(bytes[8 * kMiB - 1] == 0);
  memory.release(100);
  CHECK(bytes[99] == 7);
  CHECK(bytes[100] == 0);
}

TEST_CASE("what another has mapped behind an array is left alone") {
  Reservation memory;
  REQUIRE(memory.reserve(std::size_t{1} << 35));
  REQUIRE(memory.commit(kMiB));
  void* const next = static_cast<char*>(memory.base()) + kMiB;
  void* const other = mmap(next, kMiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (other != next) { // this system gives no addresses that are asked for
    munmap(other, kMiB);
    return;
  }
  std::memset(other, 9, kMiB);
  CHECK_FALSE(memory.commit(2 * kMiB));
  CHECK(static_cast<unsigned char*>(other)[kMiB - 1] == 9);
  munmap(other, kMiB);
  CHECK(memory.commit(2 * kMiB));
}

TEST_CASE("arrays have their addresses to themselves") {
  std::vector<std::unique_ptr<Reservation>> all;
  for (int k = 0; k < 300; ++k) { // more than there is room for at once
    all.push_back(std::make_unique<Reservation>());
    REQUIRE(all.back()->reserve(std::size_t{1} << 35));
    REQUIRE(all.back()->commit(kMiB));
    std::memset(all.back()->base(), k % 251 + 1, kMiB);
  }
  for (int k = 0; k < 300; ++k)
    CHECK(static_cast<unsigned char*>(all[static_cast<std::size_t>(k)]->base())[kMiB - 1] ==
          k % 251 + 1);
}
