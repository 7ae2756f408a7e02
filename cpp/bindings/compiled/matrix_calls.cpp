// Calls of arenagrad.linalg: matrices of Values, of which each call is one node with a node for
// each result, or the instructions of a trace.
#include <pybind11/stl.h>

#include <cmath>

#include "bindings/functions/lapack.h"
#include "program/point/matrix_functions.h"
#include "recorded_call.h"

namespace arenagrad::bindings {
namespace {

using program::MatrixCall;
using program::MatrixFunction;

MatrixFunction function_named(const std::string& name) {
  constexpr struct {
    const char* name;
    MatrixFunction function;
  } kNames[] = {
      {"cholesky", MatrixFunction::Cholesky}, {"solve", MatrixFunction::Solve},
      {"inv", MatrixFunction::Inverse},       {"det", MatrixFunction::Determinant},
      {"slogdet", MatrixFunction::Slogdet},   {"solve_triangular", MatrixFunction::SolveTriangular},
  };
  for (const auto& [known, function] : kNames)
    if (name == known) return function;
  throw py::value_error("no function of matrices has the name " + name);
}

RecordedCall matrix_operands(const py::list& numbers) {
  RecordedCall operands;
  operands.numbers.reserve(numbers.size());
  operands.values.reserve(numbers.size());
  for (const py::handle number : numbers) {
    const bool is_number = !is_value(number.ptr());
    operands.numbers.push_back(is_number ? need_number(number.ptr(), "an element") : 0.0);
    operands.values.push_back(is_number ? nullptr : number.ptr());
  }
  return operands;
}

// Remembers in the trace under way, if any, whether the call whose state this is has failed.
void decide(const py::object& state, bool failed) {
  if (Trace* trace = tracing())
    trace->compared(state.ptr(), arena().data(node_of(state.ptr())), nullptr, 0.0,
                    program::Relation::Equal, !failed);
}

// The state and the results of a call that asks for no error.
std::vector<py::object> record_unchecked(MatrixCall call, RecordedCall& operands) {
  call.checked = false;
  if (!record_call(program::matrix_function(call), operands, true))
    throw std::logic_error("a call without checks and guards has results");
  return std::move(operands.results);
}

py::object without_state(std::vector<py::object> results) {
  results.erase(results.begin());
  return py::cast(results);
}

// The results but for the state; None where the call fails. In a trace that it has failed is a
// decision; that it has not is one if `decides`, or if its caller would catch an error.
py::object record_matrices(const std::string& name, std::size_t rows, std::size_t columns,
                           bool transposed, bool decides, const py::list& numbers) {
  need_lapack(rows);
  const MatrixCall call{function_named(name), rows, columns, transposed};
  RecordedCall operands = matrix_operands(numbers);
  bool failed = false;
  std::vector<py::object> results;
  if (call.function == MatrixFunction::Slogdet) { // there is one of a singular matrix, too
    results = record_unchecked(call, operands);
  } else if (decides) {
    results = record_unchecked(call, operands);
    failed = std::isnan(arena().data(node_of(results.front().ptr())));
    decide(results.front(), failed);
  } else if (record_call(program::matrix_function(call), operands, false)) {
    results = std::move(operands.results);
  } else {
    failed = true;
    if (tracing() != nullptr) decide(record_unchecked(call, operands).front(), failed);
  }
  operation_done();
  return failed ? py::none() : without_state(std::move(results));
}

} // namespace

void bind_matrix_calls(py::module_& module) {
  module.def("record_matrices", record_matrices, py::arg("function"), py::arg("rows"),
             py::arg("columns"), py::arg("transposed"), py::arg("decides"), py::arg("numbers"),
             "Record one call of a function of matrices: a list of its results, Values, or None "
             "where it fails.\n\nThe numbers, Values or not, are those of matrices row by row. "
             "Whether it fails is a decision of a trace\nunder way if decides, or if it does. "
             "Raises ImportError where SciPy is needed and not there.");
}

} // namespace arenagrad::bindings
