// Loops over the arrays that results of a batch are written into. All arrays are contiguous and of
// float64, as PyTree.new_output_buffers() makes them.
#include <pybind11/stl.h>

#include <algorithm>

#include "batch.h"
#include "program/batch/rows.h"

namespace arenagrad::bindings {
namespace {

double* writable_doubles(const py::array& array) {
  return const_cast<double*>(doubles(array.ptr()));
}

void clear_arrays(const std::vector<py::array>& arrays) {
  for (const py::array& array : arrays) std::fill_n(writable_doubles(array), array.size(), 0.0);
}

void divide_arrays(const std::vector<py::array>& arrays, double by) {
  for (const py::array& array : arrays)
    program::divide(writable_doubles(array), by, static_cast<std::size_t>(array.size()));
}

py::array_t<double> pack_arrays(const std::vector<py::array>& arrays) {
  py::ssize_t size = 0;
  for (const py::array& array : arrays) size += array.size();
  py::array_t<double> packed(size);
  double* to = packed.mutable_data();
  for (const py::array& array : arrays) to = std::copy_n(doubles(array.ptr()), array.size(), to);
  return packed;
}

void put_rows(const std::vector<py::array>& leaves, const std::vector<bool>& stacked,
              const Batch::Doubles& packed, std::size_t first, std::size_t count,
              std::size_t rows) {
  const double* from = packed.data();
  auto left = static_cast<std::size_t>(packed.size());
  std::size_t filled = 0;
  for (std::size_t leaf = 0; leaf < leaves.size(); ++leaf) {
    const py::array& array = leaves[leaf];
    auto* const to = writable_doubles(array);
    auto size = static_cast<std::size_t>(array.size());
    const std::size_t width = size / rows;
    if (stacked[leaf]) size = width * count;
    if (size > left || first + count > rows) break;
    if (stacked[leaf])
      std::copy_n(from, size, to + first * width);
    else
      program::add_to(to, from, size);
    from += size;
    left -= size;
    ++filled;
  }
  if (filled != leaves.size() || left != 0)
    throw py::value_error("the results of some rows do not fit those of all");
}

} // namespace

void bind_row_arrays(py::module_& module) {
  module.def("clear_arrays", clear_arrays, py::arg("arrays"),
             "Set contiguous arrays of float64 to 0.");
  module.def("divide_arrays", divide_arrays, py::arg("arrays"), py::arg("by"),
             "Divide contiguous arrays of float64 by a number.");
  module.def("pack_arrays", pack_arrays, py::arg("arrays"),
             "The numbers of contiguous arrays of float64 in one.");
  module.def(
      "put_rows", put_rows, py::arg("leaves"), py::arg("stacked"), py::arg("packed"),
      py::arg("first"), py::arg("count"), py::arg("rows"),
      "Put the packed results of some of the rows into those of all.\n\n"
      "What is stacked goes into its places, and what is not is added. Raises ValueError for "
      "packed\nnumbers that do not fit.");
}

} // namespace arenagrad::bindings
