// Rows of a batch picked out, put back and added up. Thread-safe for other memory; never allocates.
#pragma once

#include "batch_plan.h"

namespace arenagrad::program {

// Writes row rows[i] of all columns to out[i * columns.size()] and on.
void gather(const std::vector<Column>& columns, const std::size_t* rows, std::size_t count,
            double* out);
// Writes column k of row i, at in[i * columns.size() + k], to row rows[i] of columns[k].
void scatter(const std::vector<Column>& columns, const std::size_t* rows, std::size_t count,
             const double* in);
// y[i] += a[i], and y[i] /= by
void add_to(double* y, const double* a, std::size_t count);
void divide(double* y, double by, std::size_t count);

} // namespace arenagrad::program
