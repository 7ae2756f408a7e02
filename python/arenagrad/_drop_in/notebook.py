"""Notebooks run as scripts: their code cells in order, without what only a notebook can do."""

import ast
import json
import re
import sys
from collections.abc import Iterator
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_RUN_BODY = ("time", "timeit", "capture", "prun")
_QUIET = (
    *("install_as_micrograd", "matplotlib", "pylab", "load_ext", "reload_ext", "autoreload"),
    *("config", "time"),
)


_ASSIGNED = re.compile(r"[\w, ]+=\s*[!%]")  # name = !command, name = %magic


class NotNotebook(ValueError):
    """The file is no notebook; the message says why."""


def code_cells(text: str) -> list[str]:
    """The sources of the code cells. Raises NotNotebook."""
    try:
        cells = json.loads(text)["cells"]
        sources = [c["source"] for c in cells if c["cell_type"] == "code"]
        return [s if isinstance(s, str) else "".join(s) for s in sources]
    except (ValueError, KeyError, TypeError) as error:
        raise NotNotebook(
            f"it is no notebook of format 4: {type(error).__name__}: {error}"
        ) from None


def replaced_in(cell: str) -> list[str]:
    """The names of classes that a cell asks to replace, by `%%replace_class`."""
    first = cell.lstrip().split("\n", 1)[0].split()
    return first[1:] if first[:1] == ["%%replace_class"] else []


def plain_python(cell: str, number: int) -> tuple[str, list[str]]:
    """A cell without magics and shell commands, each line where it was.

    Returns its text, and a line about each part that is left out and could matter.
    """
    lines = cell.split("\n")
    said: list[str] = []
    first = next((i for i, line in enumerate(lines) if line.strip()), 0)
    if lines[first].startswith("%%"):
        magic = lines[first][2:].split()[0] if lines[first][2:].split() else ""
        if magic not in _RUN_BODY and magic != "replace_class":
            return "", [f"cell {number}: %%{magic} and its cell are left out"]
        lines[first] = ""
    return "\n".join(_without_magics(lines, number, said)), said


def _without_magics(lines: list[str], number: int, said: list[str]) -> Iterator[str]:
    text = "\n".join(lines)
    if _parses(text):  # a % or ! at the head of a line is then no magic
        yield text
        return
    is_continued = False
    for line in lines:
        word = line.lstrip()
        indent = line[: len(line) - len(word)]
        if is_continued or _ASSIGNED.match(word):
            said.append(f"cell {number}: {word.strip()!r} is left out")
            yield f"{indent}pass" if indent and not is_continued else ""
            is_continued = line.endswith("\\")
        elif word.startswith(("%", "!", "?")) or word.rstrip().endswith("?"):
            name = word[1:].split()[0] if word[1:].split() else ""
            if word.startswith("%time "):
                yield indent + word[len("%time ") :]
                continue
            if not (word.startswith("%") and name in _QUIET) and "?" not in (
                word[:1],
                word.rstrip()[-1:],
            ):
                said.append(f"cell {number}: {word.strip()!r} is left out")
            is_continued = word.startswith("!") and line.endswith("\\")
            yield f"{indent}pass" if indent else ""
        else:
            yield line


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def display(*shown: Any, **_: Any) -> None:
    """Print what a notebook would show."""
    for each in shown:
        print(repr(each))


class _Drawing:
    """Takes every call and gives itself: for graphviz where that is not installed."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Draw nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: self


class GraphvizFinder(MetaPathFinder, Loader):
    """For the end of sys.meta_path: `import graphviz` gives what draws nothing, and says so."""

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        """The spec of the module graphviz, which no finder before this one has found."""
        return ModuleSpec(name, self) if name == "graphviz" else None

    def create_module(self, _: ModuleSpec) -> None:
        """Let Python make the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Give it its classes."""
        print(
            "arenagrad: graphviz is not installed: what it would draw is left out", file=sys.stderr
        )
        vars(module).update(Digraph=_Drawing, Graph=_Drawing, Source=_Drawing)
