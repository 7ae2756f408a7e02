#include "sweeps.h"

#include <algorithm>
#include <utility>

namespace arenagrad::program {
namespace {

Marks varying_in(const Program& program, const Wanted& wanted) {
  return wanted.varies.empty() ? Marks(program.size(), 0) : varying(program, wanted.varies);
}

} // namespace

Marks active_in(const Program& program, const std::vector<Index>& inputs) {
  Marks active(program.size(), 0);
  for (const Index input : inputs) active[input] = 1;
  mark_dependents(program, active);
  return active;
}

ReverseSweep::ReverseSweep(const Program& program, const Wanted& wanted, DerivativeWriter& writer)
    : program_(program), writer_(writer),
      adjoints_(active_in(program, wanted.inputs), varying_in(program, wanted)) {}

void ReverseSweep::seed(Index output, Symbolic cotangent) {
  adjoints_.accumulate(output, cotangent, adjoints_.varies(output));
  top_ = std::max(top_, output);
}

void ReverseSweep::run() {
  for (std::size_t k = std::size_t{top_} + 1; k-- > 0;) {
    const auto i = static_cast<Index>(k);
    if (!adjoints_.has_terms(i) || program_.instructions[i].opcode == Opcode::Input) continue;
    pullback(writer_.site(i), adjoints_.total(i), adjoints_);
    adjoints_.clear(i);
  }
  top_ = 0;
}

void ReverseSweep::clear(const std::vector<Index>& inputs) {
  for (const Index input : inputs) adjoints_.clear(input);
  adjoints_.clear_terms();
}

std::vector<Index> sweep_forward(const Program& program, DerivativeWriter& writer,
                                 std::vector<Index> of_inputs) {
  Tangents tangents{std::move(of_inputs), Marks(program.size(), 0)};
  for (Index i = 0; i < program.size(); ++i)
    if (program.instructions[i].opcode > Opcode::Input) pushforward(writer.site(i), tangents);
  return std::move(tangents.of);
}

void write_checks_of_sweeps(const Program& program, const Wanted& wanted, DerivativeWriter& writer,
                            const Passes& passes) {
  const auto has = [&](Opcode opcode) {
    return std::ranges::any_of(program.instructions,
                               [&](const Instruction& at) { return at.opcode == opcode; });
  };
  if (passes.reorder || !has(Opcode::Pow) || has(Opcode::StrictPartial)) return;
  ReverseSweep sweep(program, wanted, writer);
  for (const Index output : program.outputs) {
    sweep.seed(output, Symbolic(1.0));
    sweep.run();
    sweep.clear(wanted.inputs);
  }
}

} // namespace arenagrad::program
