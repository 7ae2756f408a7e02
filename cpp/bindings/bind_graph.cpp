// Functions over whole graphs.
#include "../core/sweep.h"
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

} // namespace

void bind_graph(py::module_& module) {
  module.def("topological_order", topological_order, py::arg("root"),
             "The nodes below root, operands before users, root last: a list of Values.\n\n"
             "Never recurses. Cost: about 10 ns a node.");
  module.def(
      "collect", [] { return collect(true); },
      "Drop every unreachable node, cycles through attributes and closures included, and "
      "return how many nodes went.\n\nRuns Python's own collector too if there were such cycles. "
      "Happens by itself in time; call it to measure. Cost: "
      "a few ns a node.");
}

} // namespace arenagrad::bindings
