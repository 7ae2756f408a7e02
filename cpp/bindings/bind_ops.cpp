// The table of operations as functions of the module: exp(x) of a Value is a Value, of a number a
// float, by the same formula and with the same errors.
#include <array>

#include "value.h"

namespace arenagrad::bindings {
namespace {

using core::Op;

template <Op op> PyObject* function(PyObject*, PyObject* x) {
  if (is_value(x)) return value_unary(op, x);
  try {
    const double a = need_number(x, "the argument");
    const double y = core::evaluate(op, a, 0.0);
    core::check_primal(op, a, 0.0, y, core::kNoNode);
    return PyFloat_FromDouble(y);
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

constexpr PyCFunction kFunctions[] = {
#define ARENAGRAD_OP(Id, ...) function<Op::Id>,
#include "../core/ops.def"
};

} // namespace

void bind_ops(py::module_& module) {
  static std::array<PyMethodDef, core::kOpCount> definitions{};
  PyMethodDef* next = definitions.data(); // ends with an empty one
  for (std::size_t i = core::kFirstTableOp; i < core::kOpCount; ++i)
    if (core::kOpInfo[i].operands == core::Operands::Unary)
      *next++ = {core::kOpInfo[i].name, kFunctions[i - core::kFirstTableOp], METH_O,
                 "This function of x: a Value for a Value, a float for a real number.\n\n"
                 "Raises what Python's math raises outside its domain, TypeError for anything "
                 "else."};
  if (PyModule_AddFunctions(module.ptr(), definitions.data()) != 0) throw py::error_already_set();
}

} // namespace arenagrad::bindings
