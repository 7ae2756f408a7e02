#include "pytree.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace arenagrad::bindings {

using Kind = TreeNode::Kind;

std::size_t size_of(const Shape& shape) {
  std::size_t size = 1;
  for (const py::ssize_t n : shape) size *= static_cast<std::size_t>(n);
  return size;
}

// --- building -----------------------------------------------------------------------------------

std::size_t PyTreeBuilder::open(Kind kind, py::object extra) {
  if (open_.size() > 64) throw py::value_error("lists are nested more than 64 deep");
  if (!open_.empty()) ++tree_.branches_[open_.back()].children;
  TreeNode branch;
  branch.kind = kind;
  branch.extra = std::move(extra);
  tree_.branches_.push_back(std::move(branch));
  open_.push_back(tree_.branches_.size() - 1);
  return open_.back();
}

void PyTreeBuilder::close(std::size_t opened) {
  open_.pop_back();
  TreeNode& branch = tree_.branches_[opened];
  branch.end = tree_.branches_.size();
  if (!open_.empty()) tree_.branches_[open_.back()].numbers += branch.numbers;
}

void PyTreeBuilder::leaf(Kind kind, std::size_t numbers, Shape shape, py::object extra,
                         bool varies) {
  if (!open_.empty()) {
    ++tree_.branches_[open_.back()].children;
    tree_.branches_[open_.back()].numbers += numbers;
  }
  TreeNode branch;
  branch.kind = kind;
  branch.varies = varies;
  branch.numbers = numbers;
  branch.shape = std::move(shape);
  branch.extra = std::move(extra);
  branch.end = tree_.branches_.size() + 1;
  tree_.branches_.push_back(std::move(branch));
}

void PyTreeBuilder::graft(const PyTree& tree, std::size_t first) {
  const std::size_t place = tree_.branches_.size(), end = tree.branches_[first].end;
  for (std::size_t i = first; i < end; ++i) {
    TreeNode branch = tree.branches_[i];
    branch.end = branch.end - first + place;
    tree_.branches_.push_back(std::move(branch));
  }
  if (open_.empty()) return;
  ++tree_.branches_[open_.back()].children;
  tree_.branches_[open_.back()].numbers += tree.branches_[first].numbers;
}

// --- taking apart and putting together ----------------------------------------------------------

PyTree PyTree::child(std::size_t k) const {
  std::size_t i = 1;
  for (std::size_t n = 0; n < k; ++n) i = branches_.at(i).end;
  PyTreeBuilder builder;
  builder.graft(*this, i);
  return builder.finish();
}

std::size_t PyTree::start(std::size_t k) const {
  std::size_t i = 1, start = 0;
  for (std::size_t n = 0; n < k; ++n) start += branches_.at(i).numbers, i = branches_[i].end;
  return start;
}

std::vector<std::uint8_t> PyTree::varying() const {
  std::vector<std::uint8_t> varies;
  varies.reserve(numbers());
  for (const TreeNode& branch : branches_)
    if (branch.children == 0) varies.insert(varies.end(), branch.numbers, branch.varies);
  return varies;
}

static PyTree joined(Kind kind, py::object extra, const std::vector<PyTree>& parts) {
  PyTreeBuilder builder;
  const std::size_t opened = builder.open(kind, std::move(extra));
  for (const PyTree& part : parts) builder.graft(part);
  builder.close(opened);
  return builder.finish();
}

PyTree PyTree::tuple_of(const std::vector<PyTree>& parts) {
  return joined(Kind::Tuple,
                py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(&PyTuple_Type)),
                parts);
}

PyTree PyTree::list_of(const std::vector<PyTree>& parts) { return joined(Kind::List, {}, parts); }

namespace {

// Copies a tree, with something else in place of each leaf.
template <class Leaf>
void replace_leaves(const PyTree& tree, std::size_t& i, PyTreeBuilder& to, Leaf&& leaf) {
  const TreeNode& branch = tree.branches()[i++];
  if (branch.kind == Kind::List || branch.kind == Kind::Tuple || branch.kind == Kind::Dict) {
    const std::size_t opened = to.open(branch.kind, branch.extra);
    for (std::size_t k = 0; k < branch.children; ++k) replace_leaves(tree, i, to, leaf);
    to.close(opened);
  } else {
    leaf(branch);
  }
}

template <class Leaf> PyTree with_leaves(const PyTree& tree, Leaf&& leaf) {
  PyTreeBuilder builder;
  std::size_t i = 0;
  replace_leaves(tree, i, builder, [&](const TreeNode& branch) { leaf(builder, branch); });
  return builder.finish();
}

// A number or an array of this shape, as many times over as `branch` has numbers of its own.
void add_leaf(PyTreeBuilder& to, const Shape& shape, bool varies) {
  if (shape.empty())
    to.leaf(Kind::Number, 1, {}, {}, varies);
  else
    to.leaf(Kind::Array, size_of(shape), shape, {}, varies);
}

} // namespace

namespace {

PyTree with_floats(const PyTree& tree, bool keeps_statics) {
  return with_leaves(tree, [&](PyTreeBuilder& to, const TreeNode& branch) {
    if (branch.kind == Kind::Module) {
      const std::size_t opened = to.open(Kind::List);
      for (std::size_t k = 0; k < branch.numbers; ++k) to.leaf(Kind::Number, 1);
      to.close(opened);
    } else if (branch.kind == Kind::Static) {
      to.leaf(Kind::Static, 0, {}, keeps_statics ? branch.extra : py::none());
    } else {
      to.leaf(branch.kind, branch.numbers, branch.shape, {}, branch.varies);
    }
  });
}

} // namespace

PyTree PyTree::gradient() const { return with_floats(*this, false); }

PyTree PyTree::summed() const { return with_floats(*this, true); }

PyTree PyTree::jacobian(const PyTree& results) const {
  const PyTree by = gradient();
  return with_leaves(results, [&](PyTreeBuilder& to, const TreeNode& result) {
    if (result.kind == Kind::Static) return to.leaf(Kind::Static, 0, {}, py::none());
    std::size_t i = 0;
    replace_leaves(by, i, to, [&](const TreeNode& argument) {
      if (argument.kind == Kind::Static) return to.leaf(Kind::Static, 0, {}, py::none());
      Shape shape = result.shape;
      shape.insert(shape.end(), argument.shape.begin(), argument.shape.end());
      const bool number = result.kind == Kind::Number && argument.kind == Kind::Number;
      const std::size_t size = size_of(shape);
      to.leaf(number ? Kind::Number : Kind::Array, size, std::move(shape), {},
              result.varies || argument.varies);
    });
  });
}

std::vector<std::size_t> PyTree::jacobian_places(const PyTree& results) const {
  const PyTree by = gradient();
  const std::size_t width = by.numbers();
  std::vector<std::size_t> places(results.numbers() * width);
  std::size_t place = 0, row = 0;
  for (const TreeNode& result : results.branches()) {
    if (result.children != 0) continue;
    std::size_t column = 0;
    for (const TreeNode& argument : by.branches()) {
      if (argument.children != 0) continue;
      for (std::size_t r = 0; r < result.numbers; ++r)
        for (std::size_t c = 0; c < argument.numbers; ++c)
          places[(row + r) * width + column + c] = place++;
      column += argument.numbers;
    }
    row += result.numbers;
  }
  return places;
}

PyTree PyTree::stacked(py::ssize_t rows, bool all) const {
  return with_leaves(*this, [&](PyTreeBuilder& to, const TreeNode& branch) {
    if (branch.kind == Kind::Static) return to.leaf(Kind::Static, 0, {}, branch.extra);
    Shape shape = branch.shape;
    const bool more = all || branch.varies;
    if (more) shape.insert(shape.begin(), rows);
    if (!more && branch.kind == Kind::Array)
      to.leaf(Kind::Array, branch.numbers, std::move(shape));
    else
      add_leaf(to, shape, more);
  });
}

// --- comparing ----------------------------------------------------------------------------------

bool same_object(PyObject* one, PyObject* other) {
  if (one == other) return true;
  if (one == nullptr || other == nullptr || Py_TYPE(one) != Py_TYPE(other)) return false;
  if (PyFloat_Check(one))
    return std::bit_cast<std::uint64_t>(PyFloat_AS_DOUBLE(one)) ==
           std::bit_cast<std::uint64_t>(PyFloat_AS_DOUBLE(other));
  if (PyComplex_Check(one) || (!PyLong_Check(one) && is_real(one) == Number::Yes)) // zeros' signs
    return py::repr(one).equal(py::repr(other));
  if (PyTuple_Check(one)) {
    const Py_ssize_t size = PyTuple_GET_SIZE(one);
    bool same = size == PyTuple_GET_SIZE(other);
    for (Py_ssize_t k = 0; same && k < size; ++k)
      same = same_object(PyTuple_GET_ITEM(one, k), PyTuple_GET_ITEM(other, k));
    return same;
  }
  if (is_array(one)) {
    const auto array = [](PyObject* of) { return py::reinterpret_borrow<py::array>(of); };
    const auto as_bytes = [&](PyObject* of) { return array(of).attr("tobytes")(); };
    return array(one).dtype().equal(array(other).dtype()) &&
           array(one).attr("shape").equal(array(other).attr("shape")) &&
           as_bytes(one).equal(as_bytes(other));
  }
  const int equal = PyObject_RichCompareBool(one, other, Py_EQ);
  if (equal < 0) throw py::error_already_set();
  return equal != 0;
}

namespace {

bool same_object(const py::object& one, const py::object& other) {
  return bindings::same_object(one.ptr(), other.ptr());
}

// Equal for what same_object takes for the same: nan is hashed by where it is.
std::size_t hash_of(PyObject* object) {
  if (PyFloat_Check(object) && std::isnan(PyFloat_AS_DOUBLE(object))) return 1;
  if (!PyTuple_CheckExact(object)) return static_cast<std::size_t>(py::hash(object));
  std::size_t mixed = 2;
  for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(object); ++k)
    mixed = (mixed ^ hash_of(PyTuple_GET_ITEM(object, k))) * 0x9E3779B97F4A7C15u;
  return mixed;
}

bool equal_branches(const TreeNode& one, const TreeNode& other) {
  return one.kind == other.kind && one.children == other.children && one.numbers == other.numbers &&
         one.end == other.end && one.shape == other.shape;
}

} // namespace

bool PyTree::has_modules() const {
  return std::ranges::any_of(branches_, [](const TreeNode& b) { return b.kind == Kind::Module; });
}

bool PyTree::equal(const PyTree& other, bool with_modules) const {
  if (branches_.size() != other.branches_.size()) return false;
  for (std::size_t i = 0; i < branches_.size(); ++i)
    if (branches_[i].varies != other.branches_[i].varies ||
        !equal_branches(branches_[i], other.branches_[i]))
      return false;
  for (std::size_t i = 0; i < branches_.size(); ++i) {
    const TreeNode &one = branches_[i], &same = other.branches_[i];
    if (one.kind == Kind::Module && !with_modules) continue;
    const bool is_identity = one.kind == Kind::Module || one.kind == Kind::Number;
    if (is_identity ? one.extra.ptr() != same.extra.ptr() : !same_object(one.extra, same.extra))
      return false;
  }
  return true;
}

bool PyTree::same_layout(const PyTree& other) const {
  if (branches_.size() != other.branches_.size()) return false;
  for (std::size_t i = 0; i < branches_.size(); ++i) {
    if (!equal_branches(branches_[i], other.branches_[i])) return false;
    if (branches_[i].kind != Kind::Number &&
        !same_object(branches_[i].extra, other.branches_[i].extra))
      return false;
  }
  return true;
}

Py_hash_t PyTree::hash() const {
  if (hash_ != -1) return hash_;
  std::size_t mixed = branches_.size();
  const auto mix = [&](std::size_t part) { mixed = (mixed ^ part) * 0x9E3779B97F4A7C15u; };
  for (const TreeNode& branch : branches_) {
    mix(static_cast<std::size_t>(branch.kind) + (branch.children << 4) + branch.varies);
    for (const py::ssize_t n : branch.shape) mix(static_cast<std::size_t>(n));
    if (branch.kind == Kind::Static || branch.kind == Kind::Dict)
      mix(hash_of(branch.extra.ptr()));
    else
      mix(reinterpret_cast<std::size_t>(branch.extra.ptr()) >> 4);
  }
  hash_ = static_cast<Py_hash_t>(mixed >> 1);
  return hash_;
}

// --- telling ------------------------------------------------------------------------------------

std::string PyTree::text() const { return text_of(0); }

std::string PyTree::text_of(std::size_t i) const {
  constexpr std::size_t kShown = 4;
  const TreeNode& branch = branches_.at(i);
  std::string text;
  switch (branch.kind) {
  case Kind::Number:
    return "float";
  case Kind::Array:
    for (const py::ssize_t n : branch.shape) text += (text.empty() ? "" : ", ") + std::to_string(n);
    return "array(" + text + ")";
  case Kind::Module:
    return std::string(Py_TYPE(branch.extra.ptr())->tp_name);
  case Kind::Static:
    return py::repr(branch.extra);
  default:
    break;
  }
  const bool list = branch.kind == Kind::List, dict = branch.kind == Kind::Dict;
  std::size_t at = i + 1;
  for (std::size_t k = 0; k < branch.children; ++k) {
    if (k != 0) text += ", ";
    if (k == kShown && branch.children > kShown + 1) {
      text += "... " + std::to_string(branch.children - kShown) + " more";
      break;
    }
    if (dict) text += std::string(py::repr(py::tuple(branch.extra)[k])) + ": ";
    text += text_of(at);
    at = branches_[at].end;
  }
  if (!list && !dict && branch.children == 1) text += ',';
  return (list ? "[" : dict ? "{" : "(") + text + (list ? "]" : dict ? "}" : ")");
}

bool uniform_shape(const std::vector<TreeNode>& branches, std::size_t i, Shape& shape) {
  const TreeNode& branch = branches[i];
  if (branch.kind == Kind::Number || branch.kind == Kind::Array) {
    shape = branch.shape;
    return true;
  }
  if (branch.kind != Kind::List && branch.kind != Kind::Tuple) return false;
  Shape part;
  shape.clear();
  std::size_t at = i + 1;
  for (std::size_t k = 0; k < branch.children; ++k, at = branches[at].end) {
    if (!uniform_shape(branches, at, part) || (k != 0 && part != shape)) return false;
    shape = part;
  }
  shape.insert(shape.begin(), static_cast<py::ssize_t>(branch.children));
  return true;
}

} // namespace arenagrad::bindings
