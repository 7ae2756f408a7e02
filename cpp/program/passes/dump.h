// What a pass did, for the eyes of whoever works on it: ARENAGRAD_DUMP=<pass> prints each program
// on stderr before and after that pass, ARENAGRAD_DUMP=all around every pass. Programs come out the
// same with it. The variable is read once; a name that is no pass is said on stderr, once.
// Thread-safe: a dump is one write.
#pragma once

#include <string>
#include <string_view>

#include "passes.h"

namespace arenagrad::program {

bool is_dumped(const Pass& pass);

void dump(const Pass& pass, const Program& before, const Program& after);

// The text of a dump.
std::string dump_text(const Pass& pass, const Program& before, const Program& after);

// Whether `wanted`, a value of ARENAGRAD_DUMP, names this pass, or any pass at all.
bool names_pass(std::string_view wanted, const Pass& pass);
bool names_any_pass(std::string_view wanted);

} // namespace arenagrad::program
