// Runs a program on one point. Instructions of one opcode that do not need each other are run as
// one group, by kernels where their operands lie side by side; a layer of dot products is one
// matrix times a vector. A run allocates nothing, but for a comparison that is too close to a tie
// (clear_decisions.h), and takes no lock.
#pragma once

#include <memory>

#include "program/ir/program.h"
#include "program/kernels/kernels.h"

namespace arenagrad::program {

struct Outcome {
  bool finite = true;  // every checked number
  Index guard = kNone; // the first guard that came out otherwise than in the trace
  // An output is not finite, and need not be what it is in strict arithmetic.
  bool overflowed = false;
  bool good() const { return finite && guard == kNone && !overflowed; }
};

// Immutable once made: one plan may run in several threads, each with a workspace of its own.
class PointPlan {
public:
  // Throws std::bad_alloc. Cost: about 300 ns an instruction.
  PointPlan(const Program& program, bool strict);

  // Doubles that run() wants.
  std::size_t workspace() const { return workspace_; }
  // Reads input_count numbers, writes one number an output. Also writes if the outcome is not good.
  // Throws std::bad_alloc.
  Outcome run(const double* inputs, double* outputs, double* workspace) const;

  std::size_t groups() const;
  std::size_t bytes() const;
  std::string text() const; // one line a group

private:
  std::size_t workspace_ = 0;
  struct Body;
  std::shared_ptr<const Body> body_;
};

} // namespace arenagrad::program
