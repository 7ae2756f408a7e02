// arenagrad.pure_callback(): calls of functions of Python's, recorded as calls of programs with one
// instruction for each number of the result.
#include "callback.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <unordered_map>

#include "bindings/pytree/derived_structures.h"
#include "bindings/pytree/flatten.h"
#include "bindings/pytree/unflatten.h"
#include "bindings/value/gil.h"
#include "bindings/value/release_later.h"
#include "program/passes/builder.h"
#include "recorded_call.h"

namespace arenagrad::bindings {

struct CallbackFunction : Releasable {
  CallbackFunction(const py::object& function, const py::object& rule, const PyTree& arguments,
                   const PyTree& result)
      : function(function), rule(rule), arguments(arguments), result(result),
        adjoint(gradient_of(result)), gradient(gradient_of(arguments)),
        name(py::str(py::getattr(function, "__qualname__", py::repr(function)))) {}

  const py::object function, rule; // the rule may be None
  const PyTree arguments, result;
  const PyTree adjoint, gradient; // the structures of what the rule is given beside, and gives
  const std::string name;
  const char kinds[4] = {}; // whose addresses are the keys of callbacks
};

namespace {

using FunctionPointer = std::shared_ptr<const CallbackFunction>;
using program::CallbackPointer;

// Drops references where that may run anything.
struct DropLater {
  void operator()(Releasable* object) const { release_later(object); }
};

// The class and the arguments of an exception, and not the frames that it refers to.
struct KeptOutcome : Releasable {
  explicit KeptOutcome(const py::tuple& outcome) : outcome(outcome) {}
  const py::tuple outcome;
};

std::shared_ptr<const py::tuple> kept(const py::tuple& outcome) {
  const std::shared_ptr<KeptOutcome> holder(new KeptOutcome(outcome), DropLater());
  return {holder, &holder->outcome};
}

// The functions of live callbacks, by their addresses. Needs the GIL.
using LiveFunctions = std::unordered_multimap<PyObject*, std::weak_ptr<const CallbackFunction>>;
LiveFunctions& live_functions() {
  static auto& live = *new LiveFunctions; // threads may outlive exit()
  return live;
}

FunctionPointer function_of(const py::object& function, const py::object& rule,
                            const PyTree& arguments, const PyTree& result) {
  release_now();
  std::vector<FunctionPointer> candidates; // comparing may run what changes the table
  LiveFunctions& live = live_functions();
  for (auto [at, end] = live.equal_range(function.ptr()); at != end;) {
    if (FunctionPointer known = at->second.lock())
      candidates.push_back(std::move(known)), ++at;
    else
      at = live.erase(at);
  }
  for (const FunctionPointer& known : candidates)
    if (known->rule.is(rule) && known->arguments == arguments && known->result == result)
      return known;
  FunctionPointer made(new CallbackFunction(function, rule, arguments, result), DropLater());
  live.emplace(function.ptr(), made);
  return made;
}

// Calls what calls Python, in any thread; an Exception is thrown as CallFailed, and what is none,
// such as KeyboardInterrupt, as it is.
template <class Body> void call_python(Body&& body) {
  const HeldGil held;
  const NoTrace no_trace;
  const program::Calls::Suspended no_calls;
  const auto fail = [](const py::error_already_set& error) {
    if (error.matches(PyExc_Exception)) throw program::CallFailed(std::current_exception());
  };
  try {
    try {
      body();
    } catch (const py::builtin_exception& error) { // thrown here, for results that do not fit
      error.set_error();
      throw py::error_already_set();
    }
  } catch (const py::error_already_set& error) {
    fail(error);
    throw;
  }
}

void copy_numbers(const PyTree& structure, const py::object& object, const std::string& what,
                  double* to) {
  std::ranges::copy(flatten(structure, object, what.c_str()), to);
}

py::tuple outcome_of(const py::object& exception) {
  return py::make_tuple(py::type::of(exception), exception.attr("args"));
}

// How a failed call has ended.
py::tuple outcome_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const py::error_already_set& python) {
    return outcome_of(python.value());
  }
}

bool are_alike(const py::tuple& one, const py::tuple& other) {
  if (!py::object(one[0]).is(py::object(other[0]))) return false;
  const py::object a = one[1], b = other[1];
  const int equal = PyObject_RichCompareBool(a.ptr(), b.ptr(), Py_EQ);
  if (equal < 0) throw py::error_already_set();
  return equal != 0;
}

} // namespace

PythonCallback::PythonCallback(FunctionPointer function, Kind kind)
    : function_(std::move(function)), kind_(kind) {}

PythonCallback::PythonCallback(FunctionPointer function, const py::tuple& outcome)
    : function_(std::move(function)), kind_(Kind::FailsAlike), outcome_(kept(outcome)) {}

std::size_t PythonCallback::operands() const {
  const std::size_t count = function_->arguments.numbers();
  return kind_ == Kind::Pullback ? count + function_->adjoint.numbers() : count;
}

std::size_t PythonCallback::results() const {
  if (kind_ == Kind::Function) return function_->result.numbers();
  return kind_ == Kind::Pullback ? function_->gradient.numbers() : 1;
}

void PythonCallback::call(const double* operands, double* results) const {
  if (kind_ == Kind::Function) return call_function(operands, results);
  if (kind_ == Kind::Pullback) return call_rule(operands, results);
  const program::CallResult result =
      call_result(PythonCallback(function_, Kind::Function), operands);
  *results = comes_out_alike(result) ? 1.0 : 0.0;
}

void PythonCallback::call_function(const double* operands, double* results) const {
  call_python([&] {
    const py::tuple arguments = unflatten(function_->arguments, operands);
    const py::object result = function_->function(*arguments);
    copy_numbers(function_->result, result, "what " + function_->name + " gives", results);
  });
}

// What is weighted by 0 adds nothing, whatever the rule would say of it.
void PythonCallback::call_rule(const double* operands, double* results) const {
  const double* const adjoint = operands + function_->arguments.numbers();
  const std::size_t count = function_->adjoint.numbers();
  if (std::all_of(adjoint, adjoint + count, [](double a) { return a == 0.0; })) {
    std::fill_n(results, function_->gradient.numbers(), 0.0);
    return;
  }
  call_python([&] {
    const py::tuple arguments = unflatten(function_->arguments, operands);
    const py::object weights = unflatten(function_->adjoint, adjoint);
    const py::object gradient = function_->rule(*arguments, weights);
    copy_numbers(function_->gradient, gradient, "what vjp of " + function_->name + " gives",
                 results);
  });
}

bool PythonCallback::comes_out_alike(const program::CallResult& result) const {
  if (kind_ == Kind::Succeeds) return result.error == nullptr;
  if (result.error == nullptr) return false;
  bool alike = false;
  call_python([&] { alike = are_alike(*outcome_, outcome_of(result.error)); });
  return alike;
}

CallbackPointer PythonCallback::pullback() const {
  const bool has_rule = kind_ == Kind::Function && function_->rule.ptr() != Py_None;
  return has_rule ? std::make_shared<PythonCallback>(function_, Kind::Pullback) : nullptr;
}

CallbackPointer PythonCallback::succeeds() const {
  return std::make_shared<PythonCallback>(function_, Kind::Succeeds);
}

const void* PythonCallback::key() const {
  if (kind_ == Kind::FailsAlike) return outcome_.get();
  return &function_->kinds[static_cast<std::size_t>(kind_)];
}

std::string PythonCallback::name() const {
  constexpr const char* kPrefixes[] = {"", "vjp of ", "success of ", "failure of "};
  return kPrefixes[static_cast<std::size_t>(kind_)] + function_->name;
}

py::tuple PythonCallback::to_parts() const {
  return py::make_tuple(function_->function, function_->rule, function_->arguments,
                        function_->result, static_cast<int>(kind_),
                        outcome_ == nullptr ? py::tuple() : *outcome_);
}

std::shared_ptr<const PythonCallback> PythonCallback::of_parts(const py::tuple& parts) {
  const auto kind = parts[4].cast<int>();
  if (kind < 0 || kind > static_cast<int>(Kind::FailsAlike) || !PyCallable_Check(parts[0].ptr()))
    throw core::FormatError("a pickled program has a callback that is none");
  const FunctionPointer function = function_of(parts[0], parts[1], parts[2].cast<const PyTree&>(),
                                               parts[3].cast<const PyTree&>());
  if (static_cast<Kind>(kind) == Kind::FailsAlike)
    return std::make_shared<PythonCallback>(function, parts[5].cast<py::tuple>());
  return std::make_shared<PythonCallback>(function, static_cast<Kind>(kind));
}

// --- recording ----------------------------------------------------------------------------------

namespace {

// A program that does nothing but call.
RecordedFunctionPointer program_of_call(const CallbackPointer& callback) {
  program::Builder builder(program::Passes::none());
  std::vector<program::Index> operands(callback->operands());
  std::ranges::generate(operands, [&] { return builder.input(); });
  constexpr bool kChecked = true;
  for (std::size_t k = 0; k < callback->results(); ++k)
    builder.output(builder.emit_call(callback, k, operands, kChecked));
  return std::make_shared<RecordedFunction>(builder.finish(), false);
}

// The structure of what a function gave, and its numbers.
FlatArguments read_result(const py::object& function, const py::object& result) {
  const auto refuse = [&](const std::string& why) {
    throw py::type_error("pure_callback() calls a function that gives numbers, and " +
                         std::string(py::repr(function)) + " gave " + why);
  };
  FlatArguments read =
      flatten_unknown_arguments(py::make_tuple(result), {}, py::dict(), py::make_tuple());
  read.structure = read.structure.child(0);
  if (read.has_values) refuse("Values: what is written with Values needs no callback");
  for (const TreeNode& node : read.structure.nodes())
    if (node.kind == TreeNode::Kind::Static || node.kind == TreeNode::Kind::Module)
      refuse(std::string(py::repr(result)));
  return read;
}

RecordedCall operands_of(const FlatArguments& arguments, const PlacedValues& values) {
  RecordedCall operands;
  operands.numbers = arguments.numbers;
  operands.values.resize(operands.numbers.size(), nullptr);
  for (const auto& [place, value] : values) operands.add_value(place, value.ptr());
  return operands;
}

// The function called with numbers. Where it fails, a trace under way must know: the function that
// is traced may catch the error.
py::object call_with_numbers(const py::object& function, const py::object& rule,
                             const FlatArguments& arguments, const RecordedCall& operands) {
  try {
    const NoTrace no_trace;
    const py::tuple given = unflatten(arguments.structure, arguments.numbers.data());
    return function(*given);
  } catch (const py::error_already_set& error) {
    Trace* const trace = tracing();
    if (trace != nullptr && error.matches(PyExc_Exception)) {
      const FunctionPointer failed = function_of(function, rule, arguments.structure, tuple_of({}));
      trace->failed_call(std::make_shared<PythonCallback>(failed, outcome_of(error.value())),
                         operands.values, operands.numbers);
    }
    throw;
  }
}

py::object pure_callback(const py::object& function, const py::tuple& arguments,
                         const py::object& rule) {
  PlacedValues values;
  const FlatArguments given =
      flatten_unknown_arguments(arguments, {}, py::dict(), py::make_tuple(), &values);
  if (values.empty()) return function(*arguments);
  RecordedCall call = operands_of(given, values);
  const py::object result = call_with_numbers(function, rule, given, call);
  const FlatArguments read = read_result(function, result);
  const auto callback = std::make_shared<PythonCallback>(
      function_of(function, rule, given.structure, read.structure), PythonCallback::Kind::Function);
  call.numbers.insert(call.numbers.end(), read.numbers.begin(), read.numbers.end());
  record_known(program_of_call(callback), call);
  return unflatten_values(read.structure, call.results);
}

} // namespace

void bind_callback(py::module_& module) {
  py::class_<PythonCallback, std::shared_ptr<PythonCallback>>(
      module, "Callback", "A function of Python's as programs call it.")
      .def(py::init([](const py::tuple& parts) {
             return std::const_pointer_cast<PythonCallback>(PythonCallback::of_parts(parts));
           }),
           py::arg("parts"))
      .def("__reduce__", [](const py::object& self) {
        const py::tuple parts = self.cast<const PythonCallback&>().to_parts();
        return py::make_tuple(py::type::of(self), py::make_tuple(parts));
      });
  module.def("pure_callback", pure_callback, py::arg("function"), py::arg("arguments"),
             py::arg("rule"),
             "Call a function on the numbers of these arguments; where there are Values among "
             "them the numbers of the result are Values, with the derivatives of the rule.");
}

} // namespace arenagrad::bindings
