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

void add(RecordedCall& given, const Doubles& more, const PlacedValues& placed) {
  const std::size_t begin = given.numbers.size();
  given.numbers.insert(given.numbers.end(), more.data(), more.data() + more.size());
  given.values.resize(given.numbers.size(), nullptr);
  for (const auto& [place, value] : placed) given.add_value(begin + place, value.ptr());
}

void add(RecordedCall& given, const Closure& closure) {
  const std::size_t begin = given.numbers.size();
  given.numbers.resize(begin + closure.size());
  given.values.resize(given.numbers.size(), nullptr);
  for (std::size_t k = 0; k < closure.size(); ++k)
    given.add_value(begin + k, closure.values()[k].ptr());
}

void add(RecordedCall& given, const py::handle& one, const char* what) {
  const bool alone = !is_value(one.ptr());
  given.numbers.push_back(alone ? need_number(one.ptr(), what) : 0.0);
  given.values.push_back(alone ? nullptr : one.ptr());
}

// The same of the numbers of the arguments, of the closure, and what else a call gives: a list, or
// None.
py::object record(const RecordedFunctionPointer& function, const Doubles& numbers,
                  const PlacedValues& values, const Closure& closure, const Doubles& more,
                  const PlacedValues& more_values, bool is_taken) {
  RecordedCall given;
  add(given, numbers, values);
  add(given, closure);
  add(given, more, more_values);
  if (given.numbers.size() != function->program().input_count)
    throw py::value_error("a program was given another number of inputs than it has");
  return record_call(function, given, is_taken) ? py::object(py::cast(given.results)) : py::none();
}

// A Value of these partials by the operands, and of no others.
py::object with_partials(const py::object& value, const py::list& operands,
                         const py::list& partials) {
  if (operands.size() != partials.size())
    throw py::value_error("a value must have as many partials as operands");
  RecordedCall given;
  add(given, value, "a value");
  for (const py::handle operand : operands) add(given, operand, "an operand");
  for (const py::handle partial : partials) add(given, partial, "a partial");
  if (!record_call(program::value_with_partials(operands.size()), given, true))
    throw std::logic_error("a value with partials has no guards that could fail");
  return given.results.front();
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

void RecordedCall::add_value(std::size_t place, PyObject* value) {
  if (!is_value(value)) throw py::type_error("an operand of a call must be a Value");
  values.at(place) = value;
}

bool record_call(RecordedFunctionPointer function, RecordedCall& call, bool is_taken) {
  std::vector<double>& inputs = call.numbers;
  const std::size_t count = inputs.size();
  for (std::size_t k = 0; k < count; ++k)
    if (call.values[k] != nullptr) inputs[k] = arena().data(node_of(call.values[k]));
  inputs.resize(count + function->results());
  program::CallFailures failures;
  program::Outcome outcome;
  {
    const program::Calls calls(failures);
    outcome = function->evaluate(inputs.data(), inputs.data() + count);
  }
  if (!outcome.good() || failures.any()) {
    if (!is_taken) {
      inputs.resize(count);
      return false;
    }
    if (failures.any()) throw program::CallFailed(failures.error());
    function->refuse(inputs.data());
  }
  record_known(std::move(function), call);
  return true;
}

void record_known(RecordedFunctionPointer function, RecordedCall& call) {
  const std::size_t width = function->results(), count = call.numbers.size() - width;
  const double* const primals = call.numbers.data() + count;
  call.results.resize(width);
  std::vector<NodeId> leaves; // what the results may become without a graph
  Arena& g = arena();
  g.reserve(count + 1 + width, count);
  if (g.detaching()) leaves.reserve(width);
  const Recording recording;
  NodeId* const edges = g.next_edges();
  for (std::size_t k = 0; k < count; ++k)
    edges[k] = call.values[k] != nullptr ? use(call.values[k]) : g.push_leaf(call.numbers[k]);
  const bool decides = tracing() != nullptr && may_differ(function->program());
  const NodeId node = g.push_function(std::move(function), count);
  for (std::size_t k = 0; k < width; ++k)
    g.push(core::Op::FunctionResult, primals[k], {node, static_cast<NodeId>(k)});
  if (decides) note_fallible(node);
  if (g.detaching()) {
    for (std::size_t k = 0; k < width; ++k) leaves.push_back(node + 1 + static_cast<NodeId>(k));
    recording.finish(leaves);
  }
  {
    const Arena::Frozen frozen(g); // making Values may run a collection
    for (std::size_t k = 0; k < width; ++k) {
      const NodeId result = leaves.empty() ? node + 1 + static_cast<NodeId>(k) : leaves[k];
      call.results[k] = py::reinterpret_steal<py::object>(new_value(result));
    }
  }
  operation_done();
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
