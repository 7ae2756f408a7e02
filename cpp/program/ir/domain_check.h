// What an eager function would have said to numbers that a program has no finite results for.
#pragma once

#include "program.h"

namespace arenagrad::program {

// Throws the error of the first checked instruction whose operation refuses its operands; returns
// if there is none, since infinities and nan that were given are no mistake. An index of Take that
// is none throws std::out_of_range. RowSum is that of one row. Cost: that of interpret().
void refuse(const Program& program, const double* inputs);

} // namespace arenagrad::program
