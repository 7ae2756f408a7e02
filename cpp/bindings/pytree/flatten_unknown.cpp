// Structures of arguments and results as a function takes and returns them.
#include <algorithm>

#include "argument_reader.h"
#include "bindings/value/record.h"
#include "flatten.h"
#include "module_parameters.h"

namespace arenagrad::bindings {

using Kind = TreeNode::Kind;

py::object keys_of(PyObject* dict) {
  const auto keys = py::reinterpret_steal<py::object>(PyDict_Keys(dict));
  if (!keys) throw py::error_already_set();
  auto tuple = py::reinterpret_steal<py::object>(PyList_AsTuple(keys.ptr()));
  if (!tuple) throw py::error_already_set();
  return tuple;
}

namespace {

bool is_instance_of(PyObject* object, PyObject* types) {
  const int is = PyObject_IsInstance(object, types);
  if (is < 0) throw py::error_already_set();
  return is != 0;
}

// How to give an object of a class that was made from a built-in one, or "".
const char* remedy_for_own_class(PyObject* object) {
  if (PyList_Check(object)) return ": give it as list() of it";
  if (PyTuple_Check(object)) return ": give it as tuple() of it";
  if (PyDict_Check(object)) return ": give it as dict() of it";
  if (PyFloat_Check(object)) return ": give it as float() of it";
  return PyLong_Check(object) ? ": give it as int() of it" : "";
}

bool is_numpy_bool(PyObject* object) {
  return std::string_view(Py_TYPE(object)->tp_name).starts_with("numpy.bool");
}

// Whether it is no number and no Enum and yet an argument: it chooses a program of its own. What a
// function among them reads is compared at each call (outer_state.h); the others do not change.
// Classes of Python's own can be changed, so they are not among them.
bool is_choice(PyObject* object) {
  static PyObject* kinds = nullptr;
  once(kinds, [] {
    const auto functools = py::module_::import("functools");
    const auto types = py::module_::import("types");
    return py::make_tuple(types.attr("FunctionType"), types.attr("BuiltinFunctionType"),
                          types.attr("MethodType"), types.attr("MethodDescriptorType"),
                          types.attr("WrapperDescriptorType"), types.attr("MethodWrapperType"),
                          types.attr("ClassMethodDescriptorType"), functools.attr("partial"),
                          functools.attr("_lru_cache_wrapper"),
                          py::module_::import("arenagrad._core.compiled").attr("NativeDispatch"));
  });
  if (object == Py_None || PyUnicode_Check(object) || PyBytes_Check(object)) return true;
  if (PyType_Check(object))
    return !PyType_HasFeature(reinterpret_cast<PyTypeObject*>(object), Py_TPFLAGS_HEAPTYPE);
  return is_numpy_bool(object) || std::string_view(Py_TYPE(object)->tp_name) == "numpy.ufunc" ||
         is_instance_of(object, kinds);
}

[[noreturn]] void refuse_argument(PyObject* object) {
  const std::string name = Py_TYPE(object)->tp_name;
  if (PyIter_Check(object))
    throw py::type_error("a compiled function cannot take an iterator, which gives its items only "
                         "once: make a list of it, got " +
                         name);
  const bool hashable = Py_TYPE(object)->tp_hash != PyObject_HashNotImplemented;
  const bool readable = is_array_like(object) || py::isinstance<py::array>(py::handle(object));
  const char* remedy = "";
  if (is_of_own_class(object))
    remedy = remedy_for_own_class(object);
  else if (readable)
    remedy = ": give it as numpy.asarray() of it";
  else if (hashable)
    remedy =
        ": give its numbers as arguments, or name it in static_argnums, which takes it as it is "
        "when the function is traced";
  throw py::type_error(
      "an argument of a compiled function must be made of numbers, arrays, Modules, lists, "
      "tuples, dicts, dataclasses and registered classes, or be a str, bytes, bool, None, Enum or "
      "function, "
      "got " +
      name + remedy);
}

} // namespace

bool is_enum(PyObject* object) {
  static PyObject* kind = nullptr; // the class of all Enums, of which Enums are instances
  once(kind, [] { return py::module_::import("enum").attr("EnumMeta"); });
  return PyObject_TypeCheck(reinterpret_cast<PyObject*>(Py_TYPE(object)),
                            reinterpret_cast<PyTypeObject*>(kind)) != 0;
}

bool is_no_number(PyObject* object) {
  return PyBool_Check(object) || is_enum(object) || is_choice(object);
}

void ArgumentReader::add(PyObject* object) {
  double number = 0.0;
  if (PyFloat_CheckExact(object)) {
    numbers.push_back(PyFloat_AS_DOUBLE(object));
    builder.leaf(Kind::Number, 1);
  } else if (is_enum(object)) {
    add_static(object);
  } else if (!is_value(object) && is_user_object(object)) {
    add_children(builder, take_apart(object), [&](PyObject* child, std::size_t, bool is_static) {
      is_static ? add_static(child) : add(child);
    });
  } else if (has_items(object)) {
    refuse_more_than_items(object);
    add_items(builder, object, [&](PyObject* item, std::size_t) { add(item); });
  } else if (is_value(object)) {
    add_value(object);
    builder.leaf(Kind::Number, 1);
  } else if (PyBool_Check(object)) {
    add_static(object);
  } else if (is_of_own_class(object)) {
    refuse_argument(object);
  } else if (const IsReal real = read_number(object, &number); real != IsReal::No) {
    if (real == IsReal::Failed) throw py::error_already_set();
    numbers.push_back(number);
    builder.leaf(Kind::Number, 1);
  } else if (is_array(object)) {
    add_array(object);
  } else if (is_module(object)) {
    const py::tuple parameters = parameters_of(object);
    for (const py::handle value : parameters) add_parameter(value.ptr());
    builder.leaf(Kind::Module, parameters.size(), {}, py::reinterpret_borrow<py::object>(object));
  } else if (is_choice(object)) {
    add_static(object);
  } else {
    refuse_argument(object);
  }
}

void ArgumentReader::add_value(PyObject* value) {
  if (values == nullptr) {
    has_values = true;
    return;
  }
  values->emplace_back(numbers.size(), py::reinterpret_borrow<py::object>(value));
  numbers.push_back(arena().data(node_of(value)));
}

void ArgumentReader::add_parameter(PyObject* value) {
  if (values != nullptr) return add_value(value);
  warn_if_frozen(value, "a compiled function's use");
  numbers.push_back(arena().data(node_of(value)));
}

void ArgumentReader::add_static(PyObject* object) {
  if (PyObject_Hash(object) == -1) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) throw py::error_already_set();
    PyErr_Clear();
    throw py::type_error(std::string("a static argument of a compiled function must be hashable, "
                                     "got ") +
                         Py_TYPE(object)->tp_name);
  }
  if (PyIter_Check(object)) refuse_argument(object);
  builder.leaf(Kind::Static, 0, {}, py::reinterpret_borrow<py::object>(object));
}

void ArgumentReader::add_array(PyObject* object) {
  const auto array = py::reinterpret_borrow<py::array>(object);
  Shape shape(array.shape(), array.shape() + array.ndim());
  const std::size_t size = size_of(shape);
  const char kind = kind_of(object);
  if (kind == 'O') {
    for (const py::handle item : elements_of(object)) {
      if (is_value(item.ptr()))
        add_value(item.ptr());
      else
        numbers.push_back(need_number(item.ptr(), "an element of an array"));
    }
  } else if (kind == 'f' || kind == 'i' || kind == 'u') {
    const py::array read = as_doubles(object);
    const auto* from = static_cast<const double*>(read.data());
    numbers.insert(numbers.end(), from, from + size);
  } else {
    throw py::type_error("an array for a compiled function must hold real numbers, got the dtype " +
                         std::string(py::str(array.dtype())) +
                         (kind == 'b' ? ": a Value is always true; use floats and where()" : ""));
  }
  builder.leaf(Kind::Array, size, std::move(shape));
}

std::string argument_text(const std::string& place) {
  const std::size_t end = place.find(']');
  if (end == std::string::npos) return "";
  const std::string rest = place.substr(end + 1);
  return " (argument " + place.substr(1, end - 1) + (rest.empty() ? "" : ", at " + rest) + ")";
}

FlatArguments flatten_unknown_arguments(const py::tuple& arguments,
                                        const std::vector<bool>& statics, const py::dict& keywords,
                                        const py::object& static_names, PlacedValues* values) {
  ArgumentReader reader;
  reader.values = values;
  reader.add_all(
      arguments, statics, keywords, static_names,
      [&](PyObject* argument, std::size_t) { reader.add(argument); },
      [&](PyObject* argument) { reader.add(argument); });
  return {reader.builder.finish(), std::move(reader.numbers), reader.has_values};
}

// --- results ------------------------------------------------------------------------------------

namespace {

// Whether a function may give it as it is: it has no Values in it, and is never changed.
bool is_plain(PyObject* object) {
  return object == Py_None || PyBool_Check(object) || PyUnicode_Check(object) ||
         PyBytes_Check(object) || PyComplex_Check(object) || PyType_Check(object) ||
         is_numpy_bool(object) || has_attribute(py::type::handle_of(object), "__members__");
}

class ResultReader {
public:
  // An object that is static in the arguments may come back.
  explicit ResultReader(const PyTree& arguments) : arguments_(arguments) {}

  void add(PyObject* object) {
    double number = 0.0;
    if (is_value(object)) {
      builder.leaf(Kind::Number, 1);
      values.push_back(py::reinterpret_borrow<py::object>(object));
    } else if (!is_enum(object) && is_user_object(object)) {
      add_children(builder, take_apart(object), [&](PyObject* child, std::size_t, bool is_static) {
        is_static && !is_value(child) && is_real(child) == IsReal::Yes ? keep(child) : add(child);
      });
    } else if (has_items(object)) {
      if (PyDict_Check(object))
        for (const py::handle key : py::reinterpret_borrow<py::tuple>(keys_of(object)))
          refuse_values_in(key.ptr());
      refuse_more_than_items(object);
      add_items(builder, object, [&](PyObject* item, std::size_t) { add(item); });
    } else if (PyBool_Check(object)) {
      add_static(object);
    } else if (const IsReal real = read_number(object, &number); real != IsReal::No) {
      if (real == IsReal::Failed) throw py::error_already_set();
      builder.leaf(Kind::Number, 1, {}, py::reinterpret_borrow<py::object>(object));
      add_constant(number);
    } else if (is_array(object)) {
      add_array(object);
    } else {
      add_static(object);
    }
  }

  PyTreeBuilder builder;
  std::vector<py::object> values;

private:
  void add_constant(double number) {
    values.push_back(py::reinterpret_steal<py::object>(
        recorded(1, [&](core::Arena& g) { return g.push_leaf(number); })));
    if (!values.back()) throw py::error_already_set();
  }

  void keep(PyObject* object) {
    builder.leaf(Kind::Static, 0, {}, py::reinterpret_borrow<py::object>(object));
  }

  void add_static(PyObject* object) {
    if (!is_plain(object) && !is_given(object))
      throw py::type_error(
          std::string("a compiled function must return Values, numbers, arrays of them, text, "
                      "bools and None, in lists, tuples, dicts, dataclasses and registered "
                      "classes, got ") +
          Py_TYPE(object)->tp_name + remedy_for_own_class(object));
    keep(object);
  }

  bool is_given(PyObject* object) const {
    return std::ranges::any_of(arguments_.nodes(), [&](const TreeNode& node) {
      return node.kind == Kind::Static && node.extra.ptr() == object;
    });
  }

  // Keys are kept as they are.
  static void refuse_values_in(PyObject* key) {
    if (is_value(key))
      throw py::type_error("a compiled function must not return a dict with Values as keys");
    for (Py_ssize_t k = 0; PyTuple_Check(key) && k < PyTuple_GET_SIZE(key); ++k)
      refuse_values_in(PyTuple_GET_ITEM(key, k));
  }

  void add_array(PyObject* object) {
    const auto array = py::reinterpret_borrow<py::array>(object);
    const char kind = kind_of(object);
    if (kind != 'O' && kind != 'f') {
      if (array.dtype().attr("hasobject").cast<bool>())
        throw py::type_error("a compiled function must not return arrays with objects in fields");
      return builder.leaf(Kind::Static, 0, {}, array.attr("copy")());
    }
    Shape shape(array.shape(), array.shape() + array.ndim());
    for (const py::handle item : elements_of(object)) {
      if (is_value(item.ptr()))
        values.push_back(py::reinterpret_borrow<py::object>(item));
      else
        add_constant(need_number(item.ptr(), "an element of an array in a result"));
    }
    const std::size_t size = size_of(shape);
    builder.leaf(Kind::Array, size, std::move(shape));
  }

  const PyTree& arguments_;
};

} // namespace

FlatResults flatten_results(const py::object& results, const PyTree& arguments) {
  ResultReader reader(arguments);
  reader.add(results.ptr());
  return {reader.builder.finish(), std::move(reader.values)};
}

} // namespace arenagrad::bindings
