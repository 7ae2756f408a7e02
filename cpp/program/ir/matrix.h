// What the opcodes of matrices compute: Cholesky and its pullback, LuFactors, LuSolve,
// TriangularSolve and MatrixProduct. Each is a function from a list of numbers to a list of
// numbers, and the derivatives of each are made of them and of scalar instructions.
//
// Matrices stand row by row; of a triangle there is the lower one alone, row by row, of n * (n + 1)
// / 2 numbers. The factors of LuFactors are as LAPACK has them, column by column, and the pivots
// behind them count from 1. Numbers are computed by LAPACK where core/lapack.h has it, else by
// plain loops. The same numbers give the same bits in both, wherever they stand in memory.
//
// Pure and thread-safe. Cost: that of LAPACK, and of a copy of all numbers.
#pragma once

#include <cstddef>

#include "program.h"

namespace arenagrad::program {

// Flags of an opcode, which are one of its sizes.
enum MatrixFlags : unsigned {
  kTransposed = 1,       // solves with the transpose; of a product the first factor is transposed
  kFromRight = 2,        // of a TriangularSolve: x @ a = b
  kSecondTransposed = 2, // of a MatrixProduct
};

struct MatrixShape {
  Opcode opcode{};
  // Cholesky, its pullback and LuFactors have one column, which says nothing. Of solutions the
  // matrix has `rows` rows, and the right side has `columns` columns, or rows if from the right. Of
  // a product both are those of the result, and the other side of the factors is `inner`.
  std::size_t rows = 0, columns = 0, inner = 0;
  unsigned flags = 0;

  bool has(MatrixFlags flag) const { return (flags & flag) != 0; }
  std::size_t operands() const; // which compute() reads, behind the sizes
  std::size_t unread() const;   // operands behind those, by which it has derivatives
  std::size_t results() const;
  std::size_t scratch() const; // numbers, room for the operands included
};

constexpr std::size_t triangle_size(std::size_t n) { return n * (n + 1) / 2; }
// Where row i starts in a triangle.
constexpr std::size_t triangle_row(std::size_t i) { return triangle_size(i); }

// The shape of an instruction of `count` operands, sizes included, whose sizes are these numbers.
// Throws std::invalid_argument if there is none.
MatrixShape matrix_shape(Opcode opcode, const double* sizes, std::size_t count);
// Requires an instruction of a matrix opcode whose sizes are constants. Throws the same.
MatrixShape matrix_shape(const Program& program, const Instruction& at);

// Where compute() wants the operands: at a multiple of 64 bytes, so that the bits of a result do
// not depend on where the scratch is.
double* operands_in(double* scratch);

// Writes the results and returns 0; or fills them with nan and returns nan where a matrix is not
// positive definite, or has a pivot that is exactly 0. LuFactors of a singular matrix are given all
// the same. The operands are lost.
double compute(const MatrixShape& shape, double* scratch, double* results);

// How an opcode says that it fails: the text of NumPy's or SciPy's error.
const char* matrix_failure(Opcode opcode);

} // namespace arenagrad::program
