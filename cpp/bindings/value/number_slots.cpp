// The number slots of Value. They record exactly micrograd's graphs: -a is a * -1, a - b is
// a + (-b), a / b is a * b**-1, and a number becomes a leaf just before the node that uses it.
//
// The hot path of the library: no allocation but the handle, nothing but stores into the arena.
#include <cmath>

#include "record.h"

namespace arenagrad::bindings {
namespace {

using core::Arena;
using core::NodeId;
using core::Op;

template <Op op> inline NodeId push(Arena& g, NodeId a, NodeId b, core::Tag held = 0) {
  return g.push(op, core::evaluate(op, g.data(a), g.data(b)), {a, b}, held);
}

// With a number as the second operand.
template <Op op> inline NodeId push_with(Arena& g, NodeId a, double number, core::Tag held = 0) {
  return g.push_with_leaf(op, core::evaluate(op, g.data(a), number), a, number, held);
}

inline NodeId push_negated(Arena& g, PyObject* value) {
  const NodeId a = use(value);
  return push_with<Op::Mul>(g, a, -1.0);
}

// base ** exponent; the check comes first so that a failure records and marks nothing.
inline NodeId push_power(Arena& g, PyObject* base, double exponent, bool integer) {
  const Operand x = operand_of(base);
  const double y = core::evaluate(Op::Pow, x.number, exponent);
  check_recorded(Op::Pow, x, {nullptr, exponent}, y);
  const NodeId b = g.push_leaf(exponent, integer ? Op::LiteralInt : Op::Literal);
  return note_fallible(g.push(Op::Pow, y, {use(base), b}));
}

// A trace under way ends with it even if the function catches it, since a float would not have
// raised it.
PyObject* refuse_complex(PyObject* object) {
  PyErr_Format(
      PyExc_TypeError,
      "unsupported operand type(s): a Value is a real number, got '%.100s' while a function "
      "is compiled",
      Py_TYPE(object)->tp_name);
  remember_refusal();
  return nullptr;
}

// Runs `record(number)` if `object` is a number; else NotImplemented, so that Python asks the other
// operand and raises its usual TypeError.
template <class Record> inline PyObject* with_number(PyObject* object, Record&& record) {
  double number = 0.0;
  switch (read_number(object, &number)) {
  case IsReal::Yes:
    return record(number);
  case IsReal::Failed:
    return nullptr;
  case IsReal::No:
    break;
  }
  return tracing() != nullptr && PyComplex_Check(object) ? refuse_complex(object)
                                                         : Py_NewRef(Py_NotImplemented);
}

PyObject* remainder(PyObject* x, PyObject* y) { return value_binary(Op::Remainder, x, y); }

PyObject* floor_divide(PyObject* x, PyObject* y) { return value_binary(Op::FloorDivide, x, y); }

PyObject* quotient_and_remainder(PyObject* x, PyObject* y) {
  PyObject* quotient = floor_divide(x, y);
  if (quotient == nullptr || quotient == Py_NotImplemented) return quotient;
  PyObject* rest = remainder(x, y);
  PyObject* pair = rest == nullptr ? nullptr : PyTuple_Pack(2, quotient, rest);
  Py_DECREF(quotient);
  Py_XDECREF(rest);
  return pair;
}

constexpr const char* kOperationsOfInts[] = {"<<", ">>", "&", "|", "^"};

// Ints have these, and an argument of a function that is traced may have been one: the trace ends
// with the error even if the function catches it.
template <std::size_t k> PyObject* of_ints(PyObject* x, PyObject* y) {
  PyObject* const other = is_value(x) ? y : x;
  if (tracing() == nullptr || !(is_value(other) || PyLong_Check(other))) Py_RETURN_NOTIMPLEMENTED;
  PyErr_Format(PyExc_TypeError,
               "unsupported operand type(s) for %s: '%.100s' and '%.100s' while a function is "
               "compiled: name an argument that is an int in static_argnums",
               kOperationsOfInts[k], Py_TYPE(x)->tp_name, Py_TYPE(y)->tp_name);
  remember_refusal();
  return nullptr;
}

// x op y, where a number on either side becomes the second operand, as micrograd's __radd__ does.
template <Op op> [[gnu::noinline]] PyObject* commutative_general(PyObject* x, PyObject* y) {
  if (!is_value(x)) std::swap(x, y);
  if (is_value(y)) return recorded(1, [&](Arena& g) { return push<op>(g, use(x), use(y)); });
  return with_number(y, [&](double number) {
    return recorded(2, [&](Arena& g) { return push_with<op>(g, use(x), number); });
  });
}

// The usual case first: it can neither fail nor call anything, so it needs no stack frame.
template <Op op> PyObject* commutative(PyObject* x, PyObject* y) {
  Arena& g = arena();
  if (is_exact_value(x) && !pool.empty() && g.ready_for(2)) [[likely]] {
    if (is_exact_value(y)) {
      PyValue* out = pool.take();
      g.attach_new(out->link, push<op>(g, use(x), use(y), core::kHasHandle));
      return as_object(out);
    }
    if (PyFloat_CheckExact(y)) {
      PyValue* out = pool.take();
      const double number = PyFloat_AS_DOUBLE(y);
      g.attach_new(out->link, push_with<op>(g, use(x), number, core::kHasHandle));
      return as_object(out);
    }
  }
  return commutative_general<op>(x, y);
}

PyObject* add_number(PyObject* x, double number) {
  return recorded(2, [&](Arena& g) { return push_with<Op::Add>(g, use(x), number); });
}

PyObject* subtract(PyObject* x, PyObject* y) {
  if (!is_value(x)) {
    return with_number(x, [&](double number) {
      return recorded(4, [&](Arena& g) {
        const NodeId negated = push_negated(g, y);
        return push_with<Op::Add>(g, negated, number);
      });
    });
  }
  if (is_value(y))
    return recorded(3, [&](Arena& g) {
      const NodeId a = use(x);
      return push<Op::Add>(g, a, push_negated(g, y));
    });
  if (PyFloat_CheckExact(y)) return add_number(x, -PyFloat_AS_DOUBLE(y));
  return with_number(y, [&](double) -> PyObject* {
    // Python negates first, and to some types 0 has no sign.
    const auto negated = py::reinterpret_steal<py::object>(PyNumber_Negative(y));
    if (!negated) return nullptr;
    return with_number(negated.ptr(), [&](double number) { return add_number(x, number); });
  });
}

PyObject* divide(PyObject* x, PyObject* y) {
  if (!is_value(x)) {
    return with_number(x, [&](double number) {
      return recorded(4, [&](Arena& g) {
        const NodeId inverse = push_power(g, y, -1.0, true);
        return push_with<Op::Mul>(g, inverse, number);
      });
    });
  }
  if (is_value(y))
    return recorded(3, [&](Arena& g) {
      const NodeId inverse = push_power(g, y, -1.0, true);
      return push<Op::Mul>(g, use(x), inverse);
    });
  return with_number(y, [&](double number) {
    return recorded(2, [&](Arena& g) {
      const double inverse = core::evaluate(Op::Pow, number, -1.0);
      core::check_primal(Op::Pow, number, -1.0, inverse, core::kNoNode);
      return push_with<Op::Mul>(g, use(x), inverse);
    });
  });
}

// Whether the double and the kind of literal are enough to write the exponent as `**{exponent}`.
bool literal_says_all(PyObject* exponent, double number) {
  return !PyBool_Check(exponent) && (!PyLong_Check(exponent) || std::fabs(number) < 0x1p53);
}

PyObject* power(PyObject* base, PyObject* exponent, PyObject* modulus) {
  if (modulus != Py_None) Py_RETURN_NOTIMPLEMENTED;
  if (is_value(exponent)) return value_binary(Op::Power, base, exponent);
  return with_number(exponent, [&](double number) -> PyObject* {
    const bool integer = PyIndex_Check(exponent);
    PyObject* out = recorded(2, [&](Arena& g) { return push_power(g, base, number, integer); });
    const bool leaf = no_grad_depth != 0; // whose text is empty
    if (out == nullptr || leaf || literal_says_all(exponent, number)) return out;
    try {
      set_state(out, "_op",
                py::reinterpret_steal<py::object>(PyUnicode_FromFormat("**%S", exponent)).ptr());
      return out;
    } catch (...) {
      Py_DECREF(out);
      set_python_error();
      return nullptr;
    }
  });
}

PyObject* negative(PyObject* x) {
  return recorded(2, [&](Arena& g) { return push_negated(g, x); });
}

PyObject* positive(PyObject* x) { return Py_NewRef(x); }

PyObject* absolute(PyObject* x) { return value_unary(Op::Abs, x); }

} // namespace

PyType_Slot value_number_slots[] = {
    {Py_nb_add, reinterpret_cast<void*>(commutative<Op::Add>)},
    {Py_nb_multiply, reinterpret_cast<void*>(commutative<Op::Mul>)},
    {Py_nb_subtract, reinterpret_cast<void*>(subtract)},
    {Py_nb_true_divide, reinterpret_cast<void*>(divide)},
    {Py_nb_power, reinterpret_cast<void*>(power)},
    {Py_nb_remainder, reinterpret_cast<void*>(remainder)},
    {Py_nb_floor_divide, reinterpret_cast<void*>(floor_divide)},
    {Py_nb_divmod, reinterpret_cast<void*>(quotient_and_remainder)},
    {Py_nb_lshift, reinterpret_cast<void*>(of_ints<0>)},
    {Py_nb_rshift, reinterpret_cast<void*>(of_ints<1>)},
    {Py_nb_and, reinterpret_cast<void*>(of_ints<2>)},
    {Py_nb_or, reinterpret_cast<void*>(of_ints<3>)},
    {Py_nb_xor, reinterpret_cast<void*>(of_ints<4>)},
    {Py_nb_negative, reinterpret_cast<void*>(negative)},
    {Py_nb_positive, reinterpret_cast<void*>(positive)},
    {Py_nb_absolute, reinterpret_cast<void*>(absolute)},
    {0, nullptr},
};

} // namespace arenagrad::bindings
