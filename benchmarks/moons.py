"""A training step of micrograd's demonstration, here and in pure micrograd."""

import importlib.util
from collections.abc import Callable

from arenagrad._cli import bench, moons
from benchmarks.measure import (
    DifferentAnswersError,
    NotMeasurableError,
    Row,
    in_turn,
    stepping,
    times_faster,
)

_SEED = 1337
_RATE = 0.1
_OUR_STEPS = 20  # in each turn: one alone is too short to time well


def _stepper(engine: moons.Engine, problem: moons.Problem) -> Callable[[], object]:
    model = moons.make_model(engine, _SEED)
    return lambda: moons.step(engine, model, problem, _RATE)


def rows(full: bool) -> list[Row]:
    """The step against pure micrograd with Python's cyclic collector on, its default, and off.

    Ours runs with the collector on. micrograd's graphs are cyclic garbage: with the collector on it
    is searched for again and again, with it off it is left lying until the clock has stopped.
    """
    theirs = bench.micrograd_engine()
    if theirs is None:
        raise NotMeasurableError("micrograd is not installed")
    if importlib.util.find_spec("sklearn") is None:
        raise NotMeasurableError("scikit-learn, which draws the points, is not installed")
    ours = moons.arenagrad_engine()
    problem = moons.make_problem(_SEED)
    try:
        bench.check(ours, theirs, problem)
    except SystemExit as error:
        raise DifferentAnswersError(str(error)) from None
    our_step, their_step = _stepper(ours, problem), _stepper(theirs, problem)
    bench.seconds(our_step, 3, True)  # warm up

    our_time, collected, uncollected = in_turn(
        15 if full else 3,
        stepping(our_step, _OUR_STEPS, True),
        stepping(their_step, 1, True),
        stepping(their_step, 1, False),
    )
    what = "moons training step, 100 points, against micrograd"
    return [
        times_faster(f"{what}, gc on", our_time, collected, 600),
        times_faster(f"{what}, gc off", our_time, uncollected, 100),
    ]
