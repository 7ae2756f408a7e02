"""What it costs that decisions are exact: functions with comparisons beside the same without."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import arenagrad
from benchmarks.compiled_peers import check, on_processor
from benchmarks.measure import Row, in_turn, times_slower

_STEPS, _PARTICLES, _LIMIT = 100, 12, 1.3


def _path(z: Any, barrier: float | None) -> Any:
    price = 1.0
    for k in range(_STEPS):
        price = price * arenagrad.exp(0.001 + 0.01 * z[k])
        if barrier is not None and price > barrier:
            return price * 0.0
    return price


def _energy(x: Any, cutoff: float | None) -> Any:
    energy = 0.0
    for i in range(_PARTICLES):
        for j in range(i):
            square = (x[2 * i] - x[2 * j]) ** 2 + (x[2 * i + 1] - x[2 * j + 1]) ** 2
            if cutoff is None or square < cutoff:
                cubed = (1.0 / (square + 0.5)) ** 3
                energy = energy + 4.0 * (cubed * cubed - cubed)
    return energy


def _compiled(function: Callable[[Any, float | None], Any], limit: float | None, rows: bool) -> Any:
    return arenagrad.compile(lambda x: function(x, limit), in_axes=(0,) if rows else None)


def _beside(
    what: str, function: Callable[[Any, float | None], Any], given: Any, limit: float, repeats: int
) -> list[Row]:
    """A row for the value and one for the gradient, at one point or on all rows of an array.

    No number goes beyond the limit, so that both sides compute the same.
    """
    deciding, plain = (_compiled(function, at, given.ndim == 2) for at in (limit, None))
    found = []
    for name, one, other in (
        ("value", deciding, plain),
        ("gradient", deciding.grad, plain.grad),
    ):
        check(what, [one(given)], [other(given)])
        ours, theirs = in_turn(
            11,
            on_processor(partial(one, given), repeats),
            on_processor(partial(other, given), repeats),
        )
        title = f"compiled: exact decisions, {what}, {name}, beside the same without decisions"
        found.append(times_slower(title, ours, theirs, _LIMIT))
    return found


def rows(full: bool) -> list[Row]:
    """A barrier option and pair cut-offs, at one point and in rows."""
    random = np.random.default_rng(7)
    count = 10_000 if full else 1_000
    paths, places = random.normal(size=(count, _STEPS)), random.uniform(0.0, 4.0, (count, 24))
    kinds = (("barrier option of exp steps", _path, paths, 1e3),
             ("pair cut-offs", _energy, places, 1e3))  # fmt: skip
    return [
        row
        for what, function, given, limit in kinds
        for size, numbers, repeats in (("one point", given[0], 200), (f"{count:,} rows", given, 3))
        for row in _beside(f"{what}, {size}", function, numbers, limit, repeats)
    ]
