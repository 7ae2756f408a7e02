// Calls of programs on Values, which the arena records as one node with a node for each result
// (core/function_nodes.h). Needs the GIL. Cost: that of the program, and of a Value for each
// result.
#pragma once

#include <optional>

#include "bindings/value/record.h"
#include "program/point/point_function.h"

namespace arenagrad::bindings {

using RecordedFunction = program::PointFunction;
using RecordedFunctionPointer = std::shared_ptr<RecordedFunction>;

// The operands of a call: numbers, of which some are those of Values.
struct CallOperands {
  std::vector<double> numbers;
  std::vector<PyObject*> values; // null where there is a number alone

  void add_value(std::size_t place, PyObject* value);
};

// The results, Values. Nothing if another variant may be the one that the numbers take: a guard
// came out otherwise, or a checked number is not finite. Where the numbers are known to take this
// one, that says nothing, but a strict derivative throws where the arena's sweep would.
std::optional<std::vector<py::object>> record_call(const RecordedFunctionPointer& function,
                                                   CallOperands& given, bool is_taken);

// The same where the results are known.
std::vector<py::object> record_known(const RecordedFunctionPointer& function,
                                     const CallOperands& given, const std::vector<double>& results);

} // namespace arenagrad::bindings
