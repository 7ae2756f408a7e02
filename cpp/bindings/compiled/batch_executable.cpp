// arenagrad._core.compiled.BatchExecutable: a program ready to be run on the rows of a batch. The
// GIL is given up meanwhile and taken back to look for Ctrl-C and to tell how far it is.
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <optional>

#include "batch.h"
#include "bindings/value/gil.h"
#include "closure.h"
#include "program.h"
#include "program/batch/rows.h"
#include "program/ir/domain_check.h"

namespace arenagrad::bindings {
namespace {

using program::Column;
using Columns = std::vector<Column>;

// How a batch is run.
struct BatchRun {
  std::size_t threads;
  py::object progress; // called with rows done and rows to be done, or None
};

class BatchExecutable {
public:
  BatchExecutable(const program::Program& program, const std::vector<std::uint8_t>& varies,
                  bool strict)
      : plan_(program, varies, strict), varies_(varies), output_count_(program.outputs.size()) {}

  const program::BatchPlan& plan() const { return plan_; }

  // (whether all is finite that must be, whether all guards came out as they should, the number and
  // the exception of the first row in which a function of Python's fails, or None). Writes into
  // the leaves, arrays of which some are `stacked`, a row for each of the batch; of some rows only
  // if there are such, and then adds to what is not stacked. Numbers that are not finite are those
  // of the executable that `strict` makes: another order of arithmetic may have overflowed.
  py::tuple run(const Batch& batch, const Closure& closure, const Batch* more,
                const std::vector<py::array>& leaves, const std::vector<bool>& stacked,
                const std::optional<Batch::Rows>& rows, const py::object& strict,
                const BatchRun& run) const {
    const Columns to = columns_of(leaves, stacked);
    program::CallFailures failures;
    if (!rows) {
      const Inputs inputs = inputs_of(batch, closure, more);
      const program::RowOutcome outcome = run_on(inputs, to, batch.rows(), nullptr, run, failures);
      if (!failures.any() && runs_again(outcome, strict)) {
        const py::object executable = strict();
        const auto& again = executable.cast<const BatchExecutable&>();
        if (std::ranges::all_of(stacked, std::identity{}))
          again.run(batch, closure, more, leaves, stacked, not_finite(to, batch.rows()), py::none(),
                    run);
        else
          again.run_on(inputs, to, batch.rows(), nullptr, run, failures);
      }
      return py::make_tuple(outcome.finite, outcome.guards, failure_in(failures, nullptr));
    }
    const Inputs inputs = inputs_of(batch, closure, more, rows);
    std::vector<double> numbers(rows->size() * to.size());
    Columns part;
    for (std::size_t k = 0; k < to.size(); ++k)
      part.push_back(
          {numbers.data() + k, to[k].step == 0 ? 0 : static_cast<std::ptrdiff_t>(to.size())});
    const program::RowOutcome outcome = run_on(inputs, part, rows->size(), nullptr, run, failures);
    if (!failures.any() && runs_again(outcome, strict)) {
      const py::object executable = strict();
      executable.cast<const BatchExecutable&>().run_on(inputs, part, rows->size(), nullptr, run,
                                                       failures);
    }
    put(to, numbers, *rows);
    return py::make_tuple(outcome.finite, outcome.guards, failure_in(failures, &*rows));
  }

  // Of these rows, by what a run finds: the good ones, those that are not finite where they must
  // be, and those for which a guard does not hold.
  py::tuple split(const Batch& batch, const Closure& closure, const Batch* more,
                  const std::optional<Batch::Rows>& rows, const BatchRun& run) const {
    using program::RowState;
    std::vector<RowState> states(rows ? rows->size() : batch.rows());
    std::vector<double> unused(output_count_);
    Columns to;
    for (double& number : unused) to.push_back({&number, 0});
    program::CallFailures failures; // the states say which rows they are in
    run_on(inputs_of(batch, closure, more, rows), to, states.size(), states.data(), run, failures);
    Batch::Rows good, not_finite, others;
    for (std::size_t i = 0; i < states.size(); ++i) {
      Batch::Rows& state = states[i] == RowState::Good        ? good
                           : states[i] == RowState::NotFinite ? not_finite
                                                              : others;
      state.push_back(rows ? (*rows)[i] : i);
    }
    return py::make_tuple(good, not_finite, others);
  }

private:
  struct Inputs {
    Columns columns;
    std::vector<double> closure;
    std::vector<Batch> taken; // hold the rows that columns were copied from
  };

  // Of these rows, or of all.
  Inputs inputs_of(const Batch& batch, const Closure& closure, const Batch* more,
                   const std::optional<Batch::Rows>& rows) const {
    if (!rows) return inputs_of(batch, closure, more);
    std::vector<Batch> taken{batch.copy_of(*rows)};
    if (more != nullptr) taken.push_back(more->copy_of(*rows));
    Inputs inputs = inputs_of(taken[0], closure, more != nullptr ? &taken[1] : nullptr);
    inputs.taken = std::move(taken);
    return inputs;
  }

  Inputs inputs_of(const Batch& batch, const Closure& closure, const Batch* more) const {
    Inputs inputs{batch.columns(), std::vector<double>(closure.size()), {}};
    closure.warn_if_frozen();
    closure.read(inputs.closure.data());
    for (double& number : inputs.closure) inputs.columns.push_back({&number, 0});
    if (more != nullptr)
      inputs.columns.insert(inputs.columns.end(), more->columns().begin(), more->columns().end());
    if (inputs.columns.size() != varies_.size())
      throw py::value_error("a program was given another number of inputs than it has");
    return inputs;
  }

  Columns columns_of(const std::vector<py::array>& leaves, const std::vector<bool>& stacked) const {
    Columns columns;
    for (std::size_t leaf = 0; leaf < leaves.size(); ++leaf) {
      const py::array& array = leaves[leaf];
      auto* const base = const_cast<double*>(doubles(array.ptr()));
      std::size_t count = static_cast<std::size_t>(array.size());
      if (stacked[leaf] && array.shape(0) != 0) count /= static_cast<std::size_t>(array.shape(0));
      for (std::size_t k = 0; k < count; ++k)
        columns.push_back({base + k, stacked[leaf] ? static_cast<std::ptrdiff_t>(count) : 0});
    }
    if (columns.size() != output_count_)
      throw py::value_error("a program gives another number of results than there is room for");
    return columns;
  }

  static bool runs_again(const program::RowOutcome& outcome, const py::object& strict) {
    return outcome.guards && outcome.overflowed && !strict.is_none();
  }

  // The rows in which not all numbers are finite.
  static Batch::Rows not_finite(const Columns& columns, std::size_t rows) {
    Batch::Rows found;
    for (std::size_t r = 0; r < rows; ++r) {
      const auto is_finite = [r](const Column& column) {
        return std::isfinite(column.at[static_cast<std::ptrdiff_t>(r) * column.step]);
      };
      if (!std::ranges::all_of(columns, is_finite)) found.push_back(r);
    }
    return found;
  }

  // Numbers of some rows: what is stacked into their places, what is not added to what is there.
  static void put(const Columns& to, const std::vector<double>& numbers, const Batch::Rows& rows) {
    for (std::size_t k = 0; k < to.size(); ++k) {
      if (to[k].step == 0) {
        program::add_to(to[k].at, numbers.data() + k, 1);
        continue;
      }
      for (std::size_t i = 0; i < rows.size(); ++i)
        to[k].at[static_cast<std::ptrdiff_t>(rows[i]) * to[k].step] = numbers[i * to.size() + k];
    }
  }

  program::RowOutcome run_on(const Inputs& inputs, const Columns& outputs, std::size_t rows,
                             program::RowState* states, const BatchRun& run,
                             program::CallFailures& failures) const {
    const program::Calls calls(failures);
    ReleasedGil released;
    const auto watch = [&](std::size_t done) {
      const ReleasedGil::Held held(released);
      if (PyErr_CheckSignals() != 0) throw py::error_already_set(); // Ctrl-C
      if (!run.progress.is_none()) run.progress(done, rows);
    };
    return plan_.run(inputs.columns, outputs, rows, states, 1.0, run.threads, watch);
  }

  static py::object failure_in(const program::CallFailures& failures, const Batch::Rows* rows) {
    if (!failures.any()) return py::none();
    try {
      std::rethrow_exception(failures.error());
    } catch (const py::error_already_set& error) {
      const std::size_t row = rows == nullptr ? failures.row() : (*rows)[failures.row()];
      if (error.trace()) PyException_SetTraceback(error.value().ptr(), error.trace().ptr());
      return py::make_tuple(row, error.value());
    }
  }

  const program::BatchPlan plan_;
  const std::vector<std::uint8_t> varies_;
  const std::size_t output_count_;
};

// Of these rows those for which no checked operation of the program fails, and the others. Looks
// for Ctrl-C.
py::tuple split_refused(const program::Program& program, const Batch& batch, const Closure& closure,
                        const Batch* more, const Batch::Rows& rows, program::Checks checks) {
  std::vector<double> outer(closure.size());
  closure.read(outer.data());
  Batch::Rows accepted, refused;
  {
    using Clock = std::chrono::steady_clock;
    Clock::time_point looked = Clock::now();
    ReleasedGil released;
    for (const std::size_t row : rows) {
      if (const auto now = Clock::now(); now - looked > std::chrono::milliseconds(50)) {
        const ReleasedGil::Held held(released);
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
        looked = now;
      }
      std::vector<double> inputs = batch.row(row);
      inputs.insert(inputs.end(), outer.begin(), outer.end());
      if (more != nullptr) {
        const std::vector<double> behind = more->row(row);
        inputs.insert(inputs.end(), behind.begin(), behind.end());
      }
      (program::may_refuse(program, inputs.data(), checks) ? refused : accepted).push_back(row);
    }
  }
  return py::make_tuple(accepted, refused);
}

} // namespace

void bind_batch_executable(py::module_& module) {
  py::class_<BatchExecutable>(module, "BatchExecutable",
                              "A program ready to be run on the rows of a batch.")
      .def(py::init([](const ProgramPointer& program, const std::vector<std::uint8_t>& varies,
                       bool strict) {
             return std::make_unique<BatchExecutable>(*program, varies, strict);
           }),
           py::arg("program"), py::arg("varies"), py::arg("strict"))
      .def_property_readonly(
          "slots", [](const BatchExecutable& executable) { return executable.plan().slots(); },
          "How many rows of numbers are alive at once.")
      .def_property_readonly(
          "block", [](const BatchExecutable& executable) { return executable.plan().block(); },
          "How many rows are worked on at a time.")
      .def_property_readonly(
          "bytes", [](const BatchExecutable& executable) { return executable.plan().bytes(); },
          "The memory that it takes.")
      .def(
          "run",
          [](const BatchExecutable& executable, const Batch& batch, const Closure& closure,
             const Batch* more, const std::vector<py::array>& leaves,
             const std::vector<bool>& stacked, const std::optional<Batch::Rows>& rows,
             const py::object& strict, std::size_t threads, const py::object& progress) {
            return executable.run(batch, closure, more, leaves, stacked, rows, strict,
                                  {threads, progress});
          },
          py::arg("batch"), py::arg("closure"), py::arg("more"), py::arg("leaves"),
          py::arg("stacked"), py::arg("rows"), py::arg("strict"), py::arg("threads"),
          py::arg("progress"),
          "Write the results into the leaves, of some rows or all: whether all is finite that must "
          "be, whether all guards came out as they should, and the number and exception of the "
          "first "
          "row in which a function of Python's fails, or None.")
      .def(
          "split",
          [](const BatchExecutable& executable, const Batch& batch, const Closure& closure,
             const Batch* more, const std::optional<Batch::Rows>& rows, std::size_t threads,
             const py::object& progress) {
            return executable.split(batch, closure, more, rows, {threads, progress});
          },
          py::arg("batch"), py::arg("closure"), py::arg("more"), py::arg("rows"),
          py::arg("threads"), py::arg("progress"),
          "The good rows, those that are not finite where they must be, and those for which a "
          "guard does not hold.");
  module.def(
      "split_refused",
      [](const ProgramPointer& program, const Batch& batch, const Closure& closure,
         const Batch* more, const Batch::Rows& rows, bool partials_only) {
        return split_refused(*program, batch, closure, more, rows, checks_of(partials_only));
      },
      py::arg("program"), py::arg("batch"), py::arg("closure"), py::arg("more"), py::arg("rows"),
      py::arg("partials_only") = false,
      "Of these rows those for which no checked operation of the program fails, and the others.");
}

} // namespace arenagrad::bindings
