"""Compiled functions: beside others that compile, what making one costs, and what it keeps."""

from benchmarks import (
    compiled_batch,
    compiled_decisions,
    compiled_gaussian,
    compiled_gpt,
    compiled_graph,
    compiled_making,
    compiled_point,
    compiled_sparse,
    compiled_threads,
)
from benchmarks.measure import Row

# The first load nothing that Python's collector would have to look through.
_PARTS = (
    *(compiled_gpt, compiled_making, compiled_threads, compiled_point, compiled_batch),
    *(compiled_sparse, compiled_gaussian, compiled_decisions, compiled_graph),
)


def rows(full: bool) -> list[Row]:
    """Those of all parts. Without full, what ddx compiles for half a minute is left out."""
    return [row for part in _PARTS for row in part.rows(full)]
