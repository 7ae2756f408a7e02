#include "module_parameters.h"

namespace arenagrad::bindings {

bool is_module(PyObject* object) {
  static const py::handle name = py::str("arenagrad.nn").release();
  static py::handle type; // null until arenagrad.nn has been imported by somebody
  if (PyList_CheckExact(object) || PyTuple_CheckExact(object) || PyFloat_CheckExact(object))
    return false;
  if (!type) {
    const auto nn = py::reinterpret_steal<py::object>(PyImport_GetModule(name.ptr()));
    if (!nn && PyErr_Occurred()) throw py::error_already_set();
    if (!nn) return false;
    type = py::object(nn.attr("Module")).release();
  }
  return py::isinstance(object, type);
}

py::tuple parameters_of(PyObject* model) {
  const py::object given = py::handle(model).attr("parameters")();
  auto items = py::reinterpret_steal<py::tuple>(PySequence_Tuple(given.ptr()));
  if (!items) throw py::error_already_set();
  for (const py::handle item : items)
    if (!is_value(item.ptr()))
      throw py::type_error(std::string("parameters() of a Module must give Values, got ") +
                           Py_TYPE(item.ptr())->tp_name);
  return items;
}

} // namespace arenagrad::bindings
