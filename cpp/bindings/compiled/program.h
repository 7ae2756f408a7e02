// How programs are made from Python. Needs the GIL.
#pragma once

#include "bindings/value/value.h"
#include "program/ir/domain_check.h"
#include "program/ir/program.h"
#include "program/passes/passes.h"

namespace arenagrad::bindings {

using ProgramPointer = std::shared_ptr<program::Program>;

// Looks for functions that only SciPy has, for a program that has been read. Throws ImportError.
void need_functions_of(const program::Program& program);

// What may be done to a program whose results must keep every bit, or need not.
inline program::Passes passes_for(bool strict) {
  program::Passes passes;
  passes.reorder = !strict;
  return passes;
}

// The same for a program that is to be differentiated: with all instructions there, gradients are
// added up in the very order in which a sweep of the graph would.
inline program::Passes passes_before_derivatives(bool strict) {
  program::Passes before = passes_for(strict);
  before.common_subexpressions = !strict;
  before.peephole = !strict;
  return before;
}

inline program::Checks checks_of(bool partials_only) {
  return partials_only ? program::Checks::Partials : program::Checks::All;
}

} // namespace arenagrad::bindings
