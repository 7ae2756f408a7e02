// Where in Python's code the operations of a trace that can fail were called from: each frame on
// the stack, up to the one that began the trace, whose code handles exceptions at all. Which of
// these would go on after an error is for Python to say (_compile/handlers.py), once the trace is
// over.
//
// Needs the GIL. Cost: about 30 ns a frame and operation. Invariant: code is kept alive while its
// address is.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <map>
#include <utility>
#include <vector>

#include "core/arena.h"

namespace arenagrad::bindings {

class CallSites {
public:
  // Of a trace that the running frame of Python begins.
  CallSites();

  void add(core::NodeId node) { new_.push_back(node); }
  // To be called from the operation's own call, once it is done: making frame objects may run the
  // collector.
  void look() {
    if (!new_.empty()) look_at_frames();
  }
  // The nodes whose error would be caught, in order. `catches`: called with code and an offset.
  std::vector<core::NodeId> caught(const pybind11::object& catches);

private:
  // Deeper stacks are not looked through: whatever is called there counts as caught.
  static constexpr int kMostFrames = 1000;

  using Site = std::pair<PyObject*, int>; // code, offset in it

  void look_at_frames();
  void note(const Site& site);

  PyObject* const first_;               // the frame of the beginning, only compared
  std::vector<core::NodeId> new_;       // not looked at yet
  std::vector<core::NodeId> too_deep_;  // nodes
  std::vector<pybind11::object> codes_; // of sites_
  std::map<Site, std::vector<core::NodeId>> sites_;
};

} // namespace arenagrad::bindings
