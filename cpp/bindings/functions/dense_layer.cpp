// Whole layers of nodes in one call.
#include <algorithm>
#include <vector>

#include "bindings/value/record.h"
#include "core/dense_layer.h"

namespace arenagrad::bindings {
namespace {

using core::NodeId;

// A name as Python interns it. Leaked: what a module destroys at exit may come after Python.
py::handle interned(const char* name) { return PyUnicode_InternFromString(name); }

py::object attribute(py::handle object, py::handle name) {
  auto value = py::reinterpret_steal<py::object>(PyObject_GetAttr(object.ptr(), name.ptr()));
  if (!value) throw py::error_already_set();
  return value;
}

// A neuron's parts, kept alive and unmoved while room is made for its nodes.
struct Neuron {
  py::object weights; // a list
  py::object bias;
  bool relu;

  std::size_t weight_count() const {
    return static_cast<std::size_t>(PyList_GET_SIZE(weights.ptr()));
  }
  PyObject* weight(std::size_t i) const { return PyList_GET_ITEM(weights.ptr(), i); }
};

// False if `object` is not a plain Neuron whose parameters are plain Values: a subclass may have
// operators of its own, which only Python's loop meets.
bool read_neuron(py::handle object, py::handle type, Neuron& out) {
  static const py::handle w = interned("w"), b = interned("b"), nonlin = interned("nonlin");
  if (py::type::handle_of(object).ptr() != type.ptr()) return false;
  out.weights = attribute(object, w);
  out.bias = attribute(object, b);
  if (!PyList_CheckExact(out.weights.ptr()) || !is_exact_value(out.bias.ptr())) return false;
  for (std::size_t i = 0; i < out.weight_count(); ++i)
    if (!is_exact_value(out.weight(i))) return false;
  const int relu = PyObject_IsTrue(attribute(object, nonlin).ptr());
  if (relu < 0) throw py::error_already_set();
  out.relu = relu != 0;
  return true;
}

py::object layer(const py::list& neurons, const py::object& x, const py::type& neuron_type) {
  std::vector<Neuron> parts(neurons.size());
  std::size_t weight_count = 0, terms = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i >= neurons.size() || !read_neuron(neurons[i], neuron_type, parts[i])) return py::none();
    weight_count += parts[i].weight_count();
    terms = std::max(terms, parts[i].weight_count());
  }

  // A tuple of its own: making room may run destructors, which must not change what was read.
  const auto items = py::reinterpret_steal<py::object>(PySequence_Tuple(x.ptr()));
  if (!items) throw py::error_already_set();
  // Elements that no weight meets are never looked at, as with zip().
  const auto given = static_cast<std::size_t>(PyTuple_GET_SIZE(items.ptr()));
  std::vector<core::Input> inputs(std::min(given, terms), {core::kNoNode, 0.0});
  const auto item = [&](std::size_t i) { return PyTuple_GET_ITEM(items.ptr(), i); };
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (is_exact_value(item(i))) continue;
    if (is_value(item(i))) return py::none();
    inputs[i].value = need_number(item(i), "an element of x");
  }

  arena().reserve(core::dense_size(parts.size(), weight_count));
  const core::Arena::Frozen frozen(arena()); // no index read below may move

  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (is_exact_value(item(i))) inputs[i].node = use(item(i));
  std::vector<NodeId> ids;
  ids.reserve(weight_count); // views point into it
  std::vector<core::NeuronView> views;
  views.reserve(parts.size());
  for (const Neuron& part : parts) {
    const std::size_t count = part.weight_count();
    if (ids.size() + count > weight_count) return py::none(); // changed by a destructor
    views.push_back({ids.data() + ids.size(), count, use(part.bias.ptr()), part.relu});
    for (std::size_t i = 0; i < count; ++i) {
      if (!is_exact_value(part.weight(i))) return py::none();
      ids.push_back(use(part.weight(i)));
    }
  }
  py::list outputs(parts.size());
  Py_ssize_t i = 0;
  const Recording recording;
  std::vector<NodeId> nodes = core::dense(arena(), views, inputs);
  recording.finish(nodes);
  for (const NodeId node : nodes) {
    PyObject* output = object_of(node);
    // Nothing uses it yet: dropping it unused must count as garbage.
    if (Py_REFCNT(output) == 1) as_value(output)->link.bits &= ~std::uint32_t{core::Handle::Used};
    PyList_SET_ITEM(outputs.ptr(), i++, output);
  }
  operation_done();
  return outputs;
}

} // namespace

void bind_dense_layer(py::module_& module) {
  module.def("layer", layer, py::arg("neurons"), py::arg("x"), py::arg("neuron_type"),
             "The outputs of a layer of micrograd neurons for the inputs x, recorded in one go: a "
             "list of Values.\n\nx holds numbers and Values. None if some neuron is not exactly a "
             "neuron_type with a list w and a b of plain Values, or x holds an instance of a "
             "subclass. Raises TypeError for an element of x that is no real number and meets a "
             "weight. Cost: about 5 ns a node.");
}

} // namespace arenagrad::bindings
