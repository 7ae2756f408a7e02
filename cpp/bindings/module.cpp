// arenagrad._core and its submodules: the table of contents.
#include <string>

#include "bindings.h"
#include "bindings/value/instance.h"
#include "former_names.h"

namespace arenagrad::bindings {
namespace {

namespace py = pybind11;

void bind_core(py::module_& module) {
  bind_errors(module);
  bind_value(module);
  bind_trace(module);
  bind_warnings(module);
  bind_graph(module);
  bind_info(module);
  bind_grad_mode(module);
  bind_dense_layer(module);
  bind_pickle(module);
  bind_copy(module);
}

void bind_functions(py::module_& module) {
  bind_ops(module);
  bind_nary(module);
  bind_arrays(module);
  bind_zero_grad(module);
}

// In the order in which signatures name classes.
void bind_compiled(py::module_& module) {
  bind_pytree(module);
  bind_callback(module);
  bind_program(module);
  bind_closure(module);
  bind_outer_state(module);
  bind_random_states(module);
  bind_capture(module);
  bind_point_executable(module);
  bind_native_dispatch(module);
  bind_recorded_call(module);
  bind_matrix_calls(module);
  bind_batch(module);
  bind_batch_executable(module);
  bind_row_arrays(module);
}

// What `from module import *` takes: everything public in it.
void list_public_names(py::module_& module) {
  py::list names;
  for (const auto& [name, object] : py::dict(module.attr("__dict__")))
    if (!std::string(py::str(name)).starts_with('_')) names.append(name);
  names.attr("sort")();
  module.attr("__all__") = py::tuple(names);
}

} // namespace
} // namespace arenagrad::bindings

PYBIND11_MODULE(_core_of_main, module) {
  using namespace arenagrad::bindings;
  module.doc() = "The compiled core of arenagrad.";
  bind_core(module);
  auto functions = module.def_submodule(
      "functions", "The functions of Values and numbers, which arenagrad.functions gives on.");
  bind_functions(functions);
  list_public_names(functions);
  auto optim = module.def_submodule("optim", "The steps that the optimisers take.");
  bind_optimizers(optim);
  auto compiled = module.def_submodule("compiled", "The native parts of compiled functions.");
  bind_compiled(compiled);
  bind_former_names(module);
  for (const auto& each : {module, functions, optim, compiled}) guard_classes(each);
}

// There is one arena in a process, and objects of one interpreter are not for another. Asked before
// pybind11 is, which would wait in a sub-interpreter for a lock of the main one.
// NOLINTNEXTLINE(bugprone-reserved-identifier): Python asks for this name
extern "C" PYBIND11_EXPORT PyObject* PyInit__core() {
  if (PyInterpreterState_Get() == PyInterpreterState_Main()) return PyInit__core_of_main();
  PyErr_SetString(PyExc_ImportError, "arenagrad can be imported in the main interpreter only: this "
                                     "is a sub-interpreter");
  return nullptr;
}
