"""arenagrad in micrograd's place: for this process, or for one script.

`install_as_micrograd()` makes `import micrograd` give arenagrad. `run_script` is what
`python -m arenagrad run` calls: it runs a script that imports micrograd, or one that defines a
`Value` of its own, without a change to it, as `python script.py` would run it.
"""

import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.machinery import BuiltinImporter, ModuleSpec, SourceFileLoader
from types import CodeType, FunctionType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from arenagrad._core import Value
from arenagrad._support.command import command_name

if TYPE_CHECKING:
    import ast

_REPLACE = "__arenagrad_replace__"  # the decorator's name among the script's globals
_ORDERING = frozenset({"__lt__", "__le__", "__gt__", "__ge__"})
_METHODS = (FunctionType, staticmethod, classmethod, property)


def install_as_micrograd() -> None:
    """Make `micrograd`, `micrograd.engine` and `micrograd.nn` mean arenagrad from here on.

    The two submodules are `arenagrad.engine` and `arenagrad.nn` themselves, so that what a program
    assigns to a name in them takes effect. Calling it again changes nothing; an installed
    micrograd is never touched, only hidden.

    Call it before anything imports micrograd. If the real one has been imported already, its
    modules are replaced all the same, with a RuntimeWarning: names taken from it earlier, by
    `from micrograd.engine import Value`, go on meaning its own classes, and those do not mix with
    arenagrad's. Cost: the import of `arenagrad.nn`.
    """
    from arenagrad import engine, nn  # here: `import arenagrad` shall not pay for `random`

    present = sys.modules.get("micrograd")
    if getattr(present, "engine", None) is engine and getattr(present, "nn", None) is nn:
        package = present
    else:
        if present is not None:
            warnings.warn(
                "micrograd had been imported before install_as_micrograd(): names already taken "
                "from it still mean the original classes",
                RuntimeWarning,
                stacklevel=2,
            )
        package = ModuleType("micrograd", "arenagrad under the name of micrograd.")
        package.__spec__ = ModuleSpec("micrograd", None, origin="arenagrad", is_package=True)
        package.__path__ = []
        package.__package__ = "micrograd"
        vars(package).update(engine=engine, nn=nn)
    assert package is not None
    sys.modules.update(
        {"micrograd": package, "micrograd.engine": engine, "micrograd.nn": nn},
    )


def run_script(script: str, arguments: Sequence[str], replace: Sequence[str] = ()) -> None:
    """Run a script as `__main__`, with arenagrad in the place of micrograd.

    script is its path, or `-` for the standard input; arguments become `sys.argv[1:]`; replace
    names classes: where the script has a class statement of such a name, the name means
    `arenagrad.Value` afterwards. The statement itself still runs, and methods of that class which
    Value lacks are put on Value; none that Value has is ever replaced.

    For the script all is as under `python script.py`: `sys.argv`, `sys.path[0]`, `__file__`, line
    numbers in tracebacks, exit codes, pickling of its classes. Processes it starts are not
    affected. Meant to be the last thing a process does: the interpreter's state is not restored.

    Raises what the script raises. Raises SystemExit with code 2, after a line on the standard
    error, if the script cannot be read or has no class of a name in replace: nothing has run then.
    """
    source, filename = _read(script)
    module = _new_main(filename)
    namespace = vars(module)
    try:
        # `dont_inherit`: the script's own __future__ imports count, not this file's.
        code = (
            _with_replaced_classes(source, filename, frozenset(replace))
            if replace
            else compile(source, filename, "exec", dont_inherit=True)
        )
        if replace:
            namespace[_REPLACE] = _stand_in
        install_as_micrograd()
        sys.argv = [script, *arguments]
        if not sys.flags.safe_path:
            sys.path[0] = "" if script == "-" else os.path.dirname(os.path.realpath(script))
        sys.modules["__main__"] = module
        exec(code, namespace)
    except BaseException as error:
        _hide_own_frames(error, namespace)
        raise


def _read(script: str) -> tuple[bytes, str]:
    """The source and the file name that Python itself would use for it."""
    if script == "-":
        return sys.stdin.buffer.read(), "<stdin>"
    filename = os.path.join(os.getcwd(), script)
    try:
        with io.open_code(filename) as file:
            return file.read(), filename
    except OSError as error:
        _refuse(f"can't open file {filename!r}: [Errno {error.errno}] {error.strerror}")


def _refuse(reason: str) -> NoReturn:
    print(f"{command_name()} run: {reason}", file=sys.stderr)
    raise SystemExit(2)


def _new_main(filename: str) -> ModuleType:
    """An empty `__main__` with the attributes that Python gives one."""
    module = ModuleType("__main__")
    vars(module).update(
        __annotations__={},
        __builtins__=sys.modules["builtins"],
        __cached__=None,
        __file__=filename,
        __loader__=BuiltinImporter
        if filename == "<stdin>"
        else SourceFileLoader("__main__", filename),
    )
    return module


def _with_replaced_classes(source: bytes, filename: str, names: frozenset[str]) -> CodeType:
    """The script's code, each class statement of these names decorated by `_stand_in`."""
    import ast

    tree = ast.parse(source, filename)
    found = set()
    for statement in ast.walk(tree):
        if isinstance(statement, ast.ClassDef) and statement.name in names:
            found.add(statement.name)
            statement.decorator_list.insert(0, _decorator(statement))
    missing = sorted(names - found)
    if missing:
        _refuse(f"--replace-class: {filename!r} has no class {' and no class '.join(missing)}")
    return compile(tree, filename, "exec", dont_inherit=True)


def _decorator(statement: "ast.ClassDef") -> "ast.Name":
    """A use of `_stand_in`, on the statement's own line so that no line number changes."""
    import ast

    first = statement.decorator_list[0] if statement.decorator_list else statement
    return ast.Name(
        _REPLACE,
        ast.Load(),
        lineno=first.lineno,
        col_offset=first.col_offset,
        end_lineno=first.lineno,
        end_col_offset=first.col_offset,
    )


def _stand_in(original: Any) -> type[Value]:
    """Value, to which those methods of the original class that it lacks have been added."""
    for name, member in getattr(original, "__dict__", {}).items():
        if isinstance(member, FunctionType | staticmethod | classmethod | property) and _lacks(
            name
        ):
            setattr(Value, name, member)
    return Value


def _lacks(name: str) -> bool:
    """Whether Value has no such attribute; the orderings of `object`, which refuse, are none."""
    if name in _ORDERING:
        return getattr(Value, name) is getattr(object, name)
    return not hasattr(Value, name)


def _hide_own_frames(error: BaseException, namespace: dict[str, Any]) -> None:
    """See to it that a traceback of this error begins in the script.

    The frames above can only be cut off where the traceback is shown. So the hook that shows it, be
    it Python's or one the script has set, is wrapped; what else Python does with an uncaught error
    stays Python's business.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals is not namespace:
        trace = trace.tb_next
    show: Callable[[type[BaseException], BaseException, TracebackType | None], object]
    show = sys.excepthook

    def hook(kind: type[BaseException], shown: BaseException, whole: TracebackType | None) -> None:
        if shown is error:
            whole = trace
            shown.__traceback__ = trace
        show(kind, shown, whole)

    sys.excepthook = hook
