// Writes a program, instruction by instruction, tidying each as it comes. What it does is chosen by
// Passes; all but the last line of them keep results bit for bit.
//
// Not thread-safe. Cost: about 50 ns an instruction.
#pragma once

#include <unordered_map>

#include "program/ir/operand_pool.h"
#include "program/ir/program.h"

namespace arenagrad::program {

// The optimisations, each of which can be left out.
struct Passes {
  bool fold = true;  // constants: what has only constant operands is computed now
  bool share = true; // common subexpressions: what has been computed is not computed again
  bool clean = true; // x * 1, x - -y and so on, where the result is the very same
  bool prune = true; // dead code
  bool fuse = true;  // chains of + and * become sums and dot products
  bool reorder =
      true; // what differs by rounding: x * y**-1 is x / y, lanes of sums, fused a * b + c
};

class Builder {
public:
  explicit Builder(const Passes& passes) : passes_(passes) {}

  // An instruction of at most three operands, or one that does the same.
  Index emit(Opcode opcode, Index a, Index b = kNone, Index c = kNone, bool checked = false);
  Index emit_many(Opcode opcode, const std::vector<Index>& operands, bool checked = false);
  Index constant(double value);
  // An instruction of another program, no input, whose operands are here at place[...].
  Index copy(const Program& from, const Instruction& at, const std::vector<Index>& place);
  // Requires that inputs come first, in order.
  Index input();

  bool is_constant(Index i) const { return program_.instructions[i].opcode == Opcode::Constant; }
  // Requires is_constant(i).
  double constant_of(Index i) const { return program_.constants[program_.instructions[i].a]; }
  bool is_constant(Index i, double value) const;
  const Instruction& at(Index i) const { return program_.instructions[i]; }
  const Program& program() const { return program_; }
  std::size_t size() const { return program_.size(); }

  void output(Index i) { program_.outputs.push_back(i); }
  void guard(Index condition, bool outcome) { program_.guards.push_back({condition, outcome}); }
  Program finish() { return std::move(program_); }

  const Passes& passes() const { return passes_; }

private:
  Index cleaned(Opcode opcode, Index a, Index b, Index c);
  Index reordered(Opcode opcode, Index a, Index b, bool checked);
  Index append(const Instruction& instruction);
  Index shared(const Instruction& instruction);
  template <class Visit> void probe(const Instruction& instruction, Visit&& visit);
  void grow();

  Program program_;
  const Passes passes_;
  OperandLists lists_;
  std::vector<Index> table_; // open addressing, the places of instructions
  std::unordered_map<std::uint64_t, Index> constants_; // by their bits
};

} // namespace arenagrad::program
