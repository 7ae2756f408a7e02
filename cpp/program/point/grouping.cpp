// In which order a program's instructions are run, and where their results are.
//
// An instruction's level is the length of the longest way to it from inputs and constants. Those of
// one level, code and number of operands are a group. Within it they are ordered so that operands
// lie side by side, or, if only outputs need them, so that the outputs do.
#include <algorithm>
#include <new>

#include "steps.h"

namespace arenagrad::program::point {
namespace {

constexpr Index kUnneeded = kNone, kUsed = kNone - 1;

// By what the instructions of a level are sorted: RowSum, which repeats what has its place by
// then, comes last; what is checked is together; then by opcode, by being needed by outputs only (a
// sink), by the number of operands, and by the program's order or, of sinks, that of the outputs.
constexpr unsigned kRowSumBit = 63, kCheckedBit = 62, kCodeBit = 54, kSinkBit = 53, kCountBit = 32;
constexpr std::uint64_t kMostCount = (1u << (kSinkBit - kCountBit)) - 1; // more are not grouped

class Planner {
public:
  Planner(const Program& program, bool strict, Steps& steps)
      : program_(program), steps_(steps), writer_(steps, strict), strict_(strict) {}

  void run() {
    if (program_.size() >= kBeside / 2) throw std::bad_alloc();
    find_needed();
    find_levels();
    place_inputs();
    for (std::size_t level = 0; level + 1 < first_.size(); ++level)
      place_level(first_[level], first_[level + 1]);
    writer_.end();
    steps_.values = next_;
    finish();
  }

private:
  const Instruction& at(Index i) const { return program_.instructions[i]; }
  bool computed(Index i) const { return needed_[i] != kUnneeded && at(i).opcode > Opcode::Input; }

  void find_needed();
  void find_levels();
  std::uint64_t key(Index i) const;
  Index instruction(std::uint64_t key) const {
    const auto low = static_cast<Index>(key);
    return (key >> kSinkBit & 1) != 0 ? program_.outputs[low] : low;
  }

  void place_inputs();
  void place_level(std::size_t from, std::size_t to);
  void place_group(const std::uint64_t* from, Index n);
  void fetch(Opcode opcode, Index count, bool tidy);
  void sort_by(Opcode opcode, Index count, bool second);
  std::size_t write(Opcode opcode, Index count);
  void finish();

  const Program& program_;
  Steps& steps_;
  Writer writer_;
  const bool strict_;
  Index next_ = 0;                  // place
  std::vector<Index> place_;        // of each instruction
  std::vector<Index> needed_;       // kUnneeded, kUsed, or the first output that a sink is
  std::vector<std::size_t> first_;  // of each level, in keys_
  std::vector<std::uint64_t> keys_; // level by level
  std::vector<Index> order_, best_; // of the group at hand
  std::vector<Index> places_;       // of its operands: by operand, or of Many by instruction
  std::vector<std::pair<std::uint64_t, Index>> sorted_;
};

void Planner::find_needed() {
  needed_.assign(program_.size(), kUnneeded);
  for (std::size_t k = program_.outputs.size(); k-- > 0;)
    needed_[program_.outputs[k]] = static_cast<Index>(k);
  for (const Guard& guard : program_.guards) needed_[guard.condition] = kUsed;
  for (std::size_t i = program_.size(); i-- > 0;) {
    if (program_.instructions[i].checked && needed_[i] == kUnneeded)
      needed_[i] = kUsed; // for its check
    if (needed_[i] != kUnneeded)
      program_.for_each_operand(program_.instructions[i],
                                [&](Index operand) { needed_[operand] = kUsed; });
  }
}

void Planner::find_levels() {
  std::vector<Index> level(program_.size(), 0); // one more than the level
  for (std::size_t i = 0; i < program_.size(); ++i) {
    if (!computed(static_cast<Index>(i))) continue;
    Index most = 0;
    program_.for_each_operand(program_.instructions[i],
                              [&](Index operand) { most = std::max(most, level[operand]); });
    level[i] = most + 1;
    if (level[i] >= first_.size()) first_.resize(level[i] + 1, 0);
    ++first_[level[i]];
  }
  if (first_.empty()) return;
  for (std::size_t k = 1; k < first_.size(); ++k) first_[k] += first_[k - 1];
  keys_.resize(first_.back());
  std::vector<std::size_t> end(first_.begin(), first_.end() - 1);
  for (std::size_t i = 0; i < program_.size(); ++i)
    if (level[i] != 0) keys_[end[level[i] - 1]++] = key(static_cast<Index>(i));
}

std::uint64_t Planner::key(Index i) const {
  const Instruction& instruction = at(i);
  const bool sink = needed_[i] != kUsed;
  const std::uint64_t count = is_many(instruction.opcode) ? instruction.b : 0;
  const auto bit = [](bool set, unsigned place) { return std::uint64_t{set} << place; };
  return bit(instruction.opcode == Opcode::RowSum, kRowSumBit) |
         bit(instruction.checked, kCheckedBit) |
         static_cast<std::uint64_t>(instruction.opcode) << kCodeBit | bit(sink, kSinkBit) |
         std::min(count, kMostCount) << kCountBit | (sink ? needed_[i] : i);
}

void Planner::place_inputs() {
  place_.assign(program_.size(), kNone);
  next_ = steps_.input_count = program_.input_count;
  for (Index i = 0; i < program_.input_count; ++i) place_[i] = i;
  for (std::size_t i = program_.input_count; i < program_.size(); ++i) {
    if (program_.instructions[i].opcode != Opcode::Constant || needed_[i] == kUnneeded) continue;
    steps_.constants.push_back(program_.constants[program_.instructions[i].a]);
    place_[i] = next_++;
  }
}

void Planner::place_level(std::size_t from, std::size_t to) {
  std::sort(keys_.begin() + static_cast<std::ptrdiff_t>(from),
            keys_.begin() + static_cast<std::ptrdiff_t>(to));
  Index checked = kNone; // the first place
  while (from < to && keys_[from] >> kRowSumBit == 0) {
    const std::uint64_t kind = keys_[from] >> kCountBit;
    std::size_t end = from + 1;
    if ((kind & kMostCount) != kMostCount)
      while (end < to && keys_[end] >> kCountBit == kind) ++end;
    if ((keys_[from] >> kCheckedBit & 1) != 0) checked = std::min(checked, next_);
    place_group(&keys_[from], static_cast<Index>(end - from));
    from = end;
  }
  if (checked != kNone) writer_.check(checked, next_ - checked);
  for (; from < to; ++from) {
    const Index i = instruction(keys_[from]);
    place_[i] = place_[at(i).a];
    if (at(i).checked) writer_.check(place_[i], 1);
  }
}

// Writes a group in the order that takes the fewest words: lists of places are what to avoid.
void Planner::place_group(const std::uint64_t* from, Index n) {
  const Instruction& first = at(instruction(from[0]));
  const Opcode opcode = first.opcode;
  const Index count = is_many(opcode) ? first.b : static_cast<Index>(operand_count(opcode));
  const bool sink = (from[0] >> kSinkBit & 1) != 0;
  const bool fuses = opcode == Opcode::TanhPartial && !strict_ && n >= 4;
  order_.clear();
  for (Index i = 0; i < n; ++i) order_.push_back(instruction(from[i]));
  fetch(opcode, count, false);
  if (fuses) sort_by(opcode, count, true); // as the tanhs are
  const Writer::Mark mark = writer_.mark();
  std::size_t words = write(opcode, count);
  constexpr std::size_t kFew = 16;
  if (words > kFew && n >= 4 && !sink && !fuses && count > 0) {
    bool last_is_best = true, best_is_tidy = false;
    best_ = order_;
    for (const bool second : {false, true}) {
      if (second && !is_many(opcode)) break;
      sort_by(opcode, count, second);
      writer_.back_to(mark);
      const std::size_t other = write(opcode, count);
      last_is_best = other < words;
      if (last_is_best) words = other, best_ = order_, best_is_tidy = true;
      if (words <= kFew) break;
    }
    if (!last_is_best) {
      order_.swap(best_);
      fetch(opcode, count, best_is_tidy);
      writer_.back_to(mark);
      write(opcode, count);
    }
  }
  for (const Index i : order_) place_[i] = next_++;
}

// Fills places_ for order_; with `tidy` those of a product or a sum of two by place.
void Planner::fetch(Opcode opcode, Index count, bool tidy) {
  places_.resize(static_cast<std::size_t>(count) * order_.size());
  Index* to = places_.data();
  if (is_many(opcode)) {
    for (const Index i : order_)
      program_.for_each_operand(at(i), [&](Index operand) { *to++ = place_[operand]; });
    return;
  }
  const Index Instruction::* const operands[] = {&Instruction::a, &Instruction::b, &Instruction::c};
  for (Index k = 0; k < count; ++k)
    for (const Index i : order_) *to++ = place_[at(i).*operands[k]];
  if (!tidy || (opcode != Opcode::Add && opcode != Opcode::Mul)) return;
  Index *a = places_.data(), *b = a + order_.size();
  for (; b < to; ++a, ++b)
    if (*a > *b) std::swap(*a, *b);
}

// Sorts order_ by the places of the first two operands, or the second and the first; of dot
// products by those of the factors.
void Planner::sort_by(Opcode opcode, Index count, bool second) {
  fetch(opcode, count, true);
  const std::size_t n = order_.size();
  const bool many = is_many(opcode);
  std::size_t one = 0, other = std::min<std::size_t>(1, count - 1);
  if (many) one = 0, other = count / 2;
  if (opcode == Opcode::DotN) {
    const auto dot = core::dot_view(std::size_t{0}, count);
    const std::size_t last = count - 1; // a start alone has no factors
    one = std::min(dot.w, last), other = std::min(dot.x, last);
  }
  if (second) std::swap(one, other);
  const auto place = [&](std::size_t i, std::size_t k) {
    return std::uint64_t{many ? places_[i * count + k] : places_[k * n + i]};
  };
  // places_ are those of the order at hand, in which equals stay.
  sorted_.clear();
  for (std::size_t i = 0; i < n; ++i)
    sorted_.emplace_back(place(i, one) << 32 | place(i, other), static_cast<Index>(i));
  std::sort(sorted_.begin(), sorted_.end());
  std::vector<Index> order(n);
  for (std::size_t i = 0; i < n; ++i) order[i] = order_[sorted_[i].second];
  order_.swap(order);
  fetch(opcode, count, true);
}

// How many words it took.
std::size_t Planner::write(Opcode opcode, Index count) {
  const std::size_t before = steps_.words.size();
  const auto n = static_cast<Index>(order_.size());
  if (is_many(opcode)) {
    writer_.many(opcode, next_, places_.data(), count, n);
  } else {
    const Index* at = places_.data();
    writer_.fixed(opcode, next_,
                  {{at, at + (count > 1 ? n : 0), at + (count > 2 ? 2 * n : 0)}, count}, n);
  }
  return steps_.words.size() - before;
}

void Planner::finish() {
  for (const Index output : program_.outputs) {
    const Index from = place_[output];
    auto& copies = steps_.copies;
    if (!copies.empty() && copies[copies.size() - 2] + copies.back() == from)
      ++copies.back();
    else
      copies.insert(copies.end(), {from, 1});
  }
  for (const Guard& guard : program_.guards)
    steps_.guards.push_back({place_[guard.condition], guard.outcome});
  steps_.words.shrink_to_fit();
  steps_.copies.shrink_to_fit();
}

} // namespace

Steps plan(const Program& program, bool strict) {
  Steps steps;
  steps.kernels = &kernels(strict);
  steps.strict = strict;
  Planner(program, strict, steps).run();
  return steps;
}

} // namespace arenagrad::program::point
