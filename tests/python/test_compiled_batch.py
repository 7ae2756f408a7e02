"""Compiled functions on batches: axes, sums, paths, threads, interruption.

The oracle is the same function called on each row by itself.
"""

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import arenagrad as ag
from arenagrad import compile, grad
from arenagrad.nn import MLP

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(37, 2))
T = RANDOM.normal(size=37)


def loss(model: Any, x: Any, t: Any) -> Any:
    return (model(x) - t) ** 2


def bend(w: Any, x: Any) -> Any:
    """Three ways."""
    y = w[0] * x[0] + w[1] * x[1]
    if y > 0.5:
        return y * w[0]
    return -y if y < -0.5 else y * x[1]


W = np.array([0.7, -1.3])


# Rows by themselves


def test_each_row_gives_what_it_gives_alone() -> None:
    one = compile(bend, strict=True)
    f = compile(bend, in_axes=(None, 0), strict=True)
    want = [one.value_and_grad(W, x, argnums=(0, 1)) for x in X]
    for _ in range(2):
        assert f(W, X).tolist() == [value for value, _ in want]
        values, (by_w, by_x) = f.value_and_grad(W, X, argnums=(0, 1))
        assert values.tolist() == [value for value, _ in want]
        assert by_w.tolist() == [list(g[0]) for _, g in want]
        assert by_x.tolist() == [list(g[1]) for _, g in want]


def test_the_axis_of_the_rows_may_be_any_and_nested() -> None:
    f = lambda p, y: p["a"] * p["b"][0] + p["b"][1] * y  # noqa: E731
    a, b, y = X[:, 0], X.T, T
    want = a * b[0] + b[1] * y
    batched = compile(f, in_axes=({"a": 0, "b": 1}, 0))
    assert batched({"a": a, "b": b}, y) == pytest.approx(want)
    assert compile(f, in_axes=({"a": 0, "b": -1}, 0))({"a": a, "b": b}, y) == pytest.approx(want)
    lists = compile(lambda x: x[0] - x[1], in_axes=0)
    assert lists(X.tolist()) == pytest.approx(X[:, 0] - X[:, 1])
    assert lists([X[:, 0], X[:, 1]]) == pytest.approx(X[:, 0] - X[:, 1])
    assert lists(X[::-2, ::-1]) == pytest.approx(X[::-2, 1] - X[::-2, 0])
    assert lists(X.astype(np.float32)) == pytest.approx(X[:, 0] - X[:, 1], rel=1e-4, abs=1e-6)


def test_results_of_any_structure_are_stacked() -> None:
    f = compile(lambda x: {"y": [x * 2.0, 3.0], "z": np.array([x, x * x])}, in_axes=0)
    got = f(T)
    assert got["y"][0] == pytest.approx(T * 2.0)
    assert got["y"][1].tolist() == [3.0] * len(T)
    assert got["z"] == pytest.approx(np.stack([T, T * T], 1))
    assert compile(lambda x, y: y * 2.0, in_axes=(0, None))(T, 1.5).tolist() == [3.0] * len(T)


def test_other_derivatives_are_stacked_too() -> None:
    f = lambda x: (x[0] * x[1]).exp() + x[1] ** 3  # noqa: E731
    one, rows = compile(f), compile(f, in_axes=0)
    assert rows.jacobian(X) == pytest.approx(np.array([one.jacobian(x) for x in X]))
    assert rows.hessian(X) == pytest.approx(np.array([one.hessian(x) for x in X]))
    assert rows.hvp((X,), X) == pytest.approx(np.array([one.hvp((x,), x) for x in X]))
    assert rows.jvp((X,), (X,))[1] == pytest.approx(np.array([one.jvp((x,), (x,))[1] for x in X]))
    got = rows.vjp((X,), T)[1][0]
    assert got == pytest.approx(
        np.array([one.vjp((x,), t)[1][0] for x, t in zip(X, T, strict=True)])
    )
    assert grad(rows)(X) == pytest.approx(rows.grad(X))


# Sums


@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_gradients_of_what_all_rows_share_are_summed(reduce: Any) -> None:
    model = MLP(2, [5, 1])
    f = compile(loss, in_axes=(None, 0, 0), reduce=reduce)
    value, gradient = f.value_and_grad(model, X, T)
    total = ag.sum([loss(model, list(x), t) for x, t in zip(X, T, strict=True)])
    if reduce == "mean":
        total = total / len(X)
    model.zero_grad()
    total.backward()
    assert type(value) is float
    assert value == pytest.approx(total.data, rel=1e-12)
    assert gradient == pytest.approx([p.grad for p in model.parameters()], rel=1e-9, abs=1e-12)
    assert f(model, X, T) == pytest.approx(total.data, rel=1e-12)
    out = np.empty(len(gradient))
    assert f.value_and_grad(model, X, T, out=out)[1] is out
    assert out.tolist() == gradient


@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_sums_over_rows_that_take_different_ways(reduce: Any) -> None:
    one = compile(bend)
    f = compile(bend, in_axes=(None, 0), reduce=reduce)
    by = len(X) if reduce == "mean" else 1
    want = [one.value_and_grad(W, x, argnums=(0, 1)) for x in X]
    for _ in range(2):
        value, (by_w, by_x) = f.value_and_grad(W, X, argnums=(0, 1))
        assert value == pytest.approx(sum(v for v, _ in want) / by)
        assert by_w == pytest.approx(sum(g[0] for _, g in want) / by)
        assert by_x == pytest.approx(np.array([g[1] for _, g in want]) / by)
    assert len({f(W, X), f(W, X)}) == 1


def test_second_derivatives_of_a_sum() -> None:
    f = lambda w, x: (w[0] * x + w[1] * w[0]).tanh()  # noqa: E731
    summed = compile(f, in_axes=(None, 0), reduce="sum")
    one = compile(f)
    want = sum(one.hessian(W, t) for t in T)
    assert summed.hessian(W, T) == pytest.approx(want)
    assert summed.hvp((W, T), W) == pytest.approx(want @ W)
    mean = compile(f, in_axes=(None, 0), reduce="mean")
    assert mean.hessian(W, T) == pytest.approx(want / len(T))
    with pytest.raises(ValueError, match="differs from row to row"):
        summed.hessian(W, T, argnums=1)


def test_what_does_not_vary_is_summed_once_a_row() -> None:
    f = compile(lambda w, x: w * w, in_axes=(None, 0), reduce="sum")
    assert f.value_and_grad(3.0, T) == (9.0 * len(T), 6.0 * len(T))
    assert compile(lambda x: 2.0, in_axes=0, reduce="sum")(T) == 2.0 * len(T)


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    model = MLP(2, [5, 1])
    x, t = RANDOM.normal(size=(5000, 2)), RANDOM.normal(size=5000)
    got = [
        compile(loss, in_axes=(None, 0, 0), reduce="sum", threads=k).value_and_grad(model, x, t)
        for k in (1, 2, 3)
    ]
    assert got[0] == got[1] == got[2]


def test_one_row_is_a_batch_too() -> None:
    f = compile(bend, in_axes=(None, 0), reduce="sum")
    assert f(W, X[:1]) == pytest.approx(compile(bend)(W, X[0]))


# Errors and interruption


def test_a_row_outside_of_the_domain_raises_what_the_function_raises() -> None:
    f = compile(lambda x: x.log(), in_axes=0)
    rows = np.array([1.0, 2.0, -1.0, 3.0])
    for _ in range(2):
        with pytest.raises(ag.DomainError):
            f(rows)
        with pytest.raises(ag.DomainError):
            f.grad(rows)
        assert f(np.array([1.0, np.inf])).tolist() == [0.0, np.inf]
    ways = compile(lambda x: x.log() if x < 2 else x.sqrt(), in_axes=0)
    assert ways(np.array([1.0, np.inf, 4.0])).tolist() == [0.0, np.inf, 2.0]
    with pytest.raises(ag.DomainError):
        ways(np.array([3.0, 1.0, -1.0]))


@pytest.mark.parametrize(
    ("axes", "args", "error", "message"),
    [
        ((0, 0), (X, T[:3]), ValueError, "equally many rows, got 37 and 3"),
        ((None, None), (W, 1.0), ValueError, "gives none of these arguments an axis"),
        ((0, 2), (X, T), ValueError, "axis 2 of 1 dimensions"),
        ((0, 0), (X, 1.0), ValueError, "an axis of rows of float"),
        ((0,), (X, T), ValueError, "an entry for each argument, got 1 for 2"),
        (("x", 0), (X, T), TypeError, "in_axes must be ints, None"),
        (((0, 0), 0), (X, T), TypeError, "in_axes must be ints, None"),
        ((0, 0), (np.empty((0, 2)), T[:0]), ValueError, "at least one row"),
        ((0, 0), (X, T.astype(complex)), TypeError, "dtype complex128"),
        ((0, 0), (MLP(2, [1]), T), ValueError, "an axis of rows of MLP"),
    ],
)
def test_wrong_axes_are_refused(axes: Any, args: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        compile(lambda x, y: y, in_axes=axes)(*args)


def test_rows_must_give_results_of_one_structure() -> None:
    f = compile(lambda x: [x] if x > 0 else x, in_axes=0)
    with pytest.raises(TypeError, match="results of one structure"):
        f(np.array([1.0, -1.0]))


def long_function(x: Any) -> Any:
    for _ in range(300):
        x = x.sin() + 0.5
    return x


def rows_for(seconds: float, f: Callable[..., Any]) -> Any:
    """So many rows that they take about so long."""
    count, taken = 1000, 0.0
    while taken < seconds / 4:
        rows = np.linspace(0.0, 1.0, count)
        start = time.perf_counter()
        f(rows)
        taken = time.perf_counter() - start
        count *= 2
    return np.linspace(0.0, 1.0, int(count * seconds / taken / 2))


@pytest.mark.slow
def test_a_long_run_is_interrupted_by_ctrl_c_and_tells_how_far_it_is() -> None:
    told: list[tuple[int, int]] = []
    timer = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])

    def progress(done: int, rows: int) -> None:
        if not told:
            timer.start()  # not before the run is under way
        told.append((done, rows))

    f = compile(long_function, in_axes=0, progress=progress)
    rows = rows_for(4.0, compile(long_function, in_axes=0))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # may have been ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            f(rows)
        timer.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert told
    assert all(0 <= done <= count == len(rows) for done, count in told)


def test_an_error_of_the_progress_callback_ends_the_run() -> None:
    def progress(done: int, rows: int) -> None:
        raise LookupError("enough")

    rows = rows_for(1.0, compile(long_function, in_axes=0))
    with pytest.raises(LookupError, match="enough"):
        compile(long_function, in_axes=0, progress=progress)(rows)
