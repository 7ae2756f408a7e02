"""Compiled functions as pickles and copies: nothing is traced again, closures come along.

The oracle is the function that was pickled. Calls of the Python function are counted.
"""

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import arenagrad as ag
from arenagrad import Value, compile
from arenagrad.nn import MLP

calls: list[str] = []
weight = Value(3.0)


@compile
def cube(x: Any) -> Any:
    """A decorated function without a closure."""
    calls.append("cube")
    return x * x * x


@compile(strict=True)
def scaled(x: Any) -> Any:
    """A decorated function that uses a Value it was not given."""
    calls.append("scaled")
    return (x * weight).tanh() if x > 0 else x * x


def plain(x: Any, how: str = "a") -> Any:
    """A function to be compiled under another name."""
    calls.append("plain")
    return x["p"][0] * x["q"] if how == "a" else x["q"].exp()


class Model:
    """An object with compiled methods and parameters of its own."""

    def __init__(self) -> None:
        self.w = Value(2.0)
        self.own = compile(self.forward)

    def forward(self, x: Any) -> Any:
        """A method to be compiled bound."""
        calls.append("forward")
        return self.w * x

    @compile
    def decorated(self, x: float) -> Any:
        """A method compiled with self as a static argument."""
        return x * 2.0


def again(thing: Any) -> Any:
    """What comes back from a pickle, by any protocol that can do it."""
    return pickle.loads(pickle.dumps(thing))


def test_what_is_unpickled_runs_without_being_traced() -> None:
    f = compile(plain)
    x = {"p": [0.5, np.array([1.0, 2.0])], "q": 3.0}
    steps: list[Callable[[Any], Any]] = [
        lambda f: f(x),
        lambda f: f(x, "b"),
        lambda f: f.value_and_grad(x)[0],
        lambda f: f.grad(x)["q"],
        lambda f: f.jacobian(x)["q"],
        lambda f: ag.hessian(f)(x)["p"][0]["q"],
        lambda f: ag.grad(f).program(x).text(),
    ]
    expected = [step(f) for step in steps]
    before = len(calls)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        g = pickle.loads(pickle.dumps(f, protocol))
        assert g is not f
        assert [step(g) for step in steps] == expected
    assert len(calls) == before
    g({"q": 1.0}, "b")
    assert len(calls) == before + 1


def test_all_ways_through_comparisons_come_along() -> None:
    points = (2.0, -2.0, 0.5)
    expected = [scaled(x) for x in points]
    before = len(calls)
    g = again(scaled)
    assert [g(x) for x in points] == expected
    assert g.grad(-2.0) == -4.0
    assert len(calls) == before


def test_values_of_a_closure_come_along_as_they_are() -> None:
    assert again(scaled).grad(0.1) == scaled.grad(0.1)
    weight.data = 0.5
    g = again(scaled)
    weight.data = 3.0
    assert g(0.1) == math.tanh(0.05)
    model = Model()
    assert model.own(3.0) == 6.0
    before = len(calls)
    other, own = again((model, model.own))
    assert own is other.own
    assert own(3.0) == 6.0
    other.w.data = 5.0  # the same Value in the model and in the program
    assert (own(3.0), model.own(3.0), own.grad(1.0)) == (15.0, 6.0, 5.0)
    assert len(calls) == before


def test_decorated_functions_come_back_as_themselves() -> None:
    assert again(cube) is cube
    assert again([cube, cube.grad])[1](2.0) == 12.0
    partial = again(ag.grad(cube))
    before = len(calls)
    assert partial(2.0) == 12.0
    assert len(calls) == before
    assert again(compile(cube, strict=True))(2.0) == 8.0


def test_ways_that_came_in_a_pickle_are_kept_beside_those_known() -> None:
    both = compile(two_ways)
    both(1.0)
    one = pickle.dumps(both)
    both(-1.0)
    two = pickle.dumps(both)
    paths = pickle.loads(one)._evaluation.cache
    paths.add(pickle.loads(two)._evaluation.cache.all())
    assert [path.number for path in paths.all()] == [0, 1]
    assert len(pickle.loads(two)._evaluation.cache.all()) == 2


def two_ways(x: Any) -> Any:
    """A function of two ways."""
    return x.exp() if x > 0 else x


def test_methods_come_back_with_their_objects() -> None:
    model = Model()
    assert model.decorated(1.5) == 3.0
    assert again(model).decorated(2.0) == 4.0
    assert again(model.decorated)(2.0) == 4.0
    assert again(model.own.value_and_grad)(2.0) == (4.0, 2.0)


def test_what_is_shared_in_one_pickle_stays_shared() -> None:
    f = compile(plain)
    x = {"p": [1.0], "q": 2.0}
    f(x)
    g, partial, value = again((f, ag.grad(f), f))
    assert value is g
    assert partial(x)["q"] == 1.0
    assert g._evaluation.cache is partial._evaluation.cache


def test_options_come_along_but_for_progress() -> None:
    f = compile(plain, in_axes=(0,), threads=2, strict=True, progress=lambda done, rows: None)
    g = again(f)
    options, kept = vars(f._evaluation.options), vars(g._evaluation.options)
    assert kept == {**options, "progress": None}
    batch = {"p": [np.arange(3.0)], "q": np.ones(3)}
    assert again(compile(plain, in_axes=0))(batch).tolist() == [0.0, 1.0, 2.0]


def test_a_module_among_the_arguments_is_the_one_in_the_same_pickle() -> None:
    model, x = MLP(2, [3, 1]), [0.5, -0.5]

    f = compile(apply)
    expected = f(model, x)
    before = len(calls)
    g, other = again((f, model))
    assert g(other, x) == expected
    assert len(calls) == before
    assert g(model, x) == expected
    assert len(calls) == before + 1


def apply(model: Any, x: Any) -> Any:
    """A function of a Module."""
    calls.append("apply")
    return model(x)


def test_functions_that_pickle_cannot_name_are_refused_by_it() -> None:
    def local(x: Any) -> Any:
        return x

    for function in (local, lambda x: x):
        with pytest.raises((pickle.PicklingError, AttributeError), match="local"):
            pickle.dumps(compile(function))


def test_copies_are_the_function_itself_unless_what_it_is_of_is_copied() -> None:
    f = compile(lambda x: x * weight)
    assert copy.copy(f) is f
    assert copy.deepcopy(f) is f
    assert copy.deepcopy(f.grad)(2.0) == 3.0
    model = Model()
    model.own(1.0)
    before = len(calls)
    other = copy.deepcopy(model)
    other.w.data = 7.0
    assert (other.own(2.0), model.own(2.0)) == (14.0, 4.0)
    assert len(calls) == before


def test_programs_pickle_too() -> None:
    p = again(ag.value_and_grad(scaled).program(0.5))
    assert p(0.5) == scaled.value_and_grad(0.5)


@pytest.mark.parametrize("kind", ["Program", "PyTree", "Closure"])
def test_damaged_parts_in_a_pickle_are_refused(kind: str) -> None:
    from arenagrad._core import compiled

    parts: dict[str, list[Any]] = {
        "Program": [b"", b"AGPR", b"x" * 50],
        "PyTree": [(), (1,), (("list", False, 3, ()),), (("static", False, None, ()),)],
        "Closure": [(1.0,), (None,)],
    }
    cls = getattr(compiled, kind)
    for state in parts[kind]:
        with pytest.raises((ag.FormatError, TypeError, RuntimeError)):
            cls(state)


def test_batches_do_not_pickle_but_give_their_numbers() -> None:
    from arenagrad._core.compiled import Batch

    batch = Batch((np.arange(12.0).reshape(4, 3), 5.0), (1, None), [])
    part = batch.part(1, 3)
    first, varying = part.numbers()
    assert first.tolist() == [1.0, 4.0, 7.0, 10.0, 5.0]
    assert varying.tolist() == [[1.0, 4.0, 7.0, 10.0], [2.0, 5.0, 8.0, 11.0]]
    other = Batch.of_numbers(part.tree, first, varying)
    assert len(other) == 2
    assert other.row(1).tolist() == part.row(1).tolist() == [2.0, 5.0, 8.0, 11.0, 5.0]
    with pytest.raises(ValueError, match="do not fit"):
        Batch.of_numbers(part.tree, first, varying[:, :2])
    with pytest.raises(IndexError, match="no such rows"):
        batch.part(2, 4)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(batch)
