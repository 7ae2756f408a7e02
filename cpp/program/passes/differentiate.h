// From a program to the program of its derivatives, which is a program like any other and can be
// differentiated again. The rules are those of core/ops.def and ir/opcodes.def
// (derivative_rules.h).
//
// With `reorder` off, adjoints are added up in the very order in which the arena's sweep adds them,
// so gradients have the bits of eager ones. Pure and thread-safe; linear cost, for a Jacobian in
// the size of what its sweeps reach.
#pragma once

#include <algorithm>
#include <vector>

#include "passes.h"

namespace arenagrad::program {

struct Wanted {
  std::vector<Index> inputs; // which inputs to differentiate by
  // Of each input, whether it differs from row to row; empty: none does.
  std::vector<std::uint8_t> varies;
  // Only so many outputs, the first, are differentiated; the others come along. kNone: all.
  Index outputs = kNone;

  std::size_t differentiated(const Program& program) const {
    return std::min<std::size_t>(outputs, program.outputs.size());
  }
};

// Which sweeps a Jacobian is made of.
enum class Direction : std::uint8_t { Cheaper, Reverse, Forward };

// Reverse: a program with the same inputs and, behind them, a cotangent for each output (seeded:
// none, all are 1), whose outputs are those of `program` and behind them, for each wanted input,
// the sum over outputs of cotangent * d output / d input. Where an input that does not vary is used
// by what does, its part is summed over the rows (RowSum).
Program reverse(const Program& program, const Wanted& wanted, bool seeded, const Passes& passes);

// Forward: a program with the same inputs and, behind them, a tangent for each wanted one, whose
// outputs are those of `program` and behind them the tangent of each. Throws NoDerivative.
Program tangent(const Program& program, const Wanted& wanted, const Passes& passes);

// All first derivatives of all outputs: outputs are those of `program`, then d output i / d wanted
// input j, of which only those that are not 0 for all inputs are computed: entry k is that of
// (rows[k], columns[k]), row by row.
struct Jacobian {
  Program program;
  std::vector<Index> rows, columns;
  bool by_reverse = true; // one reverse sweep a row; else one tangent a column
};
// Requires, where what varies is summed over rows, that no wanted input varies.
Jacobian jacobian(const Program& program, const Wanted& wanted, const Passes& passes,
                  Direction direction = Direction::Cheaper);

// The outputs become their sums over all rows of the batch.
Program summed(const Program& program, const Passes& passes);

} // namespace arenagrad::program
