// Reads the arguments of a batch beside their in_axes. Needs the GIL.
#pragma once

#include "bindings/pytree/argument_reader.h"
#include "program/batch/batch_plan.h"

namespace arenagrad::bindings {

// After reading there is a column for each number of a row. Arrays of float64 are not copied: their
// columns point into them, and `held` keeps them.
class BatchReader : public ArgumentReader {
public:
  // Adds an argument; `axes` is an int, None, or a structure of such as the argument's own. Throws
  // TypeError and ValueError.
  void add_with(PyObject* object, PyObject* axes);

  std::vector<program::Column> columns; // `at` is null for what does not vary
  std::vector<py::object> held;
  bool has_rows = false;
  std::size_t rows = 1;

private:
  void add_items_with(PyObject* object, PyObject* axes);
  // Adds something of which every array has an axis of rows.
  void add_rows(PyObject* object, PyObject* axis);
  void need_numbers_in_rows(PyObject* object);
  void add_array_of_rows(py::array array, PyObject* given_axis);
  void add_columns(const py::array& array, py::ssize_t axis);
  void count_rows(std::size_t count);
};

} // namespace arenagrad::bindings
