#include "matrix.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <stdexcept>

#include "core/lapack.h"
#include "plain_matrices.h"

namespace arenagrad::program {
namespace {

using core::lapack;

constexpr double kNoResult = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kAlignment = 8; // doubles
constexpr std::size_t kBlock = 32;    // columns of a factor whose adjoints are found at once
// LAPACK counts with int; products of two sizes are far from overflow.
constexpr double kMostRows = 32767.0;
constexpr std::size_t kMostNumbers = std::size_t{1} << 30;

// Memory of scratch, from a multiple of 64 bytes on.
class Scratch {
public:
  explicit Scratch(double* memory) : next_(aligned(memory)) {}

  double* take(std::size_t count) {
    double* const taken = next_;
    next_ += (count + kAlignment - 1) / kAlignment * kAlignment;
    return taken;
  }
  int* take_pivots(std::size_t count) {
    int* const pivots = reinterpret_cast<int*>(take(count));
    std::uninitialized_default_construct_n(pivots, count);
    return pivots;
  }

private:
  static double* aligned(double* memory) {
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    return memory + (kAlignment - address / sizeof(double) % kAlignment) % kAlignment;
  }
  double* next_;
};

std::size_t padded(std::size_t count) { return count + kAlignment; }

// A triangle as the lower one of n rows of n numbers; the others are not read.
void unpack(const double* triangle, std::size_t n, double* a) {
  for (std::size_t i = 0; i < n; ++i, a += n, triangle += i) std::copy_n(triangle, i + 1, a);
}

// y, n rows of m numbers, is the transpose of x, m rows of n numbers; in tiles that the cache
// holds.
void transpose(const double* x, std::size_t m, std::size_t n, double* y) {
  constexpr std::size_t kTile = 16;
  for (std::size_t i0 = 0; i0 < m; i0 += kTile)
    for (std::size_t j0 = 0; j0 < n; j0 += kTile)
      for (std::size_t i = i0; i < std::min(m, i0 + kTile); ++i)
        for (std::size_t j = j0; j < std::min(n, j0 + kTile); ++j) y[j * m + i] = x[i * n + j];
}

// What is a row here is a column to LAPACK, so our lower triangles are its upper ones, and
// transposed.
double compute_cholesky(std::size_t rows, const double* x, double* y, Scratch scratch) {
  double* const a = scratch.take(rows * rows);
  unpack(x, rows, a);
  int n = static_cast<int>(rows), info = 0;
  char upper = 'U';
  if (lapack.is_loaded())
    lapack.potrf(&upper, &n, a, &n, &info);
  else
    info = plain::cholesky(a, rows) ? 0 : 1;
  if (info != 0) return kNoResult;
  for (std::size_t i = 0; i < rows; ++i) y = std::copy_n(a + i * rows, i + 1, y);
  return 0.0;
}

double compute_lu(std::size_t rows, const double* x, double* y, Scratch scratch) {
  double* const a = scratch.take(rows * rows);
  int* const pivots = scratch.take_pivots(rows);
  transpose(x, rows, rows, a);
  int n = static_cast<int>(rows), info = 0;
  if (lapack.is_loaded())
    lapack.getrf(&n, &n, a, &n, pivots, &info);
  else
    info = plain::lu(a, rows, pivots) ? 0 : 1;
  y = std::copy_n(a, rows * rows, y);
  for (std::size_t i = 0; i < rows; ++i) y[i] = pivots[i];
  return info == 0 ? 0.0 : kNoResult;
}

// Whoever wrote a file may have written any pivots.
bool read_pivots(const double* x, std::size_t rows, int* pivots) {
  for (std::size_t i = 0; i < rows; ++i) {
    if (!(x[i] >= 1.0 && x[i] <= static_cast<double>(rows))) return false;
    pivots[i] = static_cast<int>(x[i]);
  }
  return true;
}

double compute_lu_solve(const MatrixShape& shape, double* a, double* y, Scratch scratch) {
  const std::size_t rows = shape.rows, columns = shape.columns;
  const double *const of_pivots = a + rows * rows, *const right = of_pivots + rows;
  double* const b = scratch.take(rows * columns);
  int* const pivots = scratch.take_pivots(rows);
  if (!read_pivots(of_pivots, rows, pivots)) return kNoResult;
  transpose(right, rows, columns, b);
  int n = static_cast<int>(rows), k = static_cast<int>(columns), info = 0;
  char trans = shape.has(kTransposed) ? 'T' : 'N';
  if (lapack.is_loaded())
    lapack.getrs(&trans, &n, &k, a, &n, pivots, b, &n, &info);
  else
    plain::lu_solve(a, pivots, rows, b, columns, shape.has(kTransposed));
  transpose(b, columns, rows, y);
  return 0.0;
}

void solve_triangular(const MatrixShape& shape, double* a, double* b) {
  int n = static_cast<int>(shape.rows), k = static_cast<int>(shape.columns), one = 1;
  double unit = 1.0;
  char side = shape.has(kFromRight) ? 'L' : 'R', upper = 'U', no = 'N';
  char trans = shape.has(kTransposed) ? 'T' : 'N', other = shape.has(kTransposed) ? 'N' : 'T';
  if (shape.columns == 1)
    lapack.trsv(&upper, shape.has(kFromRight) ? &trans : &other, &no, &n, a, &n, b, &one);
  else if (shape.has(kFromRight))
    lapack.trsm(&side, &upper, &trans, &no, &n, &k, &unit, a, &n, b, &n);
  else
    lapack.trsm(&side, &upper, &trans, &no, &k, &n, &unit, a, &n, b, &k);
}

double compute_triangular(const MatrixShape& shape, double* x, double* y, Scratch scratch) {
  const std::size_t rows = shape.rows;
  double* const a = scratch.take(rows * rows);
  double* const b = x + triangle_size(rows);
  unpack(x, rows, a);
  for (std::size_t i = 0; i < rows; ++i)
    if (a[i * rows + i] == 0.0) return kNoResult;
  if (lapack.is_loaded())
    solve_triangular(shape, a, b);
  else
    plain::solve_triangular(a, rows, b, shape.columns, shape.has(kTransposed),
                            shape.has(kFromRight));
  std::copy_n(b, shape.results(), y);
  return 0.0;
}

double compute_product(const MatrixShape& shape, double* a, double* y, Scratch scratch) {
  double* const b = a + shape.rows * shape.inner;
  double* const c = scratch.take(shape.results());
  int m = static_cast<int>(shape.rows), n = static_cast<int>(shape.columns),
      k = static_cast<int>(shape.inner);
  double one = 1.0, zero = 0.0;
  char trans_a = shape.has(kTransposed) ? 'T' : 'N';
  char trans_b = shape.has(kSecondTransposed) ? 'T' : 'N';
  int lda = shape.has(kTransposed) ? m : k, ldb = shape.has(kSecondTransposed) ? k : n;
  if (lapack.is_loaded())
    lapack.gemm(&trans_b, &trans_a, &n, &m, &k, &one, b, &ldb, a, &lda, &zero, c, &n);
  else
    plain::multiply(shape.rows, shape.columns, shape.inner, a, shape.has(kTransposed), b,
                    shape.has(kSecondTransposed), c);
  std::copy_n(c, shape.results(), y);
  return 0.0;
}

// From the last block of columns to the first, each finds its own adjoints and those of the blocks
// before it, which then are where those of the factor were.
// Source: Murray, Differentiation of the Cholesky decomposition, 2016, section 4.2.
class FactorPullback {
public:
  // x: the triangles of the factor and its adjoint.
  FactorPullback(std::size_t rows, const double* x, Scratch scratch)
      : n_(rows), l_(scratch.take(rows * rows)), g_(scratch.take(rows * rows)),
        symmetric_(scratch.take(kBlock * kBlock)) {
    std::fill_n(g_, n_ * n_, 0.0);
    unpack(x, n_, l_);
    unpack(x + triangle_size(n_), n_, g_);
  }

  void run(double* y) {
    for (std::size_t end = n_; end > 0; end -= std::min(end, kBlock))
      pull_back_block(end - std::min(end, kBlock), end);
    for (std::size_t i = 0; i < n_; ++i) y = std::copy_n(g_ + i * n_, i + 1, y);
  }

private:
  // The columns [from, end): the diagonal block, what is below it, and what is left of both.
  void pull_back_block(std::size_t from, std::size_t end) {
    const std::size_t width = end - from, below = n_ - end;
    const std::size_t left = from * n_, diagonal = left + from, lower = end * n_ + from;
    if (below > 0) {
      solve_from_right(l_ + diagonal, width, g_ + lower, below);
      subtract({g_ + lower, n_, false}, {l_ + left, n_, false}, below, from, width, g_ + end * n_);
      subtract({g_ + lower, n_, true}, {l_ + lower, n_, false}, width, width, below, g_ + diagonal);
    }
    plain::cholesky_pullback(l_ + diagonal, g_ + diagonal, width, n_);
    if (from == 0) return;
    if (below > 0)
      subtract({g_ + lower, n_, true}, {l_ + end * n_, n_, false}, width, from, below, g_ + left);
    for (std::size_t i = 0; i < width; ++i)
      for (std::size_t j = 0; j <= i; ++j)
        symmetric_[i * kBlock + j] = symmetric_[j * kBlock + i] =
            g_[diagonal + i * n_ + j] * (i == j ? 2.0 : 1.0);
    subtract({symmetric_, kBlock, false}, {l_ + left, n_, false}, width, from, width, g_ + left);
  }

  struct Factor {
    double* at;
    std::size_t stride;
    bool transposed;
  };
  // y -= a @ b, of m rows and n columns
  void subtract(Factor a, Factor b, std::size_t m, std::size_t n, std::size_t inner,
                double* y) const {
    if (n == 0) return;
    if (!lapack.is_loaded()) {
      plain::subtract_product(m, n, inner, a.at, a.stride, a.transposed, b.at, b.stride, y, n_);
      return;
    }
    int rows = static_cast<int>(m), columns = static_cast<int>(n), k = static_cast<int>(inner);
    int lda = static_cast<int>(a.stride), ldb = static_cast<int>(b.stride),
        ldc = static_cast<int>(n_);
    double minus = -1.0, one = 1.0;
    char trans_a = a.transposed ? 'T' : 'N', no = 'N';
    lapack.gemm(&no, &trans_a, &columns, &rows, &k, &minus, b.at, &ldb, a.at, &lda, &one, y, &ldc);
  }
  // b, `rows` rows, becomes the x with x @ a = b.
  void solve_from_right(double* a, std::size_t width, double* b, std::size_t rows) const {
    if (!lapack.is_loaded()) {
      plain::solve_from_right(a, width, b, rows, n_);
      return;
    }
    int m = static_cast<int>(width), n = static_cast<int>(rows), ld = static_cast<int>(n_);
    double one = 1.0;
    char side = 'L', upper = 'U', no = 'N';
    lapack.trsm(&side, &upper, &no, &no, &m, &n, &one, a, &ld, b, &ld);
  }

  const std::size_t n_;
  double *const l_, *const g_, *const symmetric_;
};

[[noreturn]] void fail() { throw std::invalid_argument("no matrices of such sizes"); }

} // namespace

std::size_t MatrixShape::operands() const {
  switch (opcode) {
  case Opcode::Cholesky:
    return triangle_size(rows);
  case Opcode::CholeskyPullback:
    return 2 * triangle_size(rows);
  case Opcode::LuFactors:
    return rows * rows;
  case Opcode::LuSolve:
    return rows * rows + rows + rows * columns;
  case Opcode::TriangularSolve:
    return triangle_size(rows) + rows * columns;
  default: // MatrixProduct
    return (rows + columns) * inner;
  }
}

std::size_t MatrixShape::unread() const { return opcode == Opcode::LuSolve ? rows * rows : 0; }

std::size_t MatrixShape::results() const {
  switch (opcode) {
  case Opcode::Cholesky:
  case Opcode::CholeskyPullback:
    return triangle_size(rows);
  case Opcode::LuFactors:
    return rows * rows + rows;
  default:
    return rows * columns;
  }
}

std::size_t MatrixShape::scratch() const {
  const std::size_t square = opcode == Opcode::MatrixProduct ? 0 : padded(rows * rows);
  const std::size_t more =
      opcode == Opcode::CholeskyPullback ? square + padded(kBlock * kBlock) : 0;
  return kAlignment + padded(operands()) + square + padded(rows * columns) + padded(rows) + more;
}

MatrixShape matrix_shape(Opcode opcode, const double* sizes, std::size_t count) {
  const double most[kMatrixSizes] = {kMostRows, kMostRows, 3.0};
  for (std::size_t k = 0; k < kMatrixSizes; ++k)
    if (!core::is_whole_below(sizes[k], most[k] + 1.0)) fail();
  MatrixShape shape{opcode, static_cast<std::size_t>(sizes[0]), static_cast<std::size_t>(sizes[1]),
                    0, static_cast<unsigned>(sizes[2])};
  if (shape.rows == 0 || shape.columns == 0) fail();
  const bool is_factor = opcode == Opcode::Cholesky || opcode == Opcode::CholeskyPullback ||
                         opcode == Opcode::LuFactors;
  if (is_factor && shape.columns != 1) fail();
  if (opcode == Opcode::MatrixProduct)
    shape.inner = (count - kMatrixSizes) / (shape.rows + shape.columns);
  if (count != kMatrixSizes + shape.operands() + shape.unread()) fail();
  if (opcode == Opcode::MatrixProduct && shape.inner == 0) fail();
  if (shape.inner > static_cast<std::size_t>(kMostRows) || shape.results() > kMostNumbers) fail();
  return shape;
}

MatrixShape matrix_shape(const Program& program, const Instruction& at) {
  double sizes[kMatrixSizes];
  for (std::size_t k = 0; k < kMatrixSizes; ++k) {
    const Instruction& size = program.instructions[program.lists[at.a + k]];
    if (size.opcode != Opcode::Constant) fail();
    sizes[k] = program.constants[size.a];
  }
  return matrix_shape(at.opcode, sizes, at.b);
}

double* operands_in(double* scratch) { return Scratch(scratch).take(0); }

double compute(const MatrixShape& shape, double* scratch, double* results) {
  Scratch memory(scratch);
  double* const operands = memory.take(shape.operands());
  double state = 0.0;
  switch (shape.opcode) {
  case Opcode::Cholesky:
    state = compute_cholesky(shape.rows, operands, results, memory);
    break;
  case Opcode::LuFactors:
    return compute_lu(shape.rows, operands, results, memory);
  case Opcode::LuSolve:
    state = compute_lu_solve(shape, operands, results, memory);
    break;
  case Opcode::TriangularSolve:
    state = compute_triangular(shape, operands, results, memory);
    break;
  case Opcode::CholeskyPullback:
    FactorPullback(shape.rows, operands, memory).run(results);
    break;
  default: // MatrixProduct
    state = compute_product(shape, operands, results, memory);
  }
  if (state != 0.0) std::fill_n(results, shape.results(), kNoResult);
  return state;
}

const char* matrix_failure(Opcode opcode) {
  switch (opcode) {
  case Opcode::Cholesky:
    return "Matrix is not positive definite";
  case Opcode::TriangularSolve:
    return "singular matrix: an element of the diagonal is 0";
  default:
    return "Singular matrix";
  }
}

} // namespace arenagrad::program
