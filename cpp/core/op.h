// The operations as data: an enumerator and a description for each row of ops.def, preceded by the
// few structural kinds of node that have no formula. Immutable, safe from any thread.
//
// The order of enumerators is: structural kinds, groups, operations of many operands, scalar
// operations; every bound between them is counted from the table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

namespace arenagrad::core {

enum class Op : std::uint8_t {
  Leaf,           // a number: no operands
  Literal,        // the constant of a Parametric operation; invisible to Python
  LiteralInt,     // the same, written as an integer in the source
  Opaque,         // n operands, no rule of its own (a callback may be attached)
  FixedPartials,  // n operands, each with a partial given when it was recorded
  Function,       // the operands of a whole function (function_nodes.h); invisible to Python
  FunctionResult, // one of its results
#define ARENAGRAD_GROUP(Id, ...) Id##Group, // the operands that its results share; invisible too
#include "ops.def"
#define ARENAGRAD_NARY(Id, ...) Id,
#define ARENAGRAD_GROUP(Id, ...) Id,
#include "ops.def"
#define ARENAGRAD_OP(Id, ...) Id,
#include "ops.def"
};

// Many: a list of edges. Part: one result of a group, whose operands are its own.
enum class Operands : std::uint8_t { None, Many, Part, Unary, Binary, Parametric };

// Index is no row's: an operand of take() that is the index of none of its values. Files hold these
// numbers, so they stay what they are.
enum class MayFail : std::uint8_t { Never, Range, Pole, Zero, Power, Index, Divide, Fmod };

struct OpInfo {
  const char* id;
  const char* name;
  const char* symbol;
  Operands operands;
  MayFail may_fail = MayFail::Never;
  double low = 0, high = 0;
  double b = 0; // a Parametric's constant if it is left out; nan if it must be given
  bool exact = false, cheap = false, no_nan = false;
};

namespace table {
// The words of the table.
inline constexpr double none = std::numeric_limits<double>::quiet_NaN();
inline constexpr bool yes = true, no = false;

inline constexpr OpInfo kOpInfo[] = {
    {"Leaf", "", "", Operands::None},
    {"Literal", "", "", Operands::None},
    {"LiteralInt", "", "", Operands::None},
    {"Opaque", "", "", Operands::Many},
    {"FixedPartials", "", "", Operands::Many},
    {"Function", "", "", Operands::Many},
    {"FunctionResult", "", "call", Operands::Part},
#define ARENAGRAD_GROUP(Id, ...) {#Id "Group", "", "", Operands::Many},
#include "ops.def"
#define ARENAGRAD_NARY(Id, name, symbol, ...) {#Id, #name, symbol, Operands::Many},
#define ARENAGRAD_GROUP(Id, name, symbol, ...) {#Id, #name, symbol, Operands::Part},
#include "ops.def"
#define ARENAGRAD_OP(Id, name, symbol, operands, primal, da, db, no_nan, may_fail, low, high, b,   \
                     exact, cheap)                                                                 \
  {#Id, #name, symbol, Operands::operands, MayFail::may_fail, low, high, b, exact, cheap, no_nan},
#include "ops.def"
};
} // namespace table
using table::kOpInfo;

inline constexpr std::size_t kOpCount = sizeof(kOpInfo) / sizeof(kOpInfo[0]);
#define ARENAGRAD_ONE(...) +1
#define ARENAGRAD_GROUP ARENAGRAD_ONE
inline constexpr std::size_t kGroupCount = 0
#include "ops.def"
    ;
#define ARENAGRAD_NARY ARENAGRAD_ONE
inline constexpr std::size_t kNaryCount = kGroupCount
#include "ops.def"
    ;
#define ARENAGRAD_OP ARENAGRAD_ONE
inline constexpr std::size_t kTableOpCount = 0
#include "ops.def"
    ;
#undef ARENAGRAD_ONE
inline constexpr std::size_t kFirstGroup = static_cast<std::size_t>(Op::FunctionResult) + 1;
inline constexpr std::size_t kFirstNaryOp = kFirstGroup + kGroupCount;
inline constexpr std::size_t kFirstTableOp = kFirstNaryOp + kNaryCount;
static_assert(kFirstTableOp + kTableOpCount == kOpCount);

constexpr const OpInfo& op_info(Op op) { return kOpInfo[static_cast<std::size_t>(op)]; }
static_assert(std::string_view(op_info(Op::FunctionResult).id) == "FunctionResult");
constexpr bool is_table_op(Op op) { return static_cast<std::size_t>(op) >= kFirstTableOp; }
constexpr bool is_literal(Op op) { return op == Op::Literal || op == Op::LiteralInt; }
constexpr bool is_group(Op op) {
  return static_cast<std::size_t>(op) - kFirstGroup < kGroupCount; // below it wraps to a large one
}
// The group of a Part.
constexpr Op group_of(Op op) {
  switch (op) {
#define ARENAGRAD_GROUP(Id, ...)                                                                   \
  case Op::Id:                                                                                     \
    return Op::Id##Group;
#include "ops.def"
  default:
    return op;
  }
}
// Python never sees such a node.
constexpr bool is_hidden(Op op) { return is_literal(op) || is_group(op) || op == Op::Function; }
// Whether all operands of this Many node but the last are shapes. A shape that is a constant is a
// Literal: the partial by it is not asked for.
constexpr bool has_shapes(Op op) {
  return op == Op::Polygamma || op == Op::Gammainc || op == Op::Betainc;
}
// Whether each operand of this Many node has a number beside it.
constexpr bool has_edge_numbers(Op op) { return op == Op::FixedPartials || is_group(op); }

} // namespace arenagrad::core
