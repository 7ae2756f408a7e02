// The loops of one instruction set, and use(), which enters them into a table: see simd.h for how
// it is included.
//
// Invariant: an element gives the same bits in a whole register and in the rest behind the last
// whole one, so that results do not depend on how rows are cut into blocks. A number for all (step
// 0) is spread over a register's length in memory, so that loops load it like any other operand.
// Pure.
#pragma once

#include "matrix_loops.h"
#include "simd.h"
#include "simd_exact.h"
#include "simd_special.h"
#include "simd_trig.h"

namespace arenagrad::program {
namespace {

// evaluate() on V: the formulas of ops.def and opcodes.def, whose functions here are those of the
// simd_* headers.
template <Opcode kOpcode> struct Formula {
  // Whether there is a function of V for each that the formula names. A template, so that a formula
  // without them is no error.
  template <class N> static constexpr bool has() {
    using namespace core;
    switch (kOpcode) {
#define ARENAGRAD_OP(Id, name, symbol, operands, primal, ...)                                      \
  case Opcode::Id:                                                                                 \
    return requires(N a, N b, N c) { primal; };
#include "core/ops.def"
#define ARENAGRAD_OPCODE(Id, operands, primal, ...)                                                \
  case Opcode::Id:                                                                                 \
    return requires(N a, N b, N c) { primal; };
#include "program/ir/opcodes.def"
    default:
      return false;
    }
  }

  template <class N>
  ARENAGRAD_INLINE static N of([[maybe_unused]] N a, [[maybe_unused]] N b, [[maybe_unused]] N c) {
    using namespace core;
#define ARENAGRAD_OP(Id, name, symbol, operands, primal, ...)                                      \
  if constexpr (kOpcode == Opcode::Id && has<N>()) return primal;
#include "core/ops.def"
#define ARENAGRAD_OPCODE(Id, operands, primal, ...)                                                \
  if constexpr (kOpcode == Opcode::Id && has<N>()) return primal;
#include "program/ir/opcodes.def"
  }
};

// a * b + c, rounded twice as evaluate() does if strict.
template <bool kStrict, class N> ARENAGRAD_INLINE N multiply_then_add(N a, N b, N c) {
  if constexpr (kStrict)
    return a * b + c;
  else
    return multiply_add(a, b, c);
}

template <Opcode kOpcode, bool kStrict, class N> ARENAGRAD_INLINE N lanes_of(N a, N b, N c) {
  if constexpr (kOpcode == Opcode::MultiplyAdd)
    return multiply_then_add<kStrict>(a, b, c);
  else
    return Formula<kOpcode>::template of<N>(a, b, c);
}

// Calls each.template operator()<a Width>(first) for registers of the numbers from i on. Those
// behind the last whole register, and a few numbers, go into registers of fewer lanes: what a
// masked store or one across two cache lines has written is not forwarded to a load, which would
// double the time from a step to the next.
constexpr std::size_t kFewNumbers = ARENAGRAD_LANES > 4 ? 32 : 0;

template <class Each> ARENAGRAD_INLINE void registers(std::size_t i, std::size_t n, Each&& each) {
  if (n >= kFewNumbers)
    for (; i + kLanes <= n; i += kLanes) each.template operator()<Whole>(i);
#if ARENAGRAD_LANES > 4
  for (; i + 4 <= n; i += 4) each.template operator()<Four>(i);
#endif
#if ARENAGRAD_LANES > 2
  if (i + 2 <= n) each.template operator()<Two>(i), i += 2;
#endif
  if (i < n) each.template operator()<One>(i);
}

// Whole registers. Out of line, so that a formula is expanded once: the numbers behind the last
// whole register are done by it too.
template <Opcode kOpcode, bool kStrict>
[[gnu::noinline]] void map_whole(double* y, Strided a, Strided b, Strided c, std::size_t n) {
  constexpr std::size_t kOperands = operand_count(kOpcode);
  for (std::size_t i = 0; i < n; i += kLanes) {
    V of_b{}, of_c{};
    if constexpr (kOperands > 1) of_b = load(b.at + i * b.step);
    if constexpr (kOperands > 2) of_c = load(c.at + i * c.step);
    store(y + i, lanes_of<kOpcode, kStrict>(load(a.at + i * a.step), of_b, of_c));
  }
}

// Opcodes of an instruction or two, for which a call of map_whole and copies of the rest would take
// most of the time.
template <Opcode kOpcode, bool kStrict>
ARENAGRAD_INLINE void map_cheap(double* y, Strided a, Strided b, Strided c, std::size_t n) {
  constexpr std::size_t kOperands = operand_count(kOpcode);
  double spread[3][kLanes];
  Strided operand[3] = {a, b, c};
  for (std::size_t k = 0; k < kOperands; ++k)
    if (operand[k].step == 0) {
      store(spread[k], broadcast(operand[k].at[0]));
      operand[k].at = spread[k];
    }
  registers(0, n, [&]<class W>(std::size_t i) {
    typename W::Type of[3]{};
    for (std::size_t k = 0; k < kOperands; ++k)
      of[k] = W::load(operand[k].at + i * operand[k].step);
    W::store(y + i, lanes_of<kOpcode, kStrict>(of[0], of[1], of[2]));
  });
}

// Whole registers where they are, then the rest in registers of their own.
template <Opcode kOpcode, bool kStrict>
void map(double* y, Strided a, Strided b, Strided c, std::size_t n) {
  if constexpr (is_cheap(kOpcode) && Formula<kOpcode>::template has<V2>())
    return map_cheap<kOpcode, kStrict>(y, a, b, c, n);
  constexpr std::size_t kOperands = operand_count(kOpcode);
  const std::size_t whole = n - n % kLanes, rest = n % kLanes;
  double padded[3][kLanes];
  Strided operand[3] = {a, b, c};
  for (std::size_t k = 0; k < kOperands; ++k)
    if (operand[k].step == 0) {
      store(padded[k], broadcast(operand[k].at[0]));
      operand[k].at = padded[k];
    }
  if (whole > 0) map_whole<kOpcode, kStrict>(y, operand[0], operand[1], operand[2], whole);
  if (rest == 0) return;
  for (std::size_t k = 0; k < kOperands; ++k)
    if (operand[k].step != 0) {
      // Lanes without a number get the last number, not 0, for which some functions leave their
      // fast formula.
      const double* from = operand[k].at + whole;
      store(padded[k], broadcast(from[rest - 1]));
      for (std::size_t i = 0; i + 1 < rest; ++i) padded[k][i] = from[i];
      operand[k].at = padded[k];
    }
  double last[kLanes];
  map_whole<kOpcode, kStrict>(last, operand[0], operand[1], operand[2], kLanes);
  for (std::size_t i = 0; i < rest; ++i) y[whole + i] = last[i];
}

[[maybe_unused]] void tanh_and_partial(double* y, double* partial, const double* a, std::size_t n) {
  for (std::size_t i = 0; i < n; i += kLanes) {
    const std::size_t rest = n - i;
    const TanhAndPartial of(rest >= kLanes ? load(a + i) : load_partial(a + i, rest));
    if (rest >= kLanes)
      store(y + i, of.y), store(partial + i, of.partial);
    else
      store_partial(y + i, of.y, rest), store_partial(partial + i, of.partial, rest);
  }
}

// Cuts n numbers into tiles of 8, 4, 2 or 1 registers, whose sums are kept in registers, and calls
// tile.template operator()<a Width, registers>(first).
template <class Tile> ARENAGRAD_INLINE void tiles(std::size_t n, Tile&& tile) {
  std::size_t i = 0;
  if (n >= kFewNumbers) {
    for (; i + 8 * kLanes <= n; i += 8 * kLanes) tile.template operator()<Whole, 8>(i);
    if (i + 4 * kLanes <= n) tile.template operator()<Whole, 4>(i), i += 4 * kLanes;
  }
#if ARENAGRAD_LANES > 4
  for (; i + 8 <= n && n < kFewNumbers; i += 8) tile.template operator()<Four, 2>(i);
#endif
  registers(i, n, [&]<class W>(std::size_t from) { tile.template operator()<W, 1>(from); });
}

ARENAGRAD_INLINE V load_up_to(const double* at, std::size_t count) {
  return count >= kLanes ? load(at) : load_partial(at, count);
}
template <class W> ARENAGRAD_INLINE typename W::Type load_strided(Strided operand, std::size_t i) {
  return operand.step == 0 ? W::broadcast(operand.at[0]) : W::load(operand.at + i);
}

// From left to right, strict or not: several registers of elements keep the adders busy.
[[maybe_unused]] void sum(double* y, const Strided* operands, std::size_t count, std::size_t n) {
  tiles(n, [=]<class W, int kTile>(std::size_t i) {
    typename W::Type total[kTile];
    for (int t = 0; t < kTile; ++t) total[t] = load_strided<W>(operands[0], i + t * W::kLanes);
    for (std::size_t k = 1; k < count; ++k)
      for (int t = 0; t < kTile; ++t) total[t] += load_strided<W>(operands[k], i + t * W::kLanes);
    for (int t = 0; t < kTile; ++t) W::store(y + i + t * W::kLanes, total[t]);
  });
}

// From left to right too. A term with a number for all loads that number once for the tile.
template <bool kStrict>
void dot(double* y, const Strided* operands, std::size_t count, std::size_t n) {
  const auto view = core::dot_view(operands, count);
  const bool has_start = view.has_start();
  const Strided *w = view.w, *x = view.x;
  const std::size_t terms = view.terms;
  tiles(n, [=]<class W, int kTile>(std::size_t i) {
    typename W::Type total[kTile]{};
    for (int t = 0; has_start && t < kTile; ++t)
      total[t] = load_strided<W>(*view.start, i + t * W::kLanes);
    for (std::size_t k = 0; k < terms; ++k) {
      if (w[k].step != 0 && x[k].step != 0) {
        for (int t = 0; t < kTile; ++t)
          total[t] = multiply_then_add<kStrict>(W::load(w[k].at + i + t * W::kLanes),
                                                W::load(x[k].at + i + t * W::kLanes), total[t]);
        continue;
      }
      const bool fixed_x = x[k].step == 0;
      const auto fixed = W::broadcast(fixed_x ? x[k].at[0] : w[k].at[0]);
      const Strided other = fixed_x ? w[k] : x[k];
      for (int t = 0; t < kTile; ++t)
        total[t] =
            multiply_then_add<kStrict>(fixed, load_strided<W>(other, i + t * W::kLanes), total[t]);
    }
    for (int t = 0; t < kTile; ++t) W::store(y + i + t * W::kLanes, total[t]);
  });
}

// Four registers of partial sums, so that no addition waits for the one before it.
[[maybe_unused]] double total(const double* a, std::size_t n) {
  V part[4] = {};
  std::size_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes)
    for (std::size_t t = 0; t < 4; ++t) part[t] += load(a + i + t * kLanes);
  for (std::size_t t = 0; i < n; i += kLanes, ++t) part[t] += load_up_to(a + i, n - i);
  return horizontal_sum((part[0] + part[1]) + (part[2] + part[3]));
}

[[maybe_unused]] double inner(const double* a, const double* b, std::size_t n) {
  V part[4] = {};
  std::size_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes)
    for (std::size_t t = 0; t < 4; ++t)
      part[t] = multiply_add(load(a + i + t * kLanes), load(b + i + t * kLanes), part[t]);
  for (std::size_t t = 0; i < n; i += kLanes, ++t)
    part[t] = multiply_add(load_up_to(a + i, n - i), load_up_to(b + i, n - i), part[t]);
  return horizontal_sum((part[0] + part[1]) + (part[2] + part[3]));
}

[[maybe_unused]] bool finite(const double* a, std::size_t n) {
  V zeros[4] = {}; // nan as soon as one is not finite
  std::size_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes)
    for (std::size_t t = 0; t < 4; ++t) zeros[t] += load(a + i + t * kLanes) * 0.0;
  for (; i + kLanes <= n; i += kLanes) zeros[0] += load(a + i) * 0.0;
  if (i < n) zeros[1] += load_up_to(a + i, n - i) * 0.0;
  return !any(~((zeros[0] + zeros[1]) + (zeros[2] + zeros[3]) == 0.0));
}

// Whether `met`, a mask of a register of a and one of b, is set for all numbers.
template <class Met> ARENAGRAD_INLINE bool all_met(Strided a, Strided b, std::size_t n, Met&& met) {
  I all = ~I{};
  const V of_a = broadcast(a.at[0]), of_b = broadcast(b.at[0]);
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    all &= met(a.step == 0 ? of_a : load(a.at + i), b.step == 0 ? of_b : load(b.at + i));
  for (; i < n; ++i) all &= met(broadcast(a.at[i * a.step]), broadcast(b.at[i * b.step]));
  return !any(~all);
}

[[maybe_unused]] bool compare(Opcode opcode, bool outcome, Strided a, Strided b, std::size_t n) {
  const I flip = outcome ? I{} : ~I{};
  switch (opcode) {
  case Opcode::Less:
    return all_met(a, b, n, [=](V x, V y) { return I(x < y) ^ flip; });
  case Opcode::LessEqual:
    return all_met(a, b, n, [=](V x, V y) { return I(x <= y) ^ flip; });
  default:
    return all_met(a, b, n, [=](V x, V y) { return I(x == y) ^ flip; });
  }
}

[[maybe_unused]] bool clear(Strided a, double sign_a, Strided b, double sign_b, bool distance,
                            double relative, double absolute, std::size_t n) {
  const auto margin = [=](V x, V y) { return (fabs(x) + fabs(y)) * relative + absolute; };
  if (distance)
    return all_met(a, b, n,
                   [=](V x, V y) { return I(fabs(x * sign_a + y * sign_b) > margin(x, y)); });
  return all_met(a, b, n, [=](V x, V y) { return I(x * sign_a + y * sign_b > margin(x, y)); });
}

[[maybe_unused]] bool bounded(Strided a, double smallest, double largest, bool or_zero,
                              std::size_t n) {
  if (a.step == 0) n = n < 1 ? n : 1;
  if (or_zero)
    return all_met(a, a, n, [=](V x, V) {
      return I((fabs(x) >= smallest) & (fabs(x) <= largest)) | I(x == 0.0);
    });
  return all_met(a, a, n, [=](V x, V) { return I((fabs(x) >= smallest) & (fabs(x) <= largest)); });
}

[[maybe_unused]] void outer(double* y, const double* a, const double* b, std::size_t rows,
                            std::size_t columns) {
  for (std::size_t r = 0; r < rows; ++r, y += columns) {
    registers(0, columns, [=]<class W>(std::size_t c) {
      W::store(y + c, W::broadcast(a[r]) * W::load(b + c));
    });
  }
}

// kRows rows whose columns are side by side. Each is summed over the columns in the same order
// whichever rows it is with.
template <std::size_t kRows>
ARENAGRAD_INLINE void row_dots(double* y, const double* m, std::size_t row_step, const double* x,
                               std::size_t columns, const double* start) {
  V sums[kRows] = {};
  std::size_t k = 0;
  for (; k + kLanes <= columns; k += kLanes) {
    const V of_x = load(x + k);
    for (std::size_t r = 0; r < kRows; ++r)
      sums[r] = multiply_add(load(m + r * row_step + k), of_x, sums[r]);
  }
  if (k < columns) {
    const V of_x = load_partial(x + k, columns - k);
    for (std::size_t r = 0; r < kRows; ++r)
      sums[r] = multiply_add(load_partial(m + r * row_step + k, columns - k), of_x, sums[r]);
  }
  for (std::size_t r = 0; r < kRows; ++r)
    y[r] = (start != nullptr ? start[r] : 0.0) + horizontal_sum(sums[r]);
}

// kRows rows of any steps, from left to right; several at once, so that none waits for its own sum.
template <std::size_t kRows>
ARENAGRAD_INLINE void row_chains(double* y, const double* m, std::size_t row_step,
                                 std::size_t column_step, const double* x, std::size_t x_step,
                                 std::size_t columns, const double* start) {
  double sums[kRows];
  for (std::size_t r = 0; r < kRows; ++r) sums[r] = start != nullptr ? start[r] : 0.0;
  for (std::size_t k = 0; k < columns; ++k)
    for (std::size_t r = 0; r < kRows; ++r)
      sums[r] += m[r * row_step + k * column_step] * x[k * x_step];
  for (std::size_t r = 0; r < kRows; ++r) y[r] = sums[r];
}

// A register of rows at a time if row_step is 1, else a register of columns if column_step is 1,
// else number by number. Strict sums go from left to right, which a register of columns cannot.
template <bool kStrict> void matrix_vector(double* y, const double* m, std::size_t row_step,
                                           std::size_t column_step, const double* x,
                                           std::size_t x_step, std::size_t rows,
                                           std::size_t columns, const double* start) {
  const auto start_at = [=](std::size_t r) { return start != nullptr ? start + r : nullptr; };
  std::size_t r = 0;
  if (row_step == 1) {
    tiles(rows, [=]<class W, int kTile>(std::size_t i) {
      typename W::Type sums[kTile]{};
      for (int t = 0; start != nullptr && t < kTile; ++t)
        sums[t] = W::load(start + i + t * W::kLanes);
      for (std::size_t k = 0; k < columns; ++k) {
        const auto of_x = W::broadcast(x[k * x_step]);
        const double* column = m + k * column_step + i;
        for (int t = 0; t < kTile; ++t)
          sums[t] = multiply_then_add<kStrict>(W::load(column + t * W::kLanes), of_x, sums[t]);
      }
      for (int t = 0; t < kTile; ++t) W::store(y + i + t * W::kLanes, sums[t]);
    });
  } else if (!kStrict && column_step == 1 && x_step == 1) {
    for (; r + 4 <= rows; r += 4)
      row_dots<4>(y + r, m + r * row_step, row_step, x, columns, start_at(r));
    for (; r < rows; ++r) row_dots<1>(y + r, m + r * row_step, row_step, x, columns, start_at(r));
  } else {
    for (; r + 8 <= rows; r += 8)
      row_chains<8>(y + r, m + r * row_step, row_step, column_step, x, x_step, columns,
                    start_at(r));
    for (; r < rows; ++r)
      row_chains<1>(y + r, m + r * row_step, row_step, column_step, x, x_step, columns,
                    start_at(r));
  }
}

// Enters the maps of the opcodes from kIndex on. Strict tables use evaluate() where lanes are not
// exact.
template <bool kStrict, std::size_t kIndex> void use_map(Kernels& table) {
  constexpr Opcode kOpcode = static_cast<Opcode>(kIndex);
  if constexpr ((!kStrict || is_exact(kOpcode)) && Formula<kOpcode>::template has<V>())
    table.map[kIndex] = map<kOpcode, kStrict>;
  if constexpr (kOpcode < Opcode::SumN) use_map<kStrict, kIndex + 1>(table);
}

template <bool kStrict> void use(Kernels& table) {
  use_map<kStrict, kFirstTableOpcode>(table);
  if (kStrict && kKnowsLibrary) use_like_library(table);
  table.sum = sum, table.dot = dot<kStrict>;
  table.matrix_vector = matrix_vector<kStrict>;
  table.outer = outer, table.finite = finite;
  table.compare = compare, table.clear = clear, table.bounded = bounded;
  table.layer = layer<kStrict>, table.grid = grid;
  if constexpr (!kStrict)
    table.total = total, table.inner = inner, table.tanh_and_partial = tanh_and_partial;
}

} // namespace
} // namespace arenagrad::program
