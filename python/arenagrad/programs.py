"""What a compiled function runs, to be looked at."""

from typing import Any

from arenagrad._paths import Path
from arenagrad._stages import Step


class Program:
    """The program that a compiled function runs for some arguments; from `f.program(*args)`."""

    def __init__(self, path: Path, steps: tuple[Step, ...]) -> None:
        self._path, self._steps = path, steps

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


Program.__module__ = "arenagrad"
