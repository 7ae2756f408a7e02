// Loops over numbers that lie side by side, compiled for several instruction sets. The set that
// runs is chosen once: the best that the processor has, or ARENAGRAD_KERNELS=portable|avx2|avx512.
//
// Invariants: element i of a result depends on element i of the operands only, with the same bits
// wherever it stands in a register; no kernel reads or writes beyond n. Thread-safe; no kernel
// allocates. y may be one of the operands, but may not overlap it otherwise. Cost of a call: a
// few nanoseconds beside the arithmetic.
#pragma once

#include <cstddef>

#include "program/ir/opcode.h"

namespace arenagrad::program {

// Element i is at[i * step]: numbers side by side (step 1), or one number for all (step 0).
struct Strided {
  const double* at;
  std::size_t step;
};

struct Kernels {
  const char* name;

  // y[i] = opcode(a[i], b[i], c[i]) for i < n, every step being 0 or 1. Null for Constant, Input,
  // RowSum and n-ary opcodes.
  using Map = void (*)(double* y, Strided a, Strided b, Strided c, std::size_t n);
  Map map[kOpcodeCount];

  // y[i] = SumN or DotN of the i-th elements of `count` operands, ordered as Opcode says.
  void (*sum)(double* y, const Strided* operands, std::size_t count, std::size_t n);
  void (*dot)(double* y, const Strided* operands, std::size_t count, std::size_t n);

  // a[0] + ... + a[n - 1], and a[0] b[0] + ...
  double (*total)(const double* a, std::size_t n);
  double (*inner)(const double* a, const double* b, std::size_t n);

  // tanh with its partial: both are made of the same exponential, so the second costs little.
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
  // sums[r * columns + c] += sum over i < n of a[r][i] * b[c][i], in any order, over all n.
  void (*grid)(double* sums, const double* const* a, std::size_t rows, const double* const* b,
               std::size_t columns, std::size_t n);

  // Whether all are finite.
  bool (*finite)(const double* a, std::size_t n);
  // Whether opcode(a[i], b[i]), a comparison, is `outcome` for all i < n.
  bool (*compare)(Opcode opcode, bool outcome, Strided a, Strided b, std::size_t n);
  // Whether d > relative * (|a[i]| + |b[i]|) + absolute for all i < n, where d is
  // sign_a * a[i] + sign_b * b[i], or the size of that if only the distance counts.
  bool (*clear)(Strided a, double sign_a, Strided b, double sign_b, bool distance, double relative,
                double absolute, std::size_t n);
  // Whether smallest <= |a[i]| <= largest, or a[i] == 0 if allowed, for all i < n.
  bool (*bounded)(Strided a, double smallest, double largest, bool or_zero, std::size_t n);
};

// `strict` kernels do each operation exactly as evaluate() does, and sums from left to right. The
// others use our own elementary functions (simd_math.h; their errors are in ERRORS.md), fused
// multiply-adds where the processor has them, and sums in an order that depends on n only.
const Kernels& kernels(bool strict);

// Whether strict tables may have a loop for an opcode that is faster than the C library's function
// on one number after the other.
constexpr bool has_exact_loop(Opcode opcode) {
  return opcode == Opcode::Exp || opcode == Opcode::Pow;
}

// The kernels of one instruction set, by name; null if there are none or the processor lacks it.
const Kernels* kernels_named(const char* name, bool strict);

} // namespace arenagrad::program
