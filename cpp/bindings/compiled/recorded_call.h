// Calls of programs on Values, which the arena records as one node with a node for each result
// (core/function_nodes.h). Needs the GIL. Cost: that of the program, and of a Value for each
// result.
#pragma once

#include "bindings/value/record.h"
#include "program/point/point_function.h"

namespace arenagrad::bindings {

using RecordedFunction = program::PointFunction;
using RecordedFunctionPointer = std::shared_ptr<RecordedFunction>;

// A call: its operands are numbers, of which some are those of Values.
struct RecordedCall {
  std::vector<double> numbers;     // those of the results behind them once it is recorded
  std::vector<PyObject*> values;   // null where there is a number alone
  std::vector<py::object> results; // Values, once it is recorded

  void add_value(std::size_t place, PyObject* value);
};

// Whether the call is recorded. It is not if another variant may be the one that the numbers take:
// a guard came out otherwise, or a checked number is not finite. Where the numbers are known to
// take this one, that says nothing, but a strict derivative throws where the arena's sweep would.
bool record_call(RecordedFunctionPointer function, RecordedCall& call, bool is_taken);

// Records a call whose results are known: they stand among its numbers behind the operands.
void record_known(RecordedFunctionPointer function, RecordedCall& call);

} // namespace arenagrad::bindings
