"""Decisions are exact: a compiled function takes the branch that the function itself takes.

Each decision here hangs on the last bits: a result is compared with its own number on Values, moved
by a few units in the last place. Whatever is rounded otherwise takes the wrong branch in some row.
"""

import contextlib
import math
import os
import pickle
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arenagrad as ag
from arenagrad import Program, Value, _core, compile
from arenagrad import functions as of

Decider = Callable[[Any], Any]  # from some Values to the one that is compared

POINTS, ULPS = 120, (-2, -1, 0, 1)
WRITTEN: dict[str, Decider] = {"add": lambda x: x[0] + x[1], "multiply": lambda x: x[0] * x[1]}
EXPONENTS = (2.0, -1.0, 3.0, 0.5, -0.5, -2.0, 1.5, 12.0, 1.0)
TABLE = _core.op_table()


MODERATE = {  # take no large numbers
    *("layers", "exponentials", "prod", "steps of exp", "a ratio of steps"),
    *("a sum of exponentials", "a product of functions", "steps out of bounds"),
}


def looped(x: Sequence[Any]) -> Any:
    total = 0.0
    for number in x:
        total = total + number
    return total


def halves(function: Callable[[Any, Any], Any]) -> Decider:
    return lambda x: function(x[: len(x) // 2], x[len(x) // 2 : len(x) // 2 * 2])


def stepped(start: Any, x: Sequence[Any]) -> Any:
    """A path whose steps are exponentials."""
    for number in x:
        start = start * (0.01 + 0.3 * number).exp()
    return start


def layers(x: Sequence[Any]) -> Any:
    for scale in (0.5, 1.5):
        x = [
            (looped([(w + scale) * z for w, z in zip(x, x[k:], strict=False)]) / 4).tanh()
            for k in range(3)
        ]
    return x[0] - x[-1] * x[1]


# Any number of operands.
LISTS: dict[str, Decider] = {
    "sum": ag.sum,
    "mean": ag.mean,
    "prod": ag.prod,
    "dot": halves(ag.dot),
    "dot with a start": lambda x: ag.dot(x[1::2], x[2::2], x[0]) if len(x) % 2 else x[0] * 1.0,
    "norm": ag.norm,
    "logsumexp": ag.logsumexp,
    "max": lambda x: ag.max(list(x)) * x[0],
    "min": lambda x: ag.min(list(x)) * x[0],
    "var": ag.var,
    "std": ag.std,
    "interp": lambda x: ag.interp(x[0], [-1.5, -0.25, 0.5, 1.75], list(x[1:5])),
    "where": lambda x: ag.where((x[0] - x[1]).relu(), x[2] * x[3], x[0] / x[1]),
    "take": lambda x: ag.take(list(x), (x[0] * x[0]).floor().minimum(2.0)) * x[1],
    "softmax": lambda x: ag.softmax(x)[1],
    "log_softmax": lambda x: ag.log_softmax(x)[1],
    "linear": lambda x: of.linear([list(x[:3]), list(x[1:4])], x[3:6])[1],
    "a loop that adds": looped,
    "a loop that adds products": halves(
        lambda a, b: looped([p * q for p, q in zip(a, b, strict=False)])
    ),
    "sums of sums": lambda x: (x[0] + x[1]) + ((x[2] + x[3]) + x[4] * x[5]) + (x[1] - x[2]),
    "squares": lambda x: (x[0] - x[1]) ** 2 + (x[2] - x[3]) ** 2 + (x[4] - x[5]) ** 2,
    "quotients": lambda x: x[0] / x[1] + 1 / x[2] - x[3] / 3.0,
    "a distance": lambda x: ((x[0] - x[1]) ** 2 + (x[2] - x[3]) ** 2) ** 0.5,
    "exponentials": lambda x: x[0] * (0.1 * x[1] + x[2]).exp() * (x[3] - 1).exp(),
    "layers": layers,
    "steps of exp": lambda x: stepped(1.0, x),
    "a ratio of steps": lambda x: stepped(x[0], x[1:4]) / stepped(x[1], x[2:]),
    "a sum of exponentials": lambda x: looped([2.5 * (z * z * -0.5).exp() for z in x]) ** 0.5,
    "a product of functions": lambda x: (
        (x[0] * x[1]).tanh() * (x[2] * x[2] + 1).log() * x[3].sin() / x[4].cosh()
    ),
    "steps out of bounds": lambda x: stepped(1e-20, [400.0 * x[0], -400.0 * x[1], x[2]]),
}


def rows_of_operation(row: dict[str, Any]) -> tuple[Decider, list[list[float]]]:
    """The decider of a row of ops.def, and operands inside of its domain."""
    draw, name = random.Random(row["name"]), row["name"]
    rows = [[draw.uniform(row["low"], row["high"]) for _ in range(2)] for _ in range(POINTS)]
    if row["parametric"] and name != "pow":
        return (lambda x: getattr(x[0], name)()), rows
    if row["arity"] == 1:
        return (lambda x: getattr(x[0], name)()), rows
    return WRITTEN.get(name, lambda x: getattr(x[0], name)(x[1])), rows


def rows_of_power(exponent: float) -> tuple[Decider, list[list[float]]]:
    row = next(row for row in TABLE if row["name"] == "pow")
    return (lambda x: x[0] ** exponent), rows_of_operation(row)[1]


def rows_of_list(name: str, length: int) -> tuple[Decider, list[list[float]]]:
    draw = random.Random(f"{name} {length}")
    sizes = [10.0 ** draw.randint(-3, 3) if length > 6 else 1.0 for _ in range(length)]
    rows = [[draw.uniform(-2.0, 2.0) * size for size in sizes] for _ in range(POINTS)]
    if name in MODERATE:
        rows = [[draw.uniform(0.3, 2.0) for _ in sizes] for _ in range(POINTS)]
    return LISTS[name], rows


CASES: dict[str, Callable[[], tuple[Decider, list[list[float]]]]] = {
    **{row["name"]: partial(rows_of_operation, row) for row in TABLE if row["name"] != "pow"},
    **{f"** {exponent}": partial(rows_of_power, exponent) for exponent in EXPONENTS},
    **{
        f"{name} of {length}": partial(rows_of_list, name, length)
        for name in LISTS
        for length in (6, 7, 23)
    },
}


class Case:
    """Rows of numbers, each with a limit a few ulps from what is decided by, and the outcomes."""

    def __init__(self, name: str) -> None:
        decider, rows = CASES[name]()

        def function(x: Any, limit: Any) -> Any:
            y = decider(x)
            return x[0] * 2.0 if y <= limit else x[0] * 3.0

        self.function, xs, limits, factors = function, [], [], []
        for numbers in rows:
            exact = decider([Value(number) for number in numbers]).data
            near = [exact + ulps * math.ulp(exact) for ulps in ULPS]
            for limit in (*near, exact * (1 - 1e-12), exact * (1 + 1e-12)):
                xs.append(numbers)
                limits.append(limit)
                factors.append(2.0 if exact <= limit else 3.0)
        self.xs, self.limits = np.array(xs), np.array(limits)
        self.factors = np.array(factors)
        self.results = self.factors * self.xs[:, 0]

    def check_rows(self, **options: Any) -> Any:
        """Values, gradients and tangents of all rows; the compiled function."""
        compiled = ag.compile(self.function, in_axes=0, **options)
        np.testing.assert_array_equal(compiled(self.xs, self.limits), self.results)
        gradient = compiled.grad(self.xs, self.limits)
        np.testing.assert_array_equal(gradient[:, 0], self.factors)
        np.testing.assert_array_equal(gradient[:, 1:], 0.0 * gradient[:, 1:])
        ones = np.ones_like(self.xs), np.zeros_like(self.limits)
        _, tangents = compiled.jvp((self.xs, self.limits), ones)
        np.testing.assert_array_equal(tangents, self.factors)
        return compiled

    def check_points(self, compiled: Any, step: int) -> None:
        for k in range(0, len(self.xs), step):
            x, limit = self.xs[k], float(self.limits[k])
            assert compiled(x, limit) == self.results[k]
            assert compiled.grad(x, limit)[0] == self.factors[k]


every = pytest.mark.parametrize("name", CASES)


@every
def test_rows_take_the_branch_of_the_function(name: str) -> None:
    Case(name).check_rows()


@every
@pytest.mark.slow
def test_a_point_takes_the_branch_of_the_function(name: str) -> None:
    case = Case(name)
    for strict in (False, True):
        compiled = ag.compile(case.function, strict=strict)
        case.check_points(compiled, 3)


@every
@pytest.mark.slow
def test_strict_rows_and_rows_in_threads_take_the_branch_of_the_function(name: str) -> None:
    case = Case(name)
    case.check_rows(strict=True)
    case.check_rows(threads=2)


@every
@pytest.mark.slow
def test_a_saved_program_answers_exactly_the_rows_of_its_branch(name: str, tmp_path: Path) -> None:
    case = Case(name)
    for factor in (2.0, 3.0):
        own, compiled = case.factors == factor, ag.compile(case.function, in_axes=0)
        for derived in (compiled, ag.grad(compiled)):
            derived.program(case.xs[own], case.limits[own]).save(tmp_path / "p.agpf")
            loaded = Program.load(tmp_path / "p.agpf")
            loaded(case.xs[own], case.limits[own])
            for k in np.flatnonzero(~own)[:20]:
                with pytest.raises(ValueError, match="another"):
                    loaded(case.xs[k : k + 1], case.limits[k : k + 1])


@pytest.mark.slow
@pytest.mark.parametrize("kernels", ["portable", "avx2", "avx512"])
def test_every_kernel_set_takes_the_branch_of_the_function(kernels: str) -> None:
    script = "import test_exact_decisions as t\nfor name in t.CASES: t.Case(name).check_rows()"
    environment = {**os.environ, "ARENAGRAD_KERNELS": kernels}
    folder = Path(__file__).parent
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, cwd=folder)


@ag.compile(in_axes=0)
def nearest(x: Any) -> Any:
    """The square root by Newton's steps, until two of them agree to the last bits."""
    y = x
    while True:
        better = 0.5 * (y + x / y)
        if abs(better - y) <= 4e-16 * abs(y):
            return better
        y = better


def test_a_loop_that_converges_to_the_last_bit_turns_as_often_as_on_values() -> None:
    xs = np.linspace(0.1, 9.0, 300)
    function = nearest.__wrapped__
    exact = [function(Value(x)).data for x in xs]
    np.testing.assert_allclose(nearest(xs), exact, rtol=4e-16)
    again = pickle.loads(pickle.dumps(nearest))
    np.testing.assert_array_equal(again(xs), nearest(xs))


@pytest.mark.parametrize("threads", [1, 2])
def test_paths_stop_at_the_step_at_which_they_stop_on_values(threads: int) -> None:
    def barrier(path: Any, limit: Any, strike: Any) -> Any:
        price = 1.0
        for number in path:
            price = price * (0.01 + 0.2 * number).exp()
            if price > limit:
                return price * 0.0
        return price - strike if price - strike > 0 else 0.25 * price

    draw = np.random.default_rng(3)
    paths = np.repeat(draw.normal(size=(60, 8)), 15, axis=0)
    limits, strikes = np.full(len(paths), math.inf), np.empty(len(paths))
    for k, path in enumerate(paths):
        price, seen = Value(1.0), []
        for number in path:
            price = price * (0.01 + 0.2 * Value(number)).exp()
            seen.append(price.data)
        ulps = k % 5 - 2
        if k % 15 < 10:
            limits[k] = max(seen) + ulps * math.ulp(max(seen))
        strikes[k] = seen[-1] + ulps * math.ulp(seen[-1])
    expected = [
        barrier([Value(number) for number in path], limit, strike).data
        for path, limit, strike in zip(paths, limits, strikes, strict=True)
    ]
    compiled = ag.compile(barrier, in_axes=0, threads=threads)
    for answer in (
        compiled(paths, limits, strikes),
        compiled.value_and_grad(paths, limits, strikes)[0],
    ):
        np.testing.assert_allclose(answer, expected, rtol=1e-13, atol=1e-14)


def test_a_factor_that_is_the_same_in_all_rows_is_checked_once() -> None:
    def f(x: Any, scale: Any) -> Any:
        y = scale.log() * x.exp()
        return y if y > 0.5 else x

    xs = np.linspace(-2.0, 1.0, 300)
    function = ag.compile(f, in_axes=(0, None))
    for scale in (2.0, 3.0):
        expected = [f(Value(x), Value(scale)).data for x in xs]
        np.testing.assert_allclose(function(xs, scale), expected, rtol=1e-14)
    with pytest.raises(ag.ArenagradError, match="log"):
        function(xs, -2.0)


def test_what_a_decision_shares_with_a_result_is_computed_once() -> None:
    @ag.compile(in_axes=0)
    def f(x: Any, y: Any) -> Any:
        distance = (x - y) ** 2 + (x * y) ** 2
        return distance.exp() if distance < 1 else distance

    xs, ys = np.linspace(-1.5, 1.5, 40), np.linspace(0.7, -0.9, 40)
    counts = f.program(xs[20:21], ys[20:21]).stats["counts"]
    assert counts["Pow"] == 2
    assert "Mul" in counts
    assert counts["Mul"] == 1
    loss = [f.__wrapped__(Value(x), Value(y)).data for x, y in zip(xs, ys, strict=True)]
    np.testing.assert_allclose(f(xs, ys), loss, rtol=1e-14)


def test_what_decides_nothing_is_computed_as_before() -> None:
    def plain(x: Any, y: Any) -> Any:
        return ((x - y) ** 2 + x / y) ** 3

    def deciding(x: Any, y: Any) -> Any:
        return plain(x, y) if x < y else plain(y, x)

    counts = [ag.compile(f).program(1.5, 2.5).stats["counts"] for f in (plain, deciding)]
    assert {**counts[0], "Less": 1} == counts[1]


@pytest.mark.parametrize("base", [-math.inf, math.inf, -0.0, 0.0, 0.25, math.nan])
def test_a_root_in_a_decision_is_that_power_at_its_edges_too(base: float) -> None:
    def larger(x: Any) -> Any:
        root = x**0.5
        return root * 2.0 if root > 0.5 else root

    expected = larger(Value(base)).data
    for options in ({}, {"strict": True}, {"in_axes": 0}):
        function = ag.compile(larger, **options)
        given = np.full(3, base) if "in_axes" in options else base
        np.testing.assert_array_equal(function(given), np.full(np.shape(given), expected))


def test_whether_a_caught_operation_fails_is_decided_as_in_the_function(tmp_path: Path) -> None:
    def f(a: Any, b: Any, c: Any) -> Any:
        try:
            return 1.0 / (a + (b + c))
        except ZeroDivisionError:
            return 7.0 * a

    def by_log(a: Any, b: Any, c: Any) -> Any:
        try:
            return ag.log(a + (b + c)) + 1.0
        except ValueError:
            return a

    # Added from the left, the sum is 1 where it is 0 here, and 0 where it is 1.
    points = [(1.0, 2.0, 3.0), (1e16, -1e16, 1.0), (1.0, -1e16, 1e16)]
    for function in (f, by_log):
        expected = [function(*map(Value, point)).data for point in points]
        compiled = compile(function)
        assert [compiled(*point) for point in points] == expected
        assert [compile(function)(*point) for point in reversed(points)] == expected[::-1]
        columns = map(np.array, zip(*points, strict=True))
        assert list(compile(function, in_axes=0)(*columns)) == expected
        path = tmp_path / "caught.agpf"
        compile(function).program(*points[0]).save(path)
        loaded = Program.load(path)
        assert loaded(*points[0]) == expected[0]
        with pytest.raises(ag.UntracedError):
            loaded(*points[1])


def test_only_operations_whose_errors_are_caught_are_decisions() -> None:
    def helper(x: Any) -> Any:
        return ag.log(x)

    def guards(function: Callable[..., Any]) -> int:
        return int(compile(function).program(2.0).stats["guards"])

    def caught_by_the_caller(x: Any) -> Any:
        try:
            y = helper(x)
        except ValueError:
            y = x
        return y * helper(x + 1.0)

    def only_cleans_up(x: Any) -> Any:
        try:
            return sum(helper(x + k) for k in range(3)) + [1.0 / x for _ in range(2)][1]
        finally:
            x = None

    def raises_another(x: Any) -> Any:
        try:
            return helper(x)
        except ValueError as error:
            raise ArithmeticError("bad") from error

    def suppressed(x: Any) -> Any:
        with contextlib.suppress(ValueError):
            return helper(x)
        return x

    def caught_outside_of_finally(x: Any) -> Any:
        try:
            try:
                return helper(x)
            finally:
                x = x + 1.0
        except ValueError:
            return x

    def left_in_finally(x: Any) -> Any:
        for _ in range(2):
            try:
                helper(x)
            finally:
                break  # noqa: B012 - so the error is caught, which is asked about
        return x

    counts = {
        helper: 0,
        caught_by_the_caller: 1,
        only_cleans_up: 0,
        raises_another: 0,
        suppressed: 1,
        caught_outside_of_finally: 1,
        left_in_finally: 1,
    }
    assert {function: guards(function) for function in counts} == counts
