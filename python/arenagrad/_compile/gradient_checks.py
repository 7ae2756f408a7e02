"""Derivatives compared with differences."""

from collections.abc import Callable, Sequence
from typing import Any

from arenagrad._compile.api import jacfwd, jacrev
from arenagrad._compile.leaves import Leaves

_MODES = {"fwd": jacfwd, "rev": jacrev}


def check_grads(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    order: int = 2,
    modes: Sequence[str] = ("fwd", "rev"),
    atol: float = 1e-6,
    rtol: float = 1e-6,
    eps: float = 1e-3,
) -> None:
    """Compare the derivatives of a function with differences of it.

    Args:
        f: the function, of numbers, arrays and structures of such.
        args: a tuple with all arguments.
        order: up to which order derivatives are compared, each with differences of the order below.
        modes: by tangents ("fwd"), by reverse sweeps ("rev"), or both.
        atol: how far a derivative may be from the difference.
        rtol: the same for a derivative of 1.
        eps: the step of the differences beside an argument of 1.

    Raises:
        AssertionError: where they are further apart. It names the entry, both numbers and the step.
        ValueError: for an unknown mode.

    Cost: four calls of the derivative of the order below for each number of the arguments.
    Source: Fornberg, "Generation of finite difference formulas on arbitrarily spaced grids", 1988,
    for the central difference of fourth order.

    >>> check_grads(lambda x: x**3, (2.0,), order=3)
    """
    unknown = [mode for mode in modes if mode not in _MODES]
    if unknown:
        raise ValueError(f"modes must be 'fwd' and 'rev', got {unknown[0]!r}")
    given = Leaves(args)

    def flat(*xs: Any) -> list[Any]:
        return Leaves(f(*given.like(xs))).leaves

    for mode in modes:
        below: Callable[..., Any] = flat
        for level in range(1, order + 1):
            derivative = _MODES[mode](below, argnums=tuple(range(len(given.leaves))))
            where = f"derivative of order {level} ({mode})"
            _compare(where, below, derivative, given.leaves, (atol, rtol, eps))
            below = _in_a_row(derivative)


def _in_a_row(derivative: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *xs: [entry for row in derivative(*xs) for entry in row]


def _compare(
    where: str,
    below: Callable[..., Any],
    derivative: Callable[..., Any],
    leaves: list[float],
    limits: tuple[float, float, float],
) -> None:
    atol, rtol, eps = limits
    found = derivative(*leaves)
    for column, number in enumerate(leaves):
        step = eps * max(1.0, abs(number))
        ends = []
        for turn in (-2, -1, 1, 2):
            moved = [*leaves]
            moved[column] = number + turn * step
            ends.append(below(*moved))
        for row, (a, b, c, d) in enumerate(zip(*ends, strict=True)):
            difference = (a - 8.0 * b + 8.0 * c - d) / (12.0 * step)
            entry = found[row][column]
            if not abs(entry - difference) <= atol + rtol * abs(difference):
                raise AssertionError(
                    f"{where} of number {row} of the results by number {column} of the arguments: "
                    f"{entry!r}, but differences with the step {step:.3g} give {difference!r}"
                )


check_grads.__module__ = "arenagrad"
