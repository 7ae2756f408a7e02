// arenagrad._core.compiled.RecordedFunction: a program called on Values, which records one call in
// the arena. A trace under way takes the program's instructions into its own.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>

#include "bindings/pytree/pytree.h"
#include "bindings/value/record.h"
#include "closure.h"
#include "program.h"
#include "program/passes/builder.h"
#include "program/point/point_function.h"

namespace arenagrad::bindings {
namespace {

using core::Arena;
using core::NodeId;
using program::PointFunction;
using FunctionPointer = std::shared_ptr<PointFunction>;
using Doubles = py::array_t<double, py::array::c_style | py::array::forcecast>;

// Whether another run may come out otherwise, so that a trace must keep it whatever uses it.
bool may_differ(const program::Program& program) {
  return !program.guards.empty() ||
         std::ranges::any_of(program.instructions, &program::Instruction::checked);
}

// The Values of the nodes that have just been recorded.
py::list values_of(const std::vector<NodeId>& nodes) {
  const Arena::Frozen frozen(arena()); // making Values may run a collection
  py::list values(nodes.size());
  for (std::size_t k = 0; k < nodes.size(); ++k)
    values[k] = py::reinterpret_steal<py::object>(new_value(nodes[k]));
  return values;
}

// The operands of a call: numbers, of which some are those of Values.
struct CallOperands {
  std::vector<double> numbers;
  std::vector<PyObject*> values; // null where there is a number alone

  void add(const Doubles& more, const PlacedValues& placed) {
    const std::size_t begin = numbers.size();
    numbers.insert(numbers.end(), more.data(), more.data() + more.size());
    values.resize(numbers.size(), nullptr);
    for (const auto& [place, value] : placed) add_value(begin + place, value);
  }
  void add(const Closure& closure) {
    const std::size_t begin = numbers.size();
    numbers.resize(begin + closure.size());
    values.resize(numbers.size(), nullptr);
    for (std::size_t k = 0; k < closure.size(); ++k) add_value(begin + k, closure.values()[k]);
  }

  void add(const py::handle& one, const char* what) {
    const bool alone = !is_value(one.ptr());
    numbers.push_back(alone ? need_number(one.ptr(), what) : 0.0);
    values.push_back(alone ? nullptr : one.ptr());
  }

private:
  void add_value(std::size_t place, const py::object& value) {
    if (!is_value(value.ptr())) throw py::type_error("an operand of a call must be a Value");
    values.at(place) = value.ptr();
  }
};

// The results of the program on these operands, Values.
py::list record(const FunctionPointer& function, CallOperands& given) {
  const std::size_t count = function->program().input_count, width = function->results();
  if (given.numbers.size() != count)
    throw py::value_error("a program was given another number of inputs than it has");
  const std::vector<PyObject*>& operands = given.values;
  std::vector<double>& inputs = given.numbers;
  std::vector<NodeId> results(width);
  std::vector<double> primals(width);
  Arena& g = arena();
  g.reserve(count + 1 + width, count);
  for (std::size_t k = 0; k < count; ++k)
    if (operands[k] != nullptr) inputs[k] = g.data(node_of(operands[k]));
  if (!function->evaluate(inputs.data(), primals.data()))
    throw std::runtime_error("the Values of a call were changed while it was recorded");
  const Recording recording;
  NodeId* const edges = g.next_edges();
  for (std::size_t k = 0; k < count; ++k)
    edges[k] = operands[k] != nullptr ? use(operands[k]) : g.push_leaf(inputs[k]);
  const NodeId call = g.push_function(function, count);
  for (std::size_t k = 0; k < width; ++k)
    results[k] = g.push(core::Op::FunctionResult, primals[k], {call, static_cast<NodeId>(k)});
  if (may_differ(function->program())) note_fallible(call);
  recording.finish(results);
  return values_of(results);
}

// The same for the numbers of the arguments, of the closure, and what else a call gives.
py::list record_call(const FunctionPointer& function, const Doubles& numbers,
                     const PlacedValues& values, const Closure& closure, const Doubles& more,
                     const PlacedValues& more_values) {
  CallOperands given;
  given.add(numbers, values);
  given.add(closure);
  given.add(more, more_values);
  return record(function, given);
}

// The function of a value, n operands and its partials by them: the value.
FunctionPointer value_with_partials(std::size_t n) {
  static std::vector<FunctionPointer> made;
  if (made.size() <= n) made.resize(n + 1);
  if (made[n] == nullptr) {
    program::Builder builder(program::Passes::none());
    std::vector<program::Index> operands;
    for (std::size_t k = 0; k < 2 * n + 1; ++k) operands.push_back(builder.input());
    builder.output(builder.emit_many(program::Opcode::WithPartials, operands));
    made[n] = std::make_shared<PointFunction>(builder.finish(), false);
  }
  return made[n];
}

// A Value of these partials by the operands, and of no others.
py::object with_partials(const py::object& value, const py::list& operands,
                         const py::list& partials) {
  if (operands.size() != partials.size())
    throw py::value_error("a value must have as many partials as operands");
  CallOperands given;
  given.add(value, "a value");
  for (const py::handle operand : operands) given.add(operand, "an operand");
  for (const py::handle partial : partials) given.add(partial, "a partial");
  return record(value_with_partials(operands.size()), given)[0];
}

// Whether what is computed from the Values of a closure belongs to a graph or a trace.
bool is_recorded(const Closure& closure) {
  return std::ranges::any_of(closure.values(), [](const py::object& value) {
    return tracing() != nullptr || arena().op(node_of(value.ptr())) != core::Op::Leaf;
  });
}

} // namespace

void bind_recorded_call(py::module_& module) {
  py::class_<PointFunction, FunctionPointer>(
      module, "RecordedFunction", "A program as the function of calls that are recorded.")
      .def(py::init([](const ProgramPointer& program, bool strict) {
             return std::make_shared<PointFunction>(*program, strict);
           }),
           py::arg("program"), py::arg("strict"))
      .def("record", record_call, py::arg("numbers"), py::arg("values"), py::arg("closure"),
           py::arg("more"), py::arg("more_values"),
           "A list of the results, Values. The operands are numbers, with pairs of a place among "
           "them and the\nValue that is there; the closure; and more such numbers and Values.");
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
