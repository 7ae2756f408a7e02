// The writing passes as rules: each is asked for every instruction that a Builder is to write, and
// answers with a value that has the same result, or kNone to let it be written. A rule may emit
// instructions of its own, for which the rules are asked again.
//
// All but `reorder` answer with the very same bits, whatever the operands are, nan and -0 included.
#pragma once

#include "program/ir/program.h"

namespace arenagrad::program {

class Builder;

// Constant operands: the result, computed now. A checked result that is not finite is left alone,
// since the run is to raise what the eager function raises. A sum over rows is left alone too: it
// depends on how many rows there are.
Index fold(Builder& builder, const Instruction& instruction);
Index fold_many(Builder& builder, Opcode opcode, const std::vector<Index>& operands, bool checked);

// A cheaper instruction: x * 1 is x, x + -y is x - y, and so on.
Index peephole(Builder& builder, const Instruction& instruction);

// Powers with a small constant exponent: products, reciprocals and square roots, which round
// differently from the C library's pow.
Index reorder(Builder& builder, const Instruction& instruction);

} // namespace arenagrad::program
