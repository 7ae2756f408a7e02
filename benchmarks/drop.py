"""The price of forgetting a graph: everything dies with its last handle."""

from functools import partial
from typing import Any

import numpy as np

from arenagrad import Value, _core
from benchmarks import eager
from benchmarks.measure import DifferentAnswersError, Row, duration, in_turn, seconds_of

ITERATIONS = 1_000_000
_INTERIOR = 1_000
_MOST_NS = 1.5


def _graph(leaves: list[Value], kept: int) -> list[Any]:
    """The eager loop's graph: its root, and before it `kept` of its interior nodes."""
    ys = eager.other_half_first(leaves)
    if not kept:
        return [eager.run(leaves, ys, ITERATIONS)]
    # Each piece goes on from the last: the leaf it starts with is the only one replaced.
    handles: list[Any] = []
    for _ in range(kept):
        start = [handles[-1] if handles else leaves[0], *leaves[1:]]
        handles.append(eager.run(start, ys, ITERATIONS // kept))
    return handles


def _drop(leaves: list[Value], kept: int, sweep: bool) -> float:
    """The seconds from dropping the root until nothing of its graph is left."""
    before = _core.arena_info()["nodes"]
    handles = _graph(leaves, kept)
    if sweep:
        handles[-1].backward()
    time = seconds_of(handles.clear)  # the last first, as CPython clears lists
    nodes = _core.arena_info()["nodes"]
    if nodes != before:
        raise DifferentAnswersError(f"{nodes - before} nodes are left of the graph")
    return time


def _drop_array() -> float:
    """The seconds that the system takes to have as many bytes back from a NumPy array."""
    nodes = 4 * ITERATIONS
    holder = [np.ones(nodes * _core.arena_info()["bytes_per_node"] // 8)]
    return seconds_of(holder.clear)


def rows(full: bool) -> list[Row]:
    """Three ways for a graph to die, each beside a NumPy array of the same size."""
    _core.collect()
    leaves = [Value(x) for x in eager.numbers()]
    operations = ITERATIONS * eager.OPERATIONS
    cases = [
        ("dropping 3 million operations", 0, False, True),
        ("dropping 3 million operations after backward()", 0, True, True),
        (f"the same with {_INTERIOR:,} handles inside", _INTERIOR, True, False),
    ]
    found = []
    for what, kept, sweep, has_target in cases:
        ours, array = in_turn(
            9 if full else 5,
            partial(_drop, leaves, kept, sweep),
            _drop_array,
        )
        each = ours / operations * 1e9
        found.append(
            Row(
                what,
                duration(ours),
                f"{duration(array)} (NumPy array)",
                f"{each:.2f} ns an operation",
                f"at most {_MOST_NS:g} ns" if has_target else "-",
                each <= _MOST_NS if has_target else None,
                {"ours_seconds": ours, "other_seconds": array, "ns_per_operation": each},
            )
        )
    return found
