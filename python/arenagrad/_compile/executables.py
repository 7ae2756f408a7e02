"""What runs the programs of a variant: at a point, on Values, on the rows of a batch."""

from typing import Any

from arenagrad._compile.transforms import Chain, DerivedProgram, Transforms
from arenagrad._core import compiled as native
from arenagrad._core.compiled import (
    BatchExecutable,
    Closure,
    PointExecutable,
    PyTree,
    RecordedFunction,
)


class Executables:
    """The executables of one variant, each made when it is first asked for.

    Thread-safe: two threads may make the same one twice, of which one is then kept.
    """

    def __init__(
        self, arguments: PyTree, closure: Closure, strict: bool, traced: native.Program
    ) -> None:
        self.arguments: PyTree = arguments
        self.closure: Closure = closure
        self.strict: bool = strict
        self.traced: native.Program = traced
        self._transforms = Transforms(arguments, len(closure), strict)
        self._forget_executables()

    def derived(self, chain: Chain) -> DerivedProgram:
        """What this chain of transforms makes of the function."""
        raise NotImplementedError

    def program(self, chain: Chain) -> native.Program:
        """The program of a chain as it is run."""
        raise NotImplementedError

    def _forget_executables(self) -> None:
        self._point_executables: dict[Chain, PointExecutable] = {}
        self._recorded_functions: dict[Chain, RecordedFunction] = {}
        self._batch_executables: dict[Any, BatchExecutable] = {}

    def _share_executables(self, twin: "Executables") -> None:
        """Use the program and those for batches of a twin; its others read its own Module."""
        self.traced = twin.traced
        self._batch_executables = twin._batch_executables

    def point_executable(self, chain: Chain) -> PointExecutable:
        """What runs this chain at one point."""
        executable = self._point_executables.get(chain)
        if executable is None:
            derived = self.derived(chain)
            executable = PointExecutable(
                self.arguments,
                self.closure,
                self.program(chain),
                derived.results,
                derived.buffered,
                self.strict,
            )
            executable = self._point_executables.setdefault(chain, executable)
        return executable

    def recorded_function(self, chain: Chain) -> RecordedFunction:
        """What calls of this chain on Values are recorded with."""
        function = self._recorded_functions.get(chain)
        if function is None:
            function = RecordedFunction(self.program(chain), self.strict)
            function = self._recorded_functions.setdefault(chain, function)
        return function

    def batch_executable(self, chain: Chain, seeds_vary: tuple[int, ...] = ()) -> BatchExecutable:
        """What runs this chain on a batch; seeds_vary: which numbers of the seeds vary."""
        executable = self._batch_executables.get((chain, seeds_vary))
        if executable is None:
            varies = [*self._transforms.varying, *seeds_vary]
            executable = BatchExecutable(self.program(chain), varies, self.strict)
            executable = self._batch_executables.setdefault((chain, seeds_vary), executable)
        return executable

    def guard_executable(self) -> BatchExecutable:
        """What finds the rows of a batch that take this variant."""
        executable = self._batch_executables.get("guards")
        if executable is None:
            guards = self.traced.select([]).optimised(self.strict)
            executable = BatchExecutable(guards, self._transforms.varying, self.strict)
            executable = self._batch_executables.setdefault("guards", executable)
        return executable
