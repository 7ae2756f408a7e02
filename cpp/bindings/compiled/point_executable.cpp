#include "point_executable.h"

#include "bindings/value/gil.h"

#include "bindings/pytree/output_buffers.h"
#include "bindings/pytree/unflatten.h"
#include "bindings/value/instance.h"

namespace arenagrad::bindings {

// From here on other threads may go on meanwhile: it costs a microsecond or two.
static constexpr std::size_t kLong = 20000;

static const Closure* closure_in(const py::object& object) {
  if (!is_initialised<Closure>(object))
    throw py::type_error("an executable needs the Closure of its function");
  return &object.cast<const Closure&>();
}

PointExecutable::PointExecutable(PyTree arguments, py::object closure,
                                 const program::Program& program, PyTree results, int buffered,
                                 bool strict)
    : arguments_(std::move(arguments)), closure_object_(std::move(closure)),
      closure_(closure_in(closure_object_)), results_(std::move(results)), buffered_(buffered),
      plan_(program, strict), input_count_(program.input_count),
      output_count_(program.outputs.size()), instructions_(program.size()),
      has_calls_(!program.callbacks.empty()) {
  if (results_.numbers() != output_count_ || own_inputs() > input_count_)
    throw std::invalid_argument("a program does not fit its arguments or results");
  if (buffered_ < 0) return;
  kept_ = results_.child(0);
  written_ = results_.child(static_cast<std::size_t>(buffered_));
}

PointExecutable::Buffers::Buffers(const PointExecutable& executable) : executable_(executable) {
  if (executable.free_.empty()) {
    memory_ = std::make_unique_for_overwrite<double[]>(
        executable.input_count_ + executable.output_count_ + executable.plan_.workspace());
  } else {
    memory_ = std::move(executable.free_.back());
    executable.free_.pop_back();
  }
}

PointExecutable::Buffers::~Buffers() {
  try {
    executable_.free_.push_back(std::move(memory_));
  } catch (const std::bad_alloc&) { // then it is not kept
  }
}

int PointExecutable::traverse(visitproc visit, void* arg) const {
  Py_VISIT(closure_object_.ptr());
  for (const PyTree* structure : {&arguments_, &results_, &kept_, &written_})
    if (const int stop = structure->traverse(visit, arg)) return stop;
  return 0;
}

program::Outcome PointExecutable::run(Buffers& buffers, bool is_taken) const {
  closure_->read(buffers.inputs() + arguments_.numbers());
  if (has_calls_) return run_with_calls(buffers, is_taken);
  if (instructions_ < kLong)
    return plan_.run(buffers.inputs(), buffers.outputs(), buffers.workspace());
  const ReleasedGil released;
  return plan_.run(buffers.inputs(), buffers.outputs(), buffers.workspace());
}

program::Outcome PointExecutable::run_with_calls(Buffers& buffers, bool is_taken) const {
  program::CallFailures failures;
  const program::Calls calls(failures);
  program::Outcome outcome = plan_.run(buffers.inputs(), buffers.outputs(), buffers.workspace());
  if (!failures.any()) return outcome;
  if (is_taken) throw program::CallFailed(failures.error());
  outcome.finite = false;
  return outcome;
}

void PointExecutable::check_out(const py::object& out) const {
  if (!out.is_none()) bindings::check_out(buffered_ < 0 ? results_ : written_, out);
}

py::object PointExecutable::result(Buffers& buffers, const py::object& out) const {
  const double* numbers = buffers.outputs();
  if (out.is_none()) return unflatten(results_, numbers);
  if (buffered_ < 0) {
    write_to_out(results_, out, numbers);
    return out;
  }
  write_to_out(written_, out, numbers + kept_.numbers());
  return py::make_tuple(unflatten(kept_, numbers), out);
}

} // namespace arenagrad::bindings
