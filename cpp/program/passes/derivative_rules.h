// What one instruction does to derivatives, backwards and forwards, written as instructions of
// another program. The partials of scalar operations are the text of core/ops.def and
// ir/opcodes.def, read with Symbolic, so a derivative is a program like any other and can be
// differentiated again.
//
// Requires a Symbolic::Writing for the builder of that other program. Not thread-safe.
#pragma once

#include <stdexcept>
#include <unordered_map>
#include <vector>

#include "adjoints.h"
#include "symbolic.h"

namespace arenagrad::program {

// An instruction of the program that is differentiated, and where that program's values stand in
// the one being written.
struct Site {
  const Program& program;
  const std::vector<Index>& place;
  Index i;

  const Instruction& instruction() const { return program.instructions[i]; }
  Symbolic value(Index operand) const { return Symbolic::of(place[operand]); }
  Symbolic result() const { return value(i); }
  std::vector<Index> operands() const;
};

// Whether it is the constant 0.
bool is_zero(Symbolic number);

// A derivative that does not exist in a program: its function has no rule of that kind.
struct NoDerivative : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Backwards: accumulates partial * adjoint for each active operand of the instruction, in the order
// of the arena's sweep.
void pullback(const Site& site, Symbolic adjoint, Adjoints& adjoints);

// Backwards through a whole call, given the adjoints of its results, kNone for those that are 0.
// `site` is any of its results. Throws NoDerivative where the callback has no rule.
void pullback_of_call(const Site& site, const std::vector<Index>& result_adjoints,
                      Adjoints& adjoints);

// The tangent of each instruction so far; kNone stands for 0. One that has met a partial which can
// be infinite may be infinite itself: in products with it, 0 times infinity is 0, as in those with
// the adjoints of a reverse sweep, so that both directions give the same derivatives.
struct Tangents {
  std::vector<Index> of;
  Marks may_be_infinite;
  // Of the results of those that compute with matrices, whose own tangents only say that there are
  // some.
  std::unordered_map<Index, std::vector<Index>> of_results = {};
};

// Forwards: sets the tangent of the instruction, given those of all before it. Throws NoDerivative.
void pushforward(const Site& site, Tangents& tangents);

} // namespace arenagrad::program
