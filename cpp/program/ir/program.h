// A linear program: what a function does to its inputs, as a list of instructions.
//
// Invariants
//  1. An instruction's operands stand before it; its index in the list is the value's name.
//  2. The first instructions are the inputs, number k at index k, whether they are used or not.
//  3. A program is not changed once it is made: passes read one and write another.
//  4. Whatever walks a program reads operands by for_each_operand alone, so that an instruction
//     with operands of a new kind is one more case there.
//
// Immutable, so safe from any thread. Cost: 16 bytes an instruction, 4 an operand in a list; a list
// is kept once (operand_pool.h).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "callback.h"
#include "opcode.h"

namespace arenagrad::program {

using Index = std::uint32_t;
inline constexpr Index kNone = 0xffffffffu;

// One operation on values before it. Operands that the opcode does not have are kNone; what a, b
// and c are otherwise stands at the opcode.
struct Instruction {
  Opcode opcode = Opcode::Constant;
  // Captured from an operation that refuses some operands (ops.def, may_fail) and did not: a result
  // that is not finite where its operands are means that it fails now, which the function may
  // catch.
  bool checked = false;
  Index a = kNone, b = kNone, c = kNone;
};
static_assert(sizeof(Instruction) <= 16);

// A branch that was taken while tracing: `condition`, 1 or 0, came out as `outcome`. A run in which
// it comes out otherwise gives no answer; guards are decisions, so no pass may change what they
// say.
struct Guard {
  Index condition;
  bool outcome;
};

// The operands of a DotN, each the index of an instruction.
using DotView = core::DotView<const Index*>;

struct Program {
  std::vector<Instruction> instructions;
  std::vector<double> constants;
  std::vector<Index> lists; // the operands of Many instructions
  std::vector<Index> outputs;
  std::vector<Guard> guards;
  std::vector<CallbackPointer> callbacks; // of Callback instructions
  Index input_count = 0;

  std::size_t size() const { return instructions.size(); }

  // Calls visit(operand) for each operand of an instruction, in order. The number of an Element is
  // none.
  template <class Visit> void for_each_operand(const Instruction& i, Visit&& visit) const {
    if (is_many(i.opcode)) {
      const std::size_t first = leading(i.opcode, i.b), others = i.b - first;
      for (std::size_t k = 0; k < first; ++k) visit(lists[i.a + k]);
      for (std::size_t k = 0; k < others; ++k) visit(lists[i.c + k]);
      return;
    }
    const std::size_t count = operand_count(i.opcode);
    if (count > 0) visit(i.a);
    if (count > 1) visit(i.b);
    if (count > 2) visit(i.c);
  }

  // Of a DotN; of a WithPartials the value, its operands and its partials.
  DotView dot(const Instruction& i) const {
    DotView view = core::dot_view(lists.data() + i.a, i.b);
    view.x = lists.data() + i.c; // a list of its own
    return view;
  }

  // Of a Callback: which of the callbacks it calls, which result it is, and the operands.
  std::size_t callback_number(const Instruction& i) const { return head(i, 0); }
  const Callback& callback(const Instruction& i) const { return *callbacks[callback_number(i)]; }
  std::size_t result_number(const Instruction& i) const { return head(i, 1); }
  std::span<const Index> call_operands(const Instruction& i) const {
    return {lists.data() + i.c, i.b - 2};
  }

  // One line an instruction, such as "v7 = Mul v1 v2", then outputs and guards.
  std::string text() const;
  // Memory of all arrays.
  std::size_t bytes() const;

private:
  // The first two operands of a Callback are constants, and whole.
  std::size_t head(const Instruction& i, std::size_t k) const {
    return static_cast<std::size_t>(constants[instructions[lists[i.a + k]].a]);
  }
};

// The meaning of a program, one instruction after the other: `values` gets all results. Slow and
// plain, for the errors of checked instructions and as the oracle of runners. A RowSum is that of
// one row.
void interpret(const Program& program, const double* inputs, double* values);

// The result of a Many opcode on `count` numbers. Requires `count` numbers of scratch, which is
// more than the rules in core/nary.h ask for these. Take with an index that is none gives nan.
double many_value(Opcode opcode, std::size_t count, const double* x, double* scratch);

} // namespace arenagrad::program
