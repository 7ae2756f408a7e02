"""Values made by hand: from operands and texts, from partials, and made anew by `__init__`."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import arenagrad
from arenagrad import Value
from oracle import refused
from settled import settled_nodes


def test_a_node_is_made_from_positions_or_names() -> None:
    a, b = Value(2.0), Value(3.0)
    for node in (
        Value(5.0, (a, b), "op", "name"),
        Value(data=5.0, _children=[a, b], _op="op", label="name"),
        Value(5.0, {a, b}, op="op", label="name"),
        Value(5.0, children=iter((a, b)), _op="op", label="name"),
    ):
        assert (node.data, node._prev, node._op, node.label) == (5.0, {a, b}, "op", "name")
        node.backward()
        assert (node.grad, a.grad, b.grad) == (1.0, 0.0, 0.0), "a node without a rule stops"


def test_a_tuple_in_third_place_is_the_partials() -> None:
    a, b = Value(2.0), Value(3.0)
    for node in (
        Value(5.0, (a, b, a), (0.5, -2.0, 1)),
        Value(5.0, (a, b, a), [0.5, -2.0, np.float64(1)], label="x"),
        Value(data=5.0, children=(a, b, a), local_grads=(0.5, -2.0, True)),
    ):
        a.grad = b.grad = 0.0
        root = node * 10
        root.backward()
        assert (a.grad, b.grad, node._prev, node._op) == (15.0, -20.0, {a, b}, "")


def test_empty_texts_and_operands_make_a_leaf() -> None:
    for leaf in (Value(1.0, (), "", ""), Value(1.0, set(), ()), Value(1.0, [], label="")):
        assert (leaf._prev, leaf._op, leaf.label, vars(leaf)) == (set(), "", "", {})


def test_the_room_for_operands_is_given_back_with_the_nodes() -> None:
    a = Value(1.0)
    before = arenagrad.arena_info()
    made = [Value(1.0, [a] * n, [0.5] * n) for n in (1, 5, 100)]
    assert arenagrad.arena_info()["edges"] == before["edges"] + 106
    made.pop()
    assert arenagrad.arena_info()["edges"] == before["edges"] + 6
    del made
    assert arenagrad.arena_info() == before


def broken() -> Iterator[Value]:
    yield Value(1.0)
    raise LookupError("no more of these")


A = Value(1.0)
BAD_ARGUMENTS: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
    ((), {}, "Value() needs its data, a real number"),
    ((), {"label": "x"}, "Value() needs its data, a real number"),
    ((1, (), "", "", 5), {}, "Value() takes at most 4 arguments, got 5"),
    ((1,), {"data": 2}, "Value() got 'data' twice"),
    ((1, ()), {"_children": ()}, "Value() got '_children' twice"),
    ((1,), {"_op": "a", "op": "b"}, "Value() got 'op' twice"),
    ((1,), {"n": 1}, "Value() has no argument 'n'; it takes data, _children, _op and label"),
    ((1, 2), {}, "_children must be a tuple, list or set of Value"),
    ((1, None), {}, "_children must be a tuple, list or set of Value"),
    ((1, (A, 2.0)), {}, "_children must be Values, but number 1 is float"),
    ((1, A), {}, "_children must be a tuple, list or set of Value"),
    ((1, (), 3), {}, "the third argument must be the text of the operation or a tuple of partials"),
    ((1, (A,), ("x",)), {}, "a partial of Value must be a real number, got str"),
    ((1, (), "", None), {}, "label must be a str, got NoneType"),
    (("x", (), "", None), {}, "data must be a real number, got str"),
]


class Sub(Value):
    """A subclass that adds nothing."""


@pytest.mark.parametrize("made", [Value, Sub])
@pytest.mark.parametrize(("arguments", "names", "message"), BAD_ARGUMENTS)
def test_bad_arguments_are_explained_and_leave_nothing(
    made: type[Value], arguments: tuple[Any, ...], names: dict[str, Any], message: str
) -> None:
    nodes = settled_nodes()
    with refused(TypeError, message):
        made(*arguments, **names)
    assert arenagrad.arena_info()["nodes"] == nodes


@pytest.mark.parametrize(("operands", "partials"), [((A,), (1.0, 2.0)), ((), (1,)), ((A,), ())])
def test_partials_and_operands_are_equal_in_number(operands: Any, partials: Any) -> None:
    m, n = len(partials), len(operands)
    message = f"one partial for each operand is wanted: got {m} partials for {n} operands"
    with refused(ValueError, message):
        Value(1.0, operands, partials)


def test_an_error_among_the_operands_passes_through() -> None:
    with pytest.raises(LookupError, match="no more of these"):
        Value(1.0, broken())


# A Value made anew


def test_a_leaf_made_anew_forgets_what_it_was() -> None:
    a = Value(1.0)
    for leaf in (Value(2.0), a * 3.0, Value(2.0, (a,), "op"), Value(2.0, (a,), (4.0,))):
        leaf.grad = 3.0
        leaf._backward = lambda: pytest.fail("the rule of what it was")
        leaf.__init__(5.0)  # type: ignore[misc]
        assert (leaf.data, leaf.grad, leaf._op, leaf._prev) == (5.0, 0.0, "", set())
        leaf.backward()
        (leaf * 2.0).backward()
        assert (leaf.grad, a.grad) == (3.0, 0.0)


def test_an_operand_keeps_its_operands() -> None:
    a, operand = Value(1.0), Value(2.0)
    root = operand * 3.0
    message = "this Value is already an operand: its operands cannot change; make a new Value"
    with refused(RuntimeError, message):
        operand.__init__(7.0, (a,), "op")  # type: ignore[misc]
    product = a * a
    (product + 1.0).backward()
    with refused(RuntimeError, message):
        product.__init__(7.0)  # type: ignore[misc]
    assert (operand.data, operand._prev, product._prev) == (2.0, set(), {a})
    root.backward()
    assert operand.grad == 3.0


def test_nothing_becomes_its_own_operand() -> None:
    low, high = Value(2.0), Value(0.0)
    value = Value(1.0)
    with refused(RuntimeError, "a Value cannot be its own operand"):
        value.__init__(2.0, (value,), (1.0,))  # type: ignore[misc]
    value.backward()
    assert (value._prev, value.data) == (set(), 1.0)
    del value
    # Takes the same index; the root does not reach it, so its adjoint is passed on to nobody.
    product = low * high
    product.grad = 5.0
    low.tanh().backward()
    assert high.grad == 0.0


def test_a_failed_operation_does_not_make_an_operand() -> None:
    a, value = Value(1.0), Value(0.0)
    for attempt in (lambda: 1 / value, lambda: a / value, value.log, lambda: value**-1):
        with pytest.raises((ZeroDivisionError, ValueError)):
            attempt()
    value.__init__(3.0, (a,), (2.0,))  # type: ignore[misc]
    value.backward()
    assert (value.data, a.grad) == (3.0, 2.0)
