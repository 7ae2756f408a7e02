#include "rows.h"

namespace arenagrad::program {

static double& number(const Column& column, std::size_t row) {
  return column.at[static_cast<std::ptrdiff_t>(row) * column.step];
}

void gather(const std::vector<Column>& columns, const std::size_t* rows, std::size_t count,
            double* out) {
  for (std::size_t i = 0; i < count; ++i)
    for (const Column& column : columns) *out++ = number(column, rows[i]);
}

void scatter(const std::vector<Column>& columns, const std::size_t* rows, std::size_t count,
             const double* in) {
  for (std::size_t i = 0; i < count; ++i)
    for (const Column& column : columns) number(column, rows[i]) = *in++;
}

void add_to(double* y, const double* a, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) y[i] += a[i];
}

void divide(double* y, double by, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) y[i] /= by;
}

} // namespace arenagrad::program
