#include "builder.h"

#include <algorithm>
#include <array>
#include <bit>

namespace arenagrad::program {
namespace {

// Whether the order of a and b makes no difference, so that x * y and y * x are one.
bool commutes(Opcode opcode) {
  return opcode == Opcode::Add || opcode == Opcode::Mul || opcode == Opcode::Equal ||
         opcode == Opcode::Hypot;
}

std::uint64_t hash(const Instruction& i) {
  return mix(mix(mix(static_cast<std::uint64_t>(i.opcode) + i.a) + i.b) + i.c);
}

// The last of its operands; of many, where their list is, for lists are written as they are met.
Index newest(const Instruction& i) {
  if (is_many(i.opcode)) return i.a / 2;
  const auto place = [](Index o) { return o == kNone ? 0 : o; };
  return std::max({i.a, place(i.b), place(i.c)});
}

bool same(const Instruction& one, const Instruction& other) {
  return one.opcode == other.opcode && one.a == other.a && one.b == other.b && one.c == other.c;
}

} // namespace

bool Builder::is_constant(Index i, double value) const {
  return is_constant(i) &&
         std::bit_cast<std::uint64_t>(constant_of(i)) == std::bit_cast<std::uint64_t>(value);
}

Index Builder::constant(double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  if (passes_.share)
    if (const auto found = constants_.find(bits); found != constants_.end()) return found->second;
  program_.constants.push_back(value);
  const Index place =
      append({Opcode::Constant, false, static_cast<Index>(program_.constants.size() - 1)});
  if (passes_.share) constants_.emplace(bits, place);
  return place;
}

Index Builder::copy(const Program& from, const Instruction& at, const std::vector<Index>& place) {
  if (at.opcode == Opcode::Constant) return constant(from.constants[at.a]);
  if (is_many(at.opcode)) {
    std::vector<Index> operands;
    from.for_each_operand(at, [&](Index o) { operands.push_back(place[o]); });
    return emit_many(at.opcode, operands, at.checked);
  }
  const auto of = [&](Index o) { return o == kNone ? kNone : place[o]; };
  return emit(at.opcode, of(at.a), of(at.b), of(at.c), at.checked);
}

Index Builder::input() { return append({Opcode::Input, false, program_.input_count++}); }

Index Builder::append(const Instruction& instruction) {
  program_.instructions.push_back(instruction);
  return static_cast<Index>(program_.size() - 1);
}

Index Builder::emit(Opcode opcode, Index a, Index b, Index c, bool checked) {
  const std::size_t count = operand_count(opcode);
  if (passes_.fold && opcode != Opcode::RowSum && is_constant(a) && (count < 2 || is_constant(b)) &&
      (count < 3 || is_constant(c))) {
    const auto value = [&](std::size_t k, Index i) { return count > k ? constant_of(i) : 0.0; };
    const double y = evaluate(opcode, value(0, a), value(1, b), value(2, c));
    if (!checked || std::isfinite(y)) return constant(y);
  }
  if (passes_.clean)
    if (const Index known = cleaned(opcode, a, b, c); known != kNone) return known;
  if (passes_.reorder)
    if (const Index known = reordered(opcode, a, b, checked); known != kNone) return known;
  if (passes_.share && commutes(opcode) && a > b) std::swap(a, b);
  return shared({opcode, checked, a, b, c});
}

// Another instruction with the very same result, if there is a cheaper one.
Index Builder::cleaned(Opcode opcode, Index a, Index b, Index c) {
  switch (opcode) {
  case Opcode::Mul:
    if (is_constant(a)) std::swap(a, b);
    if (is_constant(b, 1.0)) return a;
    if (is_constant(b, -1.0)) return emit(Opcode::Negate, a);
    return kNone;
  case Opcode::Add:
    for (int turn = 0; turn < 2; ++turn, std::swap(a, b)) {
      if (is_constant(b, -0.0)) return a;
      if (at(b).opcode == Opcode::Negate) return emit(Opcode::Subtract, a, at(b).a);
    }
    return kNone;
  case Opcode::Subtract:
    if (is_constant(b, 0.0)) return a;
    if (at(b).opcode == Opcode::Negate) return emit(Opcode::Add, a, at(b).a);
    return kNone;
  case Opcode::Divide:
    return is_constant(b, 1.0) ? a : kNone;
  case Opcode::Negate:
    return at(a).opcode == Opcode::Negate ? at(a).a : kNone;
  case Opcode::Pow:
    return is_constant(b, 1.0) ? a : kNone;
  case Opcode::PowerPartial:
    return is_constant(b, 2.0) ? emit(Opcode::Mul, b, a) : kNone;
  case Opcode::Select:
    return is_constant(a) ? constant_of(a) != 0.0 ? b : c : b == c ? b : kNone;
  default:
    return kNone;
  }
}

// The same but for rounding.
Index Builder::reordered(Opcode opcode, Index a, Index b, bool checked) {
  if (opcode != Opcode::Pow) return kNone;
  if (is_constant(b, 2.0)) return emit(Opcode::Mul, a, a, kNone, checked);
  if (is_constant(b, 3.0)) return emit(Opcode::Mul, emit(Opcode::Mul, a, a), a, kNone, checked);
  if (is_constant(b, -1.0)) return emit(Opcode::Reciprocal, a, kNone, kNone, checked);
  if (is_constant(b, 0.5)) return emit(Opcode::Sqrt, a, kNone, kNone, checked);
  return kNone;
}

Index Builder::emit_many(Opcode opcode, const std::vector<Index>& operands, bool checked) {
  bool known = passes_.fold;
  for (const Index operand : operands) known = known && is_constant(operand);
  if (known) {
    std::vector<double> x, scratch(operands.size());
    for (const Index operand : operands) x.push_back(constant_of(operand));
    const double y = many_value(opcode, x.size(), x.data(), scratch.data());
    if (!checked || std::isfinite(y)) return constant(y);
  }
  const std::size_t count = operands.size(), first = leading(opcode, count);
  const Index a = lists_.place(program_.lists, operands.data(), first);
  const Index c = lists_.place(program_.lists, operands.data() + first, count - first);
  return shared({opcode, checked, a, static_cast<Index>(count), c});
}

// Calls visit(slot) with the slots of the table where an instruction may be, until it says so.
//
// An instruction mostly follows soon after the newest of its operands, and the slots of those are
// next to each other, so that a program that is written from one end to the other does not wander
// all over a table larger than the cache. What has no room there goes anywhere.
template <class Visit> void Builder::probe(const Instruction& instruction, Visit&& visit) {
  constexpr std::size_t kNear = 8, kSpread = 64;
  const std::size_t mask = table_.size() - 1;
  const std::uint64_t h = hash(instruction);
  const std::size_t home = 2 * std::size_t{newest(instruction)} + h % kSpread;
  for (std::size_t k = 0; k < kNear; ++k)
    if (visit(table_[(home + k) & mask])) return;
  for (std::size_t k = h >> 16;; ++k)
    if (visit(table_[k & mask])) return;
}

// The place of an instruction that is already there, or of this one, now appended.
Index Builder::shared(const Instruction& instruction) {
  if (!passes_.share) return append(instruction);
  if (2 * (program_.size() + 1) > table_.size()) grow();
  Index place = kNone;
  probe(instruction, [&](Index& slot) {
    if (slot == kNone) {
      place = slot = append(instruction);
    } else if (same(program_.instructions[slot], instruction)) {
      program_.instructions[place = slot].checked |= instruction.checked;
    }
    return place != kNone;
  });
  return place;
}

void Builder::grow() {
  table_.assign(std::bit_ceil(4 * (program_.size() + 16)), kNone);
  for (std::size_t i = 0; i < program_.size(); ++i) {
    if (program_.instructions[i].opcode <= Opcode::Input) continue;
    probe(program_.instructions[i], [&](Index& slot) {
      const bool free = slot == kNone;
      if (free) slot = static_cast<Index>(i);
      return free;
    });
  }
}

} // namespace arenagrad::program
