"""Whether a function changes lists, dicts and arrays that it is given: a program cannot."""

from collections.abc import Callable, Iterator
from operator import is_
from typing import Any

_NESTED = (list, tuple, dict)


class WatchedCall:
    """A function to be called once, after which `changed` names the arguments that it changed."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.changed: list[str] = []

    def __call__(self, *given: Any) -> Any:
        before = [list(_containers_in(argument)) for argument in given]
        result = self._function(*given)
        for k, containers in enumerate(before):
            if not all(_is_same(items, _items_of(thing)) for thing, items in containers):
                self.changed.append(self._name_of(k))
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
    if isinstance(thing, _NESTED):
        for item in items:
            yield from _containers_in(item)


def _items_of(thing: Any) -> list[Any] | None:
    if isinstance(thing, dict):
        return [*thing, *thing.values()]
    if isinstance(thing, _NESTED):
        return list(thing)
    if type(thing).__module__ == "numpy" and hasattr(thing, "flat") and thing.dtype.hasobject:
        return list(thing.flat)
    return None


def _is_same(items: list[Any], now: list[Any] | None) -> bool:
    return now is not None and len(items) == len(now) and all(map(is_, items, now))
