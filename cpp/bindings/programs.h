// How programs are made from Python. Needs the GIL.
#pragma once

#include "../program/builder.h"
#include "../program/program.h"
#include "value.h"

namespace arenagrad::bindings {

using ProgramPointer = std::shared_ptr<program::Program>;

// What may be done to a program whose results must keep every bit, or need not.
inline program::Passes passes(bool strict) {
  program::Passes passes;
  passes.reorder = !strict;
  return passes;
}

void bind_capture(py::module_& module);
void bind_program(py::module_& module);
void bind_runner(py::module_& module);
void bind_call(py::module_& module);
void bind_batch(py::module_& module);
void bind_tree(py::module_& module);

} // namespace arenagrad::bindings
