// arenagrad._core.compiled.RecordedFunction: a program called on Values, which records one call in
// the arena. A trace under way takes the program's instructions into its own.
#include "recorded_call.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>

#include "bindings/pytree/pytree.h"
#include "bindings/value/record.h"
#include "closure.h"
#include "program.h"

namespace arenagrad::bindings {
namespace {

using core::Arena;
using core::NodeId;
using Doubles = py::array_t<double, py::array::c_style | py::array::forcecast>;

// Whether another run may come out otherwise, so that a trace must keep it whatever uses it.
bool may_differ(const program::Program& program) {
  return !program.guards.empty() ||
         std::ranges::any_of(program.instructions, &program::Instruction::checked);
}

// The Values of the nodes that have just been recorded.
std::vector<py::object> values_of(const std::vector<NodeId>& nodes) {
  const Arena::Frozen frozen(arena()); // making Values may run a collection
  std::vector<py::object> values;
  values.reserve(nodes.size());
  for (const NodeId node : nodes)
    values.push_back(py::reinterpret_steal<py::object>(new_value(node)));
  return values;
}

void add(CallOperands& given, const Doubles& more, const PlacedValues& placed) {
  const std::size_t begin = given.numbers.size();
  given.numbers.insert(given.numbers.end(), more.data(), more.data() + more.size());
  given.values.resize(given.numbers.size(), nullptr);
  for (const auto& [place, value] : placed) given.add_value(begin + place, value.ptr());
}

void add(CallOperands& given, const Closure& closure) {
  const std::size_t begin = given.numbers.size();
  given.numbers.resize(begin + closure.size());
  given.values.resize(given.numbers.size(), nullptr);
  for (std::size_t k = 0; k < closure.size(); ++k)
    given.add_value(begin + k, closure.values()[k].ptr());
}

void add(CallOperands& given, const py::handle& one, const char* what) {
  const bool alone = !is_value(one.ptr());
  given.numbers.push_back(alone ? need_number(one.ptr(), what) : 0.0);
  given.values.push_back(alone ? nullptr : one.ptr());
}

// The same of the numbers of the arguments, of the closure, and what else a call gives: a list, or
// None.
py::object record(const RecordedFunctionPointer& function, const Doubles& numbers,
                  const PlacedValues& values, const Closure& closure, const Doubles& more,
                  const PlacedValues& more_values, bool is_taken) {
  CallOperands given;
  add(given, numbers, values);
  add(given, closure);
  add(given, more, more_values);
  if (given.numbers.size() != function->program().input_count)
    throw py::value_error("a program was given another number of inputs than it has");
  const auto results = record_call(function, given, is_taken);
  return results ? py::object(py::cast(*results)) : py::none();
}

// A Value of these partials by the operands, and of no others.
py::object with_partials(const py::object& value, const py::list& operands,
                         const py::list& partials) {
  if (operands.size() != partials.size())
    throw py::value_error("a value must have as many partials as operands");
  CallOperands given;
  add(given, value, "a value");
  for (const py::handle operand : operands) add(given, operand, "an operand");
  for (const py::handle partial : partials) add(given, partial, "a partial");
  const auto results = record_call(program::value_with_partials(operands.size()), given, true);
  if (!results) throw std::logic_error("a value with partials has no guards that could fail");
  return results->front();
}

// Whether what is computed from the Values of a closure belongs to a graph or a trace.
bool is_recorded(const Closure& closure) {
  return std::ranges::any_of(closure.values(), [](const py::object& value) {
    return tracing() != nullptr || arena().op(node_of(value.ptr())) != core::Op::Leaf;
  });
}

std::shared_ptr<const core::Function> read_function(std::string_view bytes) {
  auto function = program::read_point_function(bytes);
  need_functions_of(function->program());
  return function;
}

} // namespace

void CallOperands::add_value(std::size_t place, PyObject* value) {
  if (!is_value(value)) throw py::type_error("an operand of a call must be a Value");
  values.at(place) = value;
}

std::optional<std::vector<py::object>> record_call(const RecordedFunctionPointer& function,
                                                   CallOperands& given, bool is_taken) {
  std::vector<double>& inputs = given.numbers;
  std::vector<double> primals(function->results());
  for (std::size_t k = 0; k < inputs.size(); ++k)
    if (given.values[k] != nullptr) inputs[k] = arena().data(node_of(given.values[k]));
  program::CallFailures failures;
  program::Outcome outcome;
  {
    const program::Calls calls(failures);
    outcome = function->evaluate(inputs.data(), primals.data());
  }
  if (!outcome.good() || failures.any()) {
    if (!is_taken) return std::nullopt;
    if (failures.any()) throw program::CallFailed(failures.error());
    function->refuse(inputs.data());
  }
  return record_known(function, given, primals);
}

std::vector<py::object> record_known(const RecordedFunctionPointer& function,
                                     const CallOperands& given,
                                     const std::vector<double>& primals) {
  const std::vector<PyObject*>& operands = given.values;
  const std::vector<double>& inputs = given.numbers;
  const std::size_t count = inputs.size(), width = primals.size();
  std::vector<NodeId> results(width);
  Arena& g = arena();
  g.reserve(count + 1 + width, count);
  const Recording recording;
  NodeId* const edges = g.next_edges();
  for (std::size_t k = 0; k < count; ++k)
    edges[k] = operands[k] != nullptr ? use(operands[k]) : g.push_leaf(inputs[k]);
  const NodeId call = g.push_function(function, count);
  for (std::size_t k = 0; k < width; ++k)
    results[k] = g.push(core::Op::FunctionResult, primals[k], {call, static_cast<NodeId>(k)});
  if (may_differ(function->program())) note_fallible(call);
  recording.finish(results);
  std::vector<py::object> values = values_of(results);
  operation_done();
  return values;
}

void bind_recorded_call(py::module_& module) {
  core::read_function = read_function;
  py::class_<RecordedFunction, RecordedFunctionPointer>(
      module, "RecordedFunction", "A program as the function of calls that are recorded.")
      .def(py::init([](const ProgramPointer& program, bool strict) {
             return std::make_shared<RecordedFunction>(*program, strict);
           }),
           py::arg("program"), py::arg("strict"))
      .def("record", record, py::arg("numbers"), py::arg("values"), py::arg("closure"),
           py::arg("more"), py::arg("more_values"), py::arg("is_taken"),
           "A list of the results, Values; None if the numbers may take another variant, unless "
           "they are known not to.\nThe operands are numbers, with pairs of a place among them and "
           "the\nValue that is there; the closure; and more such numbers and Values.");
  module.def("with_partials", with_partials, py::arg("value"), py::arg("operands"),
             py::arg("partials"),
             "A Value of these partials by the operands, and of no others, which can be "
             "differentiated in turn.\n\nAll may be Values or numbers. Raises ValueError unless "
             "operands and partials are equally many.");
  module.def(
      "is_recorded", is_recorded, py::arg("closure"),
      "Whether what is computed from a closure belongs to a graph, or to a trace under way.");
  module.def(
      "is_tracing", [] { return tracing() != nullptr; },
      "Whether a function is being traced in this thread.");
}

} // namespace arenagrad::bindings
