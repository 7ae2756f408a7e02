"""Comparisons in compiled functions: another outcome is another way, never a wrong answer."""

import copy
import math
import operator
import pickle
import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arenagrad import Value, VariantsWarning, compile, data_of, maximum, minimum, where

FLOATS = st.floats(allow_nan=True, allow_infinity=True)


def branching(x: Any) -> Any:
    if x[0] < x[1]:
        return x[0] * 2.0
    if x[0] <= x[2]:
        return x[1] - x[2]
    if x[2] < 0.5:
        return max(x) * 3.0
    if x[1] >= 1:
        return min(x) * x[0]
    return sorted(x)[1]


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(FLOATS, FLOATS, FLOATS), min_size=1, max_size=8))
def test_every_outcome_of_every_comparison_gives_what_the_function_gives(
    points: list[tuple[float, float, float]],
) -> None:
    for point in points:
        want = branching(point)
        for got in (BRANCHING(list(point)), BRANCHING(np.array(point))):
            assert got == want or (math.isnan(got) and math.isnan(want))


BRANCHING = compile(branching, strict=True)


def test_ways_are_traced_once_each_and_kept() -> None:
    calls = 0

    @compile
    def f(x: Any) -> Any:
        nonlocal calls
        calls += 1
        return x * 2.0 if x > 1 else -x

    for _ in range(3):
        assert [f(2.0), f(0.0), f(3.0), f(1.0)] == [4.0, 0.0, 6.0, -1.0]
        assert [f.grad(2.0), f.grad(0.0)] == [2.0, -1.0]
    assert calls == 2


def test_numbers_chosen_by_maximum_minimum_and_where_of_a_value_need_no_ways() -> None:
    def ways(f: Callable[[Any], Any], x: float) -> int:
        g = compile(f)
        assert [g(x), g(-x)] == [data_of(f(Value(x))), data_of(f(Value(-x)))]
        return g._evaluation.cache.count()

    for f in (
        lambda x: where((x - 0.5).relu(), x, 2.0 * x),
        lambda x: maximum(x, 0.5) + minimum(x, 0.5),
    ):
        assert ways(f, 1.0) == 1
    for f in (
        lambda x: where(x > 0.5, x, 2.0 * x),
        lambda x: np.maximum(x, 0.5),
        lambda x: np.clip(np.array([x]), -0.5, 0.5)[0] * x,
    ):
        assert ways(f, 1.0) == 2


def test_comparisons_with_values_of_a_closure_are_made_again() -> None:

    limit = Value(1.0)
    f = compile(lambda x: x if x < limit else limit)
    assert [f(0.5), f(2.0)] == [0.5, 1.0]
    limit.data = 3.0
    assert [f(0.5), f(2.0), f(4.0)] == [0.5, 2.0, 3.0]


def test_comparisons_that_depend_on_nothing_are_no_guards() -> None:

    f = compile(lambda x: x * 2.0 if Value(1.0) < Value(2.0) else x)
    assert f(3.0) == 6.0
    assert f.program(3.0).stats["guards"] == 0


@pytest.mark.parametrize("number", [2, 2.0, np.float64(2.0), Fraction(2), Decimal(2), True + 1])
def test_any_number_that_is_a_float_may_be_compared_with(number: Any) -> None:
    f = compile(lambda x: 1.0 if x < number else 0.0)
    assert [f(1.0), f(2.0), f(3.0)] == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "number",
    [
        *(2**53 + 1, 10**400, -(10**400), Fraction(1, 3), Decimal("0.1"), Decimal("1e400")),
        np.longdouble(1) / 3,
    ],
)
def test_a_number_that_is_no_float_is_compared_with_as_floats_compare(number: Any) -> None:
    largest = sys.float_info.max
    try:
        near = float(number)
    except OverflowError:
        near = largest if number > 0 else -largest
    points = [math.nextafter(near, -math.inf), near, math.nextafter(near, math.inf), 5.0]
    points += [largest, -largest, math.inf, -math.inf]
    if not isinstance(number, Decimal):
        points.append(math.nan)
    for compare in (operator.lt, operator.le, operator.gt, operator.ge):
        for first in points:
            for f in (lambda x: compare(x, number), lambda x: compare(number, x)):  # noqa: B023
                compiled = compile(lambda x: 2.0 if f(x) else 1.0)  # noqa: B023
                compiled(first)
                want = [2.0 if f(x) else 1.0 for x in points]
                assert [compiled(x) for x in points] == want


def test_comparing_with_what_is_no_number_raises_as_it_does_eagerly() -> None:
    with pytest.raises(TypeError, match="'<' not supported"):
        compile(lambda x: x < "a")(1.0)


def steps(x: Any) -> Any:
    """A function with a variant for each whole part of x."""
    n = 0
    while x > n:
        n += 1
    return x * n


def test_more_variants_than_are_kept_are_right_and_a_warning_says_so_once() -> None:
    f = compile(steps, max_variants=20)
    for k in range(39):
        assert f(k + 0.0) == k * k
    with pytest.warns(VariantsWarning, match=r"the 20 that are kept.*where\(\)") as warned:
        assert f(39.0) == 39.0**2
    assert warned[0].filename == __file__
    for k in (*range(60), 3, 500, 3):
        assert (f(k + 0.0), f.grad(k + 0.5)) == (k * k, k + 1)
    assert len(f._evaluation.cache.all()) == 20


def test_the_variants_used_last_are_kept() -> None:
    traced = []

    def function(x: Any) -> Any:
        traced.append(x)
        return steps(x)

    f = compile(function, in_axes=0, max_variants=3)
    for x in (1.0, 2.0, 3.0, 1.0, 4.0, 1.0, 3.0):
        assert f(np.array([x])) == x * x
    assert len(traced) == 4  # that of 2.0 was forgotten
    f(np.array([2.0]))
    assert len(traced) == 5


def test_rows_of_more_variants_than_are_kept_are_right() -> None:
    x = np.arange(60.0)
    f = compile(steps, in_axes=0, max_variants=4)
    with pytest.warns(VariantsWarning):
        assert np.array_equal(f(x), x * x)
    assert np.array_equal(f.grad(x), x)
    total = compile(steps, in_axes=0, reduce="sum", max_variants=4)
    with pytest.warns(VariantsWarning):
        assert total(x) == (x * x).sum()


def test_copies_and_pickles_keep_as_many_variants() -> None:
    f = compile(steps, max_variants=2)
    for copied in (pickle.loads(pickle.dumps(f)), copy.deepcopy(f)):
        for k in range(4):
            assert copied(k + 0.0) == k * k
        assert len(copied._evaluation.cache.all()) == 2


@pytest.mark.parametrize(("given", "error"), [(0, ValueError), (-1, ValueError), ("2", TypeError)])
def test_what_is_no_number_of_variants_is_refused(given: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="max_variants"):
        compile(steps, max_variants=given)


def test_a_function_that_does_not_do_the_same_twice_gets_the_way_it_took() -> None:
    turns = iter([1.0, 5.0, 1.0, 5.0])

    def f(x: Any) -> Any:
        return x if x < next(turns) else -x

    g = compile(f)
    assert g(2.0) == -2.0
    assert g(0.0) == 0.0


def test_loops_of_newtons_method_run_as_long_as_they_must() -> None:
    def root(a: Any) -> Any:
        x = a * 0.5 + 0.5
        while abs(x * x - a) > 1e-12:
            x = (x + a / x) * 0.5
        return x

    f = compile(root)
    for a in (2.0, 9.0, 100.0, 0.25, 2.0):
        assert f(a) == pytest.approx(math.sqrt(a), rel=1e-12)
        assert f.grad(a) == pytest.approx(0.5 / math.sqrt(a), rel=1e-6)
