"""A batch on two threads beside one."""

import os

from benchmarks import compiled_batch
from benchmarks.compiled_peers import Problem, check, missing
from benchmarks.measure import Row, seconds_of, times_faster

_ROWS = 20_000
_LIMIT = 1.8


def rows(full: bool) -> list[Row]:
    """The fastest rounds of both, since others on the machine can only take the second core away.

    Not their processor time, which is what two threads do not save.
    """
    what = f"compiled: two threads on a batch of {_ROWS:,} rows, MLP 2-64-64-1, beside one"
    if len(os.sched_getaffinity(0)) < 2:
        return [missing(what, "only one processor may be used", _LIMIT)]
    problem = Problem(64, _ROWS)
    (one, answer), (two, other) = (compiled_batch.ours(problem, threads) for threads in (1, 2))
    check("two threads", answer, other)
    times = [(seconds_of(two), seconds_of(one)) for _ in range(61 if full else 15)]
    ours, theirs = (min(column) for column in zip(*times, strict=True))
    return [times_faster(what, ours, theirs, _LIMIT)]
