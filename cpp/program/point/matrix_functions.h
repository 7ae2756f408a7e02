// The functions of arenagrad.linalg as programs of a call in the arena: instructions of matrices
// (program/ir/matrix.h) and little else, so that a trace takes these in.
//
// Requires the arena's lock. Cost: an instruction for each number; those made last are kept.
#pragma once

#include "point_function.h"

namespace arenagrad::program {

enum class MatrixFunction : std::uint8_t {
  Cholesky,        // a lower triangle: that of its factor
  SolveTriangular, // a lower triangle, then the right side
  Solve,           // a square matrix, then the right side
  Inverse,         // a square matrix
  Determinant,     // the same
  Slogdet,         // the same: the sign of its determinant, and the logarithm of the size of that
};

// What a function is made for: matrices of n rows, and right sides of so many columns.
struct MatrixCall {
  MatrixFunction function{};
  std::size_t rows = 0, columns = 1;
  bool transposed = false; // of SolveTriangular
  // Whether a program with it asks for an error where it fails, as operations that can fail do.
  bool checked = true;

  friend bool operator==(const MatrixCall&, const MatrixCall&) = default;
};

// The results of the function are its state, which is 0, or nan where it fails, and then those that
// the enumerators say. Throws std::invalid_argument where there are no such matrices.
std::shared_ptr<PointFunction> matrix_function(const MatrixCall& call);

// How it says that it fails.
const char* failure_of(MatrixFunction function);

} // namespace arenagrad::program
