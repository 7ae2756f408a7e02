"""Typed uses of the public interface: `mypy --strict` must accept every line.

An `ignore` marks a line that must be refused: mypy reports an ignore that is not needed.
"""

from decimal import Decimal
from fractions import Fraction
from typing import Any, assert_type

import numpy as np

import arenagrad
from arenagrad import Value, arena_info, build_info, collect, topological_order
from arenagrad._core import attributes, graph_views, layer, op_codes, op_table, operands
from arenagrad.engine import Value as EngineValue


def numbers_become_values() -> list[Value]:
    """Every kind of real number makes a leaf."""
    return [
        Value(1),
        Value(2.0),
        Value(True),
        Value(Fraction(1, 3)),
        Value(Decimal("0.5")),
        Value(np.float32(1.0)),
        Value(np.float64(1.0)),
        Value(np.int64(1)),
        EngineValue(3.0),
    ]


def operators_give_values(a: Value, b: Value) -> None:
    """Operators mix Values and numbers on either side."""
    assert_type(a + b, Value)
    assert_type(a + 1, Value)
    assert_type(1.0 + a, Value)
    assert_type(a - b, Value)
    assert_type(1 - a, Value)
    assert_type(a * b, Value)
    assert_type(2 * a, Value)
    assert_type(a / b, Value)
    assert_type(1.0 / a, Value)
    assert_type(a**3, Value)
    assert_type(a**-0.5, Value)
    assert_type(a**b, Value)
    assert_type(2**a, Value)
    assert_type(a < b, bool)
    assert_type(abs(a), Value)
    assert_type(-a, Value)
    assert_type(+a, Value)
    assert_type(a.relu().exp().log().tanh(), Value)
    total: Value | int = sum([a, b])
    assert_type(total * 1.0, Value | float)


def wrong_operands_are_refused(a: Value, b: Value) -> None:
    """What raises at run time is an error to the type checker."""
    a + None  # type: ignore[operator]
    a - "2"  # type: ignore[operator]
    a + 1j  # type: ignore[operator]
    a ** "2"  # type: ignore[operator]
    print(a < "2")  # type: ignore[operator]
    Value("1")  # type: ignore[arg-type]
    Value(a)  # type: ignore[arg-type]
    Value(np.ones(3))  # type: ignore[arg-type]
    Value()  # type: ignore[call-arg]
    a.data = "1"  # type: ignore[assignment]
    a._prev = {b}  # type: ignore[misc]


def attributes_have_types(a: Value) -> None:
    """The attributes of micrograd are typed; any other name may be set and read."""
    assert_type(a.data, float)
    assert_type(a.grad, float)
    assert_type(a._op, str)
    assert_type(a._prev, set[Value])
    assert_type(a.label, str)
    a.data -= 0.1 * a.grad
    a.data = 3
    a.grad = np.float32(0.0)
    a.label = "weight"
    a.m = 0.0
    a.m = 0.9 * a.m + 0.1 * a.grad
    assert_type(a.backward(), None)


def nodes_of_ones_own(a: Value, b: Value) -> list[Value]:
    """Both protocols of the constructor."""
    out = Value(a.data * b.data, (a, b), "product", label="out")

    def rule() -> None:
        a.grad += b.data * out.grad

    out._backward = rule
    out._backward()
    return [out, Value(2.0, (a, b), (b.data, a.data)), Value(1.0, {a}, _op="same")]


class Named(Value):
    """A subclass with a method and a constructor of its own."""

    def __init__(self, data: float, name: str) -> None:
        super().__init__(data)
        self.name = name

    def twice(self) -> Value:
        """An operator's result is a plain Value."""
        return self + self


def functions_have_types(a: Value) -> None:
    """The functions beside the class."""
    assert_type(topological_order(a), list[Value])
    assert_type(collect(), int)
    assert_type(arena_info(), dict[str, int])
    assert_type(build_info(), dict[str, str])
    assert_type(op_codes(), dict[str, int])
    assert_type(op_table()[0]["low"], float)
    assert_type(graph_views()["data"].shape, tuple[int, ...] | None)
    assert_type(layer([], [1.0, a], object), list[Value] | None)
    assert_type(operands(a), list[Value])
    assert_type(attributes(a)["label"], Any)
    assert_type(arenagrad.__version__, str)


def linear_algebra_has_types(a: Value) -> None:
    """Matrices are lists or arrays, results arrays."""
    assert_type(arenagrad.linalg.solve([[a]], [1.0]), np.ndarray[Any, Any])
    assert_type(arenagrad.linalg.slogdet([[a]]).logabsdet, Any)


def sums_and_losses_have_types(a: Value, mixed: list[Value | float]) -> None:
    """A Value for Values, a float for numbers, and Any where only the run knows."""
    assert_type(arenagrad.sum([a, a]), Value)
    assert_type(arenagrad.sum([1.0, 2.0]), float)
    assert_type(arenagrad.mean([a]), Value)
    assert_type(arenagrad.norm([3.0, 4.0]), float)
    assert_type(arenagrad.dot([a, a], [1.0, 2.0]), Value)
    assert_type(arenagrad.dot([1.0, 2.0], [a, a]), Value)
    assert_type(arenagrad.dot([1.0, 2.0], [3.0, 4.0]), float)
    assert_type(arenagrad.logsumexp(mixed), Any)
    assert_type(arenagrad.losses.mse([a], [1.0]), Value)
    assert_type(arenagrad.losses.hinge([a], [1.0], "none"), Any)
    assert_type(arenagrad.nn.Neuron(2)([1.0, a]), Value)


def squared(x: float, weight: float = 1.0) -> float:
    """A function of numbers, which its compiled form keeps as its signature."""
    return weight * x * x


def compiled_functions_keep_parameters_and_result() -> None:
    """Numbers may stand for Values, so that other arguments give Any and no error."""
    f = arenagrad.compile(squared)
    assert_type(f(2.0, weight=3.0), float)
    assert_type(f(np.ones(3)), Any)
    assert_type(f(2.0, out=None), Any)
    assert_type(arenagrad.grad(squared)(2.0), Any)


class Line:
    """A class that compiled functions are told of."""

    def __init__(self, rate: float) -> None:
        self.rate = rate


def classes_are_registered_by_functions_of_their_own(line: Line) -> None:
    """The one takes such an object, the other gives one."""
    arenagrad.register_node(Line, lambda line: ((line.rate,), None), lambda _, c: Line(*c))
    arenagrad.register_node(Line, lambda line: (line.speed, None), lambda _, c: Line(*c))  # type: ignore[attr-defined]
    arenagrad.register_node(Line, lambda line: ((), None), lambda _, c: 1.0)  # type: ignore[arg-type,return-value]
    arenagrad.compile(lambda line: line.rate, in_axes=Line(0), out_axes=[0])
    arenagrad.register_node(line, len, len)  # type: ignore[arg-type,misc]


def pictures_have_types(a: Value) -> None:
    """A Value or several are drawn; nothing else is."""
    picture = arenagrad.draw([a, a + 1], limit=50, digits=2, attributes=["label", "m"])
    assert_type(picture, arenagrad.Picture)
    assert_type(picture.svg, str)
    assert_type(a._repr_svg_(), str)
    assert_type(arenagrad.to_dot(a), str)
    assert_type(arenagrad.to_mermaid({a}), str)
    assert_type(arenagrad.to_networkx(a), Any)
    arenagrad.draw(1.0)  # type: ignore[arg-type]
    arenagrad.draw(a, 50)  # type: ignore[call-arg]


def modules_are_known_without_an_import_of_their_own(a: Value) -> None:
    """They are imported when they are first asked for; other names are no part of the package."""
    assert_type(arenagrad.optim.Adam([a]).steps, int)
    assert_type(arenagrad.nn.Neuron(2).parameters(), list[Value])
    arenagrad.adam  # type: ignore[attr-defined]  # noqa: B018


@arenagrad.no_grad()
def decorated(a: Value) -> Value:
    """A function keeps its type."""
    return a * 2.0


def a_decorated_function_keeps_its_type(a: Value) -> None:
    """So that wrong arguments are found."""
    assert_type(decorated(a), Value)
    decorated("a")  # type: ignore[arg-type]


def errors_are_the_builtin_ones(a: Value) -> Value | None:
    """Except clauses for the built-in errors go on working, and the node to blame is known."""
    try:
        return a**-1
    except arenagrad.DivisionByZeroError as error:
        zero: ZeroDivisionError = error
        assert zero is not None
        return error.value
    except (arenagrad.DomainError, arenagrad.RangeError, arenagrad.ArenaFullError) as other:
        base: arenagrad.ArenagradError = other
        return base.value
