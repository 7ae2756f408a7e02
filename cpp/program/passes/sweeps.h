// The two sweeps over a program that write what they would compute: backwards for adjoints,
// forwards for tangents. Neither recurses. Not thread-safe. Cost: linear in what the sweep reaches.
#pragma once

#include <unordered_map>
#include <vector>

#include "adjoints.h"
#include "derivative_writer.h"
#include "differentiate.h"

namespace arenagrad::program {

// The instructions that may have a derivative by these inputs: by its value and by its partials a
// WithPartials has none.
Marks active_in(const Program& program, const std::vector<Index>& inputs);

// Whether outputs may depend on wanted inputs through what has rules for reverse derivatives alone.
bool has_reverse_rules(const Program& program, const Wanted& wanted);

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
  void find_calls();
  void leave(Index result);
  void sweep_call(Index first);

  const Program& program_;
  DerivativeWriter& writer_;
  Adjoints adjoints_;
  Index top_ = 0; // no seed is above it
  // Of each call its first result, below which are all its operands and above which all users: by
  // any of its results. And the adjoints that have been met of each call, by its first result.
  std::unordered_map<Index, Index> first_results_;
  std::unordered_map<Index, std::vector<Index>> met_;
};

// What becomes of tangents where there is a rule for reverse derivatives alone: NoDerivative is
// thrown, or they are made by that rule, which is no way to ask for a derivative but one to
// calculate it.
enum class ReverseRules : std::uint8_t { Refused, Used };

// The tangents of all instructions, given those of the wanted inputs; kNone for those that are 0,
// or that no output needs.
std::vector<Index> sweep_forward(const Program& program, const Wanted& wanted,
                                 DerivativeWriter& writer, std::vector<Index> of_inputs,
                                 ReverseRules rules);

// Forward derivatives of a strict program are refused where a sweep of the graph, from any of its
// outputs, would be: writes the checks of a reverse sweep from each. Programs that are derivatives
// already have theirs.
void write_checks_of_sweeps(const Program& program, const Wanted& wanted, DerivativeWriter& writer,
                            const Passes& passes);

} // namespace arenagrad::program
