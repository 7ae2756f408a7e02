"""What a compiled function runs, to be looked at, saved, and run without the function."""

import os
from pathlib import Path as FilePath
from typing import Any

from arenagrad._compile.batch_run import BatchRun, Reduction
from arenagrad._compile.naming import names_in_errors
from arenagrad._compile.program_file import CallConvention, program_of_bytes, program_to_bytes
from arenagrad._compile.trace_cache import Outcome, TraceVariant
from arenagrad._compile.transforms import Chain, chain_of
from arenagrad._core import FormatError, UntracedError
from arenagrad._core.compiled import Batch, NativeDispatch, PyTree, read_arguments
from arenagrad._support.arguments import thread_count
from arenagrad._support.files import complete_file


class Program(NativeDispatch):
    """The program that a compiled function runs for some arguments; from `f.program(*args)`.

    Called with arguments of that structure it gives what the function gives, a derivative's program
    the derivative, without the function: it can be saved, and run where there is no function.

    It is one variant of the function: UntracedError is raised for numbers that take another, also
    where the function catches an error and goes on. Errors that it does not catch are raised.
    """

    def __init__(
        self, variant: TraceVariant, chain: Chain, convention: CallConvention, threads: int = 1
    ) -> None:
        super().__init__(self._call)
        self._variant, self._chain = variant, chain_of(chain)
        self._convention, self._threads = convention, threads

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the program to a file, with the structure of its arguments and results.

        Values that the function uses and was not given are saved as their numbers are now, and a
        Module among the arguments as a list of its numbers. The file is complete or not there.

        Raises TypeError for structures with objects that have no safe bytes: other than None,
        bools, ints, floats, texts and tuples of these; OSError if the file cannot be written.
        """
        content = program_to_bytes(self._variant, self._chain, self._convention)
        with complete_file(path) as file:
            file.write(content)

    @staticmethod
    def load(path: str | os.PathLike[str], threads: int = 1) -> "Program":
        """The program that `save` wrote to this file, ready to be called.

        Nothing in the file is run or unpickled. Raises FormatError, which names the file, for one
        that is damaged, of another format or none of ours; OSError if there is none; ImportError
        where the program calls functions of SciPy's, which is not installed.
        """
        threads = thread_count(threads)
        content = FilePath(os.fsdecode(path)).read_bytes()
        try:
            return Program(*program_of_bytes(content), threads)
        except (MemoryError, ImportError):  # the latter of functions that SciPy has
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
        program = self._variant.program(self._chain)
        executable = self._variant.point_executable(self._chain)
        return {
            "instructions": len(program),
            "inputs": program.inputs,
            "outputs": program.outputs,
            "guards": program.guards,
            "closure": len(self._variant.closure),
            "counts": program.counts,
            "bytes": program.bytes,
            "groups": executable.groups,
            "group_bytes": executable.bytes,
            **self._variant.derived(self._chain).stats,
        }

    def text(self) -> str:
        """The program, one line an instruction, such as `v7 = Mul v1 v2`."""
        return self._variant.program(self._chain).text()

    def __repr__(self) -> str:
        return f"<Program of {len(self._variant.program(self._chain))} instructions>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Program, (self._variant, self._chain, self._convention, self._threads)

    def _static_names(self) -> tuple[str, ...]:
        """The arguments given by name that are no numbers in this program."""
        tree = self._variant.arguments
        if tree.positional == len(tree):
            return ()
        by_name = tree.child(tree.positional)
        names: tuple[str, ...] = by_name.to_parts()[0][3][0]
        return tuple(name for k, name in enumerate(names) if by_name.child(k).is_static)

    def _call(self, *args: Any, out: Any = None, **named: Any) -> Any:
        """The fallback of the native dispatch."""
        convention, source = self._convention, _SingleVariant(self._variant, self._chain)
        statics = [k in convention.static_argnums for k in range(len(args))]
        if convention.in_axes is not None:
            batch = Batch(args, convention.in_axes, statics, named, self._static_names())
            reduction = Reduction(convention.reduced, convention.mean)
            axes = convention.out_axes
            run = BatchRun(source, batch, reduction, self._threads, None, out_axes=axes)
            return run.run(self._chain, None, out)
        read = read_arguments(args, statics, named, self._static_names())
        if read is None:
            raise TypeError("a program takes numbers, not Values")
        tree, numbers = read
        (variant,) = source.of(tree)
        outcome, result = variant.run(self._chain, numbers, None, out, False)
        if outcome is not Outcome.FINISHED:
            with names_in_errors(source.name):
                source.trace(tree, numbers)
            outcome, result = variant.run(self._chain, numbers, None, out, True)
        self._remember(0, variant.point_executable(self._chain))
        return result


_OTHER_VARIANT = (
    "a program is one variant of the function, and these numbers take another: call the function"
)


class _SingleVariant:
    """The one variant that a program holds, where a function has a TraceCache."""

    name = "a program, which is one variant of its function"

    def __init__(self, variant: TraceVariant, chain: Chain) -> None:
        self._variant, self._chain = variant, chain

    def of(self, arguments: PyTree) -> list[TraceVariant]:
        if arguments != self._variant.arguments:
            raise TypeError(f"this program is for {self._variant.arguments}, got {arguments}")
        return [self._variant]

    def use(self, variant: TraceVariant) -> None:
        """Nothing: there is no other."""

    def trace(self, arguments: PyTree, numbers: Any) -> tuple[TraceVariant, bool]:
        """The variant if the numbers take it. Raises the error of an operation that fails."""
        self._variant.check(numbers)
        self._variant.check_derivatives(self._chain, numbers, None)
        outcome, _ = self._variant.run(self._chain, numbers, None, None, False)
        if outcome is Outcome.OTHER_VARIANT:
            raise UntracedError(_OTHER_VARIANT)
        return self._variant, False


Program.__module__ = "arenagrad"
