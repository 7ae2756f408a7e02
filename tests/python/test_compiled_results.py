"""What the results of compiled functions may be made of, and where they may be written."""

import enum
import math
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import arenagrad as ag
from arenagrad import compile, nn


class Colour(enum.Enum):
    RED = 1


# Results


@pytest.mark.filterwarnings("ignore:the hash of a Value")
@pytest.mark.parametrize(
    "wrap",
    [
        *(lambda x: {x}, lambda x: frozenset([x]), lambda x: deque([x])),
        *(lambda x: SimpleNamespace(x=x), lambda x: {x: 1}, lambda x: {(x,): 1}),
        *(lambda x: {1: x}.values(), lambda x: lambda: x, iter, lambda x: nn.Neuron(2)),
        lambda x: np.array([(x,)], dtype=[("x", "O")]),
    ],
)
def test_a_result_in_which_a_value_could_hide_is_refused(wrap: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"a compiled function must (return|not return)"):
        compile(lambda x: wrap([x * 2.0]) if wrap is iter else wrap(x * 2.0))(2.0)


@pytest.mark.parametrize(
    "plain", [None, True, "text", b"bytes", 2j, Colour.RED, float, np.bool_(True)]
)
def test_text_bools_and_the_like_are_given_as_they_are(plain: Any) -> None:
    f = compile(lambda x: (x, plain))
    assert f(1.0) == (1.0, plain)
    assert f(2.0) == (2.0, plain)
    rows = compile(lambda x: (x, plain), in_axes=0, reduce="sum")
    assert rows(np.ones(3)) == (3.0, plain)


def test_an_array_of_integers_in_a_result_is_each_callers_own() -> None:
    kept = np.arange(3)
    f = compile(lambda x: (x, kept))
    first = f(1.0)[1]
    first[0] = 99
    kept[1] = 98
    assert f(2.0)[1].tolist() == [0, 1, 2]


def test_rows_of_several_ways_may_give_arrays_of_integers() -> None:
    f = compile(lambda x: (x if x > 0 else -x, np.arange(3), np.array([True])), in_axes=0)
    values, numbers, bools = f(np.array([1.0, -1.0]))
    assert values.tolist() == [1.0, 1.0]
    assert numbers.tolist() == [0, 1, 2]
    assert bools.tolist() == [True]


# Arrays that are read and written


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x: x * x if x > 0 else -3.0 * x, (50,)),
        (lambda x: x[::-1] * 1.0, (50, 2)),
        (lambda x: [x[1], x[0] + x[1]], (1000, 2)),
    ],
)
@pytest.mark.parametrize("apart", [0, 1, 3])
@pytest.mark.parametrize("mapped", [False, True])
def test_a_batch_may_be_written_where_it_is_read(
    function: Callable[[Any], Any], shape: tuple[int, ...], apart: int, mapped: bool
) -> None:
    f = compile(function, in_axes=0)
    memory = np.random.default_rng(1).normal(size=math.prod(shape) + apart)
    x = memory[: math.prod(shape)].reshape(shape)
    out: Any = memory[apart:].reshape(shape)
    expected = f(x.copy())
    out = list(out.reshape(2, -1)) if isinstance(expected, list) else out
    assert (f.map(x, out=out) if mapped else f(x, out=out)) is out
    assert np.array_equal(out, expected)


def test_a_gradient_may_be_written_over_the_rows_or_the_weights() -> None:
    f = compile(lambda w, x: w * x * x if x > 0 else w, in_axes=(None, 0), reduce="sum")
    w, x = np.array([3.0, 4.0]), np.array([1.0, -2.0, 3.0])
    g = compile(lambda w, x: ag.sum(w * x) if x > 0 else w[0], in_axes=(None, 0), reduce="sum")
    value, partial = g.value_and_grad(w.copy(), x)
    again, out = g.value_and_grad(w, x, out=w)
    assert (again, out.tolist()) == (value, partial.tolist())
    by_rows = f.value_and_grad(2.0, x.copy(), argnums=1)[1]
    assert f.value_and_grad(2.0, x, argnums=1, out=x)[1].tolist() == by_rows.tolist()


def test_arrays_in_out_that_share_memory_are_refused() -> None:
    f, memory = compile(lambda x: (x, x + 1.0), in_axes=0), np.empty(5)
    with pytest.raises(ValueError, match="must not share memory"):
        f(np.ones(3), out=(memory[:3], memory[2:]))


def test_a_list_of_buffers_may_change_while_they_are_written() -> None:
    rows = 2_000_000
    out = [np.empty(rows), np.empty(rows)]

    def long(x: Any) -> list[Any]:
        for _ in range(60):
            x = ag.sin(x) + 0.1
        return [x, x + 1.0]

    f = compile(long, in_axes=0, progress=lambda done, rows: out.clear())
    assert len(f(np.random.default_rng(1).normal(size=rows), out=out)) == 0


# Results that are no numbers, in rows


@pytest.mark.parametrize(("yes", "no"), [(True, False), ("a", "b"), (None, True), (True, 1)])
@pytest.mark.parametrize("reduce", [None, "sum"])
def test_what_is_no_number_must_be_equal_in_all_rows(yes: Any, no: Any, reduce: Any) -> None:
    def f(x: Any) -> Any:
        return {"y": 2.0 * x, "kind": yes if x > 0 else no}

    compiled = compile(f, in_axes=0, reduce=reduce)
    positive, negative = np.array([1.0, 3.0]), np.array([-1.0, -3.0])
    for _ in range(2):  # whichever variant was used last
        for rows, kind in ((positive, yes), (negative, no)):
            found = compiled(rows)
            np.testing.assert_array_equal(
                found["y"], 2 * rows if reduce is None else 2 * rows.sum()
            )
            if not isinstance(kind, int) or isinstance(kind, bool):
                assert found["kind"] is kind
        for first in (positive, negative):
            with pytest.raises(TypeError, match="must all give results of one structure, got"):
                compiled(np.concatenate([first, -first]))
    for chunksize in (1, 2, 4):
        with pytest.raises(TypeError, match="must all give results of one structure, got"):
            compile(f, in_axes=0, reduce=reduce).map(
                np.concatenate([positive, negative]), chunksize=chunksize
            )


def test_numbers_of_the_functions_own_may_differ_from_row_to_row() -> None:
    f = compile(lambda x: (x, 1 if x > 0 else 2.5), in_axes=0)
    for rows in ([1.0, -1.0, 2.0], [-1.0, -2.0], [3.0, 1.0]):
        np.testing.assert_array_equal(f(np.array(rows))[1], [1.0 if x > 0 else 2.5 for x in rows])
