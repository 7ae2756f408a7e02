"""Functions beyond NumPy's elementary ones: derivatives to the third order, against mpmath."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

import arenagrad as ag
from arenagrad import Value
from op_oracle import ORACLES


@pytest.fixture(autouse=True)
def fifty_digits() -> Iterator[None]:
    with mp.workdps(50):
        yield


# Points at which derivatives are asked for, beside kinks and far out.
POINTS: dict[str, list[tuple[float, ...]]] = {
    "remainder": [(7.5, 2.0), (-7.5, 2.0), (7.5, -0.7)],
    "floor_divide": [(7.5, 2.0), (-7.5, 2.0)],
    "fmod": [(7.5, 2.0), (-7.5, 2.0), (7.5, -0.7)],
    "logaddexp": [(0.5, 0.5), (1.0, 3.0), (-30.0, 2.0), (300.0, 305.0)],
    "log_sigmoid": [(0.5,), (-30.0,), (30.0,), (-1.5,)],
    "softsign": [(0.5,), (-3.0,), (1e3,)],
    "hardtanh": [(0.5,), (-0.9,), (3.0,)],
    "erfc": [(0.5,), (-1.5,), (4.0,)],
    "norm_cdf": [(0.5,), (-1.5,), (4.0,), (-9.0,)],
    "log_norm_cdf": [(0.5,), (-1.5,), (4.0,), (-2.9,), (-3.5,), (-11.0,), (-13.0,), (-1e4,)],
}
CASES = [(name, point) for name, points in POINTS.items() for point in points]


def function_of(name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(ag, name)
    return function


def exact(name: str, point: tuple[float, ...], orders: tuple[int, ...]) -> float:
    with mp.workdps(120):
        value = ORACLES[name].value
        return float(mp.diff(value, tuple(map(mpf, point)), orders))


@pytest.mark.parametrize(("name", "point"), CASES)
@pytest.mark.parametrize("strict", [False, True])
def test_derivatives_to_the_third_order_are_exact_at_a_point_and_in_rows(
    name: str, point: tuple[float, ...], strict: bool
) -> None:
    for which in range(len(point)):

        def along(x: Any, which: int = which) -> Any:
            return function_of(name)(*point[:which], x, *point[which + 1 :])

        f: Callable[..., Any] = along
        value = Value(point[which])
        along(value).backward()
        for order in (1, 2, 3):
            orders = tuple(order if k == which else 0 for k in range(len(point)))
            wanted = pytest.approx(exact(name, point, orders), rel=1e-9, abs=1e-13)
            if order == 1:
                assert value.grad == wanted
            compiled = ag.compile(f, strict=strict)
            assert compiled.grad(point[which]) == wanted, order
            rows = ag.compile(f, strict=strict, in_axes=0)
            assert rows.grad(np.full(9, point[which])) == pytest.approx(
                [wanted.expected] * 9, rel=1e-9, abs=1e-13
            )
            f = ag.grad(f)


def test_an_infinite_tie_of_logaddexp_gives_half_to_each() -> None:
    for infinity in (math.inf, -math.inf):
        x, y = Value(infinity), Value(infinity)
        z = ag.logaddexp(x, y)
        z.backward()
        assert (z.data, x.grad, y.grad) == (infinity, 0.5, 0.5)
        f = ag.compile(lambda x, y: ag.logaddexp(x, y))
        assert (f(infinity, infinity), f.grad(infinity, infinity)) == (infinity, 0.5)
