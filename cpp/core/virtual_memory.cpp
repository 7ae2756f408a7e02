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

std::size_t round_up(std::size_t bytes) {
  static const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

} // namespace

Reservation::~Reservation() { unreserve(); }

bool Reservation::reserve(std::size_t bytes) {
  bytes = round_up(bytes);
  void* base = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return false;
  base_ = base;
  reserved_ = bytes;
  return true;
}

bool Reservation::commit(std::size_t bytes) {
  bytes = std::min(round_up(bytes), reserved_);
  if (bytes <= committed_) return true;
  char* start = static_cast<char*>(base_);
  if (mprotect(start + committed_, bytes - committed_, PROT_READ | PROT_WRITE) != 0) return false;
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
  if (base_ != nullptr) munmap(base_, reserved_);
  base_ = nullptr;
  reserved_ = committed_ = 0;
}

} // namespace arenagrad::core
