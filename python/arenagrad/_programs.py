"""The native parts of compiled functions; `_programs.pyi` describes them."""

from arenagrad._core import (
    Batch,
    BatchExecutable,
    Closure,
    Instructions,
    NativeDispatch,
    PointExecutable,
    PyTree,
    call_on_values,
    capture,
    clear_arrays,
    divide_arrays,
    first_refused,
    pack_arrays,
    put_rows,
    read_arguments,
)

__all__ = [
    "Batch",
    "BatchExecutable",
    "Closure",
    "Instructions",
    "NativeDispatch",
    "PointExecutable",
    "PyTree",
    "call_on_values",
    "capture",
    "clear_arrays",
    "divide_arrays",
    "first_refused",
    "pack_arrays",
    "put_rows",
    "read_arguments",
]
