// The one place where errors of the core become Python exceptions. Each class inherits the built-in
// that plain Python would raise, so micrograd's `except` clauses go on working.
#include <new>

#include "program/ir/callback.h"
#include "program/passes/derivative_rules.h"
#include "value.h"

namespace arenagrad::bindings {
namespace {

struct {
  PyObject* base;
  PyObject* full;
  PyObject* domain;
  PyObject* zero;
  PyObject* range;
  PyObject* format;
} classes;

PyObject* define(py::module_& module, const char* name, const char* doc, PyObject* builtin) {
  return new_exception(module, name, doc,
                       py::make_tuple(py::handle(classes.base), py::handle(builtin)));
}

// Raises `type` with the Value to blame, if any, as its attribute `value`.
void raise(PyObject* type, const core::Error& error) {
  try {
    // The Value first: making the exception may run a collection, which moves nodes.
    const py::object value = error.node == core::kNoNode || error.node >= arena().size()
                                 ? py::object(py::none())
                                 : py::reinterpret_steal<py::object>(object_of(error.node));
    const py::object exception = py::handle(type)(error.what());
    exception.attr("value") = value;
    PyErr_SetObject(type, exception.ptr());
  } catch (py::error_already_set& failure) {
    failure.restore();
  }
}

// Sets the error of a function of Python's, with its traceback. It may be asked for several times.
void restore_python_error(const std::exception_ptr& kept) {
  try {
    std::rethrow_exception(kept);
  } catch (const py::error_already_set& error) {
    PyErr_Restore(error.type().inc_ref().ptr(), error.value().inc_ref().ptr(),
                  error.trace() ? error.trace().inc_ref().ptr() : nullptr);
  }
}

bool is_out_of_memory() {
  return PyErr_Occurred() != nullptr && PyErr_ExceptionMatches(PyExc_MemoryError);
}

void translate(std::exception_ptr pending) {
  try {
    std::rethrow_exception(pending);
  } catch (const core::ArenaFull& error) {
    raise(classes.full, error);
  } catch (const core::DivisionByZero& error) {
    raise(classes.zero, error);
  } catch (const core::DomainError& error) {
    raise(classes.domain, error);
  } catch (const core::RangeError& error) {
    raise(classes.range, error);
  } catch (const core::FormatError& error) {
    raise(classes.format, error);
  } catch (const core::SingularMatrix& error) {
    raise(py::module_::import("numpy.linalg").attr("LinAlgError").ptr(), error);
  } catch (const core::Error& error) {
    raise(classes.base, error);
  } catch (const program::CallFailed& failed) {
    restore_python_error(failed.error);
  } catch (const program::NoDerivative& error) {
    PyErr_SetString(PyExc_TypeError, error.what());
  } catch (const std::runtime_error&) {
    // So pybind11 says that Python had no memory for an object, and leaves Python's error as it is.
    if (!is_out_of_memory()) throw;
  }
}

} // namespace

void set_python_error() noexcept {
  try {
    translate(std::current_exception());
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const py::builtin_exception& error) {
    error.set_error();
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
}

PyObject* new_exception(py::module_& module, const char* name, const char* doc, py::handle bases) {
  const std::string qualified = std::string("arenagrad.") + name;
  PyObject* const type = PyErr_NewExceptionWithDoc(qualified.c_str(), doc, bases.ptr(), nullptr);
  if (type == nullptr) throw py::error_already_set();
  module.attr(name) = py::handle(type);
  return type;
}

void bind_errors(py::module_& module) {
  classes.base = new_exception(
      module, "ArenagradError",
      "Base of the errors of arenagrad. `value` is the Value to blame, or None.", PyExc_Exception);
  classes.full = define(module, "ArenaFullError", "No index or no memory is left for another node.",
                        PyExc_MemoryError);
  classes.domain =
      define(module, "DomainError", "An operand lies where the operation has no real result.",
             PyExc_ValueError);
  classes.zero = define(module, "DivisionByZeroError", "Zero was raised to a negative power.",
                        PyExc_ZeroDivisionError);
  classes.range =
      define(module, "RangeError", "The result is too large for a float.", PyExc_OverflowError);
  classes.format =
      define(module, "FormatError", "Bytes or a file that should hold something saved do not.",
             PyExc_ValueError);
  define(module, "UntracedError",
         "A program alone, without its function, met an outcome that it was not traced for.",
         PyExc_ValueError);
  py::register_local_exception_translator(translate);
}

} // namespace arenagrad::bindings
