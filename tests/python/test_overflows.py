"""Results that are not finite are the function's own, whatever order the arithmetic stands in.

Fused products and sums in another order overflow otherwise than the function does. The oracle is
the function on floats, and strict arithmetic for derivatives.
"""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arenagrad import Program, compile

LARGE = 1e300
Numbers = tuple[float, float, float]


def a_product_beside_an_infinity(a: Any, b: Any, c: Any) -> Any:
    return (2.0 - b * b + a * a) * c


def a_sum_that_overflows_on_the_way(a: Any, b: Any, c: Any) -> Any:
    return 1e308 * a + 1e308 * b + (c - 1e308 * (a + b))


def a_quotient_of_a_sum(a: Any, b: Any, c: Any) -> Any:
    return (a * b + b * c - a * a) / (c - c + 1.0)


def a_pole_that_cancels(a: Any, b: Any, c: Any) -> Any:
    return 1.0 / (a + (b + c)) * 0.0 + a


FUNCTIONS: list[Callable[..., Any]] = [
    a_product_beside_an_infinity,
    a_sum_that_overflows_on_the_way,
    a_quotient_of_a_sum,
    a_pole_that_cancels,
]
POINTS: list[Numbers] = [
    (1.0, 2.0, 3.0),
    (0.5, LARGE, -1.0),
    (LARGE, LARGE, 1.0),
    (-LARGE, LARGE, LARGE),
    (1.5, 0.5, 1.0),
    (1.0, -1e16, 1e16),
    (float("inf"), 1.0, 2.0),
    (float("nan"), 1.0, 2.0),
]


def same(one: Any, other: Any) -> bool:
    """Whether numbers are equal to 1e-12, and alike where they are not finite."""
    return bool(np.allclose(one, other, rtol=1e-12, atol=0.0, equal_nan=True))


def wanted_of(function: Callable[..., Any]) -> list[float]:
    """What a function gives on floats, where a / b is a times b**-1 as for Values."""
    strict = compile(function, strict=True)
    return [strict(*point) for point in POINTS]


@pytest.fixture(params=FUNCTIONS, ids=lambda function: str(function.__name__))
def function(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """One of the functions."""
    return request.param  # type: ignore[no-any-return]


def test_strict_arithmetic_is_that_of_floats(function: Callable[..., Any]) -> None:
    assert same(wanted_of(function), [function(*point) for point in POINTS])


def test_results_at_a_point_are_the_functions(function: Callable[..., Any]) -> None:
    compiled = compile(function)
    for _ in range(2):  # known calls do not pass through Python
        assert same([compiled(*point) for point in POINTS], wanted_of(function))


def test_results_of_rows_are_the_functions(function: Callable[..., Any]) -> None:
    columns = np.array(POINTS).T
    for rows in (1, 100):
        compiled = compile(function, in_axes=0, threads=2)
        got = compiled(*(np.tile(column, rows) for column in columns))
        assert same(got, np.tile(wanted_of(function), rows))


def test_sums_over_rows_are_the_functions(function: Callable[..., Any]) -> None:
    columns = np.array(POINTS).T
    got = compile(function, in_axes=0, reduce="sum")(*columns)
    assert same(got, compile(function, in_axes=0, reduce="sum", strict=True)(*columns))


def test_derivatives_are_those_of_strict_arithmetic(function: Callable[..., Any]) -> None:
    columns = np.array(POINTS).T
    gradients = []
    for strict in (False, True):
        f, rows = compile(function, strict=strict), compile(function, in_axes=0, strict=strict)
        at_points = [f.value_and_grad(*point, argnums=(0, 1, 2)) for point in POINTS]
        values, in_rows = rows.value_and_grad(*columns, argnums=(0, 1, 2))
        gradients.append([[v, *g] for v, g in at_points])
        assert same(np.array([values, *in_rows]).T, gradients[-1])
    assert same(*gradients)


def test_buffers_get_the_same_numbers(function: Callable[..., Any]) -> None:
    out = np.zeros(len(POINTS))
    compile(function, in_axes=0)(*np.array(POINTS).T, out=out)
    assert same(out, wanted_of(function))


def test_pickles_and_files_give_the_same_numbers(
    function: Callable[..., Any], tmp_path: Path
) -> None:
    program = compile(function).program(*POINTS[0])
    program.save(tmp_path / "p")
    loaded = Program.load(tmp_path / "p")
    loaded.save(tmp_path / "again")
    for one in (program, pickle.loads(pickle.dumps(program)), loaded):
        assert same([one(*point) for point in POINTS], wanted_of(function))
    assert (tmp_path / "again").read_bytes() == (tmp_path / "p").read_bytes()


def test_rows_of_several_variants_each_have_their_own() -> None:
    def function(a: Any, b: Any, c: Any) -> Any:
        x = a_product_beside_an_infinity(a, b, c)
        return -x if c > 0.0 else x

    got = compile(function, in_axes=0)(*np.array(POINTS).T)
    assert same(got, [function(*point) for point in POINTS])
