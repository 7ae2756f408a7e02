// Reads arguments whose structure is not known yet. Needs the GIL.
#pragma once

#include "user_classes.h"

namespace arenagrad::bindings {

class ArgumentReader {
public:
  // Adds an argument and all in it; throws TypeError for what is neither numbers
  // nor a choice (a str, None, an Enum, a function and so on).
  void add(PyObject* object);
  // Adds the tuple of all arguments, those by name last and in the order of their names: calls
  // add(argument, k), and add_named(argument), for each that is not static. `statics` says which
  // are, and `static_names`, a container, which of those by name. Errors say where they arose.
  template <class Add, class AddNamed>
  void add_all(const py::tuple& arguments, const std::vector<bool>& statics,
               const py::dict& keywords, const py::object& static_names, Add&& add,
               AddNamed&& add_named);
  // Adds one that is taken as it is; throws TypeError unless it is hashable.
  void add_static(PyObject* object);

  PyTreeBuilder builder;
  std::vector<double> numbers;
  bool has_values = false;
  // Where it is not null Values count as numbers, and are added here with those of Modules: each
  // with its place among the numbers.
  PlacedValues* values = nullptr;

private:
  template <class AddNamed>
  void add_keywords(const py::dict& keywords, const py::object& static_names, AddNamed&& add_named);
  void add_value(PyObject* value);
  void add_parameter(PyObject* value);
  void add_array(PyObject* object);
};

// The tuple of a dict's keys.
py::object keys_of(PyObject* dict);
inline py::object type_of(PyObject* object) {
  return py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(Py_TYPE(object)));
}

// Such as " (argument 1, at .w)" for the place "[1].w".
std::string argument_text(const std::string& place);

// Whether it is a member of an Enum, which is a choice even where it is a number or a tuple too.
bool is_enum(PyObject* object);
// Whether it is a bool, a member of an Enum, or a choice: an argument that chooses a program.
bool is_no_number(PyObject* object);
// Whether it is a float or an int of a class written in Python. What that class does otherwise
// would be lost in a program, so it is no number here. NumPy's scalars are numbers.
inline bool is_number_with_own_rules(PyObject* object) {
  return (PyFloat_Check(object) || PyLong_Check(object)) &&
         PyType_HasFeature(Py_TYPE(object), Py_TPFLAGS_HEAPTYPE);
}

// Whether it has items that are read one by one: a list, a tuple, a named tuple or a dict. Classes
// made from these have rules of their own, which would be lost.
inline bool has_items(PyObject* object) {
  if (PyList_CheckExact(object) || PyTuple_CheckExact(object) || PyDict_CheckExact(object))
    return true;
  return PyTuple_Check(object) && has_attribute(py::type::handle_of(object), "_fields") &&
         !is_enum(object);
}

// Whether its class was made from a list, tuple, dict, float or int and is no named tuple.
inline bool is_of_own_class(PyObject* object) {
  const bool branch = PyList_Check(object) || PyTuple_Check(object) || PyDict_Check(object);
  return branch ? !has_items(object) : is_number_with_own_rules(object);
}

// Opens a node of `builder` for a list, tuple or dict; close() takes what it returns.
inline std::size_t open_for(PyTreeBuilder& builder, PyObject* object) {
  if (PyList_Check(object)) return builder.open(TreeNode::Kind::List);
  if (PyDict_Check(object)) return builder.open(TreeNode::Kind::Dict, keys_of(object));
  return builder.open(TreeNode::Kind::Tuple, type_of(object));
}

// Calls add(child, k, whether it is static whatever it is) for each child of an object of the
// user's, as a node of `builder`.
template <class Add>
void add_children(PyTreeBuilder& builder, const UserObject& object, Add&& add) {
  TreeNode node;
  node.kind = object.kind;
  node.extra = object.extra;
  const std::size_t opened = builder.open(object.kind, object.extra);
  for (std::size_t k = 0; k < object.children.size(); ++k)
    add(PyTuple_GET_ITEM(object.children.ptr(), static_cast<Py_ssize_t>(k)), k,
        is_static_child(node, k));
  builder.close(opened);
}

// What `use` gives; errors of type and value that it throws say where in the arguments they arose.
template <class Use> void with_place_in_errors(const PyTreeBuilder& builder, Use&& use) {
  try {
    use();
  } catch (const py::type_error& error) {
    throw py::type_error(error.what() + argument_text(builder.place()));
  } catch (const py::value_error& error) {
    throw py::value_error(error.what() + argument_text(builder.place()));
  }
}

template <class Add, class AddNamed>
void ArgumentReader::add_all(const py::tuple& arguments, const std::vector<bool>& statics,
                             const py::dict& keywords, const py::object& static_names, Add&& add,
                             AddNamed&& add_named) {
  const std::size_t opened = builder.open(TreeNode::Kind::Tuple, type_of(arguments.ptr()));
  with_place_in_errors(builder, [&] {
    for (std::size_t k = 0; k < arguments.size(); ++k) {
      PyObject* const argument = PyTuple_GET_ITEM(arguments.ptr(), static_cast<Py_ssize_t>(k));
      k < statics.size() && statics[k] ? add_static(argument) : add(argument, k);
    }
    if (!keywords.empty()) add_keywords(keywords, static_names, add_named);
  });
  builder.close(opened);
}

template <class AddNamed> void ArgumentReader::add_keywords(const py::dict& keywords,
                                                            const py::object& static_names,
                                                            AddNamed&& add_named) {
  const py::list names(keywords.attr("keys")());
  names.attr("sort")();
  const std::size_t opened = builder.open(TreeNode::Kind::Keywords, py::tuple(names));
  for (const py::handle name : names) {
    PyObject* const argument = keywords[name].ptr();
    static_names.contains(name) ? add_static(argument) : add_named(argument);
  }
  builder.close(opened);
}

// Calls add(item, k) for each item of a list, tuple or dict, as a node of `builder`. Of a copy:
// adding an item may run code of the user, which may change the list.
template <class Add> void add_items(PyTreeBuilder& builder, PyObject* object, Add&& add) {
  const std::size_t opened = open_for(builder, object);
  const auto items = py::reinterpret_steal<py::object>(
      PyDict_Check(object) ? PyDict_Values(object) : PySequence_List(object));
  if (!items) throw py::error_already_set();
  for (Py_ssize_t k = 0; k < PyList_GET_SIZE(items.ptr()); ++k)
    add(PyList_GET_ITEM(items.ptr(), k), static_cast<std::size_t>(k));
  builder.close(opened);
}

} // namespace arenagrad::bindings
