#include "flatten.h"

#include <cstring>

#include "argument_reader.h"
#include "bindings/value/trace.h"
#include "module_parameters.h"

namespace arenagrad::bindings {

using Kind = TreeNode::Kind;

namespace {

// Compares objects with a structure and takes their numbers, in one pass.
//
// Reading a number may run code of the user (__float__, a property), which may change the list that
// is being read: items are kept alive, and sizes are looked at again for each item.
class Flattener {
public:
  // Relaxed: arrays may stand for lists, and a list of numbers for a Module.
  // With `values`, Values are numbers, too, and are added there by their place behind `begin`.
  Flattener(const std::vector<TreeNode>& nodes, bool relaxed, PlacedValues* values = nullptr,
            const double* begin = nullptr)
      : nodes_(nodes), relaxed_(relaxed), values_(values), begin_(begin) {}

  bool flatten(PyObject* object, std::size_t i, double* out) {
    const TreeNode& node = nodes_[i];
    switch (node.kind) {
    case Kind::Number:
      return number(object, out);
    case Kind::Array:
      return array(object, node.shape, node.numbers, out);
    case Kind::Static:
      return same_object(node.extra.ptr(), object) || (relaxed_ && object == Py_None);
    case Kind::Module:
      return node.extra.ptr() == object && parameters(object, node.numbers, out);
    case Kind::List:
      if (!PyList_CheckExact(object) && !(relaxed_ && PyList_Check(object)))
        return relaxed_ && as_array(object, i, out);
      return items(object, i, out);
    case Kind::Tuple:
      if (reinterpret_cast<PyObject*>(Py_TYPE(object)) != node.extra.ptr() &&
          !(relaxed_ && PyTuple_Check(object)))
        return relaxed_ && as_array(object, i, out);
      return has_only_items(object) && items(object, i, out);
    case Kind::Dict:
      return (relaxed_ ? PyDict_Check(object) : PyDict_CheckExact(object)) && dict(object, i, out);
    case Kind::Dataclass:
    case Kind::Registered:
      return user_object(object, i, out) || (relaxed_ && as_array(object, i, out));
    case Kind::Keywords: // is no object
      return false;
    }
    return false;
  }

  // False for some objects that cannot fit, and at once: nothing is read.
  bool may_fit(PyObject* object, std::size_t i) {
    const TreeNode& node = nodes_[i];
    if (node.kind == Kind::Array) return is_array(object) && has_shape(object, node.shape);
    if (node.kind == Kind::List)
      return PyList_CheckExact(object) &&
             static_cast<std::size_t>(PyList_GET_SIZE(object)) == node.children;
    return true;
  }

private:
  bool number(PyObject* object, double* out) {
    if (PyFloat_CheckExact(object)) {
      *out = PyFloat_AS_DOUBLE(object);
      return true;
    }
    if (PyBool_Check(object)) return false;
    if (values_ != nullptr && is_value(object)) {
      add_value(object, out);
      return true;
    }
    if (!PyLong_CheckExact(object) && (is_number_with_own_rules(object) || is_enum(object)))
      return false;
    if (relaxed_ && !PyLong_Check(object) && is_array(object)) return array(object, {}, 1, out);
    switch (read_number(object, out)) {
    case IsReal::Failed:
      throw py::error_already_set();
    case IsReal::Yes:
      return true;
    case IsReal::No:
      return false;
    }
    return false;
  }

  // A list of items that are no plain floats may change while they are read.
  bool items(PyObject* sequence, std::size_t i, double* out) {
    const TreeNode& node = nodes_[i];
    std::size_t at = i + 1;
    for (std::size_t k = 0; k < node.children; ++k, at = nodes_[at].end) {
      if (static_cast<std::size_t>(PySequence_Fast_GET_SIZE(sequence)) != node.children)
        return false;
      PyObject* item = PySequence_Fast_GET_ITEM(sequence, k);
      if (nodes_[at].kind == Kind::Number && PyFloat_CheckExact(item)) {
        *out++ = PyFloat_AS_DOUBLE(item);
        continue;
      }
      if (nodes_[at].kind == Kind::Number && is_exact_value(item)) {
        if (values_ == nullptr) return false;
        add_value(item, out++);
        continue;
      }
      const py::object keep = py::reinterpret_borrow<py::object>(item);
      if (!flatten(item, at, out)) return false;
      out += nodes_[at].numbers;
    }
    return static_cast<std::size_t>(PySequence_Fast_GET_SIZE(sequence)) == node.children;
  }

  bool dict(PyObject* object, std::size_t i, double* out) {
    const TreeNode& node = nodes_[i];
    if (static_cast<std::size_t>(PyDict_GET_SIZE(object)) != node.children) return false;
    std::size_t at = i + 1;
    PyObject *key = nullptr, *value = nullptr;
    Py_ssize_t place = 0, k = 0;
    while (PyDict_Next(object, &place, &key, &value)) {
      if (static_cast<std::size_t>(k) == node.children) return false;
      const py::object keep = py::reinterpret_borrow<py::object>(value);
      PyObject* wanted = PyTuple_GET_ITEM(node.extra.ptr(), k++);
      if (!same_object(key, wanted)) return false;
      if (!flatten(value, at, out)) return false;
      out += nodes_[at].numbers;
      at = nodes_[at].end;
    }
    return static_cast<std::size_t>(k) == node.children;
  }

  bool user_object(PyObject* object, std::size_t i, double* out) {
    const std::optional<py::tuple> children = children_like(nodes_[i], object);
    if (!children) return false;
    std::size_t at = i + 1;
    for (std::size_t k = 0; k < nodes_[i].children; ++k, at = nodes_[at].end) {
      if (!flatten(PyTuple_GET_ITEM(children->ptr(), static_cast<Py_ssize_t>(k)), at, out))
        return false;
      out += nodes_[at].numbers;
    }
    return true;
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
    case 'O':
      return objects(object, count, out);
    default:
      return false;
    }
  }

  // Plain floats and Values where they are; all from the first other one on in a list of their own,
  // since it may run what changes the array.
  bool objects(PyObject* array, std::size_t count, double* out) {
    PyObject* const* const items = objects_in(array);
    std::size_t k = 0;
    for (; items != nullptr && k < count && items[k] != nullptr; ++k) {
      if (PyFloat_CheckExact(items[k]))
        out[k] = PyFloat_AS_DOUBLE(items[k]);
      else if (!is_exact_value(items[k]))
        break;
      else if (values_ == nullptr)
        return false;
      else
        add_value(items[k], out + k);
    }
    if (k == count) return true;
    const py::list rest = elements_of(array);
    for (; k < count; ++k)
      if (!number(PyList_GET_ITEM(rest.ptr(), static_cast<Py_ssize_t>(k)), out + k)) return false;
    return true;
  }

  bool as_array(PyObject* object, std::size_t i, double* out) {
    Shape shape;
    return is_array(object) && uniform_shape(nodes_, i, shape) &&
           array(object, shape, nodes_[i].numbers, out);
  }

  bool parameters(PyObject* model, std::size_t count, double* out) {
    const py::tuple values = parameters_of(model);
    if (values.size() != count) return false;
    for (const py::handle value : values) {
      if (values_ == nullptr) {
        warn_if_frozen(value.ptr(), "a compiled function's use");
        *out++ = arena().data(node_of(value.ptr()));
      } else {
        add_value(value.ptr(), out++);
      }
    }
    return true;
  }

  void add_value(PyObject* value, double* out) {
    values_->emplace_back(static_cast<std::size_t>(out - begin_),
                          py::reinterpret_borrow<py::object>(value));
    *out = arena().data(node_of(value));
  }

  const std::vector<TreeNode>& nodes_;
  const bool relaxed_;
  PlacedValues* const values_;
  const double* const begin_;
};

} // namespace

// The argument of this name, borrowed, or null.
static PyObject* argument_named(const GivenArguments& given, PyObject* name) {
  for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(given.names); ++k)
    if (PyTuple_GET_ITEM(given.names, k) == name ||
        PyUnicode_Compare(PyTuple_GET_ITEM(given.names, k), name) == 0)
      return given.by_name[k];
  return nullptr;
}

// Those by name, as the Keywords at node `i`.
static bool flatten_keywords(Flattener& flattener, const std::vector<TreeNode>& nodes,
                             std::size_t i, const GivenArguments& given, double* out) {
  if (nodes[i].children != given.named) return false;
  std::size_t at = i + 1;
  for (std::size_t k = 0; k < given.named; ++k, at = nodes[at].end) {
    PyObject* const argument =
        argument_named(given, PyTuple_GET_ITEM(nodes[i].extra.ptr(), static_cast<Py_ssize_t>(k)));
    if (argument == nullptr || !flattener.flatten(argument, at, out)) return false;
    out += nodes[at].numbers;
  }
  return true;
}

bool flatten_arguments(const PyTree& structure, const GivenArguments& given, double* out,
                       PlacedValues* values) {
  if (given.count + (given.named != 0) != structure.children()) return false;
  const std::vector<TreeNode>& nodes = structure.nodes();
  Flattener flattener(nodes, false, values, out);
  std::size_t at = 1;
  for (std::size_t k = 0; k < given.count; ++k, at = nodes[at].end) {
    // The many numbers of a Module are not read in vain.
    if (nodes[at].kind == Kind::Module)
      for (std::size_t i = k + 1, rest = nodes[at].end; i < given.count;
           rest = nodes[rest].end, ++i)
        if (!flattener.may_fit(given.objects[i], rest)) return false;
    if (!flattener.flatten(given.objects[k], at, out)) return false;
    out += nodes[at].numbers;
  }
  return given.named == 0 ||
         (nodes[at].kind == Kind::Keywords && flatten_keywords(flattener, nodes, at, given, out));
}

std::vector<double> flatten(const PyTree& structure, const py::object& object, const char* what,
                            PlacedValues* values) {
  std::vector<double> numbers(structure.numbers());
  Flattener flattener(structure.nodes(), true, values, numbers.data());
  if (!flattener.flatten(object.ptr(), 0, numbers.data()))
    throw py::type_error(std::string(what) + " must be " + structure.text() + ", got " +
                         std::string(py::repr(py::type::of(object))));
  return numbers;
}

} // namespace arenagrad::bindings
