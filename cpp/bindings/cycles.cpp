// Reclaiming nodes whose Python state refers back to them.
//
// `out._backward = fn`, with fn closing over `out`, is a cycle through the arena that Python's own
// collector cannot see. The state of each node (its dict) is therefore searched here the way a
// cycle collector does it: references to Values are counted that come from objects owned by states
// alone; an object with no other references is not a root. The nodes that no root reaches lose
// their state, the closures die, and the rest is ordinary reclaiming.
#include <algorithm>
#include <new>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "value.h"

namespace arenagrad::bindings {
namespace {

using core::Arena;
using core::Handle;
using core::NodeId;

std::unordered_set<PyValue*>& states() {
  static auto* set = new std::unordered_set<PyValue*>;
  return *set;
}

constexpr std::size_t kStatesMin = 4096;
constexpr int kPasses = 4;             // of a collection, at most: the next one goes on
bool pinned = false;                   // something has been pinned since this was last cleared
std::size_t states_limit = kStatesMin; // look for cycles when there are more states than this
bool busy = false;                     // collecting or releasing: do not start again from within

class Busy {
public:
  Busy() { busy = true; }
  ~Busy() { busy = false; }
};

// The objects that states own: reached from a dict only through objects all of whose references
// come from there.
class Ownership {
public:
  Ownership() {
    for (PyValue* state : states())
      if (state->dict != nullptr) refer(state->dict);
    while (!pending_.empty()) {
      PyObject* object = pending_.back();
      pending_.pop_back();
      owned_.insert(object);
      traverse(object, [](PyObject* target, void* self) {
        static_cast<Ownership*>(self)->refer(target);
        return 0;
      });
    }
  }

  bool owns(PyObject* object) const { return owned_.count(object) != 0; }

  bool is_root(PyValue* value) const {
    Py_ssize_t inside = value->link.bits & Handle::Pinned ? 1 : 0;
    const auto found = references_.find(as_object(value));
    if (found != references_.end()) inside += found->second;
    return Py_REFCNT(as_object(value)) > inside;
  }

  static void traverse(PyObject* object, visitproc visit, void* argument) {
    if (traverseproc children = Py_TYPE(object)->tp_traverse) children(object, visit, argument);
  }

private:
  void traverse(PyObject* object, visitproc visit) { traverse(object, visit, this); }

  void refer(PyObject* target) {
    const bool value = is_value(target);
    if (!value && !PyObject_IS_GC(target)) return;
    if (++references_[target] == Py_REFCNT(target) && !value) pending_.push_back(target);
  }

  std::unordered_map<PyObject*, Py_ssize_t> references_;
  std::unordered_set<PyObject*> owned_;
  std::vector<PyObject*> pending_;
};

// Marks what the roots reach, through operands and through the states of what is reached.
class Marking {
public:
  explicit Marking(const Ownership& ownership) : ownership_(ownership) {
    Arena& g = arena();
    marked_.resize(g.size());
    walk_handles(
        [](Handle& handle, void* marking) { static_cast<Marking*>(marking)->mark_if_root(handle); },
        this);
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
    std::vector<PyObject*> objects{object};
    while (!objects.empty()) {
      object = objects.back();
      objects.pop_back();
      if (object == nullptr) continue;
      if (is_value(object)) {
        mark(node_of(object));
      } else if (ownership_.owns(object) && visited_.insert(object).second) {
        Ownership::traverse(
            object,
            [](PyObject* target, void* list) {
              static_cast<std::vector<PyObject*>*>(list)->push_back(target);
              return 0;
            },
            &objects);
      }
    }
  }

  const Ownership& ownership_;
  std::vector<bool> marked_;
  std::vector<NodeId> pending_;
  std::unordered_set<PyObject*> visited_;
};

// Takes the state from every node that nothing outside reaches.
void break_cycles() {
  std::vector<PyObject*> doomed; // references that keep the objects until all links are cut
  std::vector<PyObject*> dicts;
  // All memory is claimed before anything changes.
  doomed.reserve(states().size()), dicts.reserve(states().size());
  {
    const Ownership ownership;
    const Marking marking(ownership);
    for (PyValue* value : states())
      if (!marking.reached(value)) doomed.push_back(Py_NewRef(as_object(value)));
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

// False without memory: cycles through this object are then not found.
static bool enlist(PyValue* value) {
  try {
    states().insert(value);
    value->link.bits |= Handle::Stateful;
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void remember_state(PyValue* value) {
  if (value->link.bits & Handle::Stateful || !enlist(value)) return;
  if (states().size() > states_limit && !busy && !arena().sweeping()) collect(false);
}

void forget_state(PyValue* value) {
  if (value->link.bits & Handle::Stateful) states().erase(value);
  value->link.bits &= ~static_cast<std::uint32_t>(Handle::Pinned | Handle::Stateful);
}

void pin(PyValue* value) {
  Py_INCREF(as_object(value));
  value->link.bits |= Handle::Pinned;
  pinned = true;
  enlist(value);
}

std::size_t collect(bool always) {
  if (busy || arena().sweeping()) return 0;
  const Busy scope;
  Arena& g = arena();
  const std::size_t before = g.size();
  try {
    // What a dying closure alone held may have been pinned for its node: then there is more to
    // find.
    for (int pass = 0; pass < kPasses && !states().empty(); ++pass) {
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
  states_limit = std::max(kStatesMin, 2 * states().size());
  return before - std::min(before, g.size());
}

void drop_pinned_at_top() {
  Arena& g = arena();
  if (busy || g.size() == 0 || g.sweeping()) return;
  Handle* top = g.handle_of(static_cast<NodeId>(g.size() - 1));
  if (top == nullptr || !(top->bits & Handle::Pinned)) [[likely]]
    return;
  const Busy scope;
  while (g.size() != 0) {
    top = g.handle_of(static_cast<NodeId>(g.size() - 1));
    if (top == nullptr || !(top->bits & Handle::Pinned)) return;
    PyValue* value = owner(top);
    if (Py_REFCNT(as_object(value)) != 1) return;
    forget_state(value);
    value->link.bits |= Handle::Doomed;
    Py_DECREF(as_object(value));
  }
}

} // namespace arenagrad::bindings
