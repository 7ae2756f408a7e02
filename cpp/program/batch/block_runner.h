// Does the row steps of a Schedule on one block of rows after the other.
//
// One runner for each thread; runners share the Schedule, the uniforms and the columns, and none
// writes what another reads. run() does not allocate, unless a decision is unclear.
// Cost of a step: a few nanoseconds beside the kernel it calls, so blocks are as long as the slots
// leave the cache room for.
#pragma once

#include "exact_decisions.h"
#include "program/kernels/kernels.h"
#include "schedule.h"

namespace arenagrad::program {

// The memory of a run, kept from one run to the next.
struct BlockMemory {
  std::vector<double> slots; // from the first number whose address is a multiple of 64 bytes
  std::vector<double> uniforms, weights, sums;
  std::vector<Strided> operands; // where Schedule::operands are in this block
  std::vector<double*> vectors;  // where Schedule::vectors are
  std::vector<double*> columns;  // where each column is
  std::vector<double> matrices;  // of one row: scratch, then results
  // Of each row of the block: whether a guard failed, and whether a decision is unclear.
  std::vector<std::uint8_t> failed, unclear;
  ExactDecisions::Memory decisions;
  std::vector<double> call_operands; // of one row
};

class BlockRunner {
public:
  // Throws std::bad_alloc. All that it is given must outlive it; of `shared` it reads the uniforms
  // and weights, `memory` is its own. `block` is the largest number of rows for run().
  BlockRunner(const Schedule& schedule, const Kernels& kernels, const ExactDecisions& decisions,
              std::size_t block, const BlockMemory& shared, const std::vector<Column>& inputs,
              const std::vector<Column>& outputs, BlockMemory& memory);

  // On rows [first, first + count). Adds to `sums`; `states` may be null.
  void run(std::size_t first, std::size_t count, double* sums, RowState* states,
           RowOutcome& outcome);

private:
  void locate_columns();
  const Column& column(Index number) const;
  const Kernels& kernels(bool exact) const { return exact ? exact_kernels_ : kernels_; }
  double* at(Location location) const;
  Strided strided(Location location) const;

  void run(const MapStep& step);
  void run(const NaryStep& step);
  void run(const TanhAndPartialStep& step);
  void run(const DenseLayerStep& step);
  void run(const LoadStep& step);
  void run(const StoreStep& step);
  void run(const GuardStep& step);
  void run(const CompareStep& step);
  void run(const SuccessStep& step);
  void run(const ClearStep& step);
  void run(const BoundedStep& step);
  void run(const RowSumStep& step);
  void run(const ScaledRowSumStep& step);
  void run(const InnerProductStep& step);
  void run(const InnerProductGridStep& step);
  void run(const MatricesStep& step);

  bool all_succeed(core::MayFail how, Strided a, Strided b) const;
  void max_shift(double* y, const Strided* x, std::size_t count);
  void largest(double* y, const Strided* x, std::size_t count);
  void norm(double* y, const Strided* x, std::size_t count);
  void log_sum_exp_shifted(const Kernels& by, double* y, const Strided* x, std::size_t count);
  void take(double* y, const Strided* x, std::size_t count);
  void call(double* y, const Strided* x, std::size_t count);
  void check(const double* y);
  void fail(std::size_t row);
  void doubt(std::size_t row);
  void decide();

  const Schedule& schedule_;
  const Kernels &kernels_, &exact_kernels_;
  const ExactDecisions& decisions_;
  const std::size_t stride_; // from slot to slot
  const double *const uniforms_, *const weights_;
  const std::vector<Column>&inputs_, &outputs_;
  BlockMemory& memory_;
  double* slots_ = nullptr;
  std::vector<Index> in_place_; // the columns that are in the caller's memory

  // Of the block at hand.
  std::size_t first_ = 0, count_ = 0;
  double* sums_ = nullptr;
  RowState* states_ = nullptr;
  bool has_failed_ = false, has_unclear_ = false;
  RowOutcome* outcome_ = nullptr;
};

// The distance of slots. At multiples of 4096 bytes a load has to wait for an earlier store to
// another slot, because the processor compares the low bits of addresses only.
constexpr std::size_t slot_stride(std::size_t block) { return block + 8; }

// The slots behind those of the schedule that BlockRunner wants for its own work.
inline constexpr std::size_t kScratchSlots = 3;

} // namespace arenagrad::program
