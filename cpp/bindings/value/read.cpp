// A Value read as a number: float(), int(), round(), format(), comparisons. Truth and hash are
// those of the object, and so is the equality of two Values, since a node is itself and not its
// number; in a compiled function equality and truth are those of the number, as on floats.
#include <cmath>
#include <limits>
#include <string_view>

#include "trace.h"
#include "warnings.h"

namespace arenagrad::bindings {
namespace {

double data_of(PyObject* self) { return arena().data(node_of(self)); }

PyObject* to_float(PyObject* self) {
  return note_detached_number(self) ? PyFloat_FromDouble(data_of(self)) : nullptr;
}

// The number where it is plain that a number is meant.
PyObject* item(PyObject* self, PyObject*) {
  return note_frozen(self, "reading the number") ? PyFloat_FromDouble(data_of(self)) : nullptr;
}

// A Value is no index, as a float is none: the slot is there to say what helps. The argument of a
// function that is traced may have been an int, so the trace ends with it, caught or not.
PyObject* to_index(PyObject* self) {
  PyErr_Format(PyExc_TypeError,
               "'%.100s' object cannot be interpreted as an integer: index with "
               "arenagrad.take(values, i), or name an argument that is an int in "
               "static_argnums of compile",
               Py_TYPE(self)->tp_name);
  remember_refusal();
  return nullptr;
}

enum class Rounding : std::uint8_t { Down, Up, TowardsZero, HalfToEven };

// Above this floats are whole.
constexpr double kWhole = 0x1p52;

double rounded(double x, Rounding how) {
  switch (how) {
  case Rounding::Down:
    return std::floor(x);
  case Rounding::Up:
    return std::ceil(x);
  case Rounding::TowardsZero:
    return std::trunc(x);
  default:
    return std::nearbyint(x);
  }
}

// Guards that say of x in another run that it is rounded to the same integer n, or is no integer in
// the same way.
void guard_integer(Trace& trace, PyObject* self, double x, Rounding how) {
  using program::Relation;
  const auto is = [&](double number) {
    trace.compared(self, x, nullptr, number, Relation::Equal, true);
  };
  const auto between = [&](double low, bool with_low, double high, bool with_high) {
    const auto relation = [](bool with) { return with ? Relation::LessEqual : Relation::Less; };
    trace.compared(nullptr, low, self, x, relation(with_low), true);
    trace.compared(self, x, nullptr, high, relation(with_high), true);
  };
  const double n = rounded(x, how);
  if (std::isnan(x)) return trace.compared(self, x, self, x, Relation::Equal, false);
  if (std::fabs(x) >= kWhole) return is(x);
  if (how == Rounding::HalfToEven) {
    const bool even = std::fmod(n, 2.0) == 0.0;
    return between(n - 0.5, even, n + 0.5, even);
  }
  if (how == Rounding::TowardsZero && n == 0.0) return between(-1.0, false, 1.0, false);
  if (how == Rounding::Down || (how == Rounding::TowardsZero && n > 0.0))
    return between(n, true, n + 1.0, false);
  between(n - 1.0, false, n, true);
}

// The integer that a Value is rounded to. In a compiled function it is an outcome; elsewhere it
// leaves the graph, which only round() says by itself.
PyObject* to_integer(PyObject* self, Rounding how) {
  const double x = data_of(self);
  Trace* const trace = tracing();
  if (trace == nullptr && how != Rounding::HalfToEven && !note_detached_number(self))
    return nullptr;
  return caught<PyObject*>(nullptr, [&] {
    if (trace != nullptr) guard_integer(*trace, self, x, how);
    return PyLong_FromDouble(rounded(x, how));
  });
}

template <Rounding how> PyObject* integer(PyObject* self) { return to_integer(self, how); }
template <Rounding how> PyObject* integer_method(PyObject* self, PyObject*) {
  return to_integer(self, how);
}

// Does to the number what Python would do to a float.
PyObject* as_float(PyObject* self, const char* method, PyObject* const* args, Py_ssize_t count) {
  const auto number = py::reinterpret_steal<py::object>(item(self, nullptr));
  const auto bound = py::reinterpret_steal<py::object>(
      number ? PyObject_GetAttrString(number.ptr(), method) : nullptr);
  return bound ? PyObject_Vectorcall(bound.ptr(), args, static_cast<size_t>(count), nullptr)
               : nullptr;
}

PyObject* round(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count == 0 || (count == 1 && args[0] == Py_None))
    return to_integer(self, Rounding::HalfToEven);
  return as_float(self, "__round__", args, count);
}

PyObject* conjugate(PyObject* self, PyObject*) { return Py_NewRef(self); }

PyObject* format(PyObject* self, PyObject* spec) {
  if (PyUnicode_Check(spec) && PyUnicode_GET_LENGTH(spec) == 0) return PyObject_Str(self);
  return as_float(self, "__format__", &spec, 1);
}

// Whether a real number is a float, which a program can compare with again; -1 if an error is set.
int is_a_float(PyObject* other, double* out) {
  if (PyFloat_CheckExact(other)) return read_number(other, out) == IsReal::Yes ? 1 : -1;
  if (read_number(other, out) != IsReal::Yes) {
    if (!PyErr_ExceptionMatches(PyExc_OverflowError)) return -1;
    PyErr_Clear();
    return 0;
  }
  const auto number = py::reinterpret_steal<py::object>(PyFloat_FromDouble(*out));
  if (!number) return -1;
  return std::isnan(*out) ? 1 : PyObject_RichCompareBool(number.ptr(), other, Py_EQ);
}

bool holds(double left, double right, program::Relation relation) {
  switch (relation) {
  case program::Relation::Less:
    return left < right;
  case program::Relation::LessEqual:
    return left <= right;
  default:
    return left == right;
  }
}

// A comparison that the function being compiled makes, as the relation that a guard can ask about.
PyObject* compare_by_guard(Trace& trace, Operand left, Operand right, int op) {
  using program::Relation;
  if (op == Py_GT || op == Py_GE) std::swap(left, right);
  Relation relation = Relation::Equal;
  if (op == Py_LT || op == Py_GT) relation = Relation::Less;
  if (op == Py_LE || op == Py_GE) relation = Relation::LessEqual;
  const bool outcome = holds(left.number, right.number, relation);
  return caught<PyObject*>(nullptr, [&] {
    trace.compared(left.value, left.number, right.value, right.number, relation, outcome);
    return PyBool_FromLong(outcome != (op == Py_NE));
  });
}

// The float next to a real number that no float equals, below or above it. False: an error is set.
bool next_float(PyObject* other, bool below, double* out) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  if (read_number(other, out) != IsReal::Yes) {
    if (!PyErr_ExceptionMatches(PyExc_OverflowError)) return false;
    PyErr_Clear();
    const auto zero = py::reinterpret_steal<py::object>(PyLong_FromLong(0));
    const int negative = zero ? PyObject_RichCompareBool(other, zero.ptr(), Py_LT) : -1;
    if (negative < 0) return false;
    *out = negative != 0 ? -kInfinite : kInfinite;
  }
  const auto nearest = py::reinterpret_steal<py::object>(PyFloat_FromDouble(*out));
  const int is_below = nearest ? PyObject_RichCompareBool(nearest.ptr(), other, Py_LT) : -1;
  if (is_below < 0) return false;
  if ((is_below != 0) != below) *out = std::nextafter(*out, below ? -kInfinite : kInfinite);
  return true;
}

// A comparison with a real number that no float equals: x < c and x <= c are x <= the float below.
PyObject* compare_with_no_float(Trace& trace, PyObject* self, PyObject* other, int op) {
  if (op == Py_EQ || op == Py_NE) return PyBool_FromLong(op == Py_NE);
  const bool below = op == Py_LT || op == Py_LE;
  Operand bound;
  if (!next_float(other, below, &bound.number)) return nullptr;
  return compare_by_guard(trace, operand_of(self), bound, below ? Py_LE : Py_GE);
}

PyObject* compare_traced(Trace& trace, PyObject* self, PyObject* other, int op) {
  Operand right;
  if (is_value(other)) {
    right = operand_of(other);
  } else if (PyComplex_Check(other) && (op == Py_EQ || op == Py_NE)) {
    right.number = PyComplex_RealAsDouble(other);
    if (PyComplex_ImagAsDouble(other) != 0.0) return PyBool_FromLong(op == Py_NE);
  } else {
    const IsReal real = is_real(other);
    if (real == IsReal::Failed) return nullptr;
    if (real == IsReal::No) Py_RETURN_NOTIMPLEMENTED;
    const int exact = is_a_float(other, &right.number);
    if (exact < 0) return nullptr;
    if (exact == 0) return compare_with_no_float(trace, self, other, op);
  }
  return compare_by_guard(trace, operand_of(self), right, op);
}

// Whether it is one of NumPy's floats with fewer bits than a double, to which NumPy would round a
// float before it compares.
bool is_narrow_float(PyObject* object) {
  const std::string_view name = Py_TYPE(object)->tp_name;
  return name == "numpy.float32" || name == "numpy.float16";
}

PyObject* compare(PyObject* self, PyObject* other, int op) {
  if (Trace* trace = tracing()) return compare_traced(*trace, self, other, op);
  const bool equality = op == Py_EQ || op == Py_NE;
  const double left = data_of(self);
  if (is_value(other)) {
    // Two Values are equal if they are one, but for a nan: v != v is the test for it.
    if (equality && self != other && !compares_by_number())
      return PyBaseObject_Type.tp_richcompare(self, other, op);
    Py_RETURN_RICHCOMPARE(left, data_of(other), op);
  }
  if (PyFloat_CheckExact(other)) Py_RETURN_RICHCOMPARE(left, PyFloat_AS_DOUBLE(other), op);
  const IsReal real = is_real(other);
  if (real == IsReal::Failed) return nullptr;
  if (real == IsReal::No && !(equality && PyComplex_Check(other))) Py_RETURN_NOTIMPLEMENTED;
  if (is_narrow_float(other)) {
    const double right = PyFloat_AsDouble(other);
    if (right == -1.0 && PyErr_Occurred()) return nullptr;
    Py_RETURN_RICHCOMPARE(left, right, op);
  }
  // As a float compares, exactly: not every int or Fraction has a double.
  const auto number = py::reinterpret_steal<py::object>(PyFloat_FromDouble(left));
  return number ? PyObject_RichCompare(number.ptr(), other, op) : nullptr;
}

// A Value is an object, so it is true; in a compiled function it is as true as its number.
int truth_of_number(PyObject* self) {
  if (!compares_by_number()) return 1;
  const double x = data_of(self);
  return caught(-1, [&] {
    if (Trace* trace = tracing())
      trace->compared(self, x, nullptr, 0.0, program::Relation::Equal, x == 0.0);
    return static_cast<int>(x != 0.0);
  });
}

Py_hash_t identity_hash(PyObject* self) {
  if (traces != 0 && !note_hash(self)) return -1;
  return PyBaseObject_Type.tp_hash(self);
}

} // namespace

PyType_Slot value_read_slots[] = {
    {Py_nb_float, reinterpret_cast<void*>(to_float)},
    {Py_nb_int, reinterpret_cast<void*>(integer<Rounding::TowardsZero>)},
    {Py_nb_index, reinterpret_cast<void*>(to_index)},
    {Py_nb_bool, reinterpret_cast<void*>(truth_of_number)},
    {Py_tp_hash, reinterpret_cast<void*>(identity_hash)},
    {Py_tp_richcompare, reinterpret_cast<void*>(compare)},
    {0, nullptr},
};

PyMethodDef value_read_methods[] = {
    {"__round__", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(round)), METH_FASTCALL,
     "The data rounded as a float is: an int, or with a number of digits a float."},
    {"item", item, METH_NOARGS, "The data, a float; never warns outside compiled functions."},
    {"conjugate", conjugate, METH_NOARGS,
     "Self: a real number is its own conjugate, which NumPy asks for in norm, var and vdot."},
    {"__trunc__", integer_method<Rounding::TowardsZero>, METH_NOARGS,
     "The data towards 0, an int: what math.trunc gives."},
    {"__floor__", integer_method<Rounding::Down>, METH_NOARGS,
     "The largest int that is not above the data: what math.floor gives."},
    {"__ceil__", integer_method<Rounding::Up>, METH_NOARGS,
     "The smallest int that is not below the data: what math.ceil gives."},
    {"__format__", format, METH_O, "The data formatted as a float is; str(self) without a format."},
    {nullptr, nullptr, 0, nullptr},
};

} // namespace arenagrad::bindings
