#include "point_function.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/bytes.h"
#include "program/ir/program_format.h"
#include "program/passes/builder.h"
#include "program/passes/differentiate.h"

namespace arenagrad::program {

namespace {

// The memory of a run, lent by its function: a callback may run the same function again.
class Workspace {
public:
  Workspace(std::vector<double>& of, std::size_t size) : of_(of), memory_(std::move(of)) {
    if (memory_.size() < size) memory_.resize(size);
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace() { of_ = std::move(memory_); }
  double* data() const { return const_cast<double*>(memory_.data()); }

private:
  std::vector<double>& of_;
  std::vector<double> memory_;
};

} // namespace

PointFunction::PointFunction(Program program, bool strict)
    : ProgramFunction(std::move(program)), strict_(strict), plan_(this->program(), true) {}

std::string PointFunction::bytes() const {
  if (!program().callbacks.empty())
    throw core::FormatError("a graph that calls a function by pure_callback() can be neither "
                            "pickled nor copied: its bytes hold no functions");
  std::string out;
  core::put(out, static_cast<std::uint8_t>(strict_));
  out += write_program(program());
  return out;
}

std::shared_ptr<PointFunction> read_point_function(std::string_view bytes) {
  if (bytes.empty() || bytes[0] < 0 || bytes[0] > 1)
    throw core::FormatError("a saved function is none");
  return std::make_shared<PointFunction>(read_program(bytes.substr(1)), bytes[0] != 0);
}

Outcome PointFunction::evaluate(const double* operands, double* results) const {
  const Workspace memory(workspace_, plan_.workspace());
  return plan_.run(operands, results, memory.data());
}

void PointFunction::refuse(const double* operands) const {
  check_domain(program(), operands, checks());
}

Checks PointFunction::checks() const { return strict_ ? Checks::All : Checks::Partials; }

const PointFunction::Reverse& PointFunction::reverse() const {
  if (reverse_) return *reverse_;
  Passes passes;
  passes.reorder = !strict_;
  Wanted all;
  all.inputs.resize(program().input_count);
  std::iota(all.inputs.begin(), all.inputs.end(), Index{0});
  Program swept = program::reverse(program(), all, true, passes);
  // The branch was chosen when the call was recorded, as it was for any other node.
  swept.guards.clear();
  swept.outputs.erase(swept.outputs.begin(),
                      swept.outputs.begin() + static_cast<std::ptrdiff_t>(results()));
  swept = optimise(swept, passes);
  PointPlan plan(swept, strict_);
  return reverse_.emplace(std::move(swept), std::move(plan));
}

void PointFunction::pull_back(const double* operands, const double* adjoints,
                              double* operand_adjoints) const {
  const Reverse& swept = reverse();
  const std::size_t count = program().input_count;
  const std::size_t needed = count + results() + swept.plan.workspace();
  const Workspace memory(workspace_, needed);
  double* const inputs = memory.data();
  std::copy_n(adjoints, results(), std::copy_n(operands, count, inputs));
  CallFailures failures;
  const Calls calls(failures);
  const Outcome outcome = swept.plan.run(inputs, operand_adjoints, inputs + count + results());
  if (failures.any()) throw CallFailed(failures.error());
  if (!outcome.finite) check_domain(swept.program, inputs, checks());
}

std::shared_ptr<PointFunction> value_with_partials(std::size_t n) {
  static std::vector<std::shared_ptr<PointFunction>> made;
  if (made.size() <= n) made.resize(n + 1);
  if (made[n] == nullptr) {
    Builder builder(Passes::none());
    std::vector<Index> operands(2 * n + 1);
    std::ranges::generate(operands, [&] { return builder.input(); });
    builder.output(builder.emit_many(Opcode::WithPartials, operands));
    made[n] = std::make_shared<PointFunction>(builder.finish(), false);
  }
  return made[n];
}

} // namespace arenagrad::program
