// Kernels that add: strict ones from left to right, the others to within what order changes.
#include <cmath>
#include <doctest/doctest.h>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "program/kernels/kernels.h"

using namespace arenagrad::program;
using Numbers = std::vector<double>;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

std::vector<const Kernels*> sets(bool strict) {
  std::vector<const Kernels*> found;
  for (const char* name : {"portable", "avx2", "avx512"})
    if (const Kernels* set = kernels_named(name, strict)) found.push_back(set);
  return found;
}

} // namespace

TEST_CASE("sums over operands and rows") {
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> within(-2.0, 2.0);
  for (const bool strict : {false, true})
    for (const Kernels* set : sets(strict))
      for (const std::size_t n : {0, 1, 2, 3, 5, 7, 8, 13, 31, 32, 40, 64, 77, 150}) {
        CAPTURE(set->name);
        CAPTURE(n);
        const double tolerance = strict ? 0.0 : 1e-13;
        const auto near = [&](double x, double y) { return std::fabs(x - y) <= tolerance; };
        for (const std::size_t count : {1, 2, 3, 4, 9, 16, 33}) {
          std::vector<Numbers> numbers(count, Numbers(n + 1));
          std::vector<Strided> operands;
          for (Numbers& x : numbers) {
            for (double& of : x) of = within(random);
            operands.push_back({x.data(), random() % 3 == 0 ? 0u : 1u});
          }
          Numbers y(n + 1, 42.0), z(n + 1, 42.0), x(count), scratch(3 * count);
          set->sum(y.data(), operands.data(), count, n);
          if (count > 1) set->dot(z.data(), operands.data(), count, n);
          bool good = y[n] == 42.0 && z[n] == 42.0;
          for (std::size_t i = 0; i < n; ++i) {
            for (std::size_t k = 0; k < count; ++k) x[k] = operands[k].at[i * operands[k].step];
            double sum = x[0], dot = count % 2 != 0 ? x[0] : 0.0;
            for (std::size_t k = 1; k < count; ++k) sum += x[k];
            const std::size_t first = count % 2, terms = count / 2;
            for (std::size_t k = first; k < first + terms; ++k) dot += x[k] * x[k + terms];
            good = good && near(y[i], sum) && (count == 1 || near(z[i], dot));
          }
          CHECK(good);
        }
        Numbers a(n), b(n);
        for (std::size_t i = 0; i < n; ++i) a[i] = within(random), b[i] = within(random);
        double sum = 0.0, inner = 0.0;
        for (std::size_t i = 0; i < n; ++i) sum += a[i], inner += a[i] * b[i];
        CHECK(near(set->total(a.data(), n), sum));
        CHECK(near(set->inner(a.data(), b.data(), n), inner));
        CHECK(set->finite(a.data(), n));
        for (std::size_t i = 0; i < n; ++i)
          for (const double bad : {kInf, -kInf, std::nan("")}) {
            const double was = std::exchange(a[i], bad);
            CHECK(!set->finite(a.data(), n));
            a[i] = was;
          }
      }
}

TEST_CASE("matrices times vectors are right in any layout") {
  std::mt19937_64 random(6);
  std::uniform_real_distribution<double> within(-2.0, 2.0);
  for (const bool strict : {false, true})
    for (const Kernels* set : sets(strict))
      for (const std::size_t rows : {0, 1, 3, 4, 9, 16, 70})
        for (const std::size_t columns : {0, 1, 2, 7, 8, 20, 33})
          for (const int layout : {0, 1, 2})
            for (const std::size_t x_step : {0, 1, 3})
              for (const bool started : {false, true}) {
                const std::size_t spread = layout == 2 ? 2 : 1;
                const std::size_t row_step = layout == 1 ? 1 : columns * spread + 1;
                const std::size_t column_step = layout == 1 ? rows + 1 : spread;
                Numbers m((rows + 1) * (columns + 1) * 2 + 8), x(columns * x_step + 1), y(rows + 1),
                    start(rows), expected(rows), product(rows * columns + 1);
                for (Numbers* of : {&m, &x, &start})
                  for (double& at : *of) at = within(random);
                y[rows] = product[rows * columns] = 42.0;
                set->matrix_vector(y.data(), m.data(), row_step, column_step, x.data(), x_step,
                                   rows, columns, started ? start.data() : nullptr);
                set->outer(product.data(), m.data(), m.data() + rows, rows, columns);
                bool good = y[rows] == 42.0 && product[rows * columns] == 42.0;
                for (std::size_t r = 0; r < rows; ++r) {
                  double sum = started ? start[r] : 0.0;
                  for (std::size_t k = 0; k < columns; ++k) {
                    sum += m[r * row_step + k * column_step] * x[k * x_step];
                    good = good && product[r * columns + k] == m[r] * m[rows + k];
                  }
                  good = good && std::fabs(y[r] - sum) <= (strict ? 0.0 : 1e-13);
                }
                CAPTURE(set->name);
                CAPTURE(rows);
                CAPTURE(columns);
                CAPTURE(layout);
                CAPTURE(x_step);
                CHECK(good);
              }
}
