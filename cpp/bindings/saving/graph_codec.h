// Graphs encoded as bytes and decoded into the arena: pickling and copying share this.
//
// Outside, a node is a number (core/numbering.h). Attributes and classes are Python's and travel
// beside the bytes, each with the number of its node. Needs the GIL.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "bindings/value/value.h"
#include "core/graph_format.h"

namespace arenagrad::bindings {

// Objects with the numbers of the nodes they belong to, in ascending order.
using NumberedObjects = std::vector<std::pair<core::NodeNumber, py::object>>;

// Gives nodes the numbers under which they are written. Keeps them alive, and finds them when they
// move.
class GraphEncoder {
public:
  // Whether the numbers are still those of the nodes; else start anew.
  bool valid() const { return reattachments_ == reattachments; }
  // Numbers what is below `value` and has no number; returns those nodes.
  std::vector<core::NodeId> add(PyObject* value);
  // Undoes the last add.
  void take_back(const std::vector<core::NodeId>& nodes);
  core::NodeNumber number_of(PyObject* value) const { return numbers_.of(node_of(value)); }
  // Those of the nodes that have attributes or are instances of subclasses.
  NumberedObjects with_state(const std::vector<core::NodeId>& nodes) const;
  const core::Numbering& numbers() const { return numbers_; }

private:
  core::Numbering numbers_;
  std::vector<py::object> roots_;
  std::size_t compactions_ = arena().compactions(), reattachments_ = reattachments;
};

// Records parts that have been encoded, one after another.
class GraphDecoder {
public:
  GraphDecoder() = default;
  ~GraphDecoder();
  GraphDecoder(const GraphDecoder&) = delete;
  GraphDecoder& operator=(const GraphDecoder&) = delete;

  // Records one more part; `classes` are those of its nodes that are not Value. Throws FormatError
  // before anything has changed.
  void add(std::string_view bytes, const NumberedObjects& classes);
  // The Value of this number. Throws FormatError if there is none.
  py::object value(core::NodeNumber number) const;

private:
  // The nodes of a part lie one right after the other, root last, for as long as the root lives.
  struct Part {
    core::NodeNumber first;
    py::object root;
  };
  core::NodeId node(core::NodeNumber number) const;

  std::vector<Part> parts_;
  core::NodeNumber size_ = 0;
};

// What a Value carries besides its node, as pickle would ask for it: a dict, what its __getstate__
// returns, or None.
py::object state_of(const py::object& value);
// Gives a Value such a state, as pickle would.
void restore_state(const py::object& value, const py::object& state);
bool has_rule(const py::object& value);
// A new leaf of this class. Throws error_already_set.
inline py::object new_instance(PyTypeObject* type) {
  PyObject* made = value_new(type, nullptr, nullptr);
  if (made == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(made);
}
// Ties a Value to a node in place of the leaf it was made with. Requires that the leaf is not the
// newest node.
inline void move_to(PyObject* value, core::NodeId node) {
  arena().detach_below_top(as_value(value)->link);
  arena().attach(as_value(value)->link, node);
}

} // namespace arenagrad::bindings
