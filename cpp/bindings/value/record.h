// How bindings record: room first, then the nodes, then the Value. Needs the GIL.
#pragma once

#include <cmath>
#include <type_traits>
#include <vector>

#include "trace.h"

namespace arenagrad::bindings {

// How many no_grad blocks this thread is in, and all threads together (bind_functional.cpp).
extern thread_local int no_grad_depth;

// Turns what has been recorded since this was made into leaves where the thread wants no graph; in
// a function being traced, whose program has to compute it, into numbers without derivatives.
class Recording {
public:
  Recording() : size_(arena().size()), edge_size_(arena().edge_size()) {}
  void finish(std::vector<core::NodeId>& nodes) const {
    if (arena().detaching() && no_grad_depth != 0) [[unlikely]] {
      if (tracing() == nullptr) return arena().detach_above(size_, edge_size_, nodes);
      for (core::NodeId& node : nodes) node = stop_gradient(node);
    }
  }
  core::NodeId finish(core::NodeId node) const {
    if (!arena().detaching()) [[likely]] // a thread's own number takes longer to find
      return node;
    std::vector<core::NodeId> nodes{node};
    finish(nodes);
    return nodes.front();
  }

private:
  std::size_t size_, edge_size_;
};

// What `body` returns, or null with a Python error set if it throws.
template <class Body> PyObject* guarded(Body&& body) {
  return caught<PyObject*>(nullptr, [&] {
    PyObject* result = nullptr;
    if constexpr (std::is_pointer_v<decltype(body())>)
      result = body();
    else
      result = py::object(body()).release().ptr();
    if (result != nullptr) operation_done();
    return result;
  });
}

// The Value of a node that has just been recorded. Throws std::bad_alloc.
inline PyObject* new_value(core::NodeId node) {
  PyValue* out = new_handle();
  arena().attach(out->link, node);
  if (arena().detaching() && no_grad_depth != 0) [[unlikely]]
    out->link.bits |= core::Handle::Detached;
  return as_object(out);
}

// A new Value whose node is what `record` returns, with room for `nodes` nodes and `edges` edges;
// null with a Python error set if anything throws. `record` reads operand indices only when called,
// because making room may move them.
template <class Record>
inline PyObject* recorded(std::size_t nodes, Record&& record, std::size_t edges = 0) {
  return guarded([&] {
    core::Arena& g = arena();
    g.reserve(nodes, edges);
    const Recording recording;
    return new_value(recording.finish(record(g)));
  });
}

// The usual case of an operation, which can neither fail nor call anything: one or two plain
// Values, room, and a result that may be. Null, with nothing done, if it is not that case.
template <core::Op op> inline PyObject* recorded_at_once(PyObject* a, PyObject* b = nullptr) {
  core::Arena& g = arena();
  if (!is_exact_value(a) || (b != nullptr && !is_exact_value(b)) || pool.empty() || !g.ready_for(1))
    return nullptr;
  constexpr bool fallible = core::op_info(op).may_fail != core::MayFail::Never;
  if (fallible && traces != 0) return nullptr;
  const double y = core::evaluate(op, g.data(node_of(a)), b == nullptr ? 0.0 : g.data(node_of(b)));
  if (fallible && !std::isfinite(y)) return nullptr;
  const core::NodeId second = b == nullptr ? core::kNoNode : use(b);
  PyValue* out = pool.take();
  g.attach_new(out->link, g.push(op, y, {use(a), second}, core::kHasHandle));
  return as_object(out);
}

// Records one table operation; `y` is checked before anything is marked.
inline core::NodeId record_checked(core::Arena& g, core::Op op, PyObject* a, PyObject* b) {
  const Operand x = operand_of(a), z = b == nullptr ? Operand() : operand_of(b);
  const double y = core::evaluate(op, x.number, z.number);
  check_recorded(op, x, z, y);
  const core::NodeId node = g.push(op, y, {use(a), b == nullptr ? core::kNoNode : use(b)});
  return core::op_info(op).may_fail == core::MayFail::Never ? node : note_fallible(node);
}

} // namespace arenagrad::bindings
