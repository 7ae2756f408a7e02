"""What every benchmark here shares: rounds in turn, medians, the setting, and the table of rows."""

import platform
import struct
import sysconfig
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

from arenagrad import __version__, build_info
from arenagrad._cli import bench, info

HEADINGS = ("what", "ours", "the other", "ratio or figure", "to reach", "reached")


class DifferentAnswersError(Exception):
    """The two sides computed different numbers, so their times mean nothing."""


class NotMeasurableError(Exception):
    """Something that this benchmark needs is not here; the message says what."""


@dataclass(frozen=True)
class Row:
    """One line of the table: texts for the reader, and the bare numbers behind them.

    reached is None where the row is there for information and has no target.
    """

    what: str
    ours: str
    other: str
    figure: str
    target: str = "-"
    reached: bool | None = None
    numbers: dict[str, float] = field(default_factory=dict)

    def cells(self) -> tuple[str, ...]:
        """The texts in the order of HEADINGS."""
        verdict = {True: "yes", False: "no", None: "-"}[self.reached]
        return (self.what, self.ours, self.other, self.figure, self.target, verdict)


def duration(seconds: float) -> str:
    """A time in the unit that suits it, three or four digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if abs(seconds) >= size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds / 1e-9:.4g} ns"


def times_slower(
    what: str, ours: float, other: float, limit: float | None = None, *, operations: int = 0
) -> Row:
    """A row whose figure is how many times the other's seconds ours took: small is good.

    With operations, both times are shown for one of that many operations.
    """
    ratio = ours / other
    reached = None if limit is None else ratio <= limit
    target = "-" if limit is None else f"at most {limit:g}"
    return _ratio(what, ours, other, ratio, target, reached, operations)


def times_faster(what: str, ours: float, other: float, limit: float | None = None) -> Row:
    """A row whose figure is how many times our seconds the other took: large is good."""
    ratio = other / ours
    reached = None if limit is None else ratio >= limit
    target = "-" if limit is None else f"at least {limit:g}"
    return _ratio(what, ours, other, ratio, target, reached, 0)


def _ratio(
    what: str,
    ours: float,
    other: float,
    ratio: float,
    target: str,
    reached: bool | None,
    operations: int,
) -> Row:
    texts = [duration(ours), duration(other)]
    if operations:
        texts = [
            f"{duration(seconds)}, {seconds / operations * 1e9:.2f} ns each"
            for seconds in (ours, other)
        ]
    numbers = {"ours_seconds": ours, "other_seconds": other, "ratio": ratio}
    figure = f"{ratio:.2f} times" if ratio < 20 else f"{ratio:.0f} times"
    return Row(what, texts[0], texts[1], figure, target, reached, numbers)


def seconds_of(call: Callable[[], object]) -> float:
    """The time of one call. What it returns is dropped after the clock has stopped."""
    start = perf_counter()
    result = call()
    stop = perf_counter()
    del result
    return stop - start


def stepping(step: Callable[[], object], repeats: int, collector: bool) -> Callable[[], float]:
    """A side for in_turn: the mean time of some steps, with Python's cyclic collector on or off."""
    return lambda: sum(bench.seconds(step, repeats, collector)) / repeats


def in_turn(rounds: int, *sides: Callable[[], float]) -> list[float]:
    """The median of the seconds that each side reports, all sides having their turn each round.

    So whatever slows the machine down for a while slows all sides down.
    """
    times: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds):
        for measured, side in zip(times, sides, strict=True):
            measured.append(side())
    return [median(measured) for measured in times]


def same_bits(what: str, ours: Sequence[float], other: Sequence[float]) -> None:
    """Raise DifferentAnswersError, saying where, unless the numbers are the same bit for bit."""
    if len(ours) != len(other):
        raise DifferentAnswersError(f"{what}: {len(ours)} numbers and {len(other)}")
    for i, (a, b) in enumerate(zip(ours, other, strict=True)):
        if struct.pack("d", a) != struct.pack("d", b):
            raise DifferentAnswersError(f"{what}: number {i} is {a!r} here and {b!r} there")


def setting() -> dict[str, object]:
    """All that a reader needs to judge the times: machine, versions, how both were built."""
    build = build_info()
    return {
        "CPU": info.cpu_name(),
        "platform": platform.platform(),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "CONFIG_ARGS": sysconfig.get_config_var("CONFIG_ARGS") or "unknown",
        "arenagrad": __version__,
        "compiler": build["compiler"],
        "flags": build["flags"],
        "numpy": info.version_of("numpy"),
        "micrograd": info.version_of("micrograd"),
    }


def table(rows: Iterable[Row]) -> str:
    """The rows as an aligned Markdown table."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
    texts = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([texts[0], rule, *texts[1:]])
