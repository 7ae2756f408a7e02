// Writing a program anew from another: where each value of the old one stands in the new one. The
// frame of the passes that read one program and write another. Not thread-safe.
#pragma once

#include <vector>

#include "builder.h"

namespace arenagrad::program {

class Rewriting {
public:
  // Both must outlive this.
  Rewriting(const Program& from, Builder& to) : from_(from), to_(to), place_(from.size(), kNone) {}

  Builder& to() { return to_; }
  // Where value i of the old program stands in the new one; kNone until it is written.
  Index& place(Index i) { return place_[i]; }

  // Requires that its operands have been written, and that inputs are copied in order.
  void copy(Index i) {
    const Instruction& at = from_.instructions[i];
    place_[i] = at.opcode == Opcode::Input ? to_.input() : to_.copy(from_, at, place_);
  }

  // Writes outputs and guards, which must have been written as instructions.
  void finish() {
    for (const Index output : from_.outputs) to_.output(place_[output]);
    for (const Guard& guard : from_.guards) to_.guard(place_[guard.condition], guard.outcome);
  }

private:
  const Program& from_;
  Builder& to_;
  std::vector<Index> place_;
};

} // namespace arenagrad::program
