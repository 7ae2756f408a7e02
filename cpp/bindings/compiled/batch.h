// The arguments of a batch: some have the same numbers in all rows, others an axis of rows. Arrays
// of float64 are read in place. Needs the GIL but for reading columns().
#pragma once

#include <memory>

#include "bindings/pytree/pytree.h"
#include "program/batch/batch_plan.h"

namespace arenagrad::bindings {

class Batch {
public:
  using Column = program::Column;
  using Rows = std::vector<std::size_t>;
  using Doubles = py::array_t<double, py::array::c_style | py::array::forcecast>;

  // `axes` says which axis of each argument has the rows: an int, None for none, or a tuple, list
  // or dict of such, of the structure of the arguments. Those by name have their rows first, save
  // single numbers and what is no number. Throws TypeError and ValueError.
  Batch(const py::tuple& arguments, const py::object& axes, const std::vector<bool>& statics,
        const py::dict& keywords, const py::object& static_names);
  // A batch of such numbers() as a batch of this structure gives; throws ValueError for others.
  static Batch of_numbers(const PyTree& structure, const Doubles& first, const Doubles& varying);

  // These rows alone, copied.
  Batch copy_of(const Rows& rows) const;
  // Rows [first, last), where they are. Throws IndexError.
  Batch slice(std::size_t first, std::size_t last) const;
  // The numbers of the first row, and of all rows those that vary.
  py::tuple numbers() const;
  std::vector<double> row(std::size_t row) const;
  // Whether any of these contiguous arrays of doubles has memory that the rows are read from.
  bool overlaps(const std::vector<py::array>& arrays) const;

  const PyTree& structure() const { return structure_; } // of one row
  bool has_values() const { return has_values_; }        // then the rest means nothing
  bool has_rows() const { return has_rows_; }
  std::size_t rows() const { return rows_; }
  const std::vector<program::Column>& columns() const { return columns_; } // one a number

  int traverse(visitproc visit, void* arg) const;

private:
  Batch() = default;
  std::vector<Column> varying_columns() const;

  PyTree structure_;
  bool has_values_ = false, has_rows_ = false;
  std::size_t rows_ = 1;
  std::vector<Column> columns_;
  // What columns point into: numbers that do not vary, rows that were copied, and arrays.
  std::shared_ptr<const std::vector<double>> numbers_, copied_;
  std::vector<py::object> held_;
};

} // namespace arenagrad::bindings
