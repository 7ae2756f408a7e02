// The states of the global random generators, of `random` and of `numpy.random`, compared around a
// trace: numbers drawn while a function is traced are frozen into its program.
//
// The bytes of the generators themselves are compared, which takes less than a microsecond; asking
// for their states as Python objects takes fifty. Needs the GIL.
#include <cstring>
#include <vector>

#include "bindings/value/instance.h"
#include "bindings/value/value.h"

namespace arenagrad::bindings {
namespace {

// A text that lives as long as the process.
PyObject* lasting_text(const char* text) {
  PyObject* const made = PyUnicode_InternFromString(text);
  if (made == nullptr) throw py::error_already_set();
  return made;
}

// An attribute, None if there is none.
py::object attribute_of(const py::object& object, PyObject* name) {
  return py::getattr(object, name, py::none());
}

// A module that has been imported, else None.
py::object imported(PyObject* name) {
  const auto module = py::reinterpret_steal<py::object>(PyImport_GetModule(name));
  if (!module && PyErr_Occurred() != nullptr) throw py::error_already_set();
  return module ? module : py::none();
}

// Where the Mersenne twisters of Python and of NumPy stand before their first number is drawn.
constexpr int kFresh = 624, kNumpysFresh = 623;

class RandomStates {
public:
  RandomStates() {
    static PyObject* const python = lasting_text("random");
    static PyObject* const numpy = lasting_text("numpy.random.mtrand");
    read_python(imported(python));
    read_numpy(imported(numpy));
  }

  // Whether any generator has moved since. One that has been imported since, as SciPy imports
  // NumPy's, has moved if a number was drawn.
  bool changed() const {
    const RandomStates now;
    const bool python = python_.empty() ? !now.is_python_fresh() : python_ != now.python_;
    const bool numpy = numpy_.empty() ? !now.is_numpy_fresh() : numpy_ != now.numpy_;
    return python || numpy || !gauss_.is(now.gauss_);
  }

private:
  // Beside its state a generator keeps a number for the next call of gauss().
  void read_python(const py::object& module) {
    static PyObject* const instance = lasting_text("_inst");
    static PyObject* const next = lasting_text("gauss_next");
    static PyObject* native = nullptr;
    const py::object generator = attribute_of(module, instance);
    if (generator.is_none()) return;
    once(native, [] { return py::module_::import("_random").attr("Random"); });
    if (!py::isinstance(generator, native)) return;
    read_bytes(python_, generator, native);
    gauss_ = attribute_of(generator, next);
  }

  void read_numpy(const py::object& module) {
    static PyObject* const instance = lasting_text("_rand");
    static PyObject* const bits = lasting_text("_bit_generator");
    numpys_ = attribute_of(module, instance);
    for (const py::object& part : {numpys_, attribute_of(numpys_, bits)})
      if (!part.is_none())
        read_bytes(numpy_, part, reinterpret_cast<PyObject*>(Py_TYPE(part.ptr())));
  }

  // What an instance of a native class has behind the head that all objects have.
  static void read_bytes(std::vector<char>& bytes, const py::object& object, PyObject* native) {
    const auto size = reinterpret_cast<PyTypeObject*>(native)->tp_basicsize;
    const auto* const first = reinterpret_cast<const char*>(object.ptr());
    bytes.insert(bytes.end(), first + sizeof(PyObject), first + size);
  }

  bool is_python_fresh() const { // the position comes first
    int position = kFresh;
    if (python_.size() >= sizeof position) std::memcpy(&position, python_.data(), sizeof position);
    return position == kFresh;
  }

  bool is_numpy_fresh() const {
    if (numpys_.is_none()) return true;
    const py::dict state = numpys_.attr("get_state")(py::arg("legacy") = false);
    const bool drew = state["has_gauss"].cast<int>() != 0;
    return !drew && state["state"]["pos"].cast<int>() == kNumpysFresh;
  }

  std::vector<char> python_, numpy_; // empty: not imported
  py::object gauss_ = py::none(), numpys_ = py::none();
};

} // namespace

void bind_random_states(py::module_& module) {
  py::class_<RandomStates>(module, "RandomStates",
                           "The states of the global generators of random and numpy.random.")
      .def(py::init<>())
      .def("__reduce__", &no_pickle)
      .def("changed", &RandomStates::changed, "Whether any of them is another one now.");
}

} // namespace arenagrad::bindings
