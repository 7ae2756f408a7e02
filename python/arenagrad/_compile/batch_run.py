"""Compiled functions on the rows of a batch, each row by the way it takes through the function."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from arenagrad._compile.trace_cache import Path
from arenagrad._compile.transforms import Stage, Step
from arenagrad._programs import (
    Batch,
    PyTree,
    clear_arrays,
    divide_arrays,
    first_refused,
    pack_arrays,
)

# What else goes into a program: an object and the axes of its rows, or what finds them in its tree.
More = tuple[Any, Any]
Progress = Callable[[int, int], object] | None


class Ways(Protocol):
    """The ways through a function that are known; see Paths."""

    def of(self, arguments: PyTree) -> list[Path]: ...
    def trace(self, arguments: PyTree, numbers: Any) -> tuple[Path, bool]: ...
    def refuse(self, arguments: PyTree, numbers: Any) -> None: ...


class BatchRun:
    """One call of a compiled function on a batch.

    reduced: the rows have been summed, so that not all results have an axis of rows.
    """

    def __init__(
        self,
        paths: Ways,
        batch: Batch,
        reduced: bool,
        threads: int,
        progress: Progress,
    ) -> None:
        if batch.has_values:
            raise TypeError("a compiled function takes no Values in a batch")
        if not batch.has_rows:
            raise ValueError("in_axes gives none of these arguments an axis of rows")
        self._paths, self._batch, self._reduced = paths, batch, reduced
        self._threads = threads
        self._told = None if progress is None else Told(progress, len(batch))
        self._more: Batch | None = None

    def path(self) -> Path:
        """The way used last for such arguments, or that of the first row."""
        known = self._paths.of(self._batch.tree)
        if known:
            return known[0]
        return self._paths.trace(self._batch.tree, self._batch.row(0))[0]

    def run(self, steps: tuple[Step, ...], more: More | None, mean: bool, out: Any) -> Any:
        """The results; mean: those divided by the number of rows."""
        path = self.path()
        stage = path.stage(steps)
        if more is not None:
            self._more = _read_more(more, stage, len(self._batch))
        results = stage.results.stacked(len(self._batch), not self._reduced)
        room = Room(results, stage.buffered, out, self._batch)
        self._fill(room.arrays, room.stacked, path, steps)
        if mean:
            divide_arrays(room.arrays, len(self._batch))
        return room.result()

    def find_ways(self) -> None:
        """Trace the ways of all rows, in the order of the rows."""
        if self.path().traced.guards:
            self._groups()

    def packed(self, steps: tuple[Step, ...]) -> Any:
        """The numbers of all results in one array, sums not divided yet."""
        path = self.path()
        results = path.stage(steps).results.stacked(len(self._batch), not self._reduced)
        arrays, stacked = results.arrays()
        self._fill(arrays, stacked, path, steps)
        return pack_arrays(arrays)

    def _fill(
        self, leaves: Sequence[Any], stacked: list[bool], path: Path, steps: tuple[Step, ...]
    ) -> None:
        finite, uniform = self._lanes(path, steps).run(
            self._batch,
            path.closure,
            self._more,
            leaves,
            stacked,
            None,
            self._threads,
            self._told,
        )
        if uniform and not finite:
            self._raise_for(path, steps, None)
        if not uniform:
            clear_arrays(leaves)
            for group, rows in self._groups():
                self._add(group, rows, steps, path.stage(steps), leaves, stacked)
        if self._told is not None:
            self._told.end()

    def _lanes(self, path: Path, steps: tuple[Step, ...]) -> Any:
        more = () if self._more is None else tuple(self._more.tree.varying())
        return path.lanes(steps, more)

    def _groups(self) -> list[tuple[Path, list[int]]]:
        """The rows by the way they take, the way that was found first in the first place."""
        groups: list[tuple[Path, list[int]]] = []
        tree, rest = self._batch.tree, list(range(len(self._batch)))
        for path in self._paths.of(tree):
            own, rest = self._split(path, rest)
            if own:
                groups.append((path, own))
            if not rest:
                break
        while rest:
            path, is_new = self._paths.trace(tree, self._batch.row(rest[0]))
            # A row that takes a known way was not recognised since it is not finite there.
            own, others = self._split(path, rest[1:]) if is_new else ([], rest[1:])
            groups.append((path, [rest[0], *own]))
            rest = others
        return sorted(groups, key=lambda group: group[0].number)

    def _split(self, path: Path, rows: list[int]) -> tuple[list[int], list[int]]:
        lanes = path.guard_lanes()
        return lanes.split(self._batch, path.closure, None, rows, self._threads, None)

    def _add(
        self,
        path: Path,
        rows: list[int],
        steps: tuple[Step, ...],
        like: Stage,
        leaves: Sequence[Any],
        stacked: list[bool],
    ) -> None:
        results = path.stage(steps).results
        if not results.same_layout(like.results):
            raise TypeError(
                "the rows of a batch must all give results of one structure, got "
                f"{like.results} and {results}"
            )
        finite, _ = self._lanes(path, steps).run(
            self._batch,
            path.closure,
            self._more,
            leaves,
            stacked,
            rows,
            self._threads,
            self._told,
        )
        if self._told is not None:
            self._told.before += len(rows)
        if not finite:
            self._raise_for(path, steps, rows)

    def _raise_for(self, path: Path, steps: tuple[Step, ...], rows: list[int] | None) -> None:
        """Raise what the function itself raises for the first row that it refuses, if it does."""
        lanes = self._lanes(path, steps)
        _, bad = lanes.split(self._batch, path.closure, self._more, rows, self._threads, None)
        next_bad = 0  # mostly none raises, and then the function need not be run for each
        while True:
            next_bad = first_refused(path.traced, self._batch, path.closure, bad, next_bad)
            if next_bad < 0:
                return
            self._paths.refuse(self._batch.tree, self._batch.row(bad[next_bad]))
            next_bad += 1


class Room:
    """Arrays for the numbers of the results of a batch, some of them stacked, with an axis of rows.

    They are those in `out` where there is one; if rows are read from its memory too, it gets the
    numbers at the end.
    """

    def __init__(self, results: PyTree, buffered: int, out: Any, batch: Batch) -> None:
        self._results, self._out = results, out
        self._kept = None if buffered < 0 or out is None else results.child(0)
        self._late: list[Any] = []
        if out is None:
            self.arrays, self.stacked = results.arrays()
            return
        buffers, stacked = (results if buffered < 0 else results.child(buffered)).buffers(out)
        if batch.overlaps(buffers):
            self._late, buffers = buffers, [buffer.copy() for buffer in buffers]
        arrays, others = ([], []) if self._kept is None else self._kept.arrays()
        self._own = len(arrays)
        self.arrays, self.stacked = arrays + buffers, others + stacked

    def result(self) -> Any:
        """What is to be returned, once the numbers are there."""
        if self._out is None:
            return self._results.make_of_arrays(self.arrays)
        for late, array in zip(self._late, self.arrays[self._own :], strict=False):
            late[...] = array
        if self._kept is None:
            return self._out
        return self._kept.make_of_arrays(self.arrays[: self._own]), self._out


class Told:
    """A progress callback told of rows that are done, ever more of them and at last of all.

    Rows that are worked on again, by the way that they take, are not counted back. Rows before are
    those that are done beside the ones of the run that calls.
    """

    def __init__(self, callback: Callable[[int, int], object], rows: int) -> None:
        self._callback, self._rows = callback, rows
        self._last = self.before = 0

    def __call__(self, done: int, _: int) -> None:
        if self.before + done > self._last:
            self._last = self.before + done
            self._callback(self._last, self._rows)

    def end(self) -> None:
        """All rows are done, which is said if anything was."""
        if 0 < self._last < self._rows:
            self._callback(self._rows, self._rows)


def _read_more(more: More, stage: Stage, rows: int) -> Batch:
    given, axes = more
    assert stage.more_of is not None
    batch = Batch((given,), (axes(stage.more_of) if callable(axes) else axes,), [])
    tree = batch.tree.child(0)
    if batch.has_values or not tree.same_layout(stage.more_of):
        raise TypeError(f"each row must be given {stage.more_of}, got {tree}")
    if batch.has_rows and len(batch) != rows:
        raise ValueError(f"a batch of {rows} rows was given more for {len(batch)} rows")
    return batch
