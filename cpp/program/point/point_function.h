// A program run at one point as the function of a call in the arena (core/function_nodes.h): what
// the derivative of a compiled function is when it is called on Values.
//
// Its numbers are those of strict arithmetic, so a decision that a trace makes on one of them comes
// out as it does when the trace's program runs. Requires the arena's lock.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "point_plan.h"
#include "program/ir/domain_check.h"
#include "program/ir/program_function.h"

namespace arenagrad::program {

class PointFunction final : public ProgramFunction {
public:
  // `strict`: whether adjoints are added up in the arena's order, and pull_back() raises where the
  // arena's sweep would.
  PointFunction(Program program, bool strict);

  // Those of its program, behind a byte that says whether it is strict.
  std::string bytes() const override;

  // Writes the results.
  Outcome evaluate(const double* operands, double* results) const;
  // Throws where the arena's sweep would, if strict, or where it lacks a partial, after an outcome
  // that is not finite.
  void refuse(const double* operands) const;
  void pull_back(const double* operands, const double* adjoints,
                 double* operand_adjoints) const override;

private:
  struct Reverse {
    Program program; // of the operands and the adjoints
    PointPlan plan;
  };
  const Reverse& reverse() const;
  Checks checks() const;

  const bool strict_;
  const PointPlan plan_;
  mutable std::vector<double> workspace_;  // of no run under way
  mutable std::optional<Reverse> reverse_; // made at the first sweep
};

// The function that bytes() of another is of. Throws FormatError.
std::shared_ptr<PointFunction> read_point_function(std::string_view bytes);

// The function of a value, n operands and its partials by them, which gives the value: the same
// object each time.
std::shared_ptr<PointFunction> value_with_partials(std::size_t n);

} // namespace arenagrad::program
