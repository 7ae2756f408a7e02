#include "derivative_rules.h"

#include <array>
#include <cmath>

#include "matrix_rules.h"

namespace arenagrad::program {

std::vector<Index> Site::operands() const {
  std::vector<Index> operands;
  program.for_each_operand(instruction(), [&](Index operand) { operands.push_back(operand); });
  return operands;
}

bool is_zero(Symbolic number) {
  const Builder& builder = Symbolic::builder();
  return builder.is_constant(number.index()) && builder.constant_of(number.index()) == 0.0;
}

namespace {

// Partials of partials in ir/opcodes.def, of more terms than a column of the table has room for.
Symbolic power_partial_by_base(Symbolic a, Symbolic b) {
  // By the exponent it has a derivative at 0, too, so no branch may say that it is 0 there.
  return Symbolic::emit(Opcode::MulNoNan, b, power_partial(a, b - 1.0));
}
Symbolic power_partial_by_exponent(Symbolic a, Symbolic b) {
  return pow(a, b - 1.0) + b * power_partial_b(a, b - 1.0, pow(a, b - 1.0));
}
Symbolic arctan2_partial_by_a(Symbolic a, Symbolic b) {
  return (arctan2_partial(b, a) - arctan2_partial(a, b)) *
         (arctan2_partial(b, a) + arctan2_partial(a, b));
}
Symbolic silu_partial_by_a(Symbolic a) {
  return sigmoid(a) * sigmoid(-a) * (2.0 + a * (sigmoid(-a) - sigmoid(a)));
}
Symbolic gelu_partial_by_a(Symbolic a) {
  return core::kOneOverRootTwoPi * exp_minus_square(a, 0.5) * (2.0 - a * a);
}

// By x at 0, where the quotient of the usual rule would be one by 0, the shapes are those of the
// terms of the product rule.
Symbolic gamma_density_by_x(Symbolic a, Symbolic x, Symbolic y) {
  return select(x == 0.0, gamma_density(a - 1.0, x) - y, y * ((a - 1.0) / x - 1.0));
}
Symbolic beta_density_by_x(Symbolic a, Symbolic b, Symbolic x, Symbolic y) {
  const Symbolic at_end =
      (a + b - 1.0) * (beta_density(a - 1.0, b, x) - beta_density(a, b - 1.0, x));
  return select(x * (1.0 - x) == 0.0, at_end, y * ((a - 1.0) / x - (b - 1.0) / (1.0 - x)));
}
// y times the logarithm of what the shape is an exponent of, less the derivative of the logarithm
// of the scale; nan, not 0, at the shapes that only the rules above make, where the scale is 0.
Symbolic by_shape(Symbolic logarithm, Symbolic scale, Symbolic y) {
  return select(scale == scale, y * (logarithm - scale), scale);
}
Symbolic gamma_density_by_shape(Symbolic a, Symbolic x, Symbolic y) {
  return by_shape(log(x), digamma(a), y);
}
Symbolic beta_density_by_shape(Symbolic a, Symbolic other, Symbolic logarithm, Symbolic y) {
  return by_shape(logarithm, digamma(a) - digamma(a + other), y);
}

using OperandPartials = std::array<Symbolic, 3>;

// dy/da, dy/db, dy/dc of an instruction of at most three operands.
OperandPartials partials(Opcode opcode, Symbolic a, Symbolic b, Symbolic c, Symbolic y) {
  using namespace core;
  if (is_table_opcode(opcode)) {
    const PartialsOf<Symbolic> d = core::partials<Symbolic>(op_of(opcode), a, b, y);
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

// Whether an opcode stands in programs of derivatives alone, with operands that can be infinite.
bool is_of_derivatives(Opcode opcode) {
  return !is_table_opcode(opcode) && is_no_nan(opcode) && opcode != Opcode::PowerHalf;
}

// Where a pullback puts its terms.
class Target {
public:
  Target(Adjoints& adjoints, const Site& site)
      : adjoints_(adjoints),
        // An adjoint that does not vary counts once a row in a sum over the rows.
        varies_(adjoints.varies(site.i) || site.instruction().opcode == Opcode::RowSum),
        may_be_infinite_(adjoints.may_be_infinite(site.i) ||
                         is_of_derivatives(site.instruction().opcode)) {}

  void add(Index operand, Symbolic term) {
    adjoints_.accumulate(operand, term, varies_);
    if (may_be_infinite_) adjoints_.set_may_be_infinite(operand);
  }
  void add_to_result(Index matrices, Index which, Symbolic term) {
    adjoints_.accumulate_result(matrices, which, term);
    if (may_be_infinite_) adjoints_.set_may_be_infinite(matrices);
  }
  // Writes a term only for an operand whose adjoint is wanted.
  template <class Term> void add_if_active(Index operand, Term&& term) {
    if (adjoints_.is_active(operand)) add(operand, term());
  }

private:
  Adjoints& adjoints_;
  const bool varies_, may_be_infinite_;
};

// The tangents of all instructions so far, and the sum of terms that is to be the next one.
class TangentSum {
public:
  explicit TangentSum(const Tangents& tangents) : tangents_(tangents) {}

  bool moves(Index operand) const { return tangents_.of[operand] != kNone; }
  Symbolic of(Index operand) const { return Symbolic::of(tangents_.of[operand]); }
  Symbolic or_zero(Index operand) const { return moves(operand) ? of(operand) : Symbolic(0.0); }

  // Adds a term, written only if the operand moves.
  template <class Term> void add_if_moving(Index operand, Term&& term) {
    if (!moves(operand)) return;
    const Symbolic::NoNan no_nan(Symbolic::no_nan() || tangents_.may_be_infinite[operand] != 0);
    const Symbolic written = term();
    sum_ = sum_ == kNone ? written.index() : (Symbolic::of(sum_) + written).index();
  }
  Index sum() const { return sum_; }
  // Of an element of matrices that move.
  Index of_result(Index matrices, Index which) const {
    return tangents_.of_results.at(matrices)[which];
  }
  // Whether a partial of a moving operand, by which the sum was made, can be infinite.
  bool meets_infinity = false;

private:
  const Tangents& tangents_;
  Index sum_ = kNone;
};

// softmax of the operands: the partials of the logarithm of the sum of their exponentials.
std::vector<Symbolic> softmax(const Site& site, const std::vector<Index>& operands) {
  Builder& builder = Symbolic::builder();
  std::vector<Index> x, terms{builder.constant(0.0)};
  for (const Index operand : operands) x.push_back(site.value(operand).index());
  const Symbolic largest = Symbolic::of(builder.emit_many(Opcode::MaxShift, x));
  for (const Index one : x) terms.push_back(shifted_exp(Symbolic::of(one), largest).index());
  const Symbolic total = Symbolic::of(builder.emit_many(Opcode::SumN, terms));
  std::vector<Symbolic> softmax;
  softmax.reserve(operands.size());
  for (std::size_t k = 0; k < operands.size(); ++k)
    softmax.push_back(Symbolic::of(terms[k + 1]) / total);
  return softmax;
}

// The two rules of an opcode of many operands. One that is missing does not compile.
template <Opcode> struct NaryRule;

template <> struct NaryRule<Opcode::SumN> {
  static void pullback(const Site& site, Symbolic g, Target& target) {
    for (const Index x : site.operands()) target.add(x, g);
  }
  static Index pushforward(const Site& site, TangentSum& tangents) {
    for (const Index x : site.operands()) tangents.add_if_moving(x, [&] { return tangents.of(x); });
    return tangents.sum();
  }
};

template <> struct NaryRule<Opcode::DotN> {
  static void pullback(const Site& site, Symbolic g, Target& target) {
    const auto dot = site.program.dot(site.instruction());
    if (dot.has_start()) target.add(*dot.start, g);
    for (std::size_t k = 0; k < dot.terms; ++k) {
      const Index w = dot.w[k], x = dot.x[k];
      target.add_if_active(w, [&] { return site.value(x) * g; });
      target.add_if_active(x, [&] { return site.value(w) * g; });
    }
  }
  static Index pushforward(const Site& site, TangentSum& tangents) {
    const auto dot = site.program.dot(site.instruction());
    if (dot.has_start())
      tangents.add_if_moving(*dot.start, [&] { return tangents.of(*dot.start); });
    for (std::size_t k = 0; k < dot.terms; ++k) {
      const Index w = dot.w[k], x = dot.x[k];
      tangents.add_if_moving(w, [&] { return tangents.of(w) * site.value(x); });
      tangents.add_if_moving(x, [&] { return tangents.of(x) * site.value(w); });
    }
    return tangents.sum();
  }
};

template <> struct NaryRule<Opcode::NormN> {
  // Where all are 0, eager sweeps pass on nothing, not even the nan of 0 times an infinite adjoint.
  static void pullback(const Site& site, Symbolic g, Target& target) {
    const Symbolic passed_on = select(site.result() == 0.0, 0.0, g);
    for (const Index x : site.operands())
      target.add_if_active(x,
                           [&] { return hypot_partial(site.value(x), site.result()) * passed_on; });
  }
  static Index pushforward(const Site& site, TangentSum& tangents) {
    const Symbolic is_flat = site.result() == 0.0;
    for (const Index x : site.operands())
      tangents.add_if_moving(x, [&] {
        return hypot_partial(site.value(x), site.result()) * select(is_flat, 0.0, tangents.of(x));
      });
    return tangents.sum();
  }
};

template <> struct NaryRule<Opcode::MaxShift> { // flat for all that uses it, see ir/opcodes.def
  static void pullback(const Site& /*site*/, Symbolic /*g*/, Target& /*target*/) {}
  static Index pushforward(const Site& /*site*/, TangentSum& /*tangents*/) { return kNone; }
};

// Of the largest, each that ties has one share; all partials are nan where the result is.
struct SharesOfLargest {
  Symbolic y, count, others;

  SharesOfLargest(const Site& site, const std::vector<Index>& x)
      : y(site.result()), count(ties(site, x)), others(select(y == y, 0.0, y)) {}

  Symbolic of(Symbolic x, Symbolic amount) const { return select(x == y, amount / count, others); }

private:
  static Symbolic ties(const Site& site, const std::vector<Index>& x) {
    std::vector<Index> are{Symbolic(0.0).index()};
    for (const Index one : x) are.push_back((site.value(one) == site.result()).index());
    return Symbolic::of(Symbolic::builder().emit_many(Opcode::SumN, are));
  }
};

template <> struct NaryRule<Opcode::MaxN> {
  static void pullback(const Site& site, Symbolic g, Target& target) {
    const std::vector<Index> x = site.operands();
    const SharesOfLargest shares(site, x);
    for (const Index one : x)
      target.add_if_active(one, [&] { return shares.of(site.value(one), g); });
  }
  static Index pushforward(const Site& site, TangentSum& tangents) {
    const std::vector<Index> x = site.operands();
    const SharesOfLargest shares(site, x);
    for (const Index one : x)
      tangents.add_if_moving(one, [&] { return shares.of(site.value(one), tangents.of(one)); });
    return tangents.sum();
  }
};

template <> struct NaryRule<Opcode::LogSumExpShifted> {
  static void pullback(const Site& site, Symbolic g, Target& target) {
    const std::vector<Index> x = site.operands();
    const std::vector<Symbolic> weights = softmax(site, x);
    for (std::size_t k = 0; k < x.size(); ++k)
      target.add_if_active(x[k], [&] { return weights[k] * g; });
  }
  static Index pushforward(const Site& site, TangentSum& tangents) {
    const std::vector<Index> x = site.operands();
    const std::vector<Symbolic> weights = softmax(site, x);
    for (std::size_t k = 0; k < x.size(); ++k)
      tangents.add_if_moving(x[k], [&] { return weights[k] * tangents.of(x[k]); });
    return tangents.sum();
  }
};

template <> struct NaryRule<Opcode::Take> {
  static void pullback(const Site& site, Symbolic g, Target& target) {
    const std::vector<Index> x = site.operands();
    for (std::size_t k = 1; k < x.size(); ++k)
      target.add_if_active(
          x[k], [&] { return select(site.value(x[0]) == static_cast<double>(k - 1), g, 0.0); });
  }
  static Index pushforward(const Site& site, TangentSum& tangents) {
    const std::vector<Index> x = site.operands();
    std::vector<Index> taken{site.value(x[0]).index()};
    for (std::size_t k = 1; k < x.size(); ++k) taken.push_back(tangents.or_zero(x[k]).index());
    return Symbolic::builder().emit_many(Opcode::Take, taken);
  }
};

// A partial may be what is not finite at finite operands, so 0 times it is 0.
template <> struct NaryRule<Opcode::WithPartials> {
  static void pullback(const Site& site, Symbolic g, Target& target) {
    const Symbolic::NoNan no_nan(true);
    const auto of = site.program.dot(site.instruction());
    for (std::size_t k = 0; k < of.terms; ++k)
      target.add_if_active(of.w[k], [&] { return site.value(of.x[k]) * g; });
  }
  static Index pushforward(const Site& site, TangentSum& tangents) {
    const Symbolic::NoNan no_nan(true);
    const auto of = site.program.dot(site.instruction());
    for (std::size_t k = 0; k < of.terms; ++k)
      tangents.add_if_moving(of.w[k], [&] { return site.value(of.x[k]) * tangents.of(of.w[k]); });
    return tangents.sum();
  }
};

// The rule of a callback: another, of the operands and an adjoint for each result.
CallbackPointer pullback_of(const Callback& callback) {
  if (CallbackPointer pullback = callback.pullback()) return pullback;
  throw NoDerivative("there is no derivative of " + callback.name() +
                     ": give pure_callback() a rule by vjp=, or write the function with "
                     "custom_vjp where a rule has to be differentiated itself");
}

// What result number k of the rule gives, for these adjoints of the results.
Symbolic pulled_back(const Site& site, const CallbackPointer& pullback,
                     const std::vector<Index>& result_adjoints, std::size_t k) {
  std::vector<Index> operands;
  for (const Index operand : site.program.call_operands(site.instruction()))
    operands.push_back(site.place[operand]);
  for (const Index adjoint : result_adjoints)
    operands.push_back(adjoint == kNone ? Symbolic(0.0).index() : adjoint);
  return Symbolic::of(Symbolic::builder().emit_call(pullback, k, operands));
}

// Calls visit(number, operand) for each operand of a call.
template <class Visit> void for_each_call_operand(const Site& site, Visit&& visit) {
  const auto operands = site.program.call_operands(site.instruction());
  for (std::size_t k = 0; k < operands.size(); ++k) visit(k, operands[k]);
}

// Backwards a call is one step for all its results: pullback_of_call. Forwards, each result has the
// partials that the rule gives for an adjoint of 1.
template <> struct NaryRule<Opcode::Callback> {
  static void pullback(const Site& /*site*/, Symbolic /*g*/, Target& /*target*/) {
    throw std::logic_error("the results of a call are swept together");
  }
  static Index pushforward(const Site& site, TangentSum& tangents) {
    const Callback& callback = site.program.callback(site.instruction());
    const CallbackPointer rule = pullback_of(callback);
    std::vector<Index> unit(callback.results(), kNone);
    unit[site.program.result_number(site.instruction())] = Symbolic(1.0).index();
    const Symbolic::NoNan no_nan(true);
    for_each_call_operand(site, [&](std::size_t k, Index operand) {
      tangents.add_if_moving(
          operand, [&] { return pulled_back(site, rule, unit, k) * tangents.of(operand); });
    });
    return tangents.sum();
  }
};

// Of an instruction of at most three operands, the partials; `unused` fills in for operands that
// the opcode does not have, whose partials are not asked for.
OperandPartials partials_at(const Site& site, Symbolic unused) {
  const Instruction& at = site.instruction();
  const auto value = [&](Index o) { return o == kNone ? unused : site.value(o); };
  return partials(at.opcode, value(at.a), value(at.b), value(at.c), site.result());
}

// Whether 0 times what is not finite is 0 in the derivatives of the instruction. Of a Pow they are
// all finite, where the result is, if the exponent is one of 0, 1, 2, ...
bool is_no_nan_at(const Site& site) {
  const Instruction& at = site.instruction();
  if (at.opcode != Opcode::Pow) return is_no_nan(at.opcode);
  const Builder& builder = Symbolic::builder();
  const Index exponent = site.value(at.b).index();
  if (!builder.is_constant(exponent)) return true;
  const double b = builder.constant_of(exponent);
  return b < 0.0 || b != std::floor(b);
}

// Whether an instruction is a power of a strict program whose rule may fail: its adjoints raise
// where those of the graph do. Its tangents do not, since they cannot tell what an output is made
// of: write_checks_of_sweeps does that for them.
bool is_strict_power(const Site& site) {
  const Instruction& at = site.instruction();
  if (at.opcode != Opcode::Pow || Symbolic::builder().passes().reorder) return false;
  return is_no_nan_at(site) || is_zero(site.value(at.b));
}

// The partial of such a power, asked for by an adjoint.
Symbolic strict_partial(const Site& site, Symbolic g) {
  const Instruction& at = site.instruction();
  const Index a = site.value(at.a).index(), b = site.value(at.b).index();
  return Symbolic::of(Symbolic::builder().emit(Opcode::StrictPartial, a, b, g.index(), true));
}

// The eager rule of a Pow is micrograd's arithmetic, but for an adjoint that is 0.
Symbolic strict_term_of_power(Symbolic partial, Symbolic g) {
  const Symbolic no_nan = Symbolic::emit(Opcode::MulNoNan, partial, g);
  return select(g == 0.0, no_nan, Symbolic::emit(Opcode::Mul, partial, g));
}

// Whether a partial of the constant 0 adds nothing, whatever the adjoint is. A product of the
// function's own with a literal 0 has such a partial, and in the graph 0 times an infinite adjoint
// is nan.
bool adds_nothing(const Site& site, Symbolic partial) {
  const bool may_be_nan =
      site.instruction().opcode == Opcode::Mul && !Symbolic::builder().passes().reorder;
  return is_zero(partial) && !may_be_nan;
}

// What stands for a partial of y that nobody has, times an adjoint or a tangent. It refuses that
// unless it is 0; dropped where nothing needs it, as behind stop_gradient().
Symbolic no_partial(Symbolic which, Symbolic g, Symbolic y) {
  return Symbolic::checked(Opcode::NoPartial, g, which, y);
}

// Calls visit(operand, term) for each operand by which nobody has the partial: term(g) is what
// stands for it times g. A NoPartial is linear in its a, and depends on what y does.
template <class Visit> void visit_no_partials(const Site& site, Visit&& visit) {
  const Instruction& at = site.instruction();
  if (at.opcode == Opcode::Gammainc || at.opcode == Opcode::Betainc) {
    const bool is_gamma = at.opcode == Opcode::Gammainc;
    const auto which = is_gamma ? core::Shaped::Gammainc : core::Shaped::Betainc;
    const auto term = [&](Symbolic g) {
      return no_partial(static_cast<double>(which), g, site.result());
    };
    visit(at.a, term);
    if (!is_gamma) visit(at.b, term);
  } else if (at.opcode == Opcode::NoPartial) {
    const Symbolic which = site.value(at.b);
    visit(at.a, [&](Symbolic g) { return no_partial(which, g, site.value(at.c)); });
    visit(at.c, [&](Symbolic g) {
      const Symbolic both = Symbolic::emit(Opcode::MulNoNan, g, site.value(at.a));
      return no_partial(which, both, site.value(at.c));
    });
  }
}

void pullback_by_partials(const Site& site, Symbolic g, Target& target) {
  const Instruction& at = site.instruction();
  const Index operands[] = {at.a, at.b, at.c};
  const Symbolic::NoNan no_nan(Symbolic::no_nan() || is_no_nan_at(site));
  if (is_strict_power(site))
    return target.add_if_active(at.a,
                                [&] { return strict_term_of_power(strict_partial(site, g), g); });
  visit_no_partials(site, [&](Index operand, auto&& term) {
    target.add_if_active(operand, [&] { return term(g); });
  });
  const OperandPartials d = partials_at(site, g);
  for (std::size_t k = 0; k < operand_count(at.opcode); ++k)
    if (!adds_nothing(site, d[k])) target.add_if_active(operands[k], [&] { return d[k] * g; });
}

// g / b spares a product beside the partial 1 / b. Where the quotient is checked it is the
// function's own, with a divisor that may be next to 0; the others are shares of sums, and sums
// over counts.
void pullback_of_quotient(const Site& site, Symbolic g, Target& target) {
  const Instruction& at = site.instruction();
  target.add_if_active(at.a, [&] { return g / site.value(at.b); });
  const Symbolic::NoNan no_nan(Symbolic::no_nan() || at.checked);
  target.add_if_active(at.b, [&] { return -site.result() / site.value(at.b) * g; });
}

// Whether the partial of a row with no_nan may be infinite: not if the row only selects.
bool may_be_infinite(Symbolic partial) {
  const Builder& builder = Symbolic::builder();
  if (builder.is_constant(partial.index())) return false;
  switch (builder.at(partial.index()).opcode) {
  case Opcode::Select:
  case Opcode::Wins:
  case Opcode::Sign:
  case Opcode::HypotPartial:
    return false;
  default:
    return true;
  }
}

Index pushforward_by_partials(const Site& site, TangentSum& tangents) {
  const Instruction& at = site.instruction();
  const Index operands[] = {at.a, at.b, at.c};
  const Symbolic::NoNan no_nan(is_no_nan_at(site) || (at.opcode == Opcode::Divide && at.checked));
  const OperandPartials d = partials_at(site, site.result());
  visit_no_partials(site, [&](Index operand, auto&& term) {
    tangents.add_if_moving(operand, [&] { return term(tangents.of(operand)); });
  });
  for (std::size_t k = 0; k < operand_count(at.opcode); ++k) {
    if (is_zero(d[k]) || !tangents.moves(operands[k])) continue;
    tangents.meets_infinity |= Symbolic::no_nan() && may_be_infinite(d[k]);
    tangents.add_if_moving(operands[k], [&] { return d[k] * tangents.of(operands[k]); });
  }
  return tangents.sum();
}

Index tangent_of(const Site& site, TangentSum& tangents) {
  const Instruction& at = site.instruction();
  switch (at.opcode) {
#define ARENAGRAD_NARY_OPCODE(Id, ...)                                                             \
  case Opcode::Id:                                                                                 \
    return NaryRule<Opcode::Id>::pushforward(site, tangents);
#include "program/ir/opcodes.def"
  case Opcode::RowSum:
    return Symbolic::emit(Opcode::RowSum, tangents.of(at.a)).index();
  case Opcode::Element:
    return tangents.of_result(at.a, at.b);
  case Opcode::Select:
    if (!tangents.moves(at.b) && !tangents.moves(at.c)) return kNone;
    return select(site.value(at.a), tangents.or_zero(at.b), tangents.or_zero(at.c)).index();
  default:
    return pushforward_by_partials(site, tangents);
  }
}

} // namespace

void pullback(const Site& site, Symbolic g, Adjoints& adjoints) {
  const Instruction& at = site.instruction();
  if (is_matrix(at.opcode)) return pullback_of_matrices(site, adjoints);
  Target target(adjoints, site);
  const Symbolic::NoNan no_nan(adjoints.may_be_infinite(site.i));
  switch (at.opcode) {
#define ARENAGRAD_NARY_OPCODE(Id, ...)                                                             \
  case Opcode::Id:                                                                                 \
    return NaryRule<Opcode::Id>::pullback(site, g, target);
#include "program/ir/opcodes.def"
  case Opcode::RowSum:
    return target.add(at.a, g);
  case Opcode::Element:
    if (is_flat(site.program.instructions[at.a].opcode)) return;
    return target.add_to_result(at.a, at.b, g);
  case Opcode::Select: // a selection rather than a product: 0 times an infinite g is not 0
    target.add_if_active(at.b, [&] { return select(site.value(at.a), g, 0.0); });
    return target.add_if_active(at.c, [&] { return select(site.value(at.a), 0.0, g); });
  case Opcode::Divide:
    return pullback_of_quotient(site, g, target);
  default:
    return pullback_by_partials(site, g, target);
  }
}

void pullback_of_call(const Site& site, const std::vector<Index>& result_adjoints,
                      Adjoints& adjoints) {
  bool is_active = false;
  for_each_call_operand(
      site, [&](std::size_t, Index operand) { is_active |= adjoints.is_active(operand); });
  if (!is_active) return;
  const CallbackPointer rule = pullback_of(site.program.callback(site.instruction()));
  Target target(adjoints, site);
  for_each_call_operand(site, [&](std::size_t k, Index operand) {
    target.add_if_active(operand, [&] { return pulled_back(site, rule, result_adjoints, k); });
  });
}

void pushforward(const Site& site, Tangents& all) {
  TangentSum tangents(all);
  bool moves = false, may_be_infinite = false;
  site.program.for_each_operand(site.instruction(), [&](Index o) {
    moves = moves || tangents.moves(o);
    may_be_infinite = may_be_infinite || all.may_be_infinite[o] != 0;
  });
  if (!moves) return;
  if (is_matrix(site.instruction().opcode))
    pushforward_of_matrices(site, all);
  else
    all.of[site.i] = tangent_of(site, tangents);
  all.may_be_infinite[site.i] = may_be_infinite || tangents.meets_infinity ? 1 : 0;
}

} // namespace arenagrad::program
