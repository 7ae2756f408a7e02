#include "differentiate.h"

#include <algorithm>
#include <array>

#include "derivative_rules.h"

namespace arenagrad::program {
namespace {

// A program being written that starts with a copy of another one, behind some inputs of its own.
class Writer {
public:
  Writer(const Program& from, std::size_t more_inputs, const Passes& passes)
      : from_(from), builder_(passes), writing_(builder_) {
    for (std::size_t k = 0; k < from.input_count + more_inputs; ++k) builder_.input();
    place_.reserve(from.size());
    for (const Instruction& at : from.instructions) place_.push_back(copied(at));
  }

  Symbolic value(Index i) const { return Symbolic::of(place_[i]); }
  // Extra input number k.
  Symbolic extra(std::size_t k) const {
    return Symbolic::of(static_cast<Index>(from_.input_count + k));
  }
  Builder& builder() { return builder_; }
  void output(Symbolic number) { builder_.output(number.index()); }
  void outputs_of_from() {
    for (const Index output : from_.outputs) builder_.output(place_[output]);
    guards_of_from();
  }
  void guards_of_from() {
    for (const Guard& guard : from_.guards) builder_.guard(place_[guard.condition], guard.outcome);
  }
  Program finish(const Passes& passes) { return shortened(builder_.finish(), passes); }

private:
  Index copied(const Instruction& at) {
    // The inputs come first, in order.
    return at.opcode == Opcode::Input ? at.a : builder_.copy(from_, at, place_);
  }

  const Program& from_;
  Builder builder_;
  Symbolic::Writing writing_;
  std::vector<Index> place_;
};

// Of each instruction, whether it depends on a wanted input.
std::vector<std::uint8_t> active_in(const Program& program, const std::vector<Index>& inputs) {
  std::vector<std::uint8_t> active(program.size(), 0);
  for (const Index input : inputs) active[input] = 1;
  for (std::size_t i = 0; i < program.size(); ++i)
    program.for_each_operand(program.instructions[i], [&](Index o) { active[i] |= active[o]; });
  return active;
}

// Reverse sweeps that write what they would compute. The adjoint of an instruction is what all its
// users owe it, added in the order in which a sweep of the arena comes by.
class Reverse {
public:
  Reverse(const Program& program, const Wanted& wanted, Writer& writer)
      : program_(program), writer_(writer), active_(active_in(program, wanted.inputs)),
        varies_(wanted.varies.empty() ? std::vector<std::uint8_t>(program.size(), 0)
                                      : varying(program, wanted.varies)),
        first_(program.size(), kNone), last_(program.size(), kNone) {}

  void seed(Index output, Symbolic cotangent) {
    if (active_[output]) owe(output, cotangent, varies_[output]);
    top_ = std::max(top_, output);
  }

  // Sweeps from the seeds down; then adjoint() is that of the inputs.
  void sweep() {
    for (std::size_t i = std::size_t{top_} + 1; i-- > 0;) {
      if (first_[i] == kNone || program_.instructions[i].opcode == Opcode::Input) continue;
      const auto at = static_cast<Index>(i);
      const Symbolic g = adjoint(at);
      const auto owed = [&](Index operand, Symbolic amount) {
        // What does not vary counts once a row in a sum over the rows.
        owe(operand, amount, varies_[i] || is_row_sum(at));
      };
      owed_to_operands(program_, at, g, [&](Index o) { return writer_.value(o); }, active_, owed);
      first_[i] = last_[i] = kNone;
    }
    top_ = 0;
  }

  bool reached(Index i) const { return first_[i] != kNone; }

  Symbolic adjoint(Index i) const {
    Index total = kNone, over_rows = kNone;
    for (Index k = first_[i]; k != kNone; k = owed_[k].next) {
      Index& sum = owed_[k].varies && !varies_[i] ? over_rows : total;
      if (sum == kNone)
        sum = start(owed_[k].amount);
      else
        sum = (Symbolic::of(sum) + Symbolic::of(owed_[k].amount)).index();
    }
    if (over_rows == kNone) return Symbolic::of(total);
    const Symbolic summed = Symbolic::emit(Opcode::RowSum, Symbolic::of(over_rows));
    return total == kNone ? summed : Symbolic::of(total) + summed;
  }
  void forget(const std::vector<Index>& inputs) {
    for (const Index input : inputs) first_[input] = last_[input] = kNone;
    owed_.clear();
  }

private:
  struct Owed {
    Index amount, next;
    bool varies;
  };

  bool is_row_sum(Index i) const { return program_.instructions[i].opcode == Opcode::RowSum; }

  // As eager adjoints start from 0, which shows only in the sign of a zero.
  Index start(Index amount) const {
    const bool exact = !writer_.builder().passes().reorder;
    return exact ? (Symbolic(0.0) + Symbolic::of(amount)).index() : amount;
  }

  void owe(Index operand, Symbolic amount, bool varies) {
    if (!active_[operand]) return;
    const auto k = static_cast<Index>(owed_.size());
    owed_.push_back({amount.index(), kNone, varies});
    (first_[operand] == kNone ? first_[operand] : owed_[last_[operand]].next) = k;
    last_[operand] = k;
  }

  const Program& program_;
  Writer& writer_;
  const std::vector<std::uint8_t> active_, varies_;
  std::vector<Index> first_, last_; // of what each is owed
  std::vector<Owed> owed_;
  Index top_ = 0;
};

// Tangents of all instructions; kNone for those that are 0.
std::vector<Index> tangents(const Program& program, Writer& writer, std::vector<Index> seeds) {
  const auto value = [&](Index o) { return writer.value(o); };
  for (std::size_t i = 0; i < program.size(); ++i)
    if (program.instructions[i].opcode > Opcode::Input)
      seeds[i] = tangent_of(program, static_cast<Index>(i), value, seeds);
  return seeds;
}

// How many instructions a sweep from each output, and a tangent of each input, would pass.
std::pair<double, double> costs(const Program& program, const Wanted& wanted) {
  const std::vector<std::uint8_t> active = active_in(program, wanted.inputs);
  std::vector<std::uint8_t> useful(program.size(), 0);
  const auto spread_down = [&](std::vector<std::uint8_t>& marks, std::size_t top) {
    double count = 0;
    for (std::size_t i = top + 1; i-- > 0;) {
      if (!marks[i] || !active[i]) continue;
      ++count;
      program.for_each_operand(program.instructions[i], [&](Index o) { marks[o] = 1; });
    }
    return count;
  };
  for (const Index output : program.outputs) useful[output] = 1;
  spread_down(useful, program.size() - 1);
  double backward = 0, forward = 0;
  std::vector<std::uint8_t> marks(program.size());
  for (const Index output : program.outputs) {
    std::fill(marks.begin(), marks.end(), 0);
    marks[output] = 1;
    backward += spread_down(marks, output);
    if (backward > 64.0 * static_cast<double>(program.size())) break; // many; the other decides
  }
  for (const Index input : wanted.inputs) {
    std::fill(marks.begin(), marks.end(), 0);
    marks[input] = 1;
    for (std::size_t i = input; i < program.size(); ++i) {
      program.for_each_operand(program.instructions[i], [&](Index o) { marks[i] |= marks[o]; });
      forward += marks[i] && useful[i];
    }
    if (forward > backward) break;
  }
  return {backward, forward};
}

bool prefers_reverse(const Program& program, const Wanted& wanted, const Passes& passes) {
  // A sweep from what varies would sum up over the rows what is wanted of each.
  if (!wanted.varies.empty()) {
    const std::vector<std::uint8_t> varies = varying(program, wanted.varies);
    for (const Index output : program.outputs)
      if (varies[output]) return false;
  }
  if (!passes.reorder) return true; // as the arena's sweep does it
  const auto [backward, forward] = costs(program, wanted);
  return backward <= forward;
}

} // namespace

Program reverse(const Program& program, const Wanted& wanted, bool seeded, const Passes& passes) {
  Writer writer(program, seeded ? program.outputs.size() : 0, passes);
  Reverse sweep(program, wanted, writer);
  for (std::size_t k = 0; k < program.outputs.size(); ++k)
    sweep.seed(program.outputs[k], seeded ? writer.extra(k) : Symbolic(1.0));
  sweep.sweep();
  writer.outputs_of_from();
  for (const Index input : wanted.inputs)
    writer.output(sweep.reached(input) ? sweep.adjoint(input) : Symbolic(0.0));
  return writer.finish(passes);
}

Program tangent(const Program& program, const Wanted& wanted, const Passes& passes) {
  Writer writer(program, wanted.inputs.size(), passes);
  std::vector<Index> seeds(program.size(), kNone);
  for (std::size_t k = 0; k < wanted.inputs.size(); ++k)
    seeds[wanted.inputs[k]] = writer.extra(k).index();
  seeds = tangents(program, writer, std::move(seeds));
  writer.outputs_of_from();
  for (const Index output : program.outputs)
    writer.output(seeds[output] == kNone ? Symbolic(0.0) : Symbolic::of(seeds[output]));
  return writer.finish(passes);
}

Jacobian jacobian(const Program& program, const Wanted& wanted, const Passes& passes) {
  Writer writer(program, 0, passes);
  writer.outputs_of_from();
  struct Entry {
    Index row, column, value;
  };
  std::vector<Entry> entries;
  const bool by_reverse = prefers_reverse(program, wanted, passes);
  const auto count = [](const auto& array) { return static_cast<Index>(array.size()); };
  if (by_reverse) {
    Reverse sweep(program, wanted, writer);
    for (Index row = 0; row < count(program.outputs); ++row) {
      sweep.seed(program.outputs[row], Symbolic(1.0));
      sweep.sweep();
      for (Index column = 0; column < count(wanted.inputs); ++column)
        if (const Index input = wanted.inputs[column]; sweep.reached(input))
          entries.push_back({row, column, sweep.adjoint(input).index()});
      sweep.forget(wanted.inputs);
    }
  } else {
    for (Index column = 0; column < count(wanted.inputs); ++column) {
      std::vector<Index> seeds(program.size(), kNone);
      seeds[wanted.inputs[column]] = Symbolic(1.0).index();
      seeds = tangents(program, writer, std::move(seeds));
      for (Index row = 0; row < count(program.outputs); ++row)
        if (const Index value = seeds[program.outputs[row]]; value != kNone)
          entries.push_back({row, column, value});
    }
    std::sort(entries.begin(), entries.end(), [](const Entry& one, const Entry& other) {
      return std::pair(one.row, one.column) < std::pair(other.row, other.column);
    });
  }
  Jacobian result{{}, {}, {}, by_reverse};
  for (const Entry& entry : entries) {
    if (writer.builder().is_constant(entry.value, 0.0)) continue;
    writer.output(Symbolic::of(entry.value));
    result.rows.push_back(entry.row);
    result.columns.push_back(entry.column);
  }
  result.program = writer.finish(passes);
  return result;
}

Program summed(const Program& program, const Passes& passes) {
  Writer writer(program, 0, passes);
  for (const Index output : program.outputs)
    writer.output(Symbolic::emit(Opcode::RowSum, writer.value(output)));
  writer.guards_of_from();
  return writer.builder().finish();
}

} // namespace arenagrad::program
