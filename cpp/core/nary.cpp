#include "nary.h"

#include <string>

#include "arena.h"

namespace arenagrad::core {

void throw_shaped(Failure failure, Op op, const Numbers<double>& operands, NodeId node) {
  std::string call = op_info(op).name;
  for (std::size_t k = 0; k < operands.size(); ++k)
    call += (k == 0 ? "(" : ", ") + float_text(operands[k]);
  if (failure == Failure::Range) throw RangeError(call + "): math range error", node);
  throw DomainError(call + "): math domain error", node);
}

NodeId record_nary(Arena& arena, Op op, std::size_t count) {
  const NodeId* const operands = arena.next_edges();
  const double* const data = arena.data_array();
  const auto x = [=](std::size_t i) { return data[operands[i]]; };
  return arena.push_many(op, nary_value(op, count, x, arena.scratch()), operands, nullptr, count);
}

void record_group(Arena& arena, Op op, std::size_t count, std::vector<NodeId>& results) {
  const NodeId* const operands = arena.next_edges();
  const double* const data = arena.data_array();
  const auto x = [=](std::size_t i) { return data[operands[i]]; };
  double* const primals = arena.scratch();
  visit_group(op, [&](auto rule) { rule.results(count, x, primals); });
  const NodeId group = arena.push_many(group_of(op), 0.0, operands, nullptr, count);
  for (std::size_t i = 0; i < count; ++i)
    results.push_back(arena.push(op, primals[i], {group, static_cast<NodeId>(i)}));
}

} // namespace arenagrad::core
