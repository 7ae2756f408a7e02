"""Class statements of a script and of the modules beside it, decorated if they are wanted.

A class is asked for as `Value`, in the script or any module of its own that it imports, or as
`engine.Value`, in the module engine alone.
"""

import ast
import contextlib
import functools
import os
import re
import sys
import sysconfig
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

DECORATOR = "__arenagrad_replace__"  # the decorator's name among a module's globals


@dataclass(frozen=True)
class Wanted:
    """A class to be replaced: its name, and the module it must stand in, if one was named."""

    name: str
    module: str = ""
    is_asked: bool = True  # and not just replaced where there is one

    @classmethod
    def parse(cls, text: str) -> "Wanted":
        """The class that a command line names."""
        module, _, name = text.rpartition(".")
        return cls(name, module)

    def stands_in(self, module: str) -> bool:
        """Whether a class statement of this name in this module, or package, is meant."""
        return not self.module or f".{self.module}." in f".{module}."

    def __str__(self) -> str:
        """As the command line has it."""
        return f"{self.module}.{self.name}" if self.module else self.name


def decorated(tree: ast.Module, wanted: Sequence[Wanted], *modules: str) -> list[Wanted]:
    """Decorate the class statements that are wanted; modules are the names of this one.

    Returns those that were found.
    """
    found = []
    for statement in ast.walk(tree):
        if isinstance(statement, ast.ClassDef):
            for each in wanted:
                if each.name == statement.name and any(map(each.stands_in, modules)):
                    statement.decorator_list.insert(0, _decorator(statement))
                    found.append(each)
                    break
    return found


def taken_over(tree: ast.Module) -> set[str]:
    """The names of classes of this source that a subclass takes: `class Value(Value)`.

    What the methods of the class make by that name are nodes of the subclass from then on.
    """
    statements = [each for each in ast.walk(tree) if isinstance(each, ast.ClassDef)]
    defined = Counter(each.name for each in statements)
    return {
        each.name
        for each in statements
        if defined[each.name] > 1 and any(ast.unparse(base) == each.name for base in each.bases)
    }


def _decorator(statement: ast.ClassDef) -> ast.Name:
    """A use of the decorator on the statement's own line, so that no line number changes."""
    first = statement.decorator_list[0] if statement.decorator_list else statement
    return ast.Name(
        DECORATOR,
        ast.Load(),
        lineno=first.lineno,
        col_offset=first.col_offset,
        end_lineno=first.lineno,
        end_col_offset=first.col_offset,
    )


def names_read(
    tree: ast.Module, classes: Sequence[str], methods: Callable[[str], bool]
) -> set[str]:
    """The names that are read, of attributes too, and short texts, which may be for getattr.

    The bases of a class statement do not count, nor what stands in those methods of the classes
    that `methods` accepts.
    """
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            found.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 40
        ):
            found.add(node.value)
        for child in ast.iter_child_nodes(node):
            if isinstance(node, ast.ClassDef) and child in node.bases:
                continue
            if not (
                isinstance(node, ast.ClassDef)
                and node.name in classes
                and isinstance(child, ast.FunctionDef)
                and methods(child.name)
            ):
                visit(child)

    visit(tree)
    return found


def assigned_by_rules(tree: ast.Module) -> set[str]:
    """The names of attributes that functions within functions assign, and do not add to.

    Such a function may be the rule of a node. What it leaves in a gradient then depends on the
    order of the sweep. An assignment of a number, which resets something, does not count.
    """
    found: set[str] = set()

    def visit(node: ast.AST, depth: int) -> None:
        if isinstance(node, ast.FunctionDef):
            depth += 1
        elif (
            isinstance(node, ast.Assign) and depth > 1 and not isinstance(node.value, ast.Constant)
        ):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and not _is_added_to(target, node.value):
                    found.add(target.attr)
        for child in ast.iter_child_nodes(node):
            visit(child, depth)

    visit(tree, 0)
    return found


def _is_added_to(target: ast.Attribute, value: ast.expr) -> bool:
    return (
        isinstance(value, ast.BinOp)
        and isinstance(value.op, ast.Add)
        and ast.unparse(target) in (ast.unparse(value.left), ast.unparse(value.right))
    )


# --- modules of the script's own ------------------------------------------------------------------


def _folders_of_others() -> tuple[str, ...]:
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths.add(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return tuple(os.path.realpath(path) + os.sep for path in paths if path)


# Found beforehand: the finder of modules asks for them, and sysconfig imports a module to tell.
_FOREIGN = _folders_of_others()


@functools.cache
def is_own(path: str | None) -> bool:
    """Whether this is a source file of the script's own, and no installed one."""
    if path is None or not path.endswith(".py"):
        return False
    real = os.path.realpath(path)
    if any(part in ("site-packages", "dist-packages") for part in real.split(os.sep)):
        return False
    return not real.startswith(_FOREIGN)


def is_own_module(module: Any) -> bool:
    """Whether this is a module of the script's own."""
    return module is not None and (
        module is sys.modules.get("__main__") or is_own(getattr(module, "__file__", None))
    )


def own_modules() -> Iterator[ModuleType]:
    """The modules of the script's own that have been imported, `__main__` first."""
    for module in [sys.modules.get("__main__"), *list(sys.modules.values())]:
        if isinstance(module, ModuleType) and is_own_module(module):
            yield module


class Loader(SourceFileLoader):
    """Loads a module with its class statements decorated; leaves no bytecode of that behind."""

    def __init__(self, name: str, path: str, transform: Callable[..., ast.Module]) -> None:
        """Load this file; transform takes the source, the file and the module's name."""
        super().__init__(name, path)
        self._transform = transform

    def get_code(self, fullname: str) -> CodeType:
        """The code of the changed tree."""
        path = self.get_filename(fullname)
        tree = self._transform(self.get_data(path), path, fullname)
        return compile(tree, path, "exec", dont_inherit=True)


class Finder:
    """Finds modules as Python does, and loads those of the script's own by `Loader`."""

    def __init__(
        self,
        transform: Callable[..., ast.Module],
        decorator: Callable[[Any], Any],
        names: Callable[[], Sequence[str]],
        note: Callable[[ast.Module, str], None],
    ) -> None:
        """Nothing is changed yet: put the finder first into sys.meta_path.

        Args:
            transform: takes the source, the file and the name of a module that has such a class.
            decorator: what the class statements of its result are decorated with.
            names: gives the names of the classes.
            note: takes the syntax tree and the file of each other module.
        """
        self._transform, self._decorator, self._names = transform, decorator, names
        self._note = note

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module of the script's own that has a class of such a name."""
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader or not is_own(spec.origin):
            return None
        source = spec.loader.get_data(spec.loader.path)
        names = "|".join(map(re.escape, self._names()))
        if re.search(rb"\bclass\s+(%s)\b" % names.encode(), source) is None:
            with contextlib.suppress(SyntaxError, ValueError):  # Python itself will say so
                self._note(ast.parse(source), spec.loader.path)
            return None
        loader = Loader(name, spec.loader.path, self._transform)
        original = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            setattr(module, DECORATOR, self._decorator)
            original(module)

        loader.exec_module = exec_module  # type: ignore[method-assign]  # of this one module
        spec.loader = loader
        return spec


# --- what a script imports, without running it ----------------------------------------------------


def modules_imported(
    trees: Sequence[ast.Module], folders: Sequence[str], package: str = ""
) -> Iterator[tuple[str, str, ast.Module]]:
    """The modules in these folders that a script imports, and those that they import.

    Args:
        trees: the parts of the script.
        folders: where its modules are looked for.
        package: the package that the script belongs to.

    Yields:
        Name, path and syntax tree of each, those that the script itself names first.
    """
    met: set[str] = set()
    todo = deque((tree, package) for tree in trees)
    while todo:
        current, inside = todo.popleft()
        for name in _imported(current, inside):
            parts = name.split(".")
            for end in range(1, len(parts) + 1):
                module = ".".join(parts[:end])
                path = None if module in met else _file_of(module, folders)
                if path is None:
                    continue
                met.add(module)
                try:
                    with open(path, "rb") as file:
                        parsed = ast.parse(file.read(), path)
                except (OSError, SyntaxError, ValueError):
                    continue
                is_package = os.path.basename(path) == "__init__.py"
                todo.append((parsed, module if is_package else module.rpartition(".")[0]))
                yield module, path, parsed


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join(filter(None, [*above, base]))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")
        else:
            yield from _imported_by_text(node)


def _imported_by_text(node: ast.AST) -> Iterator[str]:
    """The module that a use of import_module or __import__ names by a text."""
    function, given = getattr(node, "func", None), getattr(node, "args", None)
    name = getattr(function, "attr", getattr(function, "id", None))
    if name in ("import_module", "__import__") and given:
        text = getattr(given[0], "value", None)
        if isinstance(text, str):
            yield text


def _file_of(module: str, folders: Sequence[str]) -> str | None:
    relative = os.path.join(*module.split(".")) if module else ""
    for folder in folders:
        for path in (
            os.path.join(folder, relative, "__init__.py"),
            os.path.join(folder, f"{relative}.py"),
        ):
            if relative and os.path.isfile(path):
                return path
    return None


def own_folders(first: str) -> list[str]:
    """Where modules of a script's own are looked for: its folder, and what is not installed."""
    others = [p for p in sys.path[1:] if p and os.path.isdir(p) and is_own(os.path.join(p, "x.py"))]
    return [first, *others]
