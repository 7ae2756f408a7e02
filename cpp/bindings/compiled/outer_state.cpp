// arenagrad._core.compiled.OuterState.
#include "outer_state.h"

#include <bit>
#include <cstdint>
#include <utility>

#include "bindings/value/instance.h"

namespace arenagrad::bindings {
namespace {

py::object borrowed(PyObject* object) { return py::reinterpret_borrow<py::object>(object); }

// A number that changes whenever a dict does; 0 where Python does not tell.
std::uint64_t version_of(PyObject* dict) {
#if PY_VERSION_HEX < 0x030C0000
  return reinterpret_cast<PyDictObject*>(dict)->ma_version_tag;
#else
  static_cast<void>(dict);
  return 0;
#endif
}

// The dict of an object that keeps its fields in one, or null.
PyObject* dict_of(PyObject* object) {
#if PY_VERSION_HEX < 0x030C0000
  PyObject** const dict = _PyObject_GetDictPtr(object);
  return dict == nullptr ? nullptr : *dict;
#else
  static_cast<void>(object);
  return nullptr; // it would not tell its version
#endif
}

// A number that changes whenever a class or one of its bases does, and that no other class has; 0
// if nothing has been looked up in it since.
unsigned class_version_of(PyObject* holder) {
  return PyType_Check(holder) ? reinterpret_cast<PyTypeObject*>(holder)->tp_version_tag
                              : Py_TYPE(holder)->tp_version_tag;
}

// The defaults of a function, which its class gives through a descriptor. Null for other names.
PyObject* defaults_of(PyObject* function, PyObject* name) {
  if (PyUnicode_CompareWithASCIIString(name, "__defaults__") == 0)
    return PyFunction_GetDefaults(function);
  if (PyUnicode_CompareWithASCIIString(name, "__kwdefaults__") == 0)
    return PyFunction_GetKwDefaults(function);
  return nullptr;
}

// What is found under a name without calling anything: in the dict, the slots or the class of an
// object; of a function, its defaults. Null if nothing is.
py::object found_in(PyObject* holder, PyObject* name) {
  if (PyDict_CheckExact(holder)) return borrowed(PyDict_GetItemWithError(holder, name));
  if (PyType_Check(holder))
    return borrowed(_PyType_Lookup(reinterpret_cast<PyTypeObject*>(holder), name));
  if (PyFunction_Check(holder)) return borrowed(defaults_of(holder, name));
  PyTypeObject* const type = Py_TYPE(holder);
  PyObject* const of_class = _PyType_Lookup(type, name);
  if (of_class != nullptr && Py_IS_TYPE(of_class, &PyMemberDescr_Type)) {
    auto slot = py::reinterpret_steal<py::object>(
        Py_TYPE(of_class)->tp_descr_get(of_class, holder, reinterpret_cast<PyObject*>(type)));
    if (!slot) PyErr_Clear(); // nothing has been written there
    return slot;
  }
  if (const auto dict = py::reinterpret_steal<py::object>(PyObject_GenericGetDict(holder, nullptr)))
    if (PyObject* const own = PyDict_GetItemWithError(dict.ptr(), name)) return borrowed(own);
  PyErr_Clear(); // it has no dict
  return borrowed(of_class);
}

// Whether one object may be taken for the other: it is the same, or an equal number or text.
bool is_same(PyObject* one, PyObject* other) {
  if (one == other) return true;
  if (one == nullptr || other == nullptr || Py_TYPE(one) != Py_TYPE(other)) return false;
  if (PyFloat_CheckExact(one))
    return std::bit_cast<std::uint64_t>(PyFloat_AS_DOUBLE(one)) ==
           std::bit_cast<std::uint64_t>(PyFloat_AS_DOUBLE(other));
  return (PyLong_CheckExact(one) || PyUnicode_CheckExact(one)) &&
         PyObject_RichCompareBool(one, other, Py_EQ) == 1;
}

} // namespace

OuterState::Holder::Holder(py::object object, const py::tuple& all) : holder(std::move(object)) {
  for (const py::handle name : all) {
    if (!PyUnicode_CheckExact(name.ptr())) throw py::type_error("a name is a str");
    names.push_back({borrowed(name.ptr()), found_in(holder.ptr(), name.ptr())});
  }
  set_has_slots();
}

void OuterState::Holder::set_has_slots() const {
  has_slots = false;
  for (const Name& name : names) {
    PyObject* const of_class = _PyType_Lookup(Py_TYPE(holder.ptr()), name.name.ptr());
    has_slots |= of_class != nullptr && Py_IS_TYPE(of_class, &PyMemberDescr_Type);
  }
}

OuterState::OuterState(const py::tuple& cells, const py::list& holders,
                       const py::tuple& functions) {
  for (const py::handle function : functions) {
    if (!PyFunction_Check(function.ptr())) throw py::type_error("only functions have code");
    codes_.push_back({borrowed(function.ptr()), borrowed(PyFunction_GET_CODE(function.ptr()))});
  }
  for (const py::handle cell : cells) {
    if (!PyCell_Check(cell.ptr())) throw py::type_error("an outer state is of closure cells");
    cells_.push_back({borrowed(cell.ptr()), borrowed(PyCell_GET(cell.ptr()))});
  }
  for (const py::handle pair : holders) {
    auto [holder, names] = py::cast<std::pair<py::object, py::tuple>>(pair);
    holders_.emplace_back(std::move(holder), names);
  }
}

bool OuterState::Holder::is_current() const {
  PyObject* const object = holder.ptr();
  const bool is_dict = PyDict_CheckExact(object), is_class = PyType_Check(object) != 0;
  const unsigned of_class = is_dict ? 0 : class_version_of(object);
  const bool same_class = is_dict || (of_class != 0 && of_class == class_version);
  if (!same_class) set_has_slots();
  PyObject* dict = is_dict ? object : nullptr;
  if (!is_dict && !is_class && !has_slots && !PyFunction_Check(object)) dict = dict_of(object);
  const std::uint64_t now = dict == nullptr ? 0 : version_of(dict);
  if (same_class && (is_class || (now != 0 && now == version))) return true;
  for (const Name& name : names)
    if (!is_same(name.value.ptr(), found_in(object, name.name.ptr()).ptr())) return false;
  version = now;
  class_version = of_class;
  return true;
}

bool OuterState::is_current() const {
  for (const FunctionCode& code : codes_)
    if (PyFunction_GET_CODE(code.function.ptr()) != code.code.ptr()) return false;
  for (const Cell& cell : cells_)
    if (!is_same(cell.value.ptr(), PyCell_GET(cell.cell.ptr()))) return false;
  for (const Holder& holder : holders_)
    if (!holder.is_current()) return false;
  return true;
}

int OuterState::traverse(visitproc visit, void* arg) const {
  for (const FunctionCode& code : codes_) {
    Py_VISIT(code.function.ptr());
    Py_VISIT(code.code.ptr());
  }
  for (const Cell& cell : cells_) {
    Py_VISIT(cell.cell.ptr());
    Py_VISIT(cell.value.ptr());
  }
  for (const Holder& holder : holders_) {
    Py_VISIT(holder.holder.ptr());
    for (const Name& name : holder.names) {
      Py_VISIT(name.name.ptr());
      Py_VISIT(name.value.ptr());
    }
  }
  return 0;
}

void bind_outer_state(py::module_& module) {
  py::class_<OuterState>(module, "OuterState",
                         "What a function found beyond its arguments when it was traced.",
                         collected<OuterState>())
      .def(py::init<const py::tuple&, const py::list&, const py::tuple&>(), py::arg("cells"),
           py::arg("holders"), py::arg("functions") = py::tuple(),
           "Of closure cells, of names in each holder, a dict, class or object, and of the code of "
           "functions.")
      .def("__reduce__", &no_pickle)
      .def("is_current", &OuterState::is_current, "Whether it is all the same objects now.");
}

} // namespace arenagrad::bindings
