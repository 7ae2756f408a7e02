"""The command line: `arenagrad run | demo | bench | info`, or `python -m arenagrad ...`.

Only the command that was asked for is imported, so that each needs no more than it uses.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TypeAlias

from arenagrad import __version__
from arenagrad._support.command import command_name

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
_LARGEST_SEED = 2**32 - 1  # numpy's limit


def whole_number(low: int, high: int | None = None) -> Callable[[str], int]:
    """A reader of whole numbers from low to high, for argparse's `type`.

    The reader takes the text of an argument and returns the number; it raises ArgumentTypeError,
    which argparse shows together with the name of the option, for anything else.
    """
    wanted = f"a whole number of at least {low}"
    if high is not None:
        wanted = f"a whole number between {low} and {high}"

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or number < low or (high is not None and number > high):
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
        return number

    return read


def _run(options: argparse.Namespace, _: argparse.ArgumentParser) -> int:
    from arenagrad import compat

    for name in options.replace_class:
        if not all(part.isidentifier() for part in name.split(".")):
            options.parser.error(f"argument --replace-class: {name!r} is no name of a class")
    compat.run_script(
        options.script,
        options.script_arguments,
        options.replace_class,
        as_module=options.as_module,
    )
    return 0


def _demo(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from arenagrad._cli import demo

    reason = demo.why_not_writable(options.out)
    if reason is not None:
        parser.error(f"argument --out: {reason}")
    return demo.main(options.seed, options.steps, options.out, options.compiled)


def _bench(options: argparse.Namespace, _: argparse.ArgumentParser) -> int:
    from arenagrad._cli import bench

    return bench.main(rounds=options.rounds)


def _info(_options: argparse.Namespace, _: argparse.ArgumentParser) -> int:
    from arenagrad._cli import info

    print(info.report())
    return 0


def _add_run(commands: _Commands) -> None:
    run = commands.add_parser(
        "run",
        help="run a micrograd script, unchanged, on arenagrad",
        usage="%(prog)s [-h] [--replace-class NAME] script.py | notebook.ipynb | -m module "
        "[argument ...]",
        description="Run a script, a notebook or a module with arenagrad in the place of "
        "micrograd. What follows are its own arguments, passed on untouched.",
        allow_abbrev=False,
    )
    run.add_argument(
        "--replace-class",
        metavar="NAME",
        action="append",
        default=[],
        help="put arenagrad.Value where the script, or a module of its folder that it imports, "
        "defines a class NAME; `engine.Value` is that of the module engine (repeatable)",
    )
    run.add_argument(
        "-m", dest="as_module", action="store_true", help="what follows is the name of a module"
    )
    run.add_argument("script", metavar="script.py", help="the script, notebook or module")
    run.set_defaults(command=_run, parser=run)


def _add_demo(commands: _Commands) -> None:
    demo = commands.add_parser(
        "demo",
        help="train micrograd's moons classifier and draw its decision boundary",
        description="Train micrograd's moons classifier and draw its decision boundary.",
        allow_abbrev=False,
    )
    demo.add_argument(
        "--seed",
        type=whole_number(0, _LARGEST_SEED),
        default=1337,
        help="seed of the data and of the weights (default %(default)s)",
    )
    demo.add_argument(
        "--steps", type=whole_number(1), default=100, help="training steps (default %(default)s)"
    )
    demo.add_argument(
        "--out", metavar="FILE", default="moons.png", help="the picture (default %(default)s)"
    )
    demo.add_argument(
        "--compiled", action="store_true", help="train by compiled functions: the same, faster"
    )
    demo.set_defaults(command=_demo, parser=demo)


def _add_bench(commands: _Commands) -> None:
    bench = commands.add_parser(
        "bench",
        help="time the moons training step beside pure micrograd",
        description="Time one moons training step in arenagrad and in pure micrograd.",
        allow_abbrev=False,
    )
    bench.add_argument(
        "--rounds",
        type=whole_number(1),
        default=5,
        help="rounds taken in turn, of which the medians count (default %(default)s)",
    )
    bench.set_defaults(command=_bench, parser=bench)


def _add_info(commands: _Commands) -> None:
    info = commands.add_parser(
        "info",
        help="print what a bug report should contain",
        description="Print versions, build flags and the arena's figures, for a bug report.",
        allow_abbrev=False,
    )
    info.set_defaults(command=_info, parser=info)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=command_name(),
        description="micrograd's Value on a C++ arena: run scripts on it, see it, time it.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"arenagrad {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="run | demo | bench | info")
    commands.required = True
    _add_run(commands)
    _add_demo(commands)
    _add_bench(commands)
    _add_info(commands)
    return parser


def _split(arguments: Sequence[str]) -> tuple[Sequence[str], list[str]]:
    """Our own arguments, and those that belong to the script of `run`.

    argparse's REMAINDER will not do: it swallows a `--` meant for the script.
    """
    if not arguments or arguments[0] != "run":
        return arguments, []
    script = 1
    while script < len(arguments) and arguments[script].startswith("-"):
        if arguments[script] == "-":  # the standard input is the script
            break
        script += 2 if arguments[script] == "--replace-class" else 1
        if script > len(arguments) or arguments[script - 1] == "--":
            break
    return arguments[: script + 1], list(arguments[script + 1 :])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    arguments are those after the command's name, by default those of this process. Raises
    SystemExit with code 2 for arguments that make no sense and with code 1 for a missing package.
    """
    own, script_arguments = _split(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(own)
    options.script_arguments = script_arguments
    command: Callable[[argparse.Namespace, argparse.ArgumentParser], int] = options.command
    return command(options, options.parser)
