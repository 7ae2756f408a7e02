// What an instruction does to derivatives, written with Numbers: its slopes are the text of
// core/ops.def and codes.def.
#pragma once

#include <array>

#include "symbolic.h"

namespace arenagrad::program {

using Slopes = std::array<Number, 3>;

// dy/da, dy/db, dy/dc of an instruction of at most three operands.
inline Slopes slopes(Code code, [[maybe_unused]] Number a, [[maybe_unused]] Number b,
                     [[maybe_unused]] Number c, [[maybe_unused]] Number y) {
  using namespace core;
  if (is_table_code(code)) {
    const PartialsOf<Number> d = partials<Number>(op_of(code), a, b, y);
    return {d.a, d.b, 0.0};
  }
  switch (code) {
#define ARENAGRAD_CODE(Id, operands, primal, slope_a, slope_b, slope_c)                            \
  case Code::Id:                                                                                   \
    return {slope_a, slope_b, slope_c};
#include "program/ir/opcodes.def"
  default:
    return {0.0, 0.0, 0.0};
  }
}

// exp(x - largest) over their sum: how much the logarithm of that sum owes each x.
template <class Value>
std::vector<Number> shares(const std::vector<Index>& operands, Value&& value) {
  Builder& builder = Number::builder();
  std::vector<Index> places, terms{builder.constant(0.0)};
  for (const Index o : operands) places.push_back(value(o).index());
  const Number largest = Number::of(builder.emit_many(Code::Largest, places));
  for (const Index place : places) terms.push_back(shifted_exp(Number::of(place), largest).index());
  const Number total = Number::of(builder.emit_many(Code::SumOf, terms));
  std::vector<Number> out;
  out.reserve(operands.size());
  for (std::size_t k = 0; k < operands.size(); ++k) out.push_back(Number::of(terms[k + 1]) / total);
  return out;
}

inline bool is_zero(Number number) {
  const Builder& builder = Number::builder();
  return builder.is_constant(number.index()) && builder.constant_of(number.index()) == 0.0;
}

// Calls owed(operand, amount) with what instruction `i`, of adjoint g, owes each active operand,
// where value(operand) is the Number of an operand. The order is that of the arena's sweep.
template <class Value, class Owed>
void owed_to_operands(const Program& program, Index i, Number g, Value&& value,
                      const std::vector<std::uint8_t>& active, Owed&& owed) {
  const Instruction& at = program.code[i];
  std::vector<Index> x;
  if (is_many(at.code)) program.for_each_operand(at, [&](Index o) { x.push_back(o); });
  const auto give = [&](Index o, auto&& amount) {
    if (active[o]) owed(o, amount());
  };
  switch (at.code) {
  case Code::SumOf:
    for (const Index o : x) owed(o, g);
    return;
  case Code::DotOf: {
    const std::size_t start = x.size() % 2, terms = x.size() / 2;
    if (start != 0) owed(x[0], g);
    for (std::size_t k = start; k < start + terms; ++k) {
      give(x[k], [&] { return value(x[k + terms]) * g; });
      give(x[k + terms], [&] { return value(x[k]) * g; });
    }
    return;
  }
  case Code::NormOf: { // eager sweeps give nothing where all are 0, not even the nan of 0 * inf
    const Number given = pick(value(i) == 0.0, 0.0, g);
    for (const Index o : x) give(o, [&] { return hypot_slope(value(o), value(i)) * given; });
    return;
  }
  case Code::LogTotal: {
    const std::vector<Number> share = shares(x, value);
    for (std::size_t k = 0; k < x.size(); ++k) give(x[k], [&] { return share[k] * g; });
    return;
  }
  case Code::Take:
    for (std::size_t k = 1; k < x.size(); ++k)
      give(x[k], [&] { return pick(value(x[0]) == static_cast<double>(k - 1), g, 0.0); });
    return;
  case Code::Largest: // see Code
    return;
  case Code::LaneSum:
    return owed(at.a, g);
  case Code::Select:
    give(at.b, [&] { return pick(value(at.a), g, 0.0); });
    return give(at.c, [&] { return pick(value(at.a), 0.0, g); });
  case Code::Divide:
    give(at.a, [&] { return g / value(at.b); });
    return give(at.b, [&] { return -value(i) / value(at.b) * g; });
  default:
    break;
  }
  const Index operands[] = {at.a, at.b, at.c};
  const auto number = [&](Index o) { return o == kNone ? g : value(o); };
  const Slopes d = slopes(at.code, number(at.a), number(at.b), number(at.c), value(i));
  // Eager adjoints know no flat slopes: there an infinite g times 0 is nan.
  const bool as_eager = !Number::builder().passes().reorder;
  for (std::size_t k = 0; k < operand_count(at.code); ++k)
    if (as_eager || !is_zero(d[k])) give(operands[k], [&] { return d[k] * g; });
}

// The tangent of instruction `i`, given those of all before it; kNone stands for 0.
template <class Value> Index tangent_of(const Program& program, Index i, Value&& value,
                                        const std::vector<Index>& tangents) {
  const Instruction& at = program.code[i];
  Builder& builder = Number::builder();
  Index sum = kNone;
  const auto add = [&](Number term) {
    sum = sum == kNone ? term.index() : (Number::of(sum) + term).index();
  };
  const auto tangent = [&](Index o) { return Number::of(tangents[o]); };
  const auto tangent_or_zero = [&](Index o) {
    return tangents[o] == kNone ? Number(0.0) : tangent(o);
  };
  std::vector<Index> x;
  bool moves = false;
  program.for_each_operand(at, [&](Index o) {
    if (is_many(at.code)) x.push_back(o);
    moves = moves || tangents[o] != kNone;
  });
  if (!moves) return kNone;
  switch (at.code) {
  case Code::SumOf:
    for (const Index o : x)
      if (tangents[o] != kNone) add(tangent(o));
    return sum;
  case Code::DotOf: {
    const std::size_t start = x.size() % 2, terms = x.size() / 2;
    if (start != 0 && tangents[x[0]] != kNone) add(tangent(x[0]));
    for (std::size_t k = start; k < start + terms; ++k) {
      if (tangents[x[k]] != kNone) add(tangent(x[k]) * value(x[k + terms]));
      if (tangents[x[k + terms]] != kNone) add(tangent(x[k + terms]) * value(x[k]));
    }
    return sum;
  }
  case Code::NormOf:
    for (const Index o : x)
      if (tangents[o] != kNone) add(hypot_slope(value(o), value(i)) * tangent(o));
    return sum;
  case Code::LogTotal: {
    const std::vector<Number> share = shares(x, value);
    for (std::size_t k = 0; k < x.size(); ++k)
      if (tangents[x[k]] != kNone) add(share[k] * tangent(x[k]));
    return sum;
  }
  case Code::Take: {
    std::vector<Index> taken{value(x[0]).index()};
    for (std::size_t k = 1; k < x.size(); ++k) taken.push_back(tangent_or_zero(x[k]).index());
    return builder.emit_many(Code::Take, taken);
  }
  case Code::Largest:
    return kNone;
  case Code::LaneSum:
    return Number::done(Code::LaneSum, tangent(at.a)).index();
  case Code::Select:
    if (tangents[at.b] == kNone && tangents[at.c] == kNone) return kNone;
    return pick(value(at.a), tangent_or_zero(at.b), tangent_or_zero(at.c)).index();
  default:
    break;
  }
  const Index operands[] = {at.a, at.b, at.c};
  const auto number = [&](Index o) { return o == kNone ? value(i) : value(o); };
  const Slopes d = slopes(at.code, number(at.a), number(at.b), number(at.c), value(i));
  for (std::size_t k = 0; k < operand_count(at.code); ++k)
    if (tangents[operands[k]] != kNone && !is_zero(d[k])) add(d[k] * tangent(operands[k]));
  return sum;
}

} // namespace arenagrad::program
