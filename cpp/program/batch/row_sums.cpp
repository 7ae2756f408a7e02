#include "row_sums.h"

#include <algorithm>
#include <utility>

namespace arenagrad::program {

Index RowSums::add(Index i) {
  const Instruction& at = program_.instructions[i];
  const Index sum = count_++;
  // The instruction needs no step of its own if its factors are summed in its stead, so nothing
  // else may use it and nothing may have to look at its numbers.
  const bool only_summed = facts_.uses[i] == 1 && !at.checked && facts_.absorbed[i] == 0;
  if (only_summed && add_factors(sum, at))
    facts_.absorbed[i] = 1;
  else
    add_term(sum, i);
  return sum;
}

// Whether the instruction is a product whose factors can be summed as they are.
bool RowSums::add_factors(Index sum, const Instruction& at) {
  const auto varies = [&](Index operand) { return facts_.varies[operand] != 0; };
  if (at.opcode == Opcode::Square) {
    add_term(sum, at.a, at.a);
    return true;
  }
  // A factor that is uniform is taken out of the sum, which rounds otherwise.
  if (at.opcode == Opcode::Mul && ((varies(at.a) && varies(at.b)) || !strict_)) {
    add_term(sum, at.a, at.b);
    return true;
  }
  if (at.opcode != Opcode::DotN || strict_) return false;
  bool all_vary = true;
  program_.for_each_operand(at, [&](Index operand) { all_vary = all_vary && varies(operand); });
  if (!all_vary) return false;
  const DotView dot = program_.dot(at);
  // A sum of sums of products: each term is summed over the rows by itself.
  if (dot.has_start()) add_term(sum, *dot.start);
  for (std::size_t k = 0; k < dot.terms; ++k) add_term(sum, dot.w[k], dot.x[k]);
  return true;
}

// Inner products wait for finish(), which looks for grids among them; a strict plan keeps each by
// itself, because a grid adds up in any order.
void RowSums::add_term(Index sum, Index a, Index b) {
  if (b != kNone && facts_.varies[a] == 0) std::swap(a, b);
  if (!strict_ && b != kNone && facts_.varies[b] != 0)
    products_.push_back({a, b, sum});
  else
    terms_.push_back({a, b, sum});
}

// A number for each sum: those of a grid side by side, as far as no earlier grid has them.
std::vector<Index> RowSums::number_sums(const std::vector<InnerProductGrid>& grids) const {
  std::vector<Index> numbers(count_, kNone);
  Index next = 0;
  for (const InnerProductGrid& grid : grids)
    for (const Index sum : grid.sums)
      if (numbers[sum] == kNone) numbers[sum] = next++;
  for (Index& number : numbers)
    if (number == kNone) number = next++;
  return numbers;
}

// The step that adds a term, as soon as its factors are there.
Sink RowSums::sink_of(const Term& term) const {
  const auto& [a, b, sum] = term;
  const Location of_a = facts_.location[a];
  if (b == kNone) return {facts_.ready[a], RowSumStep{.a = of_a, .sum = sum}};
  const Location of_b = facts_.location[b];
  if (facts_.varies[b] == 0)
    return {facts_.ready[a], ScaledRowSumStep{.a = of_a, .factor = of_b, .sum = sum}};
  return {std::max(facts_.ready[a], facts_.ready[b]),
          InnerProductStep{.a = of_a, .b = of_b, .sum = sum}};
}

// A grid whose sums are not numbered side by side is so many inner products.
void RowSums::add_grid(const InnerProductGrid& grid, const std::vector<Index>& numbers,
                       Schedule& schedule, std::vector<Sink>& sinks) const {
  const auto rows = static_cast<Index>(grid.rows.size());
  const auto columns = static_cast<Index>(grid.columns.size());
  const Index first = numbers[grid.sums[0]];
  bool side_by_side = rows * columns > 1;
  Index ready = 0;
  for (Index k = 0; k < rows * columns; ++k) {
    side_by_side = side_by_side && numbers[grid.sums[k]] == first + k;
    ready = std::max(
        {ready, facts_.ready[grid.rows[k / columns]], facts_.ready[grid.columns[k % columns]]});
  }
  if (!side_by_side) {
    for (Index k = 0; k < rows * columns; ++k)
      sinks.push_back(
          sink_of({grid.rows[k / columns], grid.columns[k % columns], numbers[grid.sums[k]]}));
    return;
  }
  const auto start = static_cast<Index>(schedule.vectors.size());
  sinks.push_back({ready, InnerProductGridStep{
                              .first = start, .rows = rows, .columns = columns, .sum = first}});
  for (const Index row : grid.rows) schedule.vectors.push_back(facts_.location[row]);
  for (const Index column : grid.columns) schedule.vectors.push_back(facts_.location[column]);
}

// The order of the sinks is that in which terms were added, which decides the bits of a sum.
std::vector<Sink> RowSums::finish(Schedule& schedule) {
  const std::vector<InnerProductGrid> grids = find_grids(std::move(products_));
  const std::vector<Index> numbers = number_sums(grids);
  std::vector<Sink> sinks;
  for (Term& term : terms_) {
    term.sum = numbers[term.sum];
    sinks.push_back(sink_of(term));
  }
  for (UniformStep& step : schedule.after_reduction)
    if (auto* const result = std::get_if<SumResultStep>(&step)) result->sum = numbers[result->sum];
  for (const InnerProductGrid& grid : grids) add_grid(grid, numbers, schedule, sinks);
  schedule.sums = count_;
  return sinks;
}

} // namespace arenagrad::program
