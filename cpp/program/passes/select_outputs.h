// Other outputs of the same program. Pure and thread-safe; linear cost.
#pragma once

#include "program/ir/program.h"

namespace arenagrad::program {

// The program whose output k is output which[k] of this one, or 0 where that is kNone; without what
// it does not need.
Program picked(const Program& program, const std::vector<Index>& which);

// Whether two programs are the same, instruction by instruction and bit by bit.
bool same(const Program& one, const Program& other);

} // namespace arenagrad::program
