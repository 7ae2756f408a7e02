// A function being compiled: what it does to Values is recorded as always, and this remembers what
// the arena does not: its inputs, its comparisons, its operations that failed. While one is under
// way in this thread, Values compare, and are true, by number; reading a number out of one that
// depends on anything warns, since the number is frozen into the program. No node is dropped
// meanwhile, since an operation whose result nobody keeps may fail in another run. Needs the GIL;
// costs a branch on a global where none is under way.
#pragma once

#include <optional>
#include <vector>

#include "call_sites.h"
#include "program/passes/capture.h"
#include "value.h"

namespace arenagrad::bindings {

class Trace {
public:
  // Begins one in this thread, inside any other.
  Trace();
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  // A new Value that is the next input. Requires that nothing else has been recorded since.
  py::object input(double number);
  // An older Value as the next input: the parameter of a model.
  void input_of(PyObject* value);
  // The program of the outputs, Values all. Throws CannotCapture. An operation whose error the
  // function would catch is a decision then; `catches` says it (call_sites.h), or is None for none.
  program::Captured finish(const std::vector<py::object>& outputs, const program::Passes& passes,
                           const py::object& catches);

  // Remembers a comparison of the primals of `left` and `right`, of which one may be null, a
  // number.
  void compared(PyObject* left, double left_number, PyObject* right, double right_number,
                program::Relation relation, bool outcome);
  // Remembers an operation that failed on `left` and `right`, of which either may be null, a
  // number.
  void failed(core::Op op, PyObject* left, double left_number, PyObject* right, double right_number,
              core::Failure failure);
  // Remembers a call of a function outside of programs that failed on these operands, of which any
  // may be null, a number.
  void failed_call(const program::CallbackPointer& fails_alike,
                   const std::vector<PyObject*>& operands, const std::vector<double>& numbers);
  // Remembers a node whose operation can fail in another run, whether it is used or not.
  void recorded_fallible(core::NodeId node) {
    traced_.fallible.push_back(node);
    call_sites_.add(node);
  }
  void look_at_call_sites() { call_sites_.look(); }
  // Remembers an exception, a refusal: the trace ends with it, caught or not.
  void refused(const py::object& exception);
  // Throws the first refusal, if there was one.
  void throw_refusal() const;
  // Whether the primal of this node may be another when the program runs.
  bool may_change(core::NodeId node) const;
  // Whether anything has been made of this node.
  bool has_used(core::NodeId node) const;
  // Whether this is the first time that it is asked.
  bool first_hash() { return !std::exchange(hashed_, true); }

private:
  void find_kept(const std::vector<py::object>& outputs);
  void decide_what_is_caught(const py::object& catches);
  core::NodeId hold(PyObject* value);

  std::optional<core::Arena::Untrimmed> untrimmed_;
  const core::Arena::Frozen frozen_;
  core::NodeId first_;     // nodes below are older
  core::NodeId constants_; // leaves from here on are numbers of the function's own
  program::Traced traced_;
  CallSites call_sites_;
  std::vector<py::object> held_; // keep the nodes of what is decided by
  py::object refusal_;           // the first, an exception
  bool hashed_ = false;
  Trace* const around_;
  const int no_grad_; // how many no_grad blocks it was begun in: they do not reach inside
};

extern int traces; // under way, of all threads
extern thread_local Trace* innermost_trace;

// While it lives, this thread has no trace: for functions that are called with numbers.
class NoTrace {
public:
  NoTrace();
  NoTrace(const NoTrace&) = delete;
  NoTrace& operator=(const NoTrace&) = delete;
  ~NoTrace();

private:
  Trace* const trace_;
  const int compiled_calls_;
};

inline Trace* tracing() { return traces == 0 ? nullptr : innermost_trace; }

// How many compiled functions that Values were given to are being called: a thread in one compares
// Values by number, whether it traces or not.
extern thread_local int compiled_calls;
inline bool compares_by_number() { return tracing() != nullptr || compiled_calls != 0; }

// One of two operands that an operation was given: a Value with its primal, or a number alone.
struct Operand {
  PyObject* value = nullptr;
  double number = 0.0;
};
inline Operand operand_of(PyObject* value) { return {value, arena().data(node_of(value))}; }

// Throws the error of a failure. A trace under way remembers it.
[[noreturn]] void throw_recorded(core::Failure failure, core::Op op, Operand a, Operand b);
// To be called with each node of an operation that can fail. Returns it.
inline core::NodeId note_fallible(core::NodeId node) {
  if (Trace* trace = tracing()) trace->recorded_fallible(node);
  return node;
}
// core::check_primal for operations that are recorded.
inline void check_recorded(core::Op op, Operand a, Operand b, double y) {
  const core::Failure failure = core::failure_of(op, a.number, b.number, y);
  if (failure != core::Failure::None) [[unlikely]]
    throw_recorded(failure, op, a, b);
}

// To be called before a number is read out of a Value. Null or false: the warning has become an
// error, which is set.
bool note_frozen_slowly(PyObject* value, const char* what);
inline bool note_frozen(PyObject* value, const char* what) {
  return traces == 0 || note_frozen_slowly(value, what);
}
// The same, throwing error_already_set.
inline void warn_if_frozen(PyObject* value, const char* what) {
  if (!note_frozen(value, what)) throw py::error_already_set();
}
// Throws TypeError for a number that is about to be written into a Value of a trace.
void refuse_writing_slowly(PyObject* value);
inline void refuse_writing(PyObject* value) {
  if (traces != 0) refuse_writing_slowly(value);
}

// Lets the trace under way, if any, end with the Python error that is set. Returns false.
bool remember_refusal();
// To be called before a Value is hashed. False: the warning has become an error, which is set.
bool note_hash(PyObject* value);
// To be called when an operation has been recorded, with nothing of it left to do.
inline void operation_done() {
  if (Trace* trace = tracing()) trace->look_at_call_sites();
}
// A new node of the same number, by which nothing has a derivative. Only while a trace is under
// way, so that nodes stay where they are.
core::NodeId stop_gradient(core::NodeId node);

} // namespace arenagrad::bindings
