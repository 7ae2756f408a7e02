// The derivatives of instructions that compute with whole matrices (program/ir/matrix.h), made of
// such instructions and of scalar ones, so that they can be differentiated in turn. None factors a
// matrix anew: adjoints solve with the factors that the instruction itself was given or has found.
//
// Requires what derivative_rules.h requires. Cost: an instruction for each element, and n**3 in a
// run.
// Source: Giles, Collected matrix derivative results for forward and reverse mode algorithmic
// differentiation, 2008; Murray, Differentiation of the Cholesky decomposition, 2016.
#pragma once

#include "derivative_rules.h"

namespace arenagrad::program {

// Whether it has no derivatives: whoever uses the factors of a matrix has its elements too.
constexpr bool is_flat(Opcode opcode) { return opcode == Opcode::LuFactors; }

// Requires a site of a matrix opcode that has terms.
void pullback_of_matrices(const Site& site, Adjoints& adjoints);

// Sets the tangents of the results. Requires a site of a matrix opcode of which an operand moves.
void pushforward_of_matrices(const Site& site, Tangents& tangents);

} // namespace arenagrad::program
