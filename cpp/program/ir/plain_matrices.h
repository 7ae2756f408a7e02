// What matrix.h computes where there is no LAPACK: the plain loops of a textbook, on matrices of n
// rows that stand row by row, but for those of lu(), which stand column by column.
//
// Pure and thread-safe. Cost: n**3 / 3 multiplications and more, one by one.
// Source: Golub and Van Loan, Matrix Computations, 4th edition, chapters 3 and 4.
#pragma once

#include <cmath>
#include <cstddef>
#include <utility>

namespace arenagrad::program::plain {

// The lower triangle of a becomes its Cholesky factor; returns whether it has one.
inline bool cholesky(double* a, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j <= i; ++j) {
      double x = a[i * n + j];
      for (std::size_t k = 0; k < j; ++k) x -= a[i * n + k] * a[j * n + k];
      if (i == j && !(x > 0.0)) return false;
      a[i * n + j] = i == j ? std::sqrt(x) : x / a[j * n + j];
    }
  return true;
}

// a, column by column, becomes its factors, with the first of the largest as the pivot. Returns
// whether no pivot is 0.
inline bool lu(double* a, std::size_t n, int* pivots) {
  bool regular = true;
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t p = k;
    for (std::size_t i = k + 1; i < n; ++i)
      if (std::fabs(a[k * n + i]) > std::fabs(a[k * n + p])) p = i;
    pivots[k] = static_cast<int>(p + 1);
    if (a[k * n + p] == 0.0) {
      regular = false;
      continue;
    }
    for (std::size_t j = 0; p != k && j < n; ++j) std::swap(a[j * n + k], a[j * n + p]);
    for (std::size_t i = k + 1; i < n; ++i) a[k * n + i] /= a[k * n + k];
    for (std::size_t j = k + 1; j < n; ++j)
      for (std::size_t i = k + 1; i < n; ++i) a[j * n + i] -= a[k * n + i] * a[j * n + k];
  }
  return regular;
}

// Solves for one right side, in place, with the triangle at(i, j), i >= j, or its transpose.
template <class At> void substitute(std::size_t n, At&& at, bool unit_diagonal, bool transposed,
                                    double* b, std::size_t step) {
  for (std::size_t turn = 0; turn < n; ++turn) {
    const std::size_t i = transposed ? n - 1 - turn : turn;
    double x = b[i * step];
    for (std::size_t j = transposed ? i + 1 : 0; j < (transposed ? n : i); ++j)
      x -= (transposed ? at(j, i) : at(i, j)) * b[j * step];
    b[i * step] = unit_diagonal ? x : x / at(i, i);
  }
}

// a: factors and pivots of lu(); b: `columns` right sides of n numbers each.
inline void lu_solve(const double* a, const int* pivots, std::size_t n, double* b,
                     std::size_t columns, bool transposed) {
  const auto lower = [=](std::size_t i, std::size_t j) { return a[j * n + i]; };
  const auto upper = [=](std::size_t i, std::size_t j) { return a[i * n + j]; }; // transposed
  for (std::size_t c = 0; c < columns; ++c, b += n) {
    const auto swap = [&](std::size_t i) {
      std::swap(b[i], b[static_cast<std::size_t>(pivots[i] - 1)]);
    };
    if (!transposed)
      for (std::size_t i = 0; i < n; ++i) swap(i);
    if (transposed) substitute(n, upper, false, false, b, 1);
    substitute(n, lower, true, transposed, b, 1);
    if (!transposed) substitute(n, upper, false, true, b, 1);
    if (transposed)
      for (std::size_t i = n; i-- > 0;) swap(i);
  }
}

// a: a lower triangle in rows of n; b: n rows of k, or k rows of n if x @ a = b is asked for.
inline void solve_triangular(const double* a, std::size_t n, double* b, std::size_t k,
                             bool transposed, bool from_right) {
  const auto at = [=](std::size_t i, std::size_t j) { return a[i * n + j]; };
  for (std::size_t c = 0; c < k; ++c)
    substitute(n, at, false, transposed != from_right, from_right ? b + c * n : b + c,
               from_right ? 1 : k);
}

// c, m rows of n, is a @ b, of which either may stand transposed.
inline void multiply(std::size_t m, std::size_t n, std::size_t inner, const double* a,
                     bool a_transposed, const double* b, bool b_transposed, double* c) {
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      double x = 0.0;
      for (std::size_t k = 0; k < inner; ++k)
        x += (a_transposed ? a[k * m + i] : a[i * inner + k]) *
             (b_transposed ? b[j * inner + k] : b[k * n + j]);
      c[i * n + j] = x;
    }
}

// y -= a @ b, of m rows and n columns, in rows of the strides given; a may stand transposed.
inline void subtract_product(std::size_t m, std::size_t n, std::size_t inner, const double* a,
                             std::size_t a_stride, bool a_transposed, const double* b,
                             std::size_t b_stride, double* y, std::size_t y_stride) {
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t k = 0; k < inner; ++k) {
      const double factor = a_transposed ? a[k * a_stride + i] : a[i * a_stride + k];
      for (std::size_t j = 0; j < n; ++j) y[i * y_stride + j] -= factor * b[k * b_stride + j];
    }
}

// b, `rows` rows of n, becomes the x with x @ a = b for a lower triangle a; both in rows of
// `stride`.
inline void solve_from_right(const double* a, std::size_t n, double* b, std::size_t rows,
                             std::size_t stride) {
  const auto at = [=](std::size_t i, std::size_t j) { return a[i * stride + j]; };
  for (std::size_t i = 0; i < rows; ++i) substitute(n, at, false, true, b + i * stride, 1);
}

// The adjoint g of a Cholesky factor l becomes that of its matrix; lower triangles, of n rows of
// `stride`. From the last column to the first, as the factor's columns use those before them.
inline void cholesky_pullback(const double* l, double* g, std::size_t n, std::size_t stride) {
  for (std::size_t c = n; c-- > 0;) {
    const double *const row = l + c * stride, d = row[c];
    double* const to = g + c * stride;
    double by_column = 0.0;
    for (std::size_t i = c + 1; i < n; ++i) {
      by_column += l[i * stride + c] * g[i * stride + c];
      g[i * stride + c] /= d;
    }
    const double of_diagonal = (to[c] - by_column / d) / d;
    for (std::size_t j = 0; j < c; ++j) to[j] -= of_diagonal * row[j];
    for (std::size_t i = c + 1; i < n; ++i) {
      const double *const other = l + i * stride, factor = g[i * stride + c];
      double* const to_other = g + i * stride;
      for (std::size_t j = 0; j < c; ++j) {
        to[j] -= factor * other[j];
        to_other[j] -= factor * row[j];
      }
    }
    to[c] = 0.5 * of_diagonal;
  }
}

} // namespace arenagrad::program::plain
