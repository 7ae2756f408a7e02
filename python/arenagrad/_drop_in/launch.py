"""A script, notebook or module started as `__main__`, as Python itself would start it."""

import ast
import importlib.util
import io
import linecache
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.machinery import BuiltinImporter, ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType, TracebackType
from typing import Any, NoReturn

from arenagrad._drop_in import notebook, source
from arenagrad._drop_in.session import Session, missing, no_class
from arenagrad._drop_in.source import Wanted
from arenagrad._support.command import command_name


@dataclass
class _Part:
    """A piece of source that runs as one: a script, or a cell."""

    text: bytes | str
    filename: str
    replace: Sequence[str] = ()  # names of classes, in this piece alone


@dataclass
class _Program:
    """What is to run, and what a script sees of its start."""

    filename: str
    argv0: str
    folder: str  # sys.path[0]
    names: tuple[str, ...]  # of the module, for `engine.Value`
    parts: list[_Part]
    spec: ModuleSpec | None = None
    said: list[str] = field(default_factory=list)
    is_notebook: bool = False


def run(
    script: str,
    arguments: Sequence[str],
    replace: Sequence[str],
    install: Callable[[], None],
    *,
    as_module: bool,
) -> None:
    """Run it; install puts arenagrad under micrograd's name. `compat.run_script` says more."""
    program = _read_module(script) if as_module else _read(script)
    module = _new_main(program)
    namespace = vars(module)
    session: Session | None = None
    try:
        asked = dict.fromkeys([*replace, *(name for p in program.parts for name in p.replace)])
        wanted = [Wanted.parse(name) for name in asked]
        folders = source.own_folders(program.folder or os.getcwd())
        local = _has_micrograd(folders[0])
        if local:
            wanted.append(Wanted("Value", "micrograd", is_asked=False))
        codes: Iterable[Any]
        if wanted:
            session = Session(wanted)
            codes = _transformed(program, session, folders)
            session.expected = session.expected or [str(w) for w in wanted if w.is_asked]
            namespace[source.DECORATOR] = session.replace
            sys.meta_path.insert(0, session.finder())
        else:  # a script's own __future__ imports count, not this file's
            codes = [compile(p.text, p.filename, "exec", dont_inherit=True) for p in program.parts]
        if not local:
            install()
        sys.argv = [program.argv0, *arguments]
        if as_module or not sys.flags.safe_path:
            sys.path[0] = program.folder
        _prepare_notebook(program, namespace)
        sys.modules["__main__"] = module
        _import_package(program)
        for code in codes:
            exec(code, namespace)
    except BaseException as error:
        _hide_own_frames(error, namespace)
        raise
    finally:
        if session is not None:
            session.report(ended=not isinstance(sys.exception(), Exception))


def _transformed(program: _Program, session: Session, folders: list[str]) -> list[Any]:
    """The code of all parts, decorated; ends the process if a class is nowhere."""
    trees = [(ast.parse(part.text, part.filename), part.filename) for part in program.parts]
    found = [each for tree, _ in trees for each in session.transform_tree(tree, *program.names)]
    package = (program.spec.parent or "") if program.spec is not None else ""
    importing = [tree for tree, _ in trees]
    if package:  # which is imported before the module runs
        importing.append(ast.parse(f"import {package}"))
    imported = list(source.modules_imported(importing, folders, package))
    for _, path, read in imported:
        session.facts.note_bindings(read, path)
    for name, _, read in imported:
        found += source.decorated(read, session.wanted, name)
    looked = {os.path.basename(path) for _, path, _ in imported}
    lacking = missing(session.wanted, found)
    if lacking and any(_mentions_path(part.text) for part in program.parts):
        session.expected = lacking  # it may lie where the script itself looks for modules
    elif lacking:
        nowhere = f"{program.filename!r} has {no_class(lacking)}"
        places_said = f" (looked there and in {_listed(looked)})" if looked else ""
        _refuse(f"--replace-class: {nowhere}{places_said}")
    return [compile(tree, filename, "exec", dont_inherit=True) for tree, filename in trees]


def _listed(names: Iterable[str]) -> str:
    """The first of these names, and how many more there are."""
    first = sorted(names)[:10]
    more = len(set(names)) - len(first)
    return ", ".join(first) + (f" and {more} more" if more else "")


def _mentions_path(text: bytes | str) -> bool:
    return b"sys.path" in (text.encode() if isinstance(text, str) else text)


def _has_micrograd(folder: str) -> bool:
    """Whether `import micrograd` in a script of this folder finds one that is not installed."""
    spec = PathFinder.find_spec("micrograd", [folder, *sys.path[1:]])
    if spec is None:
        return False
    if spec.has_location:
        return source.is_own(spec.origin)
    inside = spec.submodule_search_locations or ()
    return any(source.is_own(os.path.join(place, "engine.py")) for place in inside)


def _read(script: str) -> _Program:
    """The source and the names that Python itself would use for it."""
    if script == "-":
        text = sys.stdin.buffer.read()
        return _Program("<stdin>", "-", "", ("__main__",), [_Part(text, "<stdin>")])
    filename = os.path.join(os.getcwd(), script)
    try:
        with io.open_code(filename) as file:
            text = file.read()
    except OSError as error:
        _refuse(f"can't open file {filename!r}: [Errno {error.errno}] {error.strerror}")
    folder = os.path.dirname(os.path.realpath(script))
    stem, suffix = os.path.splitext(os.path.basename(script))
    program = _Program(filename, script, folder, ("__main__", stem), [_Part(text, filename)])
    if suffix == ".ipynb":
        _read_cells(program, text)
    return program


def _read_cells(program: _Program, text: bytes) -> None:
    try:
        cells = notebook.code_cells(text.decode("utf-8"))
    except (notebook.NotNotebook, UnicodeDecodeError) as error:
        _refuse(f"can't read {program.filename!r}: {error}")
    program.is_notebook, program.parts = True, []
    for number, cell in enumerate(cells, 1):
        plain, said = notebook.plain_python(cell, number)
        name = f"{program.filename}, cell {number}"
        linecache.cache[name] = (len(plain), None, plain.splitlines(keepends=True), name)
        program.parts.append(_Part(plain, name, notebook.replaced_in(cell)))
        program.said += said


def _prepare_notebook(program: _Program, namespace: dict[str, Any]) -> None:
    if not program.is_notebook:
        return
    namespace["display"] = notebook.display
    os.environ.setdefault("MPLBACKEND", "Agg")
    sys.meta_path.append(notebook.GraphvizFinder())
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = traceback.print_exception  # which finds the source of a cell
    for line in program.said:
        print(f"arenagrad: {os.path.basename(program.filename)}: {line}", file=sys.stderr)


def _read_module(name: str) -> _Program:
    """The module that `python -m name` would run; its package is not imported yet."""
    folder = os.getcwd()
    if not sys.flags.safe_path:
        sys.path[0] = folder
    try:
        spec = _find_without_import(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = _find_without_import(f"{name}.__main__")
    except (ImportError, ValueError) as error:
        _refuse(f"can't find module {name!r}: {error}")
    if spec is None or spec.origin is None or not isinstance(spec.loader, SourceFileLoader):
        _refuse(f"can't find module {name!r} in source")
    text = spec.loader.get_data(spec.origin)
    names = ("__main__", spec.name)
    return _Program(spec.origin, spec.origin, folder, names, [_Part(text, spec.origin)], spec)


def _find_without_import(name: str) -> ModuleSpec | None:
    """The spec of a module, found through the folders of its packages, which are not imported.

    Packages whose folders are only known after they have run are imported.
    """
    spec: ModuleSpec | None = None
    path: list[str] | None = None
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        found = (each.find_spec(".".join(parts[:end]), path) for each in list(sys.meta_path))
        try:
            spec = next(filter(None, found), None)
            inside = None if spec is None else spec.submodule_search_locations
            path = None if inside is None else list(inside)
        except KeyError:  # a package without a file, within another one
            path = None
        if path is None and end < len(parts):
            return importlib.util.find_spec(name)
    return spec or importlib.util.find_spec(name)


def _import_package(program: _Program) -> None:
    """Import the package of a module that is run, as Python does before the module's own code."""
    if program.spec is not None and program.spec.parent:
        argv, sys.argv = sys.argv, ["-m", *sys.argv[1:]]
        importlib.import_module(program.spec.parent)
        sys.argv = argv


def _refuse(reason: str) -> NoReturn:
    print(f"{command_name()} run: {reason}", file=sys.stderr)
    raise SystemExit(2)


def _new_main(program: _Program) -> ModuleType:
    """An empty `__main__` with the attributes that Python gives one."""
    module = ModuleType("__main__")
    filename, spec = program.filename, program.spec
    vars(module).update(
        __annotations__={},
        __builtins__=sys.modules["builtins"],
        __cached__=None if spec is None else spec.cached,
        __file__=filename,
        __loader__=BuiltinImporter
        if filename == "<stdin>"
        else SourceFileLoader("__main__", filename),
    )
    if spec is not None:
        vars(module).update(__spec__=spec, __package__=spec.parent, __loader__=spec.loader)
    return module


def _hide_own_frames(error: BaseException, namespace: dict[str, Any]) -> None:
    """See to it that a traceback of this error begins in the script.

    The frames above can only be cut off where the traceback is shown. So the hook that shows it, be
    it Python's or one the script has set, is wrapped; what else Python does with an uncaught error
    stays Python's business.
    """
    trace = error.__traceback__
    while trace is not None and not (
        trace.tb_frame.f_globals is namespace or source.is_own(trace.tb_frame.f_code.co_filename)
    ):
        trace = trace.tb_next
    show: Callable[[type[BaseException], BaseException, TracebackType | None], object]
    show = sys.excepthook

    def hook(kind: type[BaseException], shown: BaseException, whole: TracebackType | None) -> None:
        if shown is error:
            whole = trace
            shown.__traceback__ = trace
        show(kind, shown, whole)

    sys.excepthook = hook
