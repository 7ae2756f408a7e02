// Runs a function once on Values and keeps what it did as a program.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <unordered_set>

#include "bindings/pytree/flatten.h"
#include "bindings/pytree/module_parameters.h"
#include "bindings/pytree/unflatten.h"
#include "bindings/value/record.h"
#include "closure.h"
#include "core/counted.h"
#include "program.h"

namespace arenagrad::bindings {
namespace {

using Kind = TreeNode::Kind;
using Numbers = py::array_t<double, py::array::c_style | py::array::forcecast>;

// A Value in two places cannot have a derivative by either.
void refuse_twice(const std::vector<py::object>& leaves) {
  std::unordered_set<PyObject*> met;
  for (const py::object& leaf : leaves)
    if (!met.insert(leaf.ptr()).second)
      throw py::value_error("the Modules that a compiled function is given must not have a Value "
                            "twice among their parameters()");
}

// A Value for each number of the arguments: new ones, and the parameters of Modules as they are.
std::vector<py::object> inputs_of_trace(Trace& trace, const PyTree& arguments,
                                        const double* numbers) {
  std::vector<py::object> leaves;
  for (const TreeNode& node : arguments.nodes()) {
    if (node.children != 0) continue;
    if (node.kind == Kind::Module) {
      for (const py::handle value : parameters_of(node.extra.ptr())) {
        leaves.push_back(py::reinterpret_borrow<py::object>(value));
        trace.input_of(value.ptr());
      }
      numbers += node.numbers;
    } else {
      for (std::size_t k = 0; k < node.numbers; ++k) leaves.push_back(trace.input(*numbers++));
    }
  }
  refuse_twice(leaves);
  if (leaves.size() != arguments.numbers())
    throw py::value_error("parameters() of a Module gave another number of Values than before");
  return leaves;
}

// What the function gives; the last of the arguments is a dict of those by name if there are such.
py::object called(const py::object& function, const py::tuple& given, bool has_keywords) {
  const auto count = static_cast<Py_ssize_t>(given.size()) - has_keywords;
  const auto by_position =
      py::reinterpret_steal<py::object>(PyTuple_GetSlice(given.ptr(), 0, count));
  if (!by_position) throw py::error_already_set();
  PyObject* const by_name = has_keywords ? PyTuple_GET_ITEM(given.ptr(), count) : nullptr;
  auto result =
      py::reinterpret_steal<py::object>(PyObject_Call(function.ptr(), by_position.ptr(), by_name));
  if (!result) throw py::error_already_set();
  return result;
}

py::tuple capture(const py::object& function, const PyTree& arguments, const Numbers& numbers,
                  bool strict, const py::object& catches) {
  if (static_cast<std::size_t>(numbers.size()) != arguments.numbers())
    throw py::value_error("a function is traced with as many numbers as its arguments have");
  program::Captured captured;
  FlatResults results;
  std::vector<py::object> outer;
  {
    Trace trace; // ends before anything below can run code of the user
    const py::tuple given =
        unflatten_values(arguments, inputs_of_trace(trace, arguments, numbers.data()));
    results = flatten_results(called(function, given, arguments.has_keywords()), arguments);
    captured = trace.finish(results.values, passes_before_derivatives(strict), catches);
    for (const core::NodeId node : captured.outer)
      outer.push_back(py::reinterpret_steal<py::object>(object_of(node)));
  }
  return py::make_tuple(std::make_shared<program::Program>(std::move(captured.program)),
                        std::move(results.structure), std::make_unique<Closure>(std::move(outer)));
}

// The function called on Values that it was given. They compare by number in it.
py::object call_by_number(const py::object& function, const py::tuple& arguments,
                          const py::dict& keywords) {
  const core::Counted calling(compiled_calls);
  return function(*arguments, **keywords);
}

// The exception, with which the trace under way ends whether the function catches it or not.
py::object refusal(py::object exception) {
  if (Trace* trace = tracing()) trace->refused(exception);
  return exception;
}

} // namespace

void bind_capture(py::module_& module) {
  module.def("call_by_number", call_by_number, py::arg("function"), py::arg("arguments"),
             py::arg("keywords") = py::dict(),
             "Call a function in which Values compare by number.");
  module.def("refusal", refusal, py::arg("exception"),
             "The exception, to be raised: a function being traced cannot catch it for good.");
  module.def("capture", capture, py::arg("function"), py::arg("arguments"), py::arg("numbers"),
             py::arg("strict"), py::arg("catches") = py::none(),
             "Run a function on Values of these numbers: its program, the structure of its "
             "results, and its closure. Operations that can fail are decisions where catches(code, "
             "offset) says that the code would go on after an error there.");
}

} // namespace arenagrad::bindings
