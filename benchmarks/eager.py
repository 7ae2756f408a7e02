"""A loop written once, on Values and on Python floats: the price of recording."""

from collections.abc import Callable
from types import FunctionType
from typing import Any

from arenagrad import Value
from benchmarks.measure import Row, in_turn, same_bits, seconds_of, times_slower

LEAVES = 64
OPERATIONS = 3  # of an iteration
_LIMIT = 1.25


def run(xs: list[Any], ys: list[Any], n: int) -> Any:
    """The sum of n halved products of elements of xs and ys, both LEAVES long."""
    s = xs[0]
    for i in range(n):
        s = s + (xs[i & 63] * ys[i & 63]) * 0.5
    return s


def numbers() -> list[float]:
    """LEAVES numbers without round binary fractions; their products stay near 1."""
    return [1.0 + (i * 37 % LEAVES - 31.5) / 97.0 for i in range(LEAVES)]


def other_half_first(xs: list[Any]) -> list[Any]:
    """The same elements, so that run has LEAVES leaves and never multiplies one by itself."""
    return xs[LEAVES // 2 :] + xs[: LEAVES // 2]


def _own_copy() -> Callable[[list[Any], list[Any], int], Any]:
    """Run, with bytecode of its own.

    Since 3.11 the interpreter specialises bytecode for the types it meets. In a program that uses
    one type it would do so for that type, so here each side gets code that meets only its own.
    """
    return FunctionType(run.__code__.replace(), globals(), "run")


def _row(n: int, repeats: int, rounds: int, limit: float | None, note: str) -> Row:
    floats = numbers()
    values = [Value(x) for x in floats]
    float_ys, value_ys = other_half_first(floats), other_half_first(values)
    on_floats, on_values = _own_copy(), _own_copy()
    same_bits(
        f"the sum after {n:,} iterations",
        [on_values(values, value_ys, n).data],
        [on_floats(floats, float_ys, n)],
    )

    def ours() -> float:
        return sum(seconds_of(lambda: on_values(values, value_ys, n)) for _ in range(repeats))

    def others() -> float:
        return sum(seconds_of(lambda: on_floats(floats, float_ys, n)) for _ in range(repeats))

    times = [time / repeats for time in in_turn(rounds, ours, others)]
    return times_slower(
        f"eager loop, {n:,} iterations{note}",
        times[0],
        times[1],
        limit,
        operations=n * OPERATIONS,
    )


def rows(full: bool) -> list[Row]:
    """The loop in the caches, where a graph is dropped and its memory used again, and beyond."""
    rounds = 31 if full else 11
    found = [_row(30_000, 5, rounds, _LIMIT, " (in the caches)")]
    if full:
        found += [_row(n, 100_000 // n, rounds, None, "") for n in (1_000, 10_000, 100_000)]
    return [*found, _row(1_000_000, 1, rounds, _LIMIT, " (fresh memory)")]
