"""Nothing comes from a branch that was not chosen: 0 times what is not finite is 0 in derivatives.

Every row of the table with `no_nan` is met by an adjoint of exactly 0 at its poles, and every
selection by an infinite one, eagerly and in compiled functions of every kind. The truth is the
derivative of the branch that was chosen, by hand.
"""

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import micrograd.engine
import numpy as np
import pytest

import arenagrad as ag
from arenagrad import Value
from arenagrad._core import op_table
from oracle import bits

OPS = Path(__file__).parents[2] / "cpp/core/ops.def"
INF, NAN = math.inf, math.nan
# Finite operands at which a partial is infinite, or the limit of it is no number.
POLES: dict[str, list[tuple[float, ...]]] = {
    "power": [(0.0, 0.5), (-0.0, 0.25), (5e-324, 0.5), (0.0, 0.0)],
    "log": [(5e-324,), (1e-310,)],
    "log2": [(5e-324,), (1e-310,)],
    "log10": [(5e-324,), (1e-310,)],
    "log1p": [(-1.0 + 2.0**-53,)],
    "sqrt": [(0.0,), (-0.0,)],
    "cbrt": [(0.0,), (-0.0,)],
    "reciprocal": [(1e-200,), (-1e-160,)],
    "arcsin": [(1.0,), (-1.0,)],
    "arccos": [(1.0,), (-1.0,)],
    "arccosh": [(1.0,)],
    "arctanh": [(1.0 - 2.0**-53,), (2.0**-53 - 1.0,)],
    "hypot": [(0.0, 0.0)],
    "arctan2": [(0.0, 0.0), (1e-310, 0.0), (5e-324, -5e-324)],
    "lgamma": [(5e-324,), (1e-300,)],
    "digamma": [(1e-160,), (-1e-200,)],
    "erfinv": [(1.0 - 2.0**-53,)],
    "norm_ppf": [(5e-324,)],
    "remainder": [(1e300, 1e-300)],
    "fmod": [(1e300, 1e-300)],
}
# Operands at which a partial is 0 because another is chosen, or by convention: which one.
SELECTIONS: dict[str, list[tuple[tuple[float, ...], int]]] = {
    "relu": [((-1.0,), 0), ((0.0,), 0), ((-0.0,), 0)],
    "leaky_relu": [((-1.0, 0.0), 0)],
    "elu": [((-1.0, 0.0), 0)],
    "abs": [((0.0,), 0), ((-0.0,), 0)],
    "sign": [((0.5,), 0), ((0.0,), 0)],
    "floor": [((0.5,), 0)],
    "ceil": [((0.5,), 0)],
    "maximum": [((-1.0, 0.0), 0), ((0.0, -1.0), 1)],
    "minimum": [((1.0, 0.0), 0), ((0.0, 1.0), 1)],
    "hypot": [((0.0, 0.0), 0), ((0.0, 0.0), 1)],
    "arctan2": [((0.0, 0.0), 0), ((0.0, 0.0), 1)],
    "remainder": [((0.5, 2.0), 1)],
    "floor_divide": [((7.5, 2.0), 0), ((7.5, 2.0), 1)],
    "fmod": [((0.5, 2.0), 1)],
    "hardtanh": [((2.0,), 0), ((1.0,), 0), ((-1.0,), 0)],
}
AT_POLES = [(name, point) for name, points in POLES.items() for point in points]
SELECTED = [(name, *which) for name, points in SELECTIONS.items() for which in points]

Function = Callable[[Any], Any]


def test_each_row_of_the_table_that_says_no_nan_is_tried_here() -> None:
    rows = re.findall(r"^ARENAGRAD_OP\(\w+, +(\w+),.* (yes|no), +[A-Z]\w+, ", OPS.read_text(), re.M)
    assert len(rows) == len(op_table())
    assert {name for name, no_nan in rows if no_nan == "yes"} == {*POLES, *SELECTIONS}


# The derivative of a function of one number, in every way


def eager(f: Function, x: float) -> float:
    value = Value(x)
    f(value).backward()
    return value.grad


def ways(f: Function, strict: bool) -> Iterator[tuple[str, Callable[[float], float]]]:
    at_a_point = ag.compile(f, strict=strict)
    in_rows = ag.compile(f, strict=strict, in_axes=0)
    listed = ag.compile(lambda x: [f(x)], strict=strict)
    yield "gradient", at_a_point.grad
    yield "value and gradient", lambda x: at_a_point.value_and_grad(x)[1]
    yield "forward", lambda x: at_a_point.jvp((x,), (1.0,))[1]
    yield "jacobian", lambda x: listed.jacobian(x)[0]
    # Whole registers of every width, and what is left over.
    yield "rows", lambda x: the_only(in_rows.grad(np.full(23, x)))


def the_only(numbers: Any) -> float:
    (number,) = set(numbers.tolist())
    return float(number)


def assert_derivatives(f: Function, x: float, *orders: float, forward: bool = True) -> None:
    """The derivatives of order 1, 2 and 3 at x, in all ways."""
    first, second, third = (pytest.approx(order, rel=4e-16, abs=0.0) for order in orders)
    assert eager(f, x) == first
    for strict in (False, True):
        for way, derivative in ways(f, strict):
            assert derivative(x) == first or (way == "forward" and not forward), (way, strict)
        compiled = ag.compile(f, strict=strict)
        assert compiled.hessian(x) == second, strict
        assert compiled.hvp((x,), 1.0) == second, strict
        assert ag.compile(ag.grad(ag.grad(f)), strict=strict).grad(x) == third, strict


def operation_at(name: str, point: tuple[float, ...], which: int = 0) -> list[Function]:
    """The operation by its operand number `which`; if it has two, also where both of them move."""
    operation: Any = getattr(ag, name)
    others = [*point[:which], *point[which + 1 :]]
    functions: list[Function] = [
        lambda x: operation(*others[:which], x, *others[which:]),
    ]
    if next(row["arity"] for row in op_table() if row["name"] == name) == 2:
        moving = point[1 - which]
        functions.append(
            lambda x: operation(*[x, moving + 0.0 * x][:: -1 if which == 1 else 1]),
        )
    return functions


@pytest.mark.parametrize(("name", "point"), AT_POLES)
def test_an_adjoint_of_zero_passes_on_nothing_at_a_pole(name: str, point: Any) -> None:
    for which in range(len(point)):
        x = point[which]
        for f in operation_at(name, point, which):
            assert_derivatives(
                lambda x, f=f: ag.where(x * 0.0 + 1.0, x * x + 3.0 * x, f(x)), x, 2 * x + 3, 2, 0
            )


@pytest.mark.parametrize(("name", "point"), AT_POLES)
@pytest.mark.parametrize("strict", [False, True])
def test_forward_and_reverse_agree_where_a_pole_is_met_by_a_partial_of_zero(
    name: str, point: Any, strict: bool
) -> None:
    for which in range(len(point)):
        x = point[which]
        for f in operation_at(name, point, which):
            at_x = float(ag.compile(f)(x))
            for squared in (
                lambda x, f=f, y=at_x: (f(x) - y) ** 2,
                lambda x, f=f, y=at_x: (f(x) - y) * (f(x) - y) + 3.0 * x,
                lambda x, f=f, y=at_x: ag.sum([x, ag.dot([f(x), x], [f(x) - y, 2.0])]) * 2.0,
                lambda x, f=f, y=at_x: ag.sin((f(x) - y) ** 2) / 2.0 + x,
            ):
                wanted = eager(squared, x)
                if math.isnan(wanted):  # operands are infinite there, not partials alone
                    continue
                for way, derivative in ways(squared, strict):
                    assert derivative(x) == wanted, way
                many = ag.compile(lambda x, g=squared: [g(x) * k for k in (1.0, 2.0, 4.0)])
                assert many.jacobian(x) == [wanted, 2 * wanted, 4 * wanted]


def test_mixed_second_derivatives_at_a_pole_are_the_same_both_ways() -> None:
    for strict in (False, True):
        f = ag.compile(lambda p: ag.sqrt(p[0]) ** 2 * p[1], strict=strict)
        (_, up), (down, _) = f.hessian([0.0, 3.0])
        assert (up, down) == (0.0, 0.0)
        assert f.hvp(([0.0, 3.0],), [0.0, 1.0]) == [0.0, 0.0]
        rows = ag.compile(lambda p: ag.sqrt(p[0]) ** 2 * p[1], strict=strict, in_axes=0)
        found = rows.hessian(np.array([[0.0, 3.0], [4.0, 3.0]]))
        np.testing.assert_allclose(found[:, [0, 1], [1, 0]], [[0.0, 0.0], [1.0, 1.0]])


@pytest.mark.parametrize(("name", "point", "which"), SELECTED)
@pytest.mark.parametrize("adjoint", [INF, -INF, NAN])
def test_a_partial_of_zero_passes_on_nothing_whatever_the_adjoint_is(
    name: str, point: Any, which: int, adjoint: float
) -> None:
    x = point[which]
    for f in operation_at(name, point, which)[:1]:
        assert_derivatives(
            lambda x, f=f: x * x + 3.0 * x + f(x) * adjoint, x, 2 * x + 3, 2, 0, forward=False
        )


@pytest.mark.parametrize(
    ("f", "x", "orders"),
    [
        (lambda x: ag.where((1 - x).relu(), x, ag.sqrt(x)), 0.0, (1, 0, 0)),
        (lambda x: ag.sqrt(ag.maximum(x, 0.0)), -1.0, (0, 0, 0)),
        (lambda x: ag.sqrt(x.relu()), -1.0, (0, 0, 0)),
        (lambda x: ag.sqrt(ag.maximum(x, 1e-300)) + x, 0.0, (1, 0, 0)),
        (lambda x: ag.log(ag.maximum(x, 5e-324)), -1.0, (0, 0, 0)),
        (lambda x: ag.cbrt(ag.minimum(x, 0.0)) + x, 1.0, (1, 0, 0)),
        (lambda x: ag.where(x.relu(), x ** (1 / 3), -x), 0.0, (-1, 0, 0)),
        (lambda x: ag.where(x.relu(), x**1.5, x * x), 0.0, (0, 2, 0)),
        (lambda x: ag.where((1 - x).relu(), x, 1 / x), 1e-200, (1, 0, 0)),
        (lambda x: ag.where((1 - x).relu(), x, 3 / (x * x)), 1e-120, (1, 0, 0)),
        (lambda x: ag.take([x * x, ag.sqrt(x), x.log1p()], 0), 0.0, (0, 2, 0)),
        (lambda x: ag.where(x + 1.0, x, ag.norm([x, 2 * x])), 0.0, (1, 0, 0)),
        (lambda x: ag.where(x + 1.0, x, ag.norm([x, 2 * x]) ** 0.5), 0.0, (1, 0, 0)),
        (lambda x: ag.where(x + 1.0, x, ag.sqrt(ag.logsumexp([x, x * 0.0]))), 0.0, (1, 0, 0)),
        (lambda x: x + ag.sqrt(ag.norm([0.0 * x, x.relu()])), -1.0, (1, 0, 0)),
        (lambda x: x.elu(), 800.0, (1, 0, 0)),
    ],
)
def test_idioms_of_clamping_and_choosing_are_safe(f: Any, x: float, orders: Any) -> None:
    assert_derivatives(f, x, *orders)


def test_where_and_take_pass_on_nothing_to_what_they_did_not_choose() -> None:
    for f in (
        lambda x: x + ag.where(0.0, ag.sqrt(x), 1.0) * INF,
        lambda x: x + ag.where(x, ag.sqrt(x), 1.0) * NAN,
        lambda x: x + ag.take([ag.sqrt(x), 2.0, x * x], 1) * INF,
    ):
        assert_derivatives(f, 0.0, 1, 0, 0, forward=False)


def test_a_strict_power_gives_the_eager_nan_of_an_infinite_adjoint() -> None:
    for exponent in (1.5, 2, 2.5, 3):
        f = ag.compile(lambda x, exponent=exponent: ag.sqrt(x**exponent), strict=True)
        assert math.isnan(eager(lambda x, exponent=exponent: ag.sqrt(x**exponent), 0.0))
        assert math.isnan(f.grad(0.0))


@pytest.mark.parametrize("root", [ag.sqrt, lambda x: x**0.5, lambda x: ag.power(x, 0.5)])
def test_the_derivatives_of_a_product_with_an_adjoint_of_zero_are_the_product_s(root: Any) -> None:
    for strict in (False, True):
        f = ag.compile(lambda x: (root(x) - 1.0) ** 2, strict=strict)
        assert (f.grad(1.0), f.hessian(1.0), f.hvp((1.0,), 2.0)) == (0.0, 0.5, 1.0)
        third = ag.compile(ag.grad(ag.grad(lambda x: (root(x) - 1.0) ** 2)), strict=strict)
        assert third.grad(1.0) == pytest.approx(-0.75, rel=1e-15)


def test_where_an_adjoint_is_not_zero_a_pole_is_what_it_was() -> None:
    for name, point, want in (
        ("sqrt", (0.0,), INF),
        ("sqrt", (-0.0,), INF),
        ("cbrt", (0.0,), INF),
        ("arccos", (1.0,), -INF),
        ("log", (5e-324,), INF),
        ("reciprocal", (1e-200,), -INF),
    ):
        (f,) = operation_at(name, point)
        assert eager(f, *point) == want
        for strict in (False, True):
            assert {d(*point) for _, d in ways(f, strict)} == {want}
    assert ag.compile(ag.sqrt).hessian(0.0) == -INF
    assert eager(lambda x: ag.sqrt(ag.maximum(x, 0.0)), 0.0) == INF  # a tie: half of it is x


# Powers with a number as the exponent, whose rule is micrograd's


@pytest.mark.parametrize(
    ("x", "exponent", "error"),
    [
        (0.0, 0.5, ZeroDivisionError),
        (-0.0, 1 / 3, ZeroDivisionError),
        (0.0, 0, ZeroDivisionError),
        (1e-200, -1, OverflowError),
        (1e-300, -0.2, OverflowError),
    ],
)
def test_a_power_whose_rule_would_raise_passes_on_nothing_for_an_adjoint_of_zero(
    x: float, exponent: float, error: type[Exception]
) -> None:
    value, other = Value(x), Value(2.0)
    power = value**exponent
    refused = other * other + power
    nothing = other * other + power * 0.0
    for v in (value, other, power, refused):
        v.grad = 7.0
    with pytest.raises(error):
        refused.backward()
    assert [v.grad for v in (value, other, power, refused)] == [7.0] * 4
    ag.zero_grad(refused)
    nothing.backward()
    assert (value.grad, other.grad, power.grad) == (0.0, 4.0, 0.0)
    power.grad = 0.0
    power._backward()
    assert value.grad == 0.0
    power.grad = NAN
    with pytest.raises(error):
        power._backward()


def test_a_power_edited_to_have_no_partial_is_refused_only_where_its_adjoint_is_not_zero() -> None:
    value = Value(4.0)
    power = value**0.5
    zero, one = power * 0.0, power * 1.0
    value.data = -4.0
    zero.backward()
    assert value.grad == 0.0
    with pytest.raises(ag.DomainError):
        one.backward()
    assert (value.grad, power.grad, one.grad) == (0.0, 0.0, 0.0)


def test_a_refused_sweep_through_a_softmax_leaves_nothing_behind() -> None:
    xs = [Value(0.0), Value(1.0)]
    chosen = ag.softmax([x**0.5 for x in xs])
    for _ in range(2):
        with pytest.raises(ag.DivisionByZeroError):
            (chosen[0] * 2.0).backward()
        assert [x.grad for x in xs] == [0.0, 0.0]
    xs[0].data = 4.0
    fresh = [Value(4.0), Value(1.0)]
    (chosen[0] * 2.0).backward()
    value = chosen[0].data
    assert xs[0].grad == pytest.approx(2.0 * value * (1.0 - chosen[1].data * 0 - value) * 0.25, 1)
    again = ag.softmax([x**0.5 for x in fresh])
    assert again[0].data != value  # primals are not recomputed


@pytest.mark.parametrize("exponent", [2, 3.0, 0.5, -1, 1.5])
@pytest.mark.parametrize("x", [INF, -INF, NAN, 2.0, -2.0])
def test_elsewhere_a_power_keeps_micrograd_s_arithmetic(exponent: float, x: float) -> None:
    if x < 0 and exponent in (0.5, 1.5):
        pytest.skip("complex")
    theirs = micrograd.engine.Value(x)
    (theirs**exponent * 0.0).backward()
    assert bits(eager(lambda v: v**exponent * 0.0, x)) == bits(theirs.grad)


@pytest.mark.parametrize(
    ("function", "point"),
    [
        (lambda x: ag.sqrt(x * 0.0) + x, 1.0),
        (lambda x: ag.sqrt(0.0 * x), 2.0),
        (lambda x: ag.log(x * 0.0 + 5e-324) + x, 1.0),
        (lambda x: x * 0.0 + x * x, 3.0),
    ],
)
def test_a_strict_product_with_a_literal_0_passes_on_what_the_sweep_does(
    function: Callable[[Any], Any], point: float
) -> None:
    v = Value(point)
    function(v).backward()
    strict = ag.compile(function, strict=True)
    np.testing.assert_equal(strict.grad(point), v.grad)
    rows = ag.compile(function, strict=True, in_axes=0)
    np.testing.assert_equal(rows.grad(np.full(2, point)), [v.grad] * 2)
