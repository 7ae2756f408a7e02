"""A batch worked on by an executor of `concurrent.futures`, a chunk of its rows at a time."""

import os
import pickle
import threading
from collections import OrderedDict
from types import FunctionType
from typing import TYPE_CHECKING, Any

from arenagrad._compile.batch_run import BatchRun, Progress, Room
from arenagrad._compile.trace_cache import Path, Paths
from arenagrad._compile.transforms import Step
from arenagrad._programs import Batch, clear_arrays, divide_arrays, put_rows

if TYPE_CHECKING:
    from concurrent.futures import Executor

# A chunk has so many instructions to run, some ten milliseconds, or there are so many chunks.
_WORK = 16_000_000
_MOST_CHUNKS = 64


def map_rows(
    paths: Paths,
    batch: Batch,
    steps: tuple[Step, ...],
    reduced: bool,
    mean: bool,
    threads: int,
    progress: Progress,
    executor: "Executor | None",
    chunksize: int | None,
    out: Any,
) -> Any:
    """What BatchRun.run gives, by an executor or, without one, here.

    All ways are traced here first, so that nothing depends on who works on what.
    """
    whole = BatchRun(paths, batch, reduced, threads, None)
    path, rows = whole.path(), len(batch)
    stage = path.stage(steps)
    whole.find_ways()
    results = stage.results.stacked(rows, not reduced)
    room = Room(results, stage.buffered, out, batch)
    leaves, stacked = room.arrays, room.stacked
    clear_arrays(leaves)
    ways = _shipment(paths, path, type(executor).__module__ == "concurrent.futures.process")
    if chunksize is None:
        first_found = min(ways.paths.all(), key=lambda path: path.number)
        work = len(first_found.program(steps))
        chunksize = max(-(-_WORK // max(work, 1)), -(-rows // _MOST_CHUNKS))
    ends = [(k, min(k + chunksize, rows)) for k in range(0, rows, chunksize)]
    chunks = [Chunk(ways, batch.part(*some), steps, reduced, threads) for some in ends]
    futures = [] if executor is None else [executor.submit(chunk) for chunk in chunks]
    try:
        for k, (first, last) in enumerate(ends):
            packed = futures[k].result() if futures else chunks[k]()
            put_rows(leaves, stacked, packed, first, last - first, rows)
            if progress is not None:
                progress(last, rows)
    finally:
        for future in futures:
            future.cancel()
    if mean:
        divide_arrays(leaves, rows)
    return room.result()


def _shipment(paths: Paths, path: Path, shares_main: bool) -> "Shipment":
    """The ways for such arguments, as they were shipped last if they are still the same.

    The processes have them then, and need not compile them again.
    """
    ways, last = paths.like(path), paths.shipped
    if isinstance(last, Shipment) and last.holds(ways, shares_main):
        return last
    shipment = paths.shipped = Shipment(ways, shares_main)
    return shipment


class Chunk:
    """Some rows to be worked on: called, it gives the numbers of their results in one array.

    In a pickle it is numbers and a Shipment: what stands in the structure of a row, such as a
    Module, must be the object that the ways were traced with.
    """

    def __init__(
        self, ways: "Shipment", batch: Batch, steps: tuple[Step, ...], reduced: bool, threads: int
    ) -> None:
        self._ways, self._batch, self._how = ways, batch, (steps, reduced, threads)

    def __call__(self) -> Any:
        steps, reduced, threads = self._how
        return BatchRun(self._ways.paths, self._batch, reduced, threads, None).packed(steps)

    def __reduce__(self) -> tuple[Any, ...]:
        return _chunk, (self._ways, *self._batch.numbers(), *self._how)


def _chunk(ways: "Shipment", first: Any, varying: Any, *how: Any) -> Chunk:
    tree = ways.paths.all()[0].arguments
    return Chunk(ways, Batch.of_numbers(tree, first, varying), *how)


class Shipment:
    """Ways on their way to other processes: pickled once for all chunks, unpickled once in each.

    Unless pickle cannot do it, or would name things of a `__main__` that the other processes do not
    share: then each chunk has them by its own pickler, such as cloudpickle, which knows more.
    """

    def __init__(self, paths: Paths, shares_main: bool = False) -> None:
        self.paths, self._shares_main = paths, shares_main
        self._name, self._bytes = os.urandom(16), b""
        self._can_pickle = True

    def holds(self, paths: Paths, shares_main: bool) -> bool:
        """Whether it is a shipment of these ways, and they pickle as they did.

        Modules, closures and functions that are objects come with what they hold at the time.
        """
        ways = paths.all()
        return (
            self._shares_main == shares_main
            and isinstance(paths.function, FunctionType)
            and set(ways) == set(self.paths.all())
            and not any(path.arguments.has_modules or len(path.closure) for path in ways)
        )

    def __reduce__(self) -> tuple[Any, ...]:
        if self._can_pickle and not self._bytes:
            try:
                self._bytes = pickle.dumps(self.paths, pickle.HIGHEST_PROTOCOL)
            except (pickle.PicklingError, AttributeError, TypeError):
                self._can_pickle = False
            if b"__main__" in self._bytes and not self._shares_main:
                self._can_pickle = False
        if not self._can_pickle:
            return Shipment, (self.paths,)
        return _arrived, (self._name, self._bytes)


_ARRIVED: OrderedDict[bytes, Shipment] = OrderedDict()
_MOST_ARRIVED = 4
_lock = threading.Lock()


def _arrived(name: bytes, content: bytes) -> Shipment:
    with _lock:
        known = _ARRIVED.get(name)
    if known is not None:
        return known
    shipment = Shipment(pickle.loads(content))
    with _lock:
        _ARRIVED[name] = shipment
        while len(_ARRIVED) > _MOST_ARRIVED:
            _ARRIVED.popitem(last=False)
    return shipment
