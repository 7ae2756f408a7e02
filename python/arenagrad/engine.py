"""micrograd.engine's place: `from arenagrad.engine import Value` works as it does there."""

from arenagrad._core import Value

__all__ = ["Value"]
