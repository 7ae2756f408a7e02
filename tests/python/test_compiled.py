"""compile: values, gradients, buffers, closures, and what is refused.

The oracle is the eager function: the same Python function on Values, swept by backward().
"""

import copy
import math
import pickle
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import arenagrad as ag
from arenagrad import FrozenValueWarning, Value, compile
from arenagrad.nn import MLP
from compiled_oracle import eager, expressions, same_bits
from settled import settled_nodes


def rosenbrock(x: Any) -> Any:
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2


# Values and gradients


@settings(max_examples=150, deadline=None)
@given(expressions())
def test_strict_programs_agree_with_the_eager_function_in_every_bit(
    case: tuple[Callable[..., Any], list[float]],
) -> None:
    function, numbers = case
    try:
        value, gradients = eager(function, numbers)
    except (ValueError, OverflowError, ZeroDivisionError) as error:
        with pytest.raises(type(error)):
            compile(function, strict=True)(numbers)
        return
    compiled = compile(function, strict=True)
    assert same_bits(compiled(numbers), value)
    got, gradient = compiled.value_and_grad(numbers)
    assert same_bits(got, value)
    assert same_bits(gradient, gradients)


@settings(max_examples=100, deadline=None)
@given(expressions())
def test_programs_that_may_reorder_agree_with_the_eager_function_closely(
    case: tuple[Callable[..., Any], list[float]],
) -> None:
    function, numbers = case
    try:
        value, gradients = eager(function, numbers)
    except (ValueError, OverflowError, ZeroDivisionError):
        return
    if not all(abs(number) <= 1e6 for number in (value, *gradients)):
        return  # nan too: only the eager sweep multiplies a partial that is always 0 by infinity
    got, gradient = compile(function).value_and_grad(np.array(numbers))
    scale = 1.0 + abs(value) + max(map(abs, gradients), default=0.0)
    assert got == pytest.approx(value, rel=1e-9, abs=1e-9 * scale)
    assert gradient == pytest.approx(gradients, rel=1e-7, abs=1e-7 * scale)


def test_a_compiled_function_gives_floats_and_runs_the_function_once() -> None:
    calls = 0

    @compile
    def f(x: Any, y: Any) -> Any:
        nonlocal calls
        calls += 1
        return x * y + x.tanh()

    for k in range(5):
        got = f(float(k), 2.0)
        assert type(got) is float
        assert got == k * 2.0 + math.tanh(k)
    assert calls == 1
    assert f.value_and_grad(0.0, 3.0) == (0.0, 4.0)
    assert f.grad(0.0, 3.0, argnums=(0, 1)) == (4.0, 0.0)
    assert f.grad(0.0, 3.0, argnums=-1) == 0.0
    assert calls == 1
    assert f.__name__ == "f"


def test_the_decorator_takes_options_or_none() -> None:
    @compile(strict=True)
    def f(x: Any) -> Any:
        return x * 3.0

    assert f(2.0) == 6.0
    assert compile(compile(lambda x: x * 2.0), strict=True)(1.5) == 3.0


def test_buffers_are_written_and_given_back() -> None:
    x, out = np.array([0.5, 0.25]), np.full(2, math.nan)
    f = compile(rosenbrock)
    for _ in range(3):  # the first call is not the native one
        value, gradient = f.value_and_grad(x, out=out)
        assert gradient is out
        assert (value, *out) == pytest.approx((0.25, -1.0, 0.0), abs=1e-12)
        out[:] = math.nan
        assert f.grad(x, out=out) is out
        assert out == pytest.approx([-1.0, 0.0], abs=1e-12)
    halves = compile(lambda x: [x[0] / 2.0, x[1] / 2.0])
    for _ in range(2):
        assert halves(x, out=out) is out
        assert out.tolist() == [0.25, 0.125]
    two = (np.empty(2), np.empty(()))
    g = compile(lambda x, y: x[0] * y + x[1])
    for _ in range(2):
        assert g.grad(x, 3.0, argnums=(0, 1), out=two) is two
        assert (two[0].tolist(), two[1].item()) == ([3.0, 1.0], 0.5)


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        (np.empty(3), ValueError, r"must have the shape \(2,\), got \(3,\)"),
        (np.empty(2, np.float32), TypeError, "float64"),
        (np.empty(4)[::2], TypeError, "contiguous"),
        ([0.0, 0.0], TypeError, "out must have an array"),
        (1.0, TypeError, "out must have an array"),
    ],
)
def test_a_buffer_that_does_not_fit_is_refused_and_stays(
    out: Any, error: type[Exception], message: str
) -> None:
    f, x = compile(rosenbrock), np.zeros(2)
    before = copy.deepcopy(out)
    for _ in range(2):
        with pytest.raises(error, match=message):
            f.grad(x, out=out)
        f.grad(x)
    assert np.array_equal(before, out, equal_nan=True)
    locked = np.empty(2)
    locked.flags.writeable = False
    with pytest.raises(TypeError, match="writable"):
        f.grad(x, out=locked)


def test_scipy_minimizes_with_value_and_grad_as_it_is() -> None:
    optimize = pytest.importorskip("scipy.optimize", reason="SciPy is not installed")
    f = compile(rosenbrock)
    found = optimize.minimize(f.value_and_grad, np.array([-1.2, 1.0]), jac=True)
    assert found.x == pytest.approx([1.0, 1.0], abs=1e-4)


def test_errors_of_the_mathematics_are_those_of_the_function() -> None:
    f = compile(lambda x: x.log() + 1.0)
    assert f(1.0) == 1.0
    for _ in range(2):
        with pytest.raises(ag.DomainError):
            f(-1.0)
        with pytest.raises(ag.DomainError):
            f.grad(-1.0)
    assert f(math.inf) == math.inf
    assert f(2.0) == math.log(2.0) + 1.0
    with pytest.raises(ag.RangeError):
        compile(lambda x: x.exp())(1000.0)
    with pytest.raises(ZeroDivisionError):
        compile(lambda x: 1.0 / x)(0.0)


def test_exceptions_of_the_function_come_through_and_end_the_trace() -> None:
    def fails(x: Any) -> Any:
        raise KeyError("no")

    with pytest.raises(KeyError, match="no"):
        compile(fails)(1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Value(2.0).data == 2.0


# What the function uses and was not given


def test_values_of_a_closure_are_read_anew_at_each_call() -> None:
    p = Value(3.0)
    q = p * 2.0
    f = compile(lambda x: x * p + q)
    assert (f(2.0), f.grad(2.0)) == (12.0, 3.0)
    p.data -= 1.0
    assert (f(2.0), f.grad(2.0)) == (10.0, 2.0)  # q is a number of its own, as it is eagerly
    q.data = 0.0
    assert f(2.0) == 4.0
    assert compile(lambda: p * 2.0)() == 4.0


def test_the_parameters_of_a_module_are_read_anew_and_differentiated() -> None:
    model, x = MLP(2, [3, 1]), [0.5, -0.25]
    f = compile(lambda model, x: model(x) ** 2, strict=True)
    for _ in range(3):
        value, gradient = f.value_and_grad(model, x)
        model.zero_grad()
        loss = model(x) ** 2
        loss.backward()
        assert value == loss.data
        assert gradient == [p.grad for p in model.parameters()]
        for p, partial in zip(model.parameters(), gradient, strict=True):
            p.data -= 0.1 * partial
    out = np.empty(len(model.parameters()))
    assert f.grad(model, x, out=out) is out
    assert compile(lambda x: model(x) ** 2, strict=True)(x) == f(model, x)


def test_tracing_leaves_no_nodes_behind() -> None:
    f = compile(lambda x: (x * x).exp() if x > 0 else x)
    f(1.0)
    before = settled_nodes()
    f(-1.0)
    f.grad(2.0)
    assert ag.arena_info()["nodes"] == before


def test_no_grad_around_a_call_does_not_reach_into_the_function() -> None:
    with ag.no_grad():
        f = compile(lambda x: x * x)
        assert (f(3.0), f(4.0), f.grad(5.0)) == (9.0, 16.0, 10.0)
        assert not (Value(1.0) * 2.0)._prev


def test_values_call_the_function_itself() -> None:
    f = compile(lambda x, y: x * y[0])
    x = Value(2.0)
    product = f(x, [3.0])
    assert isinstance(product, Value)
    assert x in product._prev
    outer = compile(lambda x: f(x, [x]) + 1.0)
    assert (outer(3.0), outer.grad(3.0)) == (10.0, 6.0)
    (partial,) = f.grad(x, [3.0], argnums=(1,))[0]
    assert isinstance(partial, Value)
    assert partial.data == 2.0
    with pytest.raises(TypeError, match="out takes numbers"):
        f.grad(x, [3.0], out=np.zeros(()))


# Numbers that would be frozen


@pytest.mark.parametrize(
    "read",
    [
        lambda v: v.data,
        lambda v: v.grad,
        float,
        lambda v: round(v, 1),
        lambda v: f"{v:.2f}",
        *(str, repr, format, lambda v: f"{v}", "{}".format, "<%s>".__mod__, lambda v: [str([v])]),
        lambda v: ag.data_of([v]),
        lambda v: ag.grad_of([v]),
        copy.copy,
        copy.deepcopy,
        pickle.dumps,
        math.exp,
    ],
)
def test_reading_a_number_while_compiling_warns_with_the_line(read: Callable[..., Any]) -> None:
    def f(x: Any) -> Any:
        read(x)
        return x * 2.0

    with pytest.warns(FrozenValueWarning) as caught:
        assert compile(f)(1.5) == 3.0
    assert {w.filename for w in caught} <= {__file__, copy.__file__}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FrozenValueWarning):
            compile(f)(1.5)
    assert issubclass(FrozenValueWarning, UserWarning)


def test_what_is_detached_or_made_in_no_grad_follows_the_numbers_without_derivatives() -> None:
    def in_block(x: Any) -> Any:
        with ag.no_grad():
            stopped = x * 2.0
            both = ag.softmax([x, stopped])
        return stopped * x + both[0] - both[0]

    for f in (in_block, lambda x: (x * 2.0).detach() * x):
        g = compile(f)
        assert [g(3.0), g(4.0)] == pytest.approx([18.0, 32.0])
        assert [g.grad(3.0), g.grad(4.0)] == pytest.approx([6.0, 8.0])
        rows = compile(f, in_axes=0)
        assert rows.grad(np.array([3.0, 4.0])) == pytest.approx([6.0, 8.0])

    def decides(x: Any) -> Any:
        with ag.no_grad():
            y = x - 1.0
        return x * x if y > 0.0 else x

    assert [compile(decides)(x) for x in (3.0, 0.5)] == [9.0, 0.5]

    def harmless(x: Any) -> Any:
        with ag.no_grad():
            constant = Value(2.0) * 3.0
        return constant * x

    assert compile(harmless)(1.0) == 6.0


def test_numbers_of_the_functions_own_may_be_read_and_texts_made() -> None:
    def f(x: Any) -> Any:
        own = Value(2.0) * 3.0
        assert f"{own}" == "Value(data=6.0, grad=0.0)"
        return x * own.data

    assert compile(f)(2.0) == 12.0


def test_writing_data_while_compiling_is_refused() -> None:
    p = Value(1.0)

    def on_input(x: Any) -> Any:
        x.data = 2.0

    def on_closure(x: Any) -> Any:
        ag.assign([p], [x * 0.0 and 1.0])

    with pytest.raises(TypeError, match="data cannot be assigned"):
        compile(on_input)(1.0)
    with pytest.raises(TypeError, match="data cannot be assigned"):
        compile(lambda x: ag.assign([p], [5.0]))(1.0)
    assert p.data == 1.0


def test_nodes_with_rules_of_their_own_cannot_be_compiled() -> None:
    def with_a_callback(x: Any) -> Any:
        y = x * 2.0
        y._backward = lambda: None
        return y

    for f in (lambda x: ag.custom(1.0, [x], [2.0]) * 2.0, with_a_callback):
        with pytest.raises(ag.ArenagradError, match=r"cannot be compiled.*custom_vjp"):
            compile(f)(1.0)


# Threads and pickles


def test_threads_may_call_one_function_at_once() -> None:
    f = compile(lambda x: (x[0] * x[1]).exp() if x[0] > x[1] else x[0] - x[1])
    barrier = threading.Barrier(4)

    def work(seed: int) -> bool:
        barrier.wait()
        points = np.random.default_rng(seed).normal(size=(200, 2))
        return all(
            f(p) == pytest.approx(math.exp(p[0] * p[1]) if p[0] > p[1] else p[0] - p[1])
            for p in points
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


@compile
def decorated(x: Any) -> Any:
    return x * x * x


def test_compiled_functions_are_pickled_by_name() -> None:
    assert pickle.loads(pickle.dumps(decorated)) is decorated
    partial = pickle.loads(pickle.dumps(ag.grad(decorated)))
    assert partial(2.0) == 12.0
    again = pickle.loads(pickle.dumps(compile(rosenbrock, strict=True)))
    assert again(np.array([1.0, 1.0])) == 0.0
    assert copy.copy(decorated) is decorated
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(compile(lambda x: x))


def test_the_program_tells_what_it_is() -> None:
    program = compile(lambda x, y: x * y + x.exp()).program(1.0, 2.0)
    stats = program.stats
    assert (stats["inputs"], stats["outputs"], stats["guards"], stats["closure"]) == (2, 1, 0, 0)
    assert stats["counts"]["Exp"] == 1
    assert stats["instructions"] == len(program.text().splitlines()) - 1
    assert repr(program) == f"<Program of {stats['instructions']} instructions>"


# What is refused


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: compile(3), TypeError, "wants a function, got int"),
        (lambda: compile(rosenbrock, reduce="max"), ValueError, "reduce must be"),
        (lambda: compile(rosenbrock, reduce="sum"), ValueError, "reduce needs in_axes"),
        (lambda: compile(rosenbrock, threads=0), ValueError, "threads must be at least 1"),
        (lambda: compile(rosenbrock, progress=1), TypeError, "progress must be callable"),
        (lambda: compile(lambda x: [x, x]).grad(1.0), TypeError, "one number"),
        (lambda: compile(lambda x: x).grad(1.0, argnums=1), IndexError, "argument 1 of 1"),
        (lambda: compile(lambda x: x).grad(1.0, argnums=0.5), TypeError, "must be an int"),
        (lambda: compile(lambda x: x).grad(1.0, argnums=(0, 0)), ValueError, "twice"),
        (lambda: compile(lambda x: x)({1}), TypeError, "function, got set"),
        (lambda: compile(lambda x: x, static_argnums=0)({1}), TypeError, "hashable, got set"),
        (lambda: compile(lambda x: x)(iter([1.0])), TypeError, "iterator"),
        (lambda: compile(lambda x: x)(np.array([True])), TypeError, "dtype bool"),
        (lambda: compile(lambda x: x)(np.array([1j])), TypeError, "dtype complex128"),
        (lambda: compile(lambda x: (y for y in [x]))(1.0), TypeError, "must return Values"),
        (lambda: compile(lambda x: x).jvp(1.0, 1.0), TypeError, "args must be a tuple"),
        (lambda: compile(lambda x: x)(1.0, spam=2), TypeError, "spam"),
        (lambda: compile(lambda x: x)(), TypeError, "missing 1 required"),
    ],
)
def test_wrong_uses_are_refused(
    call: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call()
