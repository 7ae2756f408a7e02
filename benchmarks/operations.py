"""What each operation of the table costs beyond the C function it is made of.

Both are called from Python in the same way, `exp(v)` on a Value and `math.exp(x)` on a float: the
difference is the price of recording.
"""

import math
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import arenagrad
from arenagrad import Value, _core
from benchmarks.measure import DifferentAnswersError, Row, duration

_LIMIT = 25e-9
_CALLS = 2_000
# C's own names where NumPy's differ, and the function that a formula is made of where C has none.
_IN_C = {
    **{"arc" + name: "a" + name for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "tan2")},
    **{"power": "pow", "sigmoid": "exp", "silu": "exp", "softplus": "log1p", "gelu": "erfc"},
    **{"elu": "expm1", "hypot": "atan2", "lgamma": "lgamma"},
    **{"remainder": "fmod", "floor_divide": "fmod", "logaddexp": "log1p", "log_sigmoid": "log1p"},
    **{"norm_cdf": "erfc", "log_norm_cdf": "log", "digamma": "lgamma", "erfinv": "erfc"},
    "norm_ppf": "erfc",
}
_PLAIN = "fabs"  # for those that are a comparison or a product
_ALSO = {
    **dict.fromkeys(("softplus", "gelu", "logaddexp", "log_sigmoid", "norm_cdf"), "exp"),
    "log_norm_cdf": "erfc",
}  # the other function of those that are made of two


def _loop(call: Callable[..., Any], arguments: tuple[Any, ...]) -> float:
    """Seconds of one call. Results are dropped at once, so the arena stays as it is."""
    turns = range(_CALLS)
    if len(arguments) == 1:
        (a,) = arguments
        start = perf_counter()
        for _ in turns:
            call(a)
        return (perf_counter() - start) / _CALLS
    a, b = arguments
    start = perf_counter()
    for _ in turns:
        call(a, b)
    return (perf_counter() - start) / _CALLS


def _beyond(row: Any, rounds: int) -> tuple[float, float]:
    """The seconds of one recorded operation, and of C's function called on floats."""
    name = row["name"]
    ours: Callable[..., Any] = getattr(arenagrad, name)
    library: Callable[..., float] = getattr(math, _IN_C.get(name, name), None) or getattr(
        math, _PLAIN
    )
    a = 0.5 * (row["low"] + row["high"]) + 0.25
    numbers = (a, 0.9 * a)[: row["arity"]]
    values = tuple(map(Value, numbers))
    if ours(*values).item() != ours(*numbers):
        raise DifferentAnswersError(f"{name} of Values and of floats differ at {numbers}")
    plain = numbers if library in (math.pow, math.atan2, math.fmod) else numbers[:1]
    also: Callable[..., float] = getattr(math, _ALSO.get(name, _PLAIN))

    def in_c() -> float:
        # Of a second function what it takes within C: called from Python, beyond one that is nearly
        # nothing.
        if name not in _ALSO:
            return _loop(library, plain)
        return _loop(library, plain) + _loop(also, plain) - _loop(math.fabs, plain)

    times = [(_loop(ours, values), in_c()) for _ in range(rounds)]
    return median(t[0] for t in times), median(t[1] for t in times)


def rows(full: bool) -> list[Row]:
    """One row for the operation that costs most beyond its function, one for the median.

    With full, one for each operation besides.
    """
    table = [row for row in _core.op_table() if row["name"] not in ("add", "multiply", "pow")]
    costs = {row["name"]: _beyond(row, 15 if full else 5) for row in table}
    over = {name: ours - library for name, (ours, library) in costs.items()}
    ranked = sorted(over, key=lambda name: over[name])

    def line(what: str, name: str, limit: bool) -> Row:
        return Row(
            f"{what}, `{name}`",
            duration(costs[name][0]),
            duration(costs[name][1]),
            f"{over[name] * 1e9:.1f} ns more",
            "at most 25 ns" if limit else "-",
            over[name] <= _LIMIT if limit else None,
            {"ours_seconds": costs[name][0], "other_seconds": costs[name][1]},
        )

    found = [
        line("the dearest operation beyond its C function", ranked[-1], True),
        line("the median operation beyond its C function", ranked[len(ranked) // 2], False),
    ]
    return found + [line("an operation", name, True) for name in ranked] if full else found
