// The arguments of a batch: some have the same numbers in all rows, others an axis of rows. Arrays
// of float64 are read in place. Needs the GIL but for reading columns().
#pragma once

#include "bindings/pytree/pytree.h"
#include "program/batch/batch_plan.h"

namespace arenagrad::bindings {

class Batch {
public:
  using Rows = std::vector<std::size_t>;
  using Doubles = py::array_t<double, py::array::c_style | py::array::forcecast>;

  // `axes` says which axis of each argument has the rows: an int, None for none, or a tuple, list
  // or dict of such, of the structure of the arguments. Throws TypeError and ValueError.
  Batch(const py::tuple& arguments, const py::object& axes, const std::vector<bool>& statics);
  // These rows alone, copied.
  Batch taken(const Rows& rows) const;
  // Rows [first, last), where they are. Throws IndexError.
  // Whether any of these contiguous arrays of doubles has memory that the rows are read from.
  bool overlaps(const std::vector<py::array>& arrays) const;
  Batch part(std::size_t first, std::size_t last) const;

  // The numbers of the first row, and of all rows those that vary; and a Batch of such, which
  // throws ValueError if they do not fit the tree of a row.
  py::tuple numbers() const;
  static Batch of_numbers(const PyTree& tree, const Doubles& first, const Doubles& varying);

  const PyTree& tree() const { return tree_; } // of one row
  bool has_values() const { return has_values_; }
  bool has_rows() const { return has_rows_; }
  std::size_t rows() const { return rows_; }
  const std::vector<program::Column>& columns() const { return columns_; } // one a number
  std::vector<double> row(std::size_t row) const;

private:
  Batch() = default;
  PyTree tree_;
  bool has_values_ = false, has_rows_ = false;
  std::size_t rows_ = 1;
  std::vector<program::Column> columns_;
  std::shared_ptr<const std::vector<double>> numbers_, copied_; // what does not vary; taken rows
  std::vector<py::object> held_;                                // arrays that columns point into
};

} // namespace arenagrad::bindings
