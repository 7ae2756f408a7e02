// The decisions of rows for which the bound of clear_decisions.h is not enough: the guards' own
// program on these rows, as a strict plan, so that many such rows cost no more than strict
// arithmetic does.
//
// Thread-safe; the plan is made when a row first asks for it.
#pragma once

#include <memory>
#include <mutex>

#include "batch_plan.h"
#include "program/passes/clear_decisions.h"

namespace arenagrad::program {

class ExactDecisions {
public:
  // Kept from one call to the next.
  struct Memory {
    std::vector<std::size_t> rows;
    std::vector<double> inputs;
    std::vector<Column> columns;
    std::vector<RowState> states;
  };

  // `guards` is ClearDecisions::exact, and has to outlive this.
  explicit ExactDecisions(const Program& guards);

  // Of the rows [first, first + count), for those that are unclear: sets whether a guard fails.
  // Throws std::bad_alloc.
  void decide(const std::vector<Column>& inputs, std::size_t first, std::size_t count,
              const std::vector<std::uint8_t>& unclear, std::vector<std::uint8_t>& failed,
              Memory& memory) const;

  std::size_t bytes() const;

private:
  const BatchPlan& plan() const;

  const Program& guards_;
  const Marks needed_;
  mutable std::mutex mutex_;
  mutable std::unique_ptr<const BatchPlan> plan_;
};

} // namespace arenagrad::program
