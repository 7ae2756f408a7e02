// Functions over whole graphs.
#include <pybind11/stl.h>

#include "core/node_partials.h"
#include "core/sweep.h"
#include "value.h"

namespace arenagrad::bindings {
namespace {

py::list topological_order(const ValueObject& root) {
  const std::vector<core::NodeId> nodes = core::reachable(arena(), root.node());
  const core::Arena::Frozen frozen(arena()); // making the list may run Python's collector
  py::list values(nodes.size());
  Py_ssize_t i = 0;
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node)
    PyList_SET_ITEM(values.ptr(), i++, object_of(*node));
  return values;
}

py::list operands(const ValueObject& value) {
  const core::Arena::Frozen frozen(arena()); // as above
  py::list values;
  arena().for_each_operand(value.node(), false, [&](core::NodeId operand) {
    values.append(py::reinterpret_steal<py::object>(object_of(operand)));
  });
  return values;
}

std::vector<double> partials(const ValueObject& value) {
  return core::partials_of(arena(), value.node());
}

py::dict attributes(const ValueObject& value) {
  py::dict found;
  if (PyObject* dict = as_value(value.ptr())->dict) {
    if (PyDict_Update(found.ptr(), dict) != 0) throw py::error_already_set();
    for (const char* own : {"_op", "_backward"})
      if (found.contains(own)) py::object(found.attr("pop")(own));
  }
  return found;
}

} // namespace

void bind_graph(py::module_& module) {
  module.def("topological_order", topological_order, py::arg("root"),
             "The nodes below root, operands before users, root last: a list of Values.\n\n"
             "Never recurses. Cost: about 10 ns a node.");
  module.def("operands", operands, py::arg("value"),
             "The operands of value in order, each as often as it is used: a list of Values.\n\n"
             "Cost: about 50 ns an operand.");
  module.def("partials", partials, py::arg("value"),
             "The partials of value by its operands, in their order: a list of floats.\n\n"
             "Raises ValueError for a node of many operands, and for one with a rule of its own.");
  module.def("set_constructor", set_constructor, py::arg("function"),
             "Let Value(...) return what this function does, but for one plain number alone; None "
             "takes it away.");
  module.def("attributes", attributes, py::arg("value"),
             "A copy of the attributes that were set on value, in order, without _op and "
             "_backward.\n\nUnlike vars(value) it leaves the Value as it was.");
  module.def(
      "collect", [] { return collect(true); },
      "Drop every unreachable node, cycles through attributes and closures included, and "
      "return how many nodes went.\n\nRuns Python's own collector too if there were such cycles. "
      "Happens by itself in time; call it to measure. Cost: "
      "a few ns a node.");
}

} // namespace arenagrad::bindings
