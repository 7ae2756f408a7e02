// Steps for groups of instructions of at most three operands.
//
// A group is cut into runs whose operands are side by side, which a kernel does; the instructions
// between the runs are gathered for a kernel or done one by one, whichever takes less.
#include "step_writer.h"

namespace arenagrad::program::point {
namespace {

// How many instructions from `from` on have operands in slots that go up by 0 or by 1.
Index run_length(const OperandSlots& operands, Index from, Index n) {
  if (from + 1 == n) return 1;
  Index steps[3];
  for (std::size_t k = 0; k < operands.count; ++k) {
    steps[k] = operands.slots[k][from + 1] - operands.slots[k][from];
    if (steps[k] > 1) return 1;
  }
  const auto goes_on = [&](Index i) {
    for (std::size_t k = 0; k < operands.count; ++k)
      if (operands.slots[k][i] - operands.slots[k][i - 1] != steps[k]) return false;
    return true;
  };
  Index end = from + 2;
  while (end < n && goes_on(end)) ++end;
  return end - from;
}

// A repeated slot and slots side by side need no list.
Addressing addressing_of(const Index* slots, Index n) {
  const Index step = n > 1 ? slots[1] - slots[0] : 0;
  if (step > 1) return Addressing::Gathered;
  for (Index i = 2; i < n; ++i)
    if (slots[i] - slots[i - 1] != step) return Addressing::Gathered;
  return step == 1 ? Addressing::Contiguous : Addressing::Same;
}

} // namespace

void StepWriter::put_slots(const Index* slots, std::size_t n) {
  steps_.words.insert(steps_.words.end(), slots, slots + n);
}

void StepWriter::back_to(const Mark& mark) {
  steps_.words.resize(mark.words);
  steps_.groups = mark.groups;
  tanhs_.resize(mark.tanhs);
  if (mark.columns == steps_.columns.size()) return;
  steps_.columns.resize(mark.columns);
  std::erase_if(columns_, [&](const auto& column) { return column.second >= mark.columns; });
}

void StepWriter::put_map(Opcode opcode, Index to, const OperandSlots& operands, Index from,
                         Index n) {
  StepHead head{.kind = StepKind::Map, .opcode = opcode};
  for (std::size_t k = 0; k < operands.count; ++k)
    head.set_addressing(k, addressing_of(operands.slots[k] + from, n));
  if (opcode == Opcode::Tanh && !exact_) {
    head.kind = StepKind::Tanh;
    tanhs_.push_back({to + from, n, steps_.words.size()});
    put(head, TanhStep{to + from, n, kNone});
  } else {
    put(head, MapStep{to + from, n});
  }
  for (std::size_t k = 0; k < operands.count; ++k)
    put_slots(operands.slots[k] + from, head.addressing(k) == Addressing::Gathered ? n : 1);
  want_scratch(std::size_t{3} * kGatherBlock);
}

// Costs a word an operand and no gathering.
void StepWriter::put_one_by_one(Opcode opcode, Index to, const OperandSlots& operands, Index from,
                                Index n) {
  constexpr Index kMost = 255; // of StepHead::count
  for (const Index end = from + n; from < end;) {
    const Index count = std::min(end - from, kMost);
    put({.kind = one_by_one(opcode), .count = static_cast<std::uint8_t>(count)}, Index{to + from});
    for (const Index last = from + count; from < last; ++from)
      for (std::size_t k = 0; k < operands.count; ++k) put_slots(operands.slots[k] + from, 1);
  }
}

// Instructions that are no run.
void StepWriter::put_irregular(Opcode opcode, Index to, const OperandSlots& operands, Index from,
                               Index n) {
  constexpr Index kFew = 8;
  if (n == 0) return;
  if (n < kFew || is_cheap(opcode) || (exact_ && !has_exact_loop(opcode)))
    put_one_by_one(opcode, to, operands, from, n);
  else
    put_map(opcode, to, operands, from, n);
}

// Runs of a Mul, of `columns` instructions each, that are the rows of an outer product: one factor
// is the same vector in all of them, the other one number a row.
Index StepWriter::put_outer_product(Index to, const OperandSlots& operands, Index from, Index n,
                                    Index columns) {
  constexpr Index kFew = 8;
  const bool a_steps = operands.slots[0][from + 1] != operands.slots[0][from];
  const bool b_steps = operands.slots[1][from + 1] != operands.slots[1][from];
  if (a_steps == b_steps) return 0;
  const Index* across = operands.slots[a_steps ? 0 : 1] + from;
  const Index* down = operands.slots[a_steps ? 1 : 0] + from;
  Index rows = 1;
  for (; (rows + 1) * columns <= n - from; ++rows) {
    const std::size_t row = static_cast<std::size_t>(rows) * columns;
    const Index* next = down + row;
    bool same = std::equal(across, across + columns, across + row);
    for (Index c = 0; c < columns; ++c) same = same && next[c] == down[0] + rows;
    if (!same) break;
  }
  if (rows == 1 || rows * columns < kFew) return 0;
  put({.kind = StepKind::OuterProduct},
      OuterProductStep{to + from, rows, columns, down[0], across[0]});
  return rows * columns;
}

// Partials of the tanhs of a step that has been written: that step is changed to write them too,
// since its kernel has all that they are made of.
Index StepWriter::put_partials_of_tanh(Index to, const OperandSlots& operands, Index from,
                                       Index n) {
  const Index* a = operands.slots[0] + from;
  const Index* y = operands.slots[1] + from;
  const auto found =
      std::lower_bound(tanhs_.begin(), tanhs_.end(), y[0],
                       [](const WrittenTanh& tanh, Index slot) { return tanh.to < slot; });
  if (found == tanhs_.end() || found->to != y[0] || found->n > n - from) return 0;
  const Index* at = &steps_.words[found->at];
  const StepHead head = read<StepHead>(at);
  TanhStep tanh = read<TanhStep>(at);
  // The kernel of both has no form for one number that is the operand of all.
  if (tanh.partial != kNone || head.addressing(0) == Addressing::Same) return 0;
  const bool gathered = head.addressing(0) == Addressing::Gathered;
  const auto operand = [&](Index i) { return gathered ? at[i] : at[0] + i; };
  for (Index i = 0; i < tanh.n; ++i)
    if (y[i] != tanh.to + i || a[i] != operand(i)) return 0;
  tanh.partial = to + from;
  std::memcpy(&steps_.words[found->at + 1], &tanh, sizeof tanh);
  return tanh.n;
}

// Tries the forms from the best to the plainest at each instruction. Only a form that does many
// instructions at once is written; the others wait for one step of their own (put_irregular).
void StepWriter::write_scalar(Opcode opcode, Index to, const OperandSlots& operands, Index n) {
  const bool fuses = opcode == Opcode::TanhPartial && !exact_;
  // A run this long is worth a step of its own.
  const Index shortest = is_cheap(opcode) || exact_ ? 8 : 16;
  const std::size_t known = tanhs_.size();
  Index start = 0; // of the instructions that have not been written
  for (Index at = 0; at < n;) {
    const Index length = run_length(operands, at, n);
    Index written = fuses ? put_partials_of_tanh(to, operands, at, n) : 0;
    if (written == 0 && opcode == Opcode::Mul && length > 1)
      written = put_outer_product(to, operands, at, n, length);
    if (written == 0 && (length >= shortest || (length == n && n >= 4))) {
      put_map(opcode, to, operands, at, length);
      written = length;
    }
    if (written != 0) {
      // The step just written stands before the instructions that precede it: the order of the
      // steps of a group is free, since none reads what another writes.
      put_irregular(opcode, to, operands, start, at - start);
      start = at + written;
    }
    at += written != 0 ? written : length;
  }
  put_irregular(opcode, to, operands, start, n - start);
  std::sort(tanhs_.begin() + static_cast<std::ptrdiff_t>(known), tanhs_.end(),
            [](const WrittenTanh& one, const WrittenTanh& other) { return one.to < other.to; });
}

void StepWriter::write_check(Index from, Index n) {
  put({.kind = StepKind::Check}, CheckStep{from, n});
}

void StepWriter::write_end() { put({.kind = StepKind::End}); }

} // namespace arenagrad::program::point
