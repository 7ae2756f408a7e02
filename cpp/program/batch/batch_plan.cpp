#include "batch_plan.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <utility>

#include "block_runner.h"
#include "program/passes/without_partials.h"
#include "rows.h"

namespace arenagrad::program {
namespace {

// More than processors, so that threads end at about the same time; few enough that adding up the
// sums of the pieces costs little.
constexpr std::size_t kMostPieces = 64;

// Rows of a block. Slots should fit into the first-level cache (kSmall), but fewer than 64 rows
// cost more, because each step takes its few nanoseconds however many rows there are; slots beyond
// the second-level cache (kLarge) cost more again.
std::size_t block_rows(std::size_t slots) {
  constexpr std::size_t kSmall = 65536, kLarge = 524288, kStep = 16, kMost = 256;
  const std::size_t row = sizeof(double) * std::max<std::size_t>(slots, 1);
  const std::size_t rows = std::max(kSmall / row, std::min<std::size_t>(kLarge / row, 64));
  return std::clamp(rows / kStep * kStep, kStep, kMost);
}

} // namespace

struct BatchPlan::Body {
  Body(const Program& program, const std::vector<std::uint8_t>& varies, bool strict)
      : schedule(make_schedule(program, varies, strict)), kernels(program::kernels(strict)),
        decisions(schedule.decisions), block(block_rows(schedule.slots)) {}

  const Schedule schedule;
  const Kernels& kernels;
  const ExactDecisions decisions;
  const std::size_t block;

  mutable std::mutex mutex;
  mutable std::vector<std::unique_ptr<BlockMemory>> idle; // memory that no run uses now

  // Memory for as long as this lives.
  class Borrowed {
  public:
    explicit Borrowed(const Body& body) : body_(body) {
      const std::lock_guard lock(body.mutex);
      if (body.idle.empty()) {
        memory_ = std::make_unique<BlockMemory>();
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
    BlockMemory& operator*() { return *memory_; }

  private:
    const Body& body_;
    std::unique_ptr<BlockMemory> memory_;
  };
};

namespace {

// Does the uniform steps of one run.
// A number for all rows is one number, so no kernel is called; results have the bits that
// interpret() gives.
class UniformRunner {
public:
  UniformRunner(const Schedule& schedule, BlockMemory& memory, std::size_t rows, double scale)
      : schedule_(schedule), memory_(memory), rows_(static_cast<double>(rows)), scale_(scale) {}

  // Whether all checked numbers were finite.
  bool run(const std::vector<UniformStep>& steps) {
    bool finite = true;
    for (const UniformStep& step : steps)
      std::visit(
          [&](const auto& at) {
            const double y = memory_.uniforms[at.y.index()] = value(at);
            if (at.checked && !std::isfinite(y)) finite = false;
          },
          step);
    return finite;
  }

private:
  double at(Location location) const {
    return location.kind() == Location::Kind::None ? 0.0 : memory_.uniforms[location.index()];
  }
  double value(const MapStep& step) const {
    return evaluate(step.opcode, at(step.a), at(step.b), at(step.c));
  }
  double value(const NaryStep& step) {
    operands_.clear();
    for (Index k = 0; k < step.count; ++k)
      operands_.push_back(at(schedule_.operands[step.first + k]));
    if (step.opcode == Opcode::Callback) return run_call(schedule_.callbacks, operands_.data());
    scratch_.resize(operands_.size());
    return many_value(step.opcode, operands_.size(), operands_.data(), scratch_.data());
  }
  double value(const MatricesStep& step) {
    const Matrices& matrices = schedule_.matrices[step.matrices];
    scratch_.resize(matrices.shape.scratch());
    double* const to = operands_in(scratch_.data());
    for (Index k = 0; k < matrices.shape.operands(); ++k)
      to[k] = at(schedule_.operands[matrices.operands + k]);
    return compute(matrices.shape, scratch_.data(), memory_.uniforms.data() + step.y.index() + 1);
  }
  double value(const SumResultStep& step) const { return scale_ * memory_.sums[step.sum]; }
  double value(const RepeatedSumStep& step) const { return scale_ * (rows_ * at(step.a)); }

  const Schedule& schedule_;
  BlockMemory& memory_;
  const double rows_, scale_;
  std::vector<double> operands_, scratch_; // of a NaryStep
};

// One call of BatchPlan::run: begin(), work() in each thread, finish().
class Run {
public:
  Run(const Schedule& schedule, const Kernels& kernels, const ExactDecisions& decisions,
      std::size_t block, BlockMemory& memory, const std::vector<Column>& inputs,
      const std::vector<Column>& outputs, std::size_t rows, double scale)
      : schedule_(schedule), kernels_(kernels), decisions_(decisions), block_(block),
        memory_(memory), inputs_(inputs), outputs_(outputs), rows_(rows),
        uniforms_(schedule, memory, rows, scale) {
    const std::size_t blocks = (rows + block - 1) / block;
    piece_rows_ = (blocks + kMostPieces - 1) / kMostPieces * block;
    pieces_ = rows == 0 ? 0 : (rows + piece_rows_ - 1) / piece_rows_;
    complete_.assign(pieces_, false);
    memory.uniforms = schedule.uniforms;
    memory.sums.resize(std::max<std::size_t>(pieces_, 1) * schedule.sums);
    if (pieces_ == 0) std::ranges::fill(memory.sums, 0.0);
    for (const auto& [input, uniform] : schedule.uniform_inputs)
      memory.uniforms[uniform] = *inputs[input].at;
  }

  std::size_t pieces() const { return pieces_; }

  void begin() {
    result_.finite = uniforms_finite_ = uniforms_.run(schedule_.before_rows);
    memory_.weights.clear();
    for (const Index uniform : schedule_.weights)
      memory_.weights.push_back(uniform == kNone ? 0.0 : memory_.uniforms[uniform]);
  }

  // Pieces until none is left. The calling thread's memory is that of this run; helpers bring their
  // own, so that nothing but the sums, each piece's apart, is written by several threads.
  void work(SharedPieces& pieces, SharedPieces::Role role, BlockMemory& memory, RowState* states) {
    RowOutcome outcome;
    BlockRunner runner(schedule_, kernels_, decisions_, block_, memory_, inputs_, outputs_, memory);
    while (const std::optional<std::size_t> piece = pieces.next()) {
      double* const sums = sums_of(*piece);
      std::fill_n(sums, schedule_.sums, 0.0);
      const std::size_t end = std::min(rows_, (*piece + 1) * piece_rows_);
      for (std::size_t first = *piece * piece_rows_; first < end && !pieces.failed();
           first += block_) {
        const std::size_t count = std::min(block_, end - first);
        runner.run(first, count, sums, states, outcome);
        pieces.finished(count, schedule_.rows.size(), role);
      }
      add_in_order(*piece);
    }
    const std::lock_guard lock(mutex_);
    result_.finite &= outcome.finite;
    result_.guards &= outcome.guards;
    result_.overflowed |= outcome.overflowed;
  }

  // Requires that all pieces are done.
  RowOutcome finish(RowState* states) {
    uniforms_finite_ &= uniforms_.run(schedule_.after_reduction);
    result_.finite &= uniforms_finite_;
    bool uniform_guards = true;
    for (const auto& [uniform, outcome] : schedule_.uniform_guards)
      if ((memory_.uniforms[uniform] != 0.0) != outcome) result_.guards = uniform_guards = false;
    if (states != nullptr && !uniform_guards)
      std::fill_n(states, rows_, RowState::OtherVariant);
    else if (states != nullptr && !uniforms_finite_)
      std::replace(states, states + rows_, RowState::Good, RowState::NotFinite);
    for (std::size_t k = 0; k < outputs_.size(); ++k) {
      if (schedule_.uniform_outputs[k] == kNone) continue;
      const Column& to = outputs_[k];
      const double y = memory_.uniforms[schedule_.uniform_outputs[k]];
      result_.overflowed |= schedule_.may_overflow_otherwise && !std::isfinite(y);
      const std::size_t count = to.step == 0 ? 1 : rows_;
      for (std::size_t r = 0; r < count; ++r) to.at[static_cast<std::ptrdiff_t>(r) * to.step] = y;
    }
    return result_;
  }

private:
  double* sums_of(std::size_t piece) const { return memory_.sums.data() + piece * schedule_.sums; }

  // Adds the sums of a complete piece to those of the first, once all pieces before it are added.
  void add_in_order(std::size_t piece) {
    const std::lock_guard lock(mutex_);
    complete_[piece] = true;
    for (; added_ < pieces_ && complete_[added_]; ++added_)
      if (added_ > 0) add_to(sums_of(0), sums_of(added_), schedule_.sums);
  }

  const Schedule& schedule_;
  const Kernels& kernels_;
  const ExactDecisions& decisions_;
  const std::size_t block_;
  BlockMemory& memory_;
  const std::vector<Column>&inputs_, &outputs_;
  const std::size_t rows_;
  UniformRunner uniforms_;
  std::size_t piece_rows_ = 0, pieces_ = 0;
  bool uniforms_finite_ = true; // no row is good otherwise

  std::mutex mutex_;           // of what follows, while threads work
  std::vector<bool> complete_; // of each piece
  std::size_t added_ = 0;      // how many pieces the sums of the first hold
  RowOutcome result_;
};

} // namespace

BatchPlan::BatchPlan(const Program& program, const std::vector<std::uint8_t>& varies, bool strict)
    : body_(planned(program, [&](const Program& run) {
        return std::make_shared<const Body>(run, varies, strict);
      })) {}

RowOutcome BatchPlan::run(const std::vector<Column>& inputs, const std::vector<Column>& outputs,
                          std::size_t rows, RowState* states, double scale, std::size_t threads,
                          const Watch& watch) const {
  Body::Borrowed memory(*body_);
  Run run(body_->schedule, body_->kernels, body_->decisions, body_->block, *memory, inputs, outputs,
          rows, scale);
  run.begin();
  SharedPieces pieces(run.pieces(), watch);
  Calls* const calls = Calls::current();
  pieces.run(threads, [&](SharedPieces::Role role) {
    if (role == SharedPieces::Role::Caller) {
      run.work(pieces, role, *memory, states);
    } else {
      Body::Borrowed own(*body_);
      std::optional<Calls> own_calls;
      if (calls != nullptr) own_calls.emplace(calls->failures());
      run.work(pieces, role, *own, states);
    }
  });
  return run.finish(states);
}

std::size_t BatchPlan::slots() const { return body_->schedule.slots; }
std::size_t BatchPlan::block() const { return body_->block; }
std::size_t BatchPlan::bytes() const {
  return sizeof(Body) + body_->schedule.bytes() + body_->decisions.bytes();
}

} // namespace arenagrad::program
