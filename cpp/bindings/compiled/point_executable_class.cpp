// arenagrad._core.compiled.PointExecutable.

#include <algorithm>

#include "bindings/value/instance.h"
#include "point_executable.h"
#include "program.h"

namespace arenagrad::bindings {
namespace {

using Numbers = py::array_t<double, py::array::c_style | py::array::forcecast>;

// (whether all is finite that had to be, whether the result is, result), or None if a guard came
// out otherwise. With `any` the result, whatever guards and checks say.
py::object run_on_numbers(const PointExecutable& executable, const Numbers& numbers,
                          const py::object& more, const py::object& out, bool any) {
  PointExecutable::Buffers buffers(executable);
  const Numbers extra = more.is_none() ? Numbers(0) : Numbers(more);
  if (static_cast<std::size_t>(numbers.size()) != executable.arguments().numbers() ||
      static_cast<std::size_t>(extra.size()) != executable.input_count() - executable.own_inputs())
    throw py::value_error("a program was given another number of inputs than it has");
  std::copy_n(numbers.data(), numbers.size(), buffers.inputs());
  std::copy_n(extra.data(), extra.size(), buffers.inputs() + executable.own_inputs());
  executable.check_out(out);
  const program::Outcome outcome = executable.run(buffers, any);
  if (outcome.guard != program::kNone && !any) return py::none();
  if (!outcome.finite && !any) return py::make_tuple(false, true, py::none());
  return py::make_tuple(outcome.finite, !outcome.overflowed, executable.result(buffers, out));
}

} // namespace

void bind_point_executable(py::module_& module) {
  py::class_<PointExecutable>(module, "PointExecutable", "A program ready to be run on one point.",
                              collected<PointExecutable>())
      .def(py::init([](const PyTree& arguments, const py::object& closure,
                       const ProgramPointer& program, const PyTree& results, int buffered,
                       bool strict) {
             return std::make_unique<PointExecutable>(arguments, closure, *program, results,
                                                      buffered, strict);
           }),
           py::arg("arguments"), py::arg("closure"), py::arg("program"), py::arg("results"),
           py::arg("buffered"), py::arg("strict"))
      .def_property_readonly(
          "groups", [](const PointExecutable& executable) { return executable.plan().groups(); },
          "Into how many steps its instructions have been grouped.")
      .def_property_readonly(
          "bytes", [](const PointExecutable& executable) { return executable.plan().bytes(); },
          "The memory that it takes.")
      .def(
          "text", [](const PointExecutable& executable) { return executable.plan().text(); },
          "One line a step.")
      .def(
          "run", run_on_numbers, py::arg("numbers"), py::arg("more"), py::arg("out"),
          py::arg("any"),
          "Whether all is finite that must be, whether the result is what strict arithmetic has, "
          "or "
          "finite, and the result for the numbers of the arguments and more inputs, which is left "
          "out if a number had to be finite; None if a guard came out otherwise. With `any` always "
          "the result.");
}

} // namespace arenagrad::bindings
