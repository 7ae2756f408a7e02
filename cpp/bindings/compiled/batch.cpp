#include "batch.h"

#include <algorithm>
#include <numeric>

#include "bindings/pytree/numpy.h"
#include "bindings/pytree/reader.h"
#include "program/batch/rows.h"

namespace arenagrad::bindings {
namespace {

using program::Column;
using Kind = TreeNode::Kind;

bool is_axis(PyObject* axes) { return PyLong_Check(axes) && !PyBool_Check(axes); }

// Reads arguments beside their axes.
class BatchReader : public ArgumentReader {
public:
  void add_with(PyObject* object, PyObject* axes) {
    if (axes == Py_None) {
      add(object);
      columns.resize(numbers.size(), {nullptr, 0});
    } else if (is_axis(axes)) {
      add_rows(object, axes);
    } else {
      add_branches(object, axes);
    }
  }

  std::vector<Column> columns; // at is null for what does not vary
  std::vector<py::object> held;
  bool has_rows = false;
  std::size_t rows = 1;

private:
  void add_branches(PyObject* object, PyObject* axes) {
    const bool dict = PyDict_Check(object);
    const bool fits = dict ? PyDict_Check(axes)
                           : (PyList_Check(object) || PyTuple_Check(object)) &&
                                 (PyList_Check(axes) || PyTuple_Check(axes));
    if (!fits || PyObject_Size(object) != PyObject_Size(axes))
      throw py::type_error(
          std::string("in_axes must be ints, None, or tuples, lists and dicts as the arguments "
                      "are, got ") +
          Py_TYPE(axes)->tp_name + " for " + Py_TYPE(object)->tp_name);
    const py::object keys = dict ? keys_of(object) : py::object();
    add_items(builder, object, [&](PyObject* item, std::size_t k) {
      if (dict) {
        const py::object key = py::reinterpret_borrow<py::tuple>(keys)[k];
        PyObject* const axis = PyDict_GetItemWithError(axes, key.ptr());
        if (axis == nullptr && PyErr_Occurred()) throw py::error_already_set();
        if (axis == nullptr)
          throw py::value_error("in_axes has no entry for the key " + std::string(py::repr(key)) +
                                " of an argument");
        add_with(item, axis);
      } else {
        add_with(item, PySequence_Fast_GET_ITEM(axes, k));
      }
    });
  }

  // Something of which every array has an axis of rows.
  void add_rows(PyObject* object, PyObject* axis) {
    if (is_value(object)) {
      has_values = true;
    } else if (is_array(object)) {
      add_array_of_rows(py::reinterpret_borrow<py::array>(object), axis);
    } else if (object == Py_None) {
      builder.leaf(Kind::Static, 0, {}, py::none());
    } else if ((PyList_Check(object) || PyTuple_Check(object)) && !starts_with_array(object)) {
      add_array_of_rows(py::array(py::reinterpret_borrow<py::object>(object)), axis);
    } else if (is_branch(object)) {
      add_items(builder, object, [&](PyObject* item, std::size_t) { add_rows(item, axis); });
    } else {
      throw py::value_error(std::string("in_axes asks for an axis of rows of ") +
                            Py_TYPE(object)->tp_name + ", which has none");
    }
  }

  // Else, if it is lists of numbers, it stands for an array.
  static bool starts_with_array(PyObject* object) {
    while (PyList_Check(object) || PyTuple_Check(object)) {
      if (PySequence_Fast_GET_SIZE(object) == 0) return true;
      object = PySequence_Fast_GET_ITEM(object, 0);
    }
    return is_array(object) || PyDict_Check(object) || is_value(object);
  }

  void add_array_of_rows(py::array array, PyObject* given_axis) {
    const Py_ssize_t given = PyLong_AsSsize_t(given_axis);
    if (given == -1 && PyErr_Occurred()) throw py::error_already_set();
    const py::ssize_t axis = given < 0 ? given + array.ndim() : given;
    if (axis < 0 || axis >= array.ndim())
      throw py::value_error("in_axes asks for axis " + std::to_string(given) + " of " +
                            std::to_string(array.ndim()) + " dimensions");
    if (!holds_doubles(array.ptr(), false)) {
      const char kind = kind_of(array.ptr());
      if (kind != 'f' && kind != 'i' && kind != 'u')
        throw py::type_error("the rows of a batch must be real numbers, got the dtype " +
                             std::string(py::str(array.dtype())));
      array = as_doubles(array.ptr());
    }
    const auto count = static_cast<std::size_t>(array.shape(axis));
    if (has_rows && count != rows)
      throw py::value_error("the arguments of a batch must have equally many rows, got " +
                            std::to_string(rows) + " and " + std::to_string(count));
    if (count == 0) throw py::value_error("a batch must have at least one row, got none");
    has_rows = true;
    rows = count;
    Shape shape, strides;
    for (py::ssize_t k = 0; k < array.ndim(); ++k) {
      if (k == axis) continue;
      shape.push_back(array.shape(k));
      strides.push_back(array.strides(k) / py::ssize_t{sizeof(double)});
    }
    auto* const base = const_cast<double*>(doubles(array.ptr()));
    const std::ptrdiff_t step = array.strides(axis) / py::ssize_t{sizeof(double)};
    const std::size_t size = size_of(shape);
    Shape index(shape.size(), 0);
    double* at = base;
    for (std::size_t k = 0; k < size; ++k) {
      columns.push_back({at, step});
      numbers.push_back(*at);
      for (std::size_t d = shape.size(); d-- > 0;) { // on to the next element
        at += strides[d];
        if (++index[d] < shape[d]) break;
        at -= strides[d] * shape[d];
        index[d] = 0;
      }
    }
    const Kind kind = shape.empty() ? Kind::Number : Kind::Array;
    builder.leaf(kind, size, std::move(shape), {}, true);
    held.push_back(std::move(array));
  }
};

} // namespace

Batch::Batch(const py::tuple& arguments, const py::object& axes, const std::vector<bool>& statics) {
  BatchReader reader;
  const bool each = PyTuple_Check(axes.ptr()) || PyList_Check(axes.ptr());
  if (each && PySequence_Fast_GET_SIZE(axes.ptr()) != PyTuple_GET_SIZE(arguments.ptr()))
    throw py::value_error("in_axes must have an entry for each argument, got " +
                          std::to_string(PySequence_Fast_GET_SIZE(axes.ptr())) + " for " +
                          std::to_string(arguments.size()) + " arguments");
  const std::size_t opened = reader.builder.open(Kind::Tuple, type_of(arguments.ptr()));
  for (std::size_t k = 0; k < arguments.size(); ++k) {
    PyObject* argument = PyTuple_GET_ITEM(arguments.ptr(), static_cast<Py_ssize_t>(k));
    if (k < statics.size() && statics[k])
      reader.add_static(argument);
    else
      reader.add_with(argument, each ? PySequence_Fast_GET_ITEM(axes.ptr(), k) : axes.ptr());
  }
  reader.builder.close(opened);
  tree_ = reader.builder.finish();
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

Batch Batch::taken(const Rows& rows) const {
  Batch taken = *this;
  std::vector<Column> varying;
  const std::vector<std::uint8_t> varies = tree_.varying();
  for (std::size_t k = 0; k < columns_.size(); ++k)
    if (varies[k]) varying.push_back(columns_[k]);
  auto copied = std::make_shared<std::vector<double>>(rows.size() * varying.size());
  program::gather(varying, rows.data(), rows.size(), copied->data());
  double* at = copied->data();
  for (std::size_t k = 0; k < columns_.size(); ++k)
    if (varies[k]) taken.columns_[k] = {at++, static_cast<std::ptrdiff_t>(varying.size())};
  taken.copied_ = std::move(copied);
  taken.held_.clear();
  taken.rows_ = rows.size();
  return taken;
}

bool Batch::overlaps(const std::vector<py::array>& arrays) const {
  const std::vector<std::uint8_t> varies = tree_.varying();
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

Batch Batch::part(std::size_t first, std::size_t last) const {
  if (first > last || last > rows_) throw py::index_error("a batch has no such rows");
  Batch part = *this;
  for (Column& column : part.columns_)
    column.at += static_cast<std::ptrdiff_t>(first) * column.step;
  part.rows_ = last - first;
  return part;
}

py::tuple Batch::numbers() const {
  const std::vector<std::uint8_t> varies = tree_.varying();
  std::vector<Column> varying;
  for (std::size_t k = 0; k < columns_.size(); ++k)
    if (varies[k]) varying.push_back(columns_[k]);
  Rows rows(rows_);
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  py::array_t<double> numbers({rows_, varying.size()});
  program::gather(varying, rows.data(), rows_, numbers.mutable_data());
  const std::vector<double> first = row(0);
  return py::make_tuple(py::array_t<double>(static_cast<py::ssize_t>(first.size()), first.data()),
                        numbers);
}

Batch Batch::of_numbers(const PyTree& tree, const Doubles& first, const Doubles& varying) {
  Batch batch;
  batch.tree_ = tree;
  const std::vector<std::uint8_t> varies = tree.varying();
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
