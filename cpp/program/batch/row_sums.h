// The sums over the rows, a step of the making of a Schedule: which are computed from the factors
// of a product that nothing else needs, and which inner products form a grid.
//
// Used by one thread while a schedule is made. Cost: linear in the operands that are summed,
// times the logarithm of the number of inner products.
#pragma once

#include "matrix_groups.h"
#include "schedule.h"

namespace arenagrad::program {

// Facts about each instruction that the making of a schedule needs; arrays by instruction.
struct ValueFacts {
  ValueFacts(const Program& program, const std::vector<std::uint8_t>& inputs);

  std::vector<std::uint8_t> varies;          // from row to row
  std::vector<std::uint8_t> needed;          // by an output, a guard or a check
  std::vector<std::uint8_t> after_reduction; // depends on a sum over the rows
  std::vector<std::uint8_t> absorbed;        // computed by another instruction's step
  std::vector<std::uint32_t> uses;           // by needed instructions, outputs and guards
  std::vector<Index> ready;                  // the instruction whose step computes it
  std::vector<Location> location; // a Value if it varies, else its uniform once it has one
};

// A step that takes numbers out of the rows, and the instruction after which it may stand.
struct Sink {
  Index ready;
  RowStep step;
};

class RowSums {
public:
  // Both must outlive this. A product is summed without being computed as such unless `strict`.
  RowSums(const Program& program, ValueFacts& facts, bool strict)
      : program_(program), facts_(facts), strict_(strict) {}

  // Adds the sum of an instruction that varies, and returns its number until finish().
  Index add(Index i);

  // The steps of all sums. Renumbers the sums, so that those of a grid lie side by side, in
  // `schedule` too.
  std::vector<Sink> finish(Schedule& schedule);

private:
  // A part of a sum: a, or a * b. b varies only if `strict`.
  struct Term {
    Index a, b, sum;
  };

  void add_term(Index sum, Index a, Index b = kNone);
  bool add_factors(Index sum, const Instruction& at);
  std::vector<Index> number_sums(const std::vector<InnerProductGrid>& grids) const;
  Sink sink_of(const Term& term) const;
  void add_grid(const InnerProductGrid& grid, const std::vector<Index>& numbers, Schedule& schedule,
                std::vector<Sink>& sinks) const;

  const Program& program_;
  ValueFacts& facts_;
  const bool strict_;
  Index count_ = 0;
  std::vector<Term> terms_;
  std::vector<InnerProduct> products_;
};

} // namespace arenagrad::program
