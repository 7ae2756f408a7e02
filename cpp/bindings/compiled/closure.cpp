// arenagrad._core.compiled.Closure.
#include "closure.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include "bindings/value/instance.h"

namespace arenagrad::bindings {
namespace {

std::unique_ptr<Closure> closure_of(const py::tuple& given) {
  std::vector<py::object> values;
  for (const py::handle value : given) {
    if (!is_value(value.ptr()))
      throw core::FormatError("the closure of a compiled function must hold Values");
    values.push_back(py::reinterpret_borrow<py::object>(value));
  }
  return std::make_unique<Closure>(std::move(values));
}

py::array_t<double> numbers_of_closure(const Closure& closure) {
  py::array_t<double> numbers(static_cast<py::ssize_t>(closure.size()));
  closure.warn_if_frozen();
  closure.read(numbers.mutable_data());
  return numbers;
}

} // namespace

void bind_closure(py::module_& module) {
  py::class_<Closure>(module, "Closure",
                      "The Values that a compiled function uses and was not given.",
                      collected<Closure>())
      .def(py::init(&closure_of), py::arg("values"),
           "Read these Values. Raises FormatError for anything else among them.")
      .def("__reduce__",
           [](const py::object& self) {
             const auto& values = self.cast<const Closure&>().values();
             return py::make_tuple(py::type::of(self), py::make_tuple(py::tuple(py::cast(values))));
           })
      .def("__len__", &Closure::size)
      .def_property_readonly(
          "values", [](const Closure& closure) { return closure.values(); }, "The Values.")
      .def("numbers", numbers_of_closure, "Their data as it is now.");
}

} // namespace arenagrad::bindings
