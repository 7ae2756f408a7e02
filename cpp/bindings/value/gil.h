// The GIL given up while numbers are worked on, and the end of threads when the interpreter exits.
//
// CPython before 3.14 ends a daemon thread that wants the GIL of an interpreter that exits, by
// pthread_exit. glibc does that by unwinding the stack as an exception would, but one that no frame
// may catch or stop: `catch (...)` and noexcept end the process, and destructors drop references
// without the GIL. So a thread that has frames of ours is never unwound. It stops for ever where it
// is, which is what CPython does from 3.14 on: here, before it asks for the GIL, and where Python
// itself asks for it, in gil.cpp.
#pragma once

#include <Python.h>

namespace arenagrad::bindings {

// Whether the interpreter has begun to exit. Needs no GIL.
inline bool interpreter_exits() {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

[[noreturn]] void stop_thread();

// Whether this is the thread that exits, which has given the GIL up for a while.
inline thread_local bool is_exiting_thread = false;

// Holds the GIL for its lifetime, in any thread, which may have it already.
class HeldGil {
public:
  HeldGil() {
    if (interpreter_exits() && !is_exiting_thread && PyGILState_Check() == 0) stop_thread();
    state_ = PyGILState_Ensure();
  }
  HeldGil(const HeldGil&) = delete;
  HeldGil& operator=(const HeldGil&) = delete;
  ~HeldGil() { PyGILState_Release(state_); }

private:
  PyGILState_STATE state_;
};

// Gives the GIL up for its lifetime. Requires that this thread has it.
class ReleasedGil {
public:
  ReleasedGil() : exits_(interpreter_exits()), thread_(PyEval_SaveThread()) {
    is_exiting_thread = exits_;
  }
  ReleasedGil(const ReleasedGil&) = delete;
  ReleasedGil& operator=(const ReleasedGil&) = delete;
  ~ReleasedGil() { take_back(); }

  // Holds the GIL again for its lifetime, in the thread that gave it up.
  class Held {
  public:
    explicit Held(ReleasedGil& released) : released_(released) { released_.take_back(); }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held() { released_.thread_ = PyEval_SaveThread(); }

  private:
    ReleasedGil& released_;
  };

private:
  // The thread that had the GIL after the exit began is the one that exits, and goes on.
  void take_back() {
    if (!exits_ && interpreter_exits()) stop_thread();
    PyEval_RestoreThread(thread_);
  }

  bool exits_; // had begun when the GIL was given up
  PyThreadState* thread_;
};

} // namespace arenagrad::bindings
