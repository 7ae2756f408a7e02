"""polygamma, gammainc and betainc: their numbers, their partials of every order, their shapes."""

import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mp

import arenagrad as ag
from arenagrad import Value

special = pytest.importorskip("scipy.special")

# A function of x with its shapes, and points of x.
CASES: dict[str, tuple[tuple[float, ...], list[float]]] = {
    "polygamma": ((2,), [0.3, 1.7, 12.5, -1.25]),
    "gammainc": ((2.5,), [0.2, 1.9, 7.5]),
    "betainc": ((1.5, 3.25), [0.1, 0.45, 0.9]),
}
EXACT: dict[str, Callable[..., Any]] = {
    "polygamma": lambda n, x: mp.polygamma(n, x),
    "gammainc": lambda a, x: mp.gammainc(a, 0, x, regularized=True),
    "betainc": lambda a, b, x: mp.betainc(a, b, 0, x, regularized=True),
}


def derivative(name: str, shapes: tuple[float, ...], x: float, order: int) -> float:
    with mp.workdps(60):
        return float(mpmath.diff(lambda t: EXACT[name](*shapes, t), mpmath.mpf(x), order))


def of_x(name: str, shapes: tuple[float, ...]) -> Callable[[Any], Any]:
    function = getattr(ag, name)
    return lambda x: function(*shapes, x)


@pytest.mark.parametrize("name", CASES)
def test_numbers_are_those_of_scipy(name: str) -> None:
    shapes, points = CASES[name]
    for x in points:
        wanted = (
            float(getattr(special, name)(*shapes, x)) if x > 0 else derivative(name, shapes, x, 0)
        )
        for got in (of_x(name, shapes)(x), of_x(name, shapes)(Value(x)).data):
            assert got == pytest.approx(wanted, rel=1e-14)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_derivatives_by_x_have_every_order_wherever_they_are_taken(name: str, strict: bool) -> None:
    shapes, points = CASES[name]
    f: Callable[[Any], Any] = of_x(name, shapes)
    nested = f
    for order in range(1, 5):
        nested = ag.compile(nested, strict=strict).grad
        for x in points:
            wanted = derivative(name, shapes, x, order)
            assert nested(x) == pytest.approx(wanted, rel=1e-11), (order, x)
        rows = ag.compile(nested, in_axes=0, strict=strict)(np.array(points))
        assert rows.tolist() == pytest.approx([nested(x) for x in points], rel=1e-14)
    for x in points:
        value = Value(x)
        f(value).backward()
        assert value.grad == pytest.approx(derivative(name, shapes, x, 1), rel=1e-13)
        recorded = ag.grad(f)(ag.exp(leaf := Value(math.log(x)))) if x > 0 else None
        if recorded is not None:
            recorded.backward()
            assert leaf.grad == pytest.approx(derivative(name, shapes, x, 2) * x, rel=1e-11)
    ag.check_grads(f, (points[1],), order=2)


def test_lists_and_arrays_are_taken_element_by_element() -> None:
    xs = [0.25, 0.5]
    assert ag.gammainc([1.0, 2.0], xs) == [ag.gammainc(1.0, 0.25), ag.gammainc(2.0, 0.5)]
    assert ag.betainc(2.0, 3.0, np.array(xs)) == pytest.approx(special.betainc(2.0, 3.0, xs))
    assert ag.polygamma(np.array([[0], [1]]), np.array(xs)) == pytest.approx(
        special.polygamma(np.array([[0], [1]]), xs)
    )
    values = ag.values(xs)
    ag.sum(list(ag.gammainc(2.0, values))).backward()
    assert [v.grad for v in values] == pytest.approx([x * math.exp(-x) for x in xs])
    assert ag.gammainc(a=2.0, x=0.5) == ag.gammainc(2.0, 0.5)


def test_derivatives_at_the_ends_are_limits() -> None:
    third = ag.grad(ag.grad(ag.grad(lambda x: ag.gammainc(3.0, x))))
    assert third(0.0) == pytest.approx(1.0)  # of exp(-x) x**2 / 2
    assert ag.grad(ag.grad(lambda x: ag.gammainc(2.0, x)))(0.0) == 1.0
    assert ag.grad(lambda x: ag.gammainc(1.0, x))(0.0) == 1.0
    assert ag.grad(lambda x: ag.gammainc(0.5, x))(0.0) == math.inf
    second = ag.grad(ag.grad(lambda x: ag.betainc(2.0, 3.0, x)))  # of 12 x (1 - x)**2
    assert (second(0.0), second(1.0)) == (pytest.approx(12.0), 0.0)
    assert ag.grad(second)(1.0) == pytest.approx(24.0)
    assert ag.grad(lambda x: ag.betainc(1.0, 1.0, x))(0.0) == 1.0
    flat = Value(0.0)
    (ag.sqrt(flat) * 0.0 + ag.gammainc(2.0, flat)).backward()
    assert flat.grad == 0.0


OUTSIDE: dict[str, list[tuple[float, ...]]] = {
    "polygamma": [(1, 0.0), (2, -3.0), (0, -1.0)],
    "gammainc": [(-1.0, 1.0), (1.0, -0.5), (0.0, 0.0), (math.inf, math.inf)],
    "betainc": [(-1.0, 1.0, 0.5), (1.0, 1.0, 1.5), (1.0, 2.0, -0.5), (0.0, 0.0, 0.5)],
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_outside_of_the_domain_the_error_is_that_of_math(name: str) -> None:
    function = getattr(ag, name)
    for *shapes, x in OUTSIDE[name]:
        text = f"{name}\\({float(shapes[0])}.*: math domain error"

        def f(t: Any, shapes: Any = shapes) -> Any:
            return function(*shapes, t)

        for call in (f, lambda t, f=f: f(Value(t)), ag.compile(f)):
            with pytest.raises(ag.DomainError, match=text):
                call(x)
    assert math.isnan(function(*CASES[name][0], math.nan))


@pytest.mark.parametrize("name", ["polygamma", "gammainc", "betainc"])
def test_an_error_that_the_function_catches_is_an_outcome(name: str) -> None:
    shapes, points = CASES[name]
    function, outside = (
        getattr(ag, name),
        {"polygamma": -1.0, "gammainc": -1.0, "betainc": 2.0}[name],
    )

    def f(x: Any) -> Any:
        try:
            y = function(*shapes, x)
        except ValueError:
            return x * 10.0
        return y * x

    both = [points[0], outside, points[1], outside]
    for order in (both, both[::-1]):
        compiled = ag.compile(f)
        assert [compiled(x) for x in order] == pytest.approx([f(x) for x in order], rel=1e-15)
        assert compiled.grad(outside) == 10.0
        rows = ag.compile(f, in_axes=0)(np.array(order))
        assert rows.tolist() == pytest.approx([f(x) for x in order], rel=1e-15)


def test_the_order_of_polygamma_is_a_whole_number() -> None:
    assert ag.polygamma(2.0, 0.5) == ag.polygamma(2, 0.5) == ag.polygamma(np.int64(2), 0.5)
    assert ag.polygamma(0, 0.5) == ag.digamma(0.5)
    assert ag.grad(lambda x: ag.polygamma(0, x))(0.5) == ag.polygamma(1, 0.5)
    for n in (-1, 1.5, 171, math.nan):
        with pytest.raises(ValueError, match=r"n of polygamma\(\) must be one of 0, 1, 2, "):
            ag.polygamma(n, 0.5)
    with pytest.raises(TypeError, match=r"must be a whole number, got a Value: write int\(n\)"):
        ag.polygamma(Value(1.0), 0.5)
    wanted = {(170, 5.0): 1.0, (150, 300.0): 1.0, (100, 1e4): 1.0}
    for n, x in wanted:
        with mp.workdps(50):
            assert ag.polygamma(n, x) == pytest.approx(float(mp.polygamma(n, x)), rel=1e-12)


def gamma_of(a: Any, x: Any) -> Any:
    return ag.gammainc(a, x) * 2.0


def beta_of(a: Any, x: Any) -> Any:
    return ag.betainc(2.0, a, x) * 2.0


@pytest.mark.parametrize("f", [gamma_of, beta_of])
def test_no_shape_gets_a_gradient_that_nobody_has(f: Callable[..., Any]) -> None:
    text = r"inc\(\) has no partial by its shapes? a.*: no library has it"
    a, x = Value(2.0), Value(0.5)
    y = f(a, x)
    with pytest.raises(ag.ArenagradError, match=text):
        y.backward()
    assert (a.grad, x.grad, y.grad) == (0.0, 0.0, 0.0)
    compiled = ag.compile(f)
    assert compiled(2.0, 0.5) == y.data
    for call in (
        lambda: compiled.grad(2.0, 0.5),
        lambda: compiled.jvp((2.0, 0.5), (1.0, 0.0)),
        lambda: ag.grad(f)(Value(2.0) * 1.0, Value(0.5) * 1.0),
        lambda: compiled.hessian(2.0, 0.5),
        lambda: ag.compile(f, in_axes=0).vjp((np.array([2.0]), np.array([0.5])), np.ones(1)),
        lambda: f(ag.exp(a), x).backward(),
    ):
        with pytest.raises(ag.ArenagradError, match=text):
            call()
    assert compiled.grad(2.0, 0.5, argnums=1) == pytest.approx(
        f(2.0, 0.5 + 1e-6) * 5e5 - f(2.0, 0.5 - 1e-6) * 5e5
    )
    assert compiled.jvp((2.0, 0.5), (0.0, 1.0))[1] == compiled.grad(2.0, 0.5, argnums=1)


@pytest.mark.parametrize("f", [gamma_of, beta_of])
def test_a_shape_without_a_gradient_may_be_any_number(f: Callable[..., Any]) -> None:
    wanted = ag.grad(f, argnums=1)(2.0, 0.5)
    stopped = lambda a, x: f(ag.stop_gradient(a), x) + a  # noqa: E731
    compiled = ag.compile(stopped)
    assert compiled.grad(2.0, 0.5, argnums=(0, 1)) == (1.0, pytest.approx(wanted))
    assert compiled.jvp((2.0, 0.5), (1.0, 1.0))[1] == pytest.approx(1.0 + wanted)
    assert compiled.hessian(2.0, 0.5, argnums=(0, 1))[0] == (0.0, 0.0)
    rows = ag.compile(stopped, in_axes=0)
    shapes, points = np.array([1.0, 2.0, 3.5]), np.array([0.5, 0.25, 0.75])
    _, pull_back = rows.vjp((shapes, points), np.ones(3))
    assert pull_back[1].tolist() == pytest.approx(
        [ag.grad(f, argnums=1)(a, x) for a, x in zip(shapes, points, strict=True)]
    )
    a, x = Value(2.0), Value(0.5)
    y = stopped(a, x)
    assert a not in f(ag.stop_gradient(a), x)._prev
    y.backward()
    assert (a.grad, x.grad) == (1.0, pytest.approx(wanted))
    with ag.no_grad():
        doubled = a * 1.0
    x.grad = 0.0
    f(doubled, x).backward()
    assert x.grad == pytest.approx(wanted)
    mixed = ag.grad(ag.grad(f, argnums=1), argnums=0)(2.0, 0.5)  # the density has it
    assert mixed == pytest.approx(
        (ag.grad(f, argnums=1)(2.0 + 1e-6, 0.5) - ag.grad(f, argnums=1)(2.0 - 1e-6, 0.5)) / 2e-6,
        rel=1e-6,
    )


def test_a_shape_that_is_not_chosen_needs_no_partial() -> None:
    def f(a: Any, x: Any, chosen: Any) -> Any:
        return ag.where(chosen, ag.gammainc(a, x), a * x)

    assert ag.compile(f).grad(2.0, 0.5, 0.0, argnums=(0, 1)) == (0.5, 2.0)
    a, x = Value(2.0), Value(0.5)
    f(a, x, 0.0).backward()
    assert (a.grad, x.grad) == (0.5, 2.0)
    for call in (
        lambda: ag.compile(f).grad(2.0, 0.5, 1.0),
        lambda: ag.grad(lambda x: ag.grad(lambda a: x * ag.gammainc(a, 0.5))(2.0))(0.0),
    ):
        with pytest.raises(ag.ArenagradError, match="has no partial by its shape"):
            call()


def test_graphs_and_functions_with_shapes_are_saved_and_copied() -> None:
    x = Value(0.5)
    for y in (ag.gammainc(2.0, x), ag.betainc(2.0, 3.0, x), ag.polygamma(3, x)):
        again = pickle.loads(pickle.dumps((x, y)))
        y.backward()
        again[1].backward()
        assert (again[1].data, again[0].grad) == (y.data, x.grad)
        assert [v.data for v in again[1]._prev] == [0.5]
        x.grad = 0.0
    a = Value(2.0)
    both = pickle.loads(pickle.dumps(ag.gammainc(a, x)))
    with pytest.raises(ag.ArenagradError, match="has no partial by its shape a"):
        both.backward()
    ag.collect()
    f = pickle.loads(pickle.dumps(ag.compile(gamma_of)))
    assert f(2.0, 0.5) == gamma_of(2.0, 0.5)


SAVED = """
import sys
import arenagrad as ag
program = ag.Program.load(sys.argv[1])
assert program(0.5) == ag.betainc(2.0, 3.0, 0.5) * ag.gammainc(2.0, 0.5)
"""
SAVED_WITHOUT_SCIPY = """
import sys
sys.modules["scipy"] = None
import arenagrad as ag
assert ag.polygamma(1, 0.5) > 0
for call in (lambda: ag.betainc(1, 1, 0.5), lambda: ag.gammainc([1.0], 0.5),
             lambda: ag.gammainc(1.0, ag.Value(0.5)), lambda: ag.Program.load(sys.argv[1])):
    try:
        call()
    except ImportError as error:
        assert "inc() is a function of SciPy's" in str(error), error
        assert "pip install 'arenagrad[special]'" in str(error), error
    else:
        raise AssertionError("no error")
"""


def test_files_with_them_are_read_where_scipy_is(tmp_path: Path) -> None:
    f = ag.compile(lambda x: ag.betainc(2.0, 3.0, x) * ag.gammainc(2.0, x))
    f.program(0.5).save(tmp_path / "f.agpf")
    for code in (SAVED, SAVED_WITHOUT_SCIPY):
        command = [sys.executable, "-c", code, str(tmp_path / "f.agpf")]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr


FIRST_IN_A_TRACE = """
import sys, warnings
import arenagrad as ag
warnings.simplefilter("error")
assert "numpy.random" not in sys.modules
assert ag.compile(lambda x: ag.erfinv(x) * ag.gammainc(2.0, x))(0.5) > 0
assert "numpy.random" in sys.modules
"""


FIRST_DRAWN_IN_A_TRACE = """
import warnings
import arenagrad as ag
import numpy as np
warnings.simplefilter("error")
for draw in ("rand", "randint"):
    try:
        ag.compile(lambda x: x * getattr(np.random, draw)(*{"randint": [5]}.get(draw, [])))(0.5)
    except ag.FrozenValueWarning:
        continue
    raise AssertionError("no warning")
"""


@pytest.mark.parametrize("code", [FIRST_IN_A_TRACE, FIRST_DRAWN_IN_A_TRACE])
def test_scipy_imported_by_a_trace_draws_no_random_numbers(code: str) -> None:
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
