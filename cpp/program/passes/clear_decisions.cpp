#include "clear_decisions.h"

#include <algorithm>
#include <cmath>

#include "program/ir/analysis.h"
#include "select_outputs.h"

namespace arenagrad::program {
namespace {

constexpr double kUnit = 0x1p-52, kSmallest = 0x1p-1074;

// How far the number x that a run has may be from the exact y: y <= x (1 + kUnit)**units + absolute
// and x <= y (1 + kUnit)**units + absolute. With units above 0, neither is negative.
struct Distance {
  double units = 0.0, absolute = 0.0;
  bool is_exact() const { return units == 0.0; }
};

class Finder {
public:
  Finder(const Program& program, const Marks& varies)
      : program_(program), cone_(decision_cone(program)), keep_(program.size(), 0) {
    for (Index i = 0; i < varies.size(); ++i) keep_[i] = varies[i] == 0;
  }

  ClearDecisions run() {
    if (cone_.empty() || !has_powers()) return {};
    // Powers that something else than a sum is made of stay as they are, and the others are asked
    // again; mostly there are none or all are.
    constexpr int kMostTurns = 4;
    for (int turn = 0; turn < kMostTurns; ++turn)
      if (find_distances()) return result();
    return {};
  }

private:
  const Instruction& at(Index i) const { return program_.instructions[i]; }
  bool is_constant(Index i, double value) const {
    return at(i).opcode == Opcode::Constant && program_.constants[at(i).a] == value;
  }
  bool is_square(Index i) const { return at(i).opcode == Opcode::Pow && is_constant(at(i).b, 2.0); }
  bool is_sum(Index i) const { return at(i).opcode == Opcode::Add || at(i).opcode == Opcode::SumN; }
  bool is_root(Index i) const { return at(i).opcode == Opcode::Pow && is_constant(at(i).b, 0.5); }
  static bool is_comparison(Opcode opcode) {
    return opcode == Opcode::Less || opcode == Opcode::LessEqual || opcode == Opcode::Equal;
  }
  bool has_powers() const {
    for (Index i = 0; i < program_.size(); ++i)
      if (cone_[i] != 0 && (is_square(i) || is_root(i))) return true;
    return false;
  }

  // Returns whether all distances are known; else it has put down what must be kept for that.
  bool find_distances() {
    distance_.assign(program_.size(), {});
    is_positive_.assign(program_.size(), 0);
    bool known = true;
    for (Index i = 0; i < program_.size(); ++i)
      if (cone_[i] != 0 && !find_distance(i)) {
        known = false;
        program_.for_each_operand(at(i), [&](Index operand) { keep_[operand] = 1; });
      }
    if (!known)
      for_each_marked_downwards(program_, keep_, program_.size(), [](Index) { return true; });
    return known;
  }

  bool find_distance(Index i) {
    is_positive_[i] = not_negative(i);
    bool exact = true;
    program_.for_each_operand(
        at(i), [&](Index operand) { exact = exact && distance_[operand].is_exact(); });
    if (exact) {
      // Both are rounded once, and the library's result may be off by one unit of the last place.
      if (is_square(i) && keep_[i] == 0) distance_[i] = {2.0, 2.0 * kSmallest};
      if (is_root(i) && keep_[i] == 0) distance_[i] = {3.0, 0.0};
      return true;
    }
    if (is_sum(i)) return find_distance_of_sum(i);
    if (is_root(i) || at(i).opcode == Opcode::Sqrt) {
      const Distance of = distance_[at(i).a];
      distance_[i] = {of.units / 2.0 + 3.0, 2.0 * std::sqrt(of.absolute)};
      return true;
    }
    return is_comparison(at(i).opcode) && is_only_guard(i);
  }

  // Each addition rounds both numbers, which is two units at most.
  bool find_distance_of_sum(Index i) {
    Distance sum;
    double terms = 0.0;
    bool positive = true;
    program_.for_each_operand(at(i), [&](Index operand) {
      const Distance& of = distance_[operand];
      sum.units = std::max(sum.units, of.units);
      sum.absolute += of.absolute;
      positive = positive && is_positive_[operand] != 0;
      ++terms;
    });
    distance_[i] = {sum.units + 2.0 * terms, sum.absolute};
    return positive;
  }

  bool not_negative(Index i) const {
    switch (at(i).opcode) {
    case Opcode::Square:
    case Opcode::Abs:
    case Opcode::Exp:
    case Opcode::Sqrt:
      return true;
    case Opcode::Constant:
      return program_.constants[at(i).a] >= 0.0;
    case Opcode::Pow:
      return is_square(i) || is_root(i);
    case Opcode::Add:
    case Opcode::SumN: {
      bool all = true;
      program_.for_each_operand(at(i), [&](Index o) { all = all && is_positive_[o] != 0; });
      return all;
    }
    default:
      return false;
    }
  }

  // Whether guards alone ask for the condition: as a number it would be a decision, too.
  bool is_only_guard(Index condition) {
    if (users_.empty()) {
      users_.assign(program_.size(), 0);
      for (Index i = 0; i < program_.size(); ++i)
        program_.for_each_operand(at(i), [&](Index operand) { users_[operand] = 1; });
      for (const Index output : program_.outputs) users_[output] = 1;
    }
    return users_[condition] == 0;
  }

  ClearDecisions result() const {
    ClearDecisions found;
    for (const Guard& guard : program_.guards) {
      const Instruction& condition = at(guard.condition);
      if (!is_comparison(condition.opcode)) continue;
      const Distance &a = distance_[condition.a], &b = distance_[condition.b];
      if (a.is_exact() && b.is_exact()) continue;
      // Twice what is needed, for the roundings of the test itself.
      found.margins.push_back({condition.a, condition.b, 2.0 * kUnit * std::max(a.units, b.units),
                               2.0 * (a.absolute + b.absolute)});
    }
    if (found.margins.empty()) return found;
    found.exact = select_outputs(program_, {});
    found.program = program_;
    for (Index i = 0; i < program_.size(); ++i) {
      if (distance_[i].is_exact()) continue;
      Instruction& to = found.program.instructions[i];
      if (is_square(i)) to.opcode = Opcode::Mul, to.b = to.a;
      if (is_root(i)) to.opcode = Opcode::PowerHalf, to.b = kNone; // inf at -inf, as ** 0.5 is
    }
    return found;
  }

  const Program& program_;
  const Marks cone_;
  Marks keep_;                     // must be exact
  std::vector<Distance> distance_; // 0 outside of the cone
  Marks is_positive_;              // surely not negative
  Marks users_;                    // is an output or an operand; empty until it is asked for
};

} // namespace

ClearDecisions clear_decisions(const Program& program, const Marks& varies) {
  return Finder(program, varies).run();
}

bool guards_hold(const Program& program, const double* inputs) {
  std::vector<double> values(program.size());
  interpret(program, inputs, values.data());
  return std::ranges::all_of(program.guards, [&](const Guard& guard) {
    return (values[guard.condition] != 0.0) == guard.outcome;
  });
}

} // namespace arenagrad::program
