// Figures and tables of the library for tests, benchmarks and people.
#include <algorithm>

#include "value.h"

#ifndef ARENAGRAD_VERSION
#define ARENAGRAD_VERSION "unknown"
#endif
#ifndef ARENAGRAD_FLAGS
#define ARENAGRAD_FLAGS "unknown"
#endif

namespace arenagrad::bindings {
namespace {

py::dict arena_info() {
  const core::Arena& g = arena();
  py::dict info;
  info["nodes"] = g.size();
  info["handles"] = g.handle_count();
  info["edges"] = g.edge_size();
  info["capacity"] = g.capacity();
  info["bytes_per_node"] = core::Arena::kBytesPerNode;
  info["resident_bytes"] = g.resident_bytes();
  info["compactions"] = g.compactions();
  return info;
}

void set_capacity(const py::object& given) {
  const auto number = py::reinterpret_steal<py::object>(PyNumber_Index(given.ptr()));
  if (!number) throw py::error_already_set();
  const Py_ssize_t nodes = PyLong_AsSsize_t(number.ptr());
  if (nodes == -1 && PyErr_Occurred() && PyErr_ExceptionMatches(PyExc_OverflowError)) {
    PyErr_Clear();
    throw py::value_error("the capacity must be a number of nodes above 0 and below 2**63, got " +
                          std::string(py::repr(number)));
  }
  if (nodes <= 0) throw py::value_error("the capacity must be a number of nodes above 0");
  core::Arena& g = arena();
  const auto count = static_cast<std::size_t>(nodes);
  if (count < std::max(g.size(), g.edge_size())) collect(true);
  g.set_capacity(count);
}

py::dict build_info() {
  py::dict info;
  info["version"] = ARENAGRAD_VERSION;
#if defined(__clang__)
  info["compiler"] = "clang " __clang_version__;
#elif defined(__GNUC__)
  info["compiler"] = "gcc " __VERSION__;
#else
  info["compiler"] = "unknown";
#endif
  info["flags"] = ARENAGRAD_FLAGS;
  info["c++"] = std::to_string(__cplusplus);
  info["pybind11"] = PYBIND11_TOSTRING(PYBIND11_VERSION_MAJOR) "." PYBIND11_TOSTRING(
      PYBIND11_VERSION_MINOR) "." PYBIND11_TOSTRING(PYBIND11_VERSION_PATCH);
  info["value_bytes"] = std::to_string(sizeof(PyValue));
  return info;
}

template <class T, class Element> py::memoryview view(const Element* array, std::size_t offset) {
  const auto* first = reinterpret_cast<const T*>(array) + offset;
  return py::memoryview::from_buffer(first, {static_cast<py::ssize_t>(arena().size())},
                                     {static_cast<py::ssize_t>(sizeof(Element))});
}

py::dict graph_views() {
  const core::Arena& g = arena();
  py::dict views;
  views["data"] = view<double>(g.data_array(), 0);
  views["operand_a"] = view<core::NodeId>(g.operand_array(), 0);
  views["operand_b"] = view<core::NodeId>(g.operand_array(), 1);
  views["op"] = view<core::Tag>(g.tag_array(), 0);
  return views;
}

py::dict op_codes() {
  py::dict codes;
  for (std::size_t i = 0; i < core::kOpCount; ++i) codes[core::kOpInfo[i].id] = i;
  return codes;
}

py::list op_table() {
  py::list table;
  for (std::size_t i = core::kFirstTableOp; i < core::kOpCount; ++i) {
    const core::OpInfo& row = core::kOpInfo[i];
    py::dict entry;
    entry["id"] = row.id;
    entry["name"] = row.name;
    entry["symbol"] = row.symbol;
    entry["arity"] = row.operands == core::Operands::Binary ? 2 : 1;
    entry["parametric"] = row.operands == core::Operands::Parametric;
    entry["b"] = row.b;
    entry["low"] = row.low;
    entry["high"] = row.high;
    table.append(entry);
  }
  return table;
}

py::list nary_table() {
  py::list table;
  for (std::size_t i = core::kFirstNaryOp; i < core::kFirstTableOp; ++i) {
    const core::OpInfo& row = core::kOpInfo[i];
    py::dict entry;
    entry["id"] = row.id;
    entry["name"] = row.name;
    entry["symbol"] = row.symbol;
    table.append(entry);
  }
  return table;
}

} // namespace

void bind_info(py::module_& module) {
  module.def(
      "arena_info", arena_info,
      "Figures of the arena: a dict of int. nodes in use (those not yet reclaimed "
      "included), handles (live Values), edges (operands of user-made nodes), capacity in "
      "nodes, bytes_per_node, resident_bytes (memory behind the nodes), compactions so far.");
  module.def(
      "set_capacity", set_capacity, py::arg("nodes"),
      "Allow so many nodes at a time, and as many operands of functions that take lists.\n\n"
      "ARENAGRAD_MAX_NODES sets it before the import. Without either it is what 32-bit indices "
      "count, or what the system has memory for.\n\n"
      "Args:\n    nodes: how many; each takes up to 35 bytes.\n\n"
      "Raises:\n    ValueError: it is not above 0, or not below 2**63.\n"
      "    ArenaFullError: more are in use.");
  module.def("build_info", build_info, "How this extension was built: a dict of str.");
  module.def("op_codes", op_codes, "The number of each kind of node: a dict of int by id.");
  module.def(
      "op_table", op_table,
      "The rows of ops.def with one or two operands: a list of dicts with id, name, symbol, "
      "arity, parametric (takes a constant too), b (what that is if it is left out, or nan), "
      "low, high.");
  module.def("nary_table", nary_table,
             "The rows of ops.def with any number of operands: a list of dicts with id, name, "
             "symbol.");
  module.def("graph_views", graph_views,
             "Read-only views, without a copy, of the arena's arrays data, operand_a, operand_b "
             "and op (in whose high bit stands whether a Value holds the node): a dict of "
             "memoryviews, valid until the next node is made or dropped.");
}

} // namespace arenagrad::bindings
