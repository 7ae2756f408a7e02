// Compiled functions are called through this: a native object that knows the executables of the
// last calls. Arguments of a structure it knows are read and run at once; everything else goes to
// the fallback in Python, which then lets it remember what it made.
#include <pybind11/stl.h>
#include <structmember.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "bindings/pytree/numpy.h"
#include "bindings/pytree/unflatten.h"
#include "bindings/value/instance.h"
#include "outer_state.h"
#include "point_executable.h"
#include "recorded_call.h"

namespace arenagrad::bindings {
namespace {

constexpr std::size_t kMostKnown = 300; // all variants of a function and some derivatives of each
constexpr std::size_t kMostStale = 4;   // whose outer state has changed, and may change back

int disabled = 0; // how many disable_compile() blocks there are

// The arguments that a derivative is by; several are a tuple or a list. Calls of the function
// itself take none.
struct Argnums {
  enum class Kind : std::uint8_t { None, One, Several };

  bool operator==(const Argnums&) const = default;

  Kind kind = Kind::None;
  std::vector<long> numbers;
};

struct KnownExecutable {
  Argnums argnums;
  py::object owner; // the Python object of the executable
  const PointExecutable* executable;
  py::object outer_owner;                     // the Python object of the state, or None
  const OuterState* outer;                    // null: the program is right whatever has changed
  RecordedFunctionPointer recorded = nullptr; // of calls on Values; null: the fallback's
};

// Whether a state is current, asked once for executables that share it.
class Freshness {
public:
  bool of(const OuterState* outer) {
    if (outer != asked_) {
      asked_ = outer;
      is_current_ = outer == nullptr || outer->is_current();
    }
    return is_current_;
  }

private:
  const OuterState* asked_ = nullptr;
  bool is_current_ = true;
};

// Invariant: `known` never changes while anything that can run Python runs, so that the collector
// may come at any time. References are dropped after it is whole again.
struct PyNativeDispatch {
  PyObject_HEAD vectorcallfunc vectorcall;
  PyObject* fallback;
  PyObject* dict;                      // name and text of the method that it stands for
  std::vector<KnownExecutable>* known; // the last used first
};

PyNativeDispatch* as_dispatch(PyObject* object) {
  return reinterpret_cast<PyNativeDispatch*>(object);
}

bool is_list_or_tuple(PyObject* object) {
  return PyTuple_CheckExact(object) || PyList_CheckExact(object);
}

bool is_int(PyObject* object, long number) {
  int too_large = 0;
  return PyLong_CheckExact(object) && PyLong_AsLongAndOverflow(object, &too_large) == number &&
         too_large == 0;
}

// Whether `given`, null if the call named none, means these. Accepts exact ints only; the fallback
// checks everything else.
bool are_argnums(PyObject* given, const Argnums& argnums) {
  if (given == nullptr) // the first argument is meant
    return argnums.kind == Argnums::Kind::None ||
           (argnums.kind == Argnums::Kind::One && argnums.numbers[0] == 0);
  if (argnums.kind == Argnums::Kind::None) return false;
  const std::vector<long>& numbers = argnums.numbers;
  if (argnums.kind == Argnums::Kind::One) return is_int(given, numbers[0]);
  if (!is_list_or_tuple(given) || PySequence_Fast_GET_SIZE(given) != std::ssize(numbers))
    return false;
  for (std::size_t k = 0; k < numbers.size(); ++k)
    if (!is_int(PySequence_Fast_GET_ITEM(given, k), numbers[k])) return false;
  return true;
}

// Of what the fallback has checked: None, an int, or ints.
Argnums argnums_of(PyObject* given) {
  if (given == Py_None) return {};
  if (!is_list_or_tuple(given)) return {Argnums::Kind::One, {py::cast<long>(py::handle(given))}};
  return {Argnums::Kind::Several, py::cast<std::vector<long>>(py::handle(given))};
}

// The result, or null with no error set if the fallback must find it.
PyObject* known_result(PyNativeDispatch* self, const GivenArguments& given, PyObject* argnums,
                       const py::object& out) {
  std::vector<KnownExecutable>& known = *self->known;
  Freshness freshness;
  for (std::size_t k = 0; k < known.size(); ++k) {
    if (!are_argnums(argnums, known[k].argnums) || !freshness.of(known[k].outer)) continue;
    const PointExecutable* const executable = known[k].executable;
    const py::object keep = known[k].owner; // reading arguments may run what changes the list
    PointExecutable::Buffers buffers(*executable);
    if (!executable->read_arguments(given, buffers)) continue;
    executable->check_out(out);
    const program::Outcome outcome = executable->run(buffers);
    if (!outcome.good()) continue; // another variant may be the one
    if (k != 0 && k < known.size() && known[k].executable == executable)
      std::rotate(known.begin(), known.begin() + static_cast<std::ptrdiff_t>(k),
                  known.begin() + static_cast<std::ptrdiff_t>(k) + 1);
    return executable->result(buffers, out).release().ptr();
  }
  return nullptr;
}

// How many Values among arguments of this structure do not make its call one on Values: outside of
// traces the parameters of Modules are numbers.
std::size_t ignored_values(const PyTree& arguments) {
  if (tracing() != nullptr) return 0;
  std::size_t count = 0;
  for (const TreeNode& node : arguments.nodes())
    if (node.kind == TreeNode::Kind::Module) count += node.numbers;
  return count;
}

// The memory of a call on Values, which the next one takes again: half of a short call was
// allocating. A call may run code that makes others.
class CallMemory {
public:
  CallMemory() : memory_(spare().empty() ? std::make_unique<Memory>() : nullptr) {
    if (memory_ != nullptr) return;
    memory_ = std::move(spare().back());
    spare().pop_back();
  }
  ~CallMemory() {
    constexpr std::size_t kLarge = 4096;
    if (memory_->call.numbers.capacity() > kLarge) return;
    memory_->call.results.clear();
    memory_->placed.clear();
    try {
      spare().push_back(std::move(memory_));
    } catch (const std::bad_alloc&) { // then it is not kept
    }
  }
  CallMemory(const CallMemory&) = delete;
  CallMemory& operator=(const CallMemory&) = delete;

  RecordedCall& call() { return memory_->call; }
  PlacedValues& placed() { return memory_->placed; }

private:
  struct Memory {
    RecordedCall call;
    PlacedValues placed;
  };
  static std::vector<std::unique_ptr<Memory>>& spare() {
    static auto* const spare = new std::vector<std::unique_ptr<Memory>>;
    return *spare;
  }
  std::unique_ptr<Memory> memory_;
};

// Reads what is given; false if the call is none on Values of this structure.
bool read_call(const PointExecutable& executable, const GivenArguments& given, CallMemory& memory) {
  RecordedCall& call = memory.call();
  PlacedValues& placed = memory.placed();
  const PyTree& arguments = executable.arguments();
  placed.clear();
  placed.reserve(arguments.numbers());
  call.numbers.resize(executable.input_count());
  if (!flatten_arguments(arguments, given, call.numbers.data(), &placed) ||
      placed.size() <= ignored_values(arguments))
    return false;
  call.values.assign(executable.input_count(), nullptr);
  for (const auto& [place, value] : placed) call.add_value(place, value.ptr());
  std::size_t place = arguments.numbers();
  for (const py::object& value : executable.closure().values())
    call.add_value(place++, value.ptr());
  return true;
}

// The result of a call on Values, or null with no error set if the fallback must find it.
PyObject* recorded_result(PyNativeDispatch* self, const GivenArguments& given, PyObject* argnums) {
  std::vector<KnownExecutable>& known = *self->known;
  Freshness freshness;
  for (std::size_t k = 0; k < known.size(); ++k) {
    if (known[k].recorded == nullptr || !are_argnums(argnums, known[k].argnums) ||
        !freshness.of(known[k].outer))
      continue;
    const py::object keep = known[k].owner; // reading arguments may run what changes the list
    const PointExecutable& executable = *known[k].executable;
    RecordedFunctionPointer recorded = known[k].recorded;
    CallMemory memory;
    if (!read_call(executable, given, memory)) continue;
    if (record_call(std::move(recorded), memory.call(), false))
      return unflatten_values(executable.results(), memory.call().results).release().ptr();
  }
  return nullptr;
}

// Whether the first number of the first argument is a Value, so that no executable can read them.
bool begin_with_value(const GivenArguments& given) {
  if (given.count == 0) return false;
  PyObject* first = given.objects[0];
  if (is_list_or_tuple(first)) {
    if (PySequence_Fast_GET_SIZE(first) == 0) return false;
    first = PySequence_Fast_GET_ITEM(first, 0);
  } else if (is_array(first) && kind_of(first) == 'O') {
    PyObject* const* const items = objects_in(first);
    if (items == nullptr || py::reinterpret_borrow<py::array>(first).size() == 0) return false;
    first = items[0];
  }
  return first != nullptr && is_exact_value(first);
}

PyObject* call_dispatch(PyObject* self, PyObject* const* args, std::size_t nargsf,
                        PyObject* names) {
  PyNativeDispatch* const own = as_dispatch(self);
  const auto count = static_cast<std::size_t>(PyVectorcall_NARGS(nargsf));
  try {
    static PyObject* const out_name = PyUnicode_InternFromString("out");
    static PyObject* const argnums_name = PyUnicode_InternFromString("argnums");
    PyObject *out = Py_None, *argnums = nullptr;
    GivenArguments arguments{args, count, names, args + count, 0};
    for (Py_ssize_t k = 0; names != nullptr && k < PyTuple_GET_SIZE(names); ++k) {
      PyObject* const name = PyTuple_GET_ITEM(names, k);
      PyObject* const given = args[count + static_cast<std::size_t>(k)];
      if (name == out_name)
        out = given;
      else if (name == argnums_name)
        argnums = given;
      else
        ++arguments.named;
    }
    // A trace takes in what a program reads besides numbers, which the fallback sees to.
    if (!own->known->empty() && tracing() == nullptr && disabled == 0 &&
        !begin_with_value(arguments))
      if (PyObject* result =
              known_result(own, arguments, argnums, py::reinterpret_borrow<py::object>(out)))
        return result;
    if (!own->known->empty() && disabled == 0 && out == Py_None)
      if (PyObject* result = recorded_result(own, arguments, argnums)) return result;
  } catch (...) {
    set_python_error();
    return nullptr;
  }
  if (own->fallback == nullptr) {
    PyErr_SetString(PyExc_TypeError, "a compiled function was called before it was made");
    return nullptr;
  }
  const py::object keep = py::reinterpret_borrow<py::object>(own->fallback);
  return PyObject_Vectorcall(keep.ptr(), args, nargsf & ~PY_VECTORCALL_ARGUMENTS_OFFSET, names);
}

// --- slots of the type --------------------------------------------------------------------------

PyObject* new_dispatch(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  as_dispatch(self)->vectorcall = call_dispatch;
  as_dispatch(self)->known = new (std::nothrow) std::vector<KnownExecutable>;
  if (as_dispatch(self)->known != nullptr) return self;
  Py_DECREF(self);
  return PyErr_NoMemory();
}

int init_dispatch(PyObject* self, PyObject* args, PyObject* keywords) {
  static const char* names[] = {"fallback", nullptr};
  PyObject* fallback = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "O", const_cast<char**>(names), &fallback))
    return -1;
  Py_XSETREF(as_dispatch(self)->fallback, Py_NewRef(fallback));
  return 0;
}

// Every reference it holds. `known` is null only while new_dispatch runs out of memory.
int traverse_dispatch(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(as_dispatch(self)->fallback);
  Py_VISIT(as_dispatch(self)->dict);
  if (as_dispatch(self)->known == nullptr) return 0;
  for (const KnownExecutable& known : *as_dispatch(self)->known) {
    Py_VISIT(known.owner.ptr());
    Py_VISIT(known.outer_owner.ptr());
  }
  return 0;
}

void drop_known(PyObject* self) {
  std::vector<KnownExecutable> gone; // dies when the list is empty already
  if (as_dispatch(self)->known != nullptr) gone.swap(*as_dispatch(self)->known);
}

int clear_dispatch(PyObject* self) {
  Py_CLEAR(as_dispatch(self)->fallback);
  Py_CLEAR(as_dispatch(self)->dict);
  drop_known(self);
  return 0;
}

void dealloc_dispatch(PyObject* self) {
  PyObject_GC_UnTrack(self);
  clear_dispatch(self);
  delete as_dispatch(self)->known;
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

// --- methods ------------------------------------------------------------------------------------

PyObject* remember_executable(PyObject* self, PyObject* args) {
  PyObject *argnums = nullptr, *executable = nullptr, *outer = Py_None, *recorded = Py_None;
  if (!PyArg_ParseTuple(args, "OO|OO", &argnums, &executable, &outer, &recorded)) return nullptr;
  try {
    if (!is_initialised<PointExecutable>(executable))
      throw py::type_error("a NativeDispatch remembers PointExecutables only");
    if (outer != Py_None && !is_initialised<OuterState>(outer))
      throw py::type_error("a PointExecutable is right in an OuterState, or always");
    KnownExecutable added{argnums_of(argnums), py::reinterpret_borrow<py::object>(executable),
                          &py::cast<const PointExecutable&>(py::handle(executable)),
                          py::reinterpret_borrow<py::object>(outer),
                          outer == Py_None ? nullptr
                                           : &py::cast<const OuterState&>(py::handle(outer))};
    if (recorded != Py_None)
      added.recorded = py::cast<RecordedFunctionPointer>(py::handle(recorded));
    std::vector<KnownExecutable>& known = *as_dispatch(self)->known;
    std::vector<KnownExecutable> kept, gone;
    Freshness freshness;
    std::size_t stale = 0;
    kept.reserve(known.size() + 1);
    gone.reserve(known.size() + 1);
    for (KnownExecutable& other : known) {
      const bool same = other.executable == added.executable && other.argnums == added.argnums;
      if (same && added.recorded == nullptr) added.recorded = other.recorded;
      const bool surplus = !freshness.of(other.outer) && ++stale > kMostStale;
      (same || surplus ? gone : kept).push_back(std::move(other));
    }
    kept.insert(kept.begin(), std::move(added));
    if (kept.size() > kMostKnown) {
      gone.push_back(std::move(kept.back()));
      kept.pop_back();
    }
    known.swap(kept);
    Py_RETURN_NONE;
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

PyObject* forget_executables(PyObject* self, PyObject*) {
  drop_known(self);
  Py_RETURN_NONE;
}

// A dispatch that stands for a method is found again as an attribute of its object.
PyObject* reduce_dispatch(PyObject* self, PyObject*) {
  PyObject* const fallback = as_dispatch(self)->fallback;
  if (fallback != nullptr && PyMethod_Check(fallback))
    return PyObject_CallMethod(fallback, "__reduce__", nullptr);
  PyErr_SetString(PyExc_TypeError, "a NativeDispatch that stands for no method cannot be pickled");
  return nullptr;
}

} // namespace

void bind_native_dispatch(py::module_& module) {
  const char* const said =
      std::getenv("ARENAGRAD_DISABLE_COMPILE"); // NOLINT(concurrency-mt-unsafe): read once
  disabled = said != nullptr && *said != '\0' && std::string_view(said) != "0" ? 1 : 0;
  module.def(
      "is_compile_disabled", [] { return disabled != 0; },
      "Whether nothing that has been compiled is used.");
  module.def(
      "compile_step", [](int step) { disabled += step; }, py::arg("step"),
      "Enter (+1) or leave (-1) a block in which nothing that has been compiled is used.");
  static PyMethodDef methods[] = {
      {"_remember", remember_executable, METH_VARARGS,
       "Try this PointExecutable first in calls with these argnums; None: in calls that take "
       "none. Given an OuterState, only while that is current. Given a RecordedFunction, also for "
       "calls on Values."},
      {"_forget", forget_executables, METH_NOARGS, "Leave every call to the fallback again."},
      {"__reduce__", reduce_dispatch, METH_NOARGS,
       "For pickle and copy: the method that it stands for."},
      {nullptr, nullptr, 0, nullptr}};
  static PyMemberDef members[] = {
      {"__vectorcalloffset__", T_PYSSIZET, offsetof(PyNativeDispatch, vectorcall), READONLY,
       nullptr},
      {"__dictoffset__", T_PYSSIZET, offsetof(PyNativeDispatch, dict), READONLY, nullptr},
      {nullptr, 0, 0, 0, nullptr}};
  static PyGetSetDef getset[] = {
      {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
      {nullptr, nullptr, nullptr, nullptr, nullptr}};
  static char doc[] = "NativeDispatch(fallback)\n--\n\n"
                      "A callable that runs programs it knows natively and leaves all else to its "
                      "fallback.";
  PyType_Slot slots[] = {{Py_tp_doc, doc},
                         {Py_tp_new, reinterpret_cast<void*>(new_dispatch)},
                         {Py_tp_init, reinterpret_cast<void*>(init_dispatch)},
                         {Py_tp_dealloc, reinterpret_cast<void*>(dealloc_dispatch)},
                         {Py_tp_traverse, reinterpret_cast<void*>(traverse_dispatch)},
                         {Py_tp_clear, reinterpret_cast<void*>(clear_dispatch)},
                         {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                         {Py_tp_methods, methods},
                         {Py_tp_members, members},
                         {Py_tp_getset, getset},
                         {0, nullptr}};
  PyType_Spec spec = {"arenagrad._core.compiled.NativeDispatch", sizeof(PyNativeDispatch), 0,
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC |
                          Py_TPFLAGS_HAVE_VECTORCALL,
                      slots};
  PyObject* type = PyType_FromSpec(&spec);
  if (type == nullptr) throw py::error_already_set();
  module.add_object("NativeDispatch", type);
}

} // namespace arenagrad::bindings
