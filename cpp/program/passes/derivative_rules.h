// What one instruction does to derivatives, backwards and forwards, written as instructions of
// another program. The partials of scalar operations are the text of core/ops.def and
// ir/opcodes.def, read with Symbolic, so a derivative is a program like any other and can be
// differentiated again.
//
// Requires a Symbolic::Writing for the builder of that other program. Not thread-safe.
#pragma once

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

// Backwards: accumulates partial * adjoint for each active operand of the instruction, in the order
// of the arena's sweep.
void pullback(const Site& site, Symbolic adjoint, Adjoints& adjoints);

// Forwards: the tangent of the instruction, given those of all before it. kNone stands for 0.
Index pushforward(const Site& site, const std::vector<Index>& tangents);

} // namespace arenagrad::program
