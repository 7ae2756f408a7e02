#include "batch.h"

#include <algorithm>
#include <numeric>

#include "batch_reader.h"
#include "program/batch/rows.h"

namespace arenagrad::bindings {

using Kind = TreeNode::Kind;

Batch::Batch(const py::tuple& arguments, const py::object& axes, const std::vector<bool>& statics,
             const py::dict& keywords, const py::object& static_names) {
  BatchReader reader;
  const bool each = PyTuple_Check(axes.ptr()) || PyList_Check(axes.ptr());
  if (each && PySequence_Fast_GET_SIZE(axes.ptr()) != PyTuple_GET_SIZE(arguments.ptr()))
    throw py::value_error("in_axes must have an entry for each argument, got " +
                          std::to_string(PySequence_Fast_GET_SIZE(axes.ptr())) + " for " +
                          std::to_string(arguments.size()) + " arguments");
  reader.add_all(
      arguments, statics, keywords, static_names,
      [&](PyObject* argument, std::size_t k) {
        reader.add_with(argument, each ? PySequence_Fast_GET_ITEM(axes.ptr(), k) : axes.ptr());
      },
      [&](PyObject* argument) { reader.add_named(argument); });
  structure_ = reader.builder.finish();
  has_values_ = reader.has_values;
  has_rows_ = reader.has_rows;
  rows_ = reader.rows;
  held_ = std::move(reader.held);
  columns_ = std::move(reader.columns);
  if (has_values_) return;
  auto numbers = std::make_shared<std::vector<double>>(std::move(reader.numbers));
  for (std::size_t k = 0; k < columns_.size(); ++k)
    if (columns_[k].at == nullptr) columns_[k].at = numbers->data() + k;
  numbers_ = std::move(numbers);
}

int Batch::traverse(visitproc visit, void* arg) const {
  for (const py::object& array : held_) Py_VISIT(array.ptr());
  return structure_.traverse(visit, arg);
}

std::vector<program::Column> Batch::varying_columns() const {
  std::vector<Column> varying;
  const std::vector<std::uint8_t> varies = structure_.varying();
  for (std::size_t k = 0; k < columns_.size(); ++k)
    if (varies[k]) varying.push_back(columns_[k]);
  return varying;
}

Batch Batch::copy_of(const Rows& rows) const {
  Batch copy = *this;
  const std::vector<Column> varying = varying_columns();
  const std::vector<std::uint8_t> varies = structure_.varying();
  auto copied = std::make_shared<std::vector<double>>(rows.size() * varying.size());
  program::gather(varying, rows.data(), rows.size(), copied->data());
  double* at = copied->data();
  for (std::size_t k = 0; k < columns_.size(); ++k)
    if (varies[k]) copy.columns_[k] = {at++, static_cast<std::ptrdiff_t>(varying.size())};
  copy.copied_ = std::move(copied);
  copy.held_.clear();
  copy.rows_ = rows.size();
  return copy;
}

bool Batch::overlaps(const std::vector<py::array>& arrays) const {
  const std::vector<std::uint8_t> varies = structure_.varying();
  for (std::size_t k = 0; k < columns_.size(); ++k) {
    if (!varies[k]) continue; // its number has been read
    const Column& column = columns_[k];
    const double* const end = column.at + static_cast<std::ptrdiff_t>(rows_ - 1) * column.step;
    const auto [low, high] = std::minmax<const double*>({column.at, end});
    for (const py::array& array : arrays) {
      const double* const from = doubles(array.ptr());
      if (from <= high && low < from + array.size()) return true;
    }
  }
  return false;
}

Batch Batch::slice(std::size_t first, std::size_t last) const {
  if (first > last || last > rows_) throw py::index_error("a batch has no such rows");
  Batch slice = *this;
  for (Column& column : slice.columns_)
    column.at += static_cast<std::ptrdiff_t>(first) * column.step;
  slice.rows_ = last - first;
  return slice;
}

py::tuple Batch::numbers() const {
  const std::vector<Column> varying = varying_columns();
  Rows rows(rows_);
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  py::array_t<double> numbers({rows_, varying.size()});
  program::gather(varying, rows.data(), rows_, numbers.mutable_data());
  const std::vector<double> first = row(0);
  return py::make_tuple(py::array_t<double>(static_cast<py::ssize_t>(first.size()), first.data()),
                        numbers);
}

Batch Batch::of_numbers(const PyTree& structure, const Doubles& first, const Doubles& varying) {
  Batch batch;
  batch.structure_ = structure;
  const std::vector<std::uint8_t> varies = structure.varying();
  const auto width = static_cast<std::size_t>(std::count(varies.begin(), varies.end(), 1));
  if (varying.ndim() != 2 || static_cast<std::size_t>(varying.shape(1)) != width ||
      static_cast<std::size_t>(first.size()) != varies.size())
    throw py::value_error("the numbers of a batch do not fit the structure of its rows");
  batch.rows_ = static_cast<std::size_t>(varying.shape(0));
  batch.has_rows_ = true;
  auto same = std::make_shared<std::vector<double>>(first.data(), first.data() + first.size());
  auto rows =
      std::make_shared<std::vector<double>>(varying.data(), varying.data() + varying.size());
  double* at = rows->data();
  for (std::size_t k = 0; k < varies.size(); ++k) {
    if (varies[k])
      batch.columns_.push_back({at++, static_cast<std::ptrdiff_t>(width)});
    else
      batch.columns_.push_back({same->data() + k, 0});
  }
  batch.numbers_ = std::move(same);
  batch.copied_ = std::move(rows);
  return batch;
}

std::vector<double> Batch::row(std::size_t row) const {
  std::vector<double> numbers(columns_.size());
  program::gather(columns_, &row, 1, numbers.data());
  return numbers;
}

} // namespace arenagrad::bindings
