"""Compiled functions on the rows of a batch, each row by the way it takes through the function."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from arenagrad._paths import Path
from arenagrad._programs import (
    Batch,
    Tree,
    clear_arrays,
    divide_arrays,
    pack_arrays,
)
from arenagrad._stages import Stage, Step

# What else goes into a program: an object and the axes of its rows.
More = tuple[Any, Any]
Progress = Callable[[int, int], object] | None


class Ways(Protocol):
    """The ways through a function that are known; see Paths."""

    def of(self, arguments: Tree) -> list[Path]: ...
    def trace(self, arguments: Tree, numbers: Any) -> tuple[Path, bool]: ...
    def refuse(self, arguments: Tree, numbers: Any) -> None: ...


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
        self._threads, self._progress = threads, progress
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
        leaves = leaves_for(results, stage.buffered, out)
        self._fill(leaves, results.leaf_varies(), path, steps)
        if mean:
            divide_arrays(leaves, len(self._batch))
        return result_of(results, stage.buffered, leaves, out)

    def find_ways(self) -> None:
        """Trace the ways of all rows, in the order of the rows."""
        if self.path().traced.guards:
            self._groups()

    def packed(self, steps: tuple[Step, ...]) -> Any:
        """The numbers of all results in one array, sums not divided yet."""
        path = self.path()
        results = path.stage(steps).results.stacked(len(self._batch), not self._reduced)
        leaves = results.arrays()
        self._fill(leaves, results.leaf_varies(), path, steps)
        return pack_arrays(leaves)

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
            self._progress,
        )
        if uniform and not finite:
            self._raise_for(path, steps, None)
        if not uniform:
            clear_arrays(leaves)
            for group, rows in self._groups():
                self._add(group, rows, steps, path.stage(steps), leaves, stacked)

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
        return lanes.split(self._batch, path.closure, None, rows, self._threads, self._progress)

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
            self._progress,
        )
        if not finite:
            self._raise_for(path, steps, rows)

    def _raise_for(self, path: Path, steps: tuple[Step, ...], rows: list[int] | None) -> None:
        """Raise what the function itself raises for the first row that it refuses, if it does."""
        lanes = self._lanes(path, steps)
        _, bad = lanes.split(
            self._batch, path.closure, self._more, rows, self._threads, self._progress
        )
        for row in bad:
            self._paths.refuse(self._batch.tree, self._batch.row(row))


def result_of(results: Tree, buffered: int, leaves: list[Any], out: Any) -> Any:
    """The results whose numbers are in the leaves."""
    if out is None:
        return results.make_of_arrays(leaves)
    if buffered < 0:
        return out
    kept = results.child(0)
    return kept.make_of_arrays(leaves[: len(kept.leaf_varies())]), out


def leaves_for(results: Tree, buffered: int, out: Any) -> list[Any]:
    """Arrays for the numbers of the results, in `out` where there is one."""
    if out is None:
        return results.arrays()
    if buffered < 0:
        return results.buffers(out)
    return [*results.child(0).arrays(), *results.child(buffered).buffers(out)]


def _read_more(more: More, stage: Stage, rows: int) -> Batch:
    given, axes = more
    batch = Batch((given,), (axes,), [])
    tree = batch.tree.child(0)
    assert stage.more_of is not None
    if batch.has_values or not tree.same_layout(stage.more_of):
        raise TypeError(f"each row must be given {stage.more_of}, got {tree}")
    if batch.has_rows and len(batch) != rows:
        raise ValueError(f"a batch of {rows} rows was given more for {len(batch)} rows")
    return batch
