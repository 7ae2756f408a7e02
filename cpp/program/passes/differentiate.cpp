#include "differentiate.h"

#include <utility>

#include "sweeps.h"

namespace arenagrad::program {

Program reverse(const Program& program, const Wanted& wanted, bool seeded, const Passes& passes) {
  Program written = build(passes, [&](Builder& builder) {
    const std::size_t differentiated = wanted.differentiated(program);
    DerivativeWriter writer(program, seeded ? differentiated : 0, builder);
    ReverseSweep sweep(program, wanted, writer);
    for (std::size_t k = 0; k < differentiated; ++k)
      sweep.seed(program.outputs[k], seeded ? writer.more_input(k) : Symbolic(1.0));
    sweep.run();
    writer.copy_outputs();
    writer.copy_guards();
    for (const Index input : wanted.inputs)
      writer.output(sweep.reaches(input) ? sweep.adjoint(input) : Symbolic(0.0));
  });
  return run_passes(std::move(written), passes);
}

Program tangent(const Program& program, const Wanted& wanted, const Passes& passes) {
  Program written = build(passes, [&](Builder& builder) {
    DerivativeWriter writer(program, wanted.inputs.size(), builder);
    std::vector<Index> tangents(program.size(), kNone);
    for (std::size_t k = 0; k < wanted.inputs.size(); ++k)
      tangents[wanted.inputs[k]] = writer.more_input(k).index();
    tangents = sweep_forward(program, wanted, writer, std::move(tangents), ReverseRules::Refused);
    write_checks_of_sweeps(program, wanted, writer, passes);
    writer.copy_outputs();
    writer.copy_guards();
    for (const Index output : program.outputs)
      writer.output(tangents[output] == kNone ? Symbolic(0.0) : Symbolic::of(tangents[output]));
  });
  return run_passes(std::move(written), passes);
}

Program summed(const Program& program, const Passes& passes) {
  return build(passes, [&](Builder& builder) {
    DerivativeWriter writer(program, 0, builder);
    for (const Index output : program.outputs)
      writer.output(Symbolic::emit(Opcode::RowSum, writer.value(output)));
    writer.copy_guards();
  });
}

} // namespace arenagrad::program
