// The structure of arguments or results: lists, tuples and dicts in each other, and at the leaves
// numbers, arrays, the parameters of a Module, and objects that are no numbers. The numbers
// themselves are kept apart, one after another in the order of the leaves; a PyTree is what turns
// the one into the other. Equal trees, which is what compiled programs are found by, also have
// equal static objects.
//
// Immutable. Needs the GIL. Cost: some 10 ns a number that is no array's, 1 ns one that is.
#pragma once

#include <pybind11/numpy.h>

#include <string>
#include <vector>

#include "bindings/value/value.h"

namespace arenagrad::bindings {

using Shape = std::vector<py::ssize_t>;

struct TreeNode {
  enum class Kind : std::uint8_t { Number, Array, List, Tuple, Dict, Module, Static };

  Kind kind = Kind::Static;
  bool varies = false;      // differs from row to row of a batch
  std::size_t children = 0; // that follow; each stands before its own children
  std::size_t numbers = 0;  // here or below
  std::size_t end = 0;      // where the branches after this one begin
  Shape shape;              // of an Array
  // Of a Tuple its type, of a Dict the tuple of its keys, of a Module or Static the very object; of
  // a Number in a result what a function gave that was no Value.
  py::object extra;
};

// Where the numbers of a tree are put, and whether each array has an axis of rows.
struct Rooms {
  std::vector<py::array> arrays;
  std::vector<bool> varies;
};

class PyTree {
public:
  std::size_t numbers() const { return branches_.empty() ? 0 : branches_[0].numbers; }
  std::size_t children() const { return branches_.at(0).children; }
  const std::vector<TreeNode>& branches() const { return branches_; }
  PyTree child(std::size_t k) const;
  // Where the numbers of child k begin.
  std::size_t start(std::size_t k) const;
  // A single number, and the Value or float of a function that may be differentiated.
  bool is_number() const {
    return branches_.size() == 1 && branches_[0].numbers == 1 && branches_[0].shape.empty() &&
           branches_[0].kind <= TreeNode::Kind::Array;
  }
  // Whether a batch has other numbers in each row: one byte a number.
  std::vector<std::uint8_t> varying() const;

  static PyTree tuple_of(const std::vector<PyTree>& parts);
  static PyTree list_of(const std::vector<PyTree>& parts);
  // What a gradient by this looks like: lists for Modules, None for what is no number.
  PyTree gradient() const;
  // The same, but with what is no number as it is: what a sum over the rows looks like.
  PyTree summed() const;
  // What all derivatives of `results` by this look like.
  PyTree jacobian(const PyTree& results) const;
  // For entry (row, column) of the matrix of derivatives, row by row: its place among the numbers
  // of jacobian(results).
  std::vector<std::size_t> jacobian_places(const PyTree& results) const;
  // The same with every leaf an own array of `rows` more, where it varies or `all` is true.
  PyTree stacked(py::ssize_t rows, bool all) const;

  // --- numbers from objects (tree_match.cpp) ----------------------------------------------------

  // Reads the numbers of objects of this very structure; false, with nothing but `out` changed, if
  // it is another one or holds Values. Requires that this is a Tuple.
  bool match(PyObject* const* objects, std::size_t count, double* out) const;
  // The same for one object, in which arrays may stand for lists; throws TypeError saying `what` is
  // wanted if it does not fit.
  std::vector<double> numbers_of(const py::object& object, const char* what) const;

  // --- objects from numbers (tree_make.cpp) -----------------------------------------------------

  py::object make(const double* numbers) const;
  // With Values in place of the numbers.
  py::object make_of(const std::vector<py::object>& leaves) const;
  // Whether numbers may be written into `out`, which has arrays, of float64 and contiguous, where
  // this has arrays, lists of equal parts or numbers; throws TypeError or ValueError if not.
  void check_buffers(const py::object& out) const;
  // Requires check_buffers(out).
  void write(const py::object& out, const double* numbers) const;
  // Arrays for all numbers, zeros or in the memory of `out`, which is checked: one for each array,
  // and one for numbers that follow one another, or such of them as have a buffer in common.
  Rooms arrays() const;
  Rooms buffers(const py::object& out) const;
  // The in_axes of arguments of this structure: 0 for what varies, None for what does not.
  py::object axes() const;
  // As make(), of numbers in arrays(), which may become part of it.
  py::object make_of_arrays(const std::vector<py::array>& arrays) const;

  // --- plain Python objects, and back (tree_parts.cpp) ------------------------------------------

  // A tuple of (kind, varies, size, () or (extra,)), one for each branch: size is the shape of an
  // array, the number of children or of a Module's parameters, or None.
  py::tuple parts() const;
  // Throws FormatError for anything but such parts.
  static PyTree of_parts(const py::tuple& parts);

  bool operator==(const PyTree& other) const { return equal(other, true); }
  // The same but for which Modules they have, and there are such.
  bool is_twin_of(const PyTree& other) const { return has_modules() && equal(other, false); }
  bool has_modules() const;
  // The same but for what functions gave that was no Value, and for what varies.
  bool same_layout(const PyTree& other) const;
  Py_hash_t hash() const;
  std::string text() const; // such as (float, array(3, 2), [float, float])

private:
  friend class PyTreeBuilder;
  std::string text_of(std::size_t i) const;
  bool equal(const PyTree& other, bool with_modules) const;
  std::vector<TreeNode> branches_;
  mutable Py_hash_t hash_ = -1;
};

// Writes a tree from its root downwards.
class PyTreeBuilder {
public:
  // A branch with children: all that is added before close(), which takes what open() returned.
  std::size_t open(TreeNode::Kind kind, py::object extra = py::object());
  void close(std::size_t opened);
  void leaf(TreeNode::Kind kind, std::size_t numbers, Shape shape = {},
            py::object extra = py::object(), bool varies = false);
  // All branches of `tree` from `first` on to the end of that branch.
  void graft(const PyTree& tree, std::size_t first = 0);
  PyTree finish() { return std::move(tree_); }

private:
  PyTree tree_;
  std::vector<std::size_t> open_;
};

// Whether objects that stand in trees as they are may be taken for one another: equal, of one type,
// and so for the items of tuples; floats by their bits.
bool same_object(PyObject* one, PyObject* other);

// What stands at the leaves of results, and what arguments are made of.
bool is_array(PyObject* object);
bool is_module(PyObject* object);
// The Values that model.parameters() gives now; throws TypeError unless it is a list of them.
py::tuple parameters_of(PyObject* model);
std::size_t size_of(const Shape& shape);
// The shape of the array that could stand for branch i, a list of equal parts; false if there is
// none.
bool uniform_shape(const std::vector<TreeNode>& branches, std::size_t i, Shape& shape);

// --- reading without knowing the structure (tree_read.cpp) ---------------------------------------

struct ArgumentsRead {
  PyTree tree; // of the tuple of all arguments
  std::vector<double> numbers;
  bool has_values = false; // a Value is among them: the rest means nothing then
};
// `statics` says of each argument whether it is to be taken as it is. Throws TypeError for what is
// neither a number nor hashable.
ArgumentsRead read_arguments(const py::tuple& arguments, const std::vector<bool>& statics);

struct Results {
  PyTree tree;
  std::vector<py::object> values; // one for each number; constants have become leaves
};
Results read_results(const py::object& results);

} // namespace arenagrad::bindings
