// A training step over all parameters in one call.
#include <pybind11/numpy.h>

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "bindings/value/instance.h"
#include "bindings/value/value.h"
#include "core/optimizers.h"

namespace arenagrad::bindings {
namespace {

using core::NodeId;
using State = py::array_t<double, py::array::c_style>;

// The Values that an optimiser trains. Where their nodes are is remembered until one may have
// moved: asking 4,192 objects, which lie in the second cache, takes 10 us, half of a step of Adam.
class Parameters {
public:
  explicit Parameters(const py::object& given)
      : values_(py::reinterpret_steal<py::tuple>(PySequence_Tuple(given.ptr()))) {
    if (!values_) throw py::error_already_set();
    if (values_.empty()) throw py::value_error("params must hold at least one Value, got none");
    std::unordered_map<PyObject*, std::size_t> known;
    for (std::size_t i = 0; i < values_.size(); ++i) {
      PyObject* value = PyTuple_GET_ITEM(values_.ptr(), i);
      if (!is_value(value)) {
        PyErr_Format(PyExc_TypeError, "parameter %zu must be a Value, got %.100s", i,
                     Py_TYPE(value)->tp_name);
        throw py::error_already_set();
      }
      const auto [first, is_new] = known.try_emplace(value, i);
      if (!is_new)
        throw py::value_error("parameter " + std::to_string(i) + " is parameter " +
                              std::to_string(first->second) + " again");
    }
    find();
  }

  core::Nodes nodes() {
    if (epoch_ != node_epoch()) find();
    return nodes_;
  }
  std::size_t size() const { return nodes_.size(); }
  const py::tuple& values() const { return values_; }

  // An attribute of a Value may lead to its optimiser.
  int traverse(visitproc visit, void* arg) const {
    Py_VISIT(values_.ptr());
    return 0;
  }

private:
  void find() {
    nodes_.resize(values_.size());
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      nodes_[i] = node_of(PyTuple_GET_ITEM(values_.ptr(), i));
    epoch_ = node_epoch();
  }

  py::tuple values_;
  std::vector<NodeId> nodes_;
  std::size_t epoch_ = 0;
};

Parameters& parameters_in(py::handle object) {
  if (!py::isinstance<Parameters>(object))
    throw py::type_error(std::string("parameters must be Parameters, got ") +
                         Py_TYPE(object.ptr())->tp_name);
  if (!is_initialised<Parameters>(object))
    throw py::type_error("Parameters without their __init__");
  return object.cast<Parameters&>();
}

// The numbers of an array of state, one for each parameter.
double* numbers_in(State& state, core::Nodes nodes) {
  if (state.ndim() != 1 || static_cast<std::size_t>(state.size()) != nodes.size())
    throw py::value_error("an array of state must hold one number for each of the " +
                          std::to_string(nodes.size()) + " parameters");
  return state.mutable_data();
}

// In all of these the settings come first: reading them may run Python, which may move the nodes.

void sgd_step(const py::object& parameters, State velocity, py::handle lr, py::handle momentum,
              py::handle dampening, py::handle weight_decay, bool nesterov, bool first) {
  const core::Sgd rule{need_number(lr.ptr(), "lr"),
                       need_number(momentum.ptr(), "momentum"),
                       need_number(dampening.ptr(), "dampening"),
                       need_number(weight_decay.ptr(), "weight_decay"),
                       nesterov,
                       first};
  const core::Nodes nodes = parameters_in(parameters).nodes();
  core::step(arena(), nodes, rule, numbers_in(velocity, nodes));
}

void adam_step(const py::object& parameters, State mean, State square, py::handle lr,
               py::handle beta1, py::handle beta2, py::handle eps, py::handle weight_decay,
               bool decoupled, std::size_t steps) {
  const core::Adam rule{need_number(lr.ptr(), "lr"),
                        need_number(beta1.ptr(), "betas[0]"),
                        need_number(beta2.ptr(), "betas[1]"),
                        need_number(eps.ptr(), "eps"),
                        need_number(weight_decay.ptr(), "weight_decay"),
                        decoupled,
                        static_cast<double>(steps)};
  const core::Nodes nodes = parameters_in(parameters).nodes();
  double *m = numbers_in(mean, nodes), *v = numbers_in(square, nodes);
  core::step(arena(), nodes, rule, m, v);
}

void rmsprop_step(const py::object& parameters, State square, State mean, State velocity,
                  py::handle lr, py::handle alpha, py::handle eps, py::handle weight_decay,
                  py::handle momentum, bool centered) {
  const core::RmsProp rule{need_number(lr.ptr(), "lr"),
                           need_number(alpha.ptr(), "alpha"),
                           need_number(eps.ptr(), "eps"),
                           need_number(weight_decay.ptr(), "weight_decay"),
                           need_number(momentum.ptr(), "momentum"),
                           centered};
  const core::Nodes nodes = parameters_in(parameters).nodes();
  double *v = numbers_in(square, nodes), *m = numbers_in(mean, nodes);
  core::step(arena(), nodes, rule, v, m, numbers_in(velocity, nodes));
}

void zero_parameters(const py::object& parameters) {
  core::zero_gradients(arena(), parameters_in(parameters).nodes());
}

State optimizer_state(std::size_t count) {
  State state(static_cast<py::ssize_t>(count));
  std::fill_n(state.mutable_data(), count, 0.0);
  return state;
}

State copy_of_state(const py::object& source, std::size_t count, const std::string& name) {
  if (!py::isinstance<py::array_t<double>>(source))
    throw py::type_error(name + " must be a NumPy array of float64");
  const auto numbers = py::reinterpret_borrow<py::array_t<double>>(source);
  if (numbers.ndim() != 1 || static_cast<std::size_t>(numbers.size()) != count)
    throw py::value_error(name + " must hold " + std::to_string(count) + " numbers in a row");
  State copy(static_cast<py::ssize_t>(count));
  for (py::ssize_t i = 0; i < copy.size(); ++i) copy.mutable_at(i) = numbers.at(i);
  return copy;
}

} // namespace

void bind_optimizers(py::module_& module) {
  py::class_<Parameters>(module, "Parameters", "The Values that an optimiser trains.",
                         collected<Parameters>())
      .def(
          py::init<const py::object&>(), py::arg("params"),
          "Keep the Values of an iterable.\n\nRaises TypeError for what is no Value, ValueError if "
          "there are none or one comes twice.")
      .def_property_readonly(
          "values", [](const py::object& self) { return parameters_in(self).values(); },
          "The Values, a tuple.")
      .def("__len__", [](const py::object& self) { return parameters_in(self).size(); })
      .def(
          "__reduce__",
          [](const py::object& self) {
            return py::make_tuple(py::type::of(self), py::make_tuple(parameters_in(self).values()));
          },
          "For pickle and copy: made anew of the same Values.");
  const char* doc = "Take one step of the rule over all parameters.\n\n"
                    "The arrays of state are changed in place and hold one number for each "
                    "parameter; the rest is as in arenagrad.optim. Raises TypeError and ValueError "
                    "for what is of another kind or size, before anything changes.";
  const auto state = [](const char* name) { return py::arg(name).noconvert(); };
  module.def("sgd_step", sgd_step, py::arg("parameters"), state("velocity"), py::arg("lr"),
             py::arg("momentum"), py::arg("dampening"), py::arg("weight_decay"),
             py::arg("nesterov"), py::arg("first"), doc);
  module.def("adam_step", adam_step, py::arg("parameters"), state("mean"), state("square"),
             py::arg("lr"), py::arg("beta1"), py::arg("beta2"), py::arg("eps"),
             py::arg("weight_decay"), py::arg("decoupled"), py::arg("steps"), doc);
  module.def("rmsprop_step", rmsprop_step, py::arg("parameters"), state("square"), state("mean"),
             state("velocity"), py::arg("lr"), py::arg("alpha"), py::arg("eps"),
             py::arg("weight_decay"), py::arg("momentum"), py::arg("centered"), doc);
  module.def("zero_parameters", zero_parameters, py::arg("parameters"),
             "Set the grad of every parameter to 0. Cost: about 1 ns each.");
  module.def("optimizer_state", optimizer_state, py::arg("count"),
             "A NumPy array of so many zeros: a number to be kept with each parameter.");
  module.def(
      "copy_of_state", copy_of_state, py::arg("source"), py::arg("count"), py::arg("name"),
      "A copy of an array of state.\n\nRaises TypeError unless it is a NumPy array of float64, "
      "ValueError unless it has one dimension and so many numbers; name is for the message.");
}

} // namespace arenagrad::bindings
