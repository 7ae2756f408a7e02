#include "point_executable.h"

namespace arenagrad::bindings {

// From here on other threads may go on meanwhile: it costs a microsecond or two.
static constexpr std::size_t kLong = 20000;

PointExecutable::PointExecutable(PyTree arguments, std::shared_ptr<const Closure> closure,
                                 const program::Program& program, PyTree results, int buffered,
                                 bool strict)
    : arguments_(std::move(arguments)), closure_(std::move(closure)), results_(std::move(results)),
      buffered_(buffered), plan_(program, strict), input_count_(program.input_count),
      output_count_(program.outputs.size()), instructions_(program.size()) {
  if (results_.numbers() != output_count_ || own_inputs() > input_count_)
    throw std::invalid_argument("a program does not fit its arguments or results");
  if (buffered_ < 0) return;
  kept_ = results_.child(0);
  written_ = results_.child(static_cast<std::size_t>(buffered_));
}

PointExecutable::Buffers::Buffers(const PointExecutable& runner) : runner_(runner) {
  if (runner.free_.empty()) {
    memory_ = std::make_unique_for_overwrite<double[]>(runner.input_count_ + runner.output_count_ +
                                                       runner.plan_.workspace());
  } else {
    memory_ = std::move(runner.free_.back());
    runner.free_.pop_back();
  }
}

PointExecutable::Buffers::~Buffers() {
  try {
    runner_.free_.push_back(std::move(memory_));
  } catch (const std::bad_alloc&) { // then it is not kept
  }
}

program::Outcome PointExecutable::run(Buffers& buffers) const {
  closure_->read(buffers.inputs() + arguments_.numbers());
  if (instructions_ < kLong)
    return plan_.run(buffers.inputs(), buffers.outputs(), buffers.workspace());
  const py::gil_scoped_release released;
  return plan_.run(buffers.inputs(), buffers.outputs(), buffers.workspace());
}

void PointExecutable::check_buffers(const py::object& out) const {
  if (!out.is_none()) (buffered_ < 0 ? results_ : written_).check_buffers(out);
}

py::object PointExecutable::result(Buffers& buffers, const py::object& out) const {
  const double* numbers = buffers.outputs();
  if (out.is_none()) return results_.make(numbers);
  if (buffered_ < 0) {
    results_.write(out, numbers);
    return out;
  }
  written_.write(out, numbers + kept_.numbers());
  return py::make_tuple(kept_.make(numbers), out);
}

} // namespace arenagrad::bindings
