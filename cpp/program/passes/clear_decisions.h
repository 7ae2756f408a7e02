// Decisions that do not need the C library's functions. A comparison whose sides are far enough
// apart comes out alike whichever functions they were computed with, if it is known how far the
// numbers may be from those of the library; only the others, hardly any, are made again exactly.
// That bound is found here, before any number is there: for the library's powers, whose numbers are
// seldom others than those of a product or a root, and for elementary functions, and for the
// products, sums of what is not negative, roots and exponentials that are made of them.
//
// Pure and thread-safe. Linear cost; nothing is done for a program without guards.
#pragma once

#include <vector>

#include "program/ir/analysis.h"

namespace arenagrad::program {

// How the numbers a and b stand to each other if a guard holds.
enum class Order : std::uint8_t { Below, Above, Apart, Equal };

// The comparison of a with b, or with -b if it is negated, is clear and so comes out as it does
// exactly, if |a - b| > relative * (|a| + |b|) + absolute. It is that of guard number `guard`.
struct Margin {
  Index a, b;
  double relative, absolute;
  Order order;
  bool negated;
  Index guard;
};

// The bound holds where the size of `value` is between kSmallestBounded and kLargestBounded, or
// where it is 0 if that is allowed.
struct Bounded {
  Index value;
  bool or_zero;
};
inline constexpr double kSmallestBounded = 0x1p-144, kLargestBounded = 0x1p144;

// A comparison that is unclear, or has a number out of bounds, is to be made again by `exact`.
struct ClearDecisions {
  Program program;              // the same with x * x and sqrt(x); empty if there are no margins
  Program exact;                // the guards alone, as they were
  std::vector<Margin> margins;  // of the guards that depend on what is not exact
  std::vector<Bounded> bounded; // by value
  Marks loose;                  // functions that need not be the library's; empty if there are none
};

// Whose numbers need not be the library's.
enum class Loosen : std::uint8_t { Powers, PowersAndFunctions };

// `varies`, if not empty: what is not marked stays as it is.
ClearDecisions clear_decisions(const Program& program, const Marks& varies, Loosen loosen);

} // namespace arenagrad::program
