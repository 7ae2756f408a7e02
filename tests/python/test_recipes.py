"""The recipes of CONTRIBUTING.md, applied to a copy of the tree that is then built and used.

A recipe is a section with blocks that name a file, and where in it they go: after, before or in
place of a line, or as a new file; and a block of Python that must hold afterwards. All are applied
to one copy, which is built once.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Insertion(NamedTuple):
    """A block, and where it goes: after, before or replace the line with a text; or a new file."""

    file: str
    how: str
    line: str
    block: str


class Recipe(NamedTuple):
    """A section: where its blocks go, and what holds when they are there."""

    title: str
    insertions: list[Insertion]
    checks: list[str]


def recipes() -> list[Recipe]:
    found = []
    for section in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]:
        insertions, checks = [], []
        for language, where, block in FENCE.findall(section):
            placed = re.search(r'file=(\S+)(?: (after|before|replace)="([^"]*)")?', where)
            if placed:
                file, how, line = placed.groups()
                insertions.append(Insertion(file, how or "new", line or "", block))
            elif language == "python" and "check" in where:
                checks.append(block)
        if insertions:
            found.append(Recipe(section.splitlines()[0], insertions, checks))
    return found


RECIPES = recipes()


def apply(folder: Path, insertion: Insertion) -> None:
    path = folder / insertion.file
    if insertion.how == "new":
        assert not path.exists(), f"{insertion.file} is there already"
        path.write_text(insertion.block)
        return
    text = path.read_text()
    assert text.count(insertion.line) == 1, f"{path.name}: {insertion.line!r} must be there once"
    start = text.rindex("\n", 0, text.index(insertion.line)) + 1
    end = text.index("\n", start) + 1
    before, after = {
        "after": (text[:end], text[end:]),
        "before": (text[:start], text[start:]),
        "replace": (text[:start], text[end:]),
    }[insertion.how]
    path.write_text(before + insertion.block + after)


@pytest.fixture(scope="module")
def copy_of_the_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder to import from: the package built from a copy with all recipes applied."""
    pytest.importorskip("pybind11", reason="pybind11 is not installed: nothing can be built")
    if shutil.which("cmake") is None:
        pytest.importorskip("cmake", reason="cmake is not installed: nothing can be built")
    folder = tmp_path_factory.mktemp("recipes")
    for part in ("cpp", "python", "tests/cpp", "CMakeLists.txt"):
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)
    for recipe in RECIPES:
        for insertion in recipe.insertions:
            apply(folder, insertion)
    site = folder / "site"
    shutil.copytree(folder / "python/arenagrad", site / "arenagrad")
    build(folder, site / "arenagrad")
    return site


def build(folder: Path, to: Path) -> None:
    """Build the native module without optimisation: what it computes is what counts here."""
    import pybind11

    cmake = shutil.which("cmake") or str(Path(sys.executable).with_name("cmake"))
    settings = {
        "CMAKE_BUILD_TYPE": "Debug",
        "ARENAGRAD_OPTIMIZATION": "-O0",
        "ARENAGRAD_LTO": "OFF",
        "SKBUILD_PROJECT_VERSION": "0",
        "Python_EXECUTABLE": sys.executable,
        "pybind11_DIR": pybind11.get_cmake_dir(),
    }
    define = [f"-D{name}={value}" for name, value in settings.items()]
    for command in (
        [cmake, "-S", str(folder), "-B", str(folder / "build"), *define],
        [cmake, "--build", str(folder / "build"), "--target", "_core", "--parallel", "2"],
    ):
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (module,) = (folder / "build").glob("_core*.so")
    shutil.copy(module, to)


def test_there_are_four_recipes_each_with_a_check() -> None:
    assert len(RECIPES) == 4
    assert all(recipe.checks for recipe in RECIPES)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=[recipe.title for recipe in RECIPES])
def test_a_recipe_applied_to_a_copy_of_the_tree_does_what_it_says(
    recipe: Recipe, copy_of_the_package: Path
) -> None:
    for check in recipe.checks:
        code = f"import sys; sys.path.insert(0, {str(copy_of_the_package)!r})\n{check}"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False
        )
        assert done.returncode == 0, done.stderr
