"""Functions that are called on numbers by a program, for what cannot be written with Values."""

from collections.abc import Callable
from typing import Any

from arenagrad._core import compiled as native


def pure_callback(f: Callable[..., Any], *args: Any, vjp: Callable[..., Any] | None = None) -> Any:
    """The result of a function that is called on floats, also from compiled functions.

    It is for what cannot be written with Values, such as functions of other libraries. Where there
    are no Values among the arguments it is `f(*args)`. A compiled function calls it in each run,
    once for each row of a batch, from any of its threads, with the GIL; a recorded graph calls it
    when it is recorded. It must be pure: its result depends on its arguments alone, and nobody
    minds how often it is called. Equal calls may be made once. A call in the function itself is
    made whether its result is used or not; in a derivative it may be left out.

    What f raises comes out as it is, also from rows and threads, and a compiled function that
    catches it does what the function does: exceptions of the same class and arguments are one
    outcome.

    Args:
        f: takes the arguments, with floats and arrays of floats in place of Values; gives a number,
            an array, or lists, tuples and dicts of them.
        *args: Values, numbers, arrays, and structures of them. What is no number, such as a str, is
            given to f as it is.
        vjp: takes the arguments, and behind them a weight for each number of the result, in its
            structure; gives a tuple with the gradient of the weighted sum by each argument, None
            for one without numbers. It is called on floats as well, and not where all weights are
            0.

    Returns:
        What f gives, with Values in place of numbers, in lists and arrays of objects.

    Raises:
        TypeError: for results of f that are no numbers; when a derivative is asked for and there
            is no vjp; for a derivative of vjp, that is the second of f; and for derivatives that
            go forward, such as jvp and jacfwd. For higher orders write the function with
            custom_vjp, whose rule may call pure_callback in turn.

    A compiled function that holds one is pickled if f and vjp are. A Program that holds one cannot
    be saved, a graph that does neither pickled nor copied. f and vjp go with the last program or
    node that calls them; where they refer back to it themselves they stay, since Python's collector
    does not see through programs.

    >>> from math import lgamma
    >>> log_gamma = lambda x: pure_callback(lgamma, x, vjp=lambda x, g: (g * digamma(x),))
    >>> grad(log_gamma)(1.0)
    -0.5772156649015329
    """
    for name, function in (("f", f), ("vjp", vjp)):
        if not callable(function) and not (name == "vjp" and function is None):
            raise TypeError(f"pure_callback() wants a function as {name}, got {function!r}")
    return native.pure_callback(f, args, vjp)


pure_callback.__module__ = "arenagrad"
