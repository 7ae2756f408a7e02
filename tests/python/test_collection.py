"""Cycles through native objects: compiled functions, structures and closures are collected."""

import gc
import sys
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import arenagrad
from arenagrad import Value, _core, nn
from arenagrad._core import compiled


class Model(nn.Module):
    """A model with one parameter, which may be referred to weakly."""

    def __init__(self) -> None:
        """Make the parameter."""
        self.w = Value(2.0)

    def parameters(self) -> list[Value]:
        """The one parameter."""
        return [self.w]


def closes_over_itself(model: Any) -> None:
    model.loss = arenagrad.compile(lambda x: (model.w * x - 1.0) ** 2)
    assert model.loss(1.0) == 1.0


def takes_itself(model: Any) -> None:
    model.loss = arenagrad.compile(lambda m, x: (m.w * x - 1.0) ** 2)
    assert model.loss(model, 1.0) == 1.0
    assert model.loss(model, 2.0) == 9.0


def takes_itself_and_closes_over_itself(model: Any) -> None:
    model.loss = arenagrad.compile(lambda m, x: (m.w * model.w * x - 1.0) ** 2)
    assert model.loss(model, 1.0) == 9.0


def differentiates_by_itself(model: Any) -> None:
    model.loss = arenagrad.value_and_grad(lambda m, x: (m.w * x - 1.0) ** 2)
    for _ in range(3):
        assert model.loss(model, 1.0) == (1.0, [2.0])


def runs_on_batches_of_itself(model: Any) -> None:
    model.loss = arenagrad.compile(lambda m, x: m.w * x, in_axes=(None, 0))
    assert model.loss(model, np.arange(3.0)).tolist() == [0.0, 2.0, 4.0]


def is_its_own_static_argument(model: Any) -> None:
    class Holder:
        """Hashed by identity."""

    holder: Any = Holder()
    model.holder, holder.model = holder, model
    holder.run = arenagrad.compile(lambda h, x: x * 2.0, static_argnums=0)
    assert holder.run(holder, 1.0) == 2.0


def closes_over_a_value_that_knows_it(model: Any) -> None:
    model.w.model = model
    closes_over_itself(model)


@pytest.mark.parametrize(
    "entangle",
    [
        closes_over_itself,
        takes_itself,
        takes_itself_and_closes_over_itself,
        differentiates_by_itself,
        runs_on_batches_of_itself,
        is_its_own_static_argument,
        closes_over_a_value_that_knows_it,
    ],
)
def test_a_model_that_holds_its_own_compiled_function_is_collected(
    entangle: Callable[[Any], None],
) -> None:
    model = Model()
    entangle(model)
    gone = weakref.ref(model)
    gc.collect()
    assert gone() is model, "it is still in use"
    del model
    gc.collect()
    arenagrad.collect()
    gc.collect()
    assert gone() is None


def test_a_method_compiled_in_the_class_does_not_keep_its_models() -> None:
    class Trained(Model):
        """With a compiled method."""

        @arenagrad.compile
        def loss(self, x: Any) -> Any:
            """Run the one parameter."""
            return self.w * x

    model = Trained()
    assert model.loss(3.0) == 6.0
    model.bound = model.loss  # type: ignore[attr-defined]
    kept = weakref.ref(model)
    del model
    del Trained
    gc.collect()
    arenagrad.collect()
    gc.collect()
    assert kept() is None


def test_compiled_functions_in_use_survive_collections_between_their_calls() -> None:
    model = Model()
    loss = arenagrad.compile(lambda m, x: (m.w * x - 1.0) ** 2)
    for step in range(20):
        assert loss(model, 1.0) == 1.0
        assert loss.value_and_grad(model, float(step))[0] == (2.0 * step - 1.0) ** 2
        gc.collect()


def references_from(holder: object, target: object) -> int:
    """How often the collector sees the one refer to the other."""
    return sum(found is target for found in gc.get_referents(holder))


def test_the_collector_sees_each_reference_exactly_once() -> None:
    model, static = Model(), object()
    before = sys.getrefcount(model), sys.getrefcount(static)
    read = compiled.read_arguments((model, static, static, 1.0), [False, True, True])
    assert read is not None
    tree, numbers = read
    assert references_from(tree, model) == 1 == sys.getrefcount(model) - before[0]
    assert references_from(tree, static) == 2 == sys.getrefcount(static) - before[1]

    program, results, closure = compiled.capture(
        lambda m, s, t, x: (m.w * x, "text"), tree, numbers, True
    )
    between = sys.getrefcount(closure)
    executable = compiled.PointExecutable(tree, closure, program, results, -1, True)
    assert references_from(executable, closure) == 1 == sys.getrefcount(closure) - between
    assert references_from(executable, model) == 1 == sys.getrefcount(model) - before[0] - 1
    assert references_from(executable, static) == 2 == sys.getrefcount(static) - before[1] - 2

    dispatch = compiled.NativeDispatch(print)
    between = sys.getrefcount(executable)
    for argnums in (None, 0, (0, 1)):
        dispatch._remember(argnums, executable)
    dispatch._remember(None, executable)
    assert references_from(dispatch, executable) == 3 == sys.getrefcount(executable) - between
    dispatch._forget()
    assert sys.getrefcount(executable) == between

    batch = compiled.Batch((model, np.zeros((2, 3))), (None, 0), [])
    assert references_from(batch, model) == 1 == sys.getrefcount(model) - before[0] - 2
    del batch, dispatch, executable, tree, read
    assert (sys.getrefcount(model), sys.getrefcount(static)) == before


NATIVE = [
    kind
    for module in (_core, _core.functions, _core.optim, compiled)
    for kind in vars(module).values()
    if isinstance(kind, type) and not issubclass(kind, (Value, BaseException, Warning))
]


@pytest.mark.parametrize("kind", NATIVE, ids=lambda kind: str(kind.__name__))
def test_no_native_object_is_made_without_its_init(kind: type) -> None:
    if kind is compiled.NativeDispatch:
        return
    for new in (kind.__new__, object.__new__):
        with pytest.raises(TypeError, match="is not safe"):
            new(kind)
    with pytest.raises(TypeError, match="not an acceptable base type"):
        type("Sub", (kind,), {"__init__": lambda self: repr(self)})


def test_a_dispatch_without_its_init_does_no_harm() -> None:
    unmade = compiled.NativeDispatch.__new__(compiled.NativeDispatch)
    gc.collect()
    with pytest.raises(TypeError, match="remembers PointExecutables only"):
        unmade._remember(None, None)
    with pytest.raises(TypeError, match="called before it was made"):
        unmade(1.0)
