"""`python -m arenagrad run script.py` beside `python script.py`: nothing a user sees may differ."""

import functools
import signal
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import RUN, Done, outcome, run_python


@pytest.fixture
def python(tmp_path: Path) -> Callable[..., Done]:
    """Call this interpreter in tmp_path; script= is the text of script.py."""
    return functools.partial(run_python, tmp_path)


SAME = {
    "what a script sees of its start": """
        import sys
        print(sys.argv, sys.path[0], __file__, __name__, __spec__, __package__, __cached__)
        print(type(__loader__), __loader__.get_filename(), __builtins__, __annotations__)
        print(sorted(globals()), sys.modules["__main__"].__dict__ is globals())
        """,
    "its docstring and its own future": '''
        """What it is."""
        from __future__ import annotations
        def f(x: Unknown): pass
        print(__doc__, f.__annotations__)
        ''',
    "no future that is not its own": """
        def f(x: int): pass
        print(f.__annotations__)
        """,
    "the main guard": """
        def main():
            print("main")
        if __name__ == "__main__":
            main()
        """,
    "a module beside it": """
        import beside
        print(beside.WHERE)
        """,
    "standard input": """
        print(input(), input())
        """,
    "source of its functions": """
        import inspect
        class A:
            def f(self):
                return 1  # as written
        print(inspect.getsource(A), inspect.getsource(A.f), inspect.getsourcefile(A))
        """,
    "pickling of its classes": """
        import pickle, copy
        class A: pass
        def f(): pass
        back = pickle.loads(pickle.dumps([A(), A, f]))
        print(type(back[0]) is A, back[1:] == [A, f], A.__module__)
        """,
    "dataclasses and enums": """
        import dataclasses, enum, typing
        @dataclasses.dataclass
        class P:
            x: "int"
        Color = enum.Enum("Color", "RED")
        print(P(1), typing.get_type_hints(P), Color.__module__)
        """,
    "a process forked from it": """
        import multiprocessing
        def square(x):
            return x * x
        if __name__ == "__main__":
            with multiprocessing.get_context("fork").Pool(1) as pool:
                print(pool.map(square, [1, 2, 3]))
        """,
    "exit without a code": "raise SystemExit",
    "exit with a code": "import sys; sys.exit(3)",
    "exit with a message": "import sys; sys.exit('the reason')",
    "exit at the end of the process": """
        import atexit
        atexit.register(print, "bye")
        exit(4)
        """,
    "an error": """
        def inner(x):
            return x / 0

        def outer():
            inner(
                1
            )

        outer()
        """,
    "an error because of another": """
        try:
            {}["a"]
        except KeyError as error:
            raise ValueError("second") from error
        """,
    "an error during another": """
        try:
            {}["a"]
        except KeyError:
            raise ValueError("second")
        """,
    "an error in an imported module": """
        import beside
        beside.fail()
        """,
    "an error at the first line": "1 / 0",
    "a group of errors": "raise ExceptionGroup('many', [ValueError(1), TypeError(2)])",
    "an error with a note": """
        error = ValueError("noted")
        error.add_note("the note")
        raise error
        """,
    "endless recursion, named": """
        def f():
            try:
                f()
            except RecursionError:
                raise SystemExit("too deep") from None
        f()
        """,
    "an excepthook of its own": """
        import sys, traceback
        def hook(kind, error, trace):
            print("hook", kind.__name__, error, [f.name for f in traceback.extract_tb(trace)])
            print([f.name for f in traceback.extract_tb(error.__traceback__)])
        sys.excepthook = hook
        def f():
            raise KeyError("k")
        f()
        """,
    "an error in a thread": """
        import threading
        thread = threading.Thread(target=lambda: 1 / 0, name="worker")
        thread.start()
        thread.join()
        print("after")
        """,
    "a warning": """
        import warnings
        warnings.warn("beware", DeprecationWarning)
        """,
    "a syntax error": "x = 1\ndef f(:\n    pass\n",
    "an indentation error": "if 1:\nx = 1\n",
    "an error of the compiler": "x = 1\nreturn x\n",
    "an empty script": "",
}


@pytest.mark.slow
@pytest.mark.parametrize("case", SAME)
def test_a_script_runs_as_python_itself_runs_it(
    python: Callable[..., Done], tmp_path: Path, case: str
) -> None:
    (tmp_path / "beside.py").write_text(
        "WHERE = 'here'\ndef fail():\n    raise OSError('no')\n", encoding="utf-8"
    )
    arguments = ("script.py", "-x", "--", "--seed=1", "")
    given = {"script": SAME[case], "stdin": "one\ntwo\n"}
    assert outcome(python(*RUN, *arguments, **given)) == outcome(python(*arguments, **given))


@pytest.mark.parametrize("path", ["./script.py", "folder/../script.py", "folder/link.py", "/"])
def test_its_path_means_what_it_means_to_python(
    python: Callable[..., Done], tmp_path: Path, path: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link.py").symlink_to(tmp_path / "script.py")
    path = str(tmp_path / "script.py") if path == "/" else path
    script = "import sys\nprint(sys.argv, sys.path[0], __file__)\n1 / 0"
    direct = python(path, script=script)
    assert "ZeroDivisionError" in direct.stderr
    assert outcome(python(*RUN, path, script=script)) == outcome(direct)


def test_a_safe_path_stays_safe(python: Callable[..., Done]) -> None:
    script = "import sys\nprint(sys.path)"
    assert outcome(python("-P", *RUN, "script.py", script=script)) == outcome(
        python("-P", "script.py", script=script)
    )


def test_the_encoding_a_script_declares_is_honoured(python: Callable[..., Done]) -> None:
    script = "# coding: latin-1\nprint('é', len('é'))\n".encode("latin-1")
    assert python(*RUN, "script.py", script=script).stdout == "é 1\n"
    assert python(*RUN, "--replace-class", "é", "script.py", script=script).returncode == 2


def test_a_script_may_come_from_the_standard_input(python: Callable[..., Done]) -> None:
    script = "import sys\nprint(sys.argv, sys.path[0] == '', sorted(globals()))\n1 / 0\n"
    ours, direct = python(*RUN, "-", "-a", "b", stdin=script), python("-", "-a", "b", stdin=script)
    assert "['-', '-a', 'b'] True" in direct.stdout
    assert outcome(ours) == outcome(direct)


def test_an_interrupt_ends_the_process_as_python_does(python: Callable[..., Done]) -> None:
    script = """
    import os, signal, time
    signal.signal(signal.SIGINT, signal.default_int_handler)  # may have been inherited as ignored
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
    """
    ours, direct = python(*RUN, "script.py", script=script), python("script.py", script=script)
    assert direct.returncode == -signal.SIGINT
    assert outcome(ours) == outcome(direct)


def test_a_script_that_cannot_be_read_is_named(python: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    prefix = "python -m arenagrad run: can't open file"
    assert outcome(python(*RUN, "absent.py")) == (
        "",
        f"{prefix} '{tmp_path}/absent.py': [Errno 2] No such file or directory\n",
        2,
    )
    assert outcome(python(*RUN, "folder")) == (
        "",
        f"{prefix} '{tmp_path}/folder': [Errno 21] Is a directory\n",
        2,
    )


@pytest.mark.parametrize("case", ["a syntax error", "an error of the compiler", "an error"])
def test_errors_look_the_same_when_a_class_is_replaced(
    python: Callable[..., Done], case: str
) -> None:
    script = textwrap.dedent(SAME[case]) + "\nclass Value:\n    pass\n"
    direct = python("script.py", script=script)
    assert direct.returncode == 1
    ours = python(*RUN, "--replace-class", "Value", "script.py", script=script)
    assert outcome(ours) == outcome(direct)
