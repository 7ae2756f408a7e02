// Loops over numbers that lie side by side, compiled for several instruction sets; which one runs
// is chosen once, by what the processor has, or by ARENAGRAD_KERNELS=portable|avx2|avx512.
//
// Thread-safe. No kernel allocates. y may be one of the operands, but may not overlap it otherwise.
#pragma once

#include <cstddef>

#include "program/ir/opcode.h"

namespace arenagrad::program {

// Numbers one beside the other (step 1), or one for all (step 0).
struct Lane {
  const double* at;
  std::size_t step;
};

struct Kernels {
  const char* name;

  // y[i] = opcode(a[i], b[i], c[i]) for i < n, every step being 0 or 1. Null for Constant, Input
  // and Many opcodes and RowSum.
  using Map = void (*)(double* y, Lane a, Lane b, Lane c, std::size_t n);
  Map map[kOpcodeCount];

  // y[i] = SumN or DotN the operands' lanes (see Opcode) for i < n.
  void (*sum)(double* y, const Lane* operands, std::size_t count, std::size_t n);
  void (*dot)(double* y, const Lane* operands, std::size_t count, std::size_t n);

  // a[0] + ... + a[n - 1], and a[0] b[0] + ...
  double (*total)(const double* a, std::size_t n);
  double (*inner)(const double* a, const double* b, std::size_t n);

  // tanh with its partial, which costs little more than either.
  void (*tanh_and_partial)(double* y, double* partial, const double* a, std::size_t n);

  // y[r] = start[r] + sum over k of m[r * row_step + k * column_step] * x[k * x_step] for r < rows.
  // `start` may be null.
  void (*matrix_vector)(double* y, const double* m, std::size_t row_step, std::size_t column_step,
                        const double* x, std::size_t x_step, std::size_t rows, std::size_t columns,
                        const double* start);
  // y[r * columns + c] = a[r] * b[c]
  void (*outer)(double* y, const double* a, const double* b, std::size_t rows, std::size_t columns);

  // y[r][i] = w[r][0] + sum over k of w[r][1 + k] * x[k][i], from left to right, for i < n and
  // r < results; w's rows have terms + 1 numbers. No y may be an x.
  void (*layer)(double* const* y, const double* w, const double* const* x, std::size_t results,
                std::size_t terms, std::size_t n);
  // sums[r * columns + c] += sum over i < n of a[r][i] * b[c][i], in any order.
  void (*grid)(double* sums, const double* const* a, std::size_t rows, const double* const* b,
               std::size_t columns, std::size_t n);

  // Whether all are finite.
  bool (*finite)(const double* a, std::size_t n);
};

// `strict` ones do each operation exactly as core::evaluate does, sums from left to right; the
// others use our own elementary functions (lane_math.h, with its table of errors), fused
// multiply-adds where the processor has them, and sums in any order, the same on every call.
const Kernels& kernels(bool strict);

// Those of one instruction set, by name; null if there are none of it or the processor lacks it.
const Kernels* kernels_named(const char* name, bool strict);

} // namespace arenagrad::program
