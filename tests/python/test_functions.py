"""Functions beyond NumPy's elementary ones: derivatives to the third order, against mpmath."""

import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

import arenagrad as ag
from arenagrad import Value, _core
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
    "digamma": [(0.3,), (4.5,), (-0.75,), (-12.3,), (1e4,)],
    "erfinv": [(0.25,), (-0.9,), (0.99,)],
    "norm_ppf": [(0.25,), (0.9,), (0.001,)],
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


TABLE = [row for row in _core.op_table() if row["name"] not in ("add", "multiply", "pow")]
every_row = pytest.mark.parametrize("row", TABLE, ids=lambda row: row["name"])


def operands_of(row: dict[str, Any]) -> tuple[Any, Any]:
    """Two by three numbers inside of the domain, and a row of three."""
    numbers = np.linspace(0.6, 0.95, 9) * row["high"]
    return numbers[:6].reshape(2, 3), numbers[6:]


@every_row
def test_functions_of_one_and_two_operands_take_arrays_and_lists(row: dict[str, Any]) -> None:
    function, (a, b) = function_of(row["name"]), operands_of(row)
    one, two = ag.values(a), ag.values(b)
    if row["arity"] == 1:
        wanted = [[function(x) for x in line] for line in a.tolist()]
        given: list[tuple[Any, ...]] = [(a,), (one,), (a.tolist(),), (one.tolist(),)]
    else:
        wanted = [[function(x, y) for x, y in zip(line, b, strict=True)] for line in a.tolist()]
        given = [(a, b), (one, b), (a, two), (one, two), (one, two.tolist()), (a.tolist(), two)]
        given += [(a.tolist(), b.tolist()), (one.tolist(), two.tolist())]
    for operands in given:
        found = function(*operands)
        assert isinstance(
            found, np.ndarray if any(isinstance(x, np.ndarray) for x in operands) else list
        )
        has_values = any(type(np.ravel(np.array(x, dtype=object))[0]) is Value for x in operands)
        if isinstance(found, np.ndarray):
            assert found.dtype == (object if has_values else float)
        assert ag.data_of(found).tolist() == wanted
        assert {type(x) for x in np.ravel(np.array(found, dtype=object))} == {
            Value if has_values else float
        }


@every_row
def test_elements_of_traced_arrays_are_those_of_one_call_each(row: dict[str, Any]) -> None:
    function, (a, b) = function_of(row["name"]), operands_of(row)
    two = [b] if row["arity"] == 2 else []

    def total(x: Any) -> Any:
        return ag.sum(np.ravel(function(x, *two)).tolist())

    one = ag.values(a)
    total(one).backward()
    for f in (ag.compile(total), ag.compile(lambda x: total(x.tolist()))):
        assert f(a) == pytest.approx(total(a), rel=1e-14)
        assert f.grad(a) == pytest.approx(ag.grad_of(one), rel=1e-13)


def test_elements_that_are_refused_are_refused_as_they_are_alone() -> None:
    with pytest.raises(ag.DomainError, match=r"log\(-1\.0\)"):
        ag.log([2.0, -1.0])
    with pytest.raises(TypeError, match="the argument must be"):
        ag.exp([1.0, "2"])
    with pytest.raises(ValueError, match="broadcast"):
        ag.maximum([1.0, 2.0], [1.0, 2.0, 3.0])
    assert ag.maximum(Value(2.0), [1, 3])[1].data == 3.0
    assert Value(2.0).maximum(np.array([1.0, 3.0]))[0].data == 2.0
    assert ag.leaky_relu([-1.0, 2.0], 0.5) == [-0.5, 2.0]
    assert ag.exp(np.array(0.0)) == 1.0
    assert ag.exp([]) == []


def test_clip_is_the_larger_and_the_smaller_of_its_bounds() -> None:
    for a, low, high in ((0.5, 0.0, 1.0), (-3.0, -1.0, 2.0), (3.0, -1.0, 2.0), (0.5, 2.0, 1.0)):
        assert ag.clip(a, low, high) == np.clip(a, low, high)
        assert ag.clip(Value(a), low, a_max=high).data == np.clip(a, low, high)
        assert ag.clip(a, a_max=high) == min(a, high)
        assert ag.clip(a, low, None) == max(a, low)
        x, y = Value(a), Value(low)
        ag.clip(x, y, high).backward()
        assert (x.grad, y.grad) == (float(low < a < high), float(a < low < high))
    x = Value(1.0)
    ag.clip(x, -1.0, 1.0).backward()
    assert x.grad == 0.5
    assert ag.clip([1, -5, 9], 0, [4, 4, 5]) == [1.0, 0.0, 5.0]
    assert type(ag.clip(3)) is float
    assert ag.compile(lambda x: ag.clip(x, 0.0, 1.0)).grad(0.5) == 1.0
    with pytest.raises(TypeError, match="must be"):
        ag.clip("3")


def test_mod_is_remainder_by_numpy_s_other_name() -> None:
    assert ag.mod is ag.remainder


def first_three_orders(f: Callable[[Any], Any], x: float) -> list[float]:
    g: Callable[..., Any] = f
    found = []
    for _ in range(3):
        found.append(ag.compile(g).grad(x))
        assert ag.compile(g, in_axes=0, strict=True).grad(np.full(5, x)).tolist() == pytest.approx(
            [found[-1]] * 5, rel=1e-13
        )
        g = ag.grad(g)
    return found


def test_those_that_tie_share_the_gradient_of_the_largest_and_the_smallest() -> None:
    for function, sign in ((ag.max, 1.0), (ag.min, -1.0)):
        for strict in (False, True):

            def f(xs: Any, function: Any = function) -> Any:
                return function([x**3 for x in xs])

            compiled = ag.compile(f, strict=strict)
            xs = [sign * x for x in (2.0, 1.0, 2.0, -3.0)]
            assert compiled(xs) == sign * 8.0
            assert compiled.grad(xs) == [6.0, 0.0, 6.0, 0.0]
            assert compiled.hessian([sign * 2.0, sign * 1.0])[0] == [sign * 12.0, 0.0]
            assert compiled.jvp((xs,), ([1.0, 5.0, 2.0, 7.0],))[1] == 18.0
            rows = ag.compile(f, strict=strict, in_axes=0)
            assert rows(np.array([xs, xs[::-1]])).tolist() == [sign * 8.0] * 2
            found = rows.grad(np.array([xs, [1.0, 2.0, 3.0, 4.0]]))
            assert found[0].tolist() == [6.0, 0.0, 6.0, 0.0]
            assert sorted(found[1].tolist()) == [0.0, 0.0, 0.0, 48.0 if sign > 0 else 3.0]
    xs = ag.values([1.0, math.nan])
    ag.max(xs).backward()
    assert all(math.isnan(x.grad) for x in xs)
    assert np.isnan(ag.compile(lambda xs: ag.max(xs)).grad(np.array([1.0, math.nan]))).all()


def test_variances_are_numpy_s_for_any_ddof() -> None:
    xs = [0.5, -1.25, 3.0, 2.5]
    for ddof in (0, 1, 2.5):
        for function, wanted in ((ag.var, np.var), (ag.std, np.std)):
            assert function(xs, ddof) == pytest.approx(wanted(xs, ddof=ddof), rel=1e-15)
            assert function([Value(x) for x in xs], ddof=ddof).data == function(xs, ddof)

            def along(x: Any, function: Any = function, ddof: float = ddof) -> Any:
                return function([x, *xs[1:]], ddof)

            def exactly(x: Any, ddof: float = ddof, root: bool = function is ag.std) -> Any:
                given = [x, *map(mpf, xs[1:])]
                squares = mp.fsum((y - mp.fsum(given) / 4) ** 2 for y in given) / (4 - ddof)
                return mp.sqrt(squares) if root else squares

            orders = [float(mp.diff(exactly, mpf(0.5), order)) for order in (1, 2, 3)]
            assert first_three_orders(along, 0.5) == pytest.approx(orders, rel=1e-12, abs=1e-13)
    for ddof in (4, 5, math.nan):
        with pytest.raises(ValueError, match="needs more numbers than ddof"):
            ag.var(xs, ddof)
    same = [Value(0.1) for _ in range(3)]
    ag.std(same).backward()
    assert [x.grad for x in same] == [0.0] * 3
    assert ag.compile(lambda xs: ag.std(xs)).grad([0.1, 0.1, 0.1]) == [0.0] * 3


XP, FP = [-2.0, -0.5, 1.0, 4.0], [1.0, -3.0, 2.0, 0.25]
PLACES = [-3.0, -2.0, -1.1, -0.5, 0.3, 1.0, 2.75, 4.0, 5.0, math.inf, -math.inf]


def test_interp_is_numpy_s_in_every_way_of_calling_it() -> None:
    wanted = np.interp(PLACES, XP, FP)
    numbers = ag.interp(PLACES, XP, FP)
    assert numbers == pytest.approx(wanted, rel=1e-15)  # NumPy may fuse a product with a sum
    assert ag.interp(np.array(PLACES), np.array(XP), FP).tolist() == numbers
    assert ag.data_of(ag.interp(ag.values(PLACES), XP, FP)).tolist() == numbers
    ends = {"left": -7.0, "right": 9.0}
    assert ag.interp(PLACES, XP, FP, **ends)[::4] == [-7.0, numbers[4], 9.0]
    for strict in (False, True):
        f = ag.compile(lambda x: ag.interp(x, XP, FP), in_axes=0, strict=strict)
        assert f(np.array(PLACES)) == pytest.approx(wanted, rel=1e-15)
    assert ag.interp(3.0, [1.0], [2.0]) == 2.0
    assert math.isnan(ag.interp(math.nan, XP, FP))
    with pytest.raises(ValueError, match="xp and fp must be equally many, got 2 and 1"):
        ag.interp(1.0, [1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="needs at least one point"):
        ag.interp(1.0, [], [])


def test_interp_has_partials_by_all_its_operands() -> None:
    def f(numbers: Any) -> Any:
        x, left, right, *others = numbers
        return ag.interp(x, others[:4], others[4:], left, right)

    for x in (-3.0, -1.1, 0.3, 2.75, 5.0):
        numbers = [x, -7.0, 9.0, *XP, *FP]
        values = [Value(number) for number in numbers]
        f(values).backward()
        compiled = ag.compile(f)
        assert compiled.grad(numbers) == pytest.approx([v.grad for v in values], rel=1e-14)
        for i, value in enumerate(values):
            moved = [[n + (k == i) * h for k, n in enumerate(numbers)] for h in (1e-6, -1e-6)]
            partial = (f(moved[0]) - f(moved[1])) / 2e-6
            assert value.grad == pytest.approx(partial, rel=1e-6, abs=1e-8)
        hessian = np.array(compiled.hessian(numbers))
        assert hessian == pytest.approx(hessian.T, rel=1e-12, abs=1e-14)


def test_cumsum_is_a_running_sum() -> None:
    xs = [0.1, 2, -3.0, 0.7]
    assert ag.cumsum(xs) == np.cumsum(xs).tolist()
    values = [Value(0.1), 2, Value(-3.0), 0.7]
    sums = ag.cumsum(values)
    assert sums[0] is values[0]
    assert [y.data for y in sums] == np.cumsum(xs).tolist()
    ag.sum(sums).backward()
    assert (values[0].grad, values[2].grad) == (4.0, 2.0)
    assert isinstance(ag.cumsum(ag.values(xs)), np.ndarray)
    assert ag.compile(lambda xs: ag.cumsum(xs)[-1] ** 2).grad([1.0, 2.0]) == [6.0, 6.0]
    assert ag.cumsum([]) == []
    with pytest.raises(TypeError, match="an element of xs"):
        ag.cumsum(["1"])


WITHOUT_SCIPY = """
import sys
sys.modules["scipy"] = None
import arenagrad as ag
for call in (lambda: ag.erfinv(0.5), lambda: ag.Value(0.5).norm_ppf(), lambda: ag.norm_ppf([0.5])):
    try:
        call()
    except ImportError as error:
        assert "pip install 'arenagrad[special]'" in str(error), error
    else:
        raise AssertionError("no error")
try:
    ag.Program.load(sys.argv[1])
except ImportError as error:
    assert "erfinv() is a function of SciPy's" in str(error), error
else:
    raise AssertionError("a program was loaded that cannot run")
assert ag.digamma(1.0) < 0
"""


def test_without_scipy_its_functions_and_files_with_them_say_what_to_install(
    tmp_path: Path,
) -> None:
    f = ag.compile(lambda x: x.erfinv() * 2.0)
    f.program(0.5).save(tmp_path / "f.agpf")
    for extension in ("", WITHOUT_SCIPY):
        code = extension or LOADS
        command = [sys.executable, "-c", code, str(tmp_path / "f.agpf")]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr


LOADS = """
import sys
import arenagrad as ag
program = ag.Program.load(sys.argv[1])
assert abs(program(0.5) - 0.9538725524089398) < 1e-15, program(0.5)
"""
