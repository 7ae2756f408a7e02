// Runs a program on many rows: a block of rows at a time, each instruction on all of them, in slots
// that are used again once their number has had its last use. Dot products of the same numbers, and
// sums of the products of some numbers with others, are done together (lane_groups.h).
//
// What does not vary from row to row is computed once, before; what is made of sums over all rows,
// once, after. A sum over the rows is that of pieces of a size that depends on nothing but the
// program and the number of rows, added in order, so that it is the same for any number of threads.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "program/ir/program.h"
#include "program/kernels/kernels.h"

namespace arenagrad::program {

// Where an input's or output's numbers are: row r at at[r * step]. An input that does not vary has
// step 0; so has an output that is the same for all rows.
struct Column {
  double* at;
  std::ptrdiff_t step;
};

struct Rows {
  bool finite = true; // as in Outcome, of all rows
  bool guards = true; // all guards came out as they should in all rows
};

// Called with the number of finished rows some twenty times a second while a run goes on, in the
// thread that runs it. What it throws stops the run.
using Watch = std::function<void(std::size_t done)>;

// Immutable once made; run() may be called from several threads at once.
class BatchPlan {
public:
  // varies: of each input, whether it differs from row to row. Throws std::invalid_argument if
  // something that varies is made of a sum over the rows; std::bad_alloc.
  BatchPlan(const Program& program, const std::vector<std::uint8_t>& varies, bool strict);

  // Runs on rows [0, rows). `good`, if not null, gets for each row whether it was finite where
  // checked and went the way of all guards. `scale` multiplies every sum over the rows (1/rows for
  // a mean) before anything is computed from it. A column may be read or written in place, so none
  // that is written may overlap another. An input that does not vary is read once, also if there
  // are no rows; an output that does not vary is written once if its step is 0, else in each row.
  // Each call starts its other threads anew. Needs no lock of Python's. Throws std::bad_alloc, and
  // what `watch` throws: then the outputs mean nothing.
  Rows run(const std::vector<Column>& inputs, const std::vector<Column>& outputs, std::size_t rows,
           std::uint8_t* good, double scale, std::size_t threads, const Watch& watch = {}) const;

  std::size_t slots() const; // live at once
  std::size_t block() const; // rows
  std::size_t bytes() const;

private:
  struct Body;
  std::shared_ptr<const Body> body_;
};

} // namespace arenagrad::program
