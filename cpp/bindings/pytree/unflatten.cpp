#include "unflatten.h"

#include <pybind11/stl.h>

#include <algorithm>

#include "user_classes.h"

namespace arenagrad::bindings {

using Kind = TreeNode::Kind;

namespace {

// Puts lists, tuples and dicts together; `leaf(node)` makes each number, array and Module in order.
template <class Leaf> class Unflattener {
public:
  Unflattener(const std::vector<TreeNode>& nodes, Leaf& leaf) : nodes_(nodes), leaf_(leaf) {}

  py::object next() {
    const TreeNode& node = nodes_[next_++];
    switch (node.kind) {
    case Kind::List:
      return list(node);
    case Kind::Tuple:
      return tuple(node);
    case Kind::Dict:
    case Kind::Keywords:
      return dict(node);
    case Kind::Dataclass:
    case Kind::Registered:
      return put_together(node, children(node));
    case Kind::Static: // an array may be changed by whoever gets it
      return is_array(node.extra.ptr()) ? py::object(node.extra.attr("copy")()) : node.extra;
    default:
      return leaf_(node);
    }
  }

private:
  py::object list(const TreeNode& node) {
    py::list list(node.children);
    for (std::size_t k = 0; k < node.children; ++k)
      PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(k), next().release().ptr());
    return list;
  }

  // A named tuple, too, is made without its constructor, which may want something else.
  py::object tuple(const TreeNode& node) {
    py::tuple items = children(node);
    auto* const type = reinterpret_cast<PyTypeObject*>(node.extra.ptr());
    if (type == &PyTuple_Type) return items;
    auto made = py::reinterpret_steal<py::object>(
        PyTuple_Type.tp_new(type, py::make_tuple(items).ptr(), nullptr));
    if (!made) throw py::error_already_set();
    return made;
  }

  py::tuple children(const TreeNode& node) {
    py::tuple children(node.children);
    for (std::size_t k = 0; k < node.children; ++k)
      PyTuple_SET_ITEM(children.ptr(), static_cast<Py_ssize_t>(k), next().release().ptr());
    return children;
  }

  py::object dict(const TreeNode& node) {
    py::dict dict;
    for (const py::handle key : py::reinterpret_borrow<py::tuple>(node.extra)) dict[key] = next();
    return dict;
  }

  const std::vector<TreeNode>& nodes_;
  Leaf& leaf_;
  std::size_t next_ = 0;
};

template <class Leaf> py::object with_each_leaf(const PyTree& structure, Leaf&& leaf) {
  return Unflattener(structure.nodes(), leaf).next();
}

} // namespace

py::object unflatten(const PyTree& structure, const double* numbers) {
  return with_each_leaf(structure, [&](const TreeNode& node) -> py::object {
    if (node.kind == Kind::Number) {
      const double number = *numbers++;
      if (node.extra) return node.extra;
      return py::float_(number);
    }
    py::array_t<double> array(node.shape);
    std::copy_n(numbers, node.numbers, array.mutable_data());
    numbers += node.numbers;
    return array;
  });
}

py::object unflatten_values(const PyTree& structure, const std::vector<py::object>& values) {
  auto next = values.begin();
  return with_each_leaf(structure, [&](const TreeNode& node) -> py::object {
    if (node.kind == Kind::Number) {
      const py::object value = *next++;
      return node.extra ? node.extra : value;
    }
    if (node.kind == Kind::Module) { // its parameters are Values already
      next += static_cast<std::ptrdiff_t>(node.numbers);
      return node.extra;
    }
    py::array array = value_array(node.shape);
    auto** elements = static_cast<PyObject**>(array.mutable_data());
    for (std::size_t k = 0; k < node.numbers; ++k)
      Py_XSETREF(elements[k], Py_NewRef((next++)->ptr()));
    return array;
  });
}

py::object unflatten_buffers(const PyTree& structure, const std::vector<py::array>& buffers) {
  auto next = buffers.begin();
  const double* number = nullptr; // in the buffer that several numbers share
  py::ssize_t left = 0;           // in that buffer
  return with_each_leaf(structure, [&](const TreeNode& node) -> py::object {
    if (!shares_buffer(node)) return *next++;
    if (left == 0) {
      number = static_cast<const double*>(next->data());
      left = next->size();
      ++next;
    }
    --left;
    const double y = *number++;
    return node.extra ? node.extra : py::float_(y);
  });
}

// A tuple stands for an object of the user's, whose class is not asked to hold axes.
static py::object in_axes_at(const std::vector<TreeNode>& nodes, std::size_t i) {
  const TreeNode& node = nodes[i];
  if (!node.is_branch()) return node.varies ? py::object(py::int_(0)) : py::none();
  const bool is_dict = node.kind == Kind::Dict || node.kind == Kind::Keywords;
  py::dict by_key;
  py::tuple axes(node.children);
  std::size_t at = i + 1;
  for (std::size_t k = 0; k < node.children; ++k, at = nodes[at].end) {
    py::object axis = in_axes_at(nodes, at);
    if (is_dict)
      by_key[py::handle(PyTuple_GET_ITEM(node.extra.ptr(), static_cast<Py_ssize_t>(k)))] = axis;
    else
      axes[k] = std::move(axis);
  }
  return is_dict ? py::object(std::move(by_key)) : py::object(std::move(axes));
}

py::object in_axes_of(const PyTree& arguments) { return in_axes_at(arguments.nodes(), 0); }

} // namespace arenagrad::bindings
