// The adjoints of a reverse sweep over a program: of each instruction, the terms that its users
// contribute, written already as instructions of the program of the derivative.
//
// Invariant: the terms of an instruction are kept, and added up, in the order in which the sweep
// contributes them, as the arena's own sweep adds them. Only active instructions, those that depend
// on a wanted input, have terms. Not thread-safe. Cost: 12 bytes a term.
#pragma once

#include <unordered_map>
#include <utility>
#include <vector>

#include "program/ir/analysis.h"
#include "symbolic.h"

namespace arenagrad::program {

class Adjoints {
public:
  // `varies`: which instructions differ from row to row.
  Adjoints(Marks active, Marks varies);

  bool is_active(Index i) const { return active_[i] != 0; }
  bool varies(Index i) const { return varies_[i] != 0; }
  bool has_terms(Index i) const { return first_[i] != kNone; }

  // `varying_term`: whether the term counts once a row, so that where the operand does not vary the
  // terms of all rows are summed.
  void accumulate(Index operand, Symbolic term, bool varying_term);

  // The same of result number `which` of an instruction of matrices, whose own number is flat.
  struct ResultTerm {
    Index which, adjoint;
  };
  void accumulate_result(Index matrices, Index which, Symbolic adjoint);
  // The terms of its results, which are forgotten.
  std::vector<ResultTerm> take_results(Index matrices) {
    auto taken = results_.extract(matrices);
    return taken.empty() ? std::vector<ResultTerm>() : std::move(taken.mapped());
  }

  // The sum of an instruction's terms. Requires has_terms(i).
  Symbolic total(Index i) const;

  // Whether a term may be infinite because a derivative of the first order was: in products with
  // such adjoints, 0 times infinity is 0.
  bool may_be_infinite(Index i) const { return may_be_infinite_[i] != 0; }
  void set_may_be_infinite(Index i) { may_be_infinite_[i] = 1; }

  void clear(Index i) {
    first_[i] = last_[i] = kNone;
    may_be_infinite_[i] = 0;
  }
  // Requires that no instruction has terms.
  void clear_terms() { terms_.clear(); }

private:
  struct Term {
    Index value, next;
    bool varies;
  };

  const Marks active_, varies_;
  Marks may_be_infinite_;
  std::vector<Index> first_, last_; // of each instruction's terms, in terms_
  std::vector<Term> terms_;
  std::unordered_map<Index, std::vector<ResultTerm>> results_; // of instructions of matrices
};

} // namespace arenagrad::program
