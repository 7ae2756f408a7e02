"""What the operations of any number of operands take, what they refuse, and lists that change."""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import arenagrad as ag
from arenagrad import Value


def test_numbers_may_be_of_any_kind_and_arrays_give_arrays() -> None:
    mixed = [Value(1.0), 2, Fraction(1, 2), np.float32(0.25), True]
    assert ag.sum(mixed).data == ag.sum(tuple(mixed)).data == ag.sum(iter(mixed)).data == 4.75
    results = ag.softmax(np.array([Value(1.0), Value(2.0)]))
    assert isinstance(results, np.ndarray)
    assert results.dtype == object
    assert isinstance(ag.softmax(np.array([1.0])), np.ndarray)
    assert isinstance(ag.softmax((1.0, 2.0)), list)


def test_an_instance_of_a_subclass_is_an_operand_like_any_other() -> None:
    class Own(Value):
        pass

    own = Own(3.0)
    root = ag.sum([own, 1.0, own])
    root.backward()
    assert (root.data, own.grad, type(root)) == (7.0, 2.0, Value)
    assert own in root._prev


@pytest.mark.parametrize("true", [True, 1, 0.5, math.nan, np.bool_(True), np.longdouble(1), "x"])
def test_where_takes_whatever_is_true_or_false_as_its_condition(true: Any) -> None:
    x, y = Value(1.0), Value(2.0)
    assert ag.where(true, x, y).data == 1.0
    assert ag.where(Value(0.0), x, y).data == 2.0


def test_where_goes_through_lists_and_arrays_as_numpy_broadcasts_them() -> None:
    x = Value(1.0)
    chosen = ag.where([True, False], x, np.array([5.0, 6.0]))
    assert [y.data for y in chosen] == [1.0, 6.0]
    nested = ag.where([[True], [False]], [x, x], 3.0)
    assert [[y.data for y in row] for row in nested] == [[1.0, 1.0], [3.0, 3.0]]
    assert ag.where([], x, 1.0) == []


def failing() -> Iterator[Value]:
    yield Value(1.0)
    raise TypeError("an error of the generator's own")


ELEMENT = "an element of {} must be a real number, got {}"
REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: ag.sum(7), TypeError, "xs must be a list, tuple or array of Values and numbers"),
    (lambda: ag.sum(np.array(7.0)), TypeError, "xs must be a list, tuple or array"),
    (lambda: ag.sum([Value(1.0), "a"]), TypeError, ELEMENT.format("xs", "str")),
    (lambda: ag.softmax([1.0, None]), TypeError, ELEMENT.format("xs", "NoneType")),
    (lambda: ag.norm(np.eye(2)), TypeError, ELEMENT.format("xs", "numpy.ndarray")),
    (lambda: ag.prod([1j]), TypeError, ELEMENT.format("xs", "complex")),
    (lambda: ag.dot([1.0], ["a"]), TypeError, ELEMENT.format("xs", "str")),
    (lambda: ag.dot(["a"], [1.0]), TypeError, ELEMENT.format("ws", "str")),
    (lambda: ag.dot([1.0], 5), TypeError, "xs must be a list"),
    (lambda: ag.dot([1.0], [Value(1.0), 2.0]), ValueError, "ws and xs must be equally many, got 1"),
    (lambda: ag.sum([Value(1.0)], "a"), TypeError, "start must be a real number, got str"),
    (lambda: ag.sum([10**400]), OverflowError, "too large"),
    (lambda: ag.mean([]), ValueError, "mean() needs at least one number"),
    (lambda: ag.logsumexp(()), ValueError, "logsumexp() needs at least one number"),
    (lambda: ag.where(True, "a", Value(1.0)), TypeError, ELEMENT.format("x and y", "str")),
    (lambda: ag.linear(5, [1.0]), TypeError, "weights must be a list, tuple or array of rows"),
    (lambda: ag.linear([5], [1.0]), TypeError, "a row of weights must be a list"),
    (lambda: ag.linear([[1.0]], 5), TypeError, "x must be a list"),
    (lambda: ag.linear([[Value(1.0)]], [1.0], ["a"]), TypeError, ELEMENT.format("biases", "str")),
    (lambda: ag.linear([[1.0, 2.0]], [Value(1.0)]), ValueError, "the weights of a row and x"),
    (lambda: ag.linear([[1.0]], [1.0], []), ValueError, "biases and rows of weights"),
    (lambda: ag.sum(failing()), TypeError, "an error of the generator's own"),
    (lambda: ag.linear(failing(), [1.0]), TypeError, "an error of the generator's own"),
    (lambda: ag.zero_grad(failing()), TypeError, "an error of the generator's own"),
    (lambda: ag.sum(), TypeError, "sum() needs the argument 'xs'"),
    (lambda: ag.sum([], 1, 2), TypeError, "sum() takes at most 2 arguments, got 3"),
    (lambda: ag.sum([], xs=[]), TypeError, "sum() got 'xs' twice"),
    (lambda: ag.dot([], [], begin=1), TypeError, "dot() has no argument 'begin'"),
]


@pytest.mark.parametrize(("attempt", "error", "message"), REFUSED)
def test_wrong_arguments_are_named_and_leave_the_arena_as_it_was(
    attempt: Callable[[], Any], error: type[Exception], message: str
) -> None:
    before = ag.arena_info()
    with pytest.raises(error) as caught:
        attempt()
    assert message in str(caught.value)
    del caught
    after = ag.arena_info()
    assert [after[key] for key in ("nodes", "handles", "edges")] == [
        before[key] for key in ("nodes", "handles", "edges")
    ]


class Meddler(Fraction):
    """A number that does something when it is read."""

    act: Callable[[], Any]

    def __float__(self) -> float:
        self.act()
        return 1.0


def meddler(act: Callable[[], Any]) -> Meddler:
    made = Meddler(1)
    made.act = act
    return made


CHANGES: list[Callable[[list[Any]], Any]] = [
    list.clear,
    list.pop,
    lambda xs: xs.extend([1.0] * 5000),
    lambda xs: xs.__setitem__(0, "text"),
    lambda xs: xs.__setitem__(0, Fraction(1, 2)),
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("first", [1.0, Value(1.0)], ids=["number", "Value"])
def test_a_list_that_a_later_number_changes_is_refused(
    change: Callable[[list[Any]], Any], first: Any
) -> None:
    def cases(xs: list[Any], number: Meddler) -> list[Callable[[], Any]]:
        return [
            lambda: ag.sum(xs, number),
            lambda: ag.dot(xs, xs, number),
            lambda: ag.dot(xs, [number, 2.0]),
            lambda: ag.linear([xs, [number, 1.0]], [1.0, 2.0]),
            lambda: ag.linear([xs], [1.0, 2.0], [number]),
            lambda: ag.linear([[number, 1.0]], xs),
            lambda: ag.linear(([float(number), 1.0] for _ in range(1)), xs),
        ]

    for i in range(7):
        xs = [first, 2.0]
        number = meddler(lambda xs=xs: change(xs))
        with pytest.raises((RuntimeError, ValueError), match=r"while it was being read|equally"):
            cases(xs, number)[i]()


def test_a_start_is_read_once_and_a_list_may_change_only_in_what_it_holds() -> None:
    reads: list[int] = []
    assert ag.sum([1.0, 2.0], meddler(lambda: reads.append(1))) == 4.0
    assert len(reads) == 1
    xs: list[Any] = [1.0, 2.0]
    changed = ag.sum(xs, meddler(lambda: xs.__setitem__(0, Value(5.0))))
    assert changed.data == 8.0


def test_a_number_that_collects_while_it_is_read_does_not_mislead() -> None:
    junk = [Value(0.0) for _ in range(1000)]
    xs = [Value(float(i)) for i in range(10)]
    number = meddler(lambda: (junk.clear(), ag.collect()))
    root = ag.dot([*xs[:9], number], [*xs[1:], xs[0]])
    root.backward()
    assert root.data == sum(i * (i + 1) for i in range(9))
    assert [x.grad for x in xs] == [2.0] + [2.0 * i for i in range(1, 9)] + [8.0]
