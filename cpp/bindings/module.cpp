// arenagrad._core: the table of contents.
#include "bindings/compiled/program.h"
#include "bindings/value/trace.h"

PYBIND11_MODULE(_core, module) {
  using namespace arenagrad::bindings;
  module.doc() = "The compiled core of arenagrad.";
  bind_errors(module);
  bind_value(module);
  bind_trace(module);
  bind_graph(module);
  bind_ops(module);
  bind_nary(module);
  bind_functional(module);
  bind_arrays(module);
  bind_build(module);
  bind_saving(module);
  bind_copying(module);
  bind_info(module);
  bind_optim(module);
  bind_tree(module);
  bind_program(module);
  bind_capture(module);
  bind_runner(module);
  bind_call(module);
  bind_batch(module);
}
