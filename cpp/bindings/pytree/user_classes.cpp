#include "user_classes.h"

#include <array>
#include <unordered_map>

#include "argument_reader.h"
#include "module_parameters.h"

namespace arenagrad::bindings {

using Kind = TreeNode::Kind;

namespace {

// --- registered classes
// ---------------------------------------------------------------------------

struct Registration {
  py::object cls, flatten, unflatten, rows;
};

// Lives as long as the process: objects in it must not be dropped when the interpreter is gone. No
// entry goes, and adding one leaves the others where they are.
std::unordered_map<PyTypeObject*, Registration>& registrations() {
  static auto* const all = new std::unordered_map<PyTypeObject*, Registration>;
  return *all;
}

// Registers pandas' classes the first time that it is there.
void look_for_pandas() {
  static bool is_known = false;
  static const py::handle name = py::str("pandas").release();
  if (is_known) return;
  const auto pandas = py::reinterpret_steal<py::object>(PyImport_GetModule(name.ptr()));
  if (!pandas && PyErr_Occurred()) throw py::error_already_set();
  // Another thread may be in the middle of importing it.
  if (!pandas || !has_attribute(pandas, "DataFrame") || !has_attribute(pandas, "Series")) return;
  is_known = true;
  py::module_::import("arenagrad._compile.pandas_nodes").attr("register")();
}

const Registration* registration_of(PyTypeObject* type) {
  const auto found = registrations().find(type);
  return found == registrations().end() ? nullptr : &found->second;
}

// The program would keep the Value of its trace.
void refuse_values_in_aux(PyObject* aux) {
  if (is_value(aux))
    throw py::type_error("aux of a registered class must not hold Values: they are children");
  for (Py_ssize_t k = 0; PyTuple_Check(aux) && k < PyTuple_GET_SIZE(aux); ++k)
    refuse_values_in_aux(PyTuple_GET_ITEM(aux, k));
}

// The children, and what else the object is, by the function of its class.
std::pair<py::tuple, py::object> flattened(const Registration& registration, PyObject* object) {
  const py::object given = registration.flatten(py::handle(object));
  const std::string name = Py_TYPE(object)->tp_name;
  if (!PyTuple_Check(given.ptr()) || PyTuple_GET_SIZE(given.ptr()) != 2)
    throw py::type_error("flatten of the registered class " + name +
                         " must give a pair (children, aux), got " + Py_TYPE(given.ptr())->tp_name);
  auto children =
      py::reinterpret_steal<py::object>(PySequence_Tuple(PyTuple_GET_ITEM(given.ptr(), 0)));
  if (!children) throw py::error_already_set();
  auto aux = py::reinterpret_borrow<py::object>(PyTuple_GET_ITEM(given.ptr(), 1));
  refuse_values_in_aux(aux.ptr());
  if (PyObject_Hash(aux.ptr()) == -1) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) throw py::error_already_set();
    PyErr_Clear();
    throw py::type_error("aux of the registered class " + name +
                         " must be hashable, since it chooses a program, got " +
                         Py_TYPE(aux.ptr())->tp_name);
  }
  return {py::reinterpret_steal<py::tuple>(children.release()), std::move(aux)};
}

// --- dataclasses
// ----------------------------------------------------------------------------------

// What is known of a dataclass. A tuple, which is compared and pickled with the structure: names of
// the fields, slots that are no fields, and for each field whether it is static.
enum FormPart : Py_ssize_t { kNames, kOtherSlots, kStatics };

py::handle part_of(const py::object& form, FormPart part) {
  return PyTuple_GET_ITEM(form.ptr(), part);
}

py::object extra_of(PyTypeObject* type, const py::object& form) {
  return py::make_tuple(py::handle(reinterpret_cast<PyObject*>(type)), form);
}
py::object form_in(const py::object& extra) {
  return py::reinterpret_borrow<py::object>(PyTuple_GET_ITEM(extra.ptr(), 1));
}

bool is_static_field(const py::handle field) {
  static const py::handle name = py::str("static").release();
  const py::object given = field.attr("metadata").attr("get")(name, false);
  const int is_static = PyObject_IsTrue(given.ptr());
  if (is_static < 0) throw py::error_already_set();
  return is_static != 0;
}

// Slots of a class and its bases that are none of these fields.
py::tuple other_slots(PyTypeObject* type, const py::list& names) {
  py::list others;
  for (const py::handle base : py::reinterpret_borrow<py::tuple>(type->tp_mro)) {
    const py::object held = base.attr("__dict__");
    for (const py::handle item : held.attr("items")()) {
      const py::handle name = PyTuple_GET_ITEM(item.ptr(), 0);
      if (Py_IS_TYPE(PyTuple_GET_ITEM(item.ptr(), 1), &PyMemberDescr_Type) &&
          PyType_HasFeature(reinterpret_cast<PyTypeObject*>(base.ptr()), Py_TPFLAGS_HEAPTYPE) &&
          !names.contains(name))
        others.append(name);
    }
  }
  return py::tuple(others);
}

py::object form_made_for(PyTypeObject* type) {
  const auto cls = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(type));
  py::list names, statics;
  for (const py::handle field : py::module_::import("dataclasses").attr("fields")(cls)) {
    py::object name = field.attr("name");
    PyObject* interned = name.release().ptr();
    PyUnicode_InternInPlace(&interned);
    names.append(py::reinterpret_steal<py::object>(interned));
    statics.append(is_static_field(field));
  }
  return py::make_tuple(py::tuple(names), other_slots(type, names), py::tuple(statics));
}

// Forms of classes that live, each with the weak reference that takes it out when its class goes.
struct KeptForm {
  py::object form, weak_class;
};
std::unordered_map<PyTypeObject*, KeptForm>& kept_forms() {
  static auto* const all = new std::unordered_map<PyTypeObject*, KeptForm>;
  return *all;
}

PyObject* forget_form(PyObject* address, PyObject*) {
  const auto found = kept_forms().find(static_cast<PyTypeObject*>(PyLong_AsVoidPtr(address)));
  if (found != kept_forms().end()) {
    const KeptForm gone = std::move(found->second);
    kept_forms().erase(found);
  }
  Py_RETURN_NONE;
}

py::object form_of(PyTypeObject* type) {
  const auto found = kept_forms().find(type);
  if (found != kept_forms().end()) return found->second.form;
  py::object form = form_made_for(type);
  static PyMethodDef forget = {"forget_form", forget_form, METH_O, nullptr};
  const auto address = py::reinterpret_steal<py::object>(PyLong_FromVoidPtr(type));
  if (!address) throw py::error_already_set();
  const auto forgetting =
      py::reinterpret_steal<py::object>(PyCFunction_New(&forget, address.ptr()));
  if (!forgetting) throw py::error_already_set();
  auto weak = py::reinterpret_steal<py::object>(
      PyWeakref_NewRef(reinterpret_cast<PyObject*>(type), forgetting.ptr()));
  if (!weak) throw py::error_already_set();
  kept_forms()[type] = {form, std::move(weak)};
  return form;
}

// Attributes that may go: what a cached_property has kept, which is computed anew, and what typing
// notes of the class.
bool may_go(PyTypeObject* type, PyObject* name) {
  if (!PyUnicode_Check(name)) return false;
  if (PyUnicode_CompareWithASCIIString(name, "__orig_class__") == 0) return true;
  static PyObject* kind = nullptr;
  once(kind, [] { return py::module_::import("functools").attr("cached_property"); });
  const auto held =
      py::reinterpret_steal<py::object>(PyObject_GetAttr(reinterpret_cast<PyObject*>(type), name));
  if (!held) {
    if (!PyErr_ExceptionMatches(PyExc_AttributeError)) throw py::error_already_set();
    PyErr_Clear();
    return false;
  }
  const int is = PyObject_IsInstance(held.ptr(), kind);
  if (is < 0) throw py::error_already_set();
  return is != 0;
}

bool has_dict(PyTypeObject* type) {
  return type->tp_dictoffset != 0 || PyType_HasFeature(type, Py_TPFLAGS_MANAGED_DICT);
}

// An attribute, or null if there is none.
py::object attribute_or_null(PyObject* object, PyObject* name) {
  auto held = py::reinterpret_steal<py::object>(PyObject_GetAttr(object, name));
  if (!held) {
    if (!PyErr_ExceptionMatches(PyExc_AttributeError)) throw py::error_already_set();
    PyErr_Clear();
  }
  return held;
}

// The name of an attribute that is no field and would be lost, or null.
py::object other_attribute(PyObject* object, const py::object& form) {
  for (const py::handle name : py::reinterpret_borrow<py::tuple>(part_of(form, kOtherSlots)))
    if (attribute_or_null(object, name.ptr())) return py::reinterpret_borrow<py::object>(name);
  if (!has_dict(Py_TYPE(object))) return {};
  const auto held = py::reinterpret_steal<py::dict>(PyObject_GenericGetDict(object, nullptr));
  if (!held) throw py::error_already_set();
  const auto names = py::reinterpret_borrow<py::tuple>(part_of(form, kNames));
  std::size_t fields = 0;
  for (const py::handle name : names) {
    const int has = PyDict_Contains(held.ptr(), name.ptr());
    if (has < 0) throw py::error_already_set();
    fields += static_cast<std::size_t>(has);
  }
  if (fields == held.size()) return {};
  const py::list keys(held.attr("keys")());
  for (const py::handle key : keys)
    if (!names.contains(key) && !may_go(Py_TYPE(object), key.ptr()))
      return py::reinterpret_borrow<py::object>(key);
  return {};
}

// The fields of an object; nothing if it holds more or less.
std::optional<py::tuple> fields_of(PyObject* object, const py::object& form) {
  if (other_attribute(object, form)) return {};
  PyObject* const names = part_of(form, kNames).ptr();
  const Py_ssize_t count = PyTuple_GET_SIZE(names);
  py::tuple fields(count);
  for (Py_ssize_t k = 0; k < count; ++k) {
    py::object field = attribute_or_null(object, PyTuple_GET_ITEM(names, k));
    if (!field) return {};
    PyTuple_SET_ITEM(fields.ptr(), k, field.release().ptr());
  }
  return fields;
}

[[noreturn]] void refuse_fields(PyObject* object, const py::object& form) {
  const std::string name = Py_TYPE(object)->tp_name;
  if (const py::object other = other_attribute(object, form))
    throw py::type_error("a dataclass for a compiled function must hold its fields only, and " +
                         name + " has the attribute " + std::string(py::str(other)) +
                         ": make it a field, a property or a cached_property, or tell of the class "
                         "by register_node");
  for (const py::handle field : py::reinterpret_borrow<py::tuple>(part_of(form, kNames)))
    if (!attribute_or_null(object, field.ptr()))
      throw py::type_error("the field " + std::string(py::str(field)) + " of the dataclass " +
                           name + " has no value");
  throw py::type_error("the dataclass " + name + " changed while it was read");
}

bool is_dataclass(PyObject* object) {
  PyTypeObject* const type = Py_TYPE(object);
  return PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE) && !PyType_Check(object) &&
         has_attribute(reinterpret_cast<PyObject*>(type), "__dataclass_fields__") &&
         !is_module(object);
}

// `object.__new__`, for a class that adds nothing to object in C.
py::object instance_of_dataclass(PyTypeObject* type) {
  const PyTypeObject* native = type;
  while (native != nullptr &&
         PyType_HasFeature(const_cast<PyTypeObject*>(native), Py_TPFLAGS_HEAPTYPE))
    native = native->tp_base;
  if (native == nullptr || native->tp_new != PyBaseObject_Type.tp_new)
    throw py::type_error(std::string("a dataclass made from a built-in class cannot be an argument "
                                     "or result of a compiled function, got ") +
                         type->tp_name + ": tell of it by register_node");
  const py::tuple nothing;
  auto made =
      py::reinterpret_steal<py::object>(PyBaseObject_Type.tp_new(type, nothing.ptr(), nullptr));
  if (!made) throw py::error_already_set();
  return made;
}

py::object new_dataclass(const TreeNode& node, const py::tuple& children) {
  py::object made = instance_of_dataclass(reinterpret_cast<PyTypeObject*>(class_of(node).ptr()));
  const py::object form = form_in(node.extra);
  PyObject* const names = part_of(form, kNames).ptr();
  for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(names); ++k)
    if (PyObject_GenericSetAttr(made.ptr(), PyTuple_GET_ITEM(names, k),
                                PyTuple_GET_ITEM(children.ptr(), k)) < 0)
      throw py::error_already_set();
  return made;
}

} // namespace

// --- both
// -----------------------------------------------------------------------------------------

bool is_user_object(PyObject* object) {
  PyTypeObject* const type = Py_TYPE(object);
  if (!PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)) return registration_of(type) != nullptr;
  if (registration_of(type) != nullptr) return true;
  look_for_pandas();
  return registration_of(type) != nullptr || is_dataclass(object);
}

UserObject take_apart(PyObject* object) {
  PyTypeObject* const type = Py_TYPE(object);
  if (const Registration* registration = registration_of(type)) {
    auto [children, aux] = flattened(*registration, object);
    return {Kind::Registered, extra_of(type, aux), std::move(children)};
  }
  instance_of_dataclass(type); // or it is refused
  const py::object form = form_of(type);
  std::optional<py::tuple> fields = fields_of(object, form);
  if (!fields) refuse_fields(object, form);
  return {Kind::Dataclass, extra_of(type, form), std::move(*fields)};
}

std::optional<py::tuple> children_like(const TreeNode& node, PyObject* object) {
  PyTypeObject* const type = Py_TYPE(object);
  if (reinterpret_cast<PyObject*>(type) != class_of(node).ptr()) return {};
  if (node.kind == Kind::Dataclass) return fields_of(object, form_in(node.extra));
  const Registration* registration = registration_of(type);
  if (registration == nullptr) return {};
  auto [children, aux] = flattened(*registration, object);
  if (children.size() != node.children || !same_object(form_in(node.extra).ptr(), aux.ptr()))
    return {};
  return std::move(children);
}

py::object put_together(const TreeNode& node, const py::tuple& children) {
  if (node.kind == Kind::Dataclass) return new_dataclass(node, children);
  const Registration* registration =
      registration_of(reinterpret_cast<PyTypeObject*>(class_of(node).ptr()));
  if (registration == nullptr)
    throw py::type_error("the class of a structure is not registered: " +
                         std::string(py::repr(class_of(node))));
  return registration->unflatten(form_in(node.extra), children);
}

// A form without fields.
static py::object no_fields() {
  static PyObject* form = nullptr;
  return py::reinterpret_borrow<py::object>(
      once(form, [] { return py::make_tuple(py::tuple(), py::tuple(), py::tuple()); }));
}

bool has_only_items(PyObject* tuple) {
  return PyTuple_CheckExact(tuple) || !has_dict(Py_TYPE(tuple)) ||
         !other_attribute(tuple, no_fields());
}

void refuse_more_than_items(PyObject* object) {
  if (!PyTuple_Check(object) || has_only_items(object)) return;
  throw py::type_error("a named tuple for a compiled function must hold its items only, and " +
                       std::string(Py_TYPE(object)->tp_name) + " has the attribute " +
                       std::string(py::str(other_attribute(object, no_fields()))));
}

py::handle class_of(const TreeNode& node) { return PyTuple_GET_ITEM(node.extra.ptr(), 0); }

static std::string field_name(const TreeNode& node, std::size_t k) {
  return py::str(
      PyTuple_GET_ITEM(part_of(form_in(node.extra), kNames).ptr(), static_cast<Py_ssize_t>(k)));
}

std::string child_label(const TreeNode& node, std::size_t k) {
  switch (node.kind) {
  case Kind::Dict:
    return std::string(py::repr(PyTuple_GET_ITEM(node.extra.ptr(), static_cast<Py_ssize_t>(k)))) +
           ": ";
  case Kind::Keywords:
    return std::string(py::str(PyTuple_GET_ITEM(node.extra.ptr(), static_cast<Py_ssize_t>(k)))) +
           "=";
  case Kind::Dataclass:
    return field_name(node, k) + "=";
  default:
    return "";
  }
}

std::string child_path(const TreeNode& node, std::size_t k) {
  if (node.kind == Kind::Dataclass) return "." + field_name(node, k);
  if (node.kind == Kind::Keywords)
    return "[" +
           std::string(py::str(PyTuple_GET_ITEM(node.extra.ptr(), static_cast<Py_ssize_t>(k)))) +
           "]";
  if (node.kind == Kind::Dict)
    return "[" +
           std::string(py::repr(PyTuple_GET_ITEM(node.extra.ptr(), static_cast<Py_ssize_t>(k)))) +
           "]";
  return "[" + std::to_string(k) + "]";
}

bool is_static_child(const TreeNode& node, std::size_t k) {
  return node.kind == Kind::Dataclass &&
         PyTuple_GET_ITEM(part_of(form_in(node.extra), kStatics).ptr(),
                          static_cast<Py_ssize_t>(k)) == Py_True;
}

py::object checked_extra(Kind kind, const py::object& extra) {
  if (!extra || !PyTuple_CheckExact(extra.ptr()) || PyTuple_GET_SIZE(extra.ptr()) != 2 ||
      !PyType_Check(PyTuple_GET_ITEM(extra.ptr(), 0)))
    return {};
  auto* const type = reinterpret_cast<PyTypeObject*>(PyTuple_GET_ITEM(extra.ptr(), 0));
  if (kind == Kind::Registered) {
    look_for_pandas();
    return registration_of(type) == nullptr ? py::object() : extra;
  }
  if (!has_attribute(reinterpret_cast<PyObject*>(type), "__dataclass_fields__")) return {};
  const py::object form = form_of(type);
  return same_object(form.ptr(), form_in(extra).ptr()) ? extra_of(type, form) : py::object();
}

std::size_t fields_in(const py::object& extra) { return py::len(part_of(form_in(extra), kNames)); }

std::optional<TableRows> rows_of_table(PyObject* object, PyObject* axis) {
  const Registration* registration = registration_of(Py_TYPE(object));
  if (registration == nullptr || registration->rows.is_none()) return {};
  const py::tuple rows = registration->rows(py::handle(object), py::handle(axis));
  return TableRows{rows[0], rows[1]};
}

void register_node(const py::object& cls, const py::object& flatten, const py::object& unflatten,
                   const py::object& rows) {
  if (!PyType_Check(cls.ptr()))
    throw py::type_error(std::string("register_node() wants a class, got ") +
                         Py_TYPE(cls.ptr())->tp_name);
  for (const py::object& function : {flatten, unflatten})
    if (PyCallable_Check(function.ptr()) == 0)
      throw py::type_error(std::string("register_node() wants functions to take an object apart "
                                       "and to make it again, got ") +
                           Py_TYPE(function.ptr())->tp_name);
  auto* const type = reinterpret_cast<PyTypeObject*>(cls.ptr());
  const std::array<PyTypeObject*, 9> known = {&PyFloat_Type,   &PyLong_Type,     &PyBool_Type,
                                              &PyUnicode_Type, &PyBytes_Type,    &PyList_Type,
                                              &PyDict_Type,    Py_TYPE(Py_None), &PyTuple_Type};
  const bool is_known = std::ranges::find(known, type) != known.end() ||
                        PyType_IsSubtype(type, value_type) != 0 ||
                        std::string(py::str(cls.attr("__module__"))) == "numpy";
  if (is_known)
    throw py::type_error("register_node() is for classes that compiled functions do not know, and "
                         "they know " +
                         std::string(type->tp_name));
  if (!registrations().try_emplace(type, Registration{cls, flatten, unflatten, rows}).second)
    throw py::value_error(std::string(type->tp_name) + " is registered already");
}

} // namespace arenagrad::bindings
