"""The likelihood of a Gaussian process by `linalg.cholesky`, with its gradient, beside jax."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import arenagrad
from arenagrad import linalg
from benchmarks.compiled_peers import Array, check, faster, on_processor, one_processor, peer
from benchmarks.measure import Row, in_turn

_POINT = (1.0, 1.0, 0.1)  # length, variance, noise
_LIMITS = {120: 1.0, 500: None}
Found = tuple[Callable[[], Any] | None, str]


class Observations:
    """Points on a line and what was seen there."""

    def __init__(self, count: int) -> None:
        random = np.random.default_rng(0)
        self.xs: Array = np.sort(random.uniform(0.0, 10.0, count))
        self.ys: Array = np.sin(self.xs) + 0.1 * random.normal(size=count)
        self.squares: Array = (self.xs[:, None] - self.xs) ** 2


def likelihood(seen: Observations, length: Any, variance: Any, noise: Any) -> Any:
    """The negative logarithm, but for a constant; the kernel is written in scalars."""
    n, squares = len(seen.xs), seen.squares.tolist()
    scale = -0.5 / (length * length)
    kernel = [[0.0] * n for _ in range(n)]
    for i in range(n):
        for j in range(i):
            kernel[i][j] = variance * arenagrad.exp(squares[i][j] * scale)
        kernel[i][i] = variance + noise
    factor = linalg.cholesky(kernel)
    y = linalg.solve_triangular(factor, seen.ys, lower=True)
    logarithms = [arenagrad.log(factor[i, i]) for i in range(n)]
    return 0.5 * arenagrad.dot(y, y) + arenagrad.sum(logarithms)


def ours(seen: Observations) -> tuple[Callable[[], Any], Any]:
    """A call of the value and the gradient, and what it gives."""
    compiled = arenagrad.compile(partial(likelihood, seen))
    call = partial(arenagrad.value_and_grad(compiled, argnums=(0, 1, 2)), *_POINT)
    return call, call()


def _jax(seen: Observations, answer: Any) -> Found:
    jax = peer("jax")
    if jax is None:
        return None, "jax is not installed"
    jax.config.update("jax_enable_x64", True)

    def negative(point: Any) -> Any:
        length, variance, noise = point
        smooth = variance * jax.numpy.exp(-0.5 / (length * length) * seen.squares)
        factor = jax.numpy.linalg.cholesky(smooth + noise * jax.numpy.eye(len(seen.xs)))
        y = jax.scipy.linalg.solve_triangular(factor, seen.ys, lower=True)
        return 0.5 * y @ y + jax.numpy.sum(jax.numpy.log(jax.numpy.diag(factor)))

    run, point = jax.jit(jax.value_and_grad(negative)), jax.numpy.asarray(_POINT)

    def call() -> Any:
        return jax.block_until_ready(run(point))

    value, gradient = call()
    check("jax", [answer[0], answer[1]], [value, gradient])
    return call, ""


def _of_size(count: int, rounds: int, repeats: int) -> Row:
    with one_processor():
        seen = Observations(count)
        call, answer = ours(seen)
        other, why = _jax(seen, answer)
        sides = [on_processor(side, repeats) for side in (call, other) if side is not None]
        own, *others = in_turn(rounds, *sides)
    what = f"compiled: Gaussian process on {count} points, value and gradient, jax"
    return faster(what, own, others[0] if others else None, why, _LIMITS[count])


def rows(full: bool) -> list[Row]:
    """Both in turn, on one processor, by LAPACK both."""
    small = _of_size(120, 31 if full else 7, 40)
    return [small, _of_size(500, 7, 3)] if full else [small]
