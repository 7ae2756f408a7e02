// The two sweeps over a program that write what they would compute: backwards for adjoints,
// forwards for tangents. Neither recurses. Not thread-safe. Cost: linear in what the sweep reaches.
#pragma once

#include <vector>

#include "adjoints.h"
#include "derivative_writer.h"
#include "differentiate.h"

namespace arenagrad::program {

// The instructions that depend on these inputs.
Marks active_in(const Program& program, const std::vector<Index>& inputs);

// Reverse sweeps over one program, as many as wanted, one after the other.
class ReverseSweep {
public:
  // Both must outlive this.
  ReverseSweep(const Program& program, const Wanted& wanted, DerivativeWriter& writer);

  // Lets the next sweep start at this output too, with this adjoint.
  void seed(Index output, Symbolic cotangent);
  // Walks down from the seeds, and uses them up; the inputs keep their adjoints.
  void run();

  bool reaches(Index input) const { return adjoints_.has_terms(input); }
  // Requires reaches(input).
  Symbolic adjoint(Index input) const { return adjoints_.total(input); }
  // Makes ready for a sweep from other seeds.
  void clear(const std::vector<Index>& inputs);

private:
  const Program& program_;
  DerivativeWriter& writer_;
  Adjoints adjoints_;
  Index top_ = 0; // no seed is above it
};

// The tangents of all instructions, given those of the inputs; kNone for those that are 0.
std::vector<Index> sweep_forward(const Program& program, DerivativeWriter& writer,
                                 std::vector<Index> of_inputs);

// Forward derivatives of a strict program are refused where a sweep of the graph, from any of its
// outputs, would be: writes the checks of a reverse sweep from each. Programs that are derivatives
// already have theirs.
void write_checks_of_sweeps(const Program& program, const Wanted& wanted, DerivativeWriter& writer,
                            const Passes& passes);

} // namespace arenagrad::program
