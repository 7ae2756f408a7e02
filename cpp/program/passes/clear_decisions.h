// Decisions that do not need exact squares and roots. The C library's pow(x, 2) is seldom another
// number than x * x, and then its neighbour, and so is pow(x, 0.5) beside sqrt(x); where all that
// is made of them is a sum of numbers that are not negative, or its root, the difference stays a
// few units in the last place. So a comparison whose sides are farther apart comes out as it does
// with the library's powers, and only the others, hardly any, are made again exactly.
//
// Pure and thread-safe. Linear cost; nothing is done for a program without guards.
#pragma once

#include <vector>

#include "program/ir/analysis.h"

namespace arenagrad::program {

// The comparison of a and b is clear, and so comes out as it does exactly, if
// |a - b| > relative * (|a| + |b|) + absolute.
struct Margin {
  Index a, b;
  double relative, absolute;
};

// A comparison that is unclear, if there are margins, is to be made again by `exact`.
struct ClearDecisions {
  Program program;             // the same with x * x and sqrt(x); empty if there are no margins
  Program exact;               // the guards alone, as they were
  std::vector<Margin> margins; // of the guards that depend on such powers
};

// `varies`, if not empty: powers of what is not marked stay as they are.
ClearDecisions clear_decisions(const Program& program, const Marks& varies);

// Whether all guards of a program hold for these inputs.
bool guards_hold(const Program& program, const double* inputs);

} // namespace arenagrad::program
