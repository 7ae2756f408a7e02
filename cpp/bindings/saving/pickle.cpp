// Pickling. `v.__reduce_ex__` is asked for one Value at a time and must not go down to operands
// itself, so that depth is no matter; yet what two Values of one dump share must be written once.
//
//   v        reduces to  _value_of_part(session, part)
//   session  reduces to  _GraphDecoder(), where loading collects what has come
//   part     reduces to  _DecodedPart(session, bytes, number, classes), the attributes as its state
//
// The pickler remembers what it has written, so a session is written once a dump and lives as long
// as the dump; here it is held weakly, for the next Value of the same thread. A part is asked
// for its bytes after the session has been written: it then knows whether the session is this
// dump's alone. If another pickler has met it too (a dump within a dump, or beside a Pickler that
// is kept), a session of its own begins, and when that ends the first goes on.
#include <algorithm>
#include <unordered_map>

#include "bindings/value/instance.h"
#include "bindings/value/trace.h"
#include "graph_codec.h"

namespace arenagrad::bindings {
namespace {

using core::FormatError;
using core::NodeId;
using core::NodeNumber;

py::handle decoder_type, decoded_part_type, value_of_part_function;

// A pickle may name any object: it must be a T whose __init__ has been called, since pybind11 would
// lend memory of others that nothing was ever written to.
template <class T> T& unpickled(py::handle object) {
  if (!is_initialised<T>(object)) throw FormatError("a pickled Value is not what it should be");
  return object.cast<T&>();
}

class PickleSession {
public:
  explicit PickleSession(PickleSession* interrupted = nullptr) : interrupted_(interrupted) {
    of_this_thread().push_back(this);
  }
  ~PickleSession() {
    const auto found = sessions().find(thread_);
    std::vector<PickleSession*>& stack = found->second;
    stack.erase(std::find(stack.begin(), stack.end(), this));
    for (PickleSession* other : stack) {
      if (other == interrupted_) --other->picklers_;
      if (other->interrupted_ == this) other->interrupted_ = nullptr;
    }
    if (stack.empty()) sessions().erase(found);
  }
  PickleSession(const PickleSession&) = delete;
  PickleSession& operator=(const PickleSession&) = delete;

  // That of the dump in progress, or a new one.
  static py::object current() {
    const std::vector<PickleSession*>& stack = of_this_thread();
    if (!stack.empty() && stack.back()->usable())
      return py::cast(stack.back(), py::return_value_policy::reference);
    return py::cast(std::make_unique<PickleSession>());
  }
  // This one, or a new one if this is not for one pickler alone.
  py::object own() {
    if (picklers_ == 1 && usable()) return py::cast(this, py::return_value_policy::reference);
    return py::cast(std::make_unique<PickleSession>(picklers_ > 1 ? this : nullptr));
  }

  py::tuple reduce() {
    ++picklers_;
    return py::make_tuple(decoder_type, py::tuple());
  }

  GraphEncoder encoder;
  bool busy = false; // a part is being made, or making it has failed

private:
  static std::unordered_map<unsigned long, std::vector<PickleSession*>>& sessions() {
    static auto* map = new std::unordered_map<unsigned long, std::vector<PickleSession*>>;
    return *map;
  }
  static std::vector<PickleSession*>& of_this_thread() {
    return sessions()[PyThread_get_thread_ident()];
  }
  bool usable() const { return encoder.valid() && !busy; }

  unsigned long thread_ = PyThread_get_thread_ident();
  PickleSession* interrupted_;
  int picklers_ = 0; // that have met this session and may go on with it
};

// The part of the graph below a Value that its session has not written yet.
struct PicklePart {
  py::object session, value;

  py::tuple reduce() const {
    const py::object own = session.cast<PickleSession&>().own();
    auto& to = own.cast<PickleSession&>();
    to.busy = true;
    const std::vector<NodeId> nodes = to.encoder.add(value.ptr());
    const py::bytes bytes(core::write_part(arena(), to.encoder.numbers(), nodes));
    const NodeNumber number = to.encoder.number_of(value.ptr());
    const NumberedObjects stateful =
        to.encoder.with_state(nodes); // before anything can move the nodes
    py::list classes, states;
    for (const auto& [place, object] : stateful) {
      if (!is_exact_value(object.ptr()))
        classes.append(py::make_tuple(place, py::type::of(object)));
      const py::object state = state_of(object);
      if (!state.is_none()) states.append(py::make_tuple(place, state));
    }
    to.busy = false;
    const py::tuple arguments = py::make_tuple(own, bytes, number, classes);
    if (states.empty()) return py::make_tuple(decoded_part_type, arguments);
    return py::make_tuple(decoded_part_type, arguments, states);
  }
};

// Pairs of a number and something, as a part writes them.
NumberedObjects read_numbered(const py::object& pairs) {
  NumberedObjects read;
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

// A part that has been read: its nodes are there, its attributes come as its state.
class DecodedPart {
public:
  DecodedPart(py::object unpickled_decoder, const py::bytes& bytes, NodeNumber number,
              const py::object& classes)
      : decoder_(std::move(unpickled_decoder)) {
    auto& decoder = unpickled<GraphDecoder>(decoder_);
    decoder.add(std::string_view(bytes), read_numbered(classes));
    value = decoder.value(number);
  }
  void set_state(const py::object& states) const {
    const auto& decoder = unpickled<GraphDecoder>(decoder_);
    for (const auto& [number, state] : read_numbered(states))
      restore_state(decoder.value(number), state);
  }

  py::object value;

private:
  py::object decoder_;
};

PyObject* value_of_part(PyObject*, PyObject* args) {
  try {
    PyObject *decoder = nullptr, *part = nullptr;
    if (!PyArg_ParseTuple(args, "OO", &decoder, &part)) return nullptr;
    return py::object(unpickled<DecodedPart>(part).value).release().ptr();
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

} // namespace

PyObject* value_reduce(PyObject* self, PyObject*) {
  try {
    warn_if_frozen(self, "pickling");
    const py::object session = PickleSession::current();
    const auto value = py::reinterpret_borrow<py::object>(self);
    const py::object part = py::cast(std::make_unique<PicklePart>(PicklePart{session, value}));
    return py::make_tuple(value_of_part_function, py::make_tuple(session, part)).release().ptr();
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

void bind_pickle(py::module_& module) {
  py::class_<PickleSession>(module, "_PickleSession").def("__reduce__", [](const py::object& self) {
    return unpickled<PickleSession>(self).reduce();
  });
  py::class_<PicklePart>(module, "_PicklePart").def("__reduce__", [](const py::object& self) {
    return unpickled<PicklePart>(self).reduce();
  });
  py::class_<GraphDecoder> decoder(module, "_GraphDecoder");
  decoder_type = decoder.def(py::init<>()).def("__reduce__", no_pickle).release();
  py::class_<DecodedPart> decoded_part(module, "_DecodedPart");
  decoded_part.def(py::init<py::object, const py::bytes&, NodeNumber, const py::object&>());
  decoded_part.def("__reduce__", no_pickle);
  // Under its own name pybind11 would take it for a constructor.
  decoded_part.def("_set_state", [](const py::object& self, const py::object& states) {
    unpickled<DecodedPart>(self).set_state(states);
  });
  decoded_part.attr("__setstate__") = decoded_part.attr("_set_state");
  decoded_part_type = decoded_part.release();
  // No function of pybind11, which pickle would not find by its name.
  static PyMethodDef definitions[] = {
      {"_value_of_part", value_of_part, METH_VARARGS, "The Value of a part that has been read."},
      {nullptr, nullptr, 0, nullptr}};
  if (PyModule_AddFunctions(module.ptr(), definitions) != 0) throw py::error_already_set();
  value_of_part_function = py::object(module.attr("_value_of_part")).release();
}

} // namespace arenagrad::bindings
