"""Shallow copies of Values, and what is not copied; deep copies stand in test_saving.py."""

import copy
from typing import Any

import pytest

import arenagrad
from arenagrad import Value, softmax
from settled import settled_nodes
from test_saving import every_kind, nodes


def test_a_shallow_copy_is_a_twin_on_the_same_operands() -> None:
    for node in dict.fromkeys(n for root in every_kind() for n in nodes(root)):
        node.notes = ["kept"]
        twin = copy.copy(node)
        assert twin is not node
        assert (twin._op, twin.data, twin.grad) == (node._op, node.data, node.grad)
        assert twin._prev == node._prev
        assert twin.notes is node.notes
        twin.data = 99.0
        assert node.data != 99.0
        for each in (node, twin):
            arenagrad.zero_grad(each)
        node.data = twin.data
        node.backward()
        partials = [operand.grad for operand in node._prev]
        arenagrad.zero_grad([node, twin])
        twin.backward()
        assert [operand.grad for operand in node._prev] == partials


def test_two_twins_of_one_softmax_count_twice() -> None:
    x, y = Value(0.5), Value(1.0)
    p = softmax([x, y])[0]
    (p + copy.copy(p)).backward()
    twice = x.grad
    arenagrad.zero_grad(p)
    p.backward()
    assert twice == pytest.approx(2 * x.grad, rel=1e-15)


def test_a_copy_of_a_rule_of_ones_own_is_refused_before_anything_is_copied() -> None:
    x = Value(1.0)
    out = Value(2.0, (x,), "own")
    out._backward = lambda: None
    arenagrad.collect()
    before = settled_nodes()
    for attempt in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="assigned _backward cannot be copied"):
            attempt(out)
    with pytest.raises(TypeError, match="assigned _backward"):
        copy.deepcopy([out * 2.0])
    arenagrad.collect()
    assert arenagrad.arena_info()["nodes"] == before
    memo: dict[Any, Any] = {}
    with pytest.raises(TypeError, match="assigned _backward"):
        copy.deepcopy(out, memo)
    del out._backward
    a, b = copy.deepcopy(out, memo), copy.deepcopy(x, memo)
    assert a._prev == {b}
