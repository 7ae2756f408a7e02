// What a compiled function is called through: a native object that knows the programs of the last
// calls. Arguments of a structure it knows are read and run at once; everything else, and what
// takes a new way, goes to the fallback in Python, which then teaches it.
#include <pybind11/stl.h>

#include <algorithm>
#include <optional>

#include "point_executable.h"
#include "program.h"

namespace arenagrad::bindings {
namespace {

constexpr std::size_t kMost = 300; // programs known at once; all paths of a function and more

// The arguments that a derivative is by; several are a tuple or a list.
struct Argnums {
  bool several = false;
  std::vector<long> numbers;
};

struct Known {
  std::optional<Argnums> argnums; // none: the call takes none
  std::shared_ptr<const PointExecutable> runner;
};

struct PyNativeDispatch {
  PyObject_HEAD vectorcallfunc vectorcall;
  PyObject* fallback;
  PyObject* dict;            // name and text of the method that it stands for
  std::vector<Known>* known; // the last used first
};

PyNativeDispatch* as_call(PyObject* object) { return reinterpret_cast<PyNativeDispatch*>(object); }

bool is_sequence(PyObject* object) {
  return PyTuple_CheckExact(object) || PyList_CheckExact(object);
}

// Whether `given`, null if nothing was said, names them: nothing else does than ints as they are.
bool names(PyObject* given, const std::optional<Argnums>& argnums) {
  const auto is = [](PyObject* object, long number) {
    int too_large = 0;
    return PyLong_CheckExact(object) && PyLong_AsLongAndOverflow(object, &too_large) == number &&
           too_large == 0;
  };
  if (given == nullptr) // the first argument is what is meant
    return !argnums || (!argnums->several && argnums->numbers[0] == 0);
  if (!argnums) return false;
  const std::vector<long>& numbers = argnums->numbers;
  if (!argnums->several) return is(given, numbers[0]);
  if (!is_sequence(given) || PySequence_Fast_GET_SIZE(given) != std::ssize(numbers)) return false;
  for (std::size_t k = 0; k < numbers.size(); ++k)
    if (!is(PySequence_Fast_GET_ITEM(given, k), numbers[k])) return false;
  return true;
}

// Of what has been checked: None, an int, or ints.
std::optional<Argnums> argnums_of(PyObject* given) {
  if (given == Py_None) return std::nullopt;
  if (!is_sequence(given)) return Argnums{false, {py::cast<long>(py::handle(given))}};
  return Argnums{true, py::cast<std::vector<long>>(py::handle(given))};
}

// The result, or null with no error set if the fallback must do it.
PyObject* known_result(PyNativeDispatch* self, PyObject* const* args, std::size_t count,
                       PyObject* argnums, const py::object& out) {
  std::vector<Known>& known = *self->known;
  for (std::size_t k = 0; k < known.size(); ++k) {
    if (!names(argnums, known[k].argnums)) continue;
    // Kept: what runs in the middle may change the list.
    const std::shared_ptr<const PointExecutable> runner = known[k].runner;
    PointExecutable::Buffers buffers(*runner);
    if (!runner->match(args, count, buffers)) continue;
    runner->check_buffers(out);
    const program::Outcome outcome = runner->run(buffers);
    if (outcome.guard != program::kNone) continue;
    if (!outcome.finite) return nullptr;
    if (k != 0 && k < known.size() && known[k].runner == runner)
      std::rotate(known.begin(), known.begin() + static_cast<std::ptrdiff_t>(k),
                  known.begin() + static_cast<std::ptrdiff_t>(k) + 1);
    return runner->result(buffers, out).release().ptr();
  }
  return nullptr;
}

PyObject* call(PyObject* self, PyObject* const* args, std::size_t nargsf, PyObject* names) {
  PyNativeDispatch* const own = as_call(self);
  const auto count = static_cast<std::size_t>(PyVectorcall_NARGS(nargsf));
  try {
    static PyObject* const out_name = PyUnicode_InternFromString("out");
    static PyObject* const argnums_name = PyUnicode_InternFromString("argnums");
    PyObject *out = Py_None, *argnums = nullptr;
    bool usual = true;
    for (Py_ssize_t k = 0; names != nullptr && k < PyTuple_GET_SIZE(names); ++k) {
      PyObject* const name = PyTuple_GET_ITEM(names, k);
      PyObject* const given = args[count + static_cast<std::size_t>(k)];
      if (name == out_name)
        out = given;
      else if (name == argnums_name)
        argnums = given;
      else
        usual = false;
    }
    if (usual && !own->known->empty())
      if (PyObject* result =
              known_result(own, args, count, argnums, py::reinterpret_borrow<py::object>(out)))
        return result;
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

PyObject* make(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  as_call(self)->vectorcall = call;
  as_call(self)->known = new (std::nothrow) std::vector<Known>;
  if (as_call(self)->known != nullptr) return self;
  Py_DECREF(self);
  return PyErr_NoMemory();
}

int init(PyObject* self, PyObject* args, PyObject* keywords) {
  static const char* names[] = {"fallback", nullptr};
  PyObject* fallback = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "O", const_cast<char**>(names), &fallback))
    return -1;
  Py_XSETREF(as_call(self)->fallback, Py_NewRef(fallback));
  return 0;
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(as_call(self)->fallback);
  Py_VISIT(as_call(self)->dict);
  return 0;
}

int clear(PyObject* self) {
  Py_CLEAR(as_call(self)->fallback);
  Py_CLEAR(as_call(self)->dict);
  return 0;
}

void dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  clear(self);
  delete as_call(self)->known;
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* learn(PyObject* self, PyObject* args) {
  PyObject *argnums = nullptr, *runner = nullptr;
  if (!PyArg_ParseTuple(args, "OO", &argnums, &runner)) return nullptr;
  try {
    Known known{argnums_of(argnums),
                py::cast<std::shared_ptr<PointExecutable>>(py::handle(runner))};
    std::vector<Known>& list = *as_call(self)->known;
    std::erase_if(list, [&](const Known& other) {
      return other.runner == known.runner && names(argnums, other.argnums);
    });
    list.insert(list.begin(), std::move(known));
    if (list.size() > kMost) list.pop_back();
    Py_RETURN_NONE;
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

PyObject* forget(PyObject* self, PyObject*) {
  // Taken out first: dropping them may run anything.
  std::vector<Known> gone;
  gone.swap(*as_call(self)->known);
  Py_RETURN_NONE;
}

// What stands for a method is found again as an attribute of what it is a method of.
PyObject* reduce(PyObject* self, PyObject*) {
  PyObject* const fallback = as_call(self)->fallback;
  if (fallback != nullptr && PyMethod_Check(fallback))
    return PyObject_CallMethod(fallback, "__reduce__", nullptr);
  PyErr_SetString(PyExc_TypeError, "a NativeDispatch that stands for no method cannot be pickled");
  return nullptr;
}

} // namespace

void bind_call(py::module_& module) {
  static PyMethodDef methods[] = {
      {"_remember", learn, METH_VARARGS,
       "Try this PointExecutable first in calls with these argnums; None: in calls that take "
       "none."},
      {"_forget", forget, METH_NOARGS, "Leave every call to the fallback again."},
      {"__reduce__", reduce, METH_NOARGS, "For pickle and copy: the method that it stands for."},
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
                         {Py_tp_new, reinterpret_cast<void*>(make)},
                         {Py_tp_init, reinterpret_cast<void*>(init)},
                         {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
                         {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                         {Py_tp_clear, reinterpret_cast<void*>(clear)},
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
