// What each room adds to the module and its submodules: module.cpp calls these in order.
#pragma once

#include <pybind11/pybind11.h>

namespace arenagrad::bindings {

// arenagrad._core
void bind_errors(pybind11::module_& module);      // value/errors.cpp
void bind_value(pybind11::module_& module);       // value/type.cpp
void bind_trace(pybind11::module_& module);       // value/trace.cpp
void bind_graph(pybind11::module_& module);       // value/graph.cpp
void bind_info(pybind11::module_& module);        // value/info.cpp
void bind_grad_mode(pybind11::module_& module);   // functions/grad_mode.cpp
void bind_dense_layer(pybind11::module_& module); // functions/dense_layer.cpp
void bind_pickle(pybind11::module_& module);      // saving/pickle.cpp
void bind_copy(pybind11::module_& module);        // saving/copy.cpp

// arenagrad._core.functions
void bind_ops(pybind11::module_& module);       // functions/scalar.cpp
void bind_nary(pybind11::module_& module);      // functions/nary.cpp
void bind_arrays(pybind11::module_& module);    // functions/arrays.cpp
void bind_zero_grad(pybind11::module_& module); // functions/grad_mode.cpp

// arenagrad._core.optim
void bind_optimizers(pybind11::module_& module); // functions/optimizers.cpp

// arenagrad._core.compiled
void bind_pytree(pybind11::module_& module);           // pytree/python_class.cpp
void bind_program(pybind11::module_& module);          // compiled/program.cpp
void bind_closure(pybind11::module_& module);          // compiled/closure.cpp
void bind_capture(pybind11::module_& module);          // compiled/capture.cpp
void bind_point_executable(pybind11::module_& module); // compiled/point_executable_class.cpp
void bind_native_dispatch(pybind11::module_& module);  // compiled/native_dispatch.cpp
void bind_batch(pybind11::module_& module);            // compiled/batch_class.cpp
void bind_batch_executable(pybind11::module_& module); // compiled/batch_executable.cpp
void bind_row_arrays(pybind11::module_& module);       // compiled/row_arrays.cpp

} // namespace arenagrad::bindings
