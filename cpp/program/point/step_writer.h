// Writes the steps of one group of instructions after the other: finds runs of instructions whose
// operands lie side by side, and has a kernel do each run in one step.
//
// Not thread-safe. Cost: linear in the operands of a group.
#pragma once

#include <algorithm>
#include <map>

#include "program/ir/matrix.h"
#include "steps.h"

namespace arenagrad::program::point {

// The slots of the operands of a group, by operand: slots[k][i] is operand k of instruction i.
struct OperandSlots {
  const Index* slots[3];
  std::size_t count;
};

class StepWriter {
public:
  explicit StepWriter(Steps& steps) : steps_(steps) {}

  // Whether the groups that follow must have every bit of theirs.
  void set_exact(bool exact) { exact_ = exact; }

  // Groups of one opcode, whose results go to slot `to` and those behind it. `lists` has the
  // operands of a group of n-ary instructions: `count` slots an instruction.
  void write_scalar(Opcode opcode, Index to, const OperandSlots& operands, Index n);
  void write_nary(Opcode opcode, Index to, const Index* lists, Index count, Index n);
  void write_matrices(const MatrixShape& shape, Index to, const Index* slots);
  void write_check(Index from, Index n);
  void write_end();

  // Steps written after a mark can be taken back, to try another order of a group.
  struct Mark {
    std::size_t words, groups, tanhs, columns;
  };
  Mark mark() const {
    return {steps_.words.size(), steps_.groups, tanhs_.size(), steps_.columns.size()};
  }
  void back_to(const Mark& mark);

private:
  template <class... Parts> void put(const StepHead& head, const Parts&... parts);
  void put_slots(const Index* slots, std::size_t n);
  void want_scratch(std::size_t n) { steps_.scratch = std::max(steps_.scratch, n); }

  // Of the instructions of a group from `from` on; those that return a number say how many
  // instructions they have written, 0 if these do not have the form.
  void put_map(Opcode opcode, Index to, const OperandSlots& operands, Index from, Index n);
  void put_one_by_one(Opcode opcode, Index to, const OperandSlots& operands, Index from, Index n);
  void put_irregular(Opcode opcode, Index to, const OperandSlots& operands, Index from, Index n);
  Index put_outer_product(Index to, const OperandSlots& operands, Index from, Index n,
                          Index columns);
  Index put_partials_of_tanh(Index to, const OperandSlots& operands, Index from, Index n);
  Index put_matrix_vector(Index to, const Index* lists, Index count, Index n);
  Index put_strided(Opcode opcode, Index to, const Index* lists, Index count, Index n);
  void put_gathered(Opcode opcode, Index to, const Index* lists, Index count, Index n);
  bool is_constant(Index slot) const { return slot - steps_.input_count < steps_.constants.size(); }
  Index column(const Index* slots, Index stride, Index n);

  struct WrittenTanh {
    Index to, n;
    std::size_t at; // its word
  };

  Steps& steps_;
  bool exact_ = false;
  std::vector<WrittenTanh> tanhs_;              // by slot
  std::map<std::vector<Index>, Index> columns_; // of which slots, and their places
};

template <class... Parts> void StepWriter::put(const StepHead& head, const Parts&... parts) {
  constexpr std::size_t kWord = sizeof(Index);
  const auto append = [&](const auto& part) {
    static_assert(sizeof part % kWord == 0);
    const std::size_t at = steps_.words.size();
    steps_.words.resize(at + sizeof part / kWord);
    std::memcpy(&steps_.words[at], &part, sizeof part);
  };
  StepHead marked = head;
  marked.set_exact(exact_);
  append(marked);
  (append(parts), ...);
  if (head.kind < StepKind::Check) ++steps_.groups;
}

} // namespace arenagrad::program::point
