// Trees as Python objects.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include "bindings/compiled/program.h"
#include "pytree.h"

namespace arenagrad::bindings {
namespace {

py::array_t<double> as_array(const std::vector<double>& numbers) {
  py::array_t<double> array(static_cast<py::ssize_t>(numbers.size()));
  std::copy(numbers.begin(), numbers.end(), array.mutable_data());
  return array;
}

py::object read(const py::tuple& arguments, const std::vector<bool>& statics) {
  ArgumentsRead read = read_arguments(arguments, statics);
  if (read.has_values) return py::none();
  return py::make_tuple(std::move(read.tree), as_array(read.numbers));
}

py::tuple as_tuple(const Rooms& rooms) { return py::make_tuple(rooms.arrays, rooms.varies); }

} // namespace

void bind_tree(py::module_& module) {
  py::class_<PyTree>(module, "PyTree", "The structure of arguments or results.")
      .def("__hash__", &PyTree::hash)
      .def("__eq__",
           [](const PyTree& one, const py::object& other) {
             return py::isinstance<PyTree>(other) && one == other.cast<const PyTree&>();
           })
      .def("__len__", &PyTree::children)
      .def_property_readonly("numbers", &PyTree::numbers, "How many numbers it has.")
      .def_property_readonly("is_number", &PyTree::is_number, "Whether it is a single number.")
      .def_property_readonly("has_modules", &PyTree::has_modules, "Whether it has Modules in it.")
      .def("is_twin_of", &PyTree::is_twin_of, py::arg("other"),
           "Whether they differ in nothing but which Modules they have, and there are such.")
      .def("same_layout", &PyTree::same_layout, py::arg("other"),
           "Whether numbers of the one may be taken as numbers of the other.")
      .def("child", &PyTree::child, py::arg("k"), "The tree of child k.")
      .def("start", &PyTree::start, py::arg("k"), "Where the numbers of child k begin.")
      .def("varying", &PyTree::varying, "Of each number whether rows of a batch differ in it.")
      .def("gradient", &PyTree::gradient, "The structure of a gradient by this.")
      .def("summed", &PyTree::summed, "The structure of such results summed over rows.")
      .def("axes", &PyTree::axes, "The in_axes of arguments of this structure.")
      .def("jacobian", &PyTree::jacobian, py::arg("results"),
           "The structure of all derivatives of results by this.")
      .def("jacobian_positions", &PyTree::jacobian_places, py::arg("results"),
           "Where each entry of the matrix of derivatives stands among the numbers of jacobian().")
      .def("stacked", &PyTree::stacked, py::arg("rows"), py::arg("all"),
           "The structure of the results of a batch: arrays in place of what varies, or of all.")
      .def(
          "new_output_buffers", [](const PyTree& tree) { return as_tuple(tree.arrays()); },
          "Arrays of zeros for all numbers, and whether each has an axis of rows: one for each "
          "array, and one for numbers that follow one another.")
      .def(
          "output_buffers_in",
          [](const PyTree& tree, const py::object& out) { return as_tuple(tree.buffers(out)); },
          py::arg("out"), "The same in the memory of `out`. Raises TypeError and ValueError.")
      .def_static(
          "array",
          [](const Shape& shape) {
            PyTreeBuilder builder;
            builder.leaf(TreeNode::Kind::Array, size_of(shape), shape);
            return builder.finish();
          },
          py::arg("shape"), "A single array.")
      .def_static("tuple_of", &PyTree::tuple_of, py::arg("parts"), "A tuple of these.")
      .def(
          "flatten",
          [](const PyTree& tree, const py::object& object, const std::string& what) {
            return as_array(tree.numbers_of(object, what.c_str()));
          },
          py::arg("object"), py::arg("what"), "The numbers of an object of this structure.")
      .def("unflatten", &PyTree::make_of_arrays, py::arg("arrays"),
           "An object of this structure, of the numbers in such buffers.")
      .def("to_parts", &PyTree::parts,
           "Its branches, each as its kind, whether it varies, its size, and () or (extra,).")
      .def(py::init(&PyTree::of_parts), py::arg("parts"))
      .def("__reduce__",
           [](const py::object& self) {
             return py::make_tuple(py::type::of(self),
                                   py::make_tuple(self.cast<const PyTree&>().parts()));
           })
      .def("__str__", &PyTree::text);
  module.def("read_arguments", read, py::arg("arguments"), py::arg("statics"),
             "The structure of arguments and their numbers; None if there are Values among them.");
}

} // namespace arenagrad::bindings
