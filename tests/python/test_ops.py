"""Every row of ops.def against mpmath at 50 digits: values, partials, edges and errors.

The rows are read from `op_table()`, so an operation is tested the moment it exists, and fails here
until ORACLES knows it. Errors are counted in units in the last place (ulps) of the exact result.
"""

import gc
import math
import operator
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

import arenagrad
from arenagrad import Value, _core

TABLE = _core.op_table()
SAMPLES = 300
TINY, HUGE = 5e-324, 1.7976931348623157e308
EDGES = (
    "0 5e-324 2.2250738585072014e-308 1e-300 1e-17 1e-8 1 19 25 709 1e154 1.7976931348623157e308"
)
EDGES = [sign * float(edge) for edge in EDGES.split() for sign in (1, -1)]
NOT_FINITE = [math.inf, -math.inf, math.nan]
EXPONENTS = [0, 1, 2, 3, -1, -2, 7, 100, -30, 0.5, -0.5, 1.5, 2.0, -1.0, 1 / 3, -3.7, 0.0, 1e-17]


@pytest.fixture(autouse=True)
def fifty_digits() -> Iterator[None]:
    with mp.workdps(50):
        yield


@dataclass(frozen=True)
class Oracle:
    """One operation as mathematics and as Python know it; all functions take every operand."""

    value: Callable[..., Any]
    slopes: tuple[Callable[..., Any], ...]
    python: Callable[..., float]  # the float function: whatever this raises, ours has to raise
    ulps: float  # allowed error of the value; 0.5 is correctly rounded
    slope_ulps: float = 4.0
    slope_error: Callable[..., Any] = lambda *operands: 0  # allowed beside the ulps, absolute


def real_power(a: float, b: float) -> float:
    """Python's `**`, in which a complex result is an error: a Value is real."""
    if a < 0 and math.isfinite(a) and math.isfinite(b) and b != math.floor(b):
        raise ValueError("complex")
    return a**b


ORACLES = {
    "add": Oracle(
        value=lambda a, b: mp.fadd(a, b, exact=True),
        slopes=(lambda a, b: 1, lambda a, b: 1),
        python=operator.add,
        ulps=0.5,
        slope_ulps=0,
    ),
    "multiply": Oracle(
        value=lambda a, b: mp.fmul(a, b, exact=True),
        slopes=(lambda a, b: b, lambda a, b: a),
        python=operator.mul,
        ulps=0.5,
        slope_ulps=0,
    ),
    "power": Oracle(
        value=lambda a, b: mp.power(a, b),
        slopes=(lambda a, b: b * mp.power(a, b - 1) if b else mpf(0),),
        python=real_power,
        ulps=1,
        # The rule's b - 1 is a float: its rounding changes a**(b - 1) by log(a) times as much.
        slope_error=lambda a, b: abs(
            b * mp.power(a, b - 1) * mp.log(abs(a)) * ((b - 1) - mpf(float(b) - 1.0))
        ),
    ),
    "relu": Oracle(
        value=lambda a: a if a > 0 else mpf(0),
        slopes=(lambda a: 1 if a > 0 else 0,),  # 0 at the kink, as in micrograd
        python=lambda a: 0.0 if a < 0 else a,
        ulps=0,
        slope_ulps=0,
    ),
    "exp": Oracle(mp.exp, (mp.exp,), math.exp, ulps=1),
    "log": Oracle(mp.log, (lambda a: 1 / a,), math.log, ulps=1),
    "tanh": Oracle(
        mp.tanh,
        (lambda a: mp.sech(a) ** 2,),
        math.tanh,
        ulps=2,
        slope_ulps=0.5,
        # 1 - y*y cancels as y nears 1: half an ulp is that of the difference itself, but y is off
        # by up to 2 ulps of at most 2**-53, twice that in y*y, and half an ulp more as a product.
        # So the slope is as exact as y lets it be, in absolute terms, and not in relative ones.
        slope_error=lambda a: mpf(4.5) * mpf(2) ** -53,
    ),
}


def oracle_of(row: dict[str, Any]) -> Oracle:
    if row["name"] not in ORACLES:
        pytest.fail(
            f"ops.def has a row {row['name']!r} that no 50-digit oracle knows: "
            "add its value, slopes and float function to ORACLES in test_ops.py"
        )
    return ORACLES[row["name"]]


def apply(row: dict[str, Any], operands: list[Value], constant: float | None = None) -> Value:
    """The operation as a user writes it."""
    if row["name"] == "power":
        return operands[0] ** constant
    if row["arity"] == 2:
        return {"add": operator.add, "multiply": operator.mul}[row["name"]](*operands)
    return getattr(operands[0], row["name"])()


def cases(row: dict[str, Any], points: list[float]) -> Iterator[tuple[float, ...]]:
    """The operands for each point: every exponent for a power, any second operand for a pair."""
    choose = random.Random(row["id"])
    for a in points:
        if row["name"] == "power":
            yield from ((a, b) for b in choose.sample(EXPONENTS, 6))
        elif row["arity"] == 2:
            yield from ((a, b) for b in (choose.uniform(row["low"], row["high"]), *points[:3], a))
        else:
            yield (a,)


def samples(row: dict[str, Any]) -> list[float]:
    draw = random.Random(row["name"]).uniform
    return [draw(row["low"], row["high"]) for _ in range(SAMPLES)]


def evaluate(row: dict[str, Any], operands: tuple[float, ...]) -> tuple[Value, list[Value]]:
    if row["name"] == "power":
        a = Value(operands[0])
        return apply(row, [a], operands[1]), [a]
    values = [Value(number) for number in operands]
    return apply(row, values), values


def error_in_ulps(got: float, exact: Any) -> float:
    """How far apart they are; a result beyond the largest float has to be the infinity."""
    limit = mpf(HUGE) + mpf(math.ulp(HUGE)) / 2
    if abs(exact) >= limit:
        return 0.0 if got == math.copysign(math.inf, exact) else math.inf
    if not math.isfinite(got):
        return math.inf
    return float(abs(mpf(got) - exact) / mpf(math.ulp(float(exact))))


def refused(oracle: Oracle, operands: tuple[float, ...]) -> type[Exception] | None:
    """The class of what Python's own function of floats raises, if it does."""
    try:
        oracle.python(*operands)
    except (ArithmeticError, ValueError) as error:
        return type(error)
    return None


every_row = pytest.mark.parametrize("row", TABLE, ids=lambda row: row["name"])
method_rows = pytest.mark.parametrize(
    "row",
    [row for row in TABLE if row["arity"] == 1 and row["name"] != "power"],
    ids=lambda row: row["name"],
)


@every_row
def test_every_row_of_the_table_has_an_oracle(row: dict[str, Any]) -> None:
    oracle = oracle_of(row)
    assert len(oracle.slopes) == row["arity"]
    assert row["low"] < row["high"]


def test_every_oracle_has_a_row_in_the_table() -> None:
    assert sorted(ORACLES) == sorted(row["name"] for row in TABLE)


@every_row
def test_the_slopes_of_the_oracle_are_the_derivatives_of_its_values(row: dict[str, Any]) -> None:
    oracle = oracle_of(row)
    for operands in cases(row, samples(row)[:12]):
        exact = [mpf(number) for number in operands]
        for place, slope in enumerate(oracle.slopes):
            others = tuple(int(k == place) for k in range(len(exact)))
            numeric = mp.diff(oracle.value, tuple(exact), others)
            assert abs(slope(*exact) - numeric) <= mpf(10) ** -20 * (1 + abs(numeric)), operands


@every_row
def test_values_are_within_their_ulps_over_the_sampling_domain(row: dict[str, Any]) -> None:
    oracle = oracle_of(row)
    for operands in cases(row, samples(row)):
        y, _ = evaluate(row, operands)
        error = error_in_ulps(y.data, oracle.value(*map(mpf, operands)))
        assert error <= oracle.ulps, (operands, y.data, error)


@every_row
def test_values_at_the_edges_are_within_their_ulps_or_refused_as_python_refuses_them(
    row: dict[str, Any],
) -> None:
    oracle = oracle_of(row)
    for operands in cases(row, EDGES):
        expected = refused(oracle, operands)
        if expected is not None:
            with pytest.raises(expected):
                evaluate(row, operands)
            continue
        y, _ = evaluate(row, operands)
        error = error_in_ulps(y.data, oracle.value(*map(mpf, operands)))
        assert error <= oracle.ulps, (operands, y.data, error)
        if y.data == 0:
            assert y.data.hex() == oracle.python(*operands).hex(), (operands, "the zero's sign")


@every_row
def test_operands_that_are_not_finite_give_what_floats_give(row: dict[str, Any]) -> None:
    oracle = oracle_of(row)
    pairs = [(a, b) for a in (*NOT_FINITE, 0.0, -2.0, 3.0) for b in (*NOT_FINITE, 0.0, -2.5, 3.0)]
    for operands in pairs if row["arity"] == 2 or row["name"] == "power" else NOT_FINITE:
        operands = operands if isinstance(operands, tuple) else (operands,)
        if all(map(math.isfinite, operands)):
            continue
        expected = refused(oracle, operands)
        if expected is not None:
            with pytest.raises(expected):
                evaluate(row, operands)
        else:
            got, wanted = evaluate(row, operands)[0].data, oracle.python(*operands)
            assert got.hex() == wanted.hex(), operands


def check_partials(row: dict[str, Any], operands: tuple[float, ...]) -> None:
    """The adjoints that one sweep of a fresh node leaves are the exact slopes, within bounds."""
    oracle = oracle_of(row)
    y, values = evaluate(row, operands)
    y.backward()
    exact = [mpf(number) for number in operands]
    for value, slope in zip(values, oracle.slopes, strict=True):
        wanted = mpf(slope(*exact))
        allowance = oracle.slope_ulps * mpf(math.ulp(min(abs(float(wanted)), HUGE)))
        if error_in_ulps(value.grad, wanted) == 0.0:
            continue
        error = abs(mpf(value.grad) - wanted)
        assert error <= allowance + oracle.slope_error(*exact), (operands, value.grad, wanted)


@every_row
def test_partials_are_within_four_ulps_over_the_sampling_domain(row: dict[str, Any]) -> None:
    for operands in cases(row, samples(row)):
        check_partials(row, operands)


@every_row
def test_partials_at_the_edges_are_within_four_ulps_too(row: dict[str, Any]) -> None:
    oracle = oracle_of(row)
    for operands in cases(row, EDGES):
        if refused(oracle, operands) is not None:
            continue
        if row["name"] == "power":
            a, b = operands
            # micrograd's rule evaluates a**(b - 1) and so fails where that fails; and what lies
            # below the normal floats has no relative precision to lose b times.
            if refused(oracle, (a, b - 1)) or (a and 0 < abs(real_power(a, b - 1)) < 1e-300):
                continue
        check_partials(row, operands)


CONVENTIONS = {
    "relu": {0.0: 0, -TINY: 0, TINY: 1, math.inf: 1, -math.inf: 0, math.nan: 0},
    "exp": {-math.inf: 0, math.inf: math.inf},
    "log": {math.inf: 0, TINY: math.inf},
    "tanh": {math.inf: 0, -math.inf: 0, 0.0: 1, 400.0: 0},
}


@pytest.mark.parametrize(
    ("name", "a", "slope"),
    [(name, a, slope) for name, at in CONVENTIONS.items() for a, slope in at.items()],
)
def test_slopes_at_kinks_and_ends_follow_the_stated_convention(
    name: str, a: float, slope: float
) -> None:
    x = Value(a)
    getattr(x, name)().backward()
    assert x.grad == slope


@pytest.mark.parametrize(
    ("a", "b"), [(0.0, 0), (0.0, 0.5), (1e-300, -1), (0.0, 0.0), (-1e-200, -1)]
)
def test_a_slope_of_a_power_that_python_cannot_compute_is_refused_before_any_grad_changes(
    a: float, b: float
) -> None:
    expected = refused(ORACLES["power"], (a, b - 1))
    assert expected is not None
    x, other = Value(a), Value(2.0)
    root = x**b + other
    with pytest.raises(expected) as caught:
        root.backward()
    assert caught.value.value is x
    assert [root.grad, x.grad, other.grad] == [0.0, 0.0, 0.0]


@method_rows
def test_each_function_of_one_operand_is_a_method_of_value(row: dict[str, Any]) -> None:
    assert row["name"] in vars(Value)
    x = Value(1.0)
    method = getattr(x, row["name"])
    assert (method.__self__, method.__name__) == (x, row["name"])
    assert method().data == oracle_of(row).python(1.0)
    with pytest.raises(TypeError):
        method(2.0)


def test_a_quotient_is_a_product_with_the_power_minus_one_to_the_last_bit() -> None:
    draw = random.Random(3).uniform
    for b in (draw(-4.0, 4.0) for _ in range(30_000)):  # 1 / b differs for one in 1,300 of them
        assert (2.5 / Value(b)).data == (Value(2.5) / Value(b)).data == (Value(2.5) / b).data
        assert (2.5 / Value(b)).data == 2.5 * b**-1


@method_rows
def test_numpy_finds_the_method_by_its_ufunc_name(row: dict[str, Any]) -> None:
    if row["name"] == "relu":
        return  # the one that NumPy does not have
    results = getattr(np, row["name"])(np.array([Value(0.5), Value(1.5)], dtype=object))
    assert [type(y) for y in results] == [Value, Value]
    assert [y.data for y in results] == [oracle_of(row).python(a) for a in (0.5, 1.5)]


@every_row
def test_the_text_and_operands_of_a_node_are_those_of_its_row(row: dict[str, Any]) -> None:
    y, values = evaluate(row, (0.5, 3)[: 2 if row["name"] == "power" else row["arity"]])
    assert y._op == row["symbol"] + ("3" if row["name"] == "power" else "")
    assert y._prev == set(values)


OUTSIDE: dict[str, list[tuple[float, ...]]] = {
    "log": [(0.0,), (-0.0,), (-TINY,), (-3.0,), (-math.inf,)],
    "exp": [(710.0,), (HUGE,)],
    "power": [(0.0, -1), (-0.0, -2.5), (-8.0, 1 / 3), (-1e-9, 0.5), (1e155, 2), (1e-155, -2)],
}
KINDS = {
    ValueError: arenagrad.DomainError,
    OverflowError: arenagrad.RangeError,
    ZeroDivisionError: arenagrad.DivisionByZeroError,
}


@pytest.mark.parametrize(
    ("name", "operands"), [(name, at) for name, points in OUTSIDE.items() for at in points]
)
def test_an_operand_outside_the_domain_is_named_and_leaves_the_graph_alone(
    name: str, operands: tuple[float, ...]
) -> None:
    row = next(row for row in TABLE if row["name"] == name)
    expected = refused(ORACLES[name], operands) or AssertionError
    a, *constant = operands
    x = Value(3.0) * 1.0
    x.data, x.grad = a, 0.25
    gc.collect()  # what earlier failures left must not go meanwhile
    before = arenagrad.arena_info()
    with pytest.raises(expected) as caught:
        apply(row, [x], *constant)
    assert type(caught.value) is KINDS[expected]
    assert caught.value.value is x
    assert arenagrad.arena_info() == before
    assert (x.data, x.grad, x._op) == (a, 0.25, "*")
    assert sorted(operand.data for operand in x._prev) == [1.0, 3.0]
    x.data = 2.0
    wanted = ORACLES[name].python(2.0, *constant)
    assert apply(row, [x], *constant).data == pytest.approx(wanted)


def test_codes_number_the_rows_in_the_order_of_the_table() -> None:
    codes = _core.op_codes()
    assert sorted(codes.values()) == list(range(len(codes)))
    assert [row["id"] for row in TABLE] == list(codes)[-len(TABLE) :]
    assert [codes[row["id"]] for row in TABLE] == list(range(len(codes) - len(TABLE), len(codes)))
    for column in ("id", "name", "symbol"):
        assert len({row[column] for row in TABLE}) == len(TABLE), f"a {column} occurs twice"


@every_row
def test_a_node_is_stored_under_the_code_of_its_row(row: dict[str, Any]) -> None:
    y, _ = evaluate(row, (0.5, 2)[: 2 if row["name"] == "power" else row["arity"]])
    views = _core.graph_views()
    assert views["data"][-1] == y.data, "the newest node is the last"
    # The high bit says that a Value holds it.
    assert views["op"][-1] == _core.op_codes()[row["id"]] + 0x80
