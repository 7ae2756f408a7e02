// Where Value objects come from, and how all live ones are found. Needs the GIL.
#pragma once

#include <memory>
#include <vector>

#include "handle.h"

namespace arenagrad::bindings {

// Where plain Values come from: blocks of address space, and a stack of dead objects for reuse,
// each still owning its reference to the type. The blocks also say where every live handle is, so
// that recording need not keep a list of them.
//
// A stack and not a list through the objects: the processor then need not wait for one object to be
// written before it knows the next (4 ns in a loop of three operations).
class ValuePool {
public:
  bool empty() const { return ready_count_ == 0; }
  PyValue* take() {
    PyValue* value = ready_[--ready_count_];
#ifdef Py_REF_DEBUG
    _Py_NewReference(as_object(value));
#else
    Py_SET_REFCNT(as_object(value), 1);
#endif
    value->dict = nullptr;
    return value;
  }
  bool full() const { return ready_count_ == kReady; }
  // Requires !full() and a detached handle.
  void put(PyValue* value) { ready_[ready_count_++] = value; }

  // Makes empty() false, or throws std::bad_alloc.
  void grow();
  // Makes full() false.
  void spill();
  // Gives blocks without a live Value back to the system when most of them are dead. Cost: looks at
  // every object, but only after as many have died.
  void shrink_if_worth();
  // Calls visit for each attached handle.
  void walk(core::HandleIndex::Visit visit, void* context);

private:
  static constexpr std::size_t kReady = 1024;
  struct Block;
  template <class Use> void each_object(Use&& use);
  void put_aside(PyValue* value);

  std::size_t ready_count_ = 0;
  PyValue* ready_[kReady];
  PyObject* aside_ = nullptr; // more dead objects, each holding the next in its `dict`
  std::vector<std::unique_ptr<Block>>* blocks_ = nullptr; // leaked: Values may die very late
  std::size_t shrink_below_ = 0, blocks_left_ = 0;        // as the last shrinking found them
};
extern ValuePool pool;

// A fresh object without a node; attach one at once, which also clears its bits. Throws
// std::bad_alloc.
inline PyValue* new_handle() {
  if (pool.empty()) [[unlikely]]
    pool.grow();
  return pool.take();
}
// Instances of subclasses are Python's own objects: they are remembered one by one.
void remember_instance(PyValue* value);
void forget_instance(PyValue* value);
void walk_handles(core::HandleIndex::Visit visit, void* context);

} // namespace arenagrad::bindings
