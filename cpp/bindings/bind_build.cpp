// Whole layers of nodes in one call.
#include <vector>

#include "../core/build.h"
#include "value.h"

namespace arenagrad::bindings {
namespace {

using core::NodeId;

// A neuron's parts, kept alive and unmoved while room is made for its nodes.
struct Neuron {
  py::list weights;
  py::object bias;
  bool relu;
};

// False if `object` is not a plain Neuron whose parameters are Values.
bool read_neuron(py::handle object, py::handle type, Neuron& out) {
  static const py::str w("w"), b("b"), nonlin("nonlin");
  if (py::type::handle_of(object).ptr() != type.ptr()) return false;
  const py::object weights = object.attr(w);
  out.bias = object.attr(b);
  if (!PyList_CheckExact(weights.ptr()) || !is_value(out.bias.ptr())) return false;
  out.weights = py::reinterpret_borrow<py::list>(weights);
  for (const py::handle weight : out.weights)
    if (!is_value(weight.ptr())) return false;
  const int relu = PyObject_IsTrue(py::object(object.attr(nonlin)).ptr());
  if (relu < 0) throw py::error_already_set();
  out.relu = relu != 0;
  return true;
}

py::object layer(const py::list& neurons, const py::iterable& x, const py::type& neuron_type) {
  std::vector<Neuron> parts(neurons.size());
  for (std::size_t i = 0; i < parts.size(); ++i)
    if (!read_neuron(neurons[i], neuron_type, parts[i])) return py::none();

  const auto items = py::reinterpret_steal<py::object>(
      PySequence_Fast(x.ptr(), "x must be a sequence of numbers and Values"));
  if (!items) throw py::error_already_set();
  const auto count = static_cast<std::size_t>(PySequence_Fast_GET_SIZE(items.ptr()));
  PyObject** item = PySequence_Fast_ITEMS(items.ptr());
  std::vector<core::Input> inputs(count, {core::kNoNode, 0.0});
  for (std::size_t i = 0; i < count; ++i)
    if (!is_value(item[i])) inputs[i].value = need_number(item[i], "an element of x");

  std::size_t weight_count = 0;
  for (const Neuron& part : parts) weight_count += part.weights.size();
  arena().reserve(3 * weight_count + parts.size());

  for (std::size_t i = 0; i < count; ++i)
    if (is_value(item[i])) inputs[i].node = use(item[i]);
  std::vector<NodeId> ids;
  ids.reserve(weight_count); // views point into it
  std::vector<core::NeuronView> views;
  for (const Neuron& part : parts) {
    views.push_back(
        {ids.data() + ids.size(), part.weights.size(), use(part.bias.ptr()), part.relu});
    for (const py::handle weight : part.weights) ids.push_back(use(weight.ptr()));
  }
  py::list outputs(parts.size());
  Py_ssize_t i = 0;
  const core::Arena::Frozen frozen(arena());
  for (const NodeId node : core::dense(arena(), views, inputs)) {
    PyObject* output = object_of(node);
    // Nothing uses it yet: dropping it unused must count as garbage.
    if (Py_REFCNT(output) == 1) as_value(output)->link.bits &= ~std::uint32_t{core::Handle::Used};
    PyList_SET_ITEM(outputs.ptr(), i++, output);
  }
  return outputs;
}

} // namespace

void bind_build(py::module_& module) {
  module.def("layer", layer, py::arg("neurons"), py::arg("x"), py::arg("neuron_type"),
             "The outputs of a layer of micrograd neurons for the inputs x, recorded in one go: a "
             "list of Values.\n\nx holds numbers and Values. None if some neuron is not exactly a "
             "neuron_type with a list w and a b of Values. Raises TypeError for an element of x "
             "that is no real number. Cost: about 5 ns a node.");
}

} // namespace arenagrad::bindings
