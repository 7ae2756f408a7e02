#include "clear_decisions.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "program/ir/analysis.h"
#include "select_outputs.h"

namespace arenagrad::program {
namespace {

constexpr double kUnit = 0x1p-52, kSmallest = 0x1p-1074;

// A function of an exact number, by our loops and by the C library: each is within 8 units of the
// exact result, and much nearer in fact (kernels/ERRORS.md), or within kTiny where that is too
// small to be normal.
constexpr double kFunctionUnits = 16.0, kTiny = 0x1p-1070;
constexpr double kBoundedRange = 144.0; // log2 of kLargestBounded
constexpr double kUnknownRange = 1e4;
constexpr double kMostRange = 1000.0; // no number of that range over- or underflows
constexpr double kMostUnits = 0x1p24; // beyond, (1 + kUnit)**units is not 1 + kUnit * units

// How far the number x that a run has may be from the exact y: either they have the same sign, and
// |y| <= |x| (1 + kUnit)**units + absolute and |x| <= |y| (1 + kUnit)**units + absolute, or they
// are below `absolute`. With absolute = 0, |x| is between 2**-range and 2**range, or x = y = 0.
struct Distance {
  double units = 0.0, absolute = 0.0, range = kUnknownRange;
  bool is_exact() const { return units == 0.0; }
};

bool is_loose_function(Opcode opcode) {
  switch (opcode) {
  case Opcode::Exp:
  case Opcode::Exp2:
  case Opcode::Expm1:
  case Opcode::Log:
  case Opcode::Log2:
  case Opcode::Log10:
  case Opcode::Log1p:
  case Opcode::Sin:
  case Opcode::Cos:
  case Opcode::Tan:
  case Opcode::Sinh:
  case Opcode::Cosh:
  case Opcode::Tanh:
    return true;
  default:
    return false;
  }
}

class Finder {
public:
  Finder(const Program& program, const Marks& varies, Loosen loosen)
      : program_(program), loosen_(loosen), cone_(decision_cone(program)),
        keep_(program.size(), 0) {
    for (const Guard& guard : program.guards)
      if (!is_comparison(at(guard.condition).opcode)) keep_[guard.condition] = 1;
    for_each_marked_downwards(program, keep_, program.size(), [](Index) { return true; });
    for (Index i = 0; i < varies.size(); ++i) keep_[i] |= varies[i] == 0;
  }

  ClearDecisions run() {
    if (cone_.empty() || !has_candidates()) return {};
    // Numbers of which something is made that has no bound stay exact, and the others are asked
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
  bool is_reciprocal(Index i) const {
    return at(i).opcode == Opcode::Pow && is_constant(at(i).b, -1.0);
  }
  bool is_zero(Index i) const { return is_constant(i, 0.0); }
  bool is_function(Index i) const {
    return loosen_ == Loosen::PowersAndFunctions && is_loose_function(at(i).opcode);
  }
  bool has_candidates() const {
    for (Index i = 0; i < program_.size(); ++i)
      if (cone_[i] != 0 && keep_[i] == 0 && (is_square(i) || is_root(i) || is_function(i)))
        return true;
    return false;
  }

  // Returns whether all distances are known; else it has put down what must be kept for that.
  bool find_distances() {
    distance_.assign(program_.size(), {});
    is_positive_.assign(program_.size(), 0);
    tests_.assign(program_.size(), Test::None);
    bool known = true;
    for (Index i = 0; i < program_.size(); ++i)
      if (cone_[i] != 0 && !find_distance(i)) {
        known = false;
        distance_[i] = {};
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
      find_distance_of_exact_operands(i);
      return true;
    }
    if (is_comparison(at(i).opcode)) return is_only_guard(i);
    return find_distance_of_result(i) && distance_[i].units <= kMostUnits;
  }

  void find_distance_of_exact_operands(Index i) {
    if (at(i).opcode == Opcode::Constant) {
      const double size = std::fabs(program_.constants[at(i).a]);
      if (size == 0.0) distance_[i].range = 0.0;
      if (std::isnormal(size)) distance_[i].range = std::fabs(std::log2(size)) + 1.0;
    }
    if (keep_[i] != 0) return;
    // Both are rounded once, and the library's result may be off by one unit of the last place.
    if (is_square(i)) distance_[i] = {2.0, 2.0 * kSmallest};
    if (is_root(i)) distance_[i] = {3.0, 0.0};
    if (is_function(i)) distance_[i] = {kFunctionUnits, kTiny};
  }

  bool find_distance_of_result(Index i) {
    if (is_sum(i)) return find_distance_of_sum(i);
    if (is_root(i) || at(i).opcode == Opcode::Sqrt) {
      Distance of = distance_[at(i).a];
      if (loosen_ == Loosen::PowersAndFunctions && of.units >= kFunctionUnits)
        of = factor(at(i).a, kMostRange);
      distance_[i] = {of.units / 2.0 + 3.0, 2.0 * std::sqrt(of.absolute), of.range / 2.0 + 1.0};
      return is_positive_[at(i).a] != 0;
    }
    if (loosen_ == Loosen::Powers) return false;
    if (at(i).opcode == Opcode::Mul || is_square(i)) {
      find_distance_of_product(at(i).a, is_square(i) ? at(i).a : at(i).b, i);
      return keep_[i] == 0;
    }
    if (is_reciprocal(i)) {
      tests_[at(i).a] = Test::Bounded;
      distance_[i] = {distance_[at(i).a].units + 4.0, 0.0, kBoundedRange};
      return true;
    }
    return at(i).opcode == Opcode::Exp && find_distance_of_exp(i);
  }

  // Each addition rounds both numbers, which is two units at most.
  bool find_distance_of_sum(Index i) {
    Distance sum{.range = 0.0};
    double terms = 0.0;
    bool positive = true;
    program_.for_each_operand(at(i), [&](Index operand) {
      const Distance& of = distance_[operand];
      sum.units = std::max(sum.units, of.units);
      sum.absolute += of.absolute;
      sum.range = std::max(sum.range, of.range);
      positive = positive && is_positive_[operand] != 0;
      ++terms;
    });
    distance_[i] = {sum.units + 2.0 * terms, sum.absolute, sum.range + terms};
    return positive || is_compared_with_zero(i);
  }

  // What is known of a factor, and of its size.
  Distance factor(Index i, double most_range) {
    Distance of = distance_[i];
    if (of.absolute == 0.0 && of.range <= most_range) return of;
    const Test test = of.absolute == 0.0 ? Test::BoundedOrZero : Test::Bounded;
    tests_[i] = std::max(tests_[i], test);
    // What is absolute is far below a unit of a number that is bounded.
    if (of.absolute != 0.0) of.units += 1.0;
    return {of.units, 0.0, kBoundedRange};
  }

  void find_distance_of_product(Index one, Index other, Index product) {
    const bool square = one == other;
    const Distance a = factor(one, square ? kMostRange / 2.0 : kMostRange - kBoundedRange);
    const Distance b = square ? a : factor(other, kMostRange - a.range);
    distance_[product] = {a.units + b.units + 4.0, 0.0, a.range + b.range};
  }

  // A result that is bounded has an operand of at most 100, so that n units of the operand are at
  // most 100 n units of the result.
  bool find_distance_of_exp(Index i) {
    const Distance of = distance_[at(i).a];
    tests_[i] = Test::Bounded;
    distance_[i] = {kFunctionUnits + 103.0 * of.units + 1.0, 0.0, kBoundedRange};
    return keep_[i] == 0 && of.absolute <= kSmallestBounded;
  }

  bool not_negative(Index i) const {
    switch (at(i).opcode) {
    case Opcode::Square:
    case Opcode::Abs:
    case Opcode::Exp:
    case Opcode::Exp2:
    case Opcode::Cosh:
    case Opcode::Sqrt:
      return true;
    case Opcode::Constant:
      return program_.constants[at(i).a] >= 0.0;
    case Opcode::Pow:
      return is_square(i) || is_root(i);
    case Opcode::Mul:
      return at(i).a == at(i).b || (is_positive_[at(i).a] != 0 && is_positive_[at(i).b] != 0);
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

  // Whether a sum of two numbers decides by its sign alone, which is exactly that of the comparison
  // of one with the other's negative.
  bool is_compared_with_zero(Index i) {
    if (at(i).opcode != Opcode::Add || loosen_ == Loosen::Powers) return false;
    if (is_number_.empty()) {
      is_number_.assign(program_.size(), 0);
      for (Index user = 0; user < program_.size(); ++user)
        if (cone_[user] != 0 &&
            !(is_comparison(at(user).opcode) && (is_zero(at(user).a) || is_zero(at(user).b))))
          program_.for_each_operand(at(user), [&](Index operand) { is_number_[operand] = 1; });
    }
    return is_number_[i] == 0;
  }

  static Order order_of(Opcode comparison, bool outcome) {
    if (comparison == Opcode::Equal) return outcome ? Order::Equal : Order::Apart;
    return outcome ? Order::Below : Order::Above;
  }
  static Order reversed(Order order) {
    if (order == Order::Below) return Order::Above;
    return order == Order::Above ? Order::Below : order;
  }

  // Has twice the margin that is needed, for the roundings of the test itself.
  Margin margin_of(Index guard) {
    const Instruction& condition = at(program_.guards[guard].condition);
    Order order = order_of(condition.opcode, program_.guards[guard].outcome);
    Index a = condition.a, b = condition.b;
    if (is_zero(a)) std::swap(a, b), order = reversed(order);
    const bool negated = is_zero(b) && is_compared_with_zero(a);
    if (negated) b = at(a).b, a = at(a).a;
    const Distance &of_a = distance_[a], &of_b = distance_[b];
    return {.a = a,
            .b = b,
            .relative = 2.0 * kUnit * std::max(of_a.units, of_b.units),
            .absolute = 2.0 * (of_a.absolute + of_b.absolute),
            .order = order,
            .negated = negated,
            .guard = guard};
  }

  ClearDecisions result() {
    ClearDecisions found;
    for (Index guard = 0; guard < program_.guards.size(); ++guard) {
      const Instruction& condition = at(program_.guards[guard].condition);
      if (!is_comparison(condition.opcode)) continue;
      if (distance_[condition.a].is_exact() && distance_[condition.b].is_exact()) continue;
      found.margins.push_back(margin_of(guard));
    }
    if (found.margins.empty()) return found;
    found.exact = select_outputs(program_, {});
    found.program = program_;
    found.loose.assign(program_.size(), 0);
    for (Index i = 0; i < program_.size(); ++i) {
      if (tests_[i] != Test::None) found.bounded.push_back({i, tests_[i] == Test::BoundedOrZero});
      if (distance_[i].is_exact()) continue;
      Instruction& to = found.program.instructions[i];
      if (is_square(i)) to.opcode = Opcode::Mul, to.b = to.a;
      if (is_root(i)) to.opcode = Opcode::PowerHalf, to.b = kNone; // inf at -inf, as ** 0.5 is
      if (is_function(i)) found.loose[i] = 1;
    }
    return found;
  }

  enum class Test : std::uint8_t { None, BoundedOrZero, Bounded };

  const Program& program_;
  const Loosen loosen_;
  const Marks cone_;
  Marks keep_;                     // must be exact
  std::vector<Distance> distance_; // 0 outside of the cone
  std::vector<Test> tests_;        // that the distances depend on
  Marks is_positive_;              // surely not negative
  // Empty until they are asked for:
  Marks users_;     // is an output or an operand
  Marks is_number_; // a decision depends on more than its sign
};

} // namespace

ClearDecisions clear_decisions(const Program& program, const Marks& varies, Loosen loosen) {
  return Finder(program, varies, loosen).run();
}

} // namespace arenagrad::program
