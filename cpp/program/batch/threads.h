// Shares the pieces of one run among threads.
//
// Threads take piece after piece until none is left, so a thread that the system holds up delays
// nothing but its own piece. The calling thread works too, and is the only one that calls the
// Watch: it may need a lock, such as Python's, that the caller has. An exception in any thread
// stops all of them at their next block. Cost: starting a thread takes some 20 microseconds, a
// piece an atomic addition.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>

namespace arenagrad::program {

// Called with the number of finished rows some twenty times a second while a run goes on, in the
// thread that called it. An exception that it throws stops the run.
using Watch = std::function<void(std::size_t progress)>;

class SharedPieces {
public:
  enum class Role : std::uint8_t { Caller, Helper };
  using Worker = std::function<void(Role)>;

  // `watch` may be empty, and must outlive this.
  SharedPieces(std::size_t count, const Watch& watch) : count_(count), watch_(watch) {}

  // Calls worker(Role::Caller) in this thread and worker(Role::Helper) in up to threads - 1 others,
  // and returns when all have returned. With no pieces nothing is called. Starts fewer threads if
  // the system has no more. Throws what a worker or the Watch threw first.
  void run(std::size_t threads, const Worker& worker);

  // For workers: the next piece, or nothing once all are taken or the run has failed.
  std::optional<std::size_t> next();
  // Whether to give up.
  bool failed() const { return failed_; }
  // Counts finished rows; in the calling thread also calls the Watch if it is time. `steps` is how
  // much was done for them: the clock takes as long to read as a step.
  void finished(std::size_t rows, std::size_t steps, Role role);

private:
  using Clock = std::chrono::steady_clock;

  void call_watch();
  void fail();
  void wait_for_helpers(std::size_t helpers);

  const std::size_t count_;
  const Watch& watch_;
  std::atomic<std::size_t> next_{0}, rows_{0};
  std::atomic<bool> failed_{false};

  // Of the calling thread.
  Clock::time_point watched_ = Clock::now();
  std::size_t steps_ = 0; // since it looked at the clock

  std::mutex mutex_; // of what follows
  std::condition_variable returned_;
  std::size_t helpers_returned_ = 0;
  std::exception_ptr error_;
};

} // namespace arenagrad::program
