"""A training step of the scalar GPT, on our Value and on a pure-Python one: the same script."""

import gc
import math
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import arenagrad
from benchmarks import gpt_script, pure_value
from benchmarks.measure import DifferentAnswersError, Row, in_turn, stepping, times_faster

SEED = 42
LETTERS_IN_NAME = 6
NODES = range(54_000, 58_001)
_LIMIT = 40
_LOSS_TOLERANCE = 1e-12
_OUR_STEPS = 5  # in each turn: one alone is too short to time well


def names() -> list[str]:
    """The names of that one length: each gives a graph of the same size."""
    lines = Path(__file__).with_name("names.txt").read_text(encoding="ascii").split()
    return [name for name in lines if len(name) == LETTERS_IN_NAME]


def nodes_below(root: Any) -> int:
    """How many nodes root was computed from, itself included, whichever Value class it is of."""
    seen = {root}
    waiting = [root]
    while waiting:
        new = [node for node in waiting.pop()._prev if node not in seen]
        seen.update(new)
        waiting += new
    return len(seen)


def graph_size() -> int:
    """The nodes of one step's graph.

    Raises DifferentAnswersError if the two sides differ, or it is not the size that is meant.
    """
    sizes = [
        nodes_below(gpt_script.loss(gpt_script.GPT(value, SEED), names()[0]))
        for value in (arenagrad.Value, pure_value.Value)
    ]
    if sizes[0] != sizes[1]:
        raise DifferentAnswersError(f"the graph has {sizes[0]} nodes here and {sizes[1]} there")
    if sizes[0] not in NODES:
        raise DifferentAnswersError(f"the graph has {sizes[0]} nodes, meant are about 56,000")
    return sizes[0]


def stepper(value: type) -> Callable[[], float]:
    """A function that trains a new model on the next name each time and returns its loss."""
    model = gpt_script.GPT(value, SEED)
    optimiser = gpt_script.Adam(model.parameters)
    ahead = cycle(names())
    return lambda: gpt_script.step(model, optimiser, next(ahead))


def check(ours: Callable[[], float], theirs: Callable[[], float]) -> None:
    """Raise DifferentAnswersError unless three steps of both have the same losses."""
    for i in range(3):
        a, b = ours(), theirs()
        if not math.isclose(a, b, rel_tol=_LOSS_TOLERANCE):
            raise DifferentAnswersError(f"the loss of step {i} is {a!r} here and {b!r} there")


def rows(full: bool) -> list[Row]:
    """The step with Python's cyclic collector on, its default, and off.

    Ours runs with it on. The target is for Python as it comes, so with it on.
    """
    size = graph_size()
    gc.collect()
    ours, theirs = stepper(arenagrad.Value), stepper(pure_value.Value)
    check(ours, theirs)

    our_time, collected, uncollected = in_turn(
        15 if full else 3,
        stepping(ours, _OUR_STEPS, True),
        stepping(theirs, 1, True),
        stepping(theirs, 1, False),
    )
    what = f"scalar GPT training step, {size:,} nodes, against pure Python"
    return [
        times_faster(f"{what}, gc on", our_time, collected, _LIMIT),
        times_faster(f"{what}, gc off", our_time, uncollected),
    ]
