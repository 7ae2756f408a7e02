#include "warnings.h"

#include <string>

#include "record.h"

namespace arenagrad::bindings {
namespace {

PyObject* detached_warning = nullptr; // arenagrad.DetachedValueWarning, owned by the process

bool names_on_behalf(PyFrameObject* frame) {
  const auto globals = py::reinterpret_steal<py::dict>(PyFrame_GetGlobals(frame));
  PyObject* const name = item_named(globals.ptr(), "__name__");
  if (name == nullptr || !PyUnicode_Check(name)) return false;
  const auto text = py::cast<std::string>(py::handle(name));
  const std::string package = text.substr(0, text.find('.'));
  if (package == "arenagrad" || package == "numpy") return true;
  PyObject* const library = PySys_GetObject("stdlib_module_names"); // borrowed
  return library != nullptr && PySet_Contains(library, py::str(package).ptr()) == 1;
}

// Whether a frame belongs to a module that runs on behalf of somebody. Where that cannot be found
// out, for want of memory, it does not: warnings are given by slots, which must not throw.
bool on_behalf(PyFrameObject* frame) {
  try {
    return names_on_behalf(frame);
  } catch (const std::exception&) {
    PyErr_Clear();
    return false;
  }
}

} // namespace

Py_ssize_t level_of_own_line() {
  Py_ssize_t level = 1;
  auto frame = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(PyEval_GetFrame()));
  while (frame) {
    auto* const at = reinterpret_cast<PyFrameObject*>(frame.ptr());
    if (!on_behalf(at)) return level;
    ++level;
    frame = py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(PyFrame_GetBack(at)));
  }
  return 1;
}

bool note_detached_number(PyObject* value) {
  if (tracing() != nullptr) return note_frozen(value, "reading the number");
  if (no_grad_depth != 0) return true;
  return PyErr_WarnEx(detached_warning,
                      "a Value was turned into a number, which carries no derivative: write "
                      "arenagrad.sqrt(v) and the like to keep it, v.item() to mean the number",
                      level_of_own_line()) == 0;
}

void bind_warnings(py::module_& module) {
  detached_warning = new_exception(
      module, "DetachedValueWarning",
      "A number was read out of a Value by float() or int(), so that no derivative follows it.",
      PyExc_UserWarning);
}

} // namespace arenagrad::bindings
