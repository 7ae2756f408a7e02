// Steps for instructions of at most three operands.
#include <algorithm>

#include "steps.h"

namespace arenagrad::program::point {
namespace {

// Costs about as much as to gather the operands for a kernel.
bool is_cheap(Opcode opcode) {
  switch (opcode) {
  case Opcode::Add:
  case Opcode::Subtract:
  case Opcode::Mul:
  case Opcode::Divide:
  case Opcode::MultiplyAdd:
  case Opcode::Negate:
  case Opcode::Square:
  case Opcode::Reciprocal:
  case Opcode::Sqrt:
  case Opcode::Relu:
  case Opcode::LeakyRelu:
  case Opcode::Abs:
  case Opcode::Sign:
  case Opcode::Maximum:
  case Opcode::Minimum:
  case Opcode::Wins:
  case Opcode::Less:
  case Opcode::LessEqual:
  case Opcode::Equal:
  case Opcode::Select:
  case Opcode::Distance:
    return true;
  default:
    return false;
  }
}

// How many from `from` on have operands that step by 0 or 1.
Index run_length(const Operands& operands, Index from, Index n) {
  if (from + 1 == n) return 1;
  Index length = n - from;
  for (std::size_t k = 0; k < operands.count; ++k) {
    const Index* at = operands.of[k] + from;
    const Index step = at[1] - at[0];
    if (step > 1) return 1;
    Index same = 2;
    while (same < length && at[same] - at[same - 1] == step) ++same;
    length = same;
  }
  return length;
}

Way way_of(const Index* at, Index n) {
  const Index step = n > 1 ? at[1] - at[0] : 0;
  if (step > 1) return kList;
  for (Index i = 2; i < n; ++i)
    if (at[i] - at[i - 1] != step) return kList;
  return step == 1 ? kStep : kSame;
}

} // namespace

void Writer::put_places(const Index* places, std::size_t n) {
  steps_.words.insert(steps_.words.end(), places, places + n);
}

void Writer::want_scratch(std::size_t n) { steps_.scratch = std::max(steps_.scratch, n); }

void Writer::back_to(const Mark& mark) {
  steps_.words.resize(mark.words);
  steps_.groups = mark.groups;
  tanhs_.resize(mark.tanhs);
}

void Writer::map(Opcode opcode, Index to, const Operands& operands, Index from, Index n) {
  Head head{kMap, static_cast<std::uint8_t>(opcode), 0, 0};
  Way ways[3] = {};
  for (std::size_t k = 0; k < operands.count; ++k) {
    ways[k] = way_of(operands.of[k] + from, n);
    head.ways |= static_cast<std::uint8_t>(ways[k] << 2 * k);
  }
  if (opcode == Opcode::Tanh && !strict_) {
    head.kind = kTanh;
    tanhs_.push_back({to + from, n, steps_.words.size()});
    put(head, Tanh{to + from, n, kNone});
  } else {
    put(head, Map{to + from, n});
  }
  for (std::size_t k = 0; k < operands.count; ++k)
    put_places(operands.of[k] + from, ways[k] == kList ? n : 1);
  want_scratch(std::size_t{3} * kBlock);
}

void Writer::one_by_one(Opcode opcode, Index to, const Operands& operands, Index from, Index n) {
  for (const Index end = from + n; from < end;) {
    const Index count = std::min<Index>(end - from, 255);
    put({static_cast<std::uint8_t>(opcode), 0, static_cast<std::uint8_t>(count), 0},
        Index{to + from});
    for (const Index last = from + count; from < last; ++from)
      for (std::size_t k = 0; k < operands.count; ++k) put_places(operands.of[k] + from, 1);
  }
}

// What is no run.
void Writer::rest(Opcode opcode, Index to, const Operands& operands, Index from, Index n) {
  if (n == 0) return;
  if (n < 8 || strict_ || is_cheap(opcode)) return one_by_one(opcode, to, operands, from, n);
  map(opcode, to, operands, from, n);
}

// Whether runs of a Mul, of `columns` each, are rows of an outer product; how many were written.
Index Writer::outer(Index to, const Operands& operands, Index from, Index n, Index columns) {
  const bool a_steps = operands.of[0][from + 1] != operands.of[0][from];
  const bool b_steps = operands.of[1][from + 1] != operands.of[1][from];
  if (a_steps == b_steps) return 0;
  const Index* across = operands.of[a_steps ? 0 : 1] + from;
  const Index* down = operands.of[a_steps ? 1 : 0] + from;
  Index rows = 1;
  for (; (rows + 1) * columns <= n - from; ++rows) {
    const std::size_t row = static_cast<std::size_t>(rows) * columns;
    const Index* next = down + row;
    bool same = std::equal(across, across + columns, across + row);
    for (Index c = 0; c < columns; ++c) same = same && next[c] == down[0] + rows;
    if (!same) break;
  }
  if (rows == 1 || rows * columns < 8) return 0;
  put({kOuter, 0, 0, 0}, Outer{to + from, rows, columns, down[0], across[0]});
  return rows * columns;
}

// Partials of a tanh that has been written are left to it; how many were.
Index Writer::partials(Index to, const Operands& operands, Index from, Index n) {
  const Index* a = operands.of[0] + from;
  const Index* y = operands.of[1] + from;
  const auto found =
      std::lower_bound(tanhs_.begin(), tanhs_.end(), y[0],
                       [](const WrittenTanh& tanh, Index place) { return tanh.to < place; });
  if (found == tanhs_.end() || found->to != y[0] || found->n > n - from) return 0;
  const Index* at = &steps_.words[found->at];
  const Head head = take<Head>(at);
  Tanh tanh = take<Tanh>(at);
  if (tanh.partial != kNone) return 0;
  for (Index i = 0; i < tanh.n; ++i) {
    const Index of_tanh = head.way(0) == kList ? at[i] : head.way(0) == kStep ? at[0] + i : at[0];
    if (y[i] != tanh.to + i || a[i] != of_tanh) return 0;
  }
  tanh.partial = to + from;
  std::memcpy(&steps_.words[found->at + 1], &tanh, sizeof tanh);
  return tanh.n;
}

void Writer::fixed(Opcode opcode, Index to, const Operands& operands, Index n) {
  const bool fuses = opcode == Opcode::TanhPartial && !strict_;
  const Index shortest = is_cheap(opcode) || strict_ ? 8 : 16;
  const std::size_t known = tanhs_.size();
  Index start = 0; // of what has not been written
  for (Index at = 0; at < n;) {
    const Index length = run_length(operands, at, n);
    Index done = fuses ? partials(to, operands, at, n) : 0;
    if (done == 0 && opcode == Opcode::Mul && length > 1) done = outer(to, operands, at, n, length);
    if (done == 0 && (length >= shortest || (length == n && n >= 4))) {
      map(opcode, to, operands, at, length);
      done = length;
    }
    if (done != 0) {
      rest(opcode, to, operands, start, at - start);
      start = at + done;
    }
    at += done != 0 ? done : length;
  }
  rest(opcode, to, operands, start, n - start);
  std::sort(tanhs_.begin() + static_cast<std::ptrdiff_t>(known), tanhs_.end(),
            [](const WrittenTanh& one, const WrittenTanh& other) { return one.to < other.to; });
}

void Writer::check(Index from, Index n) { put({kCheck, 0, 0, 0}, Check{from, n}); }

void Writer::end() { put({kEnd, 0, 0, 0}); }

} // namespace arenagrad::program::point
