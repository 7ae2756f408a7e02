"""What a compiled function does and its derivatives, each a program made from the one before.

A stage is a program with the structure of its results. A step makes the next stage from one: a
gradient, a Jacobian, a sum over the rows of a batch. Steps are applied one after another, so
whatever has been derived can be derived again.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

from arenagrad._programs import Instructions, PyTree

# The name of a step and which arguments it is by: one, several, or None for all.
Argnums: TypeAlias = int | tuple[int, ...]
Step: TypeAlias = tuple[str, Argnums | None]


class Stage:
    """A program, and what it gives; never changed.

    Its inputs are the numbers of the arguments, then those of the closure, then those of more_of if
    there is one. buffered is the child of the results that an `out` holds, or -1 for the whole.
    """

    def __init__(
        self,
        program: Instructions,
        results: PyTree,
        buffered: int = -1,
        more_of: PyTree | None = None,
        stats: dict[str, Any] | None = None,
        pattern: tuple[Sequence[int], Sequence[int]] | None = None,
    ) -> None:
        self.program, self.results, self.buffered = program, results, buffered
        self.more_of, self.stats, self.pattern = more_of, stats or {}, pattern


class Steps:
    """How stages of one function are made, for arguments of one structure.

    batched says whether its rows are summed, so that what does not vary gets sums of derivatives.
    """

    def __init__(self, arguments: PyTree, closure: int, strict: bool) -> None:
        self.arguments, self.strict = arguments, strict
        self.varying = [*arguments.varying(), *[0] * closure]

    def apply(self, stage: Stage, step: Step, summed: bool) -> Stage:
        """The stage that a step makes of another one; summed: which came after a sum over rows.

        Raises TypeError for what cannot be differentiated, IndexError for arguments there are not.
        """
        kind, argnums = step
        if argnums is not None:
            argnums = checked_argnums(argnums, len(self.arguments), ())
        made = getattr(self, "_" + kind)(stage, argnums, self.varying if summed else [])
        assert isinstance(made, Stage)
        return made

    def _sum(self, stage: Stage, _: Argnums | None, __: list[int]) -> Stage:
        # Numbers of the function's own are summed too.
        return Stage(stage.program.summed(self.strict), stage.results.summed())

    def _value_and_grad(self, stage: Stage, argnums: Argnums, varies: list[int]) -> Stage:
        if not stage.results.is_number:
            raise TypeError(
                f"only a function that gives one number has a gradient, this one gives "
                f"{stage.results}: use jacobian, or vjp"
            )
        if varies and any(stage.results.varying()):
            raise TypeError(
                "only a function that gives one number has a gradient, this one gives one for each "
                "row of a batch: use jvp or vjp"
            )
        by, inputs = self._by(argnums)
        program = stage.program.reverse(inputs, varies, False, self.strict)
        return Stage(program, PyTree.tuple_of([stage.results, by]), buffered=1)

    def _grad(self, stage: Stage, argnums: Argnums, varies: list[int]) -> Stage:
        both = self._value_and_grad(stage, argnums, varies)
        program = both.program.picked(range(1, both.program.outputs))
        return Stage(program, both.results.child(1))

    def _jacobian(self, stage: Stage, argnums: Argnums, varies: list[int]) -> Stage:
        by, inputs = self._by(argnums)
        if varies and any(by.varying()):
            raise ValueError(
                "a batch that is summed has no Jacobian or Hessian by what differs from row to row"
            )
        made = stage.program.jacobian(inputs, varies, self.strict)
        program, rows, columns, by_reverse = made
        first, width = stage.results.numbers, len(inputs)
        results = by.jacobian(stage.results)
        places = by.jacobian_places(stage.results)
        which = [-1] * results.numbers
        for k, (row, column) in enumerate(zip(rows, columns, strict=True)):
            which[places[row * width + column]] = first + k
        stats = {
            "derivatives": "reverse" if by_reverse else "forward",
            "entries": results.numbers,
            "entries_computed": len(rows),
        }
        return Stage(program.picked(which), results, stats=stats)

    def _entries(self, stage: Stage, argnums: Argnums, varies: list[int]) -> Stage:
        """The entries of a Jacobian that are not always 0, side by side."""
        _, inputs = self._by(argnums)
        program, rows, columns, _ = stage.program.jacobian(inputs, varies, self.strict)
        first = stage.results.numbers
        picked = program.picked(range(first, first + len(rows)))
        return Stage(picked, PyTree.array([len(rows)]), pattern=(rows, columns))

    def _jvp(self, stage: Stage, _: Argnums | None, __: list[int]) -> Stage:
        by, inputs = self._by(tuple(range(len(self.arguments))))
        program = stage.program.tangent(inputs, self.strict)
        results = PyTree.tuple_of([stage.results, stage.results.gradient()])
        return Stage(program, results, more_of=by)

    def _vjp(self, stage: Stage, _: Argnums | None, varies: list[int]) -> Stage:
        by, inputs = self._by(tuple(range(len(self.arguments))))
        program = stage.program.reverse(inputs, varies, True, self.strict)
        results = PyTree.tuple_of([stage.results, by])
        return Stage(program, results, buffered=1, more_of=stage.results.gradient())

    def _hvp(self, stage: Stage, argnums: Argnums, varies: list[int]) -> Stage:
        gradient = self._grad(stage, argnums, varies)
        by, inputs = self._by(argnums)
        both = gradient.program.tangent(inputs, self.strict)
        count = gradient.results.numbers
        return Stage(both.picked(range(count, 2 * count)), gradient.results, more_of=by)

    def _by(self, argnums: Argnums) -> tuple[PyTree, list[int]]:
        """The structure of a gradient by these arguments, and which inputs they are."""
        if isinstance(argnums, tuple):
            parts = [self._by(argnum) for argnum in argnums]
            return PyTree.tuple_of([tree for tree, _ in parts]), [k for _, ks in parts for k in ks]
        tree, start = self.arguments.child(argnums), self.arguments.start(argnums)
        return tree.gradient(), list(range(start, start + tree.numbers))


def checked_argnums(argnums: Any, count: int, statics: Sequence[int]) -> Argnums:
    """These numbers of arguments, none negative.

    Raises TypeError unless they are an int or a tuple of ints, IndexError for one that is no
    argument's, ValueError for one that comes twice or is static.
    """
    if isinstance(argnums, tuple | list):
        several = tuple(_checked(argnum, count, statics) for argnum in argnums)
        if len(set(several)) != len(several):
            raise ValueError(f"argnums must not name an argument twice, got {argnums!r}")
        return several
    return _checked(argnums, count, statics)


def _checked(argnum: Any, count: int, statics: Sequence[int]) -> int:
    if isinstance(argnum, bool) or not isinstance(argnum, int):
        raise TypeError(f"argnums must be an int or a tuple of ints, got {argnum!r}")
    if not -count <= argnum < count:
        raise IndexError(f"argnums asks for argument {argnum} of {count}")
    if argnum % count in statics:
        raise ValueError(f"argument {argnum} is static: there is no derivative by it")
    return argnum % count
