"""The numbers of structures in which Values and plain numbers may stand beside each other."""

from collections.abc import Sequence
from typing import Any

from arenagrad._core import Value
from arenagrad._core.compiled import PyTree, read_operands


class Leaves:
    """The numbers of a structure: Values, and numbers alone."""

    def __init__(self, thing: Any) -> None:
        tree, numbers, placed = read_operands((thing,), [], {}, ())
        self.tree: PyTree = tree.child(0)
        self.values: dict[int, Value] = dict(placed)
        self.leaves: list[Any] = _with_values(numbers, self.values)

    def like(self, leaves: Sequence[Any]) -> Any:
        """An object of the same structure, of these."""
        return self.tree.unflatten_values(leaves)

    def unit(self, place: int) -> Any:
        """An object of the structure of a gradient that is 1 in one place and else 0."""
        ones = [float(k == place) for k in range(len(self.leaves))]
        return self.tree.gradient().unflatten_values(ones)

    def gradient(self, given: Any, what: str) -> list[Any]:
        """The numbers of an object of the structure of a gradient."""
        numbers, placed = self.tree.gradient().flatten_operands(given, what)
        return _with_values(numbers, dict(placed))


def _with_values(numbers: Any, values: dict[int, Value]) -> list[Any]:
    return [values.get(place, number) for place, number in enumerate(numbers.tolist())]
