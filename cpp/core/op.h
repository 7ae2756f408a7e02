// The operations as data: an enumerator and a description for each row of ops.def, preceded by the
// few structural kinds of node that have no formula. Immutable, safe from any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace arenagrad::core {

enum class Op : std::uint8_t {
  Leaf,          // a number: no operands
  Literal,       // the constant of a Parametric operation; invisible to Python
  LiteralInt,    // the same, written as an integer in the source
  Opaque,        // n operands, no rule of its own (a callback may be attached)
  FixedPartials, // n operands, each with a partial given when it was recorded
#define ARENAGRAD_OP(Id, ...) Id,
#include "ops.def"
};

enum class Operands : std::uint8_t { None, Many, Unary, Binary, Parametric };

enum class MayFail : std::uint8_t { Never, Range, Pole, Zero, Power };

struct OpInfo {
  const char* id;
  const char* name;
  const char* symbol;
  Operands operands;
  MayFail may_fail;
  double low, high;
};

inline constexpr OpInfo kOpInfo[] = {
    {"Leaf", "", "", Operands::None, MayFail::Never, 0, 0},
    {"Literal", "", "", Operands::None, MayFail::Never, 0, 0},
    {"LiteralInt", "", "", Operands::None, MayFail::Never, 0, 0},
    {"Opaque", "", "", Operands::Many, MayFail::Never, 0, 0},
    {"FixedPartials", "", "", Operands::Many, MayFail::Never, 0, 0},
#define ARENAGRAD_OP(Id, name, symbol, operands, primal, da, db, may_fail, low, high)              \
  {#Id, #name, symbol, Operands::operands, MayFail::may_fail, low, high},
#include "ops.def"
};

inline constexpr std::size_t kOpCount = sizeof(kOpInfo) / sizeof(kOpInfo[0]);
inline constexpr std::size_t kFirstTableOp = static_cast<std::size_t>(Op::FixedPartials) + 1;

constexpr const OpInfo& op_info(Op op) { return kOpInfo[static_cast<std::size_t>(op)]; }

} // namespace arenagrad::core
