// What each room adds to the module and its submodules: module.cpp calls these in order.
//
// Cold: they run once, at import, so the compiler makes them small and not fast, which takes 2 %
// off a wheel.
#pragma once

#include <pybind11/pybind11.h>

namespace arenagrad::bindings {

namespace py = pybind11;

// arenagrad._core
[[gnu::cold]] void bind_errors(py::module_&);      // value/errors.cpp
[[gnu::cold]] void bind_value(py::module_&);       // value/type.cpp
[[gnu::cold]] void bind_trace(py::module_&);       // value/trace.cpp
[[gnu::cold]] void bind_warnings(py::module_&);    // value/warnings.cpp
[[gnu::cold]] void bind_graph(py::module_&);       // value/graph.cpp
[[gnu::cold]] void bind_info(py::module_&);        // value/info.cpp
[[gnu::cold]] void bind_grad_mode(py::module_&);   // functions/grad_mode.cpp
[[gnu::cold]] void bind_dense_layer(py::module_&); // functions/dense_layer.cpp
[[gnu::cold]] void bind_pickle(py::module_&);      // saving/pickle.cpp
[[gnu::cold]] void bind_copy(py::module_&);        // saving/copy.cpp

// arenagrad._core.functions
[[gnu::cold]] void bind_ops(py::module_&);       // functions/scalar.cpp
[[gnu::cold]] void bind_nary(py::module_&);      // functions/nary.cpp
[[gnu::cold]] void bind_arrays(py::module_&);    // functions/arrays.cpp
[[gnu::cold]] void bind_zero_grad(py::module_&); // functions/grad_mode.cpp

// arenagrad._core.optim
[[gnu::cold]] void bind_optimizers(py::module_&); // functions/optimizers.cpp

// arenagrad._core.compiled
[[gnu::cold]] void bind_pytree(py::module_&);           // pytree/python_class.cpp
[[gnu::cold]] void bind_program(py::module_&);          // compiled/program.cpp
[[gnu::cold]] void bind_closure(py::module_&);          // compiled/closure.cpp
[[gnu::cold]] void bind_outer_state(py::module_&);      // compiled/outer_state.cpp
[[gnu::cold]] void bind_random_states(py::module_&);    // compiled/random_states.cpp
[[gnu::cold]] void bind_capture(py::module_&);          // compiled/capture.cpp
[[gnu::cold]] void bind_point_executable(py::module_&); // compiled/point_executable_class.cpp
[[gnu::cold]] void bind_native_dispatch(py::module_&);  // compiled/native_dispatch.cpp
[[gnu::cold]] void bind_recorded_call(py::module_&);    // compiled/recorded_call.cpp
[[gnu::cold]] void bind_matrix_calls(py::module_&);     // compiled/matrix_calls.cpp
[[gnu::cold]] void bind_callback(py::module_&);         // compiled/callback.cpp
[[gnu::cold]] void bind_batch(py::module_&);            // compiled/batch_class.cpp
[[gnu::cold]] void bind_batch_executable(py::module_&); // compiled/batch_executable.cpp
[[gnu::cold]] void bind_row_arrays(py::module_&);       // compiled/row_arrays.cpp

} // namespace arenagrad::bindings
