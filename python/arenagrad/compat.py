"""arenagrad in micrograd's place: for this process, or for one script.

`install_as_micrograd()` makes `import micrograd` give arenagrad. `run_script` is what
`python -m arenagrad run` calls: it runs a script that imports micrograd, or one that defines a
`Value` of its own, without a change to it, as `python script.py` would run it.
"""

import sys
import warnings
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


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


def run_script(
    script: str, arguments: Sequence[str], replace: Sequence[str] = (), *, as_module: bool = False
) -> None:
    """Run a script, a notebook or a module as `__main__`, with arenagrad for micrograd.

    For a script all is as under `python script.py`, for a module as under `python -m`: `sys.argv`,
    `sys.path[0]`, `__file__`, line numbers in tracebacks, exit codes, pickling of its classes. Of a
    notebook the code cells run in order, as one script. Processes it starts are not affected. Meant
    to be the last thing a process does: the interpreter's state is not restored.

    `import micrograd` gives arenagrad, unless a package of that name stands beside the script: then
    the class Value of that package is replaced, and the rest of it is used.

    A class that is replaced means `arenagrad.Value` afterwards. Each of its methods that Value has,
    too, is compared with Value's at its first call, and kept if it does not do the same; those
    that Value lacks are put on Value. A class whose fields cannot be read off its instances is left
    alone. A line on the standard error says which methods are native and which were kept.

    Args:
        script: a path, `-` for the standard input, or the name of a module.
        arguments: they become `sys.argv[1:]`.
        replace: names of classes: `Value` in the script or in any module beside it that it imports,
            `engine.Value` in the module engine.
        as_module: whether script is the name of a module.

    Raises:
        SystemExit: with code 2, after a line on the standard error, if the script cannot be read or
            no class has a name in replace: nothing has run then.
        BaseException: what the script raises.
    """
    from arenagrad._drop_in import launch

    launch.run(script, arguments, replace, install_as_micrograd, as_module=as_module)
