// Reclaiming nodes whose Python state refers back to them.
//
// `out._backward = fn`, with fn closing over `out`, is a cycle through the arena that Python's own
// collector cannot see. The state of each node (its dict) is therefore searched here the way a
// cycle collector does it: references to Values are counted that come from objects owned by states
// alone; an object with no other references is not a root. The nodes that no root reaches lose
// their state, the closures die, and the rest is ordinary reclaiming.
#include <algorithm>
#include <new>
#include <vector>

#include "object_table.h"
#include "value.h"

namespace arenagrad::bindings {
namespace {

using core::Arena;
using core::Handle;
using core::NodeId;

constexpr std::size_t kStatesMin = 4096;
constexpr int kPasses = 4; // of a collection, at most: the next one goes on

std::size_t state_count = 0, pinned_count = 0;
std::size_t states_limit = kStatesMin; // look for cycles when there are more states than this
bool pinned = false;                   // something has been pinned since this was last cleared
bool busy = false;                     // collecting or releasing: do not start again from within

class Busy {
public:
  Busy() { busy = true; }
  ~Busy() { busy = false; }
};

// Calls use(value) for each object with state.
template <class Use> void each_state(Use&& use) {
  walk_handles(
      [](Handle& handle, void* context) {
        if (handle.bits & Handle::Stateful) (*static_cast<Use*>(context))(owner(&handle));
      },
      &use);
}

void traverse(PyObject* object, visitproc visit, void* argument) {
  if (traverseproc children = Py_TYPE(object)->tp_traverse) children(object, visit, argument);
}

// The objects that states own: reached from a dict only through objects all of whose references
// come from there.
class Ownership {
public:
  Ownership() : known_(8 * state_count) {
    each_state([this](PyValue* state) {
      if (state->dict != nullptr) refer(state->dict);
    });
    while (!pending_.empty()) {
      PyObject* object = pending_.back();
      pending_.pop_back();
      traverse(
          object,
          [](PyObject* target, void* self) {
            static_cast<Ownership*>(self)->refer(target);
            return 0;
          },
          this);
    }
  }

  bool is_root(PyValue* value) {
    Py_ssize_t inside = value->link.bits & Handle::Pinned ? 1 : 0;
    if (const KnownObject* found = known_.find(as_object(value))) inside += found->references;
    return Py_REFCNT(as_object(value)) > inside;
  }

  // Whether states own `object` and this is the first time it is asked.
  bool owns_unvisited(PyObject* object) {
    KnownObject* found = known_.find(object);
    if (found == nullptr || !found->owned || found->visited) return false;
    return found->visited = true;
  }

private:
  void refer(PyObject* target) {
    const bool value = is_value(target);
    if (!value && !PyObject_IS_GC(target)) return;
    KnownObject& entry = known_[target];
    if (++entry.references != Py_REFCNT(target) || value) return;
    entry.owned = true;
    pending_.push_back(target);
  }

  ObjectTable known_;
  std::vector<PyObject*> pending_;
};

// Marks what the roots reach, through operands and through the states of what is reached.
class Marking {
public:
  explicit Marking(Ownership& ownership) : ownership_(ownership), marked_(arena().size()) {
    walk_handles(
        [](Handle& handle, void* marking) { static_cast<Marking*>(marking)->mark_if_root(handle); },
        this);
    Arena& g = arena();
    while (!pending_.empty()) {
      const NodeId node = pending_.back();
      pending_.pop_back();
      g.for_each_operand(node, true, [&](NodeId operand) { mark(operand); });
      if (Handle* handle = g.handle_of(node)) mark_owned(owner(handle)->dict);
    }
  }

  bool reached(PyValue* value) const { return marked_[value->link.node]; }

private:
  void mark_if_root(Handle& handle) {
    if (ownership_.is_root(owner(&handle))) mark(handle.node);
  }

  void mark(NodeId node) {
    if (marked_[node]) return;
    marked_[node] = true;
    pending_.push_back(node);
  }

  void mark_owned(PyObject* object) {
    if (object == nullptr) return;
    objects_.push_back(object);
    while (!objects_.empty()) {
      object = objects_.back();
      objects_.pop_back();
      if (is_value(object)) {
        mark(node_of(object));
      } else if (ownership_.owns_unvisited(object)) {
        traverse(
            object,
            [](PyObject* target, void* self) {
              static_cast<Marking*>(self)->objects_.push_back(target);
              return 0;
            },
            this);
      }
    }
  }

  Ownership& ownership_;
  std::vector<bool> marked_;
  std::vector<NodeId> pending_;
  std::vector<PyObject*> objects_;
};

// Takes the state from every node that nothing outside reaches.
void break_cycles() {
  std::vector<PyObject*> doomed; // references that keep the objects until all links are cut
  std::vector<PyObject*> dicts;
  // All memory is claimed before anything changes.
  doomed.reserve(state_count), dicts.reserve(state_count);
  {
    Ownership ownership;
    const Marking marking(ownership);
    each_state([&](PyValue* value) {
      if (!marking.reached(value)) doomed.push_back(Py_NewRef(as_object(value)));
    });
  }
  for (PyObject* object : doomed) {
    PyValue* value = as_value(object);
    value->link.bits |= Handle::Doomed;
    dicts.push_back(value->dict);
    value->dict = nullptr;
    arena().set_callback(value->link.node, false);
    const bool was_pinned = value->link.bits & Handle::Pinned;
    forget_state(value);
    if (was_pinned) Py_DECREF(object);
  }
  for (PyObject* dict : dicts) Py_XDECREF(dict);
  for (PyObject* object : doomed) Py_DECREF(object);
}

} // namespace

void remember_state(PyValue* value) {
  if (value->link.bits & Handle::Stateful) return;
  value->link.bits |= Handle::Stateful;
  if (++state_count > states_limit && !busy && !arena().sweeping()) collect(false);
}

void forget_state(PyValue* value) {
  if (value->link.bits & Handle::Stateful) --state_count;
  if (value->link.bits & Handle::Pinned) --pinned_count;
  value->link.bits &= ~static_cast<std::uint32_t>(Handle::Pinned | Handle::Stateful);
}

void pin(PyValue* value) {
  Py_INCREF(as_object(value));
  if (!(value->link.bits & Handle::Stateful)) ++state_count;
  ++pinned_count;
  value->link.bits |= Handle::Pinned | Handle::Stateful;
  pinned = true;
}

std::size_t collect(bool always) {
  if (busy || arena().sweeping()) return 0;
  const Busy scope;
  Arena& g = arena();
  const std::size_t before = g.size();
  try {
    // What a dying closure alone held may have been pinned for its node: then there is more to
    // find.
    for (int pass = 0; pass < kPasses && state_count != 0; ++pass) {
      pinned = false;
      break_cycles();
      if (!pinned) break;
    }
  } catch (const std::bad_alloc&) {
    always = true; // no memory to find cycles with: at least give back what is dead without them
  }
  if (always)
    g.compact();
  else
    g.compact_if_worth();
  // A look goes over all handles, so it waits until it has found work in proportion.
  states_limit = std::max({kStatesMin, 2 * state_count, g.handle_count() / 8});
  return before - std::min(before, g.size());
}

void drop_pinned_at_top() {
  Arena& g = arena();
  if (pinned_count == 0 || busy || g.size() == 0 || g.sweeping()) [[likely]]
    return;
  const Busy scope;
  while (g.size() != 0) {
    Handle* top = g.handle_of(static_cast<NodeId>(g.size() - 1));
    if (top == nullptr || !(top->bits & Handle::Pinned)) return;
    PyValue* value = owner(top);
    if (Py_REFCNT(as_object(value)) != 1) return;
    forget_state(value);
    value->link.bits |= Handle::Doomed;
    Py_DECREF(as_object(value));
  }
}

} // namespace arenagrad::bindings
