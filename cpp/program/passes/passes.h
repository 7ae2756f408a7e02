// From a program to a shorter one with the same results. Pure and thread-safe; linear cost.
#pragma once

#include "builder.h"

namespace arenagrad::program {

// Writes all instructions anew through a Builder, without those that nothing needs (passes.prune),
// then joins chains (passes.fuse). Inputs stay.
Program optimise(const Program& program, const Passes& passes);

// The passes that take a whole program to see, for one that a Builder has just tidied.
Program shortened(Program program, const Passes& passes);

// Without the instructions that neither outputs nor guards need.
Program prune(const Program& program);

// Sums and products that only the next sum uses become SumN, DotN and MultiplyAdd. With
// passes.reorder whole trees are flattened, else only chains whose order stays.
Program fuse(const Program& program, const Passes& passes);

} // namespace arenagrad::program
