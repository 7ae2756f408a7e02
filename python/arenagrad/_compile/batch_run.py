"""Compiled functions on the rows of a batch, each row by the variant that it takes."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from arenagrad._compile.naming import names_in_errors
from arenagrad._compile.trace_cache import TraceVariant
from arenagrad._compile.transforms import Chain, DerivedProgram, axes_of_results
from arenagrad._core.compiled import (
    Batch,
    BatchExecutable,
    PyTree,
    clear_arrays,
    divide_arrays,
    pack_arrays,
    refusal,
    split_refused,
)

Progress = Callable[[int, int], object] | None
RowsOfVariant = tuple[TraceVariant, list[int]]


class Seeds(NamedTuple):
    """Tangents, cotangents or the vector of a product, for the rows of a batch.

    axes are the axes of the rows, or what finds them in the structure of the seeds.
    """

    value: Any
    axes: Any


class Reduction(NamedTuple):
    """What becomes of the rows: kept (neither), summed, or summed and divided by their number."""

    is_summed: bool = False
    is_mean: bool = False


class VariantSource(Protocol):
    """The known variants of a function; see TraceCache."""

    name: str

    def of(self, arguments: PyTree) -> list[TraceVariant]: ...
    def trace(self, arguments: PyTree, numbers: Any) -> tuple[TraceVariant, bool]: ...
    def use(self, variant: TraceVariant) -> None: ...


class BatchRun:
    """One call of a compiled function on a batch, of which errors count the rows from first_row."""

    def __init__(
        self,
        source: VariantSource,
        batch: Batch,
        reduction: Reduction,
        threads: int,
        progress: Progress,
        first_row: int = 0,
        out_axes: Any = 0,
    ) -> None:
        if batch.has_values:
            raise refusal(TypeError("a compiled function takes no Values in a batch"))
        if not batch.has_rows:
            raise ValueError("in_axes gives none of these arguments an axis of rows")
        self._source, self._batch, self._reduction = source, batch, reduction
        self._threads, self._first_row, self._out_axes = threads, first_row, out_axes
        self._progress = None if progress is None else RowProgress(progress, len(batch))
        self._seeds: Batch | None = None

    def variant(self) -> TraceVariant:
        """The variant used last for such arguments, or that of the first row."""
        known = self._source.of(self._batch.tree)
        if known:
            return known[0]
        return self._trace(0)[0]

    def run(self, chain: Chain, seeds: Seeds | None, out: Any) -> Any:
        """The results of a chain of transforms, in `out` if that is not None."""
        variant = self.variant()
        derived = variant.derived(chain)
        if seeds is not None:
            self._seeds = _read_seeds(seeds, derived, len(self._batch))
        axes = axes_of_results(chain, self._out_axes)
        buffers = self.buffers(derived, out, axes)
        groups = self._fill_by_one(buffers.arrays, buffers.stacked, variant, chain)
        if groups:
            like = groups[0][0].derived(chain)
            if not like.results.same_layout(derived.results):  # no row takes the variant used last
                buffers = self.buffers(like, out, axes)
            self._fill_by_groups(buffers.arrays, buffers.stacked, groups, like, chain)
        if self._progress is not None:
            self._progress.end()
        if self._reduction.is_mean:
            divide_arrays(buffers.arrays, len(self._batch))
        return buffers.result()

    def trace_all_rows(self) -> None:
        """Trace the variants of all rows, in the order of the rows."""
        if self.variant().traced.guards:
            self._rows_by_variant()

    def packed(self, chain: Chain) -> Any:
        """The numbers of all results in one array, sums not divided yet."""
        variant = self.variant()
        results = variant.derived(chain).results
        arrays, stacked = results.stacked(
            len(self._batch), not self._reduction.is_summed
        ).new_output_buffers()
        groups = self._fill_by_one(arrays, stacked, variant, chain)
        if groups:  # chunks must all give what the variant used last does
            self._fill_by_groups(arrays, stacked, groups, variant.derived(chain), chain)
        return pack_arrays(arrays)

    def buffers(self, derived: DerivedProgram, out: Any, axes: Any) -> "OutputBuffers":
        """Memory for the results of all rows, whose rows go to these axes."""
        results = derived.results.stacked(len(self._batch), not self._reduction.is_summed)
        return OutputBuffers(results, derived.buffered, out, self._batch, axes)

    def _fill_by_one(
        self, leaves: Sequence[Any], stacked: list[bool], variant: TraceVariant, chain: Chain
    ) -> list[RowsOfVariant]:
        """Run all rows by one variant; returns the rows of each where they do not all take it."""
        is_finite, one_variant, failure = self._executable(variant, chain).run(
            self._batch,
            variant.closure,
            self._seeds,
            leaves,
            stacked,
            None,
            self._strictly(variant, chain),
            self._threads,
            self._progress,
        )
        if one_variant and not is_finite:
            _, others = self._split(variant, list(range(len(self._batch))))
            one_variant = not others
            if one_variant:
                self._check_derivatives(variant, chain, None)
        if one_variant:
            self._raise(failure)
        return [] if one_variant else self._rows_by_variant()

    def _fill_by_groups(
        self,
        leaves: Sequence[Any],
        stacked: list[bool],
        groups: list[RowsOfVariant],
        like: DerivedProgram,
        chain: Chain,
    ) -> None:
        clear_arrays(leaves)
        for taken, rows in groups:
            self._add(taken, rows, chain, like, leaves, stacked)

    def _executable(self, variant: TraceVariant, chain: Chain) -> BatchExecutable:
        seeds_vary = () if self._seeds is None else tuple(self._seeds.tree.varying())
        return variant.batch_executable(chain, seeds_vary)

    def _strictly(
        self, variant: TraceVariant, chain: Chain
    ) -> Callable[[], BatchExecutable] | None:
        """What makes the executable for numbers that are not finite; None if this one will do."""
        twin = variant.strict_twin()
        return None if twin is None else lambda: self._executable(twin, chain)

    def _rows_by_variant(self) -> list[RowsOfVariant]:
        """The rows that each variant takes, the variant that was found first in front."""
        groups: list[RowsOfVariant] = []
        tree, rest = self._batch.tree, list(range(len(self._batch)))
        for variant in self._source.of(tree):
            own, rest = self._split(variant, rest)
            if own:
                groups.append((variant, own))
            if not rest:
                break
        while rest:
            variant, is_new = self._trace(rest[0])
            # The row takes a variant that was just traced for it, whatever rounding made of its
            # guards.
            own, others = self._split(variant, rest[1:]) if is_new else ([], rest[1:])
            groups.append((variant, [rest[0], *own]))
            rest = others
        for variant, _ in sorted(groups, key=lambda group: len(group[1])):
            self._source.use(variant)  # so that the next batch tries that of most rows first
        return sorted(groups, key=lambda group: group[0].number)

    def _trace(self, row: int) -> tuple[TraceVariant, bool]:
        """The variant of a row, and whether it is new. Raises what the function raises there."""
        with names_in_errors(self._source.name, self._first_row + row):
            return self._source.trace(self._batch.tree, self._batch.row(row))

    def _split(self, variant: TraceVariant, rows: list[int]) -> tuple[list[int], list[int]]:
        """The rows that take this variant, and the others."""
        batch, closure = self._batch, variant.closure
        own, doubtful, others = variant.guard_executable().split(
            batch, closure, None, rows, self._threads, None
        )
        if doubtful:
            accepted, refused = split_refused(variant.traced, batch, closure, None, doubtful)
            own, others = sorted([*own, *accepted]), sorted([*refused, *others])
        return own, others

    def _add(
        self,
        variant: TraceVariant,
        rows: list[int],
        chain: Chain,
        like: DerivedProgram,
        leaves: Sequence[Any],
        stacked: list[bool],
    ) -> None:
        results = variant.derived(chain).results
        if not results.same_layout(like.results):
            raise TypeError(
                "the rows of a batch must all give results of one structure, got "
                f"{like.results} and {results}; numbers may differ, so give 1.0 and 0.0 for True "
                "and False"
            )
        is_finite, _, failure = self._executable(variant, chain).run(
            self._batch,
            variant.closure,
            self._seeds,
            leaves,
            stacked,
            rows,
            self._strictly(variant, chain),
            self._threads,
            self._progress,
        )
        if self._progress is not None:
            self._progress.rows_before += len(rows)
        if not is_finite:
            self._check_derivatives(variant, chain, rows)
        self._raise(failure)

    def _raise(self, failure: tuple[int, Exception] | None) -> None:
        """Raise the exception of a callback, in a row that is known to take its variant."""
        if failure is not None:
            with names_in_errors(self._source.name, self._first_row + failure[0]):
                raise failure[1]

    def _check_derivatives(
        self, variant: TraceVariant, chain: Chain, rows: list[int] | None
    ) -> None:
        """Raise for the first row where `TraceVariant.check_derivatives` does."""
        program, only = variant.checked_derivatives(chain), not variant.strict
        if program is None:
            return
        batch, closure = self._batch, variant.closure
        some = list(range(len(batch))) if rows is None else rows
        _, refused = split_refused(program, batch, closure, self._seeds, some, only)
        if refused:
            seeds = () if self._seeds is None else self._seeds.row(refused[0])
            with names_in_errors(self._source.name, self._first_row + refused[0]):
                given = [*batch.row(refused[0]), *closure.numbers(), *seeds]
                program.refuse(given, partials_only=only)


class OutputBuffers:
    """Arrays for the numbers of the results of a batch; stacked ones have an axis of rows.

    They are those in `out` where there is one. If rows are read from that memory, too, or stand at
    another axis there than the first, it gets the numbers after all rows have been read.
    """

    def __init__(
        self, results: PyTree, buffered: int, out: Any, batch: Batch, axes: Any = 0
    ) -> None:
        self._results, self._out = results, out
        self._axes = None if axes == 0 else results.row_axes(axes)
        self._kept = None if buffered < 0 or out is None else results.child(0)
        self._copied_at_the_end: list[Any] = []
        if out is None:
            self.arrays, self.stacked = results.new_output_buffers()
            return
        if self._axes is not None:
            moved = results.with_rows_at(self._axes)
            self._copied_at_the_end, self._own = moved.output_buffers_in(out)[0], 0
            self.arrays, self.stacked = results.new_output_buffers()
            return
        buffers, stacked = (results if buffered < 0 else results.child(buffered)).output_buffers_in(
            out
        )
        if batch.overlaps(buffers):
            self._copied_at_the_end = buffers
            buffers = [buffer.copy() for buffer in buffers]
        arrays, others = ([], []) if self._kept is None else self._kept.new_output_buffers()
        self._own = len(arrays)
        self.arrays, self.stacked = arrays + buffers, others + stacked

    def result(self) -> Any:
        """The object to return, once the numbers are in the arrays."""
        arrays = self.arrays
        if self._axes is not None:
            arrays = [_moved(a, axis) for a, axis in zip(arrays, self._axes, strict=True)]
        if self._out is None:
            return self._results.unflatten(arrays)
        pairs = zip(self._copied_at_the_end, arrays[self._own :], strict=False)
        for buffer, array in pairs:
            buffer[...] = array
        if self._kept is None:
            return self._out
        return self._kept.unflatten(arrays[: self._own]), self._out


def _moved(array: Any, axis: int) -> Any:
    """A view of an array whose rows, its first axis, stand at another one."""
    others = range(1, array.ndim)
    return array.transpose(*others[:axis], 0, *others[axis:])


class RowProgress:
    """Calls back with the number of finished rows, which only grows, and at last with all of them.

    Rows that a second variant works on again are not counted back. rows_before are the rows that
    are done beside those of the run that calls.
    """

    def __init__(self, callback: Callable[[int, int], object], rows: int) -> None:
        self._callback, self._rows = callback, rows
        self._last = self.rows_before = 0

    def __call__(self, done: int, _: int) -> None:
        if self.rows_before + done > self._last:
            self._last = self.rows_before + done
            self._callback(self._last, self._rows)

    def end(self) -> None:
        """Report that all rows are done, if any were reported."""
        if 0 < self._last < self._rows:
            self._callback(self._rows, self._rows)


def _read_seeds(seeds: Seeds, derived: DerivedProgram, rows: int) -> Batch:
    structure = derived.seed_structure
    assert structure is not None
    axes = seeds.axes(structure) if callable(seeds.axes) else seeds.axes
    batch = Batch((seeds.value,), (axes,), [])
    tree = batch.tree.child(0)
    if batch.has_values or not tree.same_layout(structure):
        raise TypeError(f"each row must be given {structure}, got {tree}")
    if batch.has_rows and len(batch) != rows:
        raise ValueError(f"a batch of {rows} rows was given more for {len(batch)} rows")
    return batch
