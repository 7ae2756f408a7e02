// arenagrad._core.compiled.Program: programs are made from one another, never changed.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>

#include "bindings/functions/lapack.h"
#include "bindings/functions/special.h"
#include "bindings/value/gil.h"
#include "callback.h"
#include "program.h"
#include "program/ir/analysis.h"
#include "program/ir/domain_check.h"
#include "program/ir/matrix.h"
#include "program/ir/program_format.h"
#include "program/passes/differentiate.h"
#include "program/passes/select_outputs.h"

namespace arenagrad::bindings {
namespace {

using program::Index;
using program::Opcode;
using program::Program;
using Indices = std::vector<Index>;
using Varies = std::vector<std::uint8_t>;
using Inputs = py::array_t<double, py::array::c_style | py::array::forcecast>;

ProgramPointer to_pointer(Program&& program) {
  return std::make_shared<Program>(std::move(program));
}

// Programs are long, and making one from another needs nothing of Python's.
template <class Make> ProgramPointer make_without_gil(Make&& make) {
  const ReleasedGil released;
  return to_pointer(make());
}

py::bytes bytes_of_program(const ProgramPointer& of) {
  std::string bytes;
  {
    const ReleasedGil released;
    bytes = program::write_program(*of);
  }
  return bytes;
}

using Callbacks = std::vector<std::shared_ptr<PythonCallback>>;

ProgramPointer program_of_bytes(const py::bytes& bytes, const Callbacks& called) {
  const std::string_view view = bytes;
  const std::vector<program::CallbackPointer> callbacks(called.begin(), called.end());
  ProgramPointer program = make_without_gil([&] { return program::read_program(view, callbacks); });
  need_functions_of(*program);
  return program;
}

// All are made by pure_callback(). None is changed.
Callbacks callbacks_of(const ProgramPointer& program) {
  Callbacks callbacks;
  for (const program::CallbackPointer& callback : program->callbacks)
    callbacks.push_back(std::const_pointer_cast<PythonCallback>(
        std::dynamic_pointer_cast<const PythonCallback>(callback)));
  return callbacks;
}

py::dict counts_of(const Program& program) {
  std::size_t of[program::kOpcodeCount] = {};
  for (const program::Instruction& i : program.instructions)
    ++of[static_cast<std::size_t>(i.opcode)];
  py::dict counts;
  for (std::size_t code = 0; code < program::kOpcodeCount; ++code)
    if (of[code] != 0) counts[program::opcode_name(static_cast<Opcode>(code))] = of[code];
  return counts;
}

py::tuple jacobian_of_program(const ProgramPointer& of, const Indices& inputs, const Varies& varies,
                              bool strict, Index outputs, const std::string& direction) {
  program::Jacobian jacobian;
  const auto by = direction == "reverse"   ? program::Direction::Reverse
                  : direction == "forward" ? program::Direction::Forward
                                           : program::Direction::Cheaper;
  {
    const ReleasedGil released;
    jacobian = program::jacobian(*of, {inputs, varies, outputs}, passes_for(strict), by);
  }
  return py::make_tuple(to_pointer(std::move(jacobian.program)), jacobian.rows, jacobian.columns,
                        jacobian.by_reverse);
}

using ProgramClass = py::class_<Program, ProgramPointer>;

void bind_figures(ProgramClass& cls) {
  cls.def("__len__", &Program::size)
      .def_readonly("inputs", &Program::input_count, "How many numbers it reads.")
      .def_property_readonly(
          "outputs", [](const Program& p) { return p.outputs.size(); },
          "How many numbers it gives.")
      .def_property_readonly(
          "guards", [](const Program& p) { return p.guards.size(); },
          "How many comparisons must come out as they did when it was recorded.")
      .def_property_readonly(
          "checks",
          [](const Program& p) {
            return std::ranges::count_if(p.instructions, &program::Instruction::checked);
          },
          "How many operations it checks, which can fail and did not when it was recorded.")
      .def_property_readonly("may_overflow_otherwise", &program::may_overflow_otherwise,
                             "Whether its arithmetic may overflow where that of the function does "
                             "not, or the other way round.")
      .def_property_readonly("bytes", &Program::bytes, "The memory it takes.")
      .def_property_readonly("counts", counts_of, "How many instructions of each kind it has.")
      .def("text", &Program::text, "One line an instruction.")
      .def(
          "same_as",
          [](const Program& one, const Program& other) { return program::same(one, other); },
          py::arg("other"), "Whether both are the same, bit by bit.");
}

void bind_transforms(ProgramClass& cls) {
  cls.def(
         "optimised",
         [](const ProgramPointer& p, bool strict) {
           return make_without_gil([&] { return program::optimise(*p, passes_for(strict)); });
         },
         py::arg("strict"), "A shorter program with the same results.")
      .def(
          "select",
          [](const ProgramPointer& p, const std::vector<py::ssize_t>& which) {
            Indices outputs;
            for (const py::ssize_t k : which) {
              if (k >= static_cast<py::ssize_t>(p->outputs.size()))
                throw py::index_error("a program has no such output");
              outputs.push_back(k < 0 ? program::kNone : static_cast<Index>(k));
            }
            return make_without_gil([&] { return program::select_outputs(*p, outputs); });
          },
          py::arg("which"), "The program of these outputs; 0 for each negative number.")
      .def(
          "reverse",
          [](const ProgramPointer& p, const Indices& inputs, const Varies& varies, bool seeded,
             bool strict, Index outputs) {
            return make_without_gil([&] {
              return program::reverse(*p, {inputs, varies, outputs}, seeded, passes_for(strict));
            });
          },
          py::arg("inputs"), py::arg("varies"), py::arg("seeded"), py::arg("strict"),
          py::arg("outputs") = program::kNone,
          "The outputs, then the sum of the derivatives of the first `outputs` of them by each of "
          "these inputs; seeded: times cotangents, which are inputs behind the others.")
      .def(
          "tangent",
          [](const ProgramPointer& p, const Indices& inputs, bool strict) {
            return make_without_gil(
                [&] { return program::tangent(*p, {inputs, {}}, passes_for(strict)); });
          },
          py::arg("inputs"), py::arg("strict"),
          "The outputs, then the tangent of each, given one of each of these inputs behind the "
          "others.")
      .def(
          "jacobian", jacobian_of_program, py::arg("inputs"), py::arg("varies"), py::arg("strict"),
          py::arg("outputs") = program::kNone, py::arg("direction") = "cheaper",
          "The outputs, then the derivatives of the first `outputs` of them that are not always 0; "
          "their rows and columns, and whether they come from reverse sweeps, as direction may "
          "say.")
      .def(
          "summed",
          [](const ProgramPointer& p, bool strict) {
            return make_without_gil(
                [&] { return program::summed(*p, passes_before_derivatives(strict)); });
          },
          py::arg("strict"), "Its outputs summed over the rows of a batch.");
}

// The inputs of a program, checked to be as many as it has.
const double* inputs_of(const Program& program, const Inputs& inputs) {
  if (static_cast<std::size_t>(inputs.size()) != program.input_count)
    throw py::value_error("a program was given another number of inputs than it has");
  return inputs.data();
}

void bind_checks(ProgramClass& cls) {
  cls.def(
         "refuse",
         [](const Program& p, const Inputs& inputs, bool partials_only) {
           program::check_domain(p, inputs_of(p, inputs), checks_of(partials_only));
         },
         py::arg("inputs"), py::arg("partials_only") = false,
         "Raise the error of the first operation that fails on these inputs; partials_only: of the "
         "first partial that nobody has.")
      .def_property_readonly(
          "lacks_partials", [](const Program& p) { return program::lacks_partials(p); },
          "Whether there are partials in it that nobody has.")
      .def(
          "may_refuse",
          [](const Program& p, const Inputs& inputs) {
            return program::may_refuse(p, inputs_of(p, inputs));
          },
          py::arg("inputs"), "Whether an operation fails, or may have failed, on these inputs.");
}

} // namespace

void need_functions_of(const Program& program) {
  for (const program::Instruction& at : program.instructions)
    if (program::is_table_opcode(at.opcode))
      need_special(program::op_of(at.opcode));
    else if (program::is_matrix(at.opcode))
      need_lapack(program::matrix_shape(program, at).rows);
    else if (program::has_shapes(at.opcode))
      need_special(program::op_with_shapes(at.opcode));
}

void bind_program(py::module_& module) {
  ProgramClass cls(module, "Program", "A linear program: what a function does to its inputs.");
  bind_figures(cls);
  bind_transforms(cls);
  bind_checks(cls);
  cls.def("to_bytes", bytes_of_program, "The program in the bytes of a file.")
      .def(py::init(&program_of_bytes), py::arg("bytes"), py::arg("callbacks") = py::tuple())
      .def_property_readonly("callbacks", callbacks_of, "The functions that it calls.")
      .def("__reduce__", [](const py::object& self) {
        const auto program = self.cast<ProgramPointer>();
        const py::bytes bytes = bytes_of_program(program);
        py::tuple parts = py::make_tuple(bytes);
        if (!program->callbacks.empty()) parts = py::make_tuple(bytes, callbacks_of(program));
        return py::make_tuple(py::type::of(self), parts);
      });
}

} // namespace arenagrad::bindings
