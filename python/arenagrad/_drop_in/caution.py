"""The static rules: which methods are kept, whatever samples show, from the code alone.

Samples show what a method does now. They prove nothing for later where it reads what the script may
change (a flag, a limit, a container), and they must not run where it writes anything but the fields
of its own nodes.
"""

import builtins
import dis
import sys
from collections.abc import Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

from arenagrad._core import Value
from arenagrad._drop_in.facts import Facts
from arenagrad._drop_in.isolation import functions_of
from arenagrad._drop_in.layout import names_of
from arenagrad._drop_in.source import is_own_module
from arenagrad._support.cells import contents_of

_ARITHMETIC = [f"__{r}{x}__" for x in ("add", "sub", "mul", "truediv", "pow") for r in ("", "r")]
ARITHMETIC = (*_ARITHMETIC, "__neg__")
_WORLD = (
    "builtins.print", "builtins.open", "builtins.input", "builtins.exec", "builtins.eval",
    "builtins.compile", "builtins.__import__", "builtins.globals", "builtins.locals",
    "builtins.vars", "builtins.getattr", "builtins.setattr", "builtins.delattr", "builtins.next",
    "builtins.breakpoint",
)  # fmt: skip
_WORLDLY_MODULES = (
    "asyncio", "gc", "io", "logging", "multiprocessing", "os", "pathlib", "shutil", "socket",
    "sqlite3", "subprocess", "sys", "tempfile", "threading", "time", "warnings",
)  # fmt: skip
_WORLDLY_METHODS = (
    "write", "writelines", "flush", "debug", "info", "warning", "error", "critical", "sleep",
    "release", "acquire",
)  # fmt: skip
_WRITES = ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_SUBSCR", "DELETE_SUBSCR", "DELETE_ATTR")
_IMPORTED = ("math", "cmath", "numpy", "random")
_ERROR_STATE = ("seterr", "errstate")  # NumPy's functions that change it
_MISSING = object()


class Caution:
    """What the methods of one class read and write beyond their operands."""

    def __init__(self, kind: type, facts: Facts) -> None:
        """Nothing is read yet; facts may grow."""
        self._kind, self._facts = kind, facts
        self._members = names_of(kind)
        self.fields = frozenset([*_stored_by(self._members.get("__init__")), "_backward"])
        self.fields |= frozenset(getattr(kind, "__dataclass_fields__", ()))
        self.constants: frozenset[str] = frozenset()  # fields that are alike in all nodes

    def why_kept(self, name: str, member: Any) -> str:
        """Why this method is the script's own, or "" if samples may decide."""
        reason = self.why(member)
        if reason or name in ("backward", "__repr__", "__str__"):
            return reason
        for each in ARITHMETIC:  # others may use them by an operator, which names nothing
            if each in self._members:
                patched = self.is_patched(each)
                reason = "the script changes it" if patched else self.why(self._members[each])
                if reason:
                    return f"{each}: {reason}"
        return ""

    def is_patched(self, name: str) -> bool:
        """Whether the script may put another method of this name on the class."""
        return self._facts.patches or name in self._facts.attributes

    def why(self, member: Any) -> str:
        """The first thing that this function, or one that it calls, reads or writes; or ""."""
        return next(self._found(member, set()), "")

    def why_not_swept(self, member: Any) -> str:
        """What in a backward may depend on sizes that no sample has; or ""."""
        for function in _functions(member):
            for code in _codes(function.__code__):
                if any(i.opname == "COMPARE_OP" for i in dis.get_instructions(code)):
                    return "compares numbers"
                if any(_is_size(held) for held in code.co_consts):
                    return "names a number"
        return ""

    def thresholds(self, member: Any) -> list[float]:
        """The numbers that a method names, and numbers near them and far from them."""
        found: set[float] = set()
        for function in _functions(member):
            held: list[Any] = [*(function.__defaults__ or ())]
            for code in _codes(function.__code__):
                held += code.co_consts
                spaces = (function.__globals__, self._members)
                held += [space.get(name) for name in code.co_names for space in spaces]
            found.update(abs(x) for x in held if _is_size(x))
        sized = sorted(x for x in found if 1e-250 < x < 1e250)[:16]
        near = (1.0, 1.001, 0.999, 1e3, 1e-3)
        return [sign * x * factor for x in sized for factor in near for sign in (1, -1)]

    def why_not_run(self, member: Any) -> str:
        """The first thing that this function, or one that it calls, writes; or ""."""
        return next((x for x in self._found(member, set()) if x.startswith("writes")), "")

    def _found(self, member: Any, seen: set[int]) -> Iterator[str]:
        for function in _functions(member):
            if id(function) in seen:
                continue
            seen.add(id(function))
            for held in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
                if not _is_constant(held):
                    yield "reads a default that may change"
            for code in _codes(function.__code__):
                for instruction in dis.get_instructions(code):
                    yield from self._of(function, instruction.opname, instruction.argval, seen)

    def _of(self, function: FunctionType, op: str, name: Any, seen: set[int]) -> Iterator[str]:
        own_cells = function.__code__.co_freevars
        if op in _WRITES or (op in ("STORE_DEREF", "DELETE_DEREF") and name in own_cells):
            yield f"writes {name or 'an element of something'}"
        elif op == "STORE_ATTR" and name not in self.fields:
            yield f"writes {name}"
        elif op == "IMPORT_NAME" and name not in _IMPORTED:
            yield f"writes what importing {name} does"
        elif op in ("LOAD_GLOBAL", "LOAD_NAME"):
            held = function.__globals__.get(name, vars(builtins).get(name, _MISSING))
            yield from self._of_variable(name, held, seen)
        elif op in ("LOAD_DEREF", "LOAD_CLASSDEREF") and name in own_cells and name != "__class__":
            yield from self._of_variable(name, _content(function, name, self._kind), seen)
        elif op in ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "LOAD_SUPER_METHOD"):
            yield from self._of_attribute(name, seen)

    def _of_variable(self, name: str, held: Any, seen: set[int]) -> Iterator[str]:
        if (
            held is self._kind
            or held is Value
            or (held is _MISSING and name == self._kind.__name__)
        ):
            return
        if name == "OverflowError":  # which tells else that a sample is beyond floats
            yield "reads OverflowError"
        elif held is _MISSING:
            yield f"reads {name}, which is not there yet"
        elif name in self._facts.rebound and not isinstance(held, ModuleType):
            yield f"reads {name}, which the script may change"
        elif isinstance(held, ModuleType):
            if held.__name__.partition(".")[0] in _WORLDLY_MODULES:
                yield f"writes with {name}"
            elif is_own_module(held):
                yield f"reads {name}, a module of the script's"
            elif held.__name__ == "numpy":
                yield from self._of_error_state()
        elif isinstance(held, FunctionType) and is_own_module(
            sys.modules.get(held.__module__ or "")
        ):
            yield from self._found(held, seen)
        elif isinstance(held, FunctionType | BuiltinFunctionType):
            if f"{held.__module__}.{held.__name__}" in _WORLD or (
                (held.__module__ or "").partition(".")[0] in (*_WORLDLY_MODULES, "posix")
            ):
                yield f"writes with {name}"
        elif isinstance(held, type):
            is_error = issubclass(held, BaseException)
            if not is_error and is_own_module(sys.modules.get(held.__module__)):
                yield f"reads {name}, a class of the script's"
        elif _is_constant(held):
            if self._facts.is_open:
                yield f"reads {name}, which the script may change"
        elif type(held).__name__ == "ufunc":
            yield from self._of_error_state()
        else:
            yield f"reads {name}, which may change"

    def _of_error_state(self) -> Iterator[str]:
        read = self._facts.read
        if not read.isdisjoint(_ERROR_STATE) and not read.isdisjoint(("raise", "call")):
            yield "reads NumPy's treatment of errors, which the script changes"

    def _of_attribute(self, name: str, seen: set[int]) -> Iterator[str]:
        if name in self.constants:
            yield f"reads the field {name}"
        elif name in _WORLDLY_METHODS:
            yield f"writes with {name}"
        elif name in self.fields:
            return
        elif name in self._facts.attributes or (self._facts.patches and name in self._members):
            yield f"reads {name}, which the script assigns"
        elif name in self._members:
            member = self._members[name]
            if list(_functions(member)):
                yield from self._found(member, seen)
            elif not name.startswith("__") and (not _is_constant(member) or self._facts.is_open):
                yield f"reads {name}, which may change"


def _functions(member: Any) -> Iterator[FunctionType]:
    """The plain functions behind a member of a class, or a function itself."""
    yield from functions_of(type("_", (), {"member": member}))


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for held in code.co_consts:
        if isinstance(held, CodeType):
            yield from _codes(held)


def _stored_by(constructor: Any) -> Iterator[str]:
    for function in _functions(constructor):
        for instruction in dis.get_instructions(function.__code__):
            if instruction.opname == "STORE_ATTR":
                yield instruction.argval


def _content(function: FunctionType, name: str, kind: type) -> Any:
    cell = (function.__closure__ or ())[function.__code__.co_freevars.index(name)]
    return contents_of(cell, kind if name == kind.__name__ else _MISSING)


def _is_constant(held: Any) -> bool:
    if isinstance(held, tuple | frozenset):
        return all(map(_is_constant, held))
    return held is None or type(held) in (bool, int, float, complex, str, bytes)


def _is_size(held: Any) -> bool:
    """Whether this is a number other than 0, 1 and -1."""
    return type(held) in (int, float) and held not in (0, 1, -1)
