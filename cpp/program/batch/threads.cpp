#include "threads.h"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

namespace arenagrad::program {
namespace {

constexpr auto kWatchInterval = std::chrono::milliseconds(50);
constexpr std::size_t kStepsPerLook = 64; // take far less than the interval

} // namespace

void SharedPieces::run(std::size_t threads, const Worker& worker) {
  if (count_ == 0) return;
  const auto help = [&]() noexcept {
    try {
      worker(Role::Helper);
    } catch (...) {
      fail();
    }
    const std::lock_guard lock(mutex_);
    ++helpers_returned_;
    returned_.notify_one();
  };
  std::vector<std::thread> helpers;
  try {
    while (helpers.size() + 1 < std::min(threads, count_)) helpers.emplace_back(help);
  } catch (...) { // then those that there are do all of it
  }
  try {
    worker(Role::Caller);
  } catch (...) {
    fail();
  }
  wait_for_helpers(helpers.size());
  for (std::thread& helper : helpers) helper.join();
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

std::optional<std::size_t> SharedPieces::next() {
  if (failed_) return std::nullopt;
  const std::size_t piece = next_.fetch_add(1);
  return piece < count_ ? std::optional(piece) : std::nullopt;
}

void SharedPieces::finished(std::size_t rows, std::size_t steps, Role role) {
  rows_.fetch_add(rows, std::memory_order_relaxed);
  if (role != Role::Caller || !watch_) return;
  steps_ += steps;
  if (steps_ < kStepsPerLook) return;
  steps_ = 0;
  if (Clock::now() - watched_ > kWatchInterval) call_watch();
}

void SharedPieces::call_watch() {
  watch_(rows_.load(std::memory_order_relaxed));
  watched_ = Clock::now();
}

// Keeps the exception at hand, the first of the run.
void SharedPieces::fail() {
  const std::lock_guard lock(mutex_);
  if (!error_) error_ = std::current_exception();
  failed_ = true;
}

// The calling thread is out of work, but goes on calling the Watch.
void SharedPieces::wait_for_helpers(std::size_t helpers) {
  std::unique_lock lock(mutex_);
  while (!returned_.wait_for(lock, kWatchInterval, [&] { return helpers_returned_ == helpers; })) {
    if (!watch_ || failed_) continue;
    lock.unlock();
    try {
      call_watch();
    } catch (...) {
      fail();
    }
    lock.lock();
  }
}

} // namespace arenagrad::program
