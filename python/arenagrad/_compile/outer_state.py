"""What a function reads that it was not given: closure cells, globals, defaults, fields of objects.

The code of the function says which, and so does the code of functions and methods that it may call.
What is found there is compared at each call, and so is that code. What lies deeper, such as the
items of a list or the fields of an object that is no Module and was not given, is as it was when
the function was traced.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum
from functools import partial
from itertools import islice
from operator import attrgetter
from types import FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

from arenagrad._compile.code_names import BY_TEXT, EVERY_FIELD, names_in
from arenagrad._compile.function_references import is_module
from arenagrad._core.compiled import NativeDispatch, OuterState, PyTree
from arenagrad._support.attributes import slots_of
from arenagrad._support.cells import contents_of

# Functions, classes and objects that are looked at for one function, and items of one container.
MOST_THINGS, MOST_ITEMS = 20_000, 1_000
_HEAP_TYPE = 1 << 9  # of classes that can be changed
# Code of these reads no state of the user's but fields of the objects that it is given.
_LIBRARIES = sys.stdlib_module_names | {"arenagrad", "numpy", "pandas", "scipy"}
_CONTAINERS = (list, tuple, set, frozenset, deque)
_PLAIN = (str, float, int, bytes, type(None), Enum)  # these have nothing in them
_UNCHANGING = (FunctionType, MethodType, NativeDispatch, partial, Enum)
# Where objects that stand for a function have it.
_INSIDE = ("__wrapped__", "__func__", "fget", "func", "_function", "fwd", "bwd", "_rule")
# Special methods that Python calls to make, to copy and to show an object.
_NOT_READING = {
    *("__new__", "__init__", "__post_init__", "__del__", "__init_subclass__", "__class_getitem__"),
    *("__set_name__", "__repr__", "__str__", "__format__", "__reduce__", "__reduce_ex__"),
    *("__getstate__", "__setstate__", "__copy__", "__deepcopy__", "__sizeof__", "__dir__"),
}
_MAKING = ("__new__", "__init__", "__post_init__")


class OuterReads:
    """What a function reads beyond its arguments."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def state(self, arguments: PyTree) -> OuterState | None:
        """What is there now, for arguments of this structure; None if there is nothing."""
        return _Search([self._function, *arguments.objects]).state()


class _Search:
    """All that the code of some functions and objects may read, to a fixed point."""

    def __init__(self, roots: list[Any]) -> None:
        self._met: dict[int, Any] = {}  # by identity, each held so that no other takes its place
        self._todo: list[Any] = []
        self._cells: dict[int, Any] = {}
        self._dicts: dict[int, tuple[Any, set[str]]] = {}  # with the names that are read there
        self._objects: dict[int, Any] = {}  # whose fields are compared
        self._functions: dict[FunctionType, None] = {}  # whose code is compared
        self._modules: list[ModuleType] = []
        self._classes: dict[type, None] = {}  # in the order in which they were met
        self._names: set[str] = set()  # of attributes
        self._texts: set[str] = set()  # that may name an attribute
        self._even_missing: set[str] = set()  # names whose attribute may be missing
        for root in roots:
            self._meet(root, is_root=True)
        self._visit_all()
        if BY_TEXT in self._names:
            self._even_missing |= self._texts
            self._add_names(self._texts)
            self._visit_all()

    def state(self) -> OuterState | None:
        """What has been found, as it is now."""
        holders = [(held, tuple(sorted(names))) for held, names in self._dicts.values() if names]
        for module in self._modules:
            if names := self._names & vars(module).keys():
                holders.append((vars(module), tuple(sorted(names))))
        for thing in self._objects.values():
            if isinstance(thing, FunctionType):
                holders.append((thing, ("__defaults__", "__kwdefaults__")))
            elif fields := self._fields(thing):
                holders.append((thing, fields))
        for cls in self._classes:
            if methods := self._methods_of(cls):
                holders.append((cls, methods))
        cells, functions = tuple(self._cells.values()), tuple(self._functions)
        return OuterState(cells, holders, functions) if cells or holders or functions else None

    def _methods_of(self, cls: type) -> tuple[str, ...]:
        """The names of functions, properties and so on of a class that may be called."""
        held = {k: v for base in reversed(cls.__mro__[:-1]) for k, v in vars(base).items()}
        read = (k for k in held if k in self._names or k[:2] == k[-2:] == "__")
        methods = (k for k in read if k not in _NOT_READING and hasattr(type(held[k]), "__get__"))
        return tuple(sorted(methods))

    def _fields(self, thing: Any) -> tuple[Any, ...]:
        cls = thing if isinstance(thing, type) else type(thing)
        own = getattr(thing, "__dict__", {})
        names = self._names.union(own) if EVERY_FIELD in self._names else self._names
        missing = self._even_missing
        return tuple(sorted(n for n in names if _is_field(n, cls, own, n in missing)))

    def _meet(self, thing: Any, is_root: bool = False) -> None:
        """Note something that has been found; is_root: it is as good as a first argument."""
        if isinstance(thing, _PLAIN):
            if isinstance(thing, str) and thing.isidentifier():
                self._texts.add(thing)
            return
        is_met = id(thing) in self._met
        if is_met and not is_root:
            return
        is_object = is_root or is_module(thing) or _is_called_in_python(thing)
        if is_object and _can_change(thing) and len(self._objects) < MOST_THINGS:
            self._objects[id(thing)] = thing
        if not is_met and len(self._met) < MOST_THINGS:
            self._met[id(thing)] = thing
            self._todo.append(thing)

    def _visit_all(self) -> None:
        while self._todo:
            self._visit(self._todo.pop())

    def _visit(self, thing: Any) -> None:
        if isinstance(thing, _CONTAINERS):
            self._meet_items(thing)
        elif isinstance(thing, dict):
            self._meet_items(thing.values())
        elif isinstance(thing, FunctionType):
            self._visit_function(thing)
        elif isinstance(thing, ModuleType):
            if not _is_library(thing.__name__):
                self._modules.append(thing)
                for name in self._names & vars(thing).keys():
                    self._meet(vars(thing)[name])
        elif isinstance(thing, type):
            if not _is_library(thing.__module__):
                self._add_class(thing)
                for name in _MAKING:
                    self._meet_methods(thing, name)
        elif isinstance(thing, partial):
            for part in (thing.func, *thing.args, *thing.keywords.values()):
                self._meet(part, is_root=True)
            self._dicts[id(thing.keywords)] = thing.keywords, set(thing.keywords)
        elif isinstance(thing, MethodType):
            self._meet(thing.__self__, is_root=True)
            self._meet(thing.__func__)
        elif isinstance(thing, attrgetter):
            self._add_names({part for path in thing.__reduce__()[1] for part in path.split(".")})
        else:
            self._visit_object(thing)

    def _visit_object(self, thing: Any) -> None:
        """Something with fields, or what stands for a function."""
        is_ours = not is_module(thing) and _is_library(type(thing).__module__)
        if type(thing).__flags__ & _HEAP_TYPE and not is_ours:
            self._add_class(type(thing))
            self._meet_items(_held_by(thing))
        if _stands_for_function(thing):
            for name in _INSIDE:
                inside = getattr(thing, name, None)
                if callable(inside):
                    self._meet(inside)

    def _visit_function(self, function: FunctionType) -> None:
        code, known = function.__code__, function.__globals__
        read = names_in(code)
        cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
        self._meet(getattr(function, "__wrapped__", None))
        self._add_names(read.attributes)
        self._even_missing |= read.missing
        if _is_library(known.get("__name__", "")):
            self._meet_items(contents_of(cell) for cell in cells.values())
            return
        self._functions[function] = None
        for name in read.cells & cells.keys():
            self._cells[id(cells[name])] = cells[name]
            self._meet(contents_of(cells[name]))
        _, names = self._dicts.setdefault(id(known), (known, set()))
        for name in read.globals & known.keys():
            names.add(name)
            self._meet(known[name])
        self._visit_defaults(function)

    def _visit_defaults(self, function: FunctionType) -> None:
        by_name = function.__kwdefaults__
        if function.__defaults__ or by_name:
            self._objects[id(function)] = function
            self._meet_items(function.__defaults__ or ())
        if by_name:
            self._dicts[id(by_name)] = by_name, set(by_name)
            self._meet_items(by_name.values())

    def _meet_items(self, items: Any) -> None:
        for item in islice(items, MOST_ITEMS):
            self._meet(item)

    def _meet_methods(self, cls: type, name: str) -> None:
        """Meet the functions, properties and so on under a name in a class and its bases."""
        for base in cls.__mro__:
            if hasattr(type(held := vars(base).get(name)), "__get__"):
                self._meet(held)

    def _add_class(self, cls: type) -> None:
        if cls in self._classes:
            return
        self._classes[cls] = None
        special = {n for base in cls.__mro__[:-1] for n in vars(base) if n[:2] == n[-2:] == "__"}
        for name in (special - _NOT_READING) | self._names:
            self._meet_methods(cls, name)
        if "__match_args__" in self._names:
            self._add_names(set(getattr(cls, "__match_args__", ())))

    def _add_names(self, names: set[str] | frozenset[str]) -> None:
        new = names - self._names
        self._names |= new
        for cls in self._classes:
            for name in new:
                self._meet_methods(cls, name)
        for module in self._modules:
            for name in new & vars(module).keys():
                self._meet(vars(module)[name])
        if "__match_args__" in new:
            for cls in self._classes:
                self._add_names(set(getattr(cls, "__match_args__", ())))


def _is_library(module: str) -> bool:
    return module.partition(".")[0] in _LIBRARIES


def _is_called_in_python(thing: Any) -> bool:
    call = getattr(type(thing), "__call__", None)  # noqa: B004, its type is asked for
    return isinstance(call, FunctionType) and not _is_library(type(thing).__module__)


def _stands_for_function(thing: Any) -> bool:
    """Whether it is an object of Python's or ours that calls a function, as lru_cache makes."""
    return callable(thing) or hasattr(type(thing), "__get__")


def _held_by(thing: Any) -> Iterator[Any]:
    """What the fields and slots of an object hold."""
    yield from list(getattr(thing, "__dict__", {}).values())
    yield from slots_of(thing)


def _can_change(thing: Any) -> bool:
    if isinstance(thing, _UNCHANGING):
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
