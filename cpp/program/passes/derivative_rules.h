// What an instruction does to derivatives, written with Numbers: its partials are the text of
// core/ops.def and codes.def.
#pragma once

#include <array>

#include "symbolic.h"

namespace arenagrad::program {

using OperandPartials = std::array<Symbolic, 3>;

// dy/da, dy/db, dy/dc of an instruction of at most three operands.
inline OperandPartials partials(Opcode opcode, [[maybe_unused]] Symbolic a,
                                [[maybe_unused]] Symbolic b, [[maybe_unused]] Symbolic c,
                                [[maybe_unused]] Symbolic y) {
  using namespace core;
  if (is_table_opcode(opcode)) {
    const PartialsOf<Symbolic> d = partials<Symbolic>(op_of(opcode), a, b, y);
    return {d.a, d.b, 0.0};
  }
  switch (opcode) {
#define ARENAGRAD_OPCODE(Id, operands, primal, partial_a, partial_b, partial_c, ...)               \
  case Opcode::Id:                                                                                 \
    return {partial_a, partial_b, partial_c};
#include "program/ir/opcodes.def"
  default:
    return {0.0, 0.0, 0.0};
  }
}

// exp(x - largest) over their sum: how much the logarithm of that sum owes each x.
template <class Value>
std::vector<Symbolic> shares(const std::vector<Index>& operands, Value&& value) {
  Builder& builder = Symbolic::builder();
  std::vector<Index> places, terms{builder.constant(0.0)};
  for (const Index o : operands) places.push_back(value(o).index());
  const Symbolic largest = Symbolic::of(builder.emit_many(Opcode::MaxShift, places));
  for (const Index place : places)
    terms.push_back(shifted_exp(Symbolic::of(place), largest).index());
  const Symbolic total = Symbolic::of(builder.emit_many(Opcode::SumN, terms));
  std::vector<Symbolic> out;
  out.reserve(operands.size());
  for (std::size_t k = 0; k < operands.size(); ++k)
    out.push_back(Symbolic::of(terms[k + 1]) / total);
  return out;
}

inline bool is_zero(Symbolic number) {
  const Builder& builder = Symbolic::builder();
  return builder.is_constant(number.index()) && builder.constant_of(number.index()) == 0.0;
}

// Calls owed(operand, amount) with what instruction `i`, of adjoint g, owes each active operand,
// where value(operand) is the Symbolic of an operand. The order is that of the arena's sweep.
template <class Value, class Owed>
void owed_to_operands(const Program& program, Index i, Symbolic g, Value&& value,
                      const std::vector<std::uint8_t>& active, Owed&& owed) {
  const Instruction& at = program.instructions[i];
  std::vector<Index> x;
  if (is_many(at.opcode)) program.for_each_operand(at, [&](Index o) { x.push_back(o); });
  const auto give = [&](Index o, auto&& amount) {
    if (active[o]) owed(o, amount());
  };
  switch (at.opcode) {
  case Opcode::SumN:
    for (const Index o : x) owed(o, g);
    return;
  case Opcode::DotN: {
    const DotView dot = program.dot(at);
    if (dot.has_start()) owed(*dot.start, g);
    for (std::size_t k = 0; k < dot.terms; ++k) {
      give(dot.w[k], [&] { return value(dot.x[k]) * g; });
      give(dot.x[k], [&] { return value(dot.w[k]) * g; });
    }
    return;
  }
  case Opcode::NormN: { // eager sweeps give nothing where all are 0, not even the nan of 0 * inf
    const Symbolic given = select(value(i) == 0.0, 0.0, g);
    for (const Index o : x) give(o, [&] { return hypot_partial(value(o), value(i)) * given; });
    return;
  }
  case Opcode::LogSumExpShifted: {
    const std::vector<Symbolic> share = shares(x, value);
    for (std::size_t k = 0; k < x.size(); ++k) give(x[k], [&] { return share[k] * g; });
    return;
  }
  case Opcode::Take:
    for (std::size_t k = 1; k < x.size(); ++k)
      give(x[k], [&] { return select(value(x[0]) == static_cast<double>(k - 1), g, 0.0); });
    return;
  case Opcode::MaxShift: // see Opcode
    return;
  case Opcode::RowSum:
    return owed(at.a, g);
  case Opcode::Select:
    give(at.b, [&] { return select(value(at.a), g, 0.0); });
    return give(at.c, [&] { return select(value(at.a), 0.0, g); });
  case Opcode::Divide:
    give(at.a, [&] { return g / value(at.b); });
    return give(at.b, [&] { return -value(i) / value(at.b) * g; });
  default:
    break;
  }
  const Index operands[] = {at.a, at.b, at.c};
  const auto number = [&](Index o) { return o == kNone ? g : value(o); };
  const OperandPartials d = partials(at.opcode, number(at.a), number(at.b), number(at.c), value(i));
  // Eager adjoints know no flat partials: there an infinite g times 0 is nan.
  const bool as_eager = !Symbolic::builder().passes().reorder;
  for (std::size_t k = 0; k < operand_count(at.opcode); ++k)
    if (as_eager || !is_zero(d[k])) give(operands[k], [&] { return d[k] * g; });
}

// The tangent of instruction `i`, given those of all before it; kNone stands for 0.
template <class Value> Index tangent_of(const Program& program, Index i, Value&& value,
                                        const std::vector<Index>& tangents) {
  const Instruction& at = program.instructions[i];
  Builder& builder = Symbolic::builder();
  Index sum = kNone;
  const auto add = [&](Symbolic term) {
    sum = sum == kNone ? term.index() : (Symbolic::of(sum) + term).index();
  };
  const auto tangent = [&](Index o) { return Symbolic::of(tangents[o]); };
  const auto tangent_or_zero = [&](Index o) {
    return tangents[o] == kNone ? Symbolic(0.0) : tangent(o);
  };
  std::vector<Index> x;
  bool moves = false;
  program.for_each_operand(at, [&](Index o) {
    if (is_many(at.opcode)) x.push_back(o);
    moves = moves || tangents[o] != kNone;
  });
  if (!moves) return kNone;
  switch (at.opcode) {
  case Opcode::SumN:
    for (const Index o : x)
      if (tangents[o] != kNone) add(tangent(o));
    return sum;
  case Opcode::DotN: {
    const DotView dot = program.dot(at);
    if (dot.has_start() && tangents[*dot.start] != kNone) add(tangent(*dot.start));
    for (std::size_t k = 0; k < dot.terms; ++k) {
      if (tangents[dot.w[k]] != kNone) add(tangent(dot.w[k]) * value(dot.x[k]));
      if (tangents[dot.x[k]] != kNone) add(tangent(dot.x[k]) * value(dot.w[k]));
    }
    return sum;
  }
  case Opcode::NormN:
    for (const Index o : x)
      if (tangents[o] != kNone) add(hypot_partial(value(o), value(i)) * tangent(o));
    return sum;
  case Opcode::LogSumExpShifted: {
    const std::vector<Symbolic> share = shares(x, value);
    for (std::size_t k = 0; k < x.size(); ++k)
      if (tangents[x[k]] != kNone) add(share[k] * tangent(x[k]));
    return sum;
  }
  case Opcode::Take: {
    std::vector<Index> taken{value(x[0]).index()};
    for (std::size_t k = 1; k < x.size(); ++k) taken.push_back(tangent_or_zero(x[k]).index());
    return builder.emit_many(Opcode::Take, taken);
  }
  case Opcode::MaxShift:
    return kNone;
  case Opcode::RowSum:
    return Symbolic::emit(Opcode::RowSum, tangent(at.a)).index();
  case Opcode::Select:
    if (tangents[at.b] == kNone && tangents[at.c] == kNone) return kNone;
    return select(value(at.a), tangent_or_zero(at.b), tangent_or_zero(at.c)).index();
  default:
    break;
  }
  const Index operands[] = {at.a, at.b, at.c};
  const auto number = [&](Index o) { return o == kNone ? value(i) : value(o); };
  const OperandPartials d = partials(at.opcode, number(at.a), number(at.b), number(at.c), value(i));
  for (std::size_t k = 0; k < operand_count(at.opcode); ++k)
    if (tangents[operands[k]] != kNone && !is_zero(d[k])) add(d[k] * tangent(operands[k]));
  return sum;
}

} // namespace arenagrad::program
