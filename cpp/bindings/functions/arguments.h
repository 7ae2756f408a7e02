// Arguments of the native functions that are called too often for pybind11's own reading of them.
#pragma once

#include <Python.h>

#include <cstddef>

namespace arenagrad::bindings {

// The arguments of one call by position or keyword; those left out are null.
template <std::size_t N> struct Arguments {
  PyObject* given[N] = {};

  PyObject* operator[](std::size_t i) const { return given[i]; }

  // False with a TypeError set unless the first `needed` are there and none is unknown or twice.
  bool read(const char* function, const char* const (&names)[N], std::size_t needed,
            PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
    if (static_cast<std::size_t>(count) > N)
      return fail("%s() takes at most %zd arguments, got %zd", function, Py_ssize_t{N}, count);
    for (Py_ssize_t i = 0; i < count; ++i) given[i] = args[i];
    for (Py_ssize_t k = 0; keywords != nullptr && k < PyTuple_GET_SIZE(keywords); ++k) {
      PyObject* keyword = PyTuple_GET_ITEM(keywords, k);
      std::size_t i = 0;
      while (i < N && PyUnicode_CompareWithASCIIString(keyword, names[i]) != 0) ++i;
      if (i == N) return fail("%s() has no argument '%U'", function, keyword);
      if (given[i] != nullptr) return fail("%s() got '%s' twice", function, names[i]);
      given[i] = args[count + k];
    }
    for (std::size_t i = 0; i < needed; ++i)
      if (given[i] == nullptr) return fail("%s() needs the argument '%s'", function, names[i]);
    return true;
  }

private:
  template <class... Parts> static bool fail(const char* format, Parts... parts) {
    PyErr_Format(PyExc_TypeError, format, parts...);
    return false;
  }
};

// A row of a module's table of functions; doc begins with the signature.
template <class Function>
PyMethodDef definition(const char* name, Function* function, const char* doc) {
  return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function)),
          METH_FASTCALL | METH_KEYWORDS, doc};
}

} // namespace arenagrad::bindings
