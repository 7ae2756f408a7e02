#include "call_sites.h"

#include <algorithm>

namespace arenagrad::bindings {

namespace py = pybind11;

namespace {

py::object running_frame() {
  return py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(PyEval_GetFrame()));
}

PyFrameObject* as_frame(const py::object& frame) {
  return reinterpret_cast<PyFrameObject*>(frame.ptr());
}

bool handles_exceptions(const py::object& code) {
  PyObject* const table = reinterpret_cast<PyCodeObject*>(code.ptr())->co_exceptiontable;
  return table != nullptr && PyBytes_GET_SIZE(table) != 0;
}

} // namespace

CallSites::CallSites() : first_(reinterpret_cast<PyObject*>(PyEval_GetFrame())) {}

void CallSites::look_at_frames() {
  py::object frame = running_frame();
  for (int depth = 0; frame && frame.ptr() != first_; ++depth) {
    if (depth == kMostFrames) {
      too_deep_.insert(too_deep_.end(), new_.begin(), new_.end());
      break;
    }
    const auto code = py::reinterpret_steal<py::object>(
        reinterpret_cast<PyObject*>(PyFrame_GetCode(as_frame(frame))));
    if (handles_exceptions(code)) {
      if (codes_.empty() || !codes_.back().is(code)) codes_.push_back(code);
      note({code.ptr(), PyFrame_GetLasti(as_frame(frame))});
    }
    frame = py::reinterpret_steal<py::object>(
        reinterpret_cast<PyObject*>(PyFrame_GetBack(as_frame(frame))));
  }
  new_.clear();
}

void CallSites::note(const Site& site) {
  std::vector<core::NodeId>& nodes = sites_[site];
  nodes.insert(nodes.end(), new_.begin(), new_.end());
}

std::vector<core::NodeId> CallSites::caught(const py::object& catches) {
  std::vector<core::NodeId> found = too_deep_;
  found.insert(found.end(), new_.begin(), new_.end()); // nobody has looked
  for (const auto& [site, nodes] : sites_)
    if (catches(py::handle(site.first), site.second).cast<bool>())
      found.insert(found.end(), nodes.begin(), nodes.end());
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

} // namespace arenagrad::bindings
