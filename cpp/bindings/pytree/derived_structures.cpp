#include "derived_structures.h"

#include <algorithm>

#include "numpy.h"
#include "user_classes.h"

namespace arenagrad::bindings {

using Kind = TreeNode::Kind;

namespace {

// Copies the subtree at node `i`, moving `i` behind it; `leaf(node)` adds something for each leaf.
// But what is no number in an object of the user's stays: the object is made again with it.
template <class Leaf> void copy_with_leaves(const PyTree& tree, std::size_t& i, PyTreeBuilder& to,
                                            Leaf&& leaf, bool in_user_object = false) {
  const TreeNode& node = tree.nodes()[i++];
  if (!node.is_branch()) {
    if (in_user_object && node.kind == Kind::Static)
      to.leaf(Kind::Static, 0, {}, node.extra);
    else
      leaf(node);
    return;
  }
  const std::size_t opened = to.open(node.kind, node.extra);
  for (std::size_t k = 0; k < node.children; ++k)
    copy_with_leaves(tree, i, to, leaf, in_user_object || node.is_user_object());
  to.close(opened);
}

// The same for a whole tree; `leaf(builder, node)`.
template <class Leaf> PyTree with_leaves(const PyTree& tree, Leaf&& leaf) {
  PyTreeBuilder builder;
  std::size_t i = 0;
  copy_with_leaves(tree, i, builder, [&](const TreeNode& node) { leaf(builder, node); });
  return builder.finish();
}

void add_none(PyTreeBuilder& to) { to.leaf(Kind::Static, 0, {}, py::none()); }

// A list of floats for each Module, fresh numbers for all others.
PyTree with_plain_numbers(const PyTree& tree, bool keeps_statics) {
  return with_leaves(tree, [&](PyTreeBuilder& to, const TreeNode& node) {
    switch (node.kind) {
    case Kind::Module: {
      const std::size_t opened = to.open(Kind::List);
      for (std::size_t k = 0; k < node.numbers; ++k) to.leaf(Kind::Number, 1);
      to.close(opened);
      break;
    }
    case Kind::Static:
      to.leaf(Kind::Static, 0, {}, keeps_statics ? node.extra : py::none());
      break;
    default:
      to.leaf(node.kind, node.numbers, node.shape, {}, node.varies);
    }
  });
}

} // namespace

PyTree tuple_of(const std::vector<PyTree>& parts) {
  PyTreeBuilder builder;
  const py::handle type = reinterpret_cast<PyObject*>(&PyTuple_Type);
  const std::size_t opened = builder.open(Kind::Tuple, py::reinterpret_borrow<py::object>(type));
  for (const PyTree& part : parts) builder.graft(part);
  builder.close(opened);
  return builder.finish();
}

PyTree single_array(const Shape& shape) {
  PyTreeBuilder builder;
  builder.leaf(Kind::Array, size_of(shape), shape);
  return builder.finish();
}

PyTree single_static(const py::object& object) {
  PyTreeBuilder builder;
  builder.leaf(Kind::Static, 0, {}, object);
  return builder.finish();
}

PyTree gradient_of(const PyTree& arguments) { return with_plain_numbers(arguments, false); }

PyTree summed(const PyTree& results) { return with_plain_numbers(results, true); }

PyTree jacobian_of(const PyTree& results, const PyTree& arguments) {
  const PyTree gradient = gradient_of(arguments);
  return with_leaves(results, [&](PyTreeBuilder& to, const TreeNode& result) {
    if (result.kind == Kind::Static) return add_none(to);
    std::size_t i = 0;
    copy_with_leaves(gradient, i, to, [&](const TreeNode& argument) {
      if (argument.kind == Kind::Static) return add_none(to);
      Shape shape = result.shape;
      shape.insert(shape.end(), argument.shape.begin(), argument.shape.end());
      const bool number = result.kind == Kind::Number && argument.kind == Kind::Number;
      const std::size_t size = size_of(shape);
      to.leaf(number ? Kind::Number : Kind::Array, size, std::move(shape), {},
              result.varies || argument.varies);
    });
  });
}

std::vector<std::size_t> jacobian_positions(const PyTree& results, const PyTree& arguments) {
  const PyTree gradient = gradient_of(arguments);
  const std::size_t width = gradient.numbers();
  std::vector<std::size_t> positions(results.numbers() * width);
  std::size_t position = 0, row = 0;
  for (const TreeNode& result : results.nodes()) {
    if (result.children != 0) continue;
    std::size_t column = 0;
    for (const TreeNode& argument : gradient.nodes()) {
      if (argument.children != 0) continue;
      for (std::size_t r = 0; r < result.numbers; ++r)
        for (std::size_t c = 0; c < argument.numbers; ++c)
          positions[(row + r) * width + column + c] = position++;
      column += argument.numbers;
    }
    row += result.numbers;
  }
  return positions;
}

PyTree stacked(const PyTree& results, py::ssize_t rows, bool all) {
  return with_leaves(results, [&](PyTreeBuilder& to, const TreeNode& node) {
    if (node.kind == Kind::Static) return to.leaf(Kind::Static, 0, {}, node.extra);
    Shape shape = node.shape;
    const bool has_rows = all || node.varies;
    if (has_rows) shape.insert(shape.begin(), rows);
    const std::size_t size = size_of(shape);
    const bool array = node.kind == Kind::Array || !shape.empty();
    to.leaf(array ? Kind::Array : Kind::Number, size, std::move(shape), {}, has_rows);
  });
}

namespace {

// Walks `axes` beside the structure of results.
class RowAxesReader {
public:
  explicit RowAxesReader(const std::vector<TreeNode>& nodes) : nodes_(nodes) {}

  void read(PyObject* axes) {
    const TreeNode& node = nodes_[next_];
    if (node.kind == Kind::Static) {
      ++next_;
    } else if (is_axis(axes)) {
      for (; next_ < node.end; ++next_)
        if (!nodes_[next_].is_branch() && nodes_[next_].kind != Kind::Static)
          found.push_back(checked(nodes_[next_], axes));
    } else if (node.is_branch()) {
      read_children(node, axes);
    } else {
      refuse(axes);
    }
  }

  std::vector<py::ssize_t> found;

private:
  void read_children(const TreeNode& node, PyObject* axes) {
    const bool is_dict = node.kind == Kind::Dict;
    const bool is_list = node.kind == Kind::List || node.kind == Kind::Tuple;
    py::object each = py::reinterpret_borrow<py::object>(axes);
    if (node.is_user_object() && Py_TYPE(axes) == type_of_node(node))
      each = take_apart(axes).children;
    const bool is_sequence = PyTuple_Check(each.ptr()) || (is_list && PyList_Check(each.ptr()));
    if (!(is_dict ? PyDict_Check(axes) != 0 : is_sequence) || py::len(each) != node.children)
      refuse(axes);
    ++next_;
    for (std::size_t k = 0; k < node.children; ++k) {
      const auto at = static_cast<Py_ssize_t>(k);
      PyObject* const axis =
          is_dict ? PyDict_GetItemWithError(axes, PyTuple_GET_ITEM(node.extra.ptr(), at))
                  : PySequence_Fast_GET_ITEM(each.ptr(), at);
      if (axis == nullptr) refuse(axes);
      read(axis);
    }
  }

  static PyTypeObject* type_of_node(const TreeNode& node) {
    return reinterpret_cast<PyTypeObject*>(class_of(node).ptr());
  }

  static py::ssize_t checked(const TreeNode& leaf, PyObject* axis) {
    const Py_ssize_t given = PyNumber_AsSsize_t(axis, PyExc_IndexError);
    if (given == -1 && PyErr_Occurred()) throw py::error_already_set();
    const auto dimensions = static_cast<py::ssize_t>(leaf.shape.size());
    const py::ssize_t found = given < 0 ? given + dimensions : given;
    if (found < 0 || found >= dimensions)
      throw py::value_error("out_axes asks for axis " + std::to_string(given) + " of " +
                            std::to_string(dimensions) + " dimensions");
    return found;
  }

  [[noreturn]] static void refuse(PyObject* axes) {
    if (PyErr_Occurred()) throw py::error_already_set();
    throw py::type_error(std::string("out_axes must be ints, or tuples, lists, dicts and objects "
                                     "of such as the results are, got ") +
                         Py_TYPE(axes)->tp_name);
  }

  const std::vector<TreeNode>& nodes_;
  std::size_t next_ = 0;
};

} // namespace

std::vector<py::ssize_t> row_axes(const PyTree& stacked, const py::object& axes) {
  RowAxesReader reader(stacked.nodes());
  reader.read(axes.ptr());
  return std::move(reader.found);
}

PyTree with_rows_at(const PyTree& stacked, const std::vector<py::ssize_t>& axes) {
  auto axis = axes.begin();
  return with_leaves(stacked, [&](PyTreeBuilder& to, const TreeNode& node) {
    if (node.kind == Kind::Static) return to.leaf(Kind::Static, 0, {}, node.extra);
    Shape shape = node.shape;
    std::rotate(shape.begin(), shape.begin() + 1, shape.begin() + 1 + *axis++);
    to.leaf(Kind::Array, node.numbers, std::move(shape), {}, node.varies);
  });
}

} // namespace arenagrad::bindings
