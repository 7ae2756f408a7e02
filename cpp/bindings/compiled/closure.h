// The Values that a compiled function uses and was not given: parameters that it closes over. Their
// numbers are read anew each time. Needs the GIL.
#pragma once

#include <utility>
#include <vector>

#include "bindings/value/trace.h"

namespace arenagrad::bindings {

class Closure {
public:
  explicit Closure(std::vector<py::object> values) : values_(std::move(values)) {}

  std::size_t size() const { return values_.size(); }
  const std::vector<py::object>& values() const { return values_; }
  // Warns where reading the numbers freezes them into a trace under way. Throws error_already_set
  // where warnings are errors.
  void warn_if_frozen() const {
    for (const py::object& value : values_)
      bindings::warn_if_frozen(value.ptr(), "a compiled function's use");
  }
  void read(double* out) const {
    for (const py::object& value : values_) *out++ = arena().data(node_of(value.ptr()));
  }

  int traverse(visitproc visit, void* arg) const {
    for (const py::object& value : values_) Py_VISIT(value.ptr());
    return 0;
  }

private:
  std::vector<py::object> values_;
};

} // namespace arenagrad::bindings
