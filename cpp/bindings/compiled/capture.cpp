// Runs a function once on Values and keeps what it did as a program.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <unordered_set>

#include "bindings/pytree/pytree.h"
#include "bindings/value/record.h"
#include "closure.h"
#include "program.h"

namespace arenagrad::bindings {
namespace {

using Kind = TreeNode::Kind;
using Numbers = py::array_t<double, py::array::c_style | py::array::forcecast>;

py::object new_leaf(double number) {
  auto leaf = py::reinterpret_steal<py::object>(
      recorded(1, [&](core::Arena& g) { return g.push_leaf(number); }));
  if (!leaf) throw py::error_already_set();
  return leaf;
}

// A Value in two places cannot have a derivative by either.
void refuse_twice(const std::vector<py::object>& leaves) {
  std::unordered_set<PyObject*> met;
  for (const py::object& leaf : leaves)
    if (!met.insert(leaf.ptr()).second)
      throw py::value_error("the Modules that a compiled function is given must not have a Value "
                            "twice among their parameters()");
}

py::tuple capture(const py::object& function, const PyTree& arguments, const Numbers& numbers,
                  bool strict) {
  if (static_cast<std::size_t>(numbers.size()) != arguments.numbers())
    throw py::value_error("a function is traced with as many numbers as its arguments have");
  program::Captured captured;
  Results results;
  std::vector<py::object> outer;
  {
    Trace trace;
    std::vector<py::object> leaves;
    const double* next = numbers.data();
    for (const TreeNode& branch : arguments.branches()) {
      if (branch.children != 0) continue;
      if (branch.kind == Kind::Module) {
        for (const py::handle value : parameters_of(branch.extra.ptr())) {
          leaves.push_back(py::reinterpret_borrow<py::object>(value));
          trace.input_of(value.ptr());
        }
        next += branch.numbers;
      } else {
        for (std::size_t k = 0; k < branch.numbers; ++k) leaves.push_back(trace.input(*next++));
      }
    }
    refuse_twice(leaves);
    if (leaves.size() != arguments.numbers())
      throw py::value_error("parameters() of a Module gave another number of Values than before");
    const py::tuple given = arguments.make_of(leaves);
    results = read_results(function(*given));
    captured = trace.finish(results.values, passes_before_derivatives(strict));
    for (const core::NodeId node : captured.outer)
      outer.push_back(py::reinterpret_steal<py::object>(object_of(node)));
  }
  return py::make_tuple(std::make_shared<program::Program>(std::move(captured.program)),
                        results.tree, std::make_shared<Closure>(std::move(outer)));
}

// What the function gives for Values of these numbers, as it is.
py::object call_on_values(const py::object& function, const PyTree& arguments,
                          const Numbers& numbers) {
  std::vector<py::object> leaves;
  leaves.reserve(arguments.numbers());
  const double* next = numbers.data();
  for (std::size_t k = 0; k < arguments.numbers(); ++k) leaves.push_back(new_leaf(*next++));
  const py::tuple given = arguments.make_of(leaves);
  return function(*given);
}

std::shared_ptr<Closure> closure_of(const py::tuple& given) {
  std::vector<py::object> values;
  for (const py::handle value : given) {
    if (!is_value(value.ptr()))
      throw core::FormatError("the closure of a compiled function must hold Values");
    values.push_back(py::reinterpret_borrow<py::object>(value));
  }
  return std::make_shared<Closure>(std::move(values));
}

} // namespace

void bind_capture(py::module_& module) {
  py::class_<Closure, std::shared_ptr<Closure>>(
      module, "Closure", "The Values that a compiled function uses and was not given.")
      .def(py::init(&closure_of), py::arg("values"))
      .def("__reduce__",
           [](const py::object& self) {
             const auto& values = self.cast<const Closure&>().values();
             return py::make_tuple(py::type::of(self), py::make_tuple(py::tuple(py::cast(values))));
           })
      .def("__len__", &Closure::size)
      .def_property_readonly(
          "values", [](const Closure& closure) { return closure.values(); }, "The Values.")
      .def(
          "numbers",
          [](const Closure& closure) {
            py::array_t<double> numbers(static_cast<py::ssize_t>(closure.size()));
            closure.read(numbers.mutable_data());
            return numbers;
          },
          "Their data as it is now.");
  module.def("call_on_values", call_on_values, py::arg("function"), py::arg("arguments"),
             py::arg("numbers"), "Run a function on Values of these numbers: what it gives.");
  module.def("capture", capture, py::arg("function"), py::arg("arguments"), py::arg("numbers"),
             py::arg("strict"),
             "Run a function on Values of these numbers: its program, the structure of its "
             "results, and its closure.");
}

} // namespace arenagrad::bindings
