// The table behind the writing pass of the same name: which instruction a program already has, so
// that equal ones are computed once. Equal means opcode and operands; x + y and y + x are equal too
// where the order makes no difference (commutes).
//
// Invariant: holds the positions of all instructions but inputs and constants, each once.
// Not thread-safe. Cost: about 10 ns an instruction.
#pragma once

#include <vector>

#include "program/ir/program.h"

namespace arenagrad::program {

// Whether a and b may change places without changing a bit of the result.
bool commutes(Opcode opcode);

class CommonSubexpressions {
public:
  // Where the program has this instruction, or kNone: the caller must then append it, and it is
  // remembered as standing there.
  Index find_or_add(const Program& program, const Instruction& instruction);

private:
  template <class Visit> void probe(const Instruction& instruction, Visit&& visit);
  void grow(const Program& program);

  std::vector<Index> slots_; // open addressing; a power of two; kNone: free
};

} // namespace arenagrad::program
