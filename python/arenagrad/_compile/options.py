"""How a function is compiled: the arguments of `compile`, checked."""

from collections.abc import Callable
from numbers import Integral
from typing import Any, Literal

from arenagrad._support.arguments import thread_count, whole

Reduce = Literal["sum", "mean"] | None


class Options:
    """What `compile` was told; see there."""

    def __init__(
        self,
        in_axes: Any = None,
        reduce: Reduce = None,
        threads: int = 1,
        strict: bool = False,
        static_argnums: int | tuple[int, ...] = (),
        progress: Callable[[int, int], object] | None = None,
        out_axes: Any = 0,
        max_variants: int = 256,
    ) -> None:
        if reduce not in (None, "sum", "mean"):
            raise ValueError(f"reduce must be None, 'sum' or 'mean', got {reduce!r}")
        if reduce is not None and in_axes is None:
            raise ValueError("reduce needs in_axes, which say what differs from row to row")
        out_axes = _plain(out_axes)
        if out_axes != 0 and (in_axes is None or reduce is not None):
            raise ValueError("out_axes say where rows go: they need in_axes, and no reduce")
        if (max_variants := whole("max_variants", max_variants)) < 1:
            raise ValueError(f"max_variants must be at least 1, got {max_variants}")
        if progress is not None and not callable(progress):
            raise TypeError(f"progress must be callable, got {type(progress).__name__}")
        statics = static_argnums if isinstance(static_argnums, tuple | list) else (static_argnums,)
        self.in_axes: Any = _plain(in_axes)
        self.out_axes: Any = out_axes
        self.reduce = reduce
        self.threads: int = thread_count(threads)
        self.strict: bool = bool(strict)
        self.static_argnums: tuple[int, ...] = tuple(whole("static_argnums", k) for k in statics)
        self.progress = progress
        self.max_variants: int = max_variants

    def statics(self, arguments: int) -> tuple[int, ...]:
        """Which of so many arguments are static, where negative ones count from the last."""
        first = (k + arguments if k < 0 else k for k in self.static_argnums)
        return tuple(k for k in first if k in range(arguments))


def _plain(axes: Any) -> Any:
    """The same axes with Python's ints, where NumPy's may have been given."""
    if isinstance(axes, tuple | list):
        return tuple(_plain(axis) for axis in axes)
    if isinstance(axes, dict):
        return {key: _plain(axis) for key, axis in axes.items()}
    return axes if isinstance(axes, bool) or not isinstance(axes, Integral) else int(axes)
