#include "point_plan.h"

#include <cmath>

#include "program/passes/without_partials.h"
#include "steps.h"

namespace arenagrad::program {

using namespace point;

struct PointPlan::Body {
  Steps steps;
};

namespace {

// The first guard that comes out otherwise than in the trace, or kNone.
Index failed_guard(const std::vector<Guard>& guards, const double* values) {
  for (std::size_t k = 0; k < guards.size(); ++k)
    if ((values[guards[k].condition] != 0.0) != guards[k].outcome) return static_cast<Index>(k);
  return kNone;
}

// 0 times a number that is not finite is nan.
bool all_finite(const Steps& steps, const double* numbers, std::size_t n) {
  constexpr std::size_t kFew = 8;
  if (n > kFew) return steps.exact_kernels->finite(numbers, n);
  double zeros = 0.0;
  for (std::size_t i = 0; i < n; ++i) zeros += 0.0 * numbers[i];
  return zeros == 0.0;
}

bool all_clear(const Steps& steps, const double* v) {
  bool clear = true;
  for (const Margin& margin : steps.margins) {
    const double a = v[margin.a], b = v[margin.b];
    clear = clear &&
            std::fabs(a - b) > margin.relative * (std::fabs(a) + std::fabs(b)) + margin.absolute;
  }
  return clear;
}

} // namespace

PointPlan::PointPlan(const Program& program, bool strict)
    : body_(planned(program, [&](const Program& run) {
        return std::make_shared<const Body>(Body{make_steps(run, strict)});
      })) {
  workspace_ = body_->steps.slots + body_->steps.scratch;
}

// Most functions have few outputs that are side by side: below kFew a loop is faster than a call of
// memcpy.
Outcome PointPlan::run(const double* inputs, double* outputs, double* workspace) const {
  constexpr std::size_t kFew = 8;
  const Steps& steps = body_->steps;
  double* const v = workspace;
  if (steps.input_count != 0) std::memcpy(v, inputs, steps.input_count * sizeof *v);
  if (!steps.constants.empty())
    std::memcpy(v + steps.input_count, steps.constants.data(), steps.constants.size() * sizeof *v);
  Outcome outcome;
  outcome.finite = run_steps(steps, v);
  for (std::size_t k = 0; k < steps.copies.size(); k += 2) {
    const double* from = v + steps.copies[k];
    const std::size_t n = steps.copies[k + 1];
    if (n < kFew)
      for (std::size_t i = 0; i < n; ++i) outputs[i] = from[i];
    else
      std::memcpy(outputs, from, n * sizeof *v);
    outcome.overflowed |= steps.may_overflow_otherwise && !all_finite(steps, from, n);
    outputs += n;
  }
  if (all_clear(steps, v)) {
    outcome.guard = failed_guard(steps.guards, v);
  } else {
    std::vector<double> values(steps.decisions.size());
    interpret(steps.decisions, inputs, values.data());
    outcome.guard = failed_guard(steps.decisions.guards, values.data());
  }
  return outcome;
}

std::size_t PointPlan::groups() const { return body_->steps.groups; }

std::string PointPlan::text() const { return to_text(body_->steps); }

std::size_t PointPlan::bytes() const {
  const Steps& steps = body_->steps;
  const auto of = [](const auto& array) { return array.size() * sizeof(array[0]); };
  return sizeof(Body) + of(steps.words) + of(steps.copies) + of(steps.guards) + of(steps.margins) +
         of(steps.constants) + of(steps.columns) + steps.decisions.bytes();
}

} // namespace arenagrad::program
