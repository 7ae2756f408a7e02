// Facts about a whole program that passes and planners both ask for, each computed here and nowhere
// else: what is needed, how often each value is used, and what depends on what.
//
// Invariant: operands stand before their users, so one walk down finds all that something needs and
// one walk up finds all that depends on it; nothing recurses. Both walks go through
// Program::for_each_operand. Pure and thread-safe; linear cost, about 2 ns an operand.
#pragma once

#include <cstdint>
#include <vector>

#include "program.h"

namespace arenagrad::program {

// One mark for each instruction of a program, 0 or 1. Bytes, since vector<bool> is slower to write.
using Marks = std::vector<std::uint8_t>;

// Walks down over the instructions [0, end): calls visit(i) for each that is marked by the time it
// is met, and marks its operands if visit returns true.
template <class Visit> void for_each_marked_downwards(const Program& program, Marks& marks,
                                                      std::size_t end, Visit&& visit) {
  for (std::size_t i = end; i-- > 0;) {
    if (marks[i] == 0 || !visit(static_cast<Index>(i))) continue;
    program.for_each_operand(program.instructions[i], [&](Index operand) { marks[operand] = 1; });
  }
}

// The instructions that outputs and guards are computed from, and all that are checked: a check
// that nothing reads may still have to raise. An input that nothing reads is not needed.
Marks needed(const Program& program);

// How many operands, outputs and guards each value is. With `users`, operands of the instructions
// that are marked there count only.
std::vector<Index> count_uses(const Program& program, const Marks* users = nullptr);

// The instructions that guards are computed from: the decisions of a program. Passes and plans keep
// each of their bits, so that a run takes the branch that the function itself takes. Empty if there
// are no guards, so that programs without decisions pay nothing.
Marks decision_cone(const Program& program);

// Whether marks, which may be empty, have a mark there.
inline bool is_marked(const Marks& marks, std::size_t i) { return !marks.empty() && marks[i] != 0; }

// Marks all that is computed from what is marked.
void mark_dependents(const Program& program, Marks& marks);

// Whether each instruction differs from row to row, given which inputs do. A sum over the rows does
// not differ, whatever it is a sum of.
Marks varying(const Program& program, const std::vector<std::uint8_t>& inputs);

// Whether a run that is not strict may have an infinity where the function has nan or a number:
// where sums stand in another order, or products of which only the sum is rounded.
bool may_overflow_otherwise(const Program& program);

} // namespace arenagrad::program
