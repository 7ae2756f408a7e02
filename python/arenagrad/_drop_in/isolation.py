"""Calls of a script's own code that leave no trace: the script must not notice the samples.

Within `isolated` the names that mean `arenagrad.Value` in the script mean its own class again, what
is printed goes nowhere, and afterwards the random generators, the attributes of the class and the
globals of its modules are as they were.
"""

import ast
import io
import itertools
import random
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import CellType, FunctionType, ModuleType
from typing import Any

from arenagrad._core import Value
from arenagrad._support.cells import contents_of

_LONGEST = 10_000  # longer containers are compared by their length only, and not restored
_MISSING = object()
_Undo = Callable[[], bool]


class Trace:
    """What the calls within a block changed, as far as it could be seen."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.printed = False
        self.changed: list[str] = []

    @property
    def silent(self) -> bool:
        """Whether nothing was printed and nothing but the results changed."""
        return not self.printed and not self.changed


def functions_of(kind: type) -> Iterator[FunctionType]:
    """The plain functions behind the methods of a class and of its bases."""
    for base in kind.__mro__[:-1]:
        for member in vars(base).values():
            parts: Iterable[Any] = (member,)
            if isinstance(member, staticmethod | classmethod):
                parts = (member.__func__,)
            elif isinstance(member, property):
                parts = (member.fget, member.fset, member.fdel)
            yield from (part for part in parts if isinstance(part, FunctionType))


def _namespaces(kind: type, modules: Iterable[ModuleType]) -> list[dict[str, Any]]:
    """The globals that the methods of the class see, and those of modules that bind Value."""
    spaces = {id(f.__globals__): f.__globals__ for f in functions_of(kind)}
    for module in modules:
        space = vars(module)
        if any(held is Value for held in list(space.values())):
            spaces[id(space)] = space
    return list(spaces.values())


@contextmanager
def _names_mean(kind: type, namespaces: list[dict[str, Any]]) -> Iterator[None]:
    """The names bound to Value, and the free variables, mean the class itself."""
    renamed = [(space, k) for space in namespaces for k, v in list(space.items()) if v is Value]
    own = getattr(sys.modules.get(kind.__module__), "__dict__", {})
    # The class statement has not bound its name yet, or bound it to Value.
    stood = own.get(kind.__name__, _MISSING) if kind.__qualname__ == kind.__name__ else kind
    cells: list[tuple[CellType, Any]] = []
    for function in functions_of(kind):
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            content = contents_of(cell, _MISSING)
            if content is Value or (content is _MISSING and name == kind.__name__):
                cells.append((cell, content))
                cell.cell_contents = kind
    for space, name in renamed:
        space[name] = kind
    if stood is not kind:
        own[kind.__name__] = kind
    try:
        yield
    finally:
        for space, name in renamed:
            space[name] = Value
        if stood is _MISSING:
            del own[kind.__name__]
        elif stood is not kind:
            own[kind.__name__] = stood
        for cell, content in cells:
            if content is _MISSING:
                del cell.cell_contents
            else:
                cell.cell_contents = content


def _container_undo(held: Any) -> _Undo:
    """What puts the content of a list, dict, set or deque back and says whether it had changed."""
    size = len(held)
    if size > _LONGEST:
        return lambda: len(held) != size
    before = held.copy()

    def undo() -> bool:
        if len(held) == size and (
            isinstance(held, set)
            or all(
                a is b
                for a, b in zip(
                    held.values() if isinstance(held, dict) else held,
                    before.values() if isinstance(before, dict) else before,
                    strict=True,
                )
            )
        ):
            return False
        held.clear()
        held.update(before) if isinstance(held, dict | set) else held.extend(before)
        return True

    return undo


def _counter_at(counter: "itertools.count[int]") -> "itertools.count[int]":
    """A new counter that goes on where this one stands: copies of it are deprecated."""
    return itertools.count(*ast.literal_eval(repr(counter)[len("count(") : -1] + ","))


class _Snapshot:
    """The bindings of a module or class, and the content of the containers bound there."""

    def __init__(self, owner: Any, names: Iterable[str] | None = None) -> None:
        self._owner = owner
        self._names = None if names is None else frozenset(names)
        self._before = self._bindings()
        self._undo: dict[str, _Undo] = {}
        self._counters: dict[str, tuple[str, Any]] = {}
        for name, held in self._before.items():
            if name.startswith("__"):
                continue
            if type(held) in (list, dict, set, deque):
                self._undo[name] = _container_undo(held)
            elif isinstance(held, itertools.count):
                self._counters[name] = (repr(held), _counter_at(held))

    def _bindings(self) -> dict[str, Any]:
        found = self._owner if isinstance(self._owner, dict) else vars(self._owner)
        return {k: v for k, v in list(found.items()) if self._names is None or k in self._names}

    def _bind(self, name: str, held: Any) -> None:
        if isinstance(self._owner, dict):
            self._owner[name] = held
        else:
            setattr(self._owner, name, held)

    def _unbind(self, name: str) -> None:
        if isinstance(self._owner, dict):
            del self._owner[name]
        else:
            delattr(self._owner, name)

    def restore(self) -> list[str]:
        """Put all back as it was, and return the names of what had changed."""
        changed = [name for name, undo in self._undo.items() if undo()]
        now = self._bindings()
        for name, held in self._before.items():
            if name in self._counters:
                text, held = self._counters[name]
                if repr(self._before[name]) == text and now.get(name) is self._before[name]:
                    continue
            elif name in now and now[name] is held:
                continue
            self._bind(name, held)
            changed.append(name)
        for name in now.keys() - self._before.keys():
            self._unbind(name)
            if name != "__warningregistry__":  # of warnings, which are no result
                changed.append(name)
        return changed


@contextmanager
def _restored(snapshots: list[_Snapshot], trace: Trace) -> Iterator[None]:
    """The generators of random numbers, and what the snapshots hold, are as before afterwards."""
    numpy = sys.modules.get("numpy")
    numpy_state = numpy.random.get_state() if numpy is not None else None
    state = random.getstate()
    try:
        yield
    finally:
        if random.getstate() != state:
            trace.changed.append("random")
        random.setstate(state)
        if numpy is not None:
            numpy.random.set_state(numpy_state)
        for snapshot in snapshots:
            trace.changed += snapshot.restore()


@contextmanager
def isolated(
    kind: type,
    modules: Iterable[ModuleType] = (),
    *,
    as_itself: bool,
    variables: Iterable[str] = (),
) -> Iterator[Trace]:
    """A block for samples of a script's class, which leaves everything as it was.

    Args:
        kind: the class.
        modules: modules of the script that may hold the class under a name.
        as_itself: whether those names mean the class within the block, and not Value.
        variables: names of the class's own variables that Value holds, too.

    Yields:
        A Trace, complete when the block has ended.
    """
    trace, written = Trace(), io.StringIO()
    namespaces = _namespaces(kind, modules)
    snapshots = [_Snapshot(space) for space in namespaces]
    snapshots += [_Snapshot(base) for base in kind.__mro__[:-1] if not issubclass(base, Value)]
    snapshots.append(_Snapshot(Value, variables))
    with warnings.catch_warnings(), redirect_stdout(written), redirect_stderr(written):
        warnings.simplefilter("ignore")
        with _restored(snapshots, trace):
            if as_itself:
                with _names_mean(kind, namespaces):
                    yield trace
            else:
                yield trace
    trace.printed = bool(written.getvalue())
