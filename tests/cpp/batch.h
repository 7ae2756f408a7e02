// Rows for a program, in columns of all kinds, and running it on them.
#pragma once

#include <bit>
#include <cmath>
#include <random>

#include "program/batch/batch_plan.h"
#include "program/ir/analysis.h"
#include "program/passes/symbolic.h"

namespace arenagrad::program {

using Random = std::mt19937_64;
inline constexpr Passes kNoPasses = Passes::none();

inline std::size_t below(Random& random, std::size_t n) { return random() % n; }

// Numbers with a distance between rows, with others between them that must stay.
struct Numbers {
  std::vector<double> memory;
  std::ptrdiff_t step;
  std::size_t rows;

  Numbers(std::size_t n, std::ptrdiff_t distance)
      : memory((n + 1) * static_cast<std::size_t>(std::max<std::ptrdiff_t>(std::abs(distance), 1)),
               0.5),
        step(distance), rows(n) {}
  Column column() { return {first(), step}; }
  double* first() {
    return step < 0 ? memory.data() - static_cast<std::ptrdiff_t>(rows) * step : memory.data();
  }
  double& operator[](std::size_t r) { return first()[static_cast<std::ptrdiff_t>(r) * step]; }
};

constexpr RowState kUnknown{7}; // no state that a run gives

struct Result {
  RowOutcome rows;
  std::vector<Numbers> outputs;
  std::vector<RowState> states;
};

struct Batch {
  std::vector<std::uint8_t> varies;
  std::vector<Numbers> inputs;
  std::size_t rows;

  Batch(Random& random, std::size_t count, std::size_t n, double share = 0.7) : rows(n) {
    constexpr std::ptrdiff_t kSteps[] = {1, 1, 1, 2, 3, 7, -1, -2};
    std::uniform_real_distribution<double> numbers(-3.0, 3.0);
    for (std::size_t k = 0; k < count; ++k) {
      varies.push_back(std::bernoulli_distribution(share)(random) ? 1 : 0);
      inputs.emplace_back(n, varies[k] != 0 ? kSteps[below(random, 8)] : 0);
      for (std::size_t r = 0; r < n; ++r)
        if (varies[k] != 0 || r == 0) inputs[k][r] = numbers(random);
      if (below(random, 4) == 0) // ties, zeros and bounds
        for (std::size_t r = 0; r < (varies[k] != 0 ? n : 1); ++r)
          inputs[k][r] = std::round(inputs[k][r]);
    }
  }
  // All instructions of the program in one row.
  std::vector<double> row(const Program& program, std::size_t r) {
    std::vector<double> x, values(program.size());
    for (std::size_t k = 0; k < inputs.size(); ++k) x.push_back(inputs[k][varies[k] ? r : 0]);
    interpret(program, x.data(), values.data());
    return values;
  }
  Result run(const Program& program, const BatchPlan& plan, std::size_t threads = 1,
             double scale = 1.0, bool with_states = true) {
    const auto varying_ones = varying(program, varies);
    Result result;
    constexpr std::ptrdiff_t kSteps[] = {1, 1, 3, -1};
    std::vector<Column> from, to;
    for (std::size_t k = 0; k < program.outputs.size(); ++k)
      result.outputs.emplace_back(rows, varying_ones[program.outputs[k]] ? kSteps[k % 4] : 0);
    for (Numbers& numbers : inputs) from.push_back(numbers.column());
    for (Numbers& numbers : result.outputs) to.push_back(numbers.column());
    result.states.assign(rows, kUnknown);
    result.rows =
        plan.run(from, to, rows, with_states ? result.states.data() : nullptr, scale, threads);
    return result;
  }
};

inline bool same(double x, double y) {
  return (x != x && y != y) || std::bit_cast<std::uint64_t>(x) == std::bit_cast<std::uint64_t>(y);
}
inline bool near(double x, double y, double size = 0.0) {
  return same(x, y) || x == y || std::fabs(x - y) <= 1e-9 * (1.0 + std::max(std::fabs(y), size));
}

} // namespace arenagrad::program
