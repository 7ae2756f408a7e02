"""The ways through a function that have been traced, each with the programs made of it.

Comparisons of Values decide which way a function takes. A program holds one way only and says when
the numbers would have gone another one; that way is then traced too and kept beside it.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from arenagrad._compile.function_references import function_of, reference_to
from arenagrad._compile.transforms import Stage, Step, Steps
from arenagrad._programs import (
    BatchExecutable,
    Closure,
    Instructions,
    PointExecutable,
    PyTree,
    call_on_values,
    capture,
)

# Ways that are kept of one function for arguments of one structure.
MOST_PATHS = 256
# Structures of arguments for which ways are kept; those used longest ago go first.
MOST_STRUCTURES = 256


class Path:
    """One way through a function for arguments of one structure, and what has been made of it.

    Thread-safe: two threads may make the same thing twice, one of which is then kept.
    """

    def __init__(
        self,
        arguments: PyTree,
        program: Instructions,
        results: PyTree,
        closure: Closure,
        strict: bool,
    ) -> None:
        self.arguments, self.closure, self.strict = arguments, closure, strict
        self.number = 0  # in the order in which the ways of a function were found
        self.traced = program
        self._steps = Steps(arguments, len(closure), strict)
        self._stages: dict[tuple[Step, ...], Stage] = {(): Stage(program, results)}
        self._runners: dict[tuple[Step, ...], PointExecutable] = {}
        self._lanes: dict[tuple[Any, ...], BatchExecutable] = {}

    @classmethod
    def of_stage(
        cls,
        arguments: PyTree,
        closure: Closure,
        strict: bool,
        steps: tuple[Step, ...],
        stage: Stage,
    ) -> "Path":
        """One of which nothing is known but a stage; steps, which must be some, stand for it."""
        path = cls(arguments, stage.program, stage.results, closure, strict)
        path._stages = {steps: stage}
        return path

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle keeps: the programs, without what runs them here."""
        kept = ("arguments", "closure", "strict", "number", "traced")
        return {name: getattr(self, name) for name in kept} | {"_stages": dict(self._stages)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._steps = Steps(self.arguments, len(self.closure), self.strict)
        self._runners, self._lanes = {}, {}

    def share(self, twin: "Path") -> None:
        """Use what has been made of a twin, which differs in the Modules among its arguments only.

        What runs one point reads the parameters of one Module, so that is not shared.
        """
        for steps, stage in self._stages.items():
            twin._stages.setdefault(steps, stage)
        self.traced, self._stages, self._lanes = twin.traced, twin._stages, twin._lanes

    def is_twin_of(self, other: "Path") -> bool:
        """Whether they may share what has been made of them."""
        return (
            self.arguments.is_twin_of(other.arguments)
            and len(self.closure) == len(other.closure)
            and self.traced.same_as(other.traced)
            and self.stage(()).results == other.stage(()).results
        )

    def stage(self, steps: tuple[Step, ...]) -> Stage:
        """What these steps make of the function."""
        stage = self._stages.get(steps)
        if stage is None:
            summed = any(kind == "sum" for kind, _ in steps[:-1])
            stage = self._steps.apply(self.stage(steps[:-1]), steps[-1], summed)
            stage = self._stages.setdefault(steps, stage)
        return stage

    def program(self, steps: tuple[Step, ...]) -> Instructions:
        """The program of a stage as it is run."""
        stage = self.stage(steps)
        # Steps tidy what they write; what was traced is kept as it is, to be derived from.
        return stage.program if steps else stage.program.optimised(self.strict)

    def runner(self, steps: tuple[Step, ...]) -> PointExecutable:
        """What runs these steps on one point."""
        runner = self._runners.get(steps)
        if runner is None:
            stage = self.stage(steps)
            runner = PointExecutable(
                self.arguments,
                self.closure,
                self.program(steps),
                stage.results,
                stage.buffered,
                self.strict,
            )
            runner = self._runners.setdefault(steps, runner)
        return runner

    def lanes(self, steps: tuple[Step, ...], more: tuple[int, ...] = ()) -> BatchExecutable:
        """What runs these steps on a batch; more: which of the further inputs vary."""
        runner = self._lanes.get((steps, more))
        if runner is None:
            varies = [*self._steps.varying, *more]
            runner = BatchExecutable(self.program(steps), varies, self.strict)
            runner = self._lanes.setdefault((steps, more), runner)
        return runner

    def guard_lanes(self) -> BatchExecutable:
        """What finds the rows of a batch that go this way."""
        runner = self._lanes.get(("guards",))
        if runner is None:
            guards = self.traced.picked([]).optimised(self.strict)
            runner = BatchExecutable(guards, self._steps.varying, self.strict)
            runner = self._lanes.setdefault(("guards",), runner)
        return runner


class Paths:
    """All ways of one function that have been traced."""

    def __init__(self, function: Callable[..., Any], strict: bool) -> None:
        self.function, self.strict = function, strict
        # No lock is held while the function runs: it may wait for other threads that trace.
        self._lock = threading.Lock()
        # By the structure of their arguments, the one used last at the end.
        self._known: OrderedDict[PyTree, list[Path]] = OrderedDict()
        self.shipped: Any = None  # what `map` last sent to other processes

    def __reduce__(self) -> tuple[Any, ...]:
        # The ways come as the state: the function may be an object that has this in it.
        return _named_paths, (reference_to(self.function), self.strict), self.all()

    def __setstate__(self, paths: list[Path]) -> None:
        self.add(paths)

    def of(self, arguments: PyTree) -> list[Path]:
        """Those for arguments of this structure, the one used last first."""
        with self._lock:
            if arguments not in self._known:
                return []
            self._known.move_to_end(arguments)
            return list(self._known[arguments])

    def trace(self, arguments: PyTree, numbers: Any) -> tuple[Path, bool]:
        """The way that these numbers take, and whether it is a new one.

        Raises RuntimeError where there are too many.
        """
        made = capture(self.function, arguments, numbers, self.strict)
        path = Path(arguments, *made, self.strict)
        self._share(path)
        with self._lock:
            known = self._place_for(arguments)
            for other in known:
                if _is_same(other, path):
                    return other, False
            if len(known) >= MOST_PATHS:
                raise RuntimeError(
                    f"{_name(self.function)} has taken {MOST_PATHS} different ways through its "
                    "comparisons, too many to keep a program of each: choose numbers with "
                    "maximum(), minimum(), or where() of a Value, such as where((x - 0.5).relu(), "
                    "a, b) for a if x > 0.5 else b, which need no way of their own"
                )
            path.number = len(known)
            known.insert(0, path)
            surplus = self._surplus()
        del surplus
        return path, True

    def use(self, path: Path) -> None:
        """Put a way first."""
        with self._lock:
            known = self._known.get(path.arguments, [])
            if path in known and known[0] is not path:
                known.remove(path)
                known.insert(0, path)

    def refuse(self, arguments: PyTree, numbers: Any) -> None:
        """Raise what the function does for numbers whose results are not finite, if it does."""
        call_on_values(self.function, arguments, numbers)

    def like(self, path: Path) -> "Paths":
        """Those for the same arguments alone, this one first."""
        like, known = Paths(self.function, self.strict), self.of(path.arguments)
        like._known[path.arguments] = [path, *(other for other in known if other is not path)]
        return like

    def all(self) -> list[Path]:
        """Those for all arguments, for each structure the one used last first."""
        with self._lock:
            return [path for paths in self._known.values() for path in paths]

    def add(self, paths: list[Path]) -> None:
        """Keep ways that have been traced elsewhere, behind those that are known."""
        for path in paths:
            self._share(path)
        with self._lock:
            met = set(self._known)
            for path in paths:
                known = self._place_for(path.arguments)
                if path.arguments in met:
                    if len(known) >= MOST_PATHS or any(_is_same(other, path) for other in known):
                        continue
                    path.number = len(known)
                known.append(path)
            surplus = self._surplus()
        del surplus

    def count(self) -> int:
        """How many there are in all."""
        with self._lock:
            return sum(len(paths) for paths in self._known.values())

    def _place_for(self, arguments: PyTree) -> list[Path]:
        """The list for ways of this structure, which has just been used. The lock is held."""
        known = self._known.setdefault(arguments, [])
        self._known.move_to_end(arguments)
        return known

    def _surplus(self) -> list[list[Path]]:
        """What there is too much of, taken out. The lock is held.

        The last references to Modules may be among it, so it must be dropped without the lock.
        """
        surplus = []
        while len(self._known) > MOST_STRUCTURES:
            surplus.append(self._known.popitem(last=False)[1])
        return surplus

    def _share(self, path: Path) -> None:
        """Let a new way share with one for another Module, if there is one."""
        if path.arguments.has_modules:
            known = reversed(self.all())
            twin = next((other for other in known if path.is_twin_of(other)), None)
            if twin is not None:
                path.share(twin)


def _named_paths(reference: Any, strict: bool) -> Paths:
    return Paths(function_of(reference), strict)


def _is_same(one: Path, other: Path) -> bool:
    """Whether two ways have the same program, read the same closure and give the same."""
    mine, yours = one.closure.values, other.closure.values
    return (
        one.traced.same_as(other.traced)
        and len(mine) == len(yours)
        and all(a is b for a, b in zip(mine, yours, strict=True))
        and one.stage(()).results == other.stage(()).results
    )


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", repr(function))
