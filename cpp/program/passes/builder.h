// Writes a program, instruction by instruction. The writing passes that are on are applied to each
// instruction as it comes (writing_rules.h, common_subexpressions.h), so that no walk over the
// program is needed for them: what emit() returns may be an older value with the same result.
//
// Requires operands that this builder returned. Not thread-safe. Cost: about 50 ns an instruction.
#pragma once

#include <unordered_map>
#include <utility>

#include "common_subexpressions.h"
#include "passes.h"
#include "program/ir/operand_pool.h"
#include "program/ir/program.h"

namespace arenagrad::program {

class Builder {
public:
  explicit Builder(const Passes& passes) : passes_(passes) {}

  // An instruction of at most three operands, or a value with the same result.
  Index emit(Opcode opcode, Index a, Index b = kNone, Index c = kNone, bool checked = false);
  Index emit_many(Opcode opcode, const std::vector<Index>& operands, bool checked = false);
  // Result number `which` of a call.
  Index emit_call(const CallbackPointer& callback, std::size_t which,
                  const std::vector<Index>& operands, bool checked = false);
  Index constant(double value);
  // Whether what is written from now on belongs to a decision: `reorder` then leaves it as it is.
  void set_exact(bool exact) { exact_ = exact; }
  // An instruction of another program, which must not be an input. Its operand i is place[i] here.
  Index copy(const Program& from, const Instruction& at, const std::vector<Index>& place);
  // Requires that inputs come first, in order.
  Index input();

  bool is_constant(Index i) const { return program_.instructions[i].opcode == Opcode::Constant; }
  // Requires is_constant(i).
  double constant_of(Index i) const { return program_.constants[program_.instructions[i].a]; }
  // By bits: -0.0 is not 0.0.
  bool is_constant(Index i, double value) const;
  const Instruction& at(Index i) const { return program_.instructions[i]; }
  const Program& program() const { return program_; }
  std::size_t size() const { return program_.size(); }

  void output(Index i) { program_.outputs.push_back(i); }
  // A guard whose condition has been folded to its outcome holds in every run, and is left out.
  void guard(Index condition, bool outcome);
  Program finish() { return std::move(program_); }

  const Passes& passes() const { return passes_; }

private:
  Index append(const Instruction& instruction);
  Index find_or_append(const Instruction& instruction);
  std::size_t number_of(const CallbackPointer& callback);
  Index copy_call(const Program& from, const Instruction& at, const std::vector<Index>& place);

  Program program_;
  const Passes passes_;
  bool exact_ = false;
  OperandPool lists_;
  CommonSubexpressions known_;
  std::unordered_map<std::uint64_t, Index> constants_;     // by their bits
  std::unordered_map<const void*, std::size_t> callbacks_; // their numbers, by their keys
};

} // namespace arenagrad::program
