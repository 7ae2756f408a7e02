"""What the benchmarks of compiled functions share: a network, and the libraries it is run on."""

import importlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from time import process_time
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measure import DifferentAnswersError, Row, times_faster

Array = npt.NDArray[np.float64]
_TOLERANCE = 1e-9


def peer(name: str) -> Any:
    """A module by its name, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != name.partition(".")[0]:
            raise
        return None


@contextmanager
def one_processor() -> Iterator[None]:
    """Stay on one processor, and so do all threads that are started meanwhile.

    jax starts as many as there are processors that it may use.
    """
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def missing(what: str, why: str, limit: float | None) -> Row:
    """A row for what could not be measured."""
    return Row(what, "-", why, "-", "-" if limit is None else f"at least {limit:g}")


def faster(what: str, ours: float, other: float | None, why: str, limit: float | None) -> Row:
    """As times_faster, or as missing where there is no other: then why says what is the matter."""
    if other is None:
        return missing(what, why, limit)
    return times_faster(what, ours, other, limit)


def on_processor(call: Callable[[], object], repeats: int) -> Callable[[], float]:
    """A side for in_turn: the mean processor time of a call, that of all threads added up.

    Others on the machine do not count, but for what they take of its caches.
    """

    def side() -> float:
        start = process_time()
        for _ in repeat(None, repeats):
            call()
        return (process_time() - start) / repeats

    return side


def check(what: str, ours: Sequence[Any], theirs: Sequence[Any]) -> None:
    """Raise DifferentAnswersError unless these numbers and arrays are the same but for rounding."""
    for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        here, there = np.ravel(np.asarray(a)), np.ravel(np.asarray(b))
        if here.shape != there.shape:
            raise DifferentAnswersError(f"{what}: {here.size} numbers and {there.size}")
        largest = float(np.max(np.abs(there)))
        error = float(np.max(np.abs(here - there)))
        if not math.isfinite(largest) or not error <= _TOLERANCE * largest:
            raise DifferentAnswersError(
                f"{what}: result {k} differs by {error:g}, its largest number is {largest:g}"
            )


# The network: 2 inputs, two layers of `width`, one output, a tanh behind each of them, and the
# square of how far the output is from a target. One flat array has all weights, for each neuron
# first those of its inputs, then its bias.


def weight_count(width: int) -> int:
    """How many weights it has."""
    return 3 * width + width * (width + 1) + width + 1


def operation_count(width: int) -> int:
    """How many additions, products and so on the loss is, written out."""
    return 5 * width + width * (2 * width + 1) + 2 * width + 1 + 2


def loss(weights: Any, x: Any, target: Any, tanh: Callable[[Any], Any], width: int) -> Any:
    """The loss at one point, in scalars of whatever kind."""
    at, signal = 0, [x[0], x[1]]
    for neurons in (width, width, 1):
        following = []
        for _ in range(neurons):
            total = weights[at + len(signal)]
            for k, number in enumerate(signal):
                total = total + weights[at + k] * number
            following.append(tanh(total))
            at += len(signal) + 1
        signal = following
    error = signal[0] - target
    return error * error


def layers(weights: Any, width: int) -> list[tuple[Any, Any]]:
    """The matrices, a row a neuron, and the biases in the flat array of weights."""
    found, at, before = [], 0, 2
    for neurons in (width, width, 1):
        block = weights[at : at + neurons * (before + 1)].reshape(neurons, before + 1)
        found.append((block[:, :before], block[:, before]))
        at, before = at + neurons * (before + 1), neurons
    return found


class Problem:
    """Weights of a network of a width, points and targets."""

    def __init__(self, width: int, rows: int) -> None:
        draw = np.random.default_rng(1337)
        self.width, self.rows = width, rows
        self.weights: Array = draw.normal(size=weight_count(width)) / math.sqrt(width)
        self.points: Array = draw.normal(size=(rows, 2))
        self.targets: Array = draw.uniform(-0.9, 0.9, size=rows)

    def ddx(self, ddx: Any) -> Any:
        """The loss as an equation of ddx: symbols are the weights, parameters the point."""
        count, width = len(self.weights), self.width

        def model() -> Any:
            weights = [ddx.var(f"w{k}") for k in range(count)]
            x = [ddx.param("x0"), ddx.param("x1")]
            return loss(weights, x, ddx.param("target"), ddx.tanh, width)

        return ddx.equation(model)
