"""What a function reads that it was not given: closure cells, globals, and fields of objects.

The code of the function says which. What is found there is compared at each call; what lies deeper,
such as the items of a list, or what a function that it calls reads, is as it was when the function
was traced.
"""

import sys
from collections.abc import Callable, Iterator
from enum import Enum
from functools import lru_cache, partial
from opcode import opmap, opname
from types import CodeType, FunctionType, MemberDescriptorType, MethodType
from typing import Any, NamedTuple

from arenagrad._core.compiled import NativeDispatch, OuterState, PyTree

_EXTENDED_ARG = opmap["EXTENDED_ARG"]
_CACHE = opmap["CACHE"]
# What a loading instruction loads.
_LOADS = {
    opmap[name]: kind
    for name, kind in (
        ("LOAD_GLOBAL", "globals"),
        ("LOAD_NAME", "globals"),
        ("LOAD_DEREF", "cells"),
        ("LOAD_CLASSDEREF", "cells"),
        ("LOAD_FROM_DICT_OR_DEREF", "cells"),
        ("LOAD_ATTR", "attributes"),
        ("LOAD_METHOD", "attributes"),
        ("LOAD_SUPER_ATTR", "attributes"),
    )
    if name in opmap
}
# By how much the argument is shifted where other bits stand below the number of a name.
_SHIFTS = {
    "LOAD_GLOBAL": 1,
    "LOAD_ATTR": 0 if sys.version_info < (3, 12) else 1,
    "LOAD_SUPER_ATTR": 2,
}
# An assignment such as `calls += 1`: what may stand between the load and the store.
_COUNTED_BY = {opmap[n] for n in ("LOAD_CONST", "LOAD_SMALL_INT", "LOAD_FAST") if n in opmap}
_STORES = {
    "globals": {opmap["STORE_GLOBAL"], opmap["STORE_NAME"]},
    "cells": {opmap["STORE_DEREF"]},
    "attributes": {opmap["STORE_ATTR"]},
}
_OF_CELLS = {o for o, kind in _LOADS.items() if kind == "cells"} | _STORES["cells"]
_NAMED = {
    operation: _SHIFTS.get(opname[operation], 0)
    for operation in {*_LOADS, *_STORES["globals"], *_STORES["attributes"]} - _OF_CELLS
}
_BY_TEXT = {"getattr", "hasattr"}  # these may read any attribute that a text names
# Special methods that a function may call without naming them.
_UNNAMED = ("__call__", "__getitem__", "__len__", "__iter__", "__contains__")
_HEAP_TYPE = 1 << 9  # of classes that can be changed


class OuterReads:
    """What a function reads beyond its arguments, found once for each function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._bound: list[Any] = []  # objects that are as good as first arguments
        inner: Any = function
        while not isinstance(inner, FunctionType):
            if isinstance(inner, partial):
                inner = inner.func
            elif isinstance(inner, MethodType):
                self._bound.append(inner.__self__)
                inner = inner.__func__
            elif isinstance(inner, NativeDispatch) and hasattr(inner, "_function"):
                inner = inner._function
            elif isinstance(getattr(type(inner), "__call__", None), FunctionType):  # noqa: B004
                self._bound.append(inner)  # an object that is called, by the code of its class
                inner = type(inner).__call__
            else:
                break
        self._function = inner if isinstance(inner, FunctionType) else None
        self._names: dict[type, frozenset[str]] = {}
        if self._function is not None:
            self._read = _names_in(self._function.__code__)

    def state(self, arguments: PyTree) -> OuterState | None:
        """What is there now, for arguments of this structure; None if there is nothing."""
        function = self._function
        if function is None:
            return None
        holders = []
        known = function.__globals__
        names = tuple(sorted(name for name in self._read.globals if name in known))
        if names:
            holders.append((known, names))
        for thing in [*self._bound, *arguments.objects]:
            if _can_change(thing) and (fields := self._fields(thing, function.__code__)):
                holders.append((thing, fields))
        pairs = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        cells = tuple(cell for name, cell in pairs if name in self._read.cells)
        return OuterState(cells, holders) if cells or holders else None

    def _fields(self, thing: Any, code: CodeType) -> tuple[Any, ...]:
        """The names of the fields that the function, and methods that it calls, may read."""
        cls = thing if isinstance(thing, type) else type(thing)
        if cls not in self._names:
            self._names[cls] = frozenset(_attributes(code, cls))
        names, own = self._names[cls], getattr(thing, "__dict__", {})
        if "__dict__" in names:
            names = names.union(own)
        by_text = bool(_BY_TEXT & names)
        return tuple(sorted(n for n in names if _is_field(n, cls, own, by_text)))


def _can_change(thing: Any) -> bool:
    if isinstance(thing, FunctionType | MethodType | NativeDispatch | Enum):
        return False
    cls = thing if isinstance(thing, type) else type(thing)
    return bool(cls.__flags__ & _HEAP_TYPE)


def _is_field(name: str, cls: type, own: Any, even_missing: bool) -> bool:
    """Whether an attribute is a number or object, and no method or property."""
    if name in own:
        return True
    for base in cls.__mro__:
        if name in vars(base):
            held = vars(base)[name]
            return isinstance(held, MemberDescriptorType) or not hasattr(type(held), "__get__")
    return even_missing and not name.startswith("__")


def _attributes(code: CodeType, cls: type) -> set[str]:
    """The attributes that code names, and the methods of a class that it names, and so on."""
    names: set[str] = set()
    todo = [code, *(c for name in _UNNAMED for c in _codes_of(cls, name))]
    while todo:
        found = _names_in(todo.pop())
        attributes = found.attributes
        if found.globals & _BY_TEXT:
            attributes = attributes | found.texts | _BY_TEXT
        if "vars" in found.globals:
            attributes = attributes | {"__dict__"}
        for name in attributes - names:
            names.add(name)
            todo.extend(_codes_of(cls, name))
    return names


def _codes_of(cls: type, name: str) -> Iterator[CodeType]:
    """The code of a method, property or compiled method."""
    held = next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)
    for inside in ("fget", "__func__", "func", "_function"):
        held = getattr(held, inside, held) if not isinstance(held, FunctionType) else held
    if isinstance(held, FunctionType):
        yield held.__code__


class _Names(NamedTuple):
    """What code reads, functions inside included: names of each kind, and texts that it holds.

    What it only counts up, by `calls += 1`, is not read: that changes no result.
    """

    globals: frozenset[str]
    cells: frozenset[str]
    attributes: frozenset[str]
    texts: frozenset[str]


@lru_cache(maxsize=1000)
def _names_in(code: CodeType) -> _Names:
    texts = {text for text in code.co_consts if isinstance(text, str)}
    read: dict[str, set[str]] = {"globals": set(), "cells": set(), "attributes": set()}
    instructions = _instructions_of(code)
    for k, (operation, name) in enumerate(instructions):
        kind = _LOADS.get(operation)
        if kind is not None and not _is_counted(instructions[k + 1 : k + 5], kind, name):
            read[kind].add(name)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            for mine, more in zip((*read.values(), texts), _names_in(inner), strict=True):
                mine |= more
    found_globals, cells, attributes = map(frozenset, read.values())
    return _Names(found_globals, cells, attributes, frozenset(texts))


def _is_counted(following: list[tuple[int, str]], kind: str, name: str) -> bool:
    """Whether what was loaded is only stored again with something added."""
    operations = [operation for operation, _ in following]
    if len(following) < 3 or operations[0] not in _COUNTED_BY:
        return False
    if operations[1] != opmap["BINARY_OP"]:
        return False
    swapped = operations[2] == opmap["SWAP"] and len(following) > 3
    return following[3 if swapped else 2] in {(store, name) for store in _STORES[kind]}


def _instructions_of(code: CodeType) -> list[tuple[int, str]]:
    """The instructions, each with the name that it loads or stores, or none."""
    found, extended = list[tuple[int, str]](), 0
    instructions = code.co_code
    for operation, low in zip(instructions[::2], instructions[1::2], strict=True):
        argument = extended | low
        extended = argument << 8 if operation == _EXTENDED_ARG else 0
        if operation in (_EXTENDED_ARG, _CACHE):
            continue
        name = ""
        if operation in _NAMED:
            name = code.co_names[argument >> _NAMED[operation]]
        elif operation in _OF_CELLS:
            name = code._varname_from_oparg(argument)  # type: ignore[attr-defined]  # as dis does
        found.append((operation, name))
    return found
