// Reclaiming nodes whose Python state refers back to them.
//
// `out._backward = fn`, with fn closing over `out`, is a cycle through the arena that Python's own
// collector cannot see. What the states (dicts) of all nodes lead to is therefore searched here by
// trial deletion (Bacon and Rajan, 2001; CPython's gc): references found within are counted, an
// object with more than those is held from outside, and what the held ones reach lives. Nodes that
// are not reached lose their state, the closures die, and the rest is ordinary reclaiming.
//
// The search does not enter types, modules and the globals of functions: what hangs on those counts
// as held. It is bounded: past some objects a state the rest counts as held too.
#include <algorithm>
#include <new>
#include <type_traits>
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
constexpr std::size_t kObjectsMin = 100'000, kObjectsPerState = 64; // that a search enters at most

std::size_t state_count = 0, pinned_count = 0;
std::size_t objects_entered = 0;       // by the last search
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

// Calls visit(target) for each reference that `object` holds, a function's globals apart.
template <class Visit> void each_reference(PyObject* object, Visit&& visit) {
  if (PyFunction_Check(object)) {
    for (PyObject* part : {PyFunction_GET_CLOSURE(object), PyFunction_GET_DEFAULTS(object),
                           PyFunction_GET_KW_DEFAULTS(object),
                           reinterpret_cast<PyFunctionObject*>(object)->func_dict})
      if (part != nullptr) visit(part);
  } else if (traverseproc children = Py_TYPE(object)->tp_traverse) {
    children(
        object,
        [](PyObject* target, void* context) {
          (*static_cast<std::remove_reference_t<Visit>*>(context))(target);
          return 0;
        },
        &visit);
  }
}

// Counts the references to objects that come from states and from what those lead to.
class References {
public:
  References() : known_(8 * state_count), budget_(kObjectsMin + kObjectsPerState * state_count) {
    each_state([this](PyValue* state) {
      if (state->dict != nullptr) refer(state->dict);
    });
    while (!pending_.empty()) {
      PyObject* object = pending_.back();
      pending_.pop_back();
      each_reference(object, [this](PyObject* target) { refer(target); });
    }
  }

  ObjectTable& known() { return known_; }
  std::size_t entered() const { return entered_; }

  bool held(PyValue* value) {
    Py_ssize_t inside = value->link.bits & Handle::Pinned ? 1 : 0;
    if (const KnownObject* found = known_.find(as_object(value))) inside += found->references;
    return Py_REFCNT(as_object(value)) > inside;
  }

private:
  void refer(PyObject* target) {
    const bool value = is_value(target);
    if (!value && !PyObject_IS_GC(target)) return;
    KnownObject& entry = known_[target];
    if (++entry.references != 1 || value || entered_ == budget_) return;
    if (PyType_Check(target) || PyModule_Check(target)) return;
    entry.entered = true;
    ++entered_;
    pending_.push_back(target);
  }

  ObjectTable known_;
  std::vector<PyObject*> pending_;
  std::size_t budget_, entered_ = 0;
};

// Marks what is held from outside and all it reaches, through operands, states and objects.
class Marking {
public:
  explicit Marking(References& references) : references_(references), marked_(arena().size()) {
    walk_handles(
        [](Handle& handle, void* marking) { static_cast<Marking*>(marking)->mark_if_held(handle); },
        this);
    for (KnownObject& entry : references.known())
      if (entry.entered && Py_REFCNT(entry.object) > entry.references) mark(entry);
    Arena& g = arena();
    while (!nodes_.empty() || !objects_.empty()) {
      if (!objects_.empty()) {
        PyObject* object = objects_.back();
        objects_.pop_back();
        each_reference(object, [this](PyObject* target) { mark(target); });
        continue;
      }
      const NodeId node = nodes_.back();
      nodes_.pop_back();
      g.for_each_operand(node, true, [&](NodeId operand) { mark(operand); });
      if (Handle* handle = g.handle_of(node))
        if (PyObject* dict = owner(handle)->dict) mark(dict);
    }
  }

  bool reached(PyValue* value) const { return marked_[value->link.node]; }

private:
  void mark_if_held(Handle& handle) {
    if (references_.held(owner(&handle))) mark(handle.node);
  }
  void mark(NodeId node) {
    if (marked_[node]) return;
    marked_[node] = true;
    nodes_.push_back(node);
  }
  void mark(PyObject* object) {
    if (is_value(object)) return mark(node_of(object));
    if (KnownObject* found = references_.known().find(object)) mark(*found);
  }
  void mark(KnownObject& entry) {
    if (!entry.entered || entry.marked) return;
    entry.marked = true;
    objects_.push_back(entry.object);
  }

  References& references_;
  std::vector<bool> marked_;
  std::vector<NodeId> nodes_;
  std::vector<PyObject*> objects_;
};

// Takes the state from every node that nothing outside reaches. Returns how many there were.
std::size_t break_cycles() {
  std::vector<PyObject*> doomed; // references that keep the objects until all links are cut
  std::vector<PyObject*> dicts;
  // All memory is claimed before anything changes.
  doomed.reserve(state_count);
  dicts.reserve(state_count);
  {
    References references;
    const Marking marking(references);
    objects_entered = references.entered();
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
  return doomed.size();
}

} // namespace

void remember_state(PyValue* value) {
  if (value->link.bits & Handle::Stateful) return;
  value->link.bits |= Handle::Stateful;
  if (++state_count > states_limit && !busy && !arena().frozen()) collect(false);
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
  if (busy || arena().frozen()) return 0;
  const Busy scope;
  Arena& g = arena();
  const std::size_t before = g.size();
  try {
    // What a dying closure alone held may have been pinned for its node: then there is more to
    // find.
    for (int pass = 0; pass < kPasses && state_count != 0; ++pass) {
      pinned = false;
      const bool broken = break_cycles() != 0;
      // Cycles of Python's own within what was a state are now in its collector's sight.
      if (always && broken) PyGC_Collect();
      if (!pinned) break;
    }
  } catch (const std::bad_alloc&) {
    always = true; // no memory to find cycles with: at least give back what is dead without them
  }
  if (g.frozen()) return before - std::min(before, g.size()); // another thread was let in
  if (always)
    g.compact();
  else
    g.compact_if_worth();
  // A search goes over all handles and objects, so it waits until there is work in proportion.
  states_limit =
      state_count + std::max({kStatesMin, state_count, g.handle_count() / 8, objects_entered / 16});
  return before - std::min(before, g.size());
}

void drop_pinned_at_top() {
  Arena& g = arena();
  if (pinned_count == 0 || busy || g.size() == 0 || g.frozen()) [[likely]]
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
