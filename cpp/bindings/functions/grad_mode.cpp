// Whether a graph is recorded, and adjoints set back to zero.
#include "arguments.h"
#include "bindings/value/record.h"
#include "core/sweep.h"
#include "documentation.h"
#include "operands.h"

namespace arenagrad::bindings {

thread_local int no_grad_depth = 0;

namespace {

int no_grad_blocks = 0; // of all threads

// Enters (+1) or leaves (-1) a no_grad block in this thread.
void no_grad(int step) {
  if ((step != 1 && step != -1) || no_grad_depth + step < 0)
    throw std::runtime_error("a no_grad block was left that had not been entered");
  no_grad_depth += step;
  no_grad_blocks += step;
  arena().set_detaching(no_grad_blocks != 0);
}

void zero_below(PyObject* root) {
  core::Arena& g = arena();
  const core::NodeId node = node_of(root);
  double* adjoints = g.gradients(std::size_t{node} + 1);
  if (g.op(node) == core::Op::Leaf) {
    adjoints[node] = 0.0;
    return;
  }
  for (const core::NodeId reached : core::reachable(g, node)) adjoints[reached] = 0.0;
}

void zero_below_all(PyObject* roots) {
  if (is_value(roots)) return zero_below(roots);
  const py::object items = items_as_tuple(roots, "zero_grad() wants a Value or Values");
  const Py_ssize_t count = PyTuple_GET_SIZE(items.ptr());
  for (Py_ssize_t i = 0; i < count; ++i)
    if (!is_value(PyTuple_GET_ITEM(items.ptr(), i)))
      throw py::type_error("zero_grad() wants Values, but number " + std::to_string(i) + " is " +
                           Py_TYPE(PyTuple_GET_ITEM(items.ptr(), i))->tp_name);
  for (Py_ssize_t i = 0; i < count; ++i) zero_below(PyTuple_GET_ITEM(items.ptr(), i));
}

PyObject* zero_grad(PyObject*, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  Arguments<1> a;
  if (!a.read("zero_grad", {"roots"}, 1, args, count, keywords)) return nullptr;
  return guarded([&] {
    zero_below_all(a[0]);
    return py::none();
  });
}

} // namespace

void bind_grad_mode(py::module_& module) {
  module.def(
      "no_grad_step", no_grad, py::arg("step"),
      "Enter (+1) or leave (-1) a block of this thread in which operations record no graph.");
}

void bind_zero_grad(py::module_& module) {
  static PyMethodDef definitions[] = {definition("zero_grad", zero_grad, kZeroGradDoc),
                                      {nullptr, nullptr, 0, nullptr}};
  if (PyModule_AddFunctions(module.ptr(), definitions) != 0) throw py::error_already_set();
}

} // namespace arenagrad::bindings
