// Programs with other outputs, and whether two programs are the same. The parts of a result that a
// caller asks for (a gradient without its value, the guards alone) are selected this way.
//
// Pure and thread-safe; linear cost.
#pragma once

#include <vector>

#include "program/ir/program.h"

namespace arenagrad::program {

// The program whose output k is output which[k] of this one, or 0 where that is kNone; pruned.
Program select_outputs(const Program& program, const std::vector<Index>& which);

// Whether two programs are the same, instruction by instruction and bit by bit.
bool same(const Program& one, const Program& other);

} // namespace arenagrad::program
