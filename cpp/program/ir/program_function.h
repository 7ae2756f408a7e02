// A program as the function of a call in the arena: its inputs are the operands, its outputs the
// results. A trace that meets such a call writes the program's instructions into its own.
// Immutable, so safe from any thread.
#pragma once

#include <utility>

#include "core/function_nodes.h"
#include "program.h"

namespace arenagrad::program {

class ProgramFunction : public core::Function {
public:
  explicit ProgramFunction(Program program) : program_(std::move(program)) {}
  const Program& program() const { return program_; }
  std::size_t operands() const override { return program_.input_count; }
  std::size_t results() const override { return program_.outputs.size(); }

private:
  const Program program_;
};

} // namespace arenagrad::program
