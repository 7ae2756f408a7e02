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
  // Adds an argument given by name: arrays, lists and structures have their rows first, everything
  // else is the same in all rows.
  void add_named(PyObject* argument);

  std::vector<program::Column> columns; // `at` is null for what does not vary
  std::vector<py::object> held;
  bool has_rows = false;
  std::size_t rows = 1;

private:
  void add_items_with(PyObject* object, PyObject* axes);
  // Adds an object of the user's; `axes` is such an object, or a tuple with an item for each child.
  void add_children_with(PyObject* object, PyObject* axes);
  // Adds something with the same numbers in all rows.
  void add_for_all_rows(PyObject* object);
  // Adds something of which every array has an axis of rows.
  // `in_user_object`: what is no number is the same in all rows.
  void add_rows(PyObject* object, PyObject* axis, bool in_user_object = false);
  void add_rows_of_table(const TableRows& table, PyObject* axis);
  void need_numbers_in_rows(PyObject* object);
  void add_array_of_rows(py::array array, PyObject* given_axis);
  void add_columns(const py::array& array, py::ssize_t axis);
  void count_rows(std::size_t count);
};

} // namespace arenagrad::bindings
