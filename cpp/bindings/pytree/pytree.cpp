#include "pytree.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <stdexcept>

#include "user_classes.h"

namespace arenagrad::bindings {

using Kind = TreeNode::Kind;

// --- building -----------------------------------------------------------------------------------

void PyTreeBuilder::count_child(std::size_t numbers) {
  if (open_.empty()) return;
  TreeNode& parent = tree_.nodes_[open_.back()];
  ++parent.children;
  parent.numbers += numbers;
}

std::size_t PyTreeBuilder::open(Kind kind, py::object extra) {
  constexpr std::size_t kDeepest = 64; // as NumPy's arrays; all that recurses over a tree is safe
  if (open_.size() > kDeepest) throw py::value_error("lists are nested more than 64 deep");
  count_child(0); // its numbers are counted when it is closed
  TreeNode node;
  node.kind = kind;
  node.extra = std::move(extra);
  tree_.nodes_.push_back(std::move(node));
  open_.push_back(tree_.nodes_.size() - 1);
  return open_.back();
}

void PyTreeBuilder::close(std::size_t opened) {
  open_.pop_back();
  TreeNode& node = tree_.nodes_[opened];
  node.end = tree_.nodes_.size();
  if (!open_.empty()) tree_.nodes_[open_.back()].numbers += node.numbers;
}

void PyTreeBuilder::leaf(Kind kind, std::size_t numbers, Shape shape, py::object extra,
                         bool varies) {
  count_child(numbers);
  TreeNode node;
  node.kind = kind;
  node.varies = varies;
  node.numbers = numbers;
  node.shape = std::move(shape);
  node.extra = std::move(extra);
  node.end = tree_.nodes_.size() + 1;
  tree_.nodes_.push_back(std::move(node));
}

void PyTreeBuilder::graft(const PyTree& tree, std::size_t first) {
  count_child(tree.nodes_[first].numbers);
  const std::size_t moved_to = tree_.nodes_.size(), end = tree.nodes_[first].end;
  for (std::size_t i = first; i < end; ++i) {
    TreeNode node = tree.nodes_[i];
    node.end = node.end - first + moved_to;
    tree_.nodes_.push_back(std::move(node));
  }
}

// Nodes that are open count the children that they have got: of each but the last, the one that is
// being added is among them.
std::string PyTreeBuilder::place() const {
  std::string text;
  for (std::size_t k = 0; k < open_.size(); ++k) {
    const TreeNode& node = tree_.nodes_[open_[k]];
    if (node.kind == Kind::Keywords) text.clear(); // a name says it all
    text += child_path(node, k + 1 < open_.size() ? node.children - 1 : node.children);
  }
  return text;
}

// --- parts --------------------------------------------------------------------------------------

PyTree PyTree::child(std::size_t k) const {
  if (k >= children()) throw std::out_of_range("a structure has no such child");
  std::size_t i = 1;
  for (std::size_t n = 0; n < k; ++n) i = nodes_.at(i).end;
  PyTreeBuilder builder;
  builder.graft(*this, i);
  return builder.finish();
}

std::size_t PyTree::positional() const {
  std::size_t count = 0;
  for (std::size_t i = 1; i < nodes_.size(); i = nodes_[i].end)
    count += nodes_[i].kind != Kind::Keywords;
  return count;
}

std::size_t PyTree::first_number(std::size_t k) const {
  std::size_t i = 1, first = 0;
  for (std::size_t n = 0; n < k; ++n) {
    first += nodes_.at(i).numbers;
    i = nodes_[i].end;
  }
  return first;
}

std::vector<std::uint8_t> PyTree::varying() const {
  std::vector<std::uint8_t> varies;
  varies.reserve(numbers());
  for (const TreeNode& node : nodes_)
    if (node.children == 0) varies.insert(varies.end(), node.numbers, node.varies);
  return varies;
}

bool PyTree::has_modules() const {
  return std::ranges::any_of(nodes_,
                             [](const TreeNode& node) { return node.kind == Kind::Module; });
}

bool PyTree::is_static() const {
  bool found = false;
  for (const TreeNode& node : nodes_) {
    if (!node.is_branch() && node.kind != Kind::Static) return false;
    found |= node.kind == Kind::Static || (node.kind == Kind::Registered && node.children == 0);
  }
  return found;
}

int PyTree::traverse(visitproc visit, void* arg) const {
  for (const TreeNode& node : nodes_) Py_VISIT(node.extra.ptr());
  return 0;
}

// --- comparing ----------------------------------------------------------------------------------

namespace {

bool same_tuple(PyObject* one, PyObject* other) {
  const Py_ssize_t size = PyTuple_GET_SIZE(one);
  if (size != PyTuple_GET_SIZE(other)) return false;
  for (Py_ssize_t k = 0; k < size; ++k)
    if (!same_object(PyTuple_GET_ITEM(one, k), PyTuple_GET_ITEM(other, k))) return false;
  return true;
}

bool same_array(py::handle one, py::handle other) {
  return one.attr("dtype").equal(other.attr("dtype")) &&
         one.attr("shape").equal(other.attr("shape")) &&
         one.attr("tobytes")().equal(other.attr("tobytes")());
}

} // namespace

bool same_object(PyObject* one, PyObject* other) {
  if (one == other) return true;
  if (one == nullptr || other == nullptr || Py_TYPE(one) != Py_TYPE(other)) return false;
  if (PyFloat_Check(one))
    return std::bit_cast<std::uint64_t>(PyFloat_AS_DOUBLE(one)) ==
           std::bit_cast<std::uint64_t>(PyFloat_AS_DOUBLE(other));
  // 0.0 == -0.0, but a program made for the one is not that of the other: texts tell them apart.
  if (PyComplex_Check(one) || (!PyLong_Check(one) && is_real(one) == IsReal::Yes))
    return py::repr(one).equal(py::repr(other));
  if (PyTuple_Check(one)) return same_tuple(one, other);
  if (is_array(one)) return same_array(one, other);
  const int equal = PyObject_RichCompareBool(one, other, Py_EQ);
  if (equal < 0) throw py::error_already_set();
  return equal != 0;
}

namespace {

bool same_extra(const TreeNode& one, const TreeNode& other) {
  return same_object(one.extra.ptr(), other.extra.ptr());
}

constexpr std::size_t kHashFactor = 0x9E3779B97F4A7C15u; // spreads the bits (Knuth, TAOCP 6.4)

// Equal for what same_object takes for the same: nan is hashed by where it is.
std::size_t hash_of_object(PyObject* object) {
  if (PyFloat_Check(object) && std::isnan(PyFloat_AS_DOUBLE(object))) return 1;
  if (!PyTuple_CheckExact(object)) return static_cast<std::size_t>(py::hash(object));
  std::size_t mixed = 2;
  for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(object); ++k)
    mixed = (mixed ^ hash_of_object(PyTuple_GET_ITEM(object, k))) * kHashFactor;
  return mixed;
}

bool same_form(const TreeNode& one, const TreeNode& other) {
  return one.kind == other.kind && one.children == other.children && one.numbers == other.numbers &&
         one.end == other.end && one.shape == other.shape;
}

} // namespace

bool PyTree::equal(const PyTree& other, bool with_modules) const {
  if (nodes_.size() != other.nodes_.size()) return false;
  // The cheap half first: most trees that differ do so without a look at their objects.
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (nodes_[i].varies != other.nodes_[i].varies || !same_form(nodes_[i], other.nodes_[i]))
      return false;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const TreeNode &one = nodes_[i], &same = other.nodes_[i];
    if (one.kind == Kind::Module && !with_modules) continue;
    const bool by_identity = one.kind == Kind::Module || one.kind == Kind::Number;
    if (by_identity ? one.extra.ptr() != same.extra.ptr() : !same_extra(one, same)) return false;
  }
  return true;
}

bool PyTree::same_layout(const PyTree& other) const {
  if (nodes_.size() != other.nodes_.size()) return false;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!same_form(nodes_[i], other.nodes_[i])) return false;
    if (nodes_[i].kind != Kind::Number && !same_extra(nodes_[i], other.nodes_[i])) return false;
  }
  return true;
}

Py_hash_t PyTree::hash() const {
  if (hash_ != -1) return hash_;
  std::size_t mixed = nodes_.size();
  const auto mix = [&](std::size_t part) { mixed = (mixed ^ part) * kHashFactor; };
  for (const TreeNode& node : nodes_) {
    mix(static_cast<std::size_t>(node.kind) + (node.children << 4) + node.varies);
    for (const py::ssize_t n : node.shape) mix(static_cast<std::size_t>(n));
    if (node.kind == Kind::Static || node.kind == Kind::Dict || node.kind == Kind::Keywords)
      mix(hash_of_object(node.extra.ptr()));
    else if (node.kind == Kind::Dataclass) // its form may be another object that is equal
      mix(reinterpret_cast<std::size_t>(class_of(node).ptr()) >> 4);
    else if (node.kind == Kind::Registered)
      mix(hash_of_object(node.extra.ptr()));
    else
      mix(reinterpret_cast<std::size_t>(node.extra.ptr()) >> 4);
  }
  hash_ = static_cast<Py_hash_t>(mixed >> 1); // never -1, which is an error to Python
  return hash_;
}

// --- text ---------------------------------------------------------------------------------------

std::string PyTree::text() const { return text_of(0); }

std::string PyTree::text_of(std::size_t i) const {
  const TreeNode& node = nodes_.at(i);
  std::string text;
  switch (node.kind) {
  case Kind::Number:
    return "float";
  case Kind::Array:
    for (const py::ssize_t n : node.shape) text += (text.empty() ? "" : ", ") + std::to_string(n);
    return "array(" + text + ")";
  case Kind::Module:
    return std::string(Py_TYPE(node.extra.ptr())->tp_name);
  case Kind::Static:
    return py::repr(node.extra);
  case Kind::List:
    return "[" + text_of_children(i) + "]";
  case Kind::Dict:
    return "{" + text_of_children(i) + "}";
  case Kind::Dataclass:
  case Kind::Registered:
    return reinterpret_cast<PyTypeObject*>(class_of(node).ptr())->tp_name +
           ("(" + text_of_children(i) + ")");
  case Kind::Keywords:
    return text_of_children(i);
  case Kind::Tuple:
    break;
  }
  return "(" + text_of_children(i) + (node.children == 1 ? ",)" : ")");
}

std::string PyTree::text_of_children(std::size_t i) const {
  constexpr std::size_t kShown = 4;
  const TreeNode& node = nodes_[i];
  std::string text;
  std::size_t at = i + 1;
  for (std::size_t k = 0; k < node.children; ++k) {
    if (k != 0) text += ", ";
    if (k == kShown && node.children > kShown + 1)
      return text + "... " + std::to_string(node.children - kShown) + " more";
    text += child_label(node, k) + text_of(at);
    at = nodes_[at].end;
  }
  return text;
}

bool uniform_shape(const std::vector<TreeNode>& nodes, std::size_t i, Shape& shape) {
  const TreeNode& node = nodes[i];
  if (node.kind == Kind::Number || node.kind == Kind::Array) {
    shape = node.shape;
    return true;
  }
  if (node.kind == Kind::Registered && node.children == 1 && nodes[i + 1].kind == Kind::Array) {
    shape = nodes[i + 1].shape;
    return true;
  }
  if (node.kind != Kind::List && node.kind != Kind::Tuple) return false;
  Shape part;
  shape.clear();
  std::size_t at = i + 1;
  for (std::size_t k = 0; k < node.children; ++k) {
    if (!uniform_shape(nodes, at, part) || (k != 0 && part != shape)) return false;
    shape = part;
    at = nodes[at].end;
  }
  shape.insert(shape.begin(), static_cast<py::ssize_t>(node.children));
  return true;
}

} // namespace arenagrad::bindings
