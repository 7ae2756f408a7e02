"""The rooms of the house: what each folder may use, and no circles.

`cpp/README.md` writes the order down: a fenced list, one room a line, from the lowest to the
highest. A file may include files of its own room and of rooms above it in the list.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CPP = ROOT / "cpp"
PACKAGE = ROOT / "python" / "arenagrad"


def listed(heading: str) -> list[str]:
    """The rooms in the fenced list below a heading of cpp/README.md, the lowest first."""
    text = (CPP / "README.md").read_text()
    block = re.search(rf"^#+ {heading}$.*?^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert block, f"cpp/README.md has no list of rooms below {heading!r}"
    return [line.split()[0] for line in block.group(1).splitlines() if line.strip()]


ORDER = listed("Rooms and their order")
SOURCES = sorted(path for path in CPP.rglob("*") if path.suffix in (".h", ".cpp", ".def"))


def room_of(path: Path) -> str:
    return path.parent.relative_to(CPP).as_posix()


def included(path: Path) -> Iterator[Path]:
    for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), re.MULTILINE):
        found = CPP / name if "/" in name else path.parent / name
        assert found.is_file(), f"{path.relative_to(ROOT)} includes {name}, which does not exist"
        yield found


def test_every_room_of_the_cpp_folder_is_in_the_list_and_has_a_readme() -> None:
    assert sorted(ORDER) == sorted({room_of(path) for path in SOURCES})
    for room in ORDER:
        readme = CPP / room / "README.md"
        assert readme.is_file(), f"{room} has no README.md"
        assert len(readme.read_text().splitlines()) <= 90, f"{readme} is longer than a page"


@pytest.mark.parametrize("room", ORDER)
def test_includes_between_rooms_run_one_way(room: str) -> None:
    allowed = set(ORDER[: ORDER.index(room) + 1])
    for path in SOURCES:
        if room_of(path) == room:
            for target in included(path):
                assert room_of(target) in allowed, f"{path.name} includes {target.name} of above"


def test_includes_have_no_circles() -> None:
    circle = circle_in({path: set(included(path)) for path in SOURCES})
    assert not circle, circle


# Python


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(path: Path) -> Iterator[str]:
    """The modules of the package that a module names, also within functions and for types only."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("arenagrad"):
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                yield inside if inside in MODULES else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("arenagrad"))


def room_of_module(name: str) -> str:
    """The folder of a private module; "public" for the flat modules that users import."""
    if name == "arenagrad":
        return "__init__"
    first = name.split(".")[1]
    if first in ("_core", "__main__"):
        return {"_core": "_core", "__main__": "_cli"}[first]
    return first if (PACKAGE / first).is_dir() else "public"


PYTHON_ORDER = listed("Rooms of the Python package")


def test_every_folder_of_the_package_is_in_the_list() -> None:
    assert sorted(PYTHON_ORDER) == sorted({room_of_module(name) for name in MODULES} | {"_core"})


@pytest.mark.parametrize("name", MODULES)
def test_imports_between_rooms_of_the_package_run_one_way(name: str) -> None:
    room = room_of_module(name)
    allowed = set(PYTHON_ORDER[: PYTHON_ORDER.index(room) + 1])
    for target in imported(MODULES[name]):
        if target == "arenagrad":  # names that the package gathers, asked for at run time
            continue
        assert room_of_module(target) in allowed, f"{name} imports {target}"


def test_modules_of_the_package_import_one_another_without_circles() -> None:
    graph = {name: {t for t in imported(path) if t in MODULES} for name, path in MODULES.items()}
    for name in graph:
        graph[name].discard("arenagrad")
    circle = circle_in(graph)
    assert not circle, circle


def circle_in(graph: dict[Any, set[Any]]) -> list[Any]:
    """A circle of this graph, or an empty list: what stays when nodes without targets are taken."""
    left = {node: set(targets) - {node} for node, targets in graph.items()}
    while True:
        free = [node for node, targets in left.items() if not targets & left.keys()]
        if not free:
            return list(left)
        for node in free:
            del left[node]
        if not left:
            return []
