#include "sweeps.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace arenagrad::program {
namespace {

Marks varying_in(const Program& program, const Wanted& wanted) {
  return wanted.varies.empty() ? Marks(program.size(), 0) : varying(program, wanted.varies);
}

bool is_reverse_rule(const Instruction& at) { return at.opcode == Opcode::Callback; }

bool is_any_reverse_rule(const Program& program) {
  return !program.callbacks.empty() && std::ranges::any_of(program.instructions, is_reverse_rule);
}

// What the differentiated outputs are computed from.
Marks useful_in(const Program& program, const Wanted& wanted) {
  Marks useful(program.size(), 0);
  for (std::size_t k = 0; k < wanted.differentiated(program); ++k) useful[program.outputs[k]] = 1;
  for_each_marked_downwards(program, useful, program.size(), [](Index) { return true; });
  return useful;
}

bool any_moves(const Program& program, Index i, const Tangents& tangents) {
  bool moves = false;
  program.for_each_operand(program.instructions[i],
                           [&](Index operand) { moves |= tangents.of[operand] != kNone; });
  return moves;
}

} // namespace

Marks active_in(const Program& program, const std::vector<Index>& inputs) {
  Marks active(program.size(), 0);
  for (const Index input : inputs) active[input] = 1;
  for (Index i = 0; i < program.size(); ++i) {
    const Instruction& at = program.instructions[i];
    if (at.opcode == Opcode::WithPartials) {
      const DotView of = program.dot(at);
      for (std::size_t k = 0; k < of.terms; ++k) active[i] |= active[of.w[k]];
    } else {
      program.for_each_operand(at, [&](Index operand) { active[i] |= active[operand]; });
    }
  }
  return active;
}

bool has_reverse_rules(const Program& program, const Wanted& wanted) {
  if (!is_any_reverse_rule(program)) return false;
  const Marks active = active_in(program, wanted.inputs), useful = useful_in(program, wanted);
  for (Index i = 0; i < program.size(); ++i)
    if (active[i] != 0 && useful[i] != 0 && is_reverse_rule(program.instructions[i])) return true;
  return false;
}

ReverseSweep::ReverseSweep(const Program& program, const Wanted& wanted, DerivativeWriter& writer)
    : program_(program), writer_(writer),
      adjoints_(active_in(program, wanted.inputs), varying_in(program, wanted)) {
  if (!program.callbacks.empty()) find_calls();
}

void ReverseSweep::find_calls() {
  std::map<std::tuple<std::size_t, Index, Index>, Index> first;
  for (Index i = 0; i < program_.size(); ++i) {
    const Instruction& at = program_.instructions[i];
    if (at.opcode != Opcode::Callback) continue;
    // A list of operands is kept once.
    first_results_[i] =
        first.try_emplace({program_.callback_number(at), at.b, at.c}, i).first->second;
  }
}

// Takes the adjoint of a result to where its call is swept.
void ReverseSweep::leave(Index result) {
  const Instruction& at = program_.instructions[result];
  std::vector<Index>& met = met_[first_results_.at(result)];
  met.resize(program_.callback(at).results(), kNone);
  Index& adjoint = met[program_.result_number(at)];
  const Symbolic total = adjoints_.total(result);
  adjoint = adjoint == kNone ? total.index() : (Symbolic::of(adjoint) + total).index();
  adjoints_.clear(result);
}

void ReverseSweep::sweep_call(Index first) {
  const auto met = met_.find(first);
  if (met == met_.end()) return;
  pullback_of_call(writer_.site(first), met->second, adjoints_);
  met_.erase(met);
}

void ReverseSweep::seed(Index output, Symbolic cotangent) {
  adjoints_.accumulate(output, cotangent, adjoints_.varies(output));
  top_ = std::max(top_, output);
}

void ReverseSweep::run() {
  for (std::size_t k = std::size_t{top_} + 1; k-- > 0;) {
    const auto i = static_cast<Index>(k);
    if (program_.instructions[i].opcode == Opcode::Callback) {
      if (adjoints_.has_terms(i)) leave(i);
      sweep_call(i);
      continue;
    }
    if (!adjoints_.has_terms(i) || program_.instructions[i].opcode == Opcode::Input) continue;
    pullback(writer_.site(i), adjoints_.total(i), adjoints_);
    adjoints_.clear(i);
  }
  top_ = 0;
}

void ReverseSweep::clear(const std::vector<Index>& inputs) {
  for (const Index input : inputs) adjoints_.clear(input);
  adjoints_.clear_terms();
}

std::vector<Index> sweep_forward(const Program& program, const Wanted& wanted,
                                 DerivativeWriter& writer, std::vector<Index> of_inputs,
                                 ReverseRules rules) {
  Tangents tangents{std::move(of_inputs), Marks(program.size(), 0)};
  const bool any_rule = is_any_reverse_rule(program);
  const Marks useful = any_rule ? useful_in(program, wanted) : Marks();
  for (Index i = 0; i < program.size(); ++i) {
    if (program.instructions[i].opcode <= Opcode::Input) continue;
    if (any_rule && is_reverse_rule(program.instructions[i])) {
      if (useful[i] == 0) continue;
      if (rules == ReverseRules::Refused && any_moves(program, i, tangents))
        throw NoDerivative("pure_callback() has rules for reverse derivatives alone, so jvp, "
                           "jacfwd and hvp do not go through it: use vjp, grad, jacrev or "
                           "hessian");
    }
    pushforward(writer.site(i), tangents);
  }
  return std::move(tangents.of);
}

void write_checks_of_sweeps(const Program& program, const Wanted& wanted, DerivativeWriter& writer,
                            const Passes& passes) {
  const auto has = [&](Opcode opcode) {
    return std::ranges::any_of(program.instructions,
                               [&](const Instruction& at) { return at.opcode == opcode; });
  };
  if (passes.reorder || !has(Opcode::Pow) || has(Opcode::StrictPartial)) return;
  ReverseSweep sweep(program, wanted, writer);
  for (const Index output : program.outputs) {
    sweep.seed(output, Symbolic(1.0));
    sweep.run();
    sweep.clear(wanted.inputs);
  }
}

} // namespace arenagrad::program
