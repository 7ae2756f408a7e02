"""Every row of ops.def against mpmath at 50 digits: values, partials, edges and errors.

The rows are read from `op_table()`, so an operation is tested the moment it exists, and fails here
until ORACLES in op_oracle.py knows it. Errors are counted in units in the last place (ulps) of the
exact result.
"""

import gc
import itertools
import math
import operator
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

import arenagrad
from arenagrad import Value, _core
from op_oracle import (
    CONVENTIONS,
    HUGE,
    NEVER_REFUSED,
    NOT_IN_C,
    NOTABLE,
    ORACLES,
    OUTSIDE,
    Oracle,
    error_in_ulps,
    real_power,
    refused,
)

TABLE = _core.op_table()
SAMPLES = 300
EDGES = (
    "0 5e-324 2.2250738585072014e-308 1e-300 1e-17 1e-8 1 19 25 709 1e154 1.7976931348623157e308"
)
EDGES = [sign * float(edge) for edge in EDGES.split() for sign in (1, -1)]
NOT_FINITE = [math.inf, -math.inf, math.nan]


@pytest.fixture(autouse=True)
def fifty_digits() -> Iterator[None]:
    with mp.workdps(50):
        yield


def oracle_of(row: dict[str, Any]) -> Oracle:
    if row["name"] not in ORACLES:
        pytest.fail(
            f"ops.def has a row {row['name']!r} that no 50-digit oracle knows: "
            "add its value, partials and float function to ORACLES in op_oracle.py"
        )
    return ORACLES[row["name"]]


def apply(row: dict[str, Any], a: Value, *others: Any) -> Value:
    """The operation as a user writes it."""
    written = {"add": operator.add, "multiply": operator.mul, "pow": operator.pow}
    if row["name"] in written:
        return written[row["name"]](a, *others)
    return getattr(a, row["name"])(*others)


def cases(
    row: dict[str, Any], points: list[float], partners: Sequence[float] = ()
) -> Iterator[tuple[float, ...]]:
    """The operands for each point: some constants, any second operand for a pair."""
    choose = random.Random(f"{row['id']} {points}")
    constants = oracle_of(row).constants
    for a in points:
        if row["parametric"]:
            yield from ((a, b) for b in choose.sample(constants, min(6, len(constants))))
        elif row["arity"] == 2:
            others = choose.uniform(row["low"], row["high"]), *points[:3], *partners, a
            yield from ((a, b) for b in others)
        else:
            yield (a,)


def samples(row: dict[str, Any]) -> list[float]:
    draw = random.Random(row["name"]).uniform
    return [draw(row["low"], row["high"]) for _ in range(SAMPLES)]


def inside(row: dict[str, Any]) -> tuple[float, float]:
    """Two points well inside of the domain."""
    return (row["low"] + row["high"]) / 2 + 0.25, 0.75 * row["high"]


def everywhere(row: dict[str, Any]) -> list[float]:
    """Floats of all magnitudes, half of them between the smallest and the largest that exp has."""
    choose = random.Random(row["id"])
    wide = [math.ldexp(choose.uniform(-1, 1), choose.randint(-1073, 1024)) for _ in range(SAMPLES)]
    return wide + [choose.uniform(-750, 710) for _ in range(SAMPLES)]


def points_of(points: Callable[[dict[str, Any]], list[float]]) -> Callable[[Any], Any]:
    """Parametrizes by row and point."""
    params = [
        pytest.param(row, a, id=f"{row['name']} at {a!r}") for row in TABLE for a in points(row)
    ]
    return pytest.mark.parametrize(("row", "a"), params)


def conventions(row: dict[str, Any]) -> Iterator[float]:
    for points in CONVENTIONS.get(row["name"], {}).values():
        yield from map(float, points.split())


def edges(row: dict[str, Any]) -> list[float]:
    return list({repr(a): a for a in EDGES + NOTABLE.get(row["name"], [])}.values())


def evaluate(row: dict[str, Any], operands: tuple[float, ...]) -> tuple[Value, list[Value]]:
    """The node, and the Values it was made of; a constant is none of them."""
    values = [Value(number) for number in operands[: row["arity"]]]
    return apply(row, *values, *operands[row["arity"] :]), values


METHODS = [row for row in TABLE if row["arity"] == 1 and not row["parametric"]]
every_row = pytest.mark.parametrize("row", TABLE, ids=lambda row: row["name"])
method_rows = pytest.mark.parametrize("row", METHODS, ids=lambda row: row["name"])


@every_row
def test_every_row_of_the_table_has_an_oracle(row: dict[str, Any]) -> None:
    oracle = oracle_of(row)
    assert len(oracle.partials) == row["arity"]
    assert row["low"] < row["high"]


def test_every_oracle_has_a_row_in_the_table() -> None:
    assert sorted(ORACLES) == sorted(row["name"] for row in TABLE)


@every_row
def test_the_partials_of_the_oracle_are_the_derivatives_of_its_values(row: dict[str, Any]) -> None:
    oracle = oracle_of(row)
    for operands in cases(row, samples(row)[:12]):
        if row["name"] in ("remainder", "floor_divide", "fmod") and not math.fmod(*operands):
            continue
        exact = [mpf(number) for number in operands]
        for place, partial in enumerate(oracle.partials):
            others = tuple(int(k == place) for k in range(len(exact)))
            numeric = mp.diff(oracle.value, tuple(exact), others)
            assert abs(partial(*exact) - numeric) <= mpf(10) ** -20 * (1 + abs(numeric)), operands


@every_row
def test_values_are_within_their_ulps_over_the_sampling_domain(row: dict[str, Any]) -> None:
    for operands in cases(row, samples(row)):
        y, _ = evaluate(row, operands)
        assert_value(row, operands, y.data)


def assert_value(row: dict[str, Any], operands: tuple[float, ...], got: float) -> None:
    oracle, exact = oracle_of(row), [mpf(number) for number in operands]
    wanted = oracle.value(*exact)
    error = error_in_ulps(got, wanted)
    if error > oracle.ulps:
        assert abs(mpf(got) - wanted) <= oracle.value_error(*exact), (operands, got, error)


def check_value(row: dict[str, Any], operands: tuple[float, ...]) -> None:
    """The value is the exact one, within bounds, or refused where Python's function refuses."""
    oracle = oracle_of(row)
    expected = refused(oracle, operands)
    if expected is not None:
        with pytest.raises(expected):
            evaluate(row, operands)
        return
    y, _ = evaluate(row, operands)
    if row["name"] == "arctan2" and 0.0 in operands:  # mpmath's zeros have no sign
        assert y.data.hex() == oracle.python(*operands).hex(), operands
        return
    assert_value(row, operands, y.data)
    if y.data == 0 and not oracle.value_error(*map(mpf, operands)):
        assert y.data.hex() == oracle.python(*operands).hex(), (operands, "the zero's sign")


@pytest.mark.slow
@points_of(edges)
def test_values_at_the_edges_are_within_their_ulps_or_refused_as_python_refuses_them(
    row: dict[str, Any], a: float
) -> None:
    for operands in cases(row, [a], EDGES):
        check_value(row, operands)


@points_of(lambda row: NOT_FINITE)
def test_operands_that_are_not_finite_give_what_floats_give(row: dict[str, Any], a: float) -> None:
    oracle = oracle_of(row)
    others = (*NOT_FINITE, 0.0, -2.0, -2.5, 3.0)
    pairs = [(a, b) for b in others] + [(b, a) for b in others]
    pairs += [(a, b) for b in oracle.constants]
    for operands in pairs if row["arity"] == 2 or row["parametric"] else [(a,)]:
        expected = refused(oracle, operands)
        if expected is not None:
            with pytest.raises(expected):
                evaluate(row, operands)
        else:
            got, wanted = evaluate(row, operands)[0].data, oracle.python(*operands)
            assert got.hex() == wanted.hex(), operands


@every_row
def test_values_are_those_of_python_to_the_last_bit_where_python_has_the_function(
    row: dict[str, Any],
) -> None:
    if row["name"] in NOT_IN_C:
        return
    for operands in cases(row, samples(row)):
        assert evaluate(row, operands)[0].data == oracle_of(row).python(*operands), operands


def check_partials(row: dict[str, Any], operands: tuple[float, ...]) -> None:
    """The adjoints that one sweep of a fresh node leaves are the exact partials, within bounds."""
    oracle = oracle_of(row)
    y, values = evaluate(row, operands)
    y.backward()
    exact = [mpf(number) for number in operands]
    for value, partial in zip(values, oracle.partials, strict=True):
        wanted = mpf(partial(*exact))
        if mp.isnan(wanted):
            assert math.isnan(value.grad), operands
            continue
        allowance = oracle.partial_ulps * mpf(math.ulp(min(abs(float(wanted)), HUGE)))
        if error_in_ulps(value.grad, wanted) == 0.0:
            continue
        error = abs(mpf(value.grad) - wanted)
        assert error <= allowance + oracle.partial_error(*exact), (operands, value.grad, wanted)


@every_row
def test_partials_are_within_four_ulps_over_the_sampling_domain(row: dict[str, Any]) -> None:
    for operands in cases(row, samples(row)):
        check_partials(row, operands)


@pytest.mark.slow
@points_of(edges)
def test_partials_at_the_edges_are_within_four_ulps_too(row: dict[str, Any], a: float) -> None:
    oracle = oracle_of(row)
    for operands in cases(row, [a], EDGES):
        if refused(oracle, operands) is not None:
            continue
        if row["name"] in ("pow", "power"):
            a, b = operands
            # micrograd's rule evaluates a**(b - 1) and so fails where that fails; and what lies
            # below the normal floats has no relative precision to lose b times.
            if refused(oracle, (a, b - 1)) or (a and 0 < abs(real_power(a, b - 1)) < 1e-300):
                continue
        check_partials(row, operands)


@pytest.mark.parametrize("row", [row for row in TABLE if row["name"] not in ("pow", "power")])
def test_values_and_partials_are_within_their_ulps_at_all_magnitudes(row: dict[str, Any]) -> None:
    points = everywhere(row)
    constants = oracle_of(row).constants or points[::-1]
    for a, b in zip(points, itertools.cycle(constants), strict=False):
        operands = (a, b)[: row["arity"] + row["parametric"]]
        check_value(row, operands)
        if refused(oracle_of(row), operands) is None:
            check_partials(row, operands)


@points_of(lambda row: list(conventions(row)))
def test_partials_at_kinks_and_ends_follow_the_stated_convention(
    row: dict[str, Any], a: float
) -> None:
    x = Value(a)
    getattr(x, row["name"])().backward()
    texts = CONVENTIONS[row["name"]].items()
    (wanted,) = (partial for partial, at in texts if repr(a) in map(repr, map(float, at.split())))
    assert repr(abs(x.grad)) == repr(abs(float(wanted)))
    assert math.isnan(wanted) or x.grad == wanted


@pytest.mark.parametrize(
    ("a", "b"), [(0.0, 0), (0.0, 0.5), (1e-300, -1), (0.0, 0.0), (-1e-200, -1)]
)
def test_a_partial_of_a_power_that_python_cannot_compute_is_refused_before_any_grad_changes(
    a: float, b: float
) -> None:
    expected = refused(ORACLES["pow"], (a, b - 1))
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
    x = Value(inside(row)[0])
    method = getattr(x, row["name"])
    assert (method.__self__, method.__name__) == (x, row["name"])
    check_value(row, (x.data,))
    with pytest.raises(TypeError):
        method(2.0)


@method_rows
def test_each_method_is_a_function_of_the_module_too_for_values_and_for_floats(
    row: dict[str, Any],
) -> None:
    function = getattr(arenagrad, row["name"], None) or getattr(_core, row["name"])
    for a in (*inside(row), math.nan):
        x = Value(a)
        y = function(x)
        assert (type(y), y._op, y._prev) == (Value, row["symbol"], {x})
        assert type(function(a)) is float
        assert function(a).hex() == y.data.hex() == apply(row, x).data.hex()
    for (a,) in OUTSIDE.get(row["name"], []):
        for argument in (a, Value(a)):
            with pytest.raises(refused(oracle_of(row), (a,)) or AssertionError):
                function(argument)
    with pytest.raises(TypeError):
        function("1")


def test_a_quotient_is_a_product_with_the_power_minus_one_to_the_last_bit() -> None:
    draw = random.Random(3).uniform
    for b in (draw(-4.0, 4.0) for _ in range(30_000)):  # 1 / b differs for one in 1,300 of them
        assert (2.5 / Value(b)).data == (Value(2.5) / Value(b)).data == (Value(2.5) / b).data
        assert (2.5 / Value(b)).data == 2.5 * b**-1


REMAINDERS: dict[str, Callable[[Any, Any], Any]] = {
    "%": operator.mod,
    "//": operator.floordiv,
    "divmod": divmod,
    "%=": operator.imod,
    "//=": operator.ifloordiv,
    "np.fmod": np.fmod,
    "np.remainder": np.remainder,
    "np.floor_divide": np.floor_divide,
}


@pytest.mark.parametrize("name", REMAINDERS)
@pytest.mark.parametrize("pair", [(7.5, 2.0), (-7.5, 2), (7, -2.5), (-0.0, 3.0), (1.0, math.inf)])
def test_remainders_are_those_of_floats_on_either_side_and_in_arrays(name: str, pair: Any) -> None:
    function, (a, b) = REMAINDERS[name], pair
    wanted = function(float(a), float(b))
    if name.startswith("np."):
        x, y = np.array([Value(a)], dtype=object), np.array([Value(b)], dtype=object)
        found = [function(x, y), function(x, float(b))]
        # On the left NumPy asks a float for the method of its own name.
        found += [function(np.array([float(a)]), y)] if name != "np.fmod" else []
        found = [array[0] for array in found]
    else:
        found = [function(Value(a), Value(b)), function(Value(a), b), function(a, Value(b))]
    for got in found:
        parts = zip(got, wanted, strict=True) if name == "divmod" else [(got, wanted)]
        for part, number in parts:
            assert type(part) is Value
            assert part.data.hex() == float(number).hex()


def test_a_remainder_moves_with_its_divisor_between_the_jumps() -> None:
    x, y = Value(-7.5), Value(2.0)
    quotient, rest = divmod(x, y)
    (quotient * 100.0 + rest).backward()
    assert (quotient._op, rest._op) == ("//", "%")
    assert (x.grad, y.grad) == (1.0, 4.0)
    with pytest.raises(TypeError, match="unsupported operand"):
        x % "2"
    with pytest.raises(TypeError, match="unsupported operand"):
        divmod(1j, x)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x, y: x % y, r"^-7\.5 % 0\.0: float modulo by zero$"),
        (lambda x, y: x // y, r"^-7\.5 // 0\.0: float floor division by zero$"),
        (divmod, r"^-7\.5 // 0\.0: float floor division by zero$"),
        (lambda x, y: arenagrad.fmod(x, y), r"^fmod\(-7\.5, 0\.0\): math domain error$"),
    ],
)
def test_a_divisor_of_zero_is_named_and_blamed(function: Any, words: str) -> None:
    x, y = Value(-7.5), Value(0.0)
    with pytest.raises((ZeroDivisionError, ValueError), match=words) as caught:
        function(x, y)
    assert caught.value.value is (x if "fmod" in words else y)
    for f in (arenagrad.compile(function), arenagrad.compile(function, strict=True)):
        with pytest.raises((ZeroDivisionError, ValueError), match=words[:-1] + r" \(in "):
            f(-7.5, 0.0)
    rows = arenagrad.compile(function, in_axes=(None, 0))
    with pytest.raises((ZeroDivisionError, ValueError), match=r"row 1\)") as caught:
        rows(-7.5, np.array([2.0, 0.0, 3.0]))
    assert caught.value.row == 1


@method_rows
def test_numpy_finds_the_method_by_its_ufunc_name(row: dict[str, Any]) -> None:
    if not hasattr(np, row["name"]) or row["name"] in ("abs", "sign", "floor", "ceil"):
        return  # what NumPy does not have, and those for which it does not ask for a method
    points = inside(row)
    results = getattr(np, row["name"])(np.array([Value(a) for a in points], dtype=object))
    assert [type(y) for y in results] == [Value, Value]
    for y, a in zip(results, points, strict=True):
        assert y.data == pytest.approx(oracle_of(row).python(a), rel=1e-15)


@every_row
def test_the_text_and_operands_of_a_node_are_those_of_its_row(row: dict[str, Any]) -> None:
    y, values = evaluate(row, (inside(row)[0], 3)[: row["arity"] + row["parametric"]])
    constant = "3" if row["name"] == "pow" else "(3.0)" if row["parametric"] else ""
    assert y._op == row["symbol"] + constant
    assert y._prev == set(values)


KINDS = {
    ValueError: arenagrad.DomainError,
    OverflowError: arenagrad.RangeError,
    ZeroDivisionError: arenagrad.DivisionByZeroError,
}


def test_each_row_is_known_to_refuse_something_or_to_refuse_nothing() -> None:
    assert sorted([*OUTSIDE, *NEVER_REFUSED]) == sorted(row["name"] for row in TABLE)


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
        apply(row, x, *constant)
    assert type(caught.value) is KINDS[expected]
    assert caught.value.value is x
    assert arenagrad.arena_info() == before
    assert (x.data, x.grad, x._op) == (a, 0.25, "*")
    assert sorted(operand.data for operand in x._prev) == [1.0, 3.0]
    x.data = inside(row)[0]
    if refused(ORACLES[name], (x.data, *constant)) is None:
        wanted = ORACLES[name].python(x.data, *constant)
        assert apply(row, x, *constant).data == pytest.approx(wanted)


def test_codes_number_the_rows_in_the_order_of_the_table() -> None:
    codes = _core.op_codes()
    assert sorted(codes.values()) == list(range(len(codes)))
    assert [row["id"] for row in TABLE] == list(codes)[-len(TABLE) :]
    assert [codes[row["id"]] for row in TABLE] == list(range(len(codes) - len(TABLE), len(codes)))
    for column in ("id", "name"):
        assert len({row[column] for row in TABLE}) == len(TABLE), f"a {column} occurs twice"


@every_row
def test_a_node_is_stored_under_the_code_of_its_row(row: dict[str, Any]) -> None:
    y, _ = evaluate(row, (inside(row)[0], 2)[: row["arity"] + row["parametric"]])
    views = _core.graph_views()
    assert views["data"][-1] == y.data, "the newest node is the last"
    # The high bit says that a Value holds it.
    assert views["op"][-1] == _core.op_codes()[row["id"]] + 0x80
