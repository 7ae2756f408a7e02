// Does the acts of a Schedule on one block of rows after the other, for one thread.
#pragma once

#include "batch_plan.h"
#include "program/kernels/kernels.h"
#include "schedule.h"

namespace arenagrad::program {

// What a run wants of memory, kept from one run to the next.
struct LaneMemory {
  std::vector<double> numbers; // the slots, from the first place that is a multiple of 64 bytes
  std::vector<double> uniforms, packed, sums;
  std::vector<Strided> lists;
  std::vector<double*> pointers;
  std::vector<double*> columns; // where each column is in this block
};

class LaneBlock {
public:
  // Throws std::bad_alloc. What it is given must outlive it; of `shared` it reads uniforms, packed.
  LaneBlock(const Schedule& schedule, const Kernels& kernels, std::size_t block,
            const LaneMemory& shared, const std::vector<Column>& inputs,
            const std::vector<Column>& outputs, LaneMemory& memory);

  // On rows [first, first + count), count <= block. Adds to `sums`; `good` may be null.
  void run(std::size_t first, std::size_t count, double* sums, std::uint8_t* good, Rows& rows);

private:
  Strided lane(Place place) const;
  double* at(Place place) const;
  const Column& column(Place number) const;
  void load(const Act& act) const;
  void store(const Act& act) const;
  void many(const Act& act);
  void norm(double* y, const Strided* x, std::size_t count);
  void log_total(double* y, const Strided* x, std::size_t count);
  void check(const double* y, std::uint8_t* good, Rows& rows) const;
  void guard(const Act& act, std::uint8_t* good, Rows& rows) const;

  const Schedule& schedule_;
  const Kernels& kernels_;
  const std::size_t stride_; // of slots
  const double *const uniforms_, *const packed_;
  const std::vector<Column>&inputs_, &outputs_;
  LaneMemory& memory_;
  double* slots_ = nullptr;
  std::vector<std::uint32_t> in_place_; // columns in the caller's memory
  std::size_t first_ = 0, count_ = 0;   // of this block
};

// How far slots lie apart: not at multiples of 4096 bytes, which the processor takes for one
// another.
constexpr std::size_t lane_stride(std::size_t block) { return block + 8; }

// The slots beyond those of the schedule that LaneBlock wants for itself.
inline constexpr std::size_t kOwnSlots = 3;

} // namespace arenagrad::program
