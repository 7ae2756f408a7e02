// Memory that results are written into: new arrays, or those of a caller's `out`. Needs the GIL.
#pragma once

#include "pytree.h"

namespace arenagrad::bindings {

// Contiguous arrays of float64 for all numbers of a structure, in order. Each array leaf and each
// number that varies has one of its own; numbers that follow one another share one.
struct OutputBuffers {
  std::vector<py::array> arrays;
  std::vector<bool> has_rows; // for each array whether its first axis is that of a batch's rows
};

// Zeros.
OutputBuffers new_output_buffers(const PyTree& results);
// In the memory of `out`, in pieces where that has several arrays for numbers that would share one.
// Throws TypeError or ValueError as check_out does, or if arrays in `out` share memory.
OutputBuffers output_buffers_in(const PyTree& results, const py::object& out);

// Throws TypeError or ValueError unless `out` has an array of float64, contiguous, writable and of
// the right shape, wherever `results` has an array, a list of equal parts, or numbers.
void check_out(const PyTree& results, const py::object& out);
// Requires check_out(results, out).
void write_to_out(const PyTree& results, const py::object& out, const double* numbers);

} // namespace arenagrad::bindings
