// Objects of the user's classes as branches: dataclasses, and classes told of by register_node.
//
// A dataclass is taken apart into its fields, and made again by `object.__new__` and
// `object.__setattr__`: its constructor is not run, so that nothing is computed anew, and frozen
// ones are made like others. An object that holds more than its fields is refused, since the rest
// would be lost. Needs the GIL. Cost: some 60 ns a field.
#pragma once

#include <optional>

#include "pytree.h"

namespace arenagrad::bindings {

// An object taken apart.
struct UserObject {
  TreeNode::Kind kind;
  py::object extra; // of the node
  py::tuple children;
};

// Whether it is of a registered class, or a dataclass and no Module. Looks for pandas' classes
// where pandas has been imported.
bool is_user_object(PyObject* object);
// Requires is_user_object(object). Throws TypeError for a dataclass that cannot be made again.
UserObject take_apart(PyObject* object);
// The children of an object like the one that gave `node`; nothing if it is another one.
std::optional<py::tuple> children_like(const TreeNode& node, PyObject* object);
// An object of a Dataclass or Registered node.
py::object put_together(const TreeNode& node, const py::tuple& children);

// Whether a tuple has no attributes that would be lost, as an object of a class made from a named
// tuple may have.
bool has_only_items(PyObject* tuple);
// Throws TypeError for a tuple that has more.
void refuse_more_than_items(PyObject* object);

// The class of such a node.
py::handle class_of(const TreeNode& node);
// What stands before child k in texts, such as "w=" for a field, or "".
std::string child_label(const TreeNode& node, std::size_t k);
// Such as ".w" for a field, "[2]" for an item.
std::string child_path(const TreeNode& node, std::size_t k);
// Whether a class says of field k that it is no number whatever it holds.
bool is_static_child(const TreeNode& node, std::size_t k);

// The extra of a node of this kind, made anew from one that a pickle has; null unless the class is
// what it was.
py::object checked_extra(TreeNode::Kind kind, const py::object& extra);

// How many fields a Dataclass with this extra has.
std::size_t fields_in(const py::object& extra);

// Throws TypeError for what is no class, cannot be registered, or is no function; ValueError for a
// class that is registered already. `rows`, None for most, is a function of such an object and the
// axis of its rows in a batch: see rows_of_table.
void register_node(const py::object& cls, const py::object& flatten, const py::object& unflatten,
                   const py::object& rows);

// The rows of a table, such as a pandas DataFrame.
struct TableRows {
  py::object like; // an object like each row, or None for the elements of the array themselves
  py::array array;
};
// Nothing for any other object. Throws what the function of its class does.
std::optional<TableRows> rows_of_table(PyObject* object, PyObject* axis);

} // namespace arenagrad::bindings
