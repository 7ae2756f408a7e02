// What a program's instructions do. Pure and thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/nary.h"
#include "core/op_rules.h"

namespace arenagrad::program {

using core::Op;

enum class Opcode : std::uint8_t {
  Constant, // a: which of the program's constants
  Input,    // a: which of its inputs
#define ARENAGRAD_OP(Id, ...) Id,
#include "core/ops.def"
#define ARENAGRAD_OPCODE(Id, ...) Id,
#include "opcodes.def"
  // Those of many operands have b: how many there are; a and c: where the first `leading` of them
  // and the others start in the program's lists.
  SumN,             // the first, plus the second, and so on
  DotN,             // the start if their number is odd, then w..., then x...; left to right
  NormN,            // as core's norm
  MaxShift,         // flat: whoever uses it is not changed by a shift of it
  LogSumExpShifted, // the logarithm of the sum of exp(x - largest)
  Take,             // an index i, then the values of which it is number i
  RowSum,           // a, summed over all rows of a batch
};

inline constexpr std::size_t kOpcodeCount = static_cast<std::size_t>(Opcode::RowSum) + 1;
inline constexpr std::size_t kFirstTableOpcode = static_cast<std::size_t>(Opcode::Input) + 1;
inline constexpr std::size_t kFirstOwnOpcode = kFirstTableOpcode + core::kTableOpCount;

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
constexpr bool is_many(Opcode opcode) { return opcode >= Opcode::SumN && opcode <= Opcode::Take; }

// Of `count` operands of a Many opcode, how many are in the first of its two lists: of a DotN the
// start and w, of a Take the index, of others all.
constexpr std::size_t leading(Opcode opcode, std::size_t count) {
  if (opcode == Opcode::DotN) return core::dot_view(std::size_t{0}, count).x;
  return opcode == Opcode::Take ? 1 : count;
}

namespace table {
using core::table::no, core::table::yes;
struct OwnInfo {
  std::uint8_t operands;
  bool exact, cheap;
};
inline constexpr OwnInfo kOwnInfo[] = {
#define ARENAGRAD_OPCODE(Id, operands, primal, da, db, dc, exact, cheap) {operands, exact, cheap},
#include "opcodes.def"
};
inline constexpr std::size_t kOwnInfoCount = sizeof(kOwnInfo) / sizeof(kOwnInfo[0]);
static_assert(kFirstOwnOpcode + kOwnInfoCount == static_cast<std::size_t>(Opcode::SumN));
inline constexpr const char* kOwnNames[] = {
#define ARENAGRAD_OPCODE(Id, ...) #Id,
#include "opcodes.def"
    "SumN", "DotN", "NormN", "MaxShift", "LogSumExpShifted", "Take", "RowSum"};
} // namespace table

// How many of an instruction's a, b, c are instructions; of Many opcodes none.
constexpr std::size_t operand_count(Opcode opcode) {
  if (opcode == Opcode::RowSum) return 1;
  if (opcode <= Opcode::Input || is_many(opcode)) return 0;
  if (is_table_opcode(opcode))
    return core::op_info(op_of(opcode)).operands == core::Operands::Unary ? 1 : 2;
  return table::kOwnInfo[static_cast<std::size_t>(opcode) - kFirstOwnOpcode].operands;
}

// The columns of ops.def and opcodes.def; false for instructions that are in neither.
constexpr bool is_exact(Opcode opcode) {
  if (is_table_opcode(opcode)) return core::op_info(op_of(opcode)).exact;
  const std::size_t own = static_cast<std::size_t>(opcode) - kFirstOwnOpcode;
  return own < table::kOwnInfoCount && table::kOwnInfo[own].exact;
}
constexpr bool is_cheap(Opcode opcode) {
  if (is_table_opcode(opcode)) return core::op_info(op_of(opcode)).cheap;
  const std::size_t own = static_cast<std::size_t>(opcode) - kFirstOwnOpcode;
  return own < table::kOwnInfoCount && table::kOwnInfo[own].cheap;
}

constexpr const char* opcode_name(Opcode opcode) {
  if (opcode == Opcode::Constant) return "Constant";
  if (opcode == Opcode::Input) return "Input";
  if (is_table_opcode(opcode)) return core::op_info(op_of(opcode)).id;
  return table::kOwnNames[static_cast<std::size_t>(opcode) - kFirstOwnOpcode];
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
#define ARENAGRAD_OPCODE(Id, operands, primal, ...)                                                \
  case Opcode::Id:                                                                                 \
    return primal;
#include "opcodes.def"
  default:
    return 0.0;
  }
}

} // namespace arenagrad::program
