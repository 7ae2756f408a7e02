// The pass that removes dead code: what neither outputs nor guards nor checks need. Inputs stay,
// since their number is part of how a program is called.
#include "passes.h"
#include "program/ir/analysis.h"
#include "rewriting.h"

namespace arenagrad::program {

Program prune(const Program& program, const Passes& /*passes*/) {
  const Marks keep = needed(program);
  Builder builder(Passes::none());
  Rewriting out(program, builder);
  for (Index i = 0; i < program.size(); ++i)
    if (keep[i] != 0 || program.instructions[i].opcode == Opcode::Input) out.copy(i);
  out.finish();
  return builder.finish();
}

} // namespace arenagrad::program
