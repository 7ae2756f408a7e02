#include "trace.h"

#include "program/point/point_function.h"
#include "record.h"
#include "warnings.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace arenagrad::bindings {

int traces = 0;
thread_local int compiled_calls = 0;
thread_local Trace* innermost_trace = nullptr;

namespace {

using core::NodeId;

PyObject* frozen_warning = nullptr; // arenagrad.FrozenValueWarning, owned by the process

bool warn(const char* format, const char* what) {
  if (PyErr_WarnFormat(frozen_warning, level_of_own_line(), format, what) == 0) return true;
  return remember_refusal(); // warnings are errors
}

} // namespace

bool remember_refusal() {
  Trace* const trace = tracing();
  if (trace == nullptr) return false;
  py::error_already_set error;
  trace->refused(error.value());
  error.restore();
  return false;
}

Trace::Trace()
    : untrimmed_(std::in_place, arena()), frozen_(arena()), around_(innermost_trace),
      no_grad_(no_grad_depth) {
  // A leaf of its own, so that nothing can trim the arena below where the trace begins.
  arena().reserve(1);
  first_ = static_cast<NodeId>(arena().size());
  held_.push_back(input(0.0));
  traced_.inputs.clear();
  constants_ = first_ + 1;
  traced_.first = first_;
  no_grad_depth = 0;
  innermost_trace = this;
  ++traces;
}

Trace::~Trace() {
  --traces;
  innermost_trace = around_;
  no_grad_depth = no_grad_;
  held_.clear();
  untrimmed_.reset();
  arena().trim();
}

py::object Trace::input(double number) {
  arena().reserve(1);
  const NodeId node = arena().push_leaf(number);
  PyValue* value = new_handle();
  arena().attach(value->link, node);
  held_.push_back(py::reinterpret_steal<py::object>(as_object(value)));
  traced_.inputs.push_back(node);
  constants_ = node + 1;
  return held_.back();
}

void Trace::input_of(PyObject* value) {
  held_.push_back(py::reinterpret_borrow<py::object>(value));
  traced_.inputs.push_back(use(value));
}

program::Captured Trace::finish(const std::vector<py::object>& outputs,
                                const program::Passes& passes, const py::object& catches) {
  throw_refusal();
  if (!catches.is_none()) decide_what_is_caught(catches);
  for (const py::object& output : outputs) traced_.outputs.push_back(use(output.ptr()));
  find_kept(outputs);
  return program::capture(arena(), traced_, passes);
}

// Each stands before its operation, and so before what is decided after it.
void Trace::decide_what_is_caught(const py::object& catches) {
  const std::vector<NodeId> nodes = call_sites_.caught(catches);
  if (nodes.empty()) return;
  for (const NodeId node : nodes)
    traced_.decisions.push_back({program::CaughtOperation{node}, node});
  std::stable_sort(traced_.decisions.begin(), traced_.decisions.end(),
                   [](const auto& one, const auto& other) { return one.when < other.when; });
}

// Values that the function made of numbers of its own and that others hold, such as parameters made
// at the first call: beyond the trace and the results, that is.
void Trace::find_kept(const std::vector<py::object>& outputs) {
  std::unordered_map<PyObject*, Py_ssize_t> ours;
  for (const py::object& output : outputs) ++ours[output.ptr()];
  for (const py::object& object : held_) ++ours[object.ptr()];
  const std::unordered_set<NodeId> inputs(traced_.inputs.begin(), traced_.inputs.end());
  std::vector<std::uint8_t> own(arena().size() - constants_, 1); // made of such numbers alone
  for (NodeId node = constants_; node - constants_ < own.size(); ++node) {
    std::uint8_t& all = own[node - constants_];
    if (inputs.contains(node)) all = 0;
    arena().for_each_operand(node, true, [&](NodeId operand) {
      all &= operand < constants_ ? std::uint8_t{0} : own[operand - constants_];
    });
    if (all == 0 || !arena().has_handle(node)) continue;
    const auto object = py::reinterpret_steal<py::object>(object_of(node));
    if (Py_REFCNT(object.ptr()) > ours[object.ptr()] + 1) {
      traced_.kept.push_back(node);
      held_.push_back(object);
    }
  }
}

void Trace::compared(PyObject* left, double left_number, PyObject* right, double right_number,
                     program::Relation relation, bool outcome) {
  const program::Comparison comparison{hold(left),   hold(right), left_number,
                                       right_number, relation,    outcome};
  traced_.decisions.push_back({comparison, static_cast<NodeId>(arena().size())});
}

void Trace::failed(core::Op op, PyObject* left, double left_number, PyObject* right,
                   double right_number, core::Failure failure) {
  const program::FailedOperation operation{op,          hold(left),   hold(right),
                                           left_number, right_number, failure};
  traced_.decisions.push_back({operation, static_cast<NodeId>(arena().size())});
}

void Trace::failed_call(const program::CallbackPointer& fails_alike,
                        const std::vector<PyObject*>& operands,
                        const std::vector<double>& numbers) {
  program::FailedCall call{fails_alike, {}, numbers};
  for (PyObject* operand : operands) call.operands.push_back(hold(operand));
  traced_.decisions.push_back({std::move(call), static_cast<NodeId>(arena().size())});
}

NoTrace::NoTrace()
    : trace_(std::exchange(innermost_trace, nullptr)),
      compiled_calls_(std::exchange(compiled_calls, 0)) {}

NoTrace::~NoTrace() {
  innermost_trace = trace_;
  compiled_calls = compiled_calls_;
}

NodeId Trace::hold(PyObject* value) {
  if (value == nullptr) return core::kNoNode;
  held_.push_back(py::reinterpret_borrow<py::object>(value));
  return use(value);
}

void Trace::refused(const py::object& exception) {
  if (!refusal_) refusal_ = exception;
}

void Trace::throw_refusal() const {
  if (!refusal_) return;
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(refusal_.ptr())), refusal_.ptr());
  throw py::error_already_set();
}

bool Trace::may_change(NodeId node) const {
  if (node < constants_) return true;
  std::vector<std::uint8_t> reached(std::size_t{node} + 1 - constants_, 0);
  reached.back() = 1;
  bool older = false;
  for (std::size_t k = reached.size(); k-- > 0 && !older;) {
    if (reached[k] == 0) continue;
    arena().for_each_operand(static_cast<NodeId>(constants_ + k), true, [&](NodeId operand) {
      if (operand < constants_)
        older = true;
      else
        reached[operand - constants_] = 1;
    });
  }
  return older;
}

bool Trace::has_used(NodeId node) const {
  bool used = false;
  for (NodeId later = node + 1; later < arena().size() && !used; ++later)
    arena().for_each_operand(later, true, [&](NodeId operand) { used |= operand == node; });
  return used;
}

bool note_frozen_slowly(PyObject* value, const char* what) {
  if (tracing() == nullptr || !tracing()->may_change(node_of(value))) return true;
  return warn("%s of a Value while a function is compiled freezes its number: later calls of the "
              "compiled function use the number of now",
              what);
}

void refuse_writing_slowly(PyObject* value) {
  Trace* trace = tracing();
  if (trace == nullptr) return;
  const NodeId node = node_of(value);
  if (!trace->may_change(node) && !trace->has_used(node)) return;
  PyErr_SetString(PyExc_TypeError,
                  "data cannot be assigned to a Value while a function is compiled: the program "
                  "would not do it again");
  remember_refusal();
  throw py::error_already_set();
}

bool note_hash(PyObject* value) {
  Trace* const trace = tracing();
  if (trace == nullptr || !trace->may_change(node_of(value)) || !trace->first_hash()) return true;
  return warn(
      "%s of a Value while a function is compiled is that of the object, not of its number: "
      "sets and dicts do not find equal numbers",
      "the hash");
}

void throw_recorded(core::Failure failure, core::Op op, Operand a, Operand b) {
  if (Trace* trace = tracing()) trace->failed(op, a.value, a.number, b.value, b.number, failure);
  const bool divides = core::op_info(op).may_fail == core::MayFail::Divide;
  const bool first = a.value != nullptr && (b.value == nullptr || !divides);
  const PyObject* const blamed = first ? a.value : b.value;
  const NodeId node = blamed == nullptr ? core::kNoNode : node_of(const_cast<PyObject*>(blamed));
  core::throw_failure(failure, op, a.number, b.number, node);
}

core::NodeId stop_gradient(core::NodeId node) {
  core::Arena& g = arena();
  g.reserve(2, 1);
  *g.next_edges() = node;
  const core::NodeId call = g.push_function(program::value_with_partials(0), 1);
  return g.push(core::Op::FunctionResult, g.data(node), {call, 0});
}

void bind_trace(py::module_& module) {
  frozen_warning = new_exception(
      module, "FrozenValueWarning",
      "A number was read out of a Value while a function was compiled, which freezes it.",
      PyExc_UserWarning);
}

} // namespace arenagrad::bindings
