"""The names that code reads: of globals, closure cells and attributes."""

import sys
from functools import lru_cache
from opcode import opmap, opname
from types import CodeType
from typing import Any, NamedTuple

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
_BY_TEXT = {"getattr", "hasattr", "attrgetter", "methodcaller"}  # they read what a text names
# These read all fields.
_OF_ALL_FIELDS = {"vars", "dir", "asdict", "astuple", "fields", "__dict__"}
EVERY_FIELD = "__dict__"  # the name of an attribute that stands for all
BY_TEXT = "getattr"  # stands for attributes that any text may name
_SHOWING = {"str", "repr", "format", "print", "ascii"}
_FORMATS = {opmap[n] for n in ("FORMAT_VALUE", "FORMAT_SIMPLE") if n in opmap}


class Names(NamedTuple):
    """What code reads, functions inside included: names of each kind.

    What it only counts up, by `calls += 1`, is not read: that changes no result. Attributes that it
    may find missing are in `missing`, too.
    """

    globals: frozenset[str]
    cells: frozenset[str]
    attributes: frozenset[str]
    missing: frozenset[str]


@lru_cache(maxsize=1000)
def names_in(code: CodeType) -> Names:
    """What code reads."""
    read: dict[str, set[str]] = {"globals": set(), "cells": set(), "attributes": set()}
    instructions = _instructions_of(code)
    for k, (operation, name) in enumerate(instructions):
        kind = _LOADS.get(operation)
        if kind is not None and not _is_counted(instructions[k + 1 : k + 5], kind, name):
            read[kind].add(name)
    attributes, known = read["attributes"], read["globals"] | read["attributes"]
    missing = set(attributes) if "AttributeError" in known else set()
    if known & _BY_TEXT:
        texts = {part for text in _texts_in(code.co_consts) for part in text.split(".")}
        missing |= {text for text in texts if text.isidentifier()}
        attributes.add(BY_TEXT)
    attributes |= missing
    operations = {operation for operation, _ in instructions}
    if known & _OF_ALL_FIELDS:
        attributes.add(EVERY_FIELD)
    if known & _SHOWING or operations & _FORMATS:
        attributes |= {"__repr__", "__str__", "__format__"}
    if opmap["MATCH_CLASS"] in operations:
        attributes |= {"__match_args__", *_texts_in(code.co_consts)}
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            for mine, more in zip((*read.values(), missing), names_in(inner), strict=True):
                mine |= more
    return Names(*map(frozenset, (*read.values(), missing)))


def _texts_in(constants: tuple[Any, ...]) -> set[str]:
    """The texts among constants, those in tuples included."""
    texts = {text for text in constants if isinstance(text, str)}
    return texts.union(*(_texts_in(part) for part in constants if isinstance(part, tuple)))


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
