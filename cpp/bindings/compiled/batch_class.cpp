// arenagrad._core.compiled.Batch.
#include <pybind11/stl.h>

#include "batch.h"
#include "bindings/value/instance.h"

namespace arenagrad::bindings {
namespace {

py::array_t<double> row_of_batch(const Batch& batch, std::size_t k) {
  if (k >= batch.rows()) throw py::index_error("a batch has no such row");
  const std::vector<double> numbers = batch.row(k);
  return py::array_t<double>(static_cast<py::ssize_t>(numbers.size()), numbers.data());
}

} // namespace

void bind_batch(py::module_& module) {
  py::class_<Batch>(module, "Batch", "The arguments of a batch, with an axis of rows.",
                    collected<Batch>())
      .def(py::init<const py::tuple&, const py::object&, const std::vector<bool>&, const py::dict&,
                    const py::object&>(),
           py::arg("arguments"), py::arg("axes"), py::arg("statics"),
           py::arg("keywords") = py::dict(), py::arg("static_names") = py::tuple(),
           "Look at arguments; axes says which axis of each has the rows, None for none.\n\n"
           "Raises TypeError and ValueError for what has no such axis or other numbers of rows.")
      // A copy: a reference into the batch would keep it, with its arrays, as long as the
      // structure.
      .def_property_readonly(
          "tree", [](const Batch& batch) { return PyTree(batch.structure()); },
          "The structure of one row.")
      .def_property_readonly("has_values", &Batch::has_values,
                             "Whether it has Values in it; the rest means nothing then.")
      .def_property_readonly("has_rows", &Batch::has_rows, "Whether any argument has rows.")
      .def("__len__", &Batch::rows)
      .def("row", row_of_batch, py::arg("k"),
           "The numbers of row k. Raises IndexError if there is none.")
      .def("overlaps", &Batch::overlaps, py::arg("arrays"),
           "Whether any of these arrays has memory that the rows are read from.")
      .def("part", &Batch::slice, py::arg("first"), py::arg("last"),
           "The rows from first to before last, where they are. Raises IndexError.")
      .def("numbers", &Batch::numbers,
           "The numbers of the first row, and of all rows those that vary.")
      .def_static("of_numbers", &Batch::of_numbers, py::arg("tree"), py::arg("first"),
                  py::arg("varying"),
                  "The batch of rows of this structure with such numbers.\n\n"
                  "Raises ValueError for numbers that do not fit.")
      .def("__reduce__", no_pickle, "Raise TypeError: a batch lives within one call.");
}

} // namespace arenagrad::bindings
