// A program that will not be differentiated any more: an instruction that says what the partials of
// a value are is that value, and what the partials are computed from is dropped.
//
// Pure and thread-safe; linear cost, none for programs without such instructions.
#pragma once

#include "program/ir/program.h"

namespace arenagrad::program {

// Whether without_partials() would change anything.
bool has_partials(const Program& program);
// The same results. Checks of what the partials are computed from are gone, as with a rule that is
// not asked for.
Program without_partials(const Program& program);

// What make(program) gives for the program as plans run it; it is copied only where it changes.
template <class Make> auto planned(const Program& program, Make&& make) {
  return has_partials(program) ? make(without_partials(program)) : make(program);
}

} // namespace arenagrad::program
