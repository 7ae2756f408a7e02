"""Entries of a matrix of derivatives handed to SciPy."""

from collections.abc import Sequence
from typing import Any

from arenagrad._core.compiled import refusal


class SparsePattern:
    """Where the entries of a matrix stand, in the arrays that SciPy's rows of entries have.

    It is made once for a program, whose entries come in its order. order is that of the entries as
    they were given. Immutable.
    """

    def __init__(self, rows: Sequence[int], columns: Sequence[int], shape: tuple[int, int]) -> None:
        import numpy as np  # where it is used: it would double the time of importing the package

        at, across = np.asarray(rows, np.intp), np.asarray(columns, np.intp)
        order = np.lexsort((across, at))
        self.order: list[int] = order.tolist()
        self.shape = shape
        most = max(len(self.order), *shape)
        kind = np.int32 if most <= np.iinfo(np.int32).max else np.int64
        self._indices = across[order].astype(kind)
        counts = np.bincount(at, minlength=shape[0]) if len(at) else np.zeros(shape[0], np.intp)
        self._starts = np.concatenate(([0], np.cumsum(counts))).astype(kind)

    def array(self, entries: Any) -> Any:
        """A `scipy.sparse.csr_array` with these entries.

        Raises TypeError for Values, which SciPy does not hold, ModuleNotFoundError without SciPy.
        Its arrays are its own: a caller may change them in place, as `eliminate_zeros` does.
        """
        if entries.dtype.hasobject:
            raise refusal(TypeError("sparse derivatives are for numbers, not for Values"))
        from scipy.sparse import csr_array

        parts = (entries, self._indices.copy(), self._starts.copy())
        made = csr_array(parts, shape=self.shape)
        made.has_canonical_format = True
        return made
