"""Objects of a user's own classes as arguments and results of compiled functions."""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

from arenagrad._core import compiled as _native

_T = TypeVar("_T")


def register_node(
    cls: type[_T],
    flatten: Callable[[_T], tuple[Iterable[Any], Hashable]],
    unflatten: Callable[[Any, tuple[Any, ...]], _T],
) -> None:
    """Let compiled functions take and return objects of a class, with gradients of the same class.

    Dataclasses and named tuples are known without it. It is for this very class, and not for those
    made from it; pickles of compiled functions name the class, which must be registered where they
    are read.

    >>> class Line:
    ...     def __init__(self, rate, at_zero):
    ...         self.rate, self.at_zero = rate, at_zero
    >>> register_node(Line, lambda a: ((a.rate, a.at_zero), None), lambda _, both: Line(*both))

    Args:
        cls: the class.
        flatten: the function of an object that gives a pair (children, aux): the numbers, arrays
            and structures that the object is made of, and all else. aux chooses a program, so it
            is compared by ==, and must be hashable.
        unflatten: the function of aux and children that makes the object. It is also called with
            Values, and arrays of Values, in place of the numbers.

    Raises:
        TypeError: for a class that is known already, such as list, and for what is no function.
        ValueError: for a class that has been registered.
    """
    _native.register_node(cls, flatten, unflatten)


register_node.__module__ = "arenagrad"
