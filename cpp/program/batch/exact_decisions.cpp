#include "exact_decisions.h"

namespace arenagrad::program {

ExactDecisions::ExactDecisions(const Program& guards) : guards_(guards), needed_(needed(guards)) {}

// Every input varies here: rows are few, and their numbers are copied side by side.
const BatchPlan& ExactDecisions::plan() const {
  const std::lock_guard lock(mutex_);
  if (plan_ == nullptr) {
    constexpr bool kStrict = true;
    const std::vector<std::uint8_t> varies(guards_.input_count, 1);
    plan_ = std::make_unique<const BatchPlan>(guards_, varies, kStrict);
  }
  return *plan_;
}

void ExactDecisions::decide(const std::vector<Column>& inputs, std::size_t first, std::size_t count,
                            const std::vector<std::uint8_t>& unclear,
                            std::vector<std::uint8_t>& failed, Memory& memory) const {
  auto& [rows, numbers, columns, states] = memory;
  rows.clear();
  for (std::size_t r = 0; r < count; ++r)
    if (unclear[r] != 0) rows.push_back(r);
  numbers.resize(inputs.size() * rows.size());
  columns.resize(inputs.size());
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    double* const to = numbers.data() + k * rows.size();
    columns[k] = {to, 1};
    for (std::size_t i = 0; needed_[k] != 0 && i < rows.size(); ++i)
      to[i] = inputs[k].at[static_cast<std::ptrdiff_t>(first + rows[i]) * inputs[k].step];
  }
  states.resize(rows.size());
  CallFailures failures; // decided by, and not reported: these are numbered otherwise
  const Calls calls(failures);
  plan().run(columns, {}, rows.size(), states.data(), 1.0, 1);
  for (std::size_t i = 0; i < rows.size(); ++i)
    failed[rows[i]] = states[i] == RowState::OtherVariant;
}

std::size_t ExactDecisions::bytes() const {
  const std::lock_guard lock(mutex_);
  return needed_.size() + (plan_ == nullptr ? 0 : plan_->bytes());
}

} // namespace arenagrad::program
