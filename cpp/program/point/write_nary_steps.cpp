// Steps for groups of instructions of any number of operands.
//
// A group of dot products is mostly a layer, whose weights are a matrix; other sums often step
// through their operands side by side. The instructions between such runs have a list of slots
// each.
#include <new>

#include "step_writer.h"

namespace arenagrad::program::point {
namespace {

// Whether slots go up by the same step, and which: 0 or more.
bool is_even(const Index* slots, Index n, Index& step) {
  step = n > 1 ? slots[1] - slots[0] : 0;
  if (step >= kSideBySide) return false; // it goes down
  for (Index i = 2; i < n; ++i)
    if (slots[i] - slots[i - 1] != step) return false;
  return true;
}

// The first instructions of a group of dot products that are the rows of one matrix times one
// vector. The lists of an instruction are its start if it has one, then the terms of either factor.
struct MatrixRows {
  Index n = 1, row_step = 0, start_step = 0;
  Index column_step = 0, vector_step = 0;
  bool matrix_even, vector_even;
  const Index *matrix, *vector;

  MatrixRows(const Index* lists, Index count, Index most, bool matrix_first) {
    const DotView dot = core::dot_view(lists, count);
    const auto terms = static_cast<Index>(dot.terms);
    matrix = matrix_first ? dot.w : dot.x;
    vector = matrix_first ? dot.x : dot.w;
    matrix_even = is_even(matrix, terms, column_step);
    vector_even = is_even(vector, terms, vector_step);
    if (!matrix_even || most == 1) return;
    row_step = matrix[count] - matrix[0];
    start_step = dot.has_start() ? lists[count] - lists[0] : 0;
    if (row_step >= kSideBySide || start_step >= kSideBySide) return;
    for (; n < most; ++n) {
      const std::size_t at = static_cast<std::size_t>(n) * count;
      bool same = !dot.has_start() || lists[at] - lists[at - count] == start_step;
      for (Index k = 0; same && k < terms; ++k)
        same = vector[at + k] == vector[k] && matrix[at + k] - matrix[at - count + k] == row_step;
      if (!same) break;
    }
  }
};

// The better of the two.
MatrixRows matrix_rows(const Index* lists, Index count, Index most) {
  const MatrixRows left(lists, count, most, true), right(lists, count, most, false);
  return left.matrix_even && (left.n >= right.n || !right.matrix_even) ? left : right;
}

constexpr Index kFewRows = 4; // fewer do not fill a register

} // namespace

// Dot products of one vector with the rows of a matrix. Either factor may be the matrix: the one
// that makes more rows is.
Index StepWriter::put_matrix_vector(Index to, const Index* lists, Index count, Index n) {
  if (count < 2) return 0;
  const MatrixRows rows = matrix_rows(lists, count, n);
  // In order, only a register of rows can be added up at once.
  const bool in_lanes = rows.matrix_even && (!exact_ || rows.row_step == 1);
  if (rows.n < kFewRows || !in_lanes)
    if (const Index written = put_strided(Opcode::DotN, to, lists, count, n)) return written;
  if (!rows.matrix_even) return 0;
  const DotView dot = core::dot_view(lists, count);
  const auto terms = static_cast<Index>(dot.terms);
  if (static_cast<std::size_t>(rows.n) * terms < 8 || (rows.n == 1 && !rows.vector_even)) return 0;
  put({.kind = StepKind::MatrixVector},
      MatrixVectorStep{to, rows.n, terms, rows.matrix[0], rows.n > 1 ? rows.row_step : 0,
                       rows.column_step, rows.vector_even ? rows.vector[0] : kNone,
                       rows.vector_even ? rows.vector_step : 1,
                       dot.has_start() ? *dot.start : kNone, rows.n > 1 ? rows.start_step : 0});
  if (!rows.vector_even) put_slots(rows.vector, terms);
  want_scratch(static_cast<std::size_t>(rows.n) + terms);
  return rows.n;
}

// SumNs or DotNs whose operands are each the same, in the next slot or another constant from one to
// the next.
Index StepWriter::put_strided(Opcode opcode, Index to, const Index* lists, Index count, Index n) {
  if (n < kFewRows || count > kMostStrided) return 0;
  Index length = n, even[kMostStrided]; // how many have the operand in slots at one step
  for (Index k = 0; k < count && length >= kFewRows; ++k) {
    const auto slot = [&](Index i) { return lists[static_cast<std::size_t>(i) * count + k]; };
    const Index step = slot(1) - slot(0);
    even[k] = step > 1 ? 1 : 2;
    while (even[k] > 1 && even[k] < length && slot(even[k]) - slot(even[k] - 1) == step) ++even[k];
    Index constants = 0;
    while (constants < length && is_constant(slot(constants))) ++constants;
    length = std::max(even[k], constants);
  }
  if (length < kFewRows) return 0;
  put({.kind = StepKind::StridedNary, .opcode = opcode}, NaryStep{to, length, count});
  for (Index k = 0; k < count; ++k) {
    if (even[k] >= length)
      steps_.words.push_back(lists[k] | (lists[count + k] != lists[k] ? kSideBySide : 0));
    else
      steps_.words.push_back(column(lists + k, count, length) | kColumn | kSideBySide);
  }
  return length;
}

// Where the constants of these n slots, `stride` words apart, are in Steps::columns.
Index StepWriter::column(const Index* slots, Index stride, Index n) {
  std::vector<Index> wanted(n);
  for (Index i = 0; i < n; ++i) wanted[i] = slots[static_cast<std::size_t>(i) * stride];
  const std::size_t at = steps_.columns.size();
  if (at + n >= kColumn) throw std::bad_alloc();
  const auto [found, added] = columns_.emplace(std::move(wanted), static_cast<Index>(at));
  if (added)
    for (const Index slot : found->first)
      steps_.columns.push_back(steps_.constants[slot - steps_.input_count]);
  return found->second;
}

// A list of slots for each instruction.
void StepWriter::put_gathered(Opcode opcode, Index to, const Index* lists, Index count, Index n) {
  if (n == 0) return;
  put({.kind = StepKind::GatheredNary, .opcode = opcode}, NaryStep{to, n, count});
  put_slots(lists, static_cast<std::size_t>(n) * count);
  want_scratch(2 * static_cast<std::size_t>(count));
}

// Tries the forms from the best to the plainest at each instruction, as write_scalar does.
void StepWriter::write_nary(Opcode opcode, Index to, const Index* lists, Index count, Index n) {
  Index start = 0; // of the instructions that have not been written
  for (Index at = 0; at < n;) {
    const Index* from = lists + static_cast<std::size_t>(at) * count;
    Index written = opcode == Opcode::DotN ? put_matrix_vector(to + at, from, count, n - at) : 0;
    if (written == 0 && (opcode == Opcode::DotN || opcode == Opcode::SumN))
      written = put_strided(opcode, to + at, from, count, n - at);
    if (written != 0) {
      put_gathered(opcode, to + start, lists + static_cast<std::size_t>(start) * count, count,
                   at - start);
      start = at + written;
    }
    at += written != 0 ? written : 1;
  }
  put_gathered(opcode, to + start, lists + static_cast<std::size_t>(start) * count, count,
               n - start);
}

// Matrices stand in slots side by side mostly, and zeros are all in one slot.
void StepWriter::write_matrices(const MatrixShape& shape, Index to, const Index* slots) {
  const auto n = static_cast<Index>(shape.operands());
  std::vector<Index> runs;
  for (Index from = 0, length = 1; from < n; from += length, length = 1) {
    const Index step = from + 1 < n ? slots[from + 1] - slots[from] : 1;
    while (step <= 1 && from + length < n && slots[from + length] == slots[from] + length * step)
      ++length;
    runs.push_back(slots[from] | (step == 1 ? kSideBySide : 0));
    runs.push_back(length);
  }
  put({.kind = StepKind::Matrices, .opcode = shape.opcode},
      MatrixStep{to, static_cast<Index>(shape.rows), static_cast<Index>(shape.columns),
                 static_cast<Index>(shape.inner), shape.flags,
                 static_cast<Index>(runs.size() / 2)});
  put_slots(runs.data(), runs.size());
  want_scratch(shape.scratch());
}

} // namespace arenagrad::program::point
