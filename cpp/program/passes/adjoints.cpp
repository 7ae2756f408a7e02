#include "adjoints.h"

#include <utility>

namespace arenagrad::program {
namespace {

// The first term of a sum. Eager adjoints start from 0, which shows only in the sign of a zero.
Index first_of_sum(Index term) {
  const bool as_eager = !Symbolic::builder().passes().reorder;
  return as_eager ? (Symbolic(0.0) + Symbolic::of(term)).index() : term;
}

} // namespace

Adjoints::Adjoints(Marks active, Marks varies)
    : active_(std::move(active)), varies_(std::move(varies)), may_be_infinite_(active_.size(), 0),
      first_(active_.size(), kNone), last_(active_.size(), kNone) {}

void Adjoints::accumulate(Index operand, Symbolic term, bool varying_term) {
  if (!is_active(operand)) return;
  const auto k = static_cast<Index>(terms_.size());
  terms_.push_back({term.index(), kNone, varying_term});
  if (has_terms(operand))
    terms_[last_[operand]].next = k;
  else
    first_[operand] = k;
  last_[operand] = k;
}

void Adjoints::accumulate_result(Index matrices, Index which, Symbolic adjoint) {
  if (!is_active(matrices)) return;
  if (!has_terms(matrices)) accumulate(matrices, Symbolic(0.0), varies(matrices));
  results_[matrices].push_back({which, adjoint.index()});
}

Symbolic Adjoints::total(Index i) const {
  Index once = kNone, over_rows = kNone;
  for (Index k = first_[i]; k != kNone; k = terms_[k].next) {
    const Term& term = terms_[k];
    Index& sum = term.varies && !varies(i) ? over_rows : once;
    sum = sum == kNone ? first_of_sum(term.value)
                       : (Symbolic::of(sum) + Symbolic::of(term.value)).index();
  }
  if (over_rows == kNone) return Symbolic::of(once);
  const Symbolic summed = Symbolic::emit(Opcode::RowSum, Symbolic::of(over_rows));
  return once == kNone ? summed : Symbolic::of(once) + summed;
}

} // namespace arenagrad::program
