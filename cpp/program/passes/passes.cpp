#include "passes.h"

#include "dump.h"
#include "program/ir/analysis.h"
#include "rewriting.h"

namespace arenagrad::program {
namespace {

Program run_pass(const Pass& pass, Program before, const Passes& passes) {
  Program after = pass.run(before, passes);
  if (is_dumped(pass)) dump(pass, before, after);
  return after;
}

// Writing passes share one walk, so the program before one of them is the program without it.
void dump_writing_passes(const Program& program, const Passes& passes,
                         const std::function<void(Builder&)>& write) {
  for (const Pass& pass : kPasses) {
    if (!pass.while_writing || !(passes.*pass.enabled) || !is_dumped(pass)) continue;
    Passes others = passes;
    others.*pass.enabled = false;
    Builder without(others);
    write(without);
    dump(pass, without.finish(), program);
  }
}

} // namespace

Program rewrite(const Program& program, const Passes& passes) {
  const Marks exact = decision_cone(program);
  return build(passes, [&](Builder& builder) {
    Rewriting out(program, builder);
    for (Index i = 0; i < program.size(); ++i) {
      builder.set_exact(is_marked(exact, i));
      out.copy(i);
    }
    out.finish();
  });
}

Program build(const Passes& passes, const std::function<void(Builder&)>& write) {
  Builder builder(passes);
  write(builder);
  Program program = builder.finish();
  dump_writing_passes(program, passes, write);
  return program;
}

Program run_passes(Program program, const Passes& passes) {
  for (const Pass& pass : kPasses)
    if (!pass.while_writing && passes.*pass.enabled)
      program = run_pass(pass, std::move(program), passes);
  // fuse leaves constants and terms behind that nothing uses any more.
  return passes.prune && passes.fuse ? prune(program, passes) : program;
}

Program optimise(const Program& program, const Passes& passes) {
  return run_passes(rewrite(program, passes), passes);
}

} // namespace arenagrad::program
