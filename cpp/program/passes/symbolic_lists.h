// The functions of lists that the formulas of core/nary.h use, as instructions: they write what
// their namesakes there compute, so that an n-ary operation is captured from its struct.
#pragma once

#include "symbolic.h"

namespace arenagrad::program {

inline Symbolic emit_list(Opcode opcode, const core::Numbers<Symbolic>& xs, bool checked = false) {
  std::vector<Index> operands;
  operands.reserve(xs.size());
  for (const Symbolic x : xs) operands.push_back(x.index());
  return Symbolic::of(Symbolic::builder().emit_many(opcode, operands, checked));
}

// A SumN starts with its first operand, sums start from 0.
inline Symbolic sum(const core::Numbers<Symbolic>& xs) {
  core::Numbers<Symbolic> terms{Symbolic(0.0)};
  terms.insert(terms.end(), xs.begin(), xs.end());
  return emit_list(Opcode::SumN, terms);
}
inline Symbolic dot(const core::Numbers<Symbolic>& xs) { return emit_list(Opcode::DotN, xs); }
inline Symbolic norm(const core::Numbers<Symbolic>& xs) { return emit_list(Opcode::NormN, xs); }
inline Symbolic max_shift(const core::Numbers<Symbolic>& xs) {
  return emit_list(Opcode::MaxShift, xs);
}
inline Symbolic log_sum_exp_shifted(const core::Numbers<Symbolic>& xs) {
  return emit_list(Opcode::LogSumExpShifted, xs);
}
inline Symbolic largest(const core::Numbers<Symbolic>& xs) { return emit_list(Opcode::MaxN, xs); }
inline Symbolic is_up_to(Symbolic a, Symbolic b) { return Symbolic::emit(Opcode::LessEqual, a, b); }
// Checked: the eager function raises where the index is none.
inline Symbolic take(const core::Numbers<Symbolic>& xs) {
  return emit_list(Opcode::Take, xs, true);
}
inline Symbolic polygamma_checked(Symbolic n, Symbolic a) {
  return Symbolic::checked(Opcode::Polygamma, n, a);
}
inline Symbolic gammainc_checked(Symbolic a, Symbolic x) {
  return Symbolic::checked(Opcode::Gammainc, a, x);
}
inline Symbolic betainc_checked(Symbolic a, Symbolic b, Symbolic x) {
  return Symbolic::checked(Opcode::Betainc, a, b, x);
}
inline Symbolic distance(Symbolic x, Symbolic largest) {
  return Symbolic::emit(Opcode::Distance, x, largest);
}

} // namespace arenagrad::program
