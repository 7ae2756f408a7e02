// In which order a program's instructions are run, and in which slots their results are.
//
// An instruction's level is the length of the longest path to it from inputs and constants, so
// instructions of one level do not need each other. Those of one level, opcode and number of
// operands are a group. Within a group they are ordered so that operands lie side by side, or, if
// only outputs need them, so that the outputs do.
#include <algorithm>
#include <compare>
#include <new>

#include "program/ir/analysis.h"
#include "step_writer.h"

namespace arenagrad::program::point {
namespace {

constexpr Index kUnneeded = kNone, kUsed = kNone - 1;

// An instruction as it is sorted within its level, in the order of the arguments below.
// Instructions that agree in all but the last are a group. One number, because a comparison field
// by field costs 8 % of the making of a plan.
class Member {
  // The lowest bit of each field.
  static constexpr unsigned kRepeats = 63, kChecked = 62, kOpcode = 54, kExact = 53, kSink = 52,
                            kCount = 32;

public:
  static constexpr Index kMostCount = (1u << (kSink - kCount)) - 1;

  Member() = default;
  // `repeats`: a RowSum, which at one point is its operand, or an Element, whose number is there
  // already: last, when all others have their slots.
  // `checked`: side by side, so that one step checks all of a level. `is_exact`: of a decision.
  // `is_sink`: only outputs need it. `count`: of operands if it is n-ary, else 0. `order`: of a
  // sink that of the outputs, else that of the program.
  Member(bool repeats, bool checked, Opcode opcode, bool is_exact, bool is_sink, Index count,
         Index order)
      : key_(field(repeats, kRepeats) | field(checked, kChecked) |
             field(static_cast<std::uint8_t>(opcode), kOpcode) | field(is_exact, kExact) |
             field(is_sink, kSink) | field(std::min(count, kMostCount), kCount) | order) {}

  bool repeats() const { return bits(kRepeats) != 0; }
  bool checked() const { return (bits(kChecked) & 1) != 0; }
  bool is_exact() const { return (bits(kExact) & 1) != 0; }
  bool is_sink() const { return (bits(kSink) & 1) != 0; }
  Index order() const { return static_cast<Index>(key_); }
  // Instructions of kMostCount operands and more are a group each, since their counts are not kept.
  bool is_alone() const { return (bits(kCount) & kMostCount) == kMostCount; }
  bool same_group(const Member& other) const { return bits(kCount) == other.bits(kCount); }

  friend auto operator<=>(const Member&, const Member&) = default;

private:
  static std::uint64_t field(std::uint64_t value, unsigned lowest) { return value << lowest; }
  std::uint64_t bits(unsigned lowest) const { return key_ >> lowest; }

  std::uint64_t key_ = 0;
};

class Grouping {
public:
  // `margins`: see clear_decisions.h.
  Grouping(const Program& program, bool strict, const std::vector<Margin>& margins, Steps& steps)
      : program_(program), margins_(margins), steps_(steps), writer_(steps), strict_(strict),
        cone_(decision_cone(program)) {}

  void run() {
    if (program_.size() >= kColumn) throw std::bad_alloc();
    find_needed();
    find_levels();
    add_inputs();
    for (std::size_t level = 0; level + 1 < first_.size(); ++level)
      add_level(first_[level], first_[level + 1]);
    writer_.write_end();
    steps_.slots = next_;
    add_results();
  }

private:
  const Instruction& at(Index i) const { return program_.instructions[i]; }
  bool is_computed(Index i) const {
    return needed_[i] != kUnneeded && at(i).opcode > Opcode::Input;
  }

  void find_needed();
  void find_levels();
  Member member(Index i) const;
  Index instruction(const Member& member) const {
    return member.is_sink() ? program_.outputs[member.order()] : member.order();
  }

  void add_inputs();
  void add_level(std::size_t from, std::size_t to);
  void add_group(const Member* members, Index n);
  void add_matrices(Index i);
  void write_check_from(Index& checked);
  void collect_operands(Opcode opcode, Index count, bool tidy);
  void sort_by(Opcode opcode, Index count, bool second);
  std::size_t write(Opcode opcode, Index count);
  void add_results();

  // Where an instruction of a group stands by two of its operands; equals stay as they are.
  struct SortKey {
    std::uint64_t slots; // the first one's in the upper half, so that one comparison does for both
    Index position;

    friend auto operator<=>(const SortKey&, const SortKey&) = default;
  };

  const Program& program_;
  const std::vector<Margin>& margins_;
  Steps& steps_;
  StepWriter writer_;
  const bool strict_;
  const Marks cone_;
  Index next_ = 0;                  // slot
  std::vector<Index> slot_;         // of each instruction
  std::vector<Index> needed_;       // kUnneeded, kUsed, or the first output that a sink is
  std::vector<Member> members_;     // level by level
  std::vector<std::size_t> first_;  // of each level, in members_
  std::vector<Index> order_, best_; // of the group at hand
  std::vector<Index> operands_;     // their slots: by operand, or of n-ary opcodes by instruction
  std::vector<SortKey> sorted_;
};

void Grouping::find_needed() {
  const Marks needed = program::needed(program_);
  needed_.assign(program_.size(), kUnneeded);
  for (std::size_t k = program_.outputs.size(); k-- > 0;)
    needed_[program_.outputs[k]] = static_cast<Index>(k);
  for (const Guard& guard : program_.guards) needed_[guard.condition] = kUsed;
  for (std::size_t i = 0; i < program_.size(); ++i) {
    if (needed[i] == 0) continue;
    if (needed_[i] == kUnneeded) needed_[i] = kUsed; // for its check, or by another instruction
    program_.for_each_operand(program_.instructions[i],
                              [&](Index operand) { needed_[operand] = kUsed; });
  }
}

// Sorts the instructions by their levels: counts each level, then puts each instruction behind
// those of its level.
void Grouping::find_levels() {
  std::vector<Index> level(program_.size(), 0); // one more than the level; 0: not computed
  for (std::size_t i = 0; i < program_.size(); ++i) {
    if (!is_computed(static_cast<Index>(i))) continue;
    Index most = 0;
    program_.for_each_operand(program_.instructions[i],
                              [&](Index operand) { most = std::max(most, level[operand]); });
    level[i] = most + 1;
    if (level[i] >= first_.size()) first_.resize(level[i] + 1, 0);
    ++first_[level[i]];
  }
  if (first_.empty()) return;
  for (std::size_t k = 1; k < first_.size(); ++k) first_[k] += first_[k - 1];
  members_.resize(first_.back());
  std::vector<std::size_t> end(first_.begin(), first_.end() - 1);
  for (std::size_t i = 0; i < program_.size(); ++i)
    if (level[i] != 0) members_[end[level[i] - 1]++] = member(static_cast<Index>(i));
}

Member Grouping::member(Index i) const {
  const Instruction& instruction = at(i);
  const bool is_sink = needed_[i] != kUsed;
  const Index operands = is_many(instruction.opcode) ? instruction.b : 0;
  return {instruction.opcode == Opcode::RowSum || instruction.opcode == Opcode::Element,
          instruction.checked,
          instruction.opcode,
          strict_ || is_marked(cone_, i),
          is_sink,
          is_matrix(instruction.opcode) ? Member::kMostCount : operands,
          is_sink ? needed_[i] : i};
}

// Inputs first, so that they are copied in one go; a constant only if it is needed.
void Grouping::add_inputs() {
  slot_.assign(program_.size(), kNone);
  next_ = steps_.input_count = program_.input_count;
  for (Index i = 0; i < program_.input_count; ++i) slot_[i] = i;
  for (std::size_t i = program_.input_count; i < program_.size(); ++i) {
    if (program_.instructions[i].opcode != Opcode::Constant || needed_[i] == kUnneeded) continue;
    steps_.constants.push_back(program_.constants[program_.instructions[i].a]);
    slot_[i] = next_++;
  }
}

// Checks all slots from `checked` on, if it is not kNone, which it then is.
void Grouping::write_check_from(Index& checked) {
  if (checked != kNone) writer_.write_check(checked, next_ - checked);
  checked = kNone;
}

// Writes the groups of a level, then one check for all that is checked in it but matrices.
void Grouping::add_level(std::size_t from, std::size_t to) {
  std::sort(members_.begin() + static_cast<std::ptrdiff_t>(from),
            members_.begin() + static_cast<std::ptrdiff_t>(to));
  Index checked = kNone; // the first slot
  while (from < to && !members_[from].repeats()) {
    const Member& first = members_[from];
    std::size_t end = from + 1;
    if (!first.is_alone())
      while (end < to && members_[end].same_group(first)) ++end;
    const Index i = instruction(first);
    if (is_matrix(at(i).opcode)) {
      write_check_from(checked);
      add_matrices(i);
    } else {
      if (first.checked()) checked = std::min(checked, next_);
      add_group(&members_[from], static_cast<Index>(end - from));
    }
    from = end;
  }
  write_check_from(checked);
  for (; from < to; ++from) {
    const Index i = instruction(members_[from]);
    slot_[i] = slot_[at(i).a];
    if (at(i).opcode == Opcode::Element) slot_[i] += 1 + at(i).b;
    if (at(i).checked) writer_.write_check(slot_[i], 1);
  }
}

// Writes a group in the order that takes the fewest words: lists of slots are what to avoid. An
// order is tried by writing it.
void Grouping::add_group(const Member* members, Index n) {
  constexpr std::size_t kFewWords = 16;
  const Instruction& first = at(instruction(members[0]));
  const Opcode opcode = first.opcode;
  const Index count = is_many(opcode) ? first.b : static_cast<Index>(operand_count(opcode));
  const bool fuses = opcode == Opcode::TanhPartial && !members[0].is_exact() && n >= 4;
  writer_.set_exact(members[0].is_exact());
  order_.clear();
  for (Index i = 0; i < n; ++i) order_.push_back(instruction(members[i]));
  collect_operands(opcode, count, false);
  if (fuses) sort_by(opcode, count, true); // as the tanhs are
  const StepWriter::Mark mark = writer_.mark();
  std::size_t words = write(opcode, count);
  if (words > kFewWords && n >= 4 && !members[0].is_sink() && !fuses && count > 0) {
    bool last_is_best = true, best_is_tidy = false;
    best_ = order_;
    for (const bool second : {false, true}) {
      if (second && count < 2) break;
      sort_by(opcode, count, second);
      writer_.back_to(mark);
      const std::size_t other = write(opcode, count);
      last_is_best = other < words;
      if (last_is_best) {
        words = other;
        best_ = order_;
        best_is_tidy = true;
      }
      if (words <= kFewWords) break;
    }
    if (!last_is_best) {
      order_.swap(best_);
      collect_operands(opcode, count, best_is_tidy);
      writer_.back_to(mark);
      write(opcode, count);
    }
  }
  for (const Index i : order_) slot_[i] = next_++;
}

// The results of matrices stand side by side, behind their state.
void Grouping::add_matrices(Index i) {
  const MatrixShape shape = matrix_shape(program_, at(i));
  operands_.resize(shape.operands());
  for (std::size_t k = 0; k < operands_.size(); ++k)
    operands_[k] = slot_[program_.lists[at(i).c + k]];
  writer_.write_matrices(shape, next_, operands_.data());
  if (at(i).checked) writer_.write_check(next_, 1);
  slot_[i] = next_;
  if (shape.results() >= kSideBySide - 1 - next_) throw std::bad_alloc();
  next_ += static_cast<Index>(1 + shape.results());
}

// Fills operands_ for order_; with `tidy` the operands of a product or a sum of two stand by slot,
// which is free to choose and makes more of them lie side by side.
void Grouping::collect_operands(Opcode opcode, Index count, bool tidy) {
  operands_.resize(static_cast<std::size_t>(count) * order_.size());
  Index* to = operands_.data();
  if (is_many(opcode)) {
    for (const Index i : order_)
      program_.for_each_operand(at(i), [&](Index operand) { *to++ = slot_[operand]; });
    return;
  }
  const Index Instruction::* const operands[] = {&Instruction::a, &Instruction::b, &Instruction::c};
  for (Index k = 0; k < count; ++k)
    for (const Index i : order_) *to++ = slot_[at(i).*operands[k]];
  if (!tidy || (opcode != Opcode::Add && opcode != Opcode::Mul && opcode != Opcode::MulNoNan))
    return;
  Index *a = operands_.data(), *b = a + order_.size();
  for (; b < to; ++a, ++b)
    if (*a > *b) std::swap(*a, *b);
}

// Sorts order_ by the slots of the first two operands, or of the second and the first; dot products
// by those of the first term's factors.
void Grouping::sort_by(Opcode opcode, Index count, bool second) {
  collect_operands(opcode, count, true);
  const std::size_t n = order_.size();
  const bool many = is_many(opcode);
  std::size_t one = 0, other = std::min<std::size_t>(1, count - 1);
  if (many) other = count / 2;
  if (opcode == Opcode::DotN) {
    const auto dot = core::dot_view(std::size_t{0}, count);
    const std::size_t last = count - 1; // a start alone has no factors
    one = std::min(dot.w, last);
    other = std::min(dot.x, last);
  }
  if (second) std::swap(one, other);
  const auto slot = [&](std::size_t i, std::size_t k) {
    return std::uint64_t{many ? operands_[i * count + k] : operands_[k * n + i]};
  };
  sorted_.clear();
  for (std::size_t i = 0; i < n; ++i)
    sorted_.push_back({slot(i, one) << 32 | slot(i, other), static_cast<Index>(i)});
  std::sort(sorted_.begin(), sorted_.end());
  std::vector<Index> order(n);
  for (std::size_t i = 0; i < n; ++i) order[i] = order_[sorted_[i].position];
  order_.swap(order);
  collect_operands(opcode, count, true);
}

// How many words it took.
std::size_t Grouping::write(Opcode opcode, Index count) {
  const std::size_t before = steps_.words.size();
  const auto n = static_cast<Index>(order_.size());
  if (is_many(opcode)) {
    writer_.write_nary(opcode, next_, operands_.data(), count, n);
  } else {
    const Index* slots = operands_.data();
    writer_.write_scalar(
        opcode, next_,
        {{slots, slots + (count > 1 ? n : 0), slots + (count > 2 ? 2 * n : 0)}, count}, n);
  }
  return steps_.words.size() - before;
}

// The outputs, of which those in slots side by side are copied together, and the guards.
void Grouping::add_results() {
  for (const Index output : program_.outputs) {
    const Index from = slot_[output];
    auto& copies = steps_.copies;
    if (!copies.empty() && copies[copies.size() - 2] + copies.back() == from)
      ++copies.back();
    else
      copies.insert(copies.end(), {from, 1});
  }
  for (const Guard& guard : program_.guards)
    steps_.guards.push_back({slot_[guard.condition], guard.outcome});
  for (Margin margin : margins_) {
    margin.a = slot_[margin.a], margin.b = slot_[margin.b];
    steps_.margins.push_back(margin);
  }
  steps_.words.shrink_to_fit();
  steps_.copies.shrink_to_fit();
}

} // namespace

Steps make_steps(const Program& program, bool strict) {
  Steps steps;
  steps.callbacks = program.callbacks;
  steps.exact_kernels = &kernels(true);
  steps.fast_kernels = &kernels(false);
  ClearDecisions clear;
  if (!strict) clear = clear_decisions(program, {}, Loosen::Powers);
  Grouping(clear.margins.empty() ? program : clear.program, strict, clear.margins, steps).run();
  steps.decisions = std::move(clear.exact);
  steps.may_overflow_otherwise = !strict && may_overflow_otherwise(program);
  return steps;
}

} // namespace arenagrad::program::point
