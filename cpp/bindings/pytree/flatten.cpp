// Numbers from objects whose structure is known.
#include <cstring>

#include "bindings/value/trace.h"
#include "numpy.h"

namespace arenagrad::bindings {

using Kind = TreeNode::Kind;

py::array as_doubles(PyObject* array) {
  return py::array_t < double,
         py::array::c_style | py::array::forcecast > (py::reinterpret_borrow<py::object>(array));
}

namespace {

class Matcher {
public:
  // Relaxed: arrays may stand for lists, and a list of numbers for a Module.
  Matcher(const std::vector<TreeNode>& branches, bool relaxed)
      : branches_(branches), relaxed_(relaxed) {}

  bool match(PyObject* object, std::size_t i, double* out) {
    const TreeNode& branch = branches_[i];
    switch (branch.kind) {
    case Kind::Number:
      return number(object, out);
    case Kind::Array:
      return array(object, branch.shape, branch.numbers, out);
    case Kind::Static:
      return same_object(branch.extra.ptr(), object);
    case Kind::Module:
      return branch.extra.ptr() == object && parameters(object, branch.numbers, out);
    case Kind::List:
      if (!PyList_Check(object)) return relaxed_ && as_array(object, i, out);
      return items(object, i, out);
    case Kind::Tuple:
      if (reinterpret_cast<PyObject*>(Py_TYPE(object)) != branch.extra.ptr() &&
          !(relaxed_ && PyTuple_Check(object)))
        return relaxed_ && as_array(object, i, out);
      return items(object, i, out);
    case Kind::Dict:
      return PyDict_Check(object) && dict(object, i, out);
    }
    return false;
  }

  // False for some objects that cannot match, and at once: nothing is read.
  bool may_match(PyObject* object, std::size_t i) {
    const TreeNode& branch = branches_[i];
    if (branch.kind == Kind::Array) return is_array(object) && has_shape(object, branch.shape);
    if (branch.kind == Kind::List)
      return PyList_Check(object) &&
             static_cast<std::size_t>(PyList_GET_SIZE(object)) == branch.children;
    return true;
  }

private:
  bool number(PyObject* object, double* out) {
    if (PyFloat_CheckExact(object)) {
      *out = PyFloat_AS_DOUBLE(object);
      return true;
    }
    if (PyBool_Check(object)) return false;
    if (relaxed_ && !PyLong_Check(object) && is_array(object)) return array(object, {}, 1, out);
    switch (read_number(object, out)) {
    case Number::Failed:
      throw py::error_already_set();
    case Number::Yes:
      return true;
    case Number::No:
      return false;
    }
    return false;
  }

  // A list of items that are no plain floats may change while they are read.
  bool items(PyObject* sequence, std::size_t i, double* out) {
    const TreeNode& branch = branches_[i];
    std::size_t at = i + 1;
    for (std::size_t k = 0; k < branch.children; ++k, at = branches_[at].end) {
      if (static_cast<std::size_t>(PySequence_Fast_GET_SIZE(sequence)) != branch.children)
        return false;
      PyObject* item = PySequence_Fast_GET_ITEM(sequence, k);
      if (branches_[at].kind == Kind::Number && PyFloat_CheckExact(item)) {
        *out++ = PyFloat_AS_DOUBLE(item);
        continue;
      }
      const py::object keep = py::reinterpret_borrow<py::object>(item);
      if (!match(item, at, out)) return false;
      out += branches_[at].numbers;
    }
    return static_cast<std::size_t>(PySequence_Fast_GET_SIZE(sequence)) == branch.children;
  }

  bool dict(PyObject* object, std::size_t i, double* out) {
    const TreeNode& branch = branches_[i];
    if (static_cast<std::size_t>(PyDict_GET_SIZE(object)) != branch.children) return false;
    std::size_t at = i + 1;
    PyObject *key = nullptr, *value = nullptr;
    Py_ssize_t place = 0, k = 0;
    while (PyDict_Next(object, &place, &key, &value)) {
      if (static_cast<std::size_t>(k) == branch.children) return false;
      const py::object keep = py::reinterpret_borrow<py::object>(value);
      PyObject* wanted = PyTuple_GET_ITEM(branch.extra.ptr(), k++);
      if (!same_object(key, wanted)) return false;
      if (!match(value, at, out)) return false;
      out += branches_[at].numbers;
      at = branches_[at].end;
    }
    return static_cast<std::size_t>(k) == branch.children;
  }

  bool array(PyObject* object, const Shape& shape, std::size_t count, double* out) {
    if (!is_array(object) || !has_shape(object, shape)) return false;
    if (holds_doubles(object, true)) {
      std::memcpy(out, doubles(object), count * sizeof(double));
      return true;
    }
    switch (kind_of(object)) {
    case 'f':
    case 'i':
    case 'u': {
      const py::array read = as_doubles(object);
      std::memcpy(out, read.data(), count * sizeof(double));
      return true;
    }
    case 'O': {
      const py::list flat =
          py::reinterpret_borrow<py::object>(object).attr("ravel")().attr("tolist")();
      for (const py::handle item : flat)
        if (!number(item.ptr(), out++)) return false;
      return true;
    }
    default:
      return false;
    }
  }

  bool as_array(PyObject* object, std::size_t i, double* out) {
    Shape shape;
    return is_array(object) && uniform_shape(branches_, i, shape) &&
           array(object, shape, branches_[i].numbers, out);
  }

  bool parameters(PyObject* model, std::size_t count, double* out) {
    const py::tuple values = parameters_of(model);
    if (values.size() != count) return false;
    for (const py::handle value : values) {
      warn_if_frozen(value.ptr(), "a compiled function's use");
      *out++ = arena().data(node_of(value.ptr()));
    }
    return true;
  }

  const std::vector<TreeNode>& branches_;
  const bool relaxed_;
};

} // namespace

bool is_array(PyObject* object) {
  if (PyList_CheckExact(object) || PyTuple_CheckExact(object) || PyFloat_CheckExact(object))
    return false; // nor need NumPy be imported to know it
  return py::isinstance<py::array>(py::handle(object));
}

bool is_module(PyObject* object) {
  static const py::handle name = py::str("arenagrad.nn").release();
  static py::handle type; // once there are any
  if (PyList_CheckExact(object) || PyTuple_CheckExact(object) || PyFloat_CheckExact(object))
    return false;
  if (!type) {
    const auto nn = py::reinterpret_steal<py::object>(PyImport_GetModule(name.ptr()));
    if (!nn && PyErr_Occurred()) throw py::error_already_set();
    if (!nn) return false;
    type = py::object(nn.attr("Module")).release();
  }
  return py::isinstance(object, type);
}

py::tuple parameters_of(PyObject* model) {
  const py::object given = py::handle(model).attr("parameters")();
  auto items = py::reinterpret_steal<py::tuple>(PySequence_Tuple(given.ptr()));
  if (!items) throw py::error_already_set();
  for (const py::handle item : items)
    if (!is_value(item.ptr()))
      throw py::type_error(std::string("parameters() of a Module must give Values, got ") +
                           Py_TYPE(item.ptr())->tp_name);
  return items;
}

bool PyTree::match(PyObject* const* objects, std::size_t count, double* out) const {
  if (count != children()) return false;
  Matcher matcher(branches_, false);
  std::size_t at = 1;
  for (std::size_t k = 0; k < count; ++k, at = branches_[at].end) {
    // The many numbers of a Module are not read in vain.
    if (branches_[at].kind == Kind::Module)
      for (std::size_t i = k + 1, rest = branches_[at].end; i < count;
           rest = branches_[rest].end, ++i)
        if (!matcher.may_match(objects[i], rest)) return false;
    if (!matcher.match(objects[k], at, out)) return false;
    out += branches_[at].numbers;
  }
  return true;
}

std::vector<double> PyTree::numbers_of(const py::object& object, const char* what) const {
  std::vector<double> numbers(this->numbers());
  if (!Matcher(branches_, true).match(object.ptr(), 0, numbers.data()))
    throw py::type_error(std::string(what) + " must be " + text() + ", got " +
                         std::string(py::repr(py::type::of(object))));
  return numbers;
}

} // namespace arenagrad::bindings
