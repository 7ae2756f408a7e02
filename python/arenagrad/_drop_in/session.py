"""The classes that a script asks to replace, from their source to the line about them."""

import ast
import os
import sys
from collections.abc import Iterable, Sequence
from types import FunctionType
from typing import Any

from arenagrad._core import Value, arena_info, collect
from arenagrad._drop_in import source
from arenagrad._drop_in.facts import Facts
from arenagrad._drop_in.layout import Unreadable
from arenagrad._drop_in.replacement import Replacement


class Session:
    """Replaces classes while their modules run."""

    def __init__(self, wanted: Iterable[source.Wanted] = ()) -> None:
        """Replace these, as soon as a module that was transformed defines one."""
        self.wanted = list(wanted)
        self.expected: list[str] = []  # names of classes that were not found in the source
        self._done: list[Replacement | str] = []
        self._in_use: Replacement | None = None
        self.facts = Facts()
        self._count = 0

    def transform(self, text: bytes | str, path: str, *modules: str) -> ast.Module:
        """The syntax tree of a source, its class statements decorated."""
        tree = ast.parse(text, path)
        self.transform_tree(tree, *modules, file=path)
        return tree

    def transform_tree(
        self, tree: ast.Module, *modules: str, file: str = ""
    ) -> list[source.Wanted]:
        """Decorate the class statements of a tree; returns those found. A file counts once."""
        self.facts.note_bindings(tree, file)
        taken = source.taken_over(tree)
        left = [each for each in self.wanted if each.name in taken]
        found = source.decorated(tree, [w for w in self.wanted if w not in left], *modules)
        for each in left:
            place = os.path.basename(file) if file else "the notebook"
            self._count += 1
            self._done.append(
                f"arenagrad: class {each.name} of {place} is left alone: a subclass takes its name"
            )
        names = frozenset(each.name for each in found)
        self.facts.note_reads(tree, tuple(names), self._is_compared)
        return [*found, *left]

    @staticmethod
    def _is_compared(method: str) -> bool:
        return method in vars(Value) or method == "__init__"

    def finder(self) -> source.Finder:
        """A finder for sys.meta_path: modules that the script imports are transformed too."""
        return source.Finder(
            self.transform,
            self.replace,
            lambda: [each.name for each in self.wanted],
            self.facts.note_bindings,
        )

    def replace(self, original: Any) -> Any:
        """The decorator: Value for a class, or the class itself where it must be left alone."""
        self._count += 1
        name = getattr(original, "__name__", repr(original))
        where = _file_of(original)
        if not isinstance(original, type):
            self._done.append(f"arenagrad: {name} of {where} is left alone: it is no class")
            return original
        if issubclass(original, Value):
            self._done.append(f"arenagrad: class {name} of {where} stays a subclass of Value")
            return original
        replacement = Replacement(original, where, source.own_modules)
        former = self._in_use
        again = former is not None and (former.kind.__module__, former.kind.__qualname__) == (
            original.__module__,
            original.__qualname__,
        )
        try:
            if former is not None and again:
                _refuse_second(former.kind, original)
                self._in_use = None
                former.undo()
            elif former is not None and not former.is_empty:
                raise Unreadable(
                    f"Value has the methods of {former.kind.__name__} of {former.where}"
                )
            replacement.install(self.facts)
            replacement.decide_before_threads()
        except Unreadable as error:
            line = f"arenagrad: class {name} of {where} is left alone: {error}"
            if line not in self._done:
                self._done.append(line)
            return original
        if self._in_use is None or not replacement.is_empty:
            self._in_use = replacement
        if again and former in self._done:
            self._done.remove(former)
        self._done.append(replacement)
        return Value

    @property
    def count(self) -> int:
        """How many classes were met so far, those that were left alone included."""
        return self._count

    def lines(self) -> list[str]:
        """What is native and what was kept, one line a class."""
        return [done if isinstance(done, str) else done.report() for done in self._done]

    def report(self, ended: bool) -> None:
        """Say so on the standard error, and which classes a script never met that has ended."""
        for line in self.lines():
            print(line, file=sys.stderr)
        if ended and self.expected and not self._count:
            print(f"arenagrad: the script met {no_class(self.expected)}", file=sys.stderr)


def _refuse_second(former: type, again: type) -> None:
    """Refuse a class statement that runs again, if nodes may follow the rules of the former."""
    if "<locals>" in again.__qualname__:
        raise Unreadable("its function has made such a class before, which Value has replaced")
    if former.__dict__.keys() == again.__dict__.keys() and all(
        _is_alike(held, vars(again)[name]) for name, held in vars(former).items()
    ):
        return
    collect()
    if arena_info()["handles"]:
        raise Unreadable("nodes of the former class of that name are in use")


def _is_alike(one: Any, other: Any) -> bool:
    if isinstance(one, FunctionType) and isinstance(other, FunctionType):
        return one.__code__ == other.__code__ and not (one.__closure__ or other.__closure__)
    return type(one) is type(other) and not callable(one)


def _file_of(original: Any) -> str:
    name = getattr(original, "__module__", "")
    path = getattr(sys.modules.get(name), "__file__", None)
    if path is None:
        return "the notebook" if name == "__main__" else str(name)
    return os.path.basename(str(path))


def no_class(names: Sequence[str]) -> str:
    """For a message: none of these classes."""
    return f"no class {' and no class '.join(names)}"


def missing(wanted: Sequence[source.Wanted], found: Iterable[source.Wanted]) -> list[str]:
    """The names that were asked for and not found."""
    there = set(found)
    return sorted({str(each) for each in wanted if each.is_asked and each not in there})
