// The structure of arguments or results: lists, tuples, dicts and objects of the user's classes in
// each other, and at the leaves numbers, arrays, the parameters of a Module, and static objects,
// which are no numbers. The
// numbers themselves are kept apart, one after another in the order of the leaves: flatten.h takes
// them out of objects, unflatten.h makes objects of them.
//
// Invariants: immutable once built; the nodes stand in preorder, each right before its children, so
// that a subtree is a range; equal trees have equal static objects, since compiled programs are
// found by them. Needs the GIL. Cost: some 10 ns a node.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "numpy.h"

namespace arenagrad::bindings {

struct TreeNode {
  // Keywords: a dict of arguments given by name, the last child of a tuple of arguments.
  enum class Kind : std::uint8_t {
    Number,
    Array,
    List,
    Tuple,
    Dict,
    Module,
    Static,
    Dataclass,
    Registered,
    Keywords
  };

  bool is_branch() const {
    return kind != Kind::Number && kind != Kind::Array && kind != Kind::Module &&
           kind != Kind::Static;
  }
  // An object of a class of the user's, see user_classes.h.
  bool is_user_object() const { return kind == Kind::Dataclass || kind == Kind::Registered; }

  Kind kind = Kind::Static;
  bool varies = false;      // has another number in each row of a batch
  std::size_t children = 0; // how many follow, each before its own
  std::size_t numbers = 0;  // here and below
  std::size_t end = 0;      // index of the first node behind this subtree
  Shape shape;              // of an Array
  // Of a Tuple its type, of a Dict the tuple of its keys, of Keywords that of the names, of a
  // Module or Static the very object; of a Number in a result the object if the function gave none
  // that was a Value; of an object of the user's the pair of its class and what is the same in all
  // such objects of one structure.
  py::object extra;
};

// Values, each with its place among numbers.
using PlacedValues = std::vector<std::pair<std::size_t, py::object>>;

class PyTree {
public:
  std::size_t numbers() const { return nodes_.empty() ? 0 : nodes_[0].numbers; }
  std::size_t children() const { return nodes_.at(0).children; }
  // Of a tuple of arguments those that are given by position: all but the Keywords.
  std::size_t positional() const;
  bool has_keywords() const { return positional() != children(); }
  const std::vector<TreeNode>& nodes() const { return nodes_; }
  // The subtree of child k, and the index of its first number. Throw std::out_of_range.
  PyTree child(std::size_t k) const;
  std::size_t first_number(std::size_t k) const;
  // A single number: the result of a function that has a gradient.
  bool is_number() const {
    return nodes_.size() == 1 && nodes_[0].numbers == 1 && nodes_[0].shape.empty() &&
           nodes_[0].kind <= TreeNode::Kind::Array;
  }
  bool has_modules() const;
  // Whether its leaves are static objects, or objects without children, at least one, and nothing
  // else.
  bool is_static() const;
  // For each number 1 if it varies, else 0.
  std::vector<std::uint8_t> varying() const;

  bool operator==(const PyTree& other) const { return equal(other, true); }
  // Equal but for which Modules they have, and there are some.
  bool is_twin_of(const PyTree& other) const { return has_modules() && equal(other, false); }
  // Whether numbers of the one may be taken for numbers of the other: equal but for what varies and
  // for numbers that functions gave without Values.
  bool same_layout(const PyTree& other) const;
  Py_hash_t hash() const;
  std::string text() const; // such as (float, array(3, 2), [float, float])

  // Visits each reference that this copy holds, for tp_traverse of whatever owns it.
  int traverse(visitproc visit, void* arg) const;

private:
  friend class PyTreeBuilder;
  bool equal(const PyTree& other, bool with_modules) const;
  std::string text_of(std::size_t i) const;
  std::string text_of_children(std::size_t i) const;

  std::vector<TreeNode> nodes_;
  mutable Py_hash_t hash_ = -1; // not known yet
};

// Writes a tree in preorder.
class PyTreeBuilder {
public:
  // A node whose children are all that is added before close(), which takes what open() returned.
  // Throws ValueError for more than 64 in each other.
  std::size_t open(TreeNode::Kind kind, py::object extra = py::object());
  void close(std::size_t opened);
  void leaf(TreeNode::Kind kind, std::size_t numbers, Shape shape = {},
            py::object extra = py::object(), bool varies = false);
  // A copy of the subtree of `tree` at node `first`.
  void graft(const PyTree& tree, std::size_t first = 0);
  PyTree finish() { return std::move(tree_); }
  // Where the next node goes, such as "[1].w", from child k of the first branch on.
  std::string place() const;

private:
  // Counts what has been added for the node that is open.
  void count_child(std::size_t numbers);

  PyTree tree_;
  std::vector<std::size_t> open_;
};

// Whether static objects and keys may be taken for one another: equal and of one type, and so for
// the items of tuples; floats by their bits, arrays by dtype, shape and bytes. Throws what == does.
bool same_object(PyObject* one, PyObject* other);

// The shape of the array that could stand for node i: its own, that of a list of equal parts, or
// that of the one array of a registered class, such as a pandas Series. False if there is none.
bool uniform_shape(const std::vector<TreeNode>& nodes, std::size_t i, Shape& shape);

} // namespace arenagrad::bindings
