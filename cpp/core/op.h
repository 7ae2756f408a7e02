// The operations as data: an enumerator and a description for each row of ops.def, preceded by the
// few structural kinds of node that have no formula. Immutable, safe from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

namespace arenagrad::core {

enum class Op : std::uint8_t {
  Leaf,            // a number: no operands
  Literal,         // the constant of a Parametric operation; invisible to Python
  LiteralInt,      // the same, written as an integer in the source
  Opaque,          // n operands, no rule of its own (a callback may be attached)
  FixedPartials,   // n operands, each with a partial given when it was recorded
  SoftmaxGroup,    // the operands that the nodes of one softmax share; invisible to Python
  LogSoftmaxGroup, // the same of one log_softmax
#define ARENAGRAD_NARY(Id, ...) Id,
#include "ops.def"
#define ARENAGRAD_OP(Id, ...) Id,
#include "ops.def"
};

// Many: a list of edges. Part: one result of a group, whose operands are its own.
enum class Operands : std::uint8_t { None, Many, Part, Unary, Binary, Parametric };

enum class MayFail : std::uint8_t { Never, Range, Pole, Zero, Power };

struct OpInfo {
  const char* id;
  const char* name;
  const char* symbol;
  Operands operands;
  MayFail may_fail = MayFail::Never;
  double low = 0, high = 0;
  double b = 0; // a Parametric's constant if it is left out; nan if it must be given
};

namespace table {
inline constexpr double none = std::numeric_limits<double>::quiet_NaN();

inline constexpr OpInfo kOpInfo[] = {
    {"Leaf", "", "", Operands::None},
    {"Literal", "", "", Operands::None},
    {"LiteralInt", "", "", Operands::None},
    {"Opaque", "", "", Operands::Many},
    {"FixedPartials", "", "", Operands::Many},
    {"SoftmaxGroup", "", "", Operands::Many},
    {"LogSoftmaxGroup", "", "", Operands::Many},
#define ARENAGRAD_NARY(Id, name, symbol, operands) {#Id, #name, symbol, Operands::operands},
#include "ops.def"
#define ARENAGRAD_OP(Id, name, symbol, operands, primal, da, db, may_fail, low, high, b)           \
  {#Id, #name, symbol, Operands::operands, MayFail::may_fail, low, high, b},
#include "ops.def"
};
} // namespace table
using table::kOpInfo;

inline constexpr std::size_t kOpCount = sizeof(kOpInfo) / sizeof(kOpInfo[0]);
inline constexpr std::size_t kFirstNaryOp = static_cast<std::size_t>(Op::LogSoftmaxGroup) + 1;
inline constexpr std::size_t kFirstTableOp = static_cast<std::size_t>(Op::LogSoftmax) + 1;

constexpr const OpInfo& op_info(Op op) { return kOpInfo[static_cast<std::size_t>(op)]; }
constexpr bool is_table_op(Op op) { return static_cast<std::size_t>(op) >= kFirstTableOp; }
constexpr bool is_literal(Op op) { return op == Op::Literal || op == Op::LiteralInt; }
constexpr bool is_group(Op op) { return op == Op::SoftmaxGroup || op == Op::LogSoftmaxGroup; }
// Python never sees such a node.
constexpr bool is_hidden(Op op) { return is_literal(op) || is_group(op); }
// Whether each operand of this Many node has a number beside it.
constexpr bool has_edge_numbers(Op op) { return op == Op::FixedPartials || is_group(op); }

} // namespace arenagrad::core
