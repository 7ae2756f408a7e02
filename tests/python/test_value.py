"""One Value: what it is made of, what it shows, and every way in which it refuses."""

import operator
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import arenagrad
from arenagrad import Value, nn
from oracle import Pure, bits, refused
from settled import settled_nodes

# Numbers


@pytest.mark.parametrize(
    ("given", "number"),
    [
        (3, 3.0),
        (True, 1.0),
        (-0.0, -0.0),
        (10**20, 1e20),
        (float("inf"), float("inf")),
        (float("nan"), float("nan")),
        *((np.float64(2.5), 2.5), (np.float32(0.1), float(np.float32(0.1)))),
        *((np.int64(-7), -7.0), (np.uint8(200), 200.0)),
        (Fraction(1, 3), 1 / 3),
        (Decimal("0.1"), 0.1),
        (type("Half", (float,), {})(0.5), 0.5),
    ],
    ids=repr,
)
def test_every_real_number_becomes_a_float(given: Any, number: float) -> None:
    made, assigned, summed = Value(given), Value(9.0), Value(1.0) * given
    assigned.data = assigned.grad = given
    numbers = [made.data, assigned.data, assigned.grad, (given * Value(1.0)).data, summed.data]
    assert [bits(x) for x in numbers] == [bits(number)] * 5
    assert {type(x) for x in numbers} == {float}
    assert type(given * Value(1.0)) is Value
    assert (made._op, made._prev, made.grad) == ("", set(), 0.0)


HINT = " (a Value holds one number; make one Value for each element)"
NO_NUMBERS: list[tuple[Any, str]] = [
    (None, "NoneType"),
    ("1.0", "str"),
    (b"1", "bytes"),
    ([1.0], "list"),
    ((1.0,), "tuple"),
    ({}, "dict"),
    (1j, "complex"),
    (object(), "object"),
    (np.complex128(1), "numpy.complex128" + HINT),
    (np.array([1.0, 2.0]), "numpy.ndarray" + HINT),
    (np.array(1.0), "numpy.ndarray" + HINT),
    (Value(1.0), "arenagrad.Value (use its .data for the number)"),
]


@pytest.mark.parametrize(("given", "named"), NO_NUMBERS, ids=lambda x: repr(x)[:20])
def test_what_is_no_real_number_is_refused_by_name(given: Any, named: str) -> None:
    value = Value(2.0)
    with refused(TypeError, f"data must be a real number, got {named}"):
        Value(given)
    with refused(TypeError, f"data must be a real number, got {named}"):
        value.data = given
    with refused(TypeError, f"grad must be a real number, got {named}"):
        value.grad = given
    with refused(TypeError, f"a partial of Value must be a real number, got {named}"):
        Value(1.0, (value,), (given,))
    assert (value.data, value.grad) == (2.0, 0.0)


def test_an_element_of_a_layers_input_is_refused_by_name() -> None:
    with refused(TypeError, "an element of x must be a real number, got str"):
        nn.Layer(1, 2)(["text"])


class Failing(Fraction):
    """A real number whose conversion fails."""

    def __float__(self) -> float:
        raise KeyError("no float today")


@pytest.mark.parametrize(
    ("given", "error"),
    [(10**400, OverflowError), (Fraction(10**400), OverflowError), (Failing(1), KeyError)],
    ids=["int", "Fraction", "own"],
)
def test_the_error_of_a_conversion_passes_through(given: Any, error: type[Exception]) -> None:
    value = Value(2.0)
    attempts: list[Callable[[], Any]] = [
        lambda: Value(given),
        lambda: value + given,
        lambda: value - given,
        lambda: value * given,
        lambda: value / given,
        lambda: value**given,
        lambda: Value(1.0, (value,), (given,)),
        lambda: setattr(value, "data", given),
    ]
    for attempt in attempts:
        with pytest.raises(error):
            attempt()
    assert (value.data, (value * 2.0).data) == (2.0, 4.0)


# Attributes


@pytest.mark.parametrize("name", ["data", "grad"])
def test_a_number_cannot_be_deleted(name: str) -> None:
    value = Value(2.0)
    with refused(AttributeError, f"{name} of a Value cannot be deleted"):
        delattr(value, name)
    assert (value.data, value.grad) == (2.0, 0.0)


def test_the_operands_can_be_neither_assigned_nor_deleted() -> None:
    value = Value(1.0) * 2
    message = "attribute '_prev' of 'arenagrad.Value' objects is not writable"
    with refused(AttributeError, message):
        value._prev = set()  # type: ignore[misc]
    with refused(AttributeError, message):
        del value._prev
    value._prev.clear()
    assert len(value._prev) == 2, "what is given out is a set of the caller's own"


def test_the_text_of_an_operation_may_be_assigned_but_is_always_a_text() -> None:
    value = Value(1.0) * 2
    value._op = "times"
    assert value._op == "times"
    for wrong in (None, 3, b"x"):
        with refused(TypeError, f"_op must be a str, got {type(wrong).__name__}"):
            value._op = wrong  # type: ignore[assignment]
    with refused(TypeError, "_op must be a str, got nothing"):
        del value._op
    assert value._op == "times"


def test_a_rule_is_always_callable() -> None:
    value = Value(1.0)
    for wrong in (None, 3, "text"):
        message = f"_backward must be callable without arguments, got {type(wrong).__name__}"
        with refused(TypeError, message):
            value._backward = wrong  # type: ignore[assignment]
    value._backward()


def test_any_other_attribute_may_be_set_read_and_deleted() -> None:
    value = Value(1.0)
    with pytest.raises(AttributeError, match="no attribute 'm'"):
        value.m  # noqa: B018
    value.m = value.v = 0.5
    assert vars(value) == {"m": 0.5, "v": 0.5}
    del value.m
    with pytest.raises(AttributeError, match="m"):
        del value.m
    value.__dict__ = {"name": "x"}
    assert (value.name, hasattr(value, "v")) == ("x", False)


def test_a_label_is_an_empty_text_until_it_is_set() -> None:
    value = Value(1.0)
    assert (value.label, Value.label, vars(value)) == ("", "", {})
    value.label = "x"
    assert (value.label, Value(2.0).label) == ("x", "")


@pytest.mark.parametrize("number", [2.0, -0.0, 0.1, 1e300, 1e-5, float("inf"), float("nan")])
def test_the_repr_is_that_of_micrograd(number: float) -> None:
    theirs, ours = Pure(number), Value(number)
    theirs.grad = ours.grad = number / 3
    assert repr(ours) == repr(theirs)


# Operations and their texts


@pytest.mark.parametrize(
    ("exponent", "text"),
    [
        (3, "**3"),
        (-1, "**-1"),
        (0, "**0"),
        (0.5, "**0.5"),
        (2.0, "**2.0"),
        (-0.0, "**-0.0"),
        (1e22, "**1e+22"),
        (True, "**True"),
        (False, "**False"),
        (2**53 + 1, "**9007199254740993"),
        (-(2**70), "**-1180591620717411303424"),
        (float("inf"), "**inf"),
        (np.float64(1.5), "**1.5"),
    ],
    ids=repr,
)
def test_a_power_is_labelled_with_its_exponent_as_written(exponent: Any, text: str) -> None:
    ours = Value(1.0) ** exponent
    if isinstance(exponent, int | float):  # all that micrograd takes
        assert (Pure(1.0) ** exponent)._op == text
    assert (ours._op, ours.data) == (text, 1.0)
    arenagrad.collect()
    assert ours._op == text


def test_exponents_that_micrograd_does_not_take_are_shown_as_numbers() -> None:
    texts = [(Value(1.0) ** x)._op for x in (np.int64(3), np.float32(0.5), Fraction(1, 2))]
    assert texts == ["**3", "**0.5", "**0.5"]


def test_every_operation_shows_its_text_and_its_operands() -> None:
    a, b = Value(2.0), Value(3.0)
    nodes = [a + b, a * b, a**2, a.relu(), a.exp(), a.log(), a.tanh()]
    assert [n._op for n in nodes] == ["+", "*", "**2", "ReLU", "exp", "log", "tanh"]
    assert [n._prev for n in nodes] == [{a, b}] * 2 + [{a}] * 5
    assert (a + a)._prev == {a}


def test_a_plus_sign_changes_nothing() -> None:
    a = Value(2.0)
    assert +a is a


@pytest.mark.parametrize(
    "function",
    [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow],
)
@pytest.mark.parametrize(
    "other",
    [None, "text", b"x", {}, {1}, 1j, object(), print],
    ids=lambda other: type(other).__name__,  # an address would be another in each worker
)
def test_an_operator_refuses_other_types_as_python_does(
    function: Callable[[Any, Any], Any], other: Any
) -> None:
    value, handles = Value(2.0), arenagrad.arena_info()["handles"]
    # Python asks what multiplies a text for its index.
    message = (
        r"unsupported operand type|'arenagrad\.Value' object cannot be interpreted as an integer"
    )
    with pytest.raises(TypeError, match=message):
        function(value, other)
    # A text knows + and % for itself.
    with pytest.raises(TypeError, match=message + "|can't|can only concatenate"):
        function(other, value)
    assert arenagrad.arena_info()["handles"] == handles
    assert function(value, 3.0).data == function(2.0, 3.0)


def test_lists_are_neither_repeated_nor_prolonged() -> None:
    for function in (operator.add, operator.mul):
        for pair in ([1], Value(2.0)), (Value(2.0), [1]):
            with pytest.raises(TypeError):
                function(*pair)


def test_powers_may_have_a_value_on_either_side_but_no_third_argument() -> None:
    value = Value(2.0)
    assert [power.data for power in (value**value, pow(3, value), value**3)] == [4.0, 9.0, 8.0]
    attempts = (lambda: pow(value, 2, 5), lambda: pow(2, value, 5), lambda: pow(2, 3, value))
    for attempt in attempts:
        with pytest.raises(TypeError, match=r"unsupported operand type.s. for \*\* or pow"):
            attempt()


class Unit:
    """A class that knows how to be combined with a Value, from either side."""

    def __add__(self, other: Any) -> Any:
        return "left", other

    def __radd__(self, other: Any) -> Any:
        return "right", other

    __sub__ = __mul__ = __truediv__ = __pow__ = __add__
    __rsub__ = __rmul__ = __rtruediv__ = __rpow__ = __radd__


@pytest.mark.parametrize(
    "function",
    [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow],
)
def test_another_class_is_asked_for_its_own_operator(function: Callable[[Any, Any], Any]) -> None:
    value = Value(2.0)
    assert function(value, Unit()) == ("right", value)
    assert function(Unit(), value) == ("left", value)


def test_arrays_are_combined_element_by_element() -> None:
    value, row = Value(2.0), np.array([1.0, 3.0])
    for result in (value * row, row * value, row + value - 2.0):
        assert result.dtype == object
        assert {type(element) for element in result} == {Value}
    assert [element.data for element in row / value] == [0.5, 1.5]


# Errors of the mathematics


ZERO = "0.0 cannot be raised to a negative power"
COMPLEX = (
    "a negative number cannot be raised to a fractional power: "
    "the result is complex, and a Value is real"
)
D, Z, R = arenagrad.DomainError, arenagrad.DivisionByZeroError, arenagrad.RangeError
FAILURES: list[tuple[Callable[[Any], Any], float, type[Exception], type[Exception], str]] = [
    (lambda v: v**-1, 0.0, Z, ZeroDivisionError, f"1 / 0.0: {ZERO}"),
    (lambda v: v**-0.5, -0.0, Z, ZeroDivisionError, f"(-0.0) ** -0.5: {ZERO}"),
    (lambda v: 1 / v, 0.0, Z, ZeroDivisionError, f"1 / 0.0: {ZERO}"),
    (lambda v: v / v, 0.0, Z, ZeroDivisionError, f"1 / 0.0: {ZERO}"),
    (lambda v: v ** (1 / 3), -8.0, D, ValueError, f"(-8.0) ** {1 / 3!r}: {COMPLEX}"),
    (lambda v: v**2, 1e200, R, OverflowError, "1e+200 ** 2.0: the result of ** is too large"),
    (lambda v: 2.0 / v, -1e-310, R, OverflowError, "1 / -1e-310: the result of ** is too large"),
    (lambda v: v.exp(), 710.0, R, OverflowError, "exp(710.0): math range error"),
    (lambda v: v.log(), 0.0, D, ValueError, "log(0.0): math domain error"),
    (lambda v: v.log(), -1.0, D, ValueError, "log(-1.0): math domain error"),
]


@pytest.mark.parametrize(("function", "x", "error", "builtin", "message"), FAILURES)
def test_a_result_that_does_not_exist_names_the_value_and_loses_nothing(
    function: Callable[[Any], Any],
    x: float,
    error: type[Exception],
    builtin: type[Exception],
    message: str,
) -> None:
    value = Value(x)
    settled_nodes()
    info = arenagrad.arena_info()
    with refused(error, message) as caught:
        function(value)
    assert isinstance(caught.value, builtin)
    assert caught.value.value is value
    del caught
    after = arenagrad.arena_info()
    assert (after["nodes"], after["handles"]) == (info["nodes"], info["handles"])
    value.data = 0.25
    root = function(value)
    root.backward()
    fresh = Value(0.25)
    function(fresh).backward()
    assert (value.grad, value._prev, root._prev <= {value, *root._prev}) == (
        fresh.grad,
        set(),
        True,
    )


@pytest.mark.parametrize(("x", "error"), [(0, Z), (0.0, Z), (5e-324, R)])
def test_a_divisor_that_is_a_number_blames_no_value(x: float, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        Value(1.0) / x
    assert caught.value.value is None  # type: ignore[attr-defined]


def test_a_refused_sweep_names_the_value_and_changes_no_grad() -> None:
    value = Value(4.0)
    middle = value**0.5
    root = middle * 3
    for edited, error in ((0.0, Z), (-1.0, D), (4.0, None)):
        value.data = edited
        value.grad = middle.grad = root.grad = 7.0
        for attempt in (root.backward, middle._backward) if error else ():
            with pytest.raises(error) as caught:
                attempt()
            assert caught.value.value is value
            assert [n.grad for n in (value, middle, root)] == [7.0] * 3
    root.backward()
    assert [n.grad for n in (value, middle, root)] == [7.0 + 10 / 4, 10.0, 1.0]


def test_every_error_has_a_builtin_beside_the_common_base() -> None:
    bases = {D: ValueError, Z: ZeroDivisionError, R: OverflowError}
    bases |= {arenagrad.ArenaFullError: MemoryError, arenagrad.FormatError: ValueError}
    bases |= {arenagrad.UntracedError: ValueError}
    for error, builtin in bases.items():
        assert error.__bases__ == (arenagrad.ArenagradError, builtin)
        assert error.__module__ == "arenagrad"
        assert error.__doc__
    assert arenagrad.ArenagradError.__bases__ == (Exception,)


def test_a_value_is_its_own_conjugate() -> None:
    class Own(Value):
        pass

    for value in (Value(2.0), Own(2.0), Value(1.0) * 2.0):
        assert value.conjugate() is value
    with pytest.raises(TypeError):
        Value(1.0).conjugate(1)  # type: ignore[call-arg]


# What a Value is not


def test_functions_over_graphs_take_values_only() -> None:
    for wrong in (None, 3.0, "text", [Value(1.0)], Pure(1.0)):
        with pytest.raises(TypeError, match=r"topological_order\(\): incompatible"):
            arenagrad.topological_order(wrong)  # type: ignore[arg-type]
