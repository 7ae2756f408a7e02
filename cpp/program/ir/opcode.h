// What a program's instructions do. Pure and thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/nary.h"
#include "core/op_rules.h"

namespace arenagrad::program {

using core::Op;

enum class Code : std::uint8_t {
  Constant, // a: which of the program's constants
  Input,    // a: which of its inputs
#define ARENAGRAD_OP(Id, ...) Id,
#include "core/ops.def"
#define ARENAGRAD_CODE(Id, ...) Id,
#include "opcodes.def"
  // Those of many operands have b: how many there are; a and c: where the first `leading` of them
  // and the others start in the program's lists.
  SumOf,    // the first, plus the second, and so on
  DotOf,    // the start if their number is odd, then w..., then x...; left to right
  NormOf,   // as core's norm
  Largest,  // flat: whoever uses it is not changed by a shift of it
  LogTotal, // the logarithm of the sum of exp(x - largest)
  Take,     // an index i, then the values of which it is number i
  LaneSum,  // a, summed over all rows of a batch
};

inline constexpr std::size_t kCodeCount = static_cast<std::size_t>(Code::LaneSum) + 1;
inline constexpr std::size_t kFirstTableCode = static_cast<std::size_t>(Code::Input) + 1;
inline constexpr std::size_t kFirstOwnCode = static_cast<std::size_t>(Code::Subtract);

constexpr Code code_of(Op op) {
  return static_cast<Code>(static_cast<std::size_t>(op) - core::kFirstTableOp + kFirstTableCode);
}
constexpr bool is_table_code(Code code) {
  return static_cast<std::size_t>(code) >= kFirstTableCode &&
         static_cast<std::size_t>(code) < kFirstOwnCode;
}
// Requires is_table_code(code).
constexpr Op op_of(Code code) {
  return static_cast<Op>(static_cast<std::size_t>(code) - kFirstTableCode + core::kFirstTableOp);
}
constexpr bool is_many(Code code) { return code >= Code::SumOf && code <= Code::Take; }

// Of `count` operands of a Many code, how many are in the first of its two lists: of a DotOf the
// start and w, of a Take the index, of others all.
constexpr std::size_t leading(Code code, std::size_t count) {
  return code == Code::DotOf ? count - count / 2 : code == Code::Take ? 1 : count;
}

namespace table {
inline constexpr std::uint8_t kOwnCounts[] = {
#define ARENAGRAD_CODE(Id, operands, ...) operands,
#include "opcodes.def"
};
inline constexpr const char* kOwnNames[] = {
#define ARENAGRAD_CODE(Id, ...) #Id,
#include "opcodes.def"
    "SumOf", "DotOf", "NormOf", "Largest", "LogTotal", "Take", "LaneSum"};
} // namespace table

// How many of an instruction's a, b, c are instructions; of Many codes none.
constexpr std::size_t operand_count(Code code) {
  if (code == Code::LaneSum) return 1;
  if (code <= Code::Input || is_many(code)) return 0;
  if (is_table_code(code))
    return core::op_info(op_of(code)).operands == core::Operands::Unary ? 1 : 2;
  return table::kOwnCounts[static_cast<std::size_t>(code) - kFirstOwnCode];
}

constexpr const char* code_name(Code code) {
  if (code == Code::Constant) return "Constant";
  if (code == Code::Input) return "Input";
  if (is_table_code(code)) return core::op_info(op_of(code)).id;
  return table::kOwnNames[static_cast<std::size_t>(code) - kFirstOwnCode];
}

// The primal of an instruction with operands a, b, c. Requires that it has at most three. With
// `code` a compile-time constant it folds to the bare formula.
[[gnu::always_inline]] inline double evaluate(Code code, [[maybe_unused]] double a,
                                              [[maybe_unused]] double b,
                                              [[maybe_unused]] double c) {
  using namespace core;
  switch (code) {
#define ARENAGRAD_OP(Id, name, symbol, operands, primal, ...)                                      \
  case Code::Id:                                                                                   \
    return primal;
#include "core/ops.def"
#define ARENAGRAD_CODE(Id, operands, primal, ...)                                                  \
  case Code::Id:                                                                                   \
    return primal;
#include "opcodes.def"
  default:
    return 0.0;
  }
}

} // namespace arenagrad::program
