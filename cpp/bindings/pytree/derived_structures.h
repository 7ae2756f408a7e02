// Structures made of other structures: those of gradients, Jacobians and batches. Needs the GIL.
#pragma once

#include "pytree.h"

namespace arenagrad::bindings {

PyTree tuple_of(const std::vector<PyTree>& parts);
PyTree single_array(const Shape& shape);
PyTree single_static(const py::object& object);

// The structure of a gradient by `arguments`: lists for Modules, None for static objects.
PyTree gradient_of(const PyTree& arguments);
// The structure of results summed over the rows of a batch: the same, with static objects kept.
PyTree summed(const PyTree& results);
// The structure of all derivatives of `results` by `arguments`: that of the results, with a
// gradient at each leaf.
PyTree jacobian_of(const PyTree& results, const PyTree& arguments);
// For each entry of the matrix of derivatives, row by row: its position among the numbers of
// jacobian_of(results, arguments).
std::vector<std::size_t> jacobian_positions(const PyTree& results, const PyTree& arguments);
// The structure of a batch of such results: an axis of `rows` before the others for each leaf that
// varies, or for all.
PyTree stacked(const PyTree& results, py::ssize_t rows, bool all);

// Of results of a batch the axis of the rows in each array, in order, as `axes` says: an int, or a
// tuple, list, dict or object of the class of a result with such. Throws TypeError and ValueError.
std::vector<py::ssize_t> row_axes(const PyTree& stacked, const py::object& axes);
// The structure of such results once their rows are there.
PyTree with_rows_at(const PyTree& stacked, const std::vector<py::ssize_t>& axes);

} // namespace arenagrad::bindings
