"""Functions and a class that the pickles in references/former name.

The pickles were written by version 0.1.0 before the private modules of the package were renamed.
"""

from typing import Any

import arenagrad
from arenagrad import nn


@arenagrad.compile
def bend(x: Any) -> Any:
    """Rosenbrock's function of an array."""
    return arenagrad.sum((x[1:] - x[:-1] ** 2) ** 2) + arenagrad.sum((1 - x) ** 2)


@arenagrad.compile
def branches(x: Any, y: Any) -> Any:
    """A function with two variants."""
    return x * y if x > y else x.exp() - y


def plain(x: Any, y: Any) -> Any:
    """Two results, by a function that is not decorated."""
    return {"product": x * y, "logarithm": (x + y).log()}


def loss(model: Any, x: Any, y: Any) -> Any:
    """The squared error of a model at one point."""
    return (model(x) - y) ** 2


class Model(nn.Module):
    """A model with a compiled method."""

    def __init__(self) -> None:
        self.w = arenagrad.Value(2.0)

    def parameters(self) -> list[arenagrad.Value]:
        return [self.w]

    @arenagrad.compile
    def energy(self, x: Any) -> Any:
        return self.w * x * x
