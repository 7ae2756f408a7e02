// Runners as Python objects.

#include <algorithm>

#include "point_executable.h"
#include "program.h"

namespace arenagrad::bindings {
namespace {

using Numbers = py::array_t<double, py::array::c_style | py::array::forcecast>;

// (whether all is finite that had to be, result), or None if a guard came out otherwise.
py::object run(const PointExecutable& runner, const Numbers& numbers, const py::object& more,
               const py::object& out, bool any) {
  PointExecutable::Buffers buffers(runner);
  const Numbers extra = more.is_none() ? Numbers(0) : Numbers(more);
  if (static_cast<std::size_t>(numbers.size()) != runner.arguments().numbers() ||
      static_cast<std::size_t>(extra.size()) != runner.input_count() - runner.own_inputs())
    throw py::value_error("a program was given another number of inputs than it has");
  std::copy_n(numbers.data(), numbers.size(), buffers.inputs());
  std::copy_n(extra.data(), extra.size(), buffers.inputs() + runner.own_inputs());
  runner.check_buffers(out);
  const program::Outcome outcome = runner.run(buffers);
  if (outcome.guard != program::kNone) return py::none();
  if (!outcome.finite && !any) return py::make_tuple(false, py::none());
  return py::make_tuple(outcome.finite, runner.result(buffers, out));
}

} // namespace

void bind_runner(py::module_& module) {
  py::class_<PointExecutable, std::shared_ptr<PointExecutable>>(
      module, "PointExecutable", "A program ready to be run on one point.")
      .def(py::init([](const PyTree& arguments, std::shared_ptr<Closure> closure,
                       const ProgramPointer& program, const PyTree& results, int buffered,
                       bool strict) {
             return std::make_shared<PointExecutable>(arguments, std::move(closure), *program,
                                                      results, buffered, strict);
           }),
           py::arg("arguments"), py::arg("closure"), py::arg("program"), py::arg("results"),
           py::arg("buffered"), py::arg("strict"))
      .def_property_readonly(
          "groups", [](const PointExecutable& runner) { return runner.plan().groups(); },
          "Into how many steps its instructions have been grouped.")
      .def_property_readonly(
          "bytes", [](const PointExecutable& runner) { return runner.plan().bytes(); },
          "The memory that it takes.")
      .def(
          "text", [](const PointExecutable& runner) { return runner.plan().text(); },
          "One line a step.")
      .def(
          "run", run, py::arg("numbers"), py::arg("more"), py::arg("out"), py::arg("any"),
          "Whether all is finite that must be, and the result for the numbers of the arguments and "
          "more inputs, which is left out if it is not unless `any` will do. None if a guard came "
          "out otherwise.");
}

} // namespace arenagrad::bindings
