"""What a compiled function keeps: so many structures, once for Modules of one layout.

What was made is counted, and what was dropped is seen by weak references.
"""

import gc
import pickle
import weakref
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
import pytest

import arenagrad as ag
from arenagrad import compile
from arenagrad._compile import executables, executor_map, trace_cache
from arenagrad.nn import MLP, Module

calls: list[int] = []
MOST = trace_cache.MOST_STRUCTURES
ROWS, WANTED = np.linspace(-1.0, 1.0, 12).reshape(6, 2), np.ones(6)


@compile(in_axes=(None, 0, 0), reduce="mean")
def loss(model: Any, x: Any, y: Any) -> Any:
    """The loss of a Module, with two ways."""
    calls.append(1)
    return (model(x) - y) ** 2 if x[0] > 0 else model(x) ** 2


def gradient(model: Any) -> Any:
    return loss.grad(model, ROWS, WANTED)


def test_structures_used_longest_ago_are_forgotten() -> None:
    traced = []

    @compile(static_argnums=1)
    def power(x: Any, n: int) -> Any:
        traced.append(n)
        return x**n

    def new(*ns: int) -> list[int]:
        """Which of these are traced anew."""
        del traced[:]
        for n in ns:
            power._forget()
            assert power(1.0, n) == 1.0
        return traced

    assert len(new(*range(MOST))) == MOST
    assert new(0, MOST) == [MOST]
    assert power._evaluation.cache.count() == MOST
    assert new(0, MOST, MOST - 1, 2) == []
    assert new(1) == [1]
    assert power._evaluation.cache.count() == MOST


def test_modules_of_forgotten_structures_are_free() -> None:
    f = compile(lambda model, x: model(x), in_axes=(None, 0))
    met = []
    for _ in range(MOST + 20):
        model = MLP(2, [1])
        met.append(weakref.ref(model))
        f(model, ROWS)
    del model
    gc.collect()
    assert [ref() is None for ref in met] == [True] * 20 + [False] * MOST


def test_dropped_modules_may_call_the_function_as_they_go() -> None:
    class Last(MLP):
        def __del__(self) -> None:
            went.append(f("last", 2.0))

    went: list[float] = []
    f = compile(lambda model, x: x * 2.0)
    f(Last(1, [1]), 1.0)
    f._forget()
    for n in range(MOST):
        f(str(n), 1.0)
    gc.collect()
    assert went == [4.0]


def test_modules_of_one_layout_share_what_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    make = executables.BatchExecutable

    def counted(*args: Any) -> Any:
        made.append(args)
        return make(*args)

    models = [MLP(2, [3, 1]) for _ in range(3)]
    expected = [gradient(model) for model in models]
    assert len({tuple(s) for s in expected}) == 3
    loss._evaluation.cache._known.clear()
    monkeypatch.setattr(executables, "BatchExecutable", counted)
    gradient(models[0])
    first = len(made)
    assert first > 0
    for model, wanted in zip(models, expected, strict=True):
        assert gradient(model) == wanted
    assert len(made) == first
    held, known = pickle.loads(pickle.dumps((loss, models[1]))), len(calls)
    assert held[0] is loss
    assert gradient(held[1]) == expected[1]
    assert (len(made), len(calls)) == (first, known)
    gradient(MLP(2, [4, 1]))  # has another layout
    assert len(made) == 2 * first


class Pickling(Executor):
    """One that works here, on what comes back from a pickle."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """What has been done already."""
        future: Future[Any] = Future()
        future.set_result(pickle.loads(pickle.dumps(fn))())
        return future


def arrived(call: Callable[[], object]) -> int:
    """How many shipments came that had not come before."""
    before = set(executor_map._RECEIVED)
    call()
    return len(set(executor_map._RECEIVED) - before)


@compile(in_axes=(None, 0))
def logarithm(weight: Any, x: Any) -> Any:
    """A function that refuses some numbers."""
    return ag.log((weight.w if isinstance(weight, Scale) else weight) * x)


class Scale(Module):
    """A Module of one parameter."""

    def __init__(self) -> None:
        self.w = ag.Value(1.0)

    def parameters(self) -> list[ag.Value]:
        return [self.w]


def test_workers_are_sent_what_they_have_not_yet() -> None:
    rows = np.array([1.0, 2.0])
    shipments = [
        arrived(lambda w=w: logarithm.map(w, rows, executor=Pickling()))  # type: ignore[misc]
        for w in (1.0, 2.0)
    ]
    assert shipments == [1, 0]
    with pytest.raises(ag.DomainError):
        logarithm.map(-1.0, rows, executor=Pickling())


def test_modules_are_sent_as_they_are_now() -> None:
    f, model = ag.grad(loss), MLP(2, [3, 1])
    for factor in (1.0, 0.5):
        for value in model.parameters():
            value.data *= factor
        mapped = f.map(model, ROWS, WANTED, executor=Pickling(), chunksize=2)
        assert mapped == pytest.approx(gradient(model))
    scale, rows = Scale(), np.array([1.0, 2.0])
    logarithm.map(scale, rows, executor=Pickling())
    scale.w.data = -1.0
    with pytest.raises(ag.DomainError):
        logarithm.map(scale, rows, executor=Pickling())


weight = ag.Value(2.0)


@compile(in_axes=0)
def weighted(x: Any) -> Any:
    """A function with a closure."""
    return x * weight


def test_closures_are_sent_as_they_are_now() -> None:
    rows = np.arange(4.0)
    for data in (2.0, 3.0):
        weight.data = data
        assert weighted.map(rows, executor=Pickling()).tolist() == (rows * data).tolist()
