#include "batch_plan.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "block.h"
#include "rows.h"

namespace arenagrad::program {
namespace {

constexpr std::size_t kMostPieces = 64;
constexpr auto kPatience = std::chrono::milliseconds(50); // between two calls of a Watch
constexpr std::size_t kFewActs = 64;                      // take far less

// Rows of a block. Fewer than 64 are worse than slots beyond the first-level cache, for what each
// act costs whatever the rows; so are slots beyond the second-level one.
std::size_t block_for(std::size_t slots) {
  constexpr std::size_t kSmall = 65536, kLarge = 524288, kStep = 16, kMost = 256;
  const std::size_t row = sizeof(double) * std::max<std::size_t>(slots, 1);
  const std::size_t rows = std::max(kSmall / row, std::min<std::size_t>(kLarge / row, 64));
  return std::clamp(rows / kStep * kStep, kStep, kMost);
}

} // namespace

struct BatchPlan::Body {
  Body(const Program& program, const std::vector<std::uint8_t>& varies, bool strict)
      : schedule(schedule_of(program, varies, strict)), kernels(program::kernels(strict)),
        block(block_for(schedule.slots)) {}

  const Schedule schedule;
  const Kernels& kernels;
  const std::size_t block;

  // Memory that no run uses now.
  mutable std::mutex mutex;
  mutable std::vector<std::unique_ptr<LaneMemory>> idle;

  // Memory for as long as this lives.
  class Borrowed {
  public:
    explicit Borrowed(const Body& body) : body_(body) {
      const std::lock_guard lock(body.mutex);
      if (body.idle.empty()) {
        memory_ = std::make_unique<LaneMemory>();
      } else {
        memory_ = std::move(body.idle.back());
        body.idle.pop_back();
      }
    }
    Borrowed(const Borrowed&) = delete;
    Borrowed& operator=(const Borrowed&) = delete;
    ~Borrowed() {
      const std::lock_guard lock(body_.mutex);
      try {
        body_.idle.push_back(std::move(memory_));
      } catch (const std::bad_alloc&) { // then it is freed
      }
    }
    LaneMemory& operator*() { return *memory_; }
    LaneMemory* operator->() { return memory_.get(); }

  private:
    const Body& body_;
    std::unique_ptr<LaneMemory> memory_;
  };
};

namespace {

// One call of BatchPlan::run.
class Run {
public:
  Run(const Schedule& schedule, const Kernels& kernels, std::size_t block, LaneMemory& memory,
      const std::vector<Column>& inputs, const std::vector<Column>& outputs, std::size_t rows)
      : schedule_(schedule), kernels_(kernels), block_(block), memory_(memory), inputs_(inputs),
        outputs_(outputs), rows_(rows) {
    const std::size_t blocks = (rows + block - 1) / block;
    piece_ = (blocks + kMostPieces - 1) / kMostPieces * block;
    pieces_ = rows == 0 ? 0 : (rows + piece_ - 1) / piece_;
    memory.uniforms = schedule.uniforms;
    memory.sums.resize(std::max<std::size_t>(pieces_, 1) * schedule.sums);
    if (pieces_ == 0) std::ranges::fill(memory.sums, 0.0);
    whole_.assign(pieces_, false);
    for (const auto& input : schedule.uniform_inputs)
      memory.uniforms[input.at] = *inputs[input.input].at;
  }

  std::size_t pieces() const { return pieces_; }

  // All that does not vary, before the rows.
  void begin(double scale) {
    uniforms(schedule_.before, scale);
    memory_.packed.clear();
    for (const Place place : schedule_.packed)
      memory_.packed.push_back(place == kNone ? 0.0 : memory_.uniforms[place]);
  }

  // Pieces until none is left, for one of the threads. Only the calling one has a `watch`.
  void work(LaneMemory& memory, std::uint8_t* good, const Watch& watch) {
    Rows result;
    LaneBlock block(schedule_, kernels_, block_, memory_, inputs_, outputs_, memory);
    std::size_t acts = 0; // since the clock was looked at, which takes as long as one
    for (std::size_t piece; !failed_ && (piece = next_.fetch_add(1)) < pieces_;) {
      double* const sums = sums_of(piece);
      std::fill_n(sums, schedule_.sums, 0.0);
      const std::size_t end = std::min(rows_, (piece + 1) * piece_);
      for (std::size_t first = piece * piece_; first < end && !failed_; first += block_) {
        const std::size_t count = std::min(block_, end - first);
        block.run(first, count, sums, good, result);
        done_.fetch_add(count, std::memory_order_relaxed);
        acts += schedule_.rows.size();
        if (!watch || acts < kFewActs) continue;
        acts = 0;
        if (std::chrono::steady_clock::now() - asked_ > kPatience) ask(watch);
      }
      add_up(piece);
    }
    const std::lock_guard lock(mutex_);
    result_.finite &= result.finite;
    result_.guards &= result.guards;
  }

  // An exception of one of the threads, which stops the others.
  void fail() {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::current_exception();
    failed_ = true;
  }

  // One of the other threads is through.
  void leave() {
    const std::lock_guard lock(mutex_);
    ++left_;
    leaving_.notify_one();
  }

  // Until the other threads are through.
  void wait_for(std::size_t others, const Watch& watch) {
    std::unique_lock lock(mutex_);
    while (!leaving_.wait_for(lock, kPatience, [&] { return left_ == others; })) {
      if (!watch || failed_) continue;
      lock.unlock();
      try {
        ask(watch);
      } catch (...) {
        fail();
      }
      lock.lock();
    }
  }

  // Once all threads are through.
  Rows finish(std::uint8_t* good, double scale) {
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    uniforms(schedule_.after, scale);
    for (const Guard& guard : schedule_.guards)
      if ((memory_.uniforms[guard.condition] != 0.0) != guard.outcome)
        result_.guards = uniforms_good_ = false;
    if (good != nullptr && !uniforms_good_) std::fill_n(good, rows_, std::uint8_t{0});
    for (std::size_t k = 0; k < outputs_.size(); ++k) {
      if (schedule_.outputs[k] == kNone) continue;
      const Column& to = outputs_[k];
      const double y = memory_.uniforms[number_of(schedule_.outputs[k])];
      const std::size_t count = to.step == 0 ? 1 : rows_;
      for (std::size_t r = 0; r < count; ++r) to.at[static_cast<std::ptrdiff_t>(r) * to.step] = y;
    }
    return result_;
  }

private:
  double* sums_of(std::size_t piece) const { return memory_.sums.data() + piece * schedule_.sums; }

  // The piece is done: adds those to the first that have none undone before them.
  void add_up(std::size_t piece) {
    const std::lock_guard lock(mutex_);
    whole_[piece] = true;
    for (; added_ < pieces_ && whole_[added_]; ++added_)
      if (added_ > 0) add_to(sums_of(0), sums_of(added_), schedule_.sums);
  }

  void ask(const Watch& watch) {
    watch(done_.load(std::memory_order_relaxed));
    asked_ = std::chrono::steady_clock::now();
  }

  void uniforms(const std::vector<Act>& acts, double scale) {
    std::vector<double> gathered, scratch;
    const auto number = [&](Place place) {
      return place == kNone ? 0.0 : memory_.uniforms[number_of(place)];
    };
    for (const Act& act : acts) {
      double& y = memory_.uniforms[number_of(act.y)];
      if (act.opcode == Opcode::RowSum) {
        y = scale *
            (act.b == kNone ? static_cast<double>(rows_) * number(act.a) : memory_.sums[act.b]);
      } else if (act.what == Do::Many) {
        gathered.clear();
        for (Place k = 0; k < act.b; ++k) gathered.push_back(number(schedule_.lists[act.a + k]));
        scratch.resize(gathered.size());
        y = many_value(act.opcode, gathered.size(), gathered.data(), scratch.data());
      } else {
        y = evaluate(act.opcode, number(act.a), number(act.b), number(act.c));
      }
      if (act.checked && !std::isfinite(y)) result_.finite = uniforms_good_ = false;
    }
  }

  const Schedule& schedule_;
  const Kernels& kernels_;
  const std::size_t block_;
  LaneMemory& memory_; // its numbers are for the thread that made this
  const std::vector<Column>&inputs_, &outputs_;
  const std::size_t rows_;
  std::size_t piece_ = 0, pieces_ = 0; // rows of a piece
  std::chrono::steady_clock::time_point asked_ = std::chrono::steady_clock::now();
  std::atomic<std::size_t> next_{0}, done_{0}; // pieces, rows
  std::mutex mutex_;
  std::vector<bool> whole_; // of each piece, whether its sums are
  std::size_t added_ = 0;   // pieces whose sums those of the first hold
  std::condition_variable leaving_;
  std::size_t left_ = 0; // of the other threads, those that are through
  std::exception_ptr error_;
  std::atomic<bool> failed_{false};
  Rows result_;
  bool uniforms_good_ = true;
};

} // namespace

BatchPlan::BatchPlan(const Program& program, const std::vector<std::uint8_t>& varies, bool strict)
    : body_(std::make_shared<const Body>(program, varies, strict)) {}

Rows BatchPlan::run(const std::vector<Column>& inputs, const std::vector<Column>& outputs,
                    std::size_t rows, std::uint8_t* good, double scale, std::size_t threads,
                    const Watch& watch) const {
  Body::Borrowed memory(*body_);
  Run run(body_->schedule, body_->kernels, body_->block, *memory, inputs, outputs, rows);
  run.begin(scale);
  const auto help = [&]() noexcept {
    try {
      Body::Borrowed another(*body_);
      run.work(*another, good, {});
    } catch (...) {
      run.fail();
    }
    run.leave();
  };
  std::vector<std::thread> others;
  try {
    while (others.size() + 1 < std::min(threads, run.pieces())) others.emplace_back(help);
  } catch (...) { // as many threads as there can be
  }
  try {
    if (run.pieces() > 0) run.work(*memory, good, watch);
  } catch (...) {
    run.fail();
  }
  run.wait_for(others.size(), watch);
  for (std::thread& other : others) other.join();
  return run.finish(good, scale);
}

std::size_t BatchPlan::slots() const { return body_->schedule.slots; }
std::size_t BatchPlan::block() const { return body_->block; }
std::size_t BatchPlan::bytes() const { return sizeof(Body) + body_->schedule.bytes(); }

} // namespace arenagrad::program
