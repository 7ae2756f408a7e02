// Pickling. `v.__reduce_ex__` is asked for one Value at a time and must not go down to operands
// itself, so that depth is no matter; yet what two Values of one dump share must be written once.
//
//   v          reduces to  pick(session, portion)
//   session    reduces to  Arrivals(), where loading collects what has come
//   portion    reduces to  Portion(session, bytes, number, classes), and the attributes as its
//   state
//
// The pickler remembers what it has written, so a session is written once a dump and lives as long
// as the dump; here it is held weakly, for the next Value of the same thread. A portion is asked
// for its bytes after the session has been written: it then knows whether the session is this
// dump's alone. If another pickler has met it too (a dump within a dump, or beside a Pickler that
// is kept), a session of its own begins, and when that ends the first goes on.
#include <algorithm>
#include <unordered_map>

#include "bindings/instance.h"
#include "bindings/value/trace.h"
#include "graph_transfer.h"

namespace arenagrad::bindings {
namespace {

using core::FormatError;
using core::NodeId;
using core::NodeNumber;

py::handle arrivals_type, arrived_type, pick_function;

// What a pickle gives back should be an object of ours, and one whose __init__ has been called:
// pybind11 would lend memory that nothing was ever written to.
template <class T> T& made(py::handle object) {
  if (!is_made<T>(object)) throw FormatError("a pickled Value is not what it should be");
  return object.cast<T&>();
}

class Session {
public:
  explicit Session(Session* interrupted = nullptr) : interrupted_(interrupted) {
    of_this_thread().push_back(this);
  }
  ~Session() {
    const auto found = sessions().find(thread_);
    std::vector<Session*>& stack = found->second;
    stack.erase(std::find(stack.begin(), stack.end(), this));
    for (Session* other : stack) {
      if (other == interrupted_) --other->picklers_;
      if (other->interrupted_ == this) other->interrupted_ = nullptr;
    }
    if (stack.empty()) sessions().erase(found);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // That of the dump in progress, or a new one.
  static py::object current() {
    const std::vector<Session*>& stack = of_this_thread();
    if (!stack.empty() && stack.back()->usable())
      return py::cast(stack.back(), py::return_value_policy::reference);
    return py::cast(std::make_unique<Session>());
  }
  // This one, or a new one if this is not for one pickler alone.
  py::object own() {
    if (picklers_ == 1 && usable()) return py::cast(this, py::return_value_policy::reference);
    return py::cast(std::make_unique<Session>(picklers_ > 1 ? this : nullptr));
  }

  py::tuple reduce() {
    ++picklers_;
    return py::make_tuple(arrivals_type, py::tuple());
  }

  Leaving leaving;
  bool busy = false; // a portion is being made, or making it has failed

private:
  static std::unordered_map<unsigned long, std::vector<Session*>>& sessions() {
    static auto* map = new std::unordered_map<unsigned long, std::vector<Session*>>;
    return *map;
  }
  static std::vector<Session*>& of_this_thread() { return sessions()[PyThread_get_thread_ident()]; }
  bool usable() const { return leaving.valid() && !busy; }

  unsigned long thread_ = PyThread_get_thread_ident();
  Session* interrupted_;
  int picklers_ = 0; // that have met this session and may go on with it
};

// What of the graph of a Value its session has not written yet.
struct Portion {
  py::object session, value;

  py::tuple reduce() const {
    const py::object own = session.cast<Session&>().own();
    auto& to = own.cast<Session&>();
    to.busy = true;
    const std::vector<NodeId> nodes = to.leaving.add(value.ptr());
    const py::bytes bytes(core::write_part(arena(), to.leaving.numbers(), nodes));
    const NodeNumber number = to.leaving.number_of(value.ptr());
    const Numbered stateful = to.leaving.with_state(nodes); // before anything can move the nodes
    py::list classes, states;
    for (const auto& [place, object] : stateful) {
      if (!is_exact_value(object.ptr()))
        classes.append(py::make_tuple(place, py::type::of(object)));
      const py::object state = state_of(object);
      if (!state.is_none()) states.append(py::make_tuple(place, state));
    }
    to.busy = false;
    const py::tuple arguments = py::make_tuple(own, bytes, number, classes);
    if (states.empty()) return py::make_tuple(arrived_type, arguments);
    return py::make_tuple(arrived_type, arguments, states);
  }
};

// Pairs of a number and something, as a portion writes them.
Numbered read_numbered(const py::object& pairs) {
  Numbered read;
  if (!py::isinstance<py::list>(pairs))
    throw FormatError("a saved graph has no list of attributes");
  for (const py::handle pair : py::list(pairs)) {
    if (!PyTuple_CheckExact(pair.ptr()) || PyTuple_GET_SIZE(pair.ptr()) != 2 ||
        !PyLong_CheckExact(PyTuple_GET_ITEM(pair.ptr(), 0)))
      throw FormatError("a saved graph has attributes of no node");
    const unsigned long number = PyLong_AsUnsignedLong(PyTuple_GET_ITEM(pair.ptr(), 0));
    PyErr_Clear(); // a number that is too large is no node's either
    if (number >= core::kNoNumber) throw FormatError("a saved graph has attributes of no node");
    read.emplace_back(static_cast<NodeNumber>(number),
                      py::reinterpret_borrow<py::object>(PyTuple_GET_ITEM(pair.ptr(), 1)));
  }
  return read;
}

// A portion that has been read: its nodes are there, its attributes come as its state.
class Arrived {
public:
  Arrived(py::object arrivals, const py::bytes& bytes, NodeNumber number, const py::object& classes)
      : arrivals_(std::move(arrivals)) {
    auto& arriving = made<Arriving>(arrivals_);
    arriving.add(std::string_view(bytes), read_numbered(classes));
    value = arriving.value(number);
  }
  void set_state(const py::object& states) const {
    const auto& arriving = made<Arriving>(arrivals_);
    for (const auto& [number, state] : read_numbered(states))
      restore_state(arriving.value(number), state);
  }

  py::object value;

private:
  py::object arrivals_;
};

PyObject* pick(PyObject*, PyObject* args) {
  try {
    PyObject *arrivals = nullptr, *portion = nullptr;
    if (!PyArg_ParseTuple(args, "OO", &arrivals, &portion)) return nullptr;
    return py::object(made<Arrived>(portion).value).release().ptr();
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

} // namespace

PyObject* value_reduce(PyObject* self, PyObject*) {
  try {
    warn_if_frozen(self, "pickling");
    const py::object session = Session::current();
    const auto value = py::reinterpret_borrow<py::object>(self);
    const py::object portion = py::cast(std::make_unique<Portion>(Portion{session, value}));
    return py::make_tuple(pick_function, py::make_tuple(session, portion)).release().ptr();
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

void bind_saving(py::module_& module) {
  py::class_<Session>(module, "_Session").def("__reduce__", [](const py::object& self) {
    return made<Session>(self).reduce();
  });
  py::class_<Portion>(module, "_Portion").def("__reduce__", [](const py::object& self) {
    return made<Portion>(self).reduce();
  });
  py::class_<Arriving> arriving(module, "_Arriving");
  arrivals_type = arriving.def(py::init<>()).def("__reduce__", no_pickle).release();
  py::class_<Arrived> arrived(module, "_Arrived");
  arrived.def(py::init<py::object, const py::bytes&, NodeNumber, const py::object&>());
  arrived.def("__reduce__", no_pickle);
  // Under its own name pybind11 would take it for a constructor.
  arrived.def("_set_state", [](const py::object& self, const py::object& states) {
    made<Arrived>(self).set_state(states);
  });
  arrived.attr("__setstate__") = arrived.attr("_set_state");
  arrived_type = arrived.release();
  // No function of pybind11, which pickle would not find by its name.
  static PyMethodDef definitions[] = {
      {"_pick", pick, METH_VARARGS, "The Value of a portion that has been read."},
      {nullptr, nullptr, 0, nullptr}};
  if (PyModule_AddFunctions(module.ptr(), definitions) != 0) throw py::error_already_set();
  pick_function = py::object(module.attr("_pick")).release();
}

} // namespace arenagrad::bindings
