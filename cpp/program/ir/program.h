// A linear program: what a function does to its inputs, as a list of instructions.
//
// Invariants
//  1. An instruction's operands stand before it; its place in the list is the value's name.
//  2. The first instructions are the inputs, number k at place k, whether they are used or not.
//  3. A program is not changed once it is made: passes read one and write another.
//
// Immutable, so safe from any thread. Cost: 16 bytes an instruction, 4 an operand in a list; a list
// is kept once (operand_lists.h).
#pragma once

#include <string>
#include <vector>

#include "opcode.h"

namespace arenagrad::program {

using Index = std::uint32_t;
inline constexpr Index kNone = 0xffffffffu;

struct Instruction {
  Opcode opcode = Opcode::Constant;
  // Captured from an operation that refuses some operands (ops.def, may_fail): a result that is not
  // finite where its operands are means that the eager function would have raised.
  bool checked = false;
  Index a = kNone, b = kNone, c = kNone;
};
static_assert(sizeof(Instruction) <= 16);

// A branch that was taken while tracing: `condition`, 1 or 0, came out as `outcome`.
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
  Index input_count = 0;

  std::size_t size() const { return instructions.size(); }

  // Calls visit(operand) for each operand of an instruction, in order.
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

  // Requires that i is a DotN.
  DotView dot(const Instruction& i) const {
    DotView view = core::dot_view(lists.data() + i.a, i.b);
    view.x = lists.data() + i.c; // a list of its own
    return view;
  }

  // One line an instruction, such as "v7 = Mul v1 v2", then outputs and guards.
  std::string text() const;
  // Memory of all arrays.
  std::size_t bytes() const;
};

// Whether each instruction differs from row to row, given which inputs do: RowSum ends it.
std::vector<std::uint8_t> varying(const Program& program, const std::vector<std::uint8_t>& inputs);

// The plain meaning of a program, one instruction after the other: `values` gets all results. The
// oracle that runners are held against, and what folds constants. RowSum is that of one row.
void interpret(const Program& program, const double* inputs, double* values);

// The result of a Many opcode on `count` numbers. Requires scratch for core::scratch_size and more:
// `count` numbers. Take with an index that is none gives nan.
double many_value(Opcode opcode, std::size_t count, const double* x, double* scratch);

} // namespace arenagrad::program
