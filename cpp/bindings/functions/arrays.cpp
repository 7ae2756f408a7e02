// Values and NumPy arrays: leaves made from an array, and the primals and adjoints of nested lists
// and arrays of Values read or written in one pass.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <optional>
#include <utility>

#include "arguments.h"
#include "bindings/pytree/numpy.h"
#include "bindings/value/record.h"
#include "documentation.h"

namespace arenagrad::bindings {
namespace {

using core::NodeId;

constexpr std::size_t kDeepest = 64; // NumPy's own limit of dimensions

// Nested lists, tuples and arrays as one flat list with a shape. References are held, so that what
// reading a number may run cannot take an item away.
class Nested {
public:
  explicit Nested(const py::object& root) { read(root, 0); }

  const Shape& shape() const { return shape_; }
  const std::vector<py::object>& items() const { return items_; }

private:
  void read(const py::object& object, std::size_t depth) {
    if (is_value(object.ptr())) { // nearly all are
      end(depth);
      items_.push_back(object);
    } else if (PyList_Check(object.ptr()) || PyTuple_Check(object.ptr())) {
      const auto items = py::reinterpret_steal<py::tuple>(PySequence_Tuple(object.ptr()));
      if (!items) throw py::error_already_set();
      meet(depth, static_cast<py::ssize_t>(items.size()));
      for (const py::handle item : items) read(py::reinterpret_borrow<py::object>(item), depth + 1);
    } else if (is_array_like(object.ptr())) {
      const py::array array(object);
      for (py::ssize_t k = 0; k < array.ndim(); ++k)
        meet(depth + static_cast<std::size_t>(k), array.shape(k));
      end(depth + static_cast<std::size_t>(array.ndim()));
      for (const py::handle item : elements_of(array.ptr()))
        items_.push_back(py::reinterpret_borrow<py::object>(item));
    } else {
      end(depth);
      items_.push_back(object);
    }
  }

  // A list or an axis of `count` at this depth: all others there must be as long.
  void meet(std::size_t depth, py::ssize_t count) {
    if (depth == kDeepest) throw py::value_error("lists are nested more than 64 deep");
    if (depth == shape_.size() && !depth_)
      shape_.push_back(count);
    else if (depth >= shape_.size() || (depth_ && depth >= *depth_))
      ragged();
    else if (shape_[depth] != count)
      throw py::value_error("lists at one depth must be equally long, got " +
                            std::to_string(shape_[depth]) + " and " + std::to_string(count));
  }

  // An item at this depth: all items must be as deep.
  void end(std::size_t depth) {
    if (depth_ && *depth_ != depth) ragged();
    if (depth < shape_.size()) ragged();
    depth_ = depth;
  }

  [[noreturn]] static void ragged() {
    throw py::value_error("lists and numbers must not be mixed at one depth");
  }

  Shape shape_;
  std::optional<std::size_t> depth_; // of the items, once there is one
  std::vector<py::object> items_;
};

double primal(PyObject* item) {
  if (!is_value(item)) return need_number(item, "an element");
  warn_if_frozen(item, "reading data");
  return arena().data(node_of(item));
}

double adjoint(PyObject* item) {
  if (is_value(item)) {
    warn_if_frozen(item, "reading grad");
    return arena().gradient(node_of(item));
  }
  need_number(item, "an element");
  return {};
}

template <double (*read)(PyObject*)> py::array_t<double> read_numbers(const py::object& nested) {
  const Nested flat(nested);
  py::array_t<double> out(flat.shape());
  double* numbers = out.mutable_data();
  for (const py::object& item : flat.items()) *numbers++ = read(item.ptr());
  return out;
}

py::object values(const py::object& numbers) {
  const Nested flat(numbers);
  std::vector<double> primals;
  for (const py::object& item : flat.items())
    primals.push_back(need_number(item.ptr(), "an element"));
  py::array out = value_array(flat.shape());
  auto** element = static_cast<PyObject**>(out.mutable_data());
  for (const double number : primals) {
    PyObject* made = recorded(1, [&](core::Arena& g) { return g.push_leaf(number); });
    if (made == nullptr) throw py::error_already_set();
    Py_XSETREF(*element, made);
    ++element;
  }
  return out;
}

// Whether the numbers are an array of doubles that can be read as they lie there.
bool are_plain(const py::object& numbers) {
  // Of this very type: a subclass, such as a masked array, may read its numbers in another way.
  return Py_IS_TYPE(numbers.ptr(), py::detail::npy_api::get().PyArray_Type_) &&
         holds_doubles(numbers.ptr(), true);
}

// The numbers that assign() writes, with their shape.
struct ArrayNumbers {
  explicit ArrayNumbers(const py::object& object) {
    if (are_plain(object)) {
      const py::array array(object);
      const double* first = doubles(object.ptr());
      shape.assign(array.shape(), array.shape() + array.ndim());
      all.assign(first, first + array.size());
      return;
    }
    const Nested flat(object);
    shape = flat.shape();
    for (const py::object& item : flat.items()) all.push_back(primal(item.ptr()));
  }

  Shape shape;
  std::vector<double> all;
};

// Whether numbers are for the grad of Values and not for their data.
bool is_for_grad(PyObject* to) {
  if (to == nullptr) return false;
  for (const char* known : {"data", "grad"})
    if (PyUnicode_Check(to) && PyUnicode_CompareWithASCIIString(to, known) == 0)
      return *known == 'g';
  throw py::value_error("assign() writes to 'data' or 'grad', got to=" + std::string(py::repr(to)));
}

// Into Values, of which there are as many as numbers. None is written if one must not be.
template <class Items> void write(const Items& values, const double* numbers, bool for_grad) {
  if (for_grad) {
    for (const py::handle value : values) {
      const NodeId node = node_of(value.ptr());
      arena().gradients(std::size_t{node} + 1)[node] = *numbers++;
    }
    return;
  }
  for (const py::handle value : values) refuse_writing(value.ptr());
  for (const py::handle value : values) arena().data(node_of(value.ptr())) = *numbers++;
}

// The usual case, a list of Values and an array for them: nothing needs be copied, since nothing
// that is done here runs any Python. False if this is not it.
template <class Items>
bool write_flat(const Items& values, const py::object& numbers, bool for_grad) {
  if (!are_plain(numbers) || !has_shape(numbers.ptr(), {static_cast<py::ssize_t>(values.size())}))
    return false;
  for (const py::handle value : values)
    if (!is_value(value.ptr())) return false;
  write(values, doubles(numbers.ptr()), for_grad);
  return true;
}

void assign(const py::object& nested, const py::object& numbers, bool for_grad) {
  if (PyList_Check(nested.ptr()) &&
      write_flat(py::reinterpret_borrow<py::list>(nested), numbers, for_grad))
    return;
  if (PyTuple_Check(nested.ptr()) &&
      write_flat(py::reinterpret_borrow<py::tuple>(nested), numbers, for_grad))
    return;
  const Nested to(nested);
  const ArrayNumbers from(numbers);
  if (to.shape() != from.shape)
    throw py::value_error(
        "assign() wants as many numbers in the same shape: the Values have the shape " +
        std::string(py::str(py::tuple(py::cast(to.shape())))) + ", the numbers " +
        std::string(py::str(py::tuple(py::cast(from.shape)))));
  for (const py::object& item : to.items())
    if (!is_value(item.ptr()))
      throw py::type_error(std::string("assign() writes to Values, but one element is ") +
                           Py_TYPE(item.ptr())->tp_name);
  write(to.items(), from.all.data(), for_grad);
}

// One of these as a function of the module, its arguments read as those of all functions are.
using Args = PyObject* const*;

template <auto function, const char* name, const char* first>
PyObject* of_one(PyObject*, Args args, Py_ssize_t count, PyObject* keywords) {
  Arguments<1> a;
  if (!a.read(name, {first}, 1, args, count, keywords)) return nullptr;
  return guarded([&] { return function(py::reinterpret_borrow<py::object>(a[0])); });
}

constexpr char kValues[] = "values", kDataOf[] = "data_of", kGradOf[] = "grad_of";
constexpr char kArray[] = "array", kNested[] = "nested";

PyObject* assign_to(PyObject*, Args args, Py_ssize_t count, PyObject* keywords) {
  Arguments<3> a;
  if (!a.read("assign", {kNested, kArray, "to"}, 2, args, count, keywords)) return nullptr;
  return guarded([&] {
    assign(py::reinterpret_borrow<py::object>(a[0]), py::reinterpret_borrow<py::object>(a[1]),
           is_for_grad(a[2]));
    return py::none();
  });
}

} // namespace

void bind_arrays(py::module_& module) {
  static PyMethodDef definitions[] = {
      definition("values", of_one<values, kValues, kArray>, kValuesDoc),
      definition("data_of", of_one<read_numbers<primal>, kDataOf, kNested>, kDataOfDoc),
      definition("grad_of", of_one<read_numbers<adjoint>, kGradOf, kNested>, kGradOfDoc),
      definition("assign", assign_to, kAssignDoc),
      {nullptr, nullptr, 0, nullptr}};
  if (PyModule_AddFunctions(module.ptr(), definitions) != 0) throw py::error_already_set();
}

} // namespace arenagrad::bindings
