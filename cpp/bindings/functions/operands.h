// The operands of an n-ary function as Python gives them: a list, tuple or array of Values and
// numbers. Numbers become leaves, as with the operators. Needs the GIL.
#pragma once

#include <vector>

#include "bindings/value/value.h"

namespace arenagrad::bindings {

// What can be iterated over, as a tuple; throws TypeError "`wanted`, got ..." for anything else.
inline py::object items_as_tuple(PyObject* given, const std::string& wanted) {
  const auto iterator = py::reinterpret_steal<py::object>(PyObject_GetIter(given));
  if (!iterator && PyErr_ExceptionMatches(PyExc_TypeError))
    PyErr_Format(PyExc_TypeError, "%s, got %.100s", wanted.c_str(), Py_TYPE(given)->tp_name);
  if (!iterator) throw py::error_already_set();
  auto items = py::reinterpret_steal<py::object>(PySequence_Tuple(iterator.ptr()));
  if (!items) throw py::error_already_set();
  return items;
}

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

  // As it was when read; as all below it is to be trusted until something foreign has run.
  std::size_t size() const { return size_; }
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

  // Whether reading it may have run something foreign.
  bool is_foreign() const { return owned_; }
  // Whether it can still be read as it was, after something foreign may have run.
  bool is_unchanged() {
    const std::size_t before = size_;
    return owned_ || (read_plain() && size_ == before);
  }

private:
  // A tuple of our own, its numbers read: nothing can change that.
  void own(PyObject* given) {
    const std::string name = name_, kind = " must be a list, tuple or array of Values and numbers";
    items_ = items_as_tuple(given, name + kind);
    owned_ = true;
    has_values_ = false;
    size_ = static_cast<std::size_t>(PyTuple_GET_SIZE(items_.ptr()));
    numbers_.assign(size_, 0.0);
    const std::string what = "an element of " + name;
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
    size_ = static_cast<std::size_t>(PySequence_Fast_GET_SIZE(items_.ptr()));
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

  const char* name_;
  py::object items_; // a list or a tuple
  std::vector<double> numbers_;
  std::size_t size_ = 0;
  bool owned_ = false, has_values_ = false;
};

// Throws RuntimeError if what was read has changed since.
template <class Sequences> void need_unchanged(const Sequences& read) {
  for (Sequence* sequence : read)
    if (!sequence->is_unchanged())
      throw std::runtime_error("a list of operands was changed while it was being read");
}

// The same after all are read: reading one, or what else was `foreign`, may have changed another.
template <class Sequences> void need_unchanged(const Sequences& read, bool foreign) {
  for (const Sequence* sequence : read) foreign = foreign || sequence->is_foreign();
  if (foreign) need_unchanged(read);
}

// Makes room for nodes and edges, which may run something that changes what was read.
template <class Sequences>
void reserve_for(const Sequences& read, std::size_t nodes, std::size_t edges) {
  if (arena().ready_for(nodes, edges)) [[likely]]
    return;
  arena().reserve(nodes, edges);
  need_unchanged(read);
}

} // namespace arenagrad::bindings
