"""A batch worked on by an executor of `concurrent.futures`, a chunk of its rows at a time."""

import os
import pickle
import threading
from collections import OrderedDict
from types import FunctionType
from typing import TYPE_CHECKING, Any

from arenagrad._compile.batch_run import BatchRun, Progress, Reduction
from arenagrad._compile.trace_cache import TraceCache, TraceVariant
from arenagrad._compile.transforms import Chain, axes_of_results
from arenagrad._core.compiled import Batch, clear_arrays, divide_arrays, put_rows

if TYPE_CHECKING:
    from concurrent.futures import Executor

# A chunk has so many instructions to run, some ten milliseconds, or there are so many chunks.
_INSTRUCTIONS_PER_CHUNK = 16_000_000
_MOST_CHUNKS = 64


def map_rows(
    cache: TraceCache,
    batch: Batch,
    chain: Chain,
    reduction: Reduction,
    threads: int,
    progress: Progress,
    executor: "Executor | None",
    chunksize: int | None,
    out: Any,
    out_axes: Any,
) -> Any:
    """What BatchRun.run gives, by an executor or, without one, here.

    All variants are traced here first, so that nothing depends on which worker gets which rows.
    """
    whole = BatchRun(cache, batch, reduction, threads, None)
    variant, rows = whole.variant(), len(batch)
    derived = variant.derived(chain)
    whole.trace_all_rows()
    buffers = whole.buffers(derived, out, axes_of_results(chain, out_axes))
    leaves, stacked = buffers.arrays, buffers.stacked
    clear_arrays(leaves)
    in_processes = type(executor).__module__ == "concurrent.futures.process"
    shipment = _shipment_for(cache, variant, in_processes)
    if chunksize is None:
        chunksize = _default_chunksize(shipment.cache, chain, rows)
    ends = [(k, min(k + chunksize, rows)) for k in range(0, rows, chunksize)]
    chunks = [
        Chunk(shipment, batch.part(*some), chain, reduction, threads, some[0]) for some in ends
    ]
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
    if reduction.is_mean:
        divide_arrays(leaves, rows)
    return buffers.result()


def _default_chunksize(cache: TraceCache, chain: Chain, rows: int) -> int:
    """As many rows as are worth a task of their own, and not less than a 64th of all."""
    first_found = min(cache.all(), key=lambda variant: variant.number)
    instructions = max(len(first_found.program(chain)), 1)
    return max(-(-_INSTRUCTIONS_PER_CHUNK // instructions), -(-rows // _MOST_CHUNKS))


def _shipment_for(cache: TraceCache, variant: TraceVariant, shares_main: bool) -> "Shipment":
    """The variants for such arguments, as they were shipped last if they are still the same.

    The processes have these already, and need not unpickle them again.
    """
    like, last = cache.like(variant), cache.shipped
    if isinstance(last, Shipment) and last.holds(like, shares_main):
        return last
    shipment = cache.shipped = Shipment(like, shares_main)
    return shipment


class Chunk:
    """Some rows to be worked on: called, it gives the numbers of their results in one array.

    In a pickle it is numbers and a Shipment: objects in the structure of a row, such as a Module,
    must be those that the variants were traced with.
    """

    def __init__(
        self,
        shipment: "Shipment",
        batch: Batch,
        chain: Chain,
        reduction: Reduction,
        threads: int,
        first_row: int,
    ) -> None:
        self._shipment, self._batch = shipment, batch
        self._settings = chain, reduction, threads, first_row

    def __call__(self) -> Any:
        chain, reduction, threads, first_row = self._settings
        run = BatchRun(self._shipment.cache, self._batch, reduction, threads, None, first_row)
        return run.packed(chain)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored_chunk, (self._shipment, *self._batch.numbers(), *self._settings)


def _restored_chunk(shipment: "Shipment", first: Any, varying: Any, *settings: Any) -> Chunk:
    tree = shipment.cache.all()[0].arguments
    return Chunk(shipment, Batch.of_numbers(tree, first, varying), *settings)


class Shipment:
    """Variants for other processes: pickled once for all chunks, unpickled once in each process.

    If pickle cannot do that, or would name things of a `__main__` that the other processes do not
    share, each chunk brings them by its own pickler, such as cloudpickle, which can do more.
    """

    def __init__(self, cache: TraceCache, shares_main: bool = False) -> None:
        self.cache, self._shares_main = cache, shares_main
        self._name, self._bytes = os.urandom(16), b""
        self._can_pickle = True

    def holds(self, cache: TraceCache, shares_main: bool) -> bool:
        """Whether it is a shipment of these variants, and they pickle as they did.

        Modules, closures and functions that are objects are pickled with what they hold now, so
        variants with any of these are shipped anew.
        """
        variants = cache.all()
        return (
            self._shares_main == shares_main
            and isinstance(cache.function, FunctionType)
            and set(variants) == set(self.cache.all())
            and not any(v.arguments.has_modules or len(v.closure) for v in variants)
        )

    def __reduce__(self) -> tuple[Any, ...]:
        if self._can_pickle and not self._bytes:
            try:
                self._bytes = pickle.dumps(self.cache, pickle.HIGHEST_PROTOCOL)
            except (pickle.PicklingError, AttributeError, TypeError):
                self._can_pickle = False
            if b"__main__" in self._bytes and not self._shares_main:
                self._can_pickle = False
        if not self._can_pickle:
            return Shipment, (self.cache,)
        return _received, (self._name, self._bytes)


_RECEIVED: OrderedDict[bytes, Shipment] = OrderedDict()
_MOST_RECEIVED = 4
_lock = threading.Lock()


def _received(name: bytes, content: bytes) -> Shipment:
    """The shipment of this name, unpickled unless this process has it already."""
    with _lock:
        known = _RECEIVED.get(name)
    if known is not None:
        return known
    shipment = Shipment(pickle.loads(content))
    with _lock:
        _RECEIVED[name] = shipment
        while len(_RECEIVED) > _MOST_RECEIVED:
            _RECEIVED.popitem(last=False)
    return shipment
