// The passes: which there are, which are on, and how a program goes through them.
//
// A program is written through a Builder, whose rules are the writing passes, and then goes through
// the program passes, each of which reads one program and writes another. passes.def lists both
// kinds. Any pass can be left out, and the results are the same but for rounding (reorder).
//
// Pure and thread-safe, but for what ARENAGRAD_DUMP prints (dump.h). Cost: linear.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

#include "program/ir/program.h"

namespace arenagrad::program {

class Builder;

// Which passes are on: a flag for each row of passes.def, and all of them unless said otherwise.
struct Passes {
#define ARENAGRAD_WRITING_PASS(name, purpose) bool name = true;
#define ARENAGRAD_PROGRAM_PASS(name, purpose) bool name = true;
#include "passes.def"

  // Every pass off, those included that are added later.
  static constexpr Passes none() {
    return {
#define ARENAGRAD_WRITING_PASS(name, purpose) .name = false,
#define ARENAGRAD_PROGRAM_PASS(name, purpose) .name = false,
#include "passes.def"
    };
  }
};

#define ARENAGRAD_PROGRAM_PASS(name, purpose)                                                      \
  Program name(const Program& program, const Passes& passes);
#include "passes.def"

// All instructions anew, through a Builder with these passes.
Program rewrite(const Program& program, const Passes& passes);

// The same with one writing pass alone, whatever `passes` says.
template <bool Passes::* kPass>
Program rewrite_with_only(const Program& program, const Passes& /*passes*/) {
  Passes only = Passes::none();
  only.*kPass = true;
  return rewrite(program, only);
}

struct Pass {
  std::string_view name;
  const char* purpose;
  bool Passes::* enabled;
  bool while_writing; // a rule of Builder; else a function of whole programs
  // This pass alone on a whole program. A program pass may read from `passes` what else is allowed.
  Program (*run)(const Program& program, const Passes& passes);
};

inline constexpr Pass kPasses[] = {
#define ARENAGRAD_WRITING_PASS(name, purpose)                                                      \
  {#name, purpose, &Passes::name, true, rewrite_with_only<&Passes::name>},
#define ARENAGRAD_PROGRAM_PASS(name, purpose) {#name, purpose, &Passes::name, false, name},
#include "passes.def"
};

// The program that `write` writes through a Builder with these passes. Requires that `write` can be
// repeated: to show a program without a writing pass is to write it again.
Program build(const Passes& passes, const std::function<void(Builder&)>& write);

// The program passes that are on, in order, on a program that a Builder has just written.
Program run_passes(Program program, const Passes& passes);

// A program through all passes that are on. Inputs stay.
Program optimise(const Program& program, const Passes& passes);

} // namespace arenagrad::program
