#include "batch_reader.h"

#include <utility>

namespace arenagrad::bindings {

using program::Column;
using Kind = TreeNode::Kind;

namespace {

// The axes for a key of a dict, borrowed.
PyObject* axes_of_key(PyObject* axes, const py::object& key) {
  PyObject* const found = PyDict_GetItemWithError(axes, key.ptr());
  if (found == nullptr && PyErr_Occurred()) throw py::error_already_set();
  if (found == nullptr)
    throw py::value_error("in_axes has no entry for the key " + std::string(py::repr(key)) +
                          " of an argument");
  return found;
}

// Whether lists and tuples hold something that has axes of its own; else, being lists of numbers,
// they stand for one array.
bool starts_with_array(PyObject* object) {
  while (PyList_Check(object) || PyTuple_Check(object)) {
    if (PySequence_Fast_GET_SIZE(object) == 0) return true;
    object = PySequence_Fast_GET_ITEM(object, 0);
  }
  return is_array(object) || PyDict_Check(object) || is_value(object) || is_user_object(object);
}

py::ssize_t checked_axis(const py::array& array, PyObject* axis) {
  const Py_ssize_t given = PyLong_AsSsize_t(axis);
  if (given == -1 && PyErr_Occurred()) throw py::error_already_set();
  const py::ssize_t found = given < 0 ? given + array.ndim() : given;
  if (found < 0 || found >= array.ndim())
    throw py::value_error("in_axes asks for axis " + std::to_string(given) + " of " +
                          std::to_string(array.ndim()) + " dimensions");
  return found;
}

[[noreturn]] void refuse_rows(PyObject* object) {
  throw py::value_error(std::string("in_axes asks for an axis of rows of ") +
                        Py_TYPE(object)->tp_name + ", which has none");
}

py::array with_doubles(py::array array) {
  if (holds_doubles(array.ptr(), false)) return array;
  const char kind = kind_of(array.ptr());
  if (kind != 'f' && kind != 'i' && kind != 'u')
    throw py::type_error("the rows of a batch must be real numbers, got the dtype " +
                         std::string(py::str(array.dtype())));
  return as_doubles(array.ptr());
}

} // namespace

void BatchReader::add_with(PyObject* object, PyObject* axes) {
  if (axes == Py_None)
    add_for_all_rows(object);
  else if (is_axis(axes))
    add_rows(object, axes);
  else if (!is_value(object) && !is_enum(object) && is_user_object(object))
    add_children_with(object, axes);
  else
    add_items_with(object, axes);
}

void BatchReader::add_for_all_rows(PyObject* object) {
  add(object);
  columns.resize(numbers.size(), {nullptr, 0});
}

void BatchReader::add_named(PyObject* argument) {
  const bool has_rows = !is_enum(argument) && !is_value(argument) &&
                        (is_array(argument) || has_items(argument) || is_user_object(argument));
  has_rows ? add_rows(argument, py::int_(0).ptr()) : add_for_all_rows(argument);
}

void BatchReader::add_children_with(PyObject* object, PyObject* axes) {
  const UserObject parts = take_apart(object);
  TreeNode node;
  node.kind = parts.kind;
  node.extra = parts.extra;
  node.children = parts.children.size();
  std::optional<py::tuple> each;
  if (PyTuple_CheckExact(axes))
    each = py::reinterpret_borrow<py::tuple>(axes);
  else if (Py_TYPE(axes) == Py_TYPE(object))
    each = take_apart(axes).children;
  if (!each || each->size() != node.children)
    throw py::type_error(std::string("in_axes for ") + Py_TYPE(object)->tp_name +
                         " must be an int, None, or such an object that holds axes, got " +
                         Py_TYPE(axes)->tp_name);
  add_children(builder, parts, [&](PyObject* child, std::size_t k, bool is_static) {
    PyObject* const axis = PyTuple_GET_ITEM(each->ptr(), static_cast<Py_ssize_t>(k));
    if (is_static || is_no_number(child))
      add_static(child);
    else if (is_axis(axis))
      add_rows(child, axis, true);
    else
      add_with(child, axis);
  });
}

void BatchReader::add_items_with(PyObject* object, PyObject* axes) {
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
    add_with(item, dict ? axes_of_key(axes, py::reinterpret_borrow<py::tuple>(keys)[k])
                        : PySequence_Fast_GET_ITEM(axes, k));
  });
}

void BatchReader::add_rows(PyObject* object, PyObject* axis, bool in_user_object) {
  if (is_value(object)) {
    has_values = true;
  } else if (!is_enum(object) && is_user_object(object)) {
    if (const std::optional<TableRows> table = rows_of_table(object, axis))
      return add_rows_of_table(*table, axis);
    add_children(builder, take_apart(object), [&](PyObject* child, std::size_t, bool is_static) {
      is_static ? add_static(child) : add_rows(child, axis, true);
    });
  } else if (is_array(object)) {
    add_array_of_rows(py::reinterpret_borrow<py::array>(object), axis);
  } else if (object == Py_None) {
    builder.leaf(Kind::Static, 0, {}, py::none());
  } else if (in_user_object && is_no_number(object)) {
    add_static(object);
  } else if (is_enum(object)) {
    refuse_rows(object);
  } else if (is_of_own_class(object)) {
    add(object); // which refuses it
  } else if ((PyList_Check(object) || PyTuple_Check(object)) && !starts_with_array(object)) {
    need_numbers_in_rows(object);
    add_array_of_rows(py::array(py::reinterpret_borrow<py::object>(object)), axis);
  } else if (has_items(object)) {
    add_items(builder, object,
              [&](PyObject* item, std::size_t) { add_rows(item, axis, in_user_object); });
  } else {
    refuse_rows(object);
  }
}

void BatchReader::add_rows_of_table(const TableRows& table, PyObject* axis) {
  if (table.like.is_none()) return add_array_of_rows(table.array, axis);
  const std::size_t opened = builder.open(Kind::Registered, take_apart(table.like.ptr()).extra);
  add_array_of_rows(table.array, axis);
  builder.close(opened);
}

// NumPy would take members of Enums and numbers of classes of one's own for plain numbers.
void BatchReader::need_numbers_in_rows(PyObject* object) {
  const auto items = py::reinterpret_steal<py::object>(PySequence_List(object));
  if (!items) throw py::error_already_set();
  for (Py_ssize_t k = 0; k < PyList_GET_SIZE(items.ptr()); ++k) {
    PyObject* const item = PyList_GET_ITEM(items.ptr(), k);
    if (PyFloat_CheckExact(item) || PyLong_CheckExact(item)) continue;
    if (is_enum(item))
      throw py::type_error(std::string("the rows of a batch must be real numbers, got ") +
                           Py_TYPE(item)->tp_name + ", which is an Enum: give it for all rows");
    const bool odd_array = py::isinstance<py::array>(py::handle(item)) && !is_array(item);
    if (is_of_own_class(item) || odd_array) add(item); // which refuses it
    if (has_items(item)) need_numbers_in_rows(item);
  }
}

void BatchReader::count_rows(std::size_t count) {
  if (has_rows && count != rows)
    throw py::value_error("the arguments of a batch must have equally many rows, got " +
                          std::to_string(rows) + " and " + std::to_string(count));
  if (count == 0) throw py::value_error("a batch must have at least one row, got none");
  has_rows = true;
  rows = count;
}

void BatchReader::add_array_of_rows(py::array array, PyObject* given_axis) {
  const py::ssize_t axis = checked_axis(array, given_axis);
  array = with_doubles(std::move(array));
  count_rows(static_cast<std::size_t>(array.shape(axis)));
  add_columns(array, axis);
  held.push_back(std::move(array));
}

// A column for each element of a row, in the order of an array's elements.
void BatchReader::add_columns(const py::array& array, py::ssize_t axis) {
  Shape shape, strides;
  for (py::ssize_t k = 0; k < array.ndim(); ++k) {
    if (k == axis) continue;
    shape.push_back(array.shape(k));
    strides.push_back(array.strides(k) / py::ssize_t{sizeof(double)});
  }
  const std::ptrdiff_t step = array.strides(axis) / py::ssize_t{sizeof(double)};
  const std::size_t size = size_of(shape);
  Shape index(shape.size(), 0);
  double* at = const_cast<double*>(doubles(array.ptr()));
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
}

} // namespace arenagrad::bindings
