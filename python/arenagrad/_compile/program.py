"""What a compiled function runs, to be looked at, saved, and run without the function."""

import os
from pathlib import Path as FilePath
from typing import Any

from arenagrad._compile.batch_run import BatchRun
from arenagrad._compile.program_file import Calling, program_of_bytes, program_to_bytes
from arenagrad._compile.trace_cache import Path
from arenagrad._compile.transforms import Step
from arenagrad._core import FormatError
from arenagrad._programs import Batch, NativeDispatch, PyTree, read_arguments
from arenagrad._support.arguments import by_position, thread_count
from arenagrad._support.files import complete_file


class Program(NativeDispatch):
    """The program that a compiled function runs for some arguments; from `f.program(*args)`.

    Called with arguments of that structure it gives what the function gives, a derivative's program
    the derivative, without the function: it can be saved, and run where there is no function.

    It is one way through the function's comparisons: ValueError is raised for numbers that take
    another. The errors of the mathematics are raised as the function would.
    """

    def __init__(
        self, path: Path, steps: tuple[Step, ...], calling: Calling, threads: int = 1
    ) -> None:
        super().__init__(self._call)
        self._path, self._steps, self._calling, self._threads = path, steps, calling, threads

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the program to a file, with the structure of its arguments and results.

        Values that the function uses and was not given are saved as their numbers are now, and a
        Module among the arguments as a list of its numbers. The file is complete or not there.

        Raises TypeError for structures with objects that have no safe bytes: other than None,
        bools, ints, floats, texts and tuples of these; OSError if the file cannot be written.
        """
        content = program_to_bytes(self._path, self._steps, self._calling)
        with complete_file(path) as file:
            file.write(content)

    @staticmethod
    def load(path: str | os.PathLike[str], threads: int = 1) -> "Program":
        """The program that `save` wrote to this file, ready to be called.

        Nothing in the file is run or unpickled. Raises FormatError, which names the file, for one
        that is damaged, of another format or none of ours; OSError if there is none.
        """
        threads = thread_count(threads)
        content = FilePath(os.fsdecode(path)).read_bytes()
        try:
            return Program(*program_of_bytes(content), threads)
        except MemoryError:
            raise
        except Exception as error:  # whatever is wrong with what the file says
            raise FormatError(f"{os.fsdecode(path)} is no saved program: {error}") from error

    @property
    def stats(self) -> dict[str, Any]:
        """Figures of the program, as a dict.

        instructions, inputs, outputs, guards (comparisons that must come out as they did), closure
        (Values that the function uses and was not given), counts (instructions of each kind),
        bytes; groups (steps into which a run on one point joins the instructions) and their
        group_bytes. Of a Jacobian also derivatives ("reverse" or "forward"), entries, and
        entries_computed, which are those that are not always 0.
        """
        program, runner = self._path.program(self._steps), self._path.runner(self._steps)
        return {
            "instructions": len(program),
            "inputs": program.inputs,
            "outputs": program.outputs,
            "guards": program.guards,
            "closure": len(self._path.closure),
            "counts": program.counts,
            "bytes": program.bytes,
            "groups": runner.groups,
            "group_bytes": runner.bytes,
            **self._path.stage(self._steps).stats,
        }

    def text(self) -> str:
        """The program, one line an instruction, such as `v7 = Mul v1 v2`."""
        return self._path.program(self._steps).text()

    def __repr__(self) -> str:
        return f"<Program of {len(self._path.program(self._steps))} instructions>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Program, (self._path, self._steps, self._calling, self._threads)

    def _call(self, *args: Any, out: Any = None, **named: Any) -> Any:
        """What the native NativeDispatch does not know."""
        by_position(named)
        calling, ways = self._calling, _OneWay(self._path, self._steps)
        statics = [k in calling.static_argnums for k in range(len(args))]
        if calling.in_axes is not None:
            batch = Batch(args, calling.in_axes, statics)
            run = BatchRun(ways, batch, calling.reduced, self._threads, None)
            return run.run(self._steps, None, calling.mean, out)
        read = read_arguments(args, statics)
        if read is None:
            raise TypeError("a program takes numbers, not Values")
        tree, numbers = read
        runner = ways.of(tree)[0].runner(self._steps)
        answer = runner.run(numbers, None, out, False)
        if answer is not None and not answer[0]:
            ways.refuse(tree, numbers)
            answer = runner.run(numbers, None, out, True)
        if answer is None:
            raise ValueError(_OTHER_WAY)
        self._remember(0, runner)
        return answer[1]


_OTHER_WAY = (
    "a program is one way through the function's comparisons, and these numbers take another: "
    "call the function"
)


class _OneWay:
    """The one way that a program knows, where a function has Paths."""

    def __init__(self, path: Path, steps: tuple[Step, ...]) -> None:
        self._path, self._steps = path, steps

    def of(self, arguments: PyTree) -> list[Path]:
        if arguments != self._path.arguments:
            raise TypeError(f"this program is for {self._path.arguments}, got {arguments}")
        return [self._path]

    def trace(self, arguments: PyTree, numbers: Any) -> tuple[Path, bool]:
        self.refuse(arguments, numbers)
        if self._path.runner(self._steps).run(numbers, None, None, True) is None:
            raise ValueError(_OTHER_WAY)
        return self._path, False

    def refuse(self, arguments: PyTree, numbers: Any) -> None:
        program, closure = self._path.program(self._steps), self._path.closure
        program.refuse([*numbers, *closure.numbers()])


Program.__module__ = "arenagrad"
