"""A batch on two threads beside one."""

import os

from benchmarks import compiled_batch
from benchmarks.compiled_peers import Problem, check, missing, on_processor
from benchmarks.measure import Row, in_turn, seconds_of, times_faster, times_slower

_ROWS = 10_000
_LIMIT = 1.8


def rows(full: bool) -> list[Row]:
    """The fastest rounds of both: whatever else the machine does takes the second processor away.

    So the row only means something on a machine that does nothing else. Beside it stands how much
    more processor time two threads take, which always does.
    """
    what = f"compiled: two threads on a batch of {_ROWS:,} rows, MLP 2-64-64-1, beside one"
    if len(os.sched_getaffinity(0)) < 2:
        return [missing(what, "only one processor may be used", _LIMIT)]
    problem = Problem(64, _ROWS)
    (one, answer), (two, other) = (compiled_batch.ours(problem, threads) for threads in (1, 2))
    check("two threads", answer, other)
    rounds = 401 if full else 101
    times = [(seconds_of(two), seconds_of(one)) for _ in range(rounds)]
    ours, theirs = (min(column) for column in zip(*times, strict=True))
    sides = in_turn(rounds // 10, on_processor(two, 1), on_processor(one, 1))
    return [
        times_faster(what, ours, theirs, _LIMIT),
        times_slower(f"{what}, processor time of both", *sides),
    ]
