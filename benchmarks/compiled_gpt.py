"""A training step of the scalar GPT as a compiled function, beside one on a pure-Python Value.

The model is that of gpt_script.py. The tokens of a name are arguments here, so that there is one
program for all names of a length; softmax is arenagrad's, since it must not read `.data`.
"""

import gc
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import numpy as np

import arenagrad
from benchmarks import gpt, gpt_script, pure_value
from benchmarks.compiled_peers import on_processor
from benchmarks.measure import Row, in_turn, times_faster

_LIMIT = 500
_OUR_STEPS = 50  # in each turn: one alone is too short to time well


class _Rows:
    """The rows of a matrix, one of which an index chooses that may be a Value."""

    def __init__(self, rows: gpt_script.Matrix) -> None:
        self._rows = rows

    def __getitem__(self, index: Any) -> Any:
        return arenagrad.take(self._rows, index)


class _GPT(gpt_script.GPT):
    """The model of parameters that are there already, in the order in which it draws them."""

    def __init__(self, parameters: Iterator[Any]) -> None:
        super().__init__(lambda _: next(parameters), gpt.SEED)
        self.tokens: Any = _Rows(self.tokens)

    def softmax(self, scores: gpt_script.Vector) -> Any:
        return arenagrad.softmax(scores)


def loss(parameters: Any, tokens: Any) -> Any:
    """As gpt_script.loss, of one array of parameters and one of the tokens of a name."""
    model = _GPT(iter(parameters))
    keys: gpt_script.Matrix = []
    values: gpt_script.Matrix = []
    losses = []
    for position in range(len(tokens) - 1):
        likely = model.softmax(model.logits(tokens[position], position, keys, values))
        losses.append(-arenagrad.take(likely, tokens[position + 1]).log())
    return sum(losses) * (1.0 / len(losses))


class Training:
    """As gpt.stepper makes it for other Values: a new model, and Adam on arrays."""

    def __init__(self) -> None:
        self.parameters = np.array(gpt_script.GPT(float, gpt.SEED).parameters)
        self.gradient, self.mean, self.square = np.zeros((3, len(self.parameters)))
        self._steps = 0
        self._ahead = cycle(gpt.names())
        self._loss = arenagrad.compile(loss)

    def step(self) -> float:
        """Train on the next name; the loss from before it."""
        tokens = np.array(gpt_script.tokens_of(next(self._ahead)), dtype=np.float64)
        total, g = self._loss.value_and_grad(self.parameters, tokens, out=self.gradient)
        self._steps += 1
        mean, square = self.mean, self.square
        mean *= 0.9
        mean += 0.1 * g
        square *= 0.99
        square += 0.01 * g * g
        scale = 1.0 / (1.0 - 0.99**self._steps)
        rate = 0.01 / (1.0 - 0.9**self._steps)
        self.parameters -= rate * mean / (np.sqrt(square * scale) + 1e-8)
        return float(total)


def _stepping(step: Callable[[], object], repeats: int, collector: bool) -> Callable[[], float]:
    """As measure.stepping, in processor time."""
    timed = on_processor(step, repeats)

    def side() -> float:
        gc.collect()
        (gc.enable if collector else gc.disable)()
        try:
            return timed()
        finally:
            gc.enable()

    return side


def rows(full: bool) -> list[Row]:
    """The step with Python's cyclic collector on, its default, and off; ours runs with it on."""
    size = gpt.graph_size()
    gc.collect()
    ours, theirs = Training().step, gpt.stepper(pure_value.Value)
    gpt.check(ours, theirs)
    our_time, collected, uncollected = in_turn(
        15 if full else 3,
        _stepping(ours, _OUR_STEPS, True),
        *(_stepping(theirs, 1, collector) for collector in (True, False)),
    )
    what = f"compiled: scalar GPT training step, {size:,} nodes, against pure Python"
    return [
        times_faster(f"{what}, gc on", our_time, collected, _LIMIT),
        times_faster(f"{what}, gc off", our_time, uncollected),
    ]
