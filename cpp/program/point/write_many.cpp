// Steps for instructions of many operands.
#include <algorithm>

#include "steps.h"

namespace arenagrad::program::point {
namespace {

// Whether places go up by the same step, and which: 0 or more.
bool is_even(const Index* places, Index n, Index& step) {
  step = n > 1 ? places[1] - places[0] : 0;
  if (step >= kBeside) return false;
  for (Index i = 2; i < n; ++i)
    if (places[i] - places[i - 1] != step) return false;
  return true;
}

// The first instructions of a group of dot products that are the rows of one matrix times one
// vector. The lists of an instruction are its start if it has one, then the terms of either factor.
struct Rows {
  Index n = 1, row_step = 0, start_step = 0;
  Index column_step = 0, vector_step = 0;
  bool matrix_even, vector_even;
  const Index *matrix, *vector;

  Rows(const Index* lists, Index count, Index most, bool matrix_first) {
    const DotView dot = core::dot_view(lists, count);
    const auto terms = static_cast<Index>(dot.terms);
    matrix = matrix_first ? dot.w : dot.x;
    vector = matrix_first ? dot.x : dot.w;
    matrix_even = is_even(matrix, terms, column_step);
    vector_even = is_even(vector, terms, vector_step);
    if (!matrix_even || most == 1) return;
    row_step = matrix[count] - matrix[0];
    start_step = dot.has_start() ? lists[count] - lists[0] : 0;
    if (row_step >= kBeside || start_step >= kBeside) return;
    for (; n < most; ++n) {
      const std::size_t at = static_cast<std::size_t>(n) * count;
      bool same = !dot.has_start() || lists[at] - lists[at - count] == start_step;
      for (Index k = 0; same && k < terms; ++k)
        same = vector[at + k] == vector[k] && matrix[at + k] - matrix[at - count + k] == row_step;
      if (!same) break;
    }
  }
};

} // namespace

// How many instructions from the first on were written as a matrix times a vector.
Index Writer::matrix(Index to, const Index* lists, Index count, Index n) {
  if (count < 2) return 0;
  const Rows left(lists, count, n, true), right(lists, count, n, false);
  const Rows& rows = left.matrix_even && (left.n >= right.n || !right.matrix_even) ? left : right;
  if (!rows.matrix_even) return 0;
  const DotView dot = core::dot_view(lists, count);
  const auto terms = static_cast<Index>(dot.terms);
  if (static_cast<std::size_t>(rows.n) * terms < 8 || (rows.n == 1 && !rows.vector_even)) return 0;
  put({kMatrix, 0, 0, 0},
      Matrix{to, rows.n, terms, rows.matrix[0], rows.n > 1 ? rows.row_step : 0, rows.column_step,
             rows.vector_even ? rows.vector[0] : kNone, rows.vector_even ? rows.vector_step : 1,
             dot.has_start() ? *dot.start : kNone, rows.n > 1 ? rows.start_step : 0});
  if (!rows.vector_even) put_places(rows.vector, terms);
  want_scratch(static_cast<std::size_t>(rows.n) + terms);
  return rows.n;
}

// How many instructions were written as one SumN or DotN lanes.
Index Writer::lanes(Opcode opcode, Index to, const Index* lists, Index count, Index n) {
  if (n < 4 || count > kMostLanes) return 0;
  const auto step_of = [&](Index k) { return lists[count + k] - lists[k]; };
  for (Index k = 0; k < count; ++k)
    if (step_of(k) > 1) return 0;
  Index length = 2;
  for (; length < n; ++length) {
    const Index* at = lists + static_cast<std::size_t>(length) * count;
    Index k = 0;
    while (k < count && at[k] - (at - count)[k] == step_of(k)) ++k;
    if (k < count) break;
  }
  if (length < 4) return 0;
  put({kLanes, static_cast<std::uint8_t>(opcode), 0, 0}, Many{to, length, count});
  for (Index k = 0; k < count; ++k)
    steps_.words.push_back(lists[k] | (step_of(k) != 0 ? kBeside : 0));
  return length;
}

// What is neither.
void Writer::rest(Opcode opcode, Index to, const Index* lists, Index count, Index n) {
  if (n == 0) return;
  put({kLists, static_cast<std::uint8_t>(opcode), 0, 0}, Many{to, n, count});
  put_places(lists, static_cast<std::size_t>(n) * count);
  want_scratch(2 * static_cast<std::size_t>(count));
}

void Writer::many(Opcode opcode, Index to, const Index* lists, Index count, Index n) {
  Index start = 0; // of what has not been written
  for (Index at = 0; at < n;) {
    const Index* from = lists + static_cast<std::size_t>(at) * count;
    Index done = opcode == Opcode::DotN ? matrix(to + at, from, count, n - at) : 0;
    if (done == 0 && (opcode == Opcode::DotN || opcode == Opcode::SumN))
      done = lanes(opcode, to + at, from, count, n - at);
    if (done != 0) {
      rest(opcode, to + start, lists + static_cast<std::size_t>(start) * count, count, at - start);
      start = at + done;
    }
    at += done != 0 ? done : 1;
  }
  rest(opcode, to + start, lists + static_cast<std::size_t>(start) * count, count, n - start);
}

} // namespace arenagrad::program::point
