// The opcodes: what an instruction of a program does. The scalar operations of core/ops.def, and
// behind them the rows of opcodes.def, of which an instruction of one more is one more row.
//
// Invariant: Constant and Input come first, RowSum last, so that comparisons tell the kinds apart.
// Pure and thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>

#include "core/nary.h"
#include "core/op_rules.h"

namespace arenagrad::program {

using core::Op;

// In the order of the tables; the sentinels below follow from their lengths.
enum class Opcode : std::uint8_t {
  Constant, // a: which of the program's constants
  Input,    // a: which of its inputs
#define ARENAGRAD_OP(Id, ...) Id,
#include "core/ops.def"
#define ARENAGRAD_OPCODE(Id, ...) Id,
#include "opcodes.def"
// Those of many operands have b: how many there are; a and c: where the first `leading` of them
// and the others start in the program's lists.
#define ARENAGRAD_NARY_OPCODE(Id, ...) Id,
#include "opcodes.def"
#define ARENAGRAD_MATRIX_OPCODE(Id) Id,
#include "opcodes.def"
  Element, // of the results of a, a matrix opcode, number b
  RowSum,  // a, summed over all rows of a batch
};

// How many sizes a matrix opcode has, the first of its operands.
inline constexpr std::size_t kMatrixSizes = 3;

namespace table {
using core::table::no, core::table::yes;
struct OpcodeRow {
  const char* name;
  std::uint8_t operands; // exactly so many, or at least so many of an n-ary opcode
  bool no_nan = false, exact = false, cheap = false;
};
inline constexpr OpcodeRow kOwnOpcodes[] = {
#define ARENAGRAD_OPCODE(Id, n, primal, da, db, dc, no_nan, exact, cheap)                          \
  {#Id, n, no_nan, exact, cheap},
#include "opcodes.def"
};
inline constexpr OpcodeRow kNaryOpcodes[] = {
#define ARENAGRAD_NARY_OPCODE(Id, n, ...) {#Id, n},
#include "opcodes.def"
#define ARENAGRAD_MATRIX_OPCODE(Id) {#Id, kMatrixSizes + 1},
#include "opcodes.def"
};
inline constexpr std::size_t kMatrixOpcodes = 0
#define ARENAGRAD_MATRIX_OPCODE(Id) +1
#include "opcodes.def"
    ;
} // namespace table

inline constexpr std::size_t kFirstTableOpcode = static_cast<std::size_t>(Opcode::Input) + 1;
inline constexpr std::size_t kFirstOwnOpcode = kFirstTableOpcode + core::kTableOpCount;
inline constexpr std::size_t kFirstNaryOpcode = kFirstOwnOpcode + std::size(table::kOwnOpcodes);
inline constexpr std::size_t kEndOfNaryOpcodes = kFirstNaryOpcode + std::size(table::kNaryOpcodes);
inline constexpr std::size_t kFirstMatrixOpcode = kEndOfNaryOpcodes - table::kMatrixOpcodes;
inline constexpr std::size_t kOpcodeCount = kEndOfNaryOpcodes + 2;
static_assert(static_cast<std::size_t>(Opcode::RowSum) == kOpcodeCount - 1);

constexpr Opcode opcode_of(Op op) {
  return static_cast<Opcode>(static_cast<std::size_t>(op) - core::kFirstTableOp +
                             kFirstTableOpcode);
}
constexpr bool is_table_opcode(Opcode opcode) {
  return static_cast<std::size_t>(opcode) >= kFirstTableOpcode &&
         static_cast<std::size_t>(opcode) < kFirstOwnOpcode;
}
// Requires is_table_opcode(opcode).
constexpr Op op_of(Opcode opcode) {
  return static_cast<Op>(static_cast<std::size_t>(opcode) - kFirstTableOpcode +
                         core::kFirstTableOp);
}
// Whether it has any number of operands, in two of the program's lists.
constexpr bool is_many(Opcode opcode) {
  return static_cast<std::size_t>(opcode) >= kFirstNaryOpcode &&
         static_cast<std::size_t>(opcode) < kEndOfNaryOpcodes;
}

// Whether it computes with matrices; is_many is true of it too.
constexpr bool is_matrix(Opcode opcode) {
  return static_cast<std::size_t>(opcode) >= kFirstMatrixOpcode &&
         static_cast<std::size_t>(opcode) < kEndOfNaryOpcodes;
}

// The opcode of an operation of shapes, and back.
constexpr Opcode opcode_with_shapes(Op op) {
  if (op == Op::Polygamma) return Opcode::Polygamma;
  return op == Op::Gammainc ? Opcode::Gammainc : Opcode::Betainc;
}
constexpr Op op_with_shapes(Opcode opcode) {
  if (opcode == Opcode::Polygamma) return Op::Polygamma;
  return opcode == Opcode::Gammainc ? Op::Gammainc : Op::Betainc;
}
constexpr bool has_shapes(Opcode opcode) {
  return opcode == opcode_with_shapes(op_with_shapes(opcode));
}

constexpr bool is_comparison(Opcode opcode) {
  return opcode == Opcode::Less || opcode == Opcode::LessEqual || opcode == Opcode::Equal;
}

// Of `count` operands of a Many opcode, how many are in the first of its two lists.
constexpr std::size_t leading(Opcode opcode, std::size_t count) {
  if (is_matrix(opcode)) return kMatrixSizes;
  switch (opcode) {
#define ARENAGRAD_NARY_OPCODE(Id, n, leading, ...)                                                 \
  case Opcode::Id:                                                                                 \
    return leading;
#include "opcodes.def"
  default:
    return 0;
  }
}

// The least number of operands that a Many opcode makes sense with.
constexpr std::size_t fewest_operands(Opcode opcode) {
  return table::kNaryOpcodes[static_cast<std::size_t>(opcode) - kFirstNaryOpcode].operands;
}

// How many of an instruction's a, b, c are instructions; of Many opcodes none.
constexpr std::size_t operand_count(Opcode opcode) {
  if (opcode == Opcode::RowSum || opcode == Opcode::Element) return 1;
  if (opcode <= Opcode::Input || is_many(opcode)) return 0;
  if (is_table_opcode(opcode))
    return core::op_info(op_of(opcode)).operands == core::Operands::Unary ? 1 : 2;
  return table::kOwnOpcodes[static_cast<std::size_t>(opcode) - kFirstOwnOpcode].operands;
}

// The columns of ops.def and opcodes.def; false for instructions that are in neither.
constexpr bool is_exact(Opcode opcode) {
  if (is_table_opcode(opcode)) return core::op_info(op_of(opcode)).exact;
  const std::size_t own = static_cast<std::size_t>(opcode) - kFirstOwnOpcode;
  return own < std::size(table::kOwnOpcodes) && table::kOwnOpcodes[own].exact;
}
constexpr bool is_no_nan(Opcode opcode) {
  if (is_table_opcode(opcode)) return core::op_info(op_of(opcode)).no_nan;
  const std::size_t own = static_cast<std::size_t>(opcode) - kFirstOwnOpcode;
  return own < std::size(table::kOwnOpcodes) && table::kOwnOpcodes[own].no_nan;
}
constexpr bool is_cheap(Opcode opcode) {
  if (is_table_opcode(opcode)) return core::op_info(op_of(opcode)).cheap;
  const std::size_t own = static_cast<std::size_t>(opcode) - kFirstOwnOpcode;
  return own < std::size(table::kOwnOpcodes) && table::kOwnOpcodes[own].cheap;
}

constexpr const char* opcode_name(Opcode opcode) {
  if (opcode == Opcode::Constant) return "Constant";
  if (opcode == Opcode::Input) return "Input";
  if (opcode == Opcode::Element) return "Element";
  if (opcode == Opcode::RowSum) return "RowSum";
  if (is_table_opcode(opcode)) return core::op_info(op_of(opcode)).id;
  if (is_many(opcode))
    return table::kNaryOpcodes[static_cast<std::size_t>(opcode) - kFirstNaryOpcode].name;
  return table::kOwnOpcodes[static_cast<std::size_t>(opcode) - kFirstOwnOpcode].name;
}

// The primal of an instruction with operands a, b, c. Requires that it has at most three. With
// `opcode` a compile-time constant it folds to the bare formula.
[[gnu::always_inline]] inline double evaluate(Opcode opcode, [[maybe_unused]] double a,
                                              [[maybe_unused]] double b,
                                              [[maybe_unused]] double c) {
  using namespace core;
  switch (opcode) {
#define ARENAGRAD_OP(Id, name, symbol, operands, primal, ...)                                      \
  case Opcode::Id:                                                                                 \
    return primal;
#include "core/ops.def"
#define ARENAGRAD_OPCODE(Id, n, primal, ...)                                                       \
  case Opcode::Id:                                                                                 \
    return primal;
#include "opcodes.def"
  default:
    return 0.0;
  }
}

} // namespace arenagrad::program
