#include "node_partials.h"

#include <stdexcept>

namespace arenagrad::core {

std::vector<double> partials_of(Arena& arena, NodeId node) {
  const Operand2 o = arena.operands(node);
  const double y = arena.data(node);
  switch (arena.op(node)) {
  case Op::Leaf:
  case Op::Literal:
  case Op::LiteralInt:
    return {};
  case Op::FixedPartials: {
    const double* const numbers = arena.edge_numbers(o.a);
    return {numbers, numbers + o.b};
  }
  case Op::Pow:
    check_power(arena.data(o.a), arena.data(o.b) - 1.0, o.a);
    break;
  default:
    break;
  }
  switch (arena.op(node)) {
#define ARENAGRAD_OP(Id, ...)                                                                      \
  case Op::Id: {                                                                                   \
    constexpr Operands kind = op_info(Op::Id).operands;                                            \
    const double b = kind == Operands::Unary ? 0.0 : arena.data(o.b);                              \
    const Partials d = partials(Op::Id, arena.data(o.a), b, y);                                    \
    if constexpr (kind == Operands::Binary) return {d.a, d.b};                                     \
    return {d.a};                                                                                  \
  }
#include "ops.def"
  default:
    throw std::invalid_argument("the partials of this node are not fixed");
  }
}

} // namespace arenagrad::core
