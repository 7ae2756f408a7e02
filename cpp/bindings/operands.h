// The operands of an n-ary function as Python gives them: a list, tuple or array of Values and
// numbers. Numbers become leaves, as with the operators. Needs the GIL.
#pragma once

#include <vector>

#include "value.h"

namespace arenagrad::bindings {

// Reads in two steps, because reading a number and making room may both run code of the user, which
// may change the list: the first does all that can, the second nothing that can.
class Sequence {
public:
  // Requires `name` to live as long. Throws TypeError if `given` cannot be iterated over or holds
  // what is neither a Value nor a real number.
  Sequence(PyObject* given, const char* name) : name_(name) {
    if (PyList_CheckExact(given) || PyTuple_CheckExact(given)) {
      items_ = py::reinterpret_borrow<py::object>(given);
      if (read_plain()) return;
    }
    own(given);
  }

  std::size_t size() const {
    return static_cast<std::size_t>(PySequence_Fast_GET_SIZE(items_.ptr()));
  }
  PyObject* item(std::size_t i) const { return PySequence_Fast_GET_ITEM(items_.ptr(), i); }
  bool has_values() const { return has_values_; }
  // The number that item i is. Requires that it is no Value.
  double number(std::size_t i) const {
    if (owned_) return numbers_[i];
    PyObject* object = item(i);
    return PyFloat_CheckExact(object) ? PyFloat_AS_DOUBLE(object) : PyLong_AsDouble(object);
  }
  // The primal of item i.
  double primal(std::size_t i) const {
    return is_value(item(i)) ? arena().data(node_of(item(i))) : number(i);
  }
  // The node of item i, a new leaf for a number. Requires room for it.
  core::NodeId node(std::size_t i) const {
    PyObject* object = item(i);
    return is_value(object) ? use(object) : arena().push_leaf(number(i));
  }

  // Writes the nodes of all items to `out`; returns where they end.
  core::NodeId* nodes(core::NodeId* out) const {
    PyObject* const* items = PySequence_Fast_ITEMS(items_.ptr());
    const std::size_t count = size();
    for (std::size_t i = 0; i < count; ++i)
      *out++ = is_exact_value(items[i]) ? use(items[i]) : node(i);
    return out;
  }

  // Whether it is still what was read, after something foreign may have run.
  bool still_has(std::size_t size) { return owned_ || (this->size() == size && read_plain()); }

private:
  // A tuple of our own, its numbers read: nothing can change that.
  void own(PyObject* given) {
    PyObject* tuple = PySequence_Tuple(given);
    if (tuple == nullptr) refuse(given);
    items_ = py::reinterpret_steal<py::object>(tuple);
    owned_ = true;
    has_values_ = false;
    numbers_.assign(size(), 0.0);
    const std::string what = std::string("an element of ") + name_;
    for (std::size_t i = 0; i < size(); ++i) {
      if (is_value(item(i)))
        has_values_ = true;
      else
        numbers_[i] = need_number(item(i), what.c_str());
    }
  }

  // True if every item is a Value or an exact float or int, which are read without running
  // anything.
  bool read_plain() {
    bool values = false;
    for (std::size_t i = 0; i < size(); ++i) {
      PyObject* object = item(i);
      if (is_exact_value(object)) {
        values = true;
      } else if (!PyFloat_CheckExact(object)) {
        if (!PyLong_CheckExact(object)) return false;
        if (PyLong_AsDouble(object) == -1.0 && PyErr_Occurred()) throw py::error_already_set();
      }
    }
    has_values_ = values;
    return true;
  }

  [[noreturn]] void refuse(PyObject* given) const {
    if (PyErr_ExceptionMatches(PyExc_TypeError))
      PyErr_Format(PyExc_TypeError,
                   "%s must be a list, tuple or array of Values and numbers, got %.100s", name_,
                   Py_TYPE(given)->tp_name);
    throw py::error_already_set();
  }

  const char* name_;
  py::object items_; // a list or a tuple
  std::vector<double> numbers_;
  bool owned_ = false, has_values_ = false;
};

// Makes room for nodes and edges; throws RuntimeError if that has run something that changed what
// was read.
inline void reserve_for(std::vector<Sequence*> read, std::size_t nodes, std::size_t edges) {
  if (arena().has_room(nodes, edges)) [[likely]]
    return;
  std::vector<std::size_t> sizes;
  for (const Sequence* sequence : read) sizes.push_back(sequence->size());
  arena().reserve(nodes, edges);
  for (std::size_t i = 0; i < read.size(); ++i)
    if (!read[i]->still_has(sizes[i]))
      throw std::runtime_error("a list of operands was changed while it was being read");
}

} // namespace arenagrad::bindings
