// A function being compiled: what it does to Values is recorded as always, and this remembers what
// the arena does not, its inputs and the comparisons it made. While one is under way in this
// thread, reading a number out of a Value that depends on anything warns, since the number is
// frozen into the program. Needs the GIL; costs a branch on a global where none is under way.
#pragma once

#include <vector>

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
  // The program of the outputs, Values all. Throws CannotCapture.
  program::Captured finish(const std::vector<py::object>& outputs, const program::Passes& passes);

  // Remembers a comparison of the primals of `left` and `right`, of which one may be null, a
  // number.
  void compared(PyObject* left, double left_number, PyObject* right, double right_number,
                program::Relation relation, bool outcome);
  // Whether the primal of this node may be another when the program runs.
  bool may_change(core::NodeId node) const;
  // Whether anything has been made of this node.
  bool has_used(core::NodeId node) const;
  // The nodes from `size` on are about to become leaves.
  void detaching(std::size_t size);
  bool take_detached() { return std::exchange(detached_, false); }

private:
  void find_kept(const std::vector<py::object>& outputs);

  const core::Arena::Frozen frozen_;
  core::NodeId first_;     // nodes below are older
  core::NodeId constants_; // leaves from here on are numbers of the function's own
  program::Traced traced_;
  std::vector<py::object> held_; // keep the nodes of what is compared
  bool detached_ = false;
  Trace* const around_;
  const int no_grad_; // how many no_grad blocks it was begun in: they do not reach inside
};

extern int traces; // under way, of all threads
extern thread_local Trace* innermost_trace;

inline Trace* tracing() { return traces == 0 ? nullptr : innermost_trace; }

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

// To be called with what an operation gives, after no_grad may have made it a leaf: the result, or
// null with an error set.
PyObject* note_detached(PyObject* result);

} // namespace arenagrad::bindings
