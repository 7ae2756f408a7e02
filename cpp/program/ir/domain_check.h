// From numbers for which a program has no finite results to the error that the eager function
// raises for them. Runners only say that a checked result was not finite; this finds out why, once,
// when an error has to be raised.
//
// Pure and thread-safe. Cost: that of interpret().
#pragma once

#include "program.h"

namespace arenagrad::program {

// Which checks count: all, or only those of partials that nobody has, which a derivative that is
// not strict makes, too.
enum class Checks { All, Partials };

// Whether the program has any of the latter.
bool lacks_partials(const Program& program);

// Throws the error of the first checked instruction whose operation refuses its operands, unless a
// guard before it does not hold; for a Take whose index is none, std::out_of_range. Returns if
// there is no such instruction, since infinities and nan that were given are no mistake. A RowSum
// is that of one row.
void check_domain(const Program& program, const double* inputs, Checks checks = Checks::All);

// Whether check_domain throws, or the traced function might: of the reciprocal of a subnormal
// number nothing says any more whether it was a power, which is too large, or a quotient, which is
// infinite.
bool may_refuse(const Program& program, const double* inputs, Checks checks = Checks::All);

} // namespace arenagrad::program
