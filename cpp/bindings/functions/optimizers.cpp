// A training step over all parameters in one call.
#include <pybind11/numpy.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "arguments.h"
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
  if (!state.writeable()) throw py::value_error("an array of state is not writeable");
  return state.mutable_data();
}

// The step of a rule as a Python function. Its arguments are the parameters, the rule's arrays of
// state and its settings, all of them needed.
template <class Rule> struct Step {
  static constexpr std::size_t kArrayCount = std::size(Rule::kArrays);
  static constexpr std::size_t kSettingCount = std::size(Rule::kSettings);
  static constexpr std::size_t kCount = 1 + kArrayCount + kSettingCount;

  struct Names {
    const char* all[kCount] = {"parameters"};
    constexpr Names() {
      for (std::size_t k = 0; k < kArrayCount; ++k) all[1 + k] = Rule::kArrays[k];
      for (std::size_t k = 0; k < kSettingCount; ++k)
        all[1 + kArrayCount + k] = Rule::kSettings[k].name;
    }
  };
  static constexpr Names kNames{};

  static Rule read_settings(PyObject* const* given) {
    Rule rule{};
    for (std::size_t k = 0; k < kSettingCount; ++k) {
      const core::Setting<Rule>& setting = Rule::kSettings[k];
      if (setting.number != nullptr) {
        rule.*setting.number = need_number(given[k], setting.label);
        continue;
      }
      const int truth = PyObject_IsTrue(given[k]);
      if (truth < 0) throw py::error_already_set();
      rule.*setting.flag = truth != 0;
    }
    return rule;
  }

  static State array_of(PyObject* given, const char* name) {
    if (!py::isinstance<State>(given))
      throw py::type_error(std::string(name) + " must be a contiguous NumPy array of float64");
    return py::reinterpret_borrow<State>(given);
  }

  template <std::size_t... k>
  static void take(const Rule& rule, PyObject* const* given, std::index_sequence<k...>) {
    State arrays[] = {array_of(given[1 + k], Rule::kArrays[k])...};
    const core::Nodes nodes = parameters_in(given[0]).nodes();
    core::step(arena(), nodes, rule, numbers_in(arrays[k], nodes)...);
  }

  static PyObject* call(PyObject*, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
    try {
      Arguments<kCount> arguments;
      if (!arguments.read(Rule::kStepName, kNames.all, kCount, args, count, keywords))
        return nullptr;
      // The settings come first: reading them may run Python, which may move the nodes.
      const Rule rule = read_settings(arguments.given + 1 + kArrayCount);
      take(rule, arguments.given, std::make_index_sequence<kArrayCount>());
      Py_RETURN_NONE;
    } catch (...) {
      set_python_error();
      return nullptr;
    }
  }

  // The signature, and the text of all steps.
  static const char* doc() {
    static const std::string text = [] {
      std::string signature = std::string(Rule::kStepName) + "(";
      for (const char* name : kNames.all) signature += std::string(name) + ", ";
      signature.replace(signature.size() - 2, 2, ")\n--\n\n");
      return signature + "Take one step of the rule over all parameters.\n\n"
                         "The arrays of state are changed in place and hold one number for each "
                         "parameter; the rest is as in arenagrad.optim. Raises TypeError and "
                         "ValueError for what is of another kind or size, before anything changes.";
    }();
    return text.c_str();
  }
};

template <class... Rules> void bind_steps(py::module_& module, const core::RuleList<Rules...>&) {
  static PyMethodDef definitions[] = {
      definition(Rules::kStepName, Step<Rules>::call, Step<Rules>::doc())...,
      {nullptr, nullptr, 0, nullptr}};
  if (PyModule_AddFunctions(module.ptr(), definitions) != 0) throw py::error_already_set();
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
  bind_steps(module, core::OptimizerRules{});
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
