#include "virtual_memory.h"

#include <algorithm>
#include <cstring>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#include <unistd.h>
#else
#error "arenagrad needs mmap: Linux, macOS or another POSIX system"
#endif

namespace arenagrad::core {
namespace {

// Past this offset memory comes in huge pages where the system has them: one fault then pays for
// 512 pages. Below it small graphs keep a small footprint.
constexpr std::size_t kHugeFrom = std::size_t{2} << 20;

// Where arrays stand that grow: between what systems load low (programs, heaps) and high
// (libraries, other mappings, stacks). The first is within what valgrind gives, the second is what
// the address sanitizer leaves.
constexpr std::uintptr_t kRegions[] = {std::uintptr_t{4} << 40, std::uintptr_t{32} << 40};
constexpr std::uintptr_t kRegionSize = std::uintptr_t{4} << 40, kGap = std::uintptr_t{1} << 30;

std::size_t round_up(std::size_t bytes) {
  static const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

} // namespace

Reservation::~Reservation() { unreserve(); }

// Takes the addresses from `base` on if all of them are free.
bool Reservation::claim(char* base, std::size_t bytes) {
  const std::size_t page = round_up(1);
  const auto map = [base](std::size_t size, int protection, int flags) {
    return mmap(base, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  };
  void* got = map(bytes, PROT_NONE, MAP_NORESERVE);
  if (got == MAP_FAILED) { // under a limit of address space this cannot be asked
    got = map(page, PROT_READ | PROT_WRITE, 0);
    bytes = page;
  } else if (got == base) {
    got = map(page, PROT_READ | PROT_WRITE, MAP_FIXED);
    munmap(base + page, bytes - page);
  }
  if (got == MAP_FAILED) return false;
  if (got != base) return munmap(got, bytes), false;
  base_ = got;
  committed_ = page;
  return true;
}

bool Reservation::reserve(std::size_t bytes) {
  bytes = std::max(round_up(bytes), 2 * round_up(1));
  // Each process starts elsewhere, as far as the system loads its code elsewhere.
  static std::uintptr_t next = reinterpret_cast<std::uintptr_t>(&kHugeFrom) / 4096 % 1024 * kGap;
  constexpr int kAttempts = 16;
  for (const std::uintptr_t region : kRegions) {
    for (int k = 0; k < kAttempts && base_ == nullptr; ++k) {
      if (next + bytes > kRegionSize) next = 0;
      char* const base = reinterpret_cast<char*>(region + next);
      next += (bytes + kGap - 1) / kGap * kGap + kGap;
      claim(base, bytes);
    }
  }
  if (base_ == nullptr) { // a system that gives no address that is asked for
    void* const base =
        mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return false;
    base_ = base;
    whole_ = true;
  }
  reserved_ = bytes;
  return true;
}

bool Reservation::map(std::size_t bytes) {
  bytes = round_up(bytes);
  void* const base =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return false;
  base_ = base;
  reserved_ = committed_ = bytes;
  return true;
}

bool Reservation::commit(std::size_t bytes) {
  bytes = std::min(round_up(bytes), reserved_);
  if (bytes <= committed_) return true;
  char* const start = static_cast<char*>(base_);
  char* const end = start + committed_;
  const std::size_t more = bytes - committed_;
  // What another has mapped there meanwhile is left alone: then the system maps elsewhere.
  void* const got = mmap(end, more, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | (whole_ ? MAP_FIXED : 0), -1, 0);
  if (got == MAP_FAILED) return false;
  if (got != end) return munmap(got, more), false;
#ifdef MADV_HUGEPAGE
  const std::size_t from = std::max(committed_, kHugeFrom);
  if (bytes > from) madvise(start + from, bytes - from, MADV_HUGEPAGE);
#endif
  committed_ = bytes;
  return true;
}

void Reservation::populate([[maybe_unused]] std::size_t from, [[maybe_unused]] std::size_t to) {
#ifdef MADV_POPULATE_WRITE
  from = round_up(from), to = std::min(round_up(to), committed_);
  // Refused by kernels before 5.14: the pages then come one by one, as they are touched.
  if (from < to) madvise(static_cast<char*>(base_) + from, to - from, MADV_POPULATE_WRITE);
#endif
}

void Reservation::release(std::size_t from) {
  if (from >= committed_) return;
  const std::size_t page = std::min(round_up(from), committed_);
  std::memset(static_cast<char*>(base_) + from, 0, page - from);
  from = page;
  if (from == committed_) return;
  char* start = static_cast<char*>(base_) + from;
#ifdef __linux__
  madvise(start, committed_ - from, MADV_DONTNEED);
#else
  // Elsewhere MADV_DONTNEED is a hint that may keep the old contents: a fresh mapping never does.
  mmap(start, committed_ - from, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
       -1, 0);
#endif
}

void Reservation::unreserve() {
  if (base_ != nullptr) munmap(base_, whole_ ? reserved_ : committed_);
  base_ = nullptr;
  whole_ = false;
  reserved_ = committed_ = 0;
}

} // namespace arenagrad::core
