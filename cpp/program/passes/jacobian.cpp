// Jacobians: one reverse sweep a row, or one tangent a column, whichever passes fewer instructions.
#include <algorithm>
#include <tuple>
#include <utility>

#include "differentiate.h"
#include "sweeps.h"

namespace arenagrad::program {
namespace {

struct Costs {
  double backward = 0, forward = 0; // instructions that all sweeps would pass
};

// Reverse sweeps from all outputs, through what is active. Counting ends where there are so many
// that it would take longer than it is worth; then the other direction decides.
double backward_cost(const Program& program, const Marks& active) {
  constexpr double kMost = 64.0;
  double cost = 0;
  Marks marks(program.size());
  for (const Index output : program.outputs) {
    std::fill(marks.begin(), marks.end(), 0);
    marks[output] = 1;
    for_each_marked_downwards(program, marks, std::size_t{output} + 1, [&](Index i) {
      cost += active[i];
      return active[i] != 0;
    });
    if (cost > kMost * static_cast<double>(program.size())) break;
  }
  return cost;
}

// Tangents of all wanted inputs, as far as outputs need them.
double forward_cost(const Program& program, const Wanted& wanted, const Marks& active,
                    double enough) {
  Marks useful(program.size(), 0), marks(program.size());
  for (const Index output : program.outputs) useful[output] = 1;
  for_each_marked_downwards(program, useful, program.size(),
                            [&](Index i) { return active[i] != 0; });
  double cost = 0;
  for (const Index input : wanted.inputs) {
    std::fill(marks.begin(), marks.end(), 0);
    marks[input] = 1;
    mark_dependents(program, marks);
    for (std::size_t i = 0; i < program.size(); ++i) cost += marks[i] & useful[i];
    if (cost > enough) break;
  }
  return cost;
}

bool prefers_reverse(const Program& program, const Wanted& wanted, const Passes& passes) {
  // A reverse sweep from what varies would sum over the rows what is wanted of each.
  if (!wanted.varies.empty()) {
    const Marks varies = varying(program, wanted.varies);
    if (std::ranges::any_of(program.outputs, [&](Index output) { return varies[output] != 0; }))
      return false;
  }
  if (has_reverse_rules(program, wanted)) return true;
  if (!passes.reorder) return true; // as the arena's sweep does it
  const Marks active = active_in(program, wanted.inputs);
  const double backward = backward_cost(program, active);
  return backward <= forward_cost(program, wanted, active, backward);
}

struct Entry {
  Index row, column, value;
};

std::vector<Entry> entries_by_reverse(const Program& program, const Wanted& wanted,
                                      DerivativeWriter& writer) {
  std::vector<Entry> entries;
  ReverseSweep sweep(program, wanted, writer);
  for (Index row = 0; row < wanted.differentiated(program); ++row) {
    sweep.seed(program.outputs[row], Symbolic(1.0));
    sweep.run();
    for (Index column = 0; column < wanted.inputs.size(); ++column)
      if (const Index input = wanted.inputs[column]; sweep.reaches(input))
        entries.push_back({row, column, sweep.adjoint(input).index()});
    sweep.clear(wanted.inputs);
  }
  return entries;
}

std::vector<Entry> entries_by_tangents(const Program& program, const Wanted& wanted,
                                       DerivativeWriter& writer, ReverseRules rules) {
  std::vector<Entry> entries;
  for (Index column = 0; column < wanted.inputs.size(); ++column) {
    std::vector<Index> tangents(program.size(), kNone);
    tangents[wanted.inputs[column]] = Symbolic(1.0).index();
    tangents = sweep_forward(program, wanted, writer, std::move(tangents), rules);
    for (Index row = 0; row < wanted.differentiated(program); ++row)
      if (const Index value = tangents[program.outputs[row]]; value != kNone)
        entries.push_back({row, column, value});
  }
  std::ranges::sort(entries, {}, [](const Entry& e) { return std::pair(e.row, e.column); });
  return entries;
}

} // namespace

Jacobian jacobian(const Program& program, const Wanted& wanted, const Passes& passes,
                  Direction direction) {
  Jacobian result;
  result.by_reverse = direction == Direction::Cheaper ? prefers_reverse(program, wanted, passes)
                                                      : direction == Direction::Reverse;
  const ReverseRules rules =
      direction == Direction::Forward ? ReverseRules::Refused : ReverseRules::Used;
  result.program = build(passes, [&](Builder& builder) {
    DerivativeWriter writer(program, 0, builder);
    writer.copy_outputs();
    writer.copy_guards();
    result.rows.clear();
    result.columns.clear();
    if (!result.by_reverse) write_checks_of_sweeps(program, wanted, writer, passes);
    for (const Entry& entry : result.by_reverse
                                  ? entries_by_reverse(program, wanted, writer)
                                  : entries_by_tangents(program, wanted, writer, rules)) {
      if (builder.is_constant(entry.value, 0.0)) continue;
      builder.output(entry.value);
      result.rows.push_back(entry.row);
      result.columns.push_back(entry.column);
    }
  });
  result.program = run_passes(std::move(result.program), passes);
  return result;
}

} // namespace arenagrad::program
