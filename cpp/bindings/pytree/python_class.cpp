// arenagrad._core.compiled.PyTree.
#include <pybind11/stl.h>

#include "bindings/value/instance.h"
#include "derived_structures.h"
#include "flatten.h"
#include "output_buffers.h"
#include "plain_parts.h"
#include "unflatten.h"
#include "user_classes.h"

namespace arenagrad::bindings {
namespace {

py::array_t<double> as_array(const std::vector<double>& numbers) {
  return py::array_t<double>(static_cast<py::ssize_t>(numbers.size()), numbers.data());
}

py::object read_arguments(const py::tuple& arguments, const std::vector<bool>& statics,
                          const py::dict& keywords, const py::object& static_names) {
  FlatArguments read = flatten_unknown_arguments(arguments, statics, keywords, static_names);
  if (read.has_values) return py::none();
  return py::make_tuple(std::move(read.structure), as_array(read.numbers));
}

py::tuple read_operands(const py::tuple& arguments, const std::vector<bool>& statics,
                        const py::dict& keywords, const py::object& static_names) {
  PlacedValues values;
  FlatArguments read =
      flatten_unknown_arguments(arguments, statics, keywords, static_names, &values);
  return py::make_tuple(std::move(read.structure), as_array(read.numbers), std::move(values));
}

py::object children_of(const py::object& object) {
  const bool is_taken_apart = !is_value(object.ptr()) && is_user_object(object.ptr());
  return is_taken_apart ? py::object(take_apart(object.ptr()).children) : py::none();
}

py::tuple as_tuple_of_lists(const OutputBuffers& buffers) {
  return py::make_tuple(buffers.arrays, buffers.has_rows);
}

py::list objects_of(const PyTree& structure) {
  py::list objects;
  for (const TreeNode& node : structure.nodes())
    if (node.kind == TreeNode::Kind::Static || node.kind == TreeNode::Kind::Module)
      objects.append(node.extra);
    else if (node.is_user_object())
      objects.append(class_of(node));
    else if (node.kind == TreeNode::Kind::Tuple &&
             node.extra.ptr() != reinterpret_cast<PyObject*>(&PyTuple_Type))
      objects.append(node.extra);
  return objects;
}

using PyTreeClass = py::class_<PyTree>;

Py_hash_t hash_slot(PyObject* self) {
  try {
    return py::cast<const PyTree&>(py::handle(self)).hash();
  } catch (...) {
    set_python_error();
    return -1;
  }
}

PyObject* compare_slot(PyObject* self, PyObject* other, int operation) {
  if (operation != Py_EQ && operation != Py_NE) Py_RETURN_NOTIMPLEMENTED;
  try {
    const bool equal =
        py::isinstance<PyTree>(other) &&
        py::cast<const PyTree&>(py::handle(self)) == py::cast<const PyTree&>(py::handle(other));
    return PyBool_FromLong(equal == (operation == Py_EQ));
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

// Python's own slots look the methods up, and where there is no memory for that a structure would
// have no hash and be equal to nothing.
void set_slots(PyTreeClass& cls) {
  auto* const type = reinterpret_cast<PyTypeObject*>(cls.ptr());
  type->tp_hash = hash_slot;
  type->tp_richcompare = compare_slot;
}

void bind_structure(PyTreeClass& cls) {
  cls.def("__hash__", &PyTree::hash)
      .def("__eq__",
           [](const PyTree& one, const py::object& other) {
             return py::isinstance<PyTree>(other) && one == other.cast<const PyTree&>();
           })
      .def("__len__", &PyTree::children)
      .def_property_readonly("positional", &PyTree::positional,
                             "How many arguments are given by position.")
      .def("__str__", &PyTree::text)
      .def_property_readonly("numbers", &PyTree::numbers, "How many numbers it has.")
      .def_property_readonly("is_number", &PyTree::is_number, "Whether it is a single number.")
      .def_property_readonly("objects", &objects_of,
                             "The objects that are no numbers, the Modules, and the classes of "
                             "named tuples,\ndataclasses and registered objects, in order.")
      .def_property_readonly("is_static", &PyTree::is_static,
                             "Whether it has objects that are no numbers, and nothing else.")
      .def_property_readonly("has_modules", &PyTree::has_modules, "Whether it has Modules in it.")
      .def("is_twin_of", &PyTree::is_twin_of, py::arg("other"),
           "Whether they differ in nothing but which Modules they have, and there are such.")
      .def("same_layout", &PyTree::same_layout, py::arg("other"),
           "Whether numbers of the one may be taken as numbers of the other.")
      .def("child", &PyTree::child, py::arg("k"),
           "The tree of child k. Raises IndexError if there is none.")
      .def("start", &PyTree::first_number, py::arg("k"),
           "Where the numbers of child k begin. Raises IndexError if there is none.")
      .def("varying", &PyTree::varying,
           "Of each number 1 if rows of a batch differ in it, else 0.");
}

void bind_derived_structures(PyTreeClass& cls) {
  cls.def_static("array", &single_array, py::arg("shape"), "A single array.")
      .def_static("static", &single_static, py::arg("object"), "An object that is no number.")
      .def_static("tuple_of", &tuple_of, py::arg("parts"), "A tuple of these.")
      .def("gradient", &gradient_of,
           "The structure of a gradient by this: lists for Modules, None for what is no number.")
      .def("summed", &summed,
           "The structure of such results summed over rows: as they are, but for new numbers.")
      .def(
          "jacobian",
          [](const PyTree& by, const PyTree& results) { return jacobian_of(results, by); },
          py::arg("results"), "The structure of all derivatives of results by this.")
      .def(
          "jacobian_positions",
          [](const PyTree& by, const PyTree& results) { return jacobian_positions(results, by); },
          py::arg("results"),
          "Where each entry of the matrix of derivatives stands among the numbers of jacobian().")
      .def("stacked", &stacked, py::arg("rows"), py::arg("all"),
           "The structure of the results of a batch: arrays in place of what varies, or of all.")
      .def("row_axes", &row_axes, py::arg("axes"),
           "Of results of a batch the axis of the rows in each array, as out_axes say.\n\n"
           "Raises TypeError and ValueError.")
      .def("with_rows_at", &with_rows_at, py::arg("axes"),
           "The structure of results of a batch once their rows are at these axes.");
}

void bind_flattening(PyTreeClass& cls) {
  cls.def(
         "flatten",
         [](const PyTree& structure, const py::object& object, const std::string& what) {
           return as_array(flatten(structure, object, what.c_str()));
         },
         py::arg("object"), py::arg("what"),
         "The numbers of an object of this structure.\n\n"
         "Arrays may stand for lists. Raises TypeError, saying what was wanted, for another "
         "structure.")
      .def(
          "flatten_operands",
          [](const PyTree& structure, const py::object& object, const std::string& what) {
            PlacedValues values;
            const std::vector<double> numbers = flatten(structure, object, what.c_str(), &values);
            return py::make_tuple(as_array(numbers), std::move(values));
          },
          py::arg("object"), py::arg("what"),
          "The same of an object in which Values may stand for numbers: the numbers, and pairs of "
          "a place among them and the Value that is there.")
      .def("unflatten_values", &unflatten_values, py::arg("values"),
           "An object of this structure, of these Values.")
      .def("unflatten", &unflatten_buffers, py::arg("arrays"),
           "An object of this structure, of the numbers in such buffers.")
      .def("axes", &in_axes_of,
           "The in_axes of arguments of this structure: 0 for what varies, None for what does not.")
      .def(
          "new_output_buffers",
          [](const PyTree& results) { return as_tuple_of_lists(new_output_buffers(results)); },
          "Arrays of zeros for all numbers, and whether each has an axis of rows.\n\n"
          "There is one for each array, and one for numbers that follow one another.")
      .def(
          "output_buffers_in",
          [](const PyTree& results, const py::object& out) {
            return as_tuple_of_lists(output_buffers_in(results, out));
          },
          py::arg("out"), "The same in the memory of out. Raises TypeError and ValueError.");
}

} // namespace

void bind_pytree(py::module_& module) {
  PyTreeClass cls(module, "PyTree",
                  "The structure of arguments or results: lists, tuples and dicts with leaves.\n\n"
                  "Leaves are numbers, arrays, Modules, and objects that are no numbers. The "
                  "numbers of all leaves\nare counted in order. Immutable; equal trees have equal "
                  "objects at their leaves.",
                  collected<PyTree>());
  bind_structure(cls);
  bind_derived_structures(cls);
  bind_flattening(cls);
  cls.def(py::init(&from_parts), py::arg("parts"),
          "The tree of such parts, see to_parts(). Raises FormatError for anything else.")
      .def("to_parts", &to_parts,
           "Its branches: kind, whether it varies, size (a shape for arrays), and () or (extra,).")
      .def("__reduce__", [](const py::object& self) {
        return py::make_tuple(py::type::of(self),
                              py::make_tuple(to_parts(self.cast<const PyTree&>())));
      });
  set_slots(cls);
  module.def(
      "read_operands", read_operands, py::arg("arguments"), py::arg("statics"), py::arg("keywords"),
      py::arg("static_names"),
      "The structure of arguments in which Values stand for numbers, their numbers, and pairs of a "
      "place\namong them and the Value that is there; parameters of Modules are such, too.\n\n"
      "Raises as read_arguments does.");
  module.def(
      "read_arguments", read_arguments, py::arg("arguments"), py::arg("statics"),
      py::arg("keywords") = py::dict(), py::arg("static_names") = py::tuple(),
      "The structure of arguments and their numbers; None if there are Values among them.\n\n"
      "Raises TypeError for what is neither made of numbers nor hashable.");
  module.def("children_of", children_of, py::arg("object"),
             "What a dataclass or an object of a registered class is made of, None for any other.");
  module.def("register_node", register_node, py::arg("cls"), py::arg("flatten"),
             py::arg("unflatten"), py::arg("rows") = py::none(),
             "Take objects of a class apart, and make them again, by these functions.\n\n"
             "rows, of an object and an axis, gives what is like a row, or None, and an array.\n\n"
             "Raises TypeError for other arguments, ValueError for a class that is registered.");
}

} // namespace arenagrad::bindings
