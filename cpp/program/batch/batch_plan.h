// Runs a program on many rows: a block of rows at a time, each step on all of its rows, in slots
// that stay in the cache and are used again once nothing needs their numbers.
//
// Values that are the same for all rows are computed once: before the blocks, or after the sums
// over the rows that they depend on. Such a sum is added up from pieces whose size depends on the
// program and the number of rows only, in their order, so it has the same bits for any number of
// threads.
#pragma once

#include <memory>
#include <vector>

#include "program/ir/program.h"
#include "program/kernels/kernels.h"
#include "threads.h"

namespace arenagrad::program {

// The numbers of an input or output: row r at at[r * step]. An input that does not vary has step 0;
// so has an output that is the same for all rows.
struct Column {
  double* at;
  std::ptrdiff_t step;
};

// As PointPlan's Outcome, of all rows.
struct RowOutcome {
  bool finite = true;      // every checked number
  bool guards = true;      // every guard came out as it did in the trace
  bool overflowed = false; // as PointPlan's
};

// What a run finds of a row. One whose guards do not hold takes another variant, and what was
// checked on the way means nothing.
enum class RowState : std::uint8_t { OtherVariant, Good, NotFinite };

// Immutable once made; run() may be called from several threads at once.
class BatchPlan {
public:
  // varies: of each input, whether it differs from row to row. Throws std::invalid_argument if a
  // value that varies depends on a sum over the rows; std::bad_alloc.
  BatchPlan(const Program& program, const std::vector<std::uint8_t>& varies, bool strict);

  // Runs on rows [0, rows). `states`, if not null, gets the state of each row. `scale` multiplies
  // every sum over the rows (1/rows for a mean) before anything is computed from it.
  //
  // Columns are read and written where they are, so none that is written may overlap another. An
  // input that does not vary is read once, also if there are no rows; an output that does not vary
  // is written once if its step is 0, else in each row. Starts its threads anew at each call, and
  // takes no lock of Python's. Throws std::bad_alloc, and what `watch` throws: the outputs are
  // unspecified then.
  RowOutcome run(const std::vector<Column>& inputs, const std::vector<Column>& outputs,
                 std::size_t rows, RowState* states, double scale, std::size_t threads,
                 const Watch& watch = {}) const;

  std::size_t slots() const; // live at once
  std::size_t block() const; // rows
  std::size_t bytes() const;

private:
  struct Body;
  std::shared_ptr<const Body> body_;
};

} // namespace arenagrad::program
