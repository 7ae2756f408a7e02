#include "builder.h"

#include <bit>

#include "writing_rules.h"

namespace arenagrad::program {

bool Builder::is_constant(Index i, double value) const {
  return is_constant(i) &&
         std::bit_cast<std::uint64_t>(constant_of(i)) == std::bit_cast<std::uint64_t>(value);
}

Index Builder::constant(double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  if (passes_.common_subexpressions)
    if (const auto found = constants_.find(bits); found != constants_.end()) return found->second;
  program_.constants.push_back(value);
  const auto number = static_cast<Index>(program_.constants.size() - 1);
  const Index i = append({.opcode = Opcode::Constant, .a = number});
  if (passes_.common_subexpressions) constants_.emplace(bits, i);
  return i;
}

Index Builder::copy(const Program& from, const Instruction& at, const std::vector<Index>& place) {
  if (at.opcode == Opcode::Constant) return constant(from.constants[at.a]);
  if (at.opcode == Opcode::Callback) return copy_call(from, at, place);
  if (is_many(at.opcode)) {
    std::vector<Index> operands;
    from.for_each_operand(at, [&](Index operand) { operands.push_back(place[operand]); });
    return emit_many(at.opcode, operands, at.checked);
  }
  if (at.opcode == Opcode::Element) return emit(at.opcode, place[at.a], at.b);
  const auto placed = [&](Index operand) { return operand == kNone ? kNone : place[operand]; };
  return emit(at.opcode, placed(at.a), placed(at.b), placed(at.c), at.checked);
}

Index Builder::copy_call(const Program& from, const Instruction& at,
                         const std::vector<Index>& place) {
  const CallbackPointer& callback = from.callbacks[from.callback_number(at)];
  std::vector<Index> operands;
  if (number_of(callback) == from.callback_number(at)) { // its constants are copied already
    from.for_each_operand(at, [&](Index operand) { operands.push_back(place[operand]); });
    return emit_many(at.opcode, operands, at.checked);
  }
  for (const Index operand : from.call_operands(at)) operands.push_back(place[operand]);
  return emit_call(callback, from.result_number(at), operands, at.checked);
}

Index Builder::emit_call(const CallbackPointer& callback, std::size_t which,
                         const std::vector<Index>& operands, bool checked) {
  std::vector<Index> all{constant(static_cast<double>(number_of(callback))),
                         constant(static_cast<double>(which))};
  all.insert(all.end(), operands.begin(), operands.end());
  return emit_many(Opcode::Callback, all, checked);
}

// The same number for callbacks that call the same function.
std::size_t Builder::number_of(const CallbackPointer& callback) {
  const auto [known, is_new] = callbacks_.try_emplace(callback->key(), program_.callbacks.size());
  if (is_new) program_.callbacks.push_back(callback);
  return known->second;
}

Index Builder::input() { return append({.opcode = Opcode::Input, .a = program_.input_count++}); }

void Builder::guard(Index condition, bool outcome) {
  const bool always_holds =
      passes_.fold && is_constant(condition) && (constant_of(condition) != 0.0) == outcome;
  if (!always_holds) program_.guards.push_back({condition, outcome});
}

Index Builder::append(const Instruction& instruction) {
  program_.instructions.push_back(instruction);
  return static_cast<Index>(program_.size() - 1);
}

Index Builder::emit(Opcode opcode, Index a, Index b, Index c, bool checked) {
  const Instruction instruction{opcode, checked, a, b, c};
  if (passes_.fold && is_constant(a)) // most first operands are not: that is not worth a call
    if (const Index known = fold(*this, instruction); known != kNone) return known;
  if (passes_.peephole)
    if (const Index known = peephole(*this, instruction); known != kNone) return known;
  if (passes_.reorder && !exact_)
    if (const Index known = reorder(*this, instruction); known != kNone) return known;
  return find_or_append(instruction);
}

Index Builder::emit_many(Opcode opcode, const std::vector<Index>& operands, bool checked) {
  if (passes_.fold)
    if (const Index known = fold_many(*this, opcode, operands, checked); known != kNone)
      return known;
  const std::size_t count = operands.size(), first = leading(opcode, count);
  const Index a = lists_.place(program_.lists, operands.data(), first);
  const Index c = lists_.place(program_.lists, operands.data() + first, count - first);
  return find_or_append({opcode, checked, a, static_cast<Index>(count), c});
}

Index Builder::find_or_append(const Instruction& instruction) {
  if (!passes_.common_subexpressions) return append(instruction);
  Instruction ordered = instruction;
  if (commutes(ordered.opcode) && ordered.a > ordered.b) std::swap(ordered.a, ordered.b);
  const Index known = known_.find_or_add(program_, ordered);
  return known == kNone ? append(ordered) : known;
}

} // namespace arenagrad::program
