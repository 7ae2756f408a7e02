"""How pickles name functions that a decorator has taken the place of.

pickle writes a function as its name, and refuses if something else is found there. Under the name
of a function decorated with `compile` stands the Compiled, which knows the function.
"""

import sys
from importlib import import_module
from types import FunctionType
from typing import Any, TypeAlias

from arenagrad._core.compiled import NativeDispatch

# A module and a name in it.
Place: TypeAlias = tuple[str, str]
_SUFFIX = "._portable"
# Arguments that are certainly not the object of a method; most are one of these.
_NO_OBJECTS = (float, int, str, bytes, list, tuple, dict, type(None))


def holder_at(module: str, name: str) -> Any:
    """The compiled function that is found there, or None."""
    held: Any = sys.modules.get(module)
    for part in name.removesuffix(_SUFFIX).split("."):
        held = getattr(held, part, None)
    return held if isinstance(held, NativeDispatch) and hasattr(held, "_function") else None


def place_of(function: Any) -> Place | None:
    """The place where a compiled function stands instead of this function, if there is one."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        return None
    held = holder_at(module, name)
    if held is None or function is not (held._portable if _is_portable(name) else held._function):
        return None
    return module, name.removesuffix(_SUFFIX)


def reference_to(function: Any) -> Any:
    """What a pickle is given in place of a function: its place, or a function.

    There is no place in `__main__` for cloudpickle, which joblib and Dask use: it writes what that
    module has in full, for processes that have another. So it is given a function, yet one whose
    name pickle finds, which comes back to the place.
    """
    place = place_of(function)
    if place is None:
        return function
    return place if place[0] != "__main__" else holder_at(*place)._portable


def function_of(reference: Any) -> Any:
    """The function that `reference_to` was given."""
    if not isinstance(reference, tuple):
        place = place_of(reference)
        return reference if place is None else holder_at(*place)._function
    import_module(reference[0])
    held = holder_at(*reference)
    if held is None:
        raise AttributeError(f"{reference[0]}.{reference[1]} is no compiled function here")
    return held._function


def is_module(thing: Any) -> bool:
    """Whether it is a Module of arenagrad.nn, without importing that."""
    nn = sys.modules.get("arenagrad.nn")
    return nn is not None and isinstance(thing, nn.Module)


def is_object_of_method(function: Any, thing: Any) -> bool:
    """Whether a function is a method of an object (or of a class), its first argument.

    A Module is an argument like any other, with its parameters, and so is a dataclass without a
    hash, with its fields: it could choose no program.
    """
    if type(thing).__hash__ is None and hasattr(type(thing), "__dataclass_fields__"):
        return False
    if isinstance(thing, _NO_OBJECTS) or type(thing).__module__ == "numpy" or is_module(thing):
        return False
    owner = getattr(function, "__qualname__", "").rpartition(".")[0]
    module = getattr(function, "__module__", None)
    for cls in thing.__mro__ if isinstance(thing, type) else type(thing).__mro__:
        if (cls.__module__, cls.__qualname__) == (module, owner):
            return True
        for held in vars(cls).values():
            if isinstance(held, NativeDispatch) and getattr(held, "_function", None) is function:
                return True
    return False


def portable(function: Any) -> Any:
    """A copy of a function under the name by which its holder has it as `_portable`."""
    if not isinstance(function, FunctionType):
        return function
    copied = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copied.__kwdefaults__ = function.__kwdefaults__
    copied.__module__ = function.__module__
    copied.__qualname__ = function.__qualname__.removesuffix(_SUFFIX) + _SUFFIX
    return copied


def _is_portable(name: str) -> bool:
    return name.endswith(_SUFFIX)
