"""Whether a function changes lists, objects and arrays that it is given: a program cannot."""

from collections.abc import Callable, Iterator
from functools import cached_property
from operator import is_
from typing import Any

from arenagrad._core import Value
from arenagrad._core.compiled import children_of
from arenagrad._support.attributes import slots_of

_NESTED = (list, tuple, dict)


class WatchedCall:
    """A function to be called once, after which `changed` names the arguments that it changed."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.changed: list[str] = []

    def __call__(self, *given: Any, **named: Any) -> Any:
        arguments = [(self._name_of(k), argument) for k, argument in enumerate(given)]
        arguments += [(f"its argument {name}", argument) for name, argument in named.items()]
        before = [(name, list(_containers_in(argument))) for name, argument in arguments]
        result = self._function(*given, **named)
        for name, containers in before:
            if not all(_is_same(items, _items_of(thing)) for thing, items in containers):
                self.changed.append(name)
        return result

    def _name_of(self, k: int) -> str:
        code = getattr(self._function, "__code__", None)
        names = () if code is None else code.co_varnames[: code.co_argcount]
        return f"its argument {names[k]}" if k < len(names) else f"its argument number {k}"


def _containers_in(thing: Any) -> Iterator[tuple[Any, list[Any]]]:
    """Each container among an argument's parts, with the items that it has now.

    Arrays are of objects, the Values.
    """
    items = _items_of(thing)
    if items is None:
        return
    yield thing, items
    if isinstance(thing, _NESTED) or hasattr(type(thing), "__dataclass_fields__"):
        for item in items:
            yield from _containers_in(item)


def _items_of(thing: Any) -> list[Any] | None:
    if isinstance(thing, dict):
        return [*thing, *thing.values()]
    if isinstance(thing, _NESTED):
        return list(thing)
    is_array = type(thing).__module__ in ("numpy", "arenagrad") and hasattr(thing, "flat")
    if is_array and thing.dtype.hasobject:
        return list(thing.flat)
    if hasattr(type(thing), "__dataclass_fields__"):
        return _attributes_of(thing)
    children = children_of(thing)
    return None if children is None else list(_values_in(children))


def _attributes_of(thing: Any) -> list[Any]:
    """What an object holds, but for what a cached_property has kept."""
    own = getattr(thing, "__dict__", {})
    kept = (k for k in own if not isinstance(getattr(type(thing), k, None), cached_property))
    return [*(own[name] for name in kept), *slots_of(thing)]


def _values_in(thing: Any) -> Iterator[Value]:
    """The Values in the children of an object, which may be made anew each time."""
    if isinstance(thing, Value):
        yield thing
        return
    items = thing.values() if isinstance(thing, dict) else thing
    if not isinstance(thing, _NESTED):
        items = thing.flat if hasattr(thing, "flat") else children_of(thing) or ()
    for item in items:
        yield from _values_in(item)


def _is_same(items: list[Any], now: list[Any] | None) -> bool:
    return now is not None and len(items) == len(now) and all(map(is_, items, now))
