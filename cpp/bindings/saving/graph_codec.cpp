#include "graph_codec.h"

#include <algorithm>

#include "bindings/value/record.h"

namespace arenagrad::bindings {

using core::Arena;
using core::FormatError;
using core::Handle;
using core::NodeId;
using core::NodeNumber;

std::vector<NodeId> GraphEncoder::add(PyObject* value) {
  if (compactions_ != arena().compactions()) {
    std::vector<NodeId> roots;
    roots.reserve(roots_.size());
    for (const py::object& root : roots_) roots.push_back(node_of(root.ptr()));
    numbers_.follow(arena(), roots);
    compactions_ = arena().compactions();
  }
  std::vector<NodeId> nodes = numbers_.add_below(arena(), node_of(value));
  if (!nodes.empty()) roots_.push_back(py::reinterpret_borrow<py::object>(value));
  return nodes;
}

void GraphEncoder::take_back(const std::vector<NodeId>& nodes) {
  numbers_.take_back(nodes);
  if (!nodes.empty()) roots_.pop_back();
}

NumberedObjects GraphEncoder::with_state(const std::vector<NodeId>& nodes) const {
  NumberedObjects found;
  for (const NodeId node : nodes) {
    if (!arena().has_handle(node)) continue;
    PyValue* value = owner(arena().handle_of(node));
    PyObject* object = as_object(value);
    if (!is_exact_value(object) || (value->dict != nullptr && PyDict_GET_SIZE(value->dict) != 0))
      found.emplace_back(numbers_.of(node), py::reinterpret_borrow<py::object>(object));
  }
  return found;
}

GraphDecoder::~GraphDecoder() {
  for (const Part& part : parts_)
    as_value(part.root.ptr())->link.bits &= ~static_cast<std::uint32_t>(Handle::Fixed);
}

NodeId GraphDecoder::node(NodeNumber number) const {
  const auto after =
      std::upper_bound(parts_.begin(), parts_.end(), number,
                       [](NodeNumber wanted, const Part& part) { return wanted < part.first; });
  const NodeNumber end = after == parts_.end() ? size_ : after->first;
  return node_of(std::prev(after)->root.ptr()) - static_cast<NodeId>(end - 1 - number);
}

void GraphDecoder::add(std::string_view bytes, const NumberedObjects& classes) {
  Arena& g = arena();
  const core::Earlier earlier = [this](NodeNumber number) { return node(number); };
  const core::SavedPart part(bytes, size_, g, earlier);
  const NodeNumber first = size_, end = first + static_cast<NodeNumber>(part.size());
  NodeNumber next = first;
  for (const auto& [number, type] : classes) {
    if (number < next || number >= end || core::is_hidden(part.op(number - first)))
      throw FormatError("a saved graph has a class for a node that cannot have one");
    if (!PyType_Check(type.ptr()) ||
        !PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(type.ptr()), value_type))
      throw FormatError("a saved graph has a node of a class that is no subclass of Value");
    next = number + 1;
  }
  if (part.size() == 0) return;

  std::vector<py::object> instances; // whole Values already, for whoever sees them meanwhile
  for (const auto& [number, type] : classes)
    instances.push_back(new_instance(reinterpret_cast<PyTypeObject*>(type.ptr())));
  parts_.reserve(parts_.size() + 1);
  g.reserve_scratch(part.scratch());
  g.reserve(part.size(), part.edges());
  if (size_ != first) throw FormatError("a saved graph was read twice at once");

  const NodeId begin = part.record(g, earlier);
  const auto last = static_cast<NodeId>(begin + part.size() - 1);
  for (std::size_t i = 0; i < instances.size(); ++i) {
    const auto node = static_cast<NodeId>(begin + (classes[i].first - first));
    move_to(instances[i].ptr(), node);
    if (node != last) use(instances[i].ptr());
  }
  py::object root =
      py::reinterpret_steal<py::object>(g.has_handle(last) ? object_of(last) : new_value(last));
  as_value(root.ptr())->link.bits |= Handle::Fixed;
  for (std::size_t i = begin; i < begin + part.size(); ++i)
    g.for_each_operand(static_cast<NodeId>(i), true, [&](NodeId operand) {
      if (operand < begin && g.has_handle(operand)) g.handle_of(operand)->bits |= Handle::Used;
    });
  parts_.push_back({first, std::move(root)});
  size_ = end;
}

py::object GraphDecoder::value(NodeNumber number) const {
  if (number >= size_) throw FormatError("a saved graph has no node of the number asked for");
  const NodeId found = node(number);
  if (core::is_hidden(arena().op(found)))
    throw FormatError("a saved graph has a node that is no Value");
  return py::reinterpret_steal<py::object>(object_of(found));
}

py::object state_of(const py::object& value) {
  if (!is_exact_value(value.ptr())) return value.attr("__getstate__")();
  PyObject* dict = as_value(value.ptr())->dict;
  if (dict == nullptr) return py::none();
  PyObject* copy = PyDict_Copy(dict);
  if (copy == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(copy);
}

namespace {

void restore_dict(const py::object& value, const py::dict& state) {
  for (const auto& [name, item] : state) {
    if (PyUnicode_Check(name.ptr()) &&
        (PyUnicode_CompareWithASCIIString(name.ptr(), "_op") == 0 ||
         PyUnicode_CompareWithASCIIString(name.ptr(), "_backward") == 0)) {
      py::setattr(value, name, item); // which checks them
    } else {
      PyValue* object = as_value(value.ptr());
      if (object->dict == nullptr) object->dict = PyDict_New();
      if (object->dict == nullptr || PyDict_SetItem(object->dict, name.ptr(), item.ptr()) != 0)
        throw py::error_already_set();
      remember_state(object);
    }
  }
}

} // namespace

void restore_state(const py::object& value, const py::object& state) {
  if (has_attribute(value, "__setstate__")) {
    value.attr("__setstate__")(state);
    return;
  }
  py::object attributes = state, slots = py::none();
  if (py::isinstance<py::tuple>(state) && py::len(state) == 2) {
    attributes = state[py::int_(0)];
    slots = state[py::int_(1)];
  }
  for (const py::object& part : {attributes, slots})
    if (!part.is_none() && !py::isinstance<py::dict>(part))
      throw FormatError("a saved graph has attributes that are no dict");
  if (!attributes.is_none()) restore_dict(value, attributes);
  if (!slots.is_none())
    for (const auto& [name, item] : py::dict(slots)) py::setattr(value, name, item);
}

bool has_rule(const py::object& value) {
  PyObject* dict = as_value(value.ptr())->dict;
  return dict != nullptr && item_named(dict, "_backward") != nullptr;
}

} // namespace arenagrad::bindings
