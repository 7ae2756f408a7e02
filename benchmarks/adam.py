"""A step of Adam over the parameters of a small GPT, here and on NumPy arrays."""

from collections.abc import Callable
from functools import partial

import numpy as np

from arenagrad import Value, optim
from benchmarks.measure import DifferentAnswersError, Row, duration, in_turn, stepping

PARAMETERS = 4_192
_MOST_US = 30.0
_STEPS = 200  # in each turn
_RATE, _BETA1, _BETA2, _EPS = 1e-3, 0.9, 0.999, 1e-8


class ArrayAdam:
    """Adam on one array: the fewest passes NumPy needs, each into memory that is there already."""

    def __init__(self, data: np.ndarray, grad: np.ndarray) -> None:
        self.data, self.grad = data, grad
        self.mean, self.square, self.one, self.other = np.zeros((4, data.size))
        self.steps = 0

    def step(self) -> None:
        """One update in place."""
        self.steps += 1
        np.subtract(self.grad, self.mean, out=self.one)
        self.one *= 1 - _BETA1
        self.mean += self.one
        self.square *= _BETA2
        np.multiply(self.grad, 1 - _BETA2, out=self.one)
        self.one *= self.grad
        self.square += self.one
        np.sqrt(self.square, out=self.one)
        self.one /= (1 - _BETA2**self.steps) ** 0.5
        self.one += _EPS
        np.multiply(self.mean, _RATE / (1 - _BETA1**self.steps), out=self.other)
        self.other /= self.one
        self.data -= self.other


def sides(scattered: bool) -> tuple[optim.Adam, ArrayAdam]:
    """The same parameters and gradients for both; scattered puts them in another order than made.

    The gradients stay what they are: what a step costs does not depend on them.
    """
    draw = np.random.default_rng(7)
    values = [Value(0.0) for _ in range(PARAMETERS)]
    if scattered:
        draw.shuffle(values)
    data, grad = draw.normal(size=(2, PARAMETERS))
    for value, x, g in zip(values, data.tolist(), grad.tolist(), strict=True):
        value.data, value.grad = x, g
    return optim.Adam(values, _RATE, (_BETA1, _BETA2), _EPS), ArrayAdam(data, grad)


def check(ours: optim.Adam, theirs: ArrayAdam) -> None:
    """Raise DifferentAnswersError unless ten steps of both end at the same parameters."""
    for _ in range(10):
        ours.step()
        theirs.step()
    found = np.array([value.data for value in ours.params])
    worst = float(np.abs(found - theirs.data).max())
    if not worst <= 1e-12:
        raise DifferentAnswersError(f"parameters after ten steps of Adam differ by {worst:g}")


def _zero_in_python(values: tuple[Value, ...]) -> None:
    for value in values:
        value.grad = 0.0


def rows(full: bool) -> list[Row]:
    """A step with the parameters as made and in another order, and zero_grad."""
    found = []
    rounds = 31 if full else 11
    for scattered in (False, True):
        ours, theirs = sides(scattered)
        check(ours, theirs)
        order = "in another order" if scattered else "as a model makes them"
        target = None if scattered else _MOST_US
        what = f"step of Adam, {PARAMETERS:,} parameters {order}"
        found.append(_row(what, "NumPy arrays", target, rounds, ours.step, theirs.step))
    loop = partial(_zero_in_python, ours.params)
    found.append(_row("zero_grad of those", "a loop in Python", None, rounds, ours.zero_grad, loop))
    return found


def _row(
    what: str,
    other: str,
    most: float | None,
    rounds: int,
    step: Callable[[], object],
    their_step: Callable[[], object],
) -> Row:
    sides_of_row = [stepping(side, _STEPS, True) for side in (step, their_step)]
    ours, theirs = in_turn(rounds, *sides_of_row)
    return Row(
        what,
        duration(ours),
        f"{duration(theirs)} ({other})",
        f"{theirs / ours:.2f} times",
        "-" if most is None else f"at most {most:g} us",
        None if most is None else ours * 1e6 <= most,
        {"ours_seconds": ours, "other_seconds": theirs},
    )
