// A program ready to be run on one point: numbers out of arguments, results out of numbers. Needs
// the GIL, which run() gives up while a long program runs.
#pragma once

#include <memory>

#include "bindings/pytree/flatten.h"
#include "closure.h"
#include "program/point/point_plan.h"

namespace arenagrad::bindings {

class PointExecutable {
public:
  // The program's inputs are the numbers of `arguments`, of the closure, and what else a call
  // gives; its outputs are the numbers of `results`, of which child `buffered`, or if it is
  // negative the whole, may go into buffers.
  // `closure` is a Closure of Python's. Throws TypeError for anything else, std::invalid_argument
  // for numbers that do not fit.
  PointExecutable(PyTree arguments, py::object closure, const program::Program& program,
                  PyTree results, int buffered, bool strict);

  // What a run reads and writes; taken from those not in use, given back when it goes.
  class Buffers {
  public:
    explicit Buffers(const PointExecutable& executable);
    ~Buffers();
    Buffers(const Buffers&) = delete;
    Buffers& operator=(const Buffers&) = delete;

    double* inputs() { return memory_.get(); }
    double* outputs() { return inputs() + executable_.input_count_; }

  private:
    friend class PointExecutable;
    double* workspace() { return outputs() + executable_.output_count_; }
    const PointExecutable& executable_;
    std::unique_ptr<double[]> memory_;
  };

  // Writes the numbers of these arguments; false if their structure is another one.
  bool read_arguments(const GivenArguments& given, Buffers& buffers) const {
    return flatten_arguments(arguments_, given, buffers.inputs());
  }
  // Requires that the numbers of the arguments and what else is given have been written. Where a
  // function of Python's that the program calls fails, the outcome is not good; if the numbers are
  // known to take this program, its error is thrown.
  program::Outcome run(Buffers& buffers, bool is_taken = false) const;
  // Throws TypeError or ValueError unless `out` fits; None does.
  void check_out(const py::object& out) const;
  // The result, in `out` unless that is None.
  py::object result(Buffers& buffers, const py::object& out) const;

  const PyTree& arguments() const { return arguments_; }
  const PyTree& results() const { return results_; }
  const Closure& closure() const { return *closure_; }
  // Of arguments and closure; what else a call gives lies behind them.
  std::size_t own_inputs() const { return arguments_.numbers() + closure_->size(); }
  std::size_t input_count() const { return input_count_; }
  const program::PointPlan& plan() const { return plan_; }

  int traverse(visitproc visit, void* arg) const;

private:
  program::Outcome run_with_calls(Buffers& buffers, bool is_taken) const;

  const PyTree arguments_;
  // The Python object, so that the collector sees each Closure owned by references only.
  const py::object closure_object_;
  const Closure* const closure_;
  const PyTree results_;
  const int buffered_;
  PyTree kept_, written_; // the children of results_ if there are such
  const program::PointPlan plan_;
  const std::size_t input_count_, output_count_, instructions_;
  const bool has_calls_;
  mutable std::vector<std::unique_ptr<double[]>> free_; // memory of Buffers that are gone
};

} // namespace arenagrad::bindings
