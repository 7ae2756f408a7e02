"""Entries of a matrix of derivatives handed to SciPy."""

from collections.abc import Sequence
from typing import Any


def sparse_array(
    entries: Any, rows: Sequence[int], columns: Sequence[int], shape: tuple[int, int]
) -> Any:
    """A `scipy.sparse.csr_array` with these entries. Raises ModuleNotFoundError without SciPy."""
    from scipy.sparse import coo_array

    return coo_array((entries, (rows, columns)), shape=shape).tocsr()
