"""Depth and width are no matter: nothing recurses, whatever the shape of the graph.

Each graph is built, swept, listed and dropped in a thread with a stack of 256 KiB, in a process of
its own: a native frame a node would end that process, and with it only one test.
"""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import arenagrad
from arenagrad import Value, topological_order
from scripts import run_python

STACK = 256 * 1024
DEEP, DEEPEST, WIDE = 300_000, 5_000_000, 1_000_000


def nodes() -> int:
    return arenagrad.arena_info()["nodes"]


def small_stack(action: Callable[[], Any]) -> Any:
    """What the action returns when it has only a small stack."""
    results: list[Any] = []
    threading.stack_size(STACK)
    thread = threading.Thread(target=lambda: results.append(action()))
    thread.start()
    thread.join()
    return results[0]


def in_own_process(folder: Path, action: Callable[[], Any], module: str = "") -> Any:
    """The same, in a process whose death is an ordinary failure."""
    here = Path(__file__)
    script = f"""
        import json, sys
        sys.path.insert(0, {str(here.parent)!r})
        import {here.stem}, {module or here.stem} as own
        print(json.dumps({here.stem}.small_stack(own.{action.__name__})))
    """
    done = run_python(folder, "script.py", script=script)
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr[-2000:]}"
    return json.loads(done.stdout)


def deepest_chain() -> list[Any]:
    start, one = Value(2.0), Value(1.0)
    x = start
    for _ in range(DEEPEST):
        x = x + one
    x.backward()
    built = [x.data, start.grad, one.grad, x.grad, nodes()]
    del x
    return [*built, nodes()]


@pytest.mark.slow
def test_a_chain_of_five_million_nodes_is_built_swept_and_freed(tmp_path: Path) -> None:
    data, start, one, root, count, left = in_own_process(tmp_path, deepest_chain)
    assert data == DEEPEST + 2.0
    assert [start, one, root] == [1.0, DEEPEST, 1.0], "each sum adds 1 to the shared leaf's grad"
    assert count == DEEPEST + 2
    assert left == 2, "the two leaves, which are still held"


def deepest_chain_listed() -> dict[str, Any]:
    start = Value(0.0)
    x = start
    for _ in range(DEEPEST // 2):
        x = x + 1.0
    order = topological_order(x)
    places = [2, DEEPEST // 2, DEEPEST]
    seen = {
        "length": len(order),
        "ends": order[0] is start and order[-1] is x,
        "leaves": all(leaf.data == 1.0 for leaf in order[1::2]),
        "sums": all(node.data == k for k, node in enumerate(order[::2])),
        "operands": all(order[k]._prev == {order[k - 1], order[k - 2]} for k in places),
        "distinct": len(set(order)),
    }
    del order, x
    return {**seen, "left": nodes()}


@pytest.mark.slow
def test_five_million_nodes_are_listed_in_order(tmp_path: Path) -> None:
    assert in_own_process(tmp_path, deepest_chain_listed) == {
        "length": DEEPEST + 1,
        "ends": True,
        "leaves": True,
        "sums": True,
        "operands": True,
        "distinct": DEEPEST + 1,
        "left": 1,
    }


class Sub(Value):
    """A subclass, whose instances keep the collector's header and are pinned while used."""


def dropped(build: Callable[[], Value]) -> list[Any]:
    """A chain of operations: the leaf's grad, the primal, then how many nodes outlive it."""
    root = build()
    root.backward()
    leaf = topological_order(root)[0]
    figures = [leaf.grad, root.data, nodes()]
    del root, leaf
    arenagrad.collect()
    return [*figures, nodes()]


def with_attributes() -> list[Any]:
    def build() -> Value:
        x = Value(1.5)
        for k in range(DEEP):
            x = x + 0.0
            x.label, x.m, x.place = "a label", x, [k]
        return x

    return dropped(build)


def with_closures() -> list[Any]:
    def build() -> Value:
        x = Value(1.5)
        for _ in range(DEEP):
            out = Value(x.data, (x,), "same")

            def _backward(x: Value = x, out: Value = out) -> None:
                x.grad += out.grad

            out._backward = _backward
            x = out
        return x

    return dropped(build)


def of_a_subclass() -> list[Any]:
    def build() -> Value:
        x = Sub(1.5)
        for _ in range(DEEP):
            x = Sub(x.data, (x,), (1.0,))
        return x

    return dropped(build)


def of_three_operands() -> list[Any]:
    def build() -> Value:
        a = b = c = Value(1.5)
        for _ in range(DEEP):
            a, b, c = Value(a.data, (a, b, c), (1, 0, 0)), a, b
        return a

    return dropped(build)


@pytest.mark.slow
@pytest.mark.parametrize(
    "chain", [with_attributes, with_closures, of_a_subclass, of_three_operands]
)
def test_a_deep_chain_of_nodes_with_more_than_numbers_is_swept_and_dropped(
    tmp_path: Path,
    chain: Callable[[], list[Any]],
) -> None:
    grad, data, count, left = in_own_process(tmp_path, chain)
    assert (grad, data) == (1.0, 1.5)
    assert count > DEEP
    assert left == 0


def linked(make: Callable[[float], Any], link: Callable[[Any, Any], None], ring: bool) -> list[int]:
    """How many nodes a list linked through attributes has, and how many are left without it."""
    first = last = make(0.0)
    for k in range(DEEP):
        node = make(float(k))
        link(node, last)
        last = node
    if ring:
        link(first, last)
    count = nodes()
    del first, last, node
    if ring:
        arenagrad.collect()
    return [count, nodes()]


def link_next(node: Any, other: Any) -> None:
    node.next = other


def link_in_containers(node: Any, other: Any) -> None:
    node.next = [{"other": other}]


def linked_values() -> list[int]:
    return linked(Value, link_next, ring=False)


def linked_from_the_first() -> list[int]:
    return linked(Value, lambda node, last: link_next(last, node), ring=False)


def linked_in_containers() -> list[int]:
    return linked(Value, link_in_containers, ring=False)


def linked_subclass() -> list[int]:
    return linked(Sub, link_next, ring=False)


def linked_ring() -> list[int]:
    return linked(Value, link_next, ring=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "build",
    [
        linked_values,
        linked_from_the_first,
        linked_in_containers,
        linked_subclass,
        linked_ring,
    ],
)
def test_a_long_list_linked_through_attributes_is_dropped_without_recursion(
    tmp_path: Path,
    build: Callable[[], list[int]],
) -> None:
    assert in_own_process(tmp_path, build) == [DEEP + 1, 0]


def one_node_with_a_million_operands() -> list[Any]:
    leaves = [Value(float(k)) for k in range(WIDE)]
    partials = [float(k % 7) for k in range(WIDE)]
    root = Value(3.0, leaves, partials)
    root.backward()
    exact = [leaf.grad for leaf in leaves] == partials
    listed = topological_order(root) == [*leaves, root]
    same = root._prev == set(leaves)
    edges = arenagrad.arena_info()["edges"]
    del root
    return [exact, listed, same, edges, arenagrad.arena_info()["edges"], nodes()]


@pytest.mark.slow
def test_one_node_may_have_a_million_operands(tmp_path: Path) -> None:
    exact, listed, same, edges, edges_left, nodes_left = in_own_process(
        tmp_path, one_node_with_a_million_operands
    )
    assert exact
    assert listed
    assert same
    assert (edges, edges_left, nodes_left) == (WIDE, 0, WIDE)


def sum_of_a_million_leaves() -> list[Any]:
    leaves = [Value(float(k)) for k in range(WIDE)]
    total = sum(leaves)
    total.backward()
    grads = {leaf.grad for leaf in leaves}
    count = nodes()
    del total
    return [*grads, count, nodes()]


@pytest.mark.slow
def test_the_sum_of_a_million_leaves_has_a_gradient_of_one_each(tmp_path: Path) -> None:
    # A leaf for the 0 that sum() starts with, and an addition for each of the million.
    assert in_own_process(tmp_path, sum_of_a_million_leaves) == [1.0, 2 * WIDE + 1, WIDE]


def operand_used_a_million_times() -> list[Any]:
    x, y = Value(3.0), Value(0.0)
    total = y
    for _ in range(WIDE):
        total = total + x
    many = Value(1.0, [x] * WIDE, [1.0] * WIDE)
    (total + many).backward()
    return [x.grad, y.grad, sorted(node.data for node in many._prev)]


def test_an_operand_may_be_used_two_million_times(tmp_path: Path) -> None:
    assert in_own_process(tmp_path, operand_used_a_million_times) == [2.0 * WIDE, 1.0, [3.0]]
