"""A training step of examples/gpt.py in its two versions: functions of many operands, operators."""

import gc
import math
from collections.abc import Callable

import arenagrad
from benchmarks import gpt
from benchmarks.measure import DifferentAnswersError, Row, in_turn, stepping, times_faster
from examples.gpt import HOT, Shape, Training, loss_of

_LIMIT = 5
_LOSS_TOLERANCE = 1e-12
_STEPS = {"nary": 20, "plain": 5}  # in each turn: few alone are too short to time well


def training(hot: str) -> Training:
    """A new model that learns names of one length, so that every step is of the same size."""
    return Training(gpt.names(), Shape(), gpt.SEED, hot)


def graph_size(hot: str) -> int:
    """The nodes of one step's graph."""
    fresh = training(hot)
    loss = loss_of(fresh.model, HOT[hot], fresh.alphabet.tokens(fresh.names[0]))
    return len(arenagrad.topological_order(loss))


def check(nary: Callable[[], float], plain: Callable[[], float]) -> None:
    """Take three steps on both sides. Raises DifferentAnswersError if a loss differs."""
    for i in range(3):
        a, b = nary(), plain()
        if not math.isclose(a, b, rel_tol=_LOSS_TOLERANCE):
            raise DifferentAnswersError(f"the loss of step {i} is {a!r} and {b!r} in operators")


def rows(full: bool) -> list[Row]:
    """The step with the functions beside that with operators, both with Adam and the collector."""
    sizes = {hot: graph_size(hot) for hot in HOT}
    gc.collect()
    steps = {hot: training(hot).step for hot in HOT}
    check(steps["nary"], steps["plain"])
    nary, plain = in_turn(
        21 if full else 5, *(stepping(steps[hot], _STEPS[hot], True) for hot in ("nary", "plain"))
    )
    what = (
        f"scalar GPT training step, functions of many operands ({sizes['nary']:,} nodes) against "
        f"operators ({sizes['plain']:,})"
    )
    return [times_faster(what, nary, plain, _LIMIT)]
