#include "schedule.h"

#include <algorithm>
#include <new>
#include <stdexcept>
#include <unordered_map>

#include "matrix_groups.h"
#include "program/ir/analysis.h"
#include "row_sums.h"

namespace arenagrad::program {

ValueFacts::ValueFacts(const Program& program, const std::vector<std::uint8_t>& inputs)
    : varies(varying(program, inputs)), needed(program::needed(program)),
      after_reduction(program.size(), 0), absorbed(program.size(), 0),
      uses(count_uses(program, &needed)), ready(program.size()), location(program.size()) {
  for (Index i = 0; i < program.size(); ++i) {
    after_reduction[i] = program.instructions[i].opcode == Opcode::RowSum;
    ready[i] = i;
    if (varies[i] != 0) location[i] = Location::value(i);
  }
  mark_dependents(program, after_reduction);
}

namespace {

template <class Array> Index size_of(const Array& array) {
  return static_cast<Index>(array.size());
}

// Sorts the instructions of a program into the steps of a Schedule, whose rows still name values
// by their instructions.
class Scheduler {
public:
  Scheduler(const Program& program, const std::vector<std::uint8_t>& inputs, bool strict,
            const ClearDecisions& clear)
      : program_(program), clear_(clear), strict_(strict),
        cone_(strict ? Marks() : decision_cone(program)), facts_(program, inputs),
        sums_(program, facts_, strict), partial_(program.size(), kNone),
        checked_by_bounds_(clear.bounded.empty() ? 0 : program.size(), 0) {
    for (Index i = 0; i < clear.loose.size(); ++i)
      if (clear.loose[i] != 0) cone_[i] = 0;
    for (const Bounded& bounded : clear.bounded)
      if (facts_.varies[bounded.value] != 0)
        checked_by_bounds_[bounded.value] = program.instructions[bounded.value].checked;
  }

  Schedule run() {
    for (Index i = 0; i < program_.size(); ++i)
      if (facts_.after_reduction[i] != 0 && varies_if_needed(i))
        throw std::invalid_argument("a value that varies depends on a sum over the rows");
    if (!strict_) find_partials();
    find_elements();
    find_layers();
    find_comparisons();
    out_.input_count = program_.input_count;
    for (Index i = 0; i < program_.size(); ++i)
      if (facts_.needed[i] != 0 && facts_.varies[i] == 0) add_uniform(i);
    add_uniform_results();
    std::vector<Sink> sinks = sums_.finish(out_);
    add_results(sinks);
    add_rows(std::move(sinks));
    return std::move(out_);
  }

private:
  bool varies_if_needed(Index i) const { return facts_.needed[i] != 0 && facts_.varies[i] != 0; }

  bool is_exact(Index i) const { return strict_ || is_marked(cone_, i); }
  bool is_checked(Index i) const {
    return program_.instructions[i].checked && !is_marked(checked_by_bounds_, i);
  }

  // Partials of tanh that are computed in one step with it, if they are those at its own operand. A
  // strict plan keeps them apart, as any plan does a tanh of a decision: the C library has no
  // function for both.
  void find_partials() {
    for (Index i = 0; i < program_.size(); ++i) {
      const Instruction& at = program_.instructions[i];
      if (at.opcode != Opcode::TanhPartial || !varies_if_needed(i) || at.checked) continue;
      const Instruction& tanh = program_.instructions[at.b];
      if (tanh.opcode != Opcode::Tanh || tanh.a != at.a || partial_[at.b] != kNone) continue;
      if (is_exact(at.b)) continue;
      partial_[at.b] = i;
      facts_.absorbed[i] = 1;
      facts_.ready[i] = at.b;
    }
  }

  // The results of matrices that vary are written by the step of the matrices.
  void find_elements() {
    for (Index i = 0; i < program_.size(); ++i) {
      const Instruction& at = program_.instructions[i];
      if (at.opcode != Opcode::Element || !varies_if_needed(i)) continue;
      elements_[at.a].push_back(i);
      facts_.absorbed[i] = 1;
      facts_.ready[i] = at.a;
    }
  }

  MatricesStep matrices_step(Index i) {
    const Instruction& at = program_.instructions[i];
    Matrices matrices{
        matrix_shape(program_, at), size_of(out_.operands), size_of(out_.vectors), {}};
    for (std::size_t k = 0; k < matrices.shape.operands(); ++k)
      out_.operands.push_back(facts_.location[program_.lists[at.c + k]]);
    for (const Index element : elements_[i]) {
      out_.vectors.push_back(facts_.location[element]);
      matrices.needed.push_back(program_.instructions[element].b);
    }
    out_.matrix_scratch =
        std::max(out_.matrix_scratch, matrices.shape.scratch() + matrices.shape.results());
    out_.matrices.push_back(std::move(matrices));
    return {
        .checked = is_checked(i), .y = facts_.location[i], .matrices = size_of(out_.matrices) - 1};
  }

  // Dot products of the same vectors are computed in one step, that of the first of them. Its
  // operands are there by then, since all of them have the same vectors and the other factors are
  // uniforms. A checked one keeps a step of its own, because a layer does not check.
  void find_layers() {
    std::vector<std::uint8_t> candidates(program_.size());
    for (Index i = 0; i < program_.size(); ++i)
      candidates[i] = varies_if_needed(i) && !program_.instructions[i].checked;
    layers_ = find_dense_layers(program_, facts_.varies, candidates, cone_);
    for (const DenseLayer& layer : layers_)
      for (const Index i : layer.results) {
        facts_.ready[i] = layer.results[0];
        facts_.absorbed[i] = i != layer.results[0];
      }
  }

  // A comparison that only guards ask for is no number of its own.
  void find_comparisons() {
    std::vector<Index> guards(program_.size(), 0);
    for (const Guard& guard : program_.guards) ++guards[guard.condition];
    for (Index i = 0; i < program_.size(); ++i) {
      if (guards[i] == 0 || !is_comparison(program_.instructions[i].opcode)) continue;
      if (facts_.varies[i] != 0 && guards[i] == facts_.uses[i]) facts_.absorbed[i] = 1;
    }
    for (const Guard& guard : program_.guards)
      if (const Index failure = failure_ruled_out(guard); failure != kNone)
        facts_.absorbed[failure] = 1;
  }

  // The Failure that a guard, which nothing else asks for, says to be None; kNone if it does not.
  Index failure_ruled_out(const Guard& guard) const {
    const Instruction& condition = program_.instructions[guard.condition];
    if (facts_.absorbed[guard.condition] == 0 || condition.opcode != Opcode::Equal ||
        !guard.outcome)
      return kNone;
    for (const auto& [failure, kind] :
         {std::pair(condition.a, condition.b), std::pair(condition.b, condition.a)}) {
      const Instruction &at = program_.instructions[failure], &none = program_.instructions[kind];
      if (at.opcode == Opcode::Failure && facts_.uses[failure] == 1 &&
          program_.instructions[at.a].opcode == Opcode::Constant &&
          none.opcode == Opcode::Constant && program_.constants[none.a] == 0.0)
        return failure;
    }
    return kNone;
  }

  // The uniforms of a layer are listed result by result, as its kernel reads them.
  DenseLayerStep layer_step(const DenseLayer& layer) {
    const DenseLayerStep step{.exact = is_exact(layer.results[0]),
                              .first = size_of(out_.vectors),
                              .results = size_of(layer.results),
                              .terms = size_of(layer.x),
                              .weights = size_of(out_.weights)};
    const auto& location = facts_.location;
    for (const Index i : layer.results) {
      const DotView dot = program_.dot(program_.instructions[i]);
      out_.weights.push_back(dot.has_start() ? location[*dot.start].index() : kNone);
      for (std::size_t k = 0; k < dot.terms; ++k)
        out_.weights.push_back(
            location[facts_.varies[dot.w[k]] != 0 ? dot.x[k] : dot.w[k]].index());
      out_.vectors.push_back(location[i]);
    }
    for (const Index x : layer.x) out_.vectors.push_back(location[x]);
    return step;
  }

  // Operands that vary are named by their instructions until slots are allocated.
  NaryStep nary_step(Index i) {
    const Instruction& at = program_.instructions[i];
    const NaryStep step{.opcode = at.opcode,
                        .checked = is_checked(i),
                        .exact = is_exact(i),
                        .y = facts_.location[i],
                        .first = size_of(out_.operands),
                        .count = at.b};
    program_.for_each_operand(
        at, [&](Index operand) { out_.operands.push_back(facts_.location[operand]); });
    return step;
  }

  MapStep map_step(Index i) const {
    const Instruction& at = program_.instructions[i];
    const std::size_t count = operand_count(at.opcode);
    const auto location = [&](std::size_t k, Index operand) {
      return k < count ? facts_.location[operand] : Location();
    };
    return {.opcode = at.opcode,
            .checked = is_checked(i),
            .exact = is_exact(i),
            .y = facts_.location[i],
            .a = location(0, at.a),
            .b = location(1, at.b),
            .c = location(2, at.c)};
  }

  // Gives an instruction that is the same for all rows its uniform, and the step that computes it.
  void add_uniform(Index i) {
    const Instruction& at = program_.instructions[i];
    if (at.opcode == Opcode::Element) {
      facts_.location[i] = Location::uniform(facts_.location[at.a].index() + 1 + at.b);
      return;
    }
    const Index uniform = size_of(out_.uniforms);
    const Location y = facts_.location[i] = Location::uniform(uniform);
    out_.uniforms.push_back(at.opcode == Opcode::Constant ? program_.constants[at.a] : 0.0);
    if (at.opcode == Opcode::Constant) return;
    if (at.opcode == Opcode::Input) {
      out_.uniform_inputs.push_back({at.a, uniform});
      return;
    }
    std::vector<UniformStep>& steps =
        facts_.after_reduction[i] != 0 ? out_.after_reduction : out_.before_rows;
    if (at.opcode == Opcode::RowSum && facts_.varies[at.a] != 0)
      steps.emplace_back(SumResultStep{at.checked, y, sums_.add(at.a)});
    else if (at.opcode == Opcode::RowSum)
      steps.emplace_back(RepeatedSumStep{at.checked, y, facts_.location[at.a]});
    else if (is_matrix(at.opcode))
      add_uniform_matrices(i, steps);
    else if (is_many(at.opcode))
      steps.emplace_back(nary_step(i));
    else
      steps.emplace_back(map_step(i));
  }

  void add_uniform_matrices(Index i, std::vector<UniformStep>& steps) {
    const MatricesStep step = matrices_step(i);
    const std::size_t results = out_.matrices.back().shape.results();
    if (out_.uniforms.size() + results >= Location::kMostIndex) throw std::bad_alloc();
    out_.uniforms.resize(out_.uniforms.size() + results, 0.0);
    steps.emplace_back(step);
  }

  // The outputs and guards that are the same for all rows.
  void add_uniform_results() {
    const auto uniform = [&](Index i) { return facts_.location[i].index(); };
    for (const Index output : program_.outputs)
      out_.uniform_outputs.push_back(facts_.varies[output] != 0 ? kNone : uniform(output));
    for (const Guard& guard : program_.guards)
      if (facts_.varies[guard.condition] == 0)
        out_.uniform_guards.push_back({uniform(guard.condition), guard.outcome});
  }

  // The outputs and guards that vary.
  void add_results(std::vector<Sink>& sinks) const {
    for (Index k = 0; k < program_.outputs.size(); ++k) {
      const Index i = program_.outputs[k];
      if (facts_.varies[i] != 0)
        sinks.push_back({facts_.ready[i], StoreStep{.a = facts_.location[i], .output = k}});
    }
    for (const auto& [value, or_zero] : clear_.bounded)
      sinks.push_back({facts_.ready[value], BoundedStep{.or_zero = or_zero,
                                                        .checked = checked_by_bounds_[value] != 0,
                                                        .a = facts_.location[value]}});
    auto margin = clear_.margins.begin();
    for (Index k = 0; k < program_.guards.size(); ++k) {
      if (margin != clear_.margins.end() && margin->guard == k)
        sinks.push_back(clear_sink(static_cast<Index>(margin++ - clear_.margins.begin())));
      else if (facts_.varies[program_.guards[k].condition] != 0)
        sinks.push_back(guard_sink(program_.guards[k]));
    }
  }

  Sink clear_sink(Index margin) const {
    const auto& [a, b, relative, absolute, order, negated, guard] = clear_.margins[margin];
    return {std::max(facts_.ready[a], facts_.ready[b]),
            ClearStep{.a = facts_.location[a], .b = facts_.location[b], .margin = margin}};
  }

  Sink guard_sink(const Guard& guard) const {
    const auto& [i, outcome] = guard;
    if (facts_.absorbed[i] == 0)
      return {facts_.ready[i], GuardStep{.outcome = outcome, .a = facts_.location[i]}};
    if (const Index failure = failure_ruled_out(guard); failure != kNone) {
      const Instruction& at = program_.instructions[failure];
      const double how = program_.constants[program_.instructions[at.a].a];
      return {std::max(facts_.ready[at.b], facts_.ready[at.c]),
              SuccessStep{.how = static_cast<core::MayFail>(how),
                          .a = facts_.location[at.b],
                          .b = facts_.location[at.c]}};
    }
    const auto& [opcode, checked, a, b, c] = program_.instructions[i];
    return {std::max(facts_.ready[a], facts_.ready[b]), CompareStep{.opcode = opcode,
                                                                    .outcome = outcome,
                                                                    .a = facts_.location[a],
                                                                    .b = facts_.location[b]}};
  }

  // The steps of the rows in the program's order. A sink follows as soon as its numbers are there,
  // so that their slots are free again soon.
  void add_rows(std::vector<Sink> sinks) {
    std::ranges::stable_sort(sinks, {}, &Sink::ready);
    std::size_t next = 0, next_layer = 0;
    for (Index i = 0; i < program_.size(); ++i) {
      if (next_layer < layers_.size() && layers_[next_layer].results[0] == i)
        out_.rows.emplace_back(layer_step(layers_[next_layer++]));
      else if (varies_if_needed(i) && facts_.absorbed[i] == 0)
        add_row(i);
      for (; next < sinks.size() && sinks[next].ready <= i; ++next)
        out_.rows.push_back(sinks[next].step);
    }
  }

  void add_row(Index i) {
    const Instruction& at = program_.instructions[i];
    if (at.opcode == Opcode::Input) return; // allocate_slots loads it before its first use
    if (partial_[i] != kNone)
      out_.rows.emplace_back(TanhAndPartialStep{.checked = is_checked(i),
                                                .y = facts_.location[i],
                                                .partial = facts_.location[partial_[i]],
                                                .a = facts_.location[at.a]});
    else if (is_matrix(at.opcode))
      out_.rows.emplace_back(matrices_step(i));
    else if (is_many(at.opcode))
      out_.rows.emplace_back(nary_step(i));
    else
      out_.rows.emplace_back(map_step(i));
  }

  const Program& program_;
  const ClearDecisions& clear_;
  const bool strict_;
  Marks cone_; // what has to be exact; empty if strict, where all is
  ValueFacts facts_;
  RowSums sums_;
  std::vector<Index> partial_;     // of a Tanh, the instruction that is its partial
  std::vector<DenseLayer> layers_; // by their first results
  std::unordered_map<Index, std::vector<Index>> elements_; // of matrices that vary
  Marks checked_by_bounds_; // has no check of its own, because a BoundedStep checks it
  Schedule out_;
};

} // namespace

std::size_t Schedule::bytes() const {
  const auto of = [](const auto& array) { return array.size() * sizeof(array[0]); };
  std::size_t needed = 0;
  for (const Matrices& one : matrices) needed += of(one.needed);
  return needed + of(matrices) + of(before_rows) + of(rows) + of(after_reduction) + of(operands) +
         of(vectors) + of(columns_in_operands) + of(columns_in_vectors) + of(weights) +
         of(uniforms) + of(uniform_inputs) + of(uniform_outputs) + of(uniform_guards) +
         of(column_slots) + of(margins) + decisions.bytes();
}

Schedule make_schedule(const Program& program, const std::vector<std::uint8_t>& varies,
                       bool strict) {
  if (varies.size() != program.input_count)
    throw std::invalid_argument("one flag an input, whether it varies");
  if (program.size() + program.outputs.size() >= Location::kMostIndex) throw std::bad_alloc();
  ClearDecisions clear;
  if (!strict)
    clear = clear_decisions(program, varying(program, varies), Loosen::PowersAndFunctions);
  const Program& planned = clear.margins.empty() ? program : clear.program;
  Schedule schedule = Scheduler(planned, varies, strict, clear).run();
  allocate_slots(schedule, planned);
  schedule.callbacks = program.callbacks;
  schedule.margins = std::move(clear.margins);
  schedule.decisions = std::move(clear.exact);
  schedule.may_overflow_otherwise = !strict && may_overflow_otherwise(planned);
  return schedule;
}

} // namespace arenagrad::program
