"""Derivatives and sums of a compiled function, each a program made from the one before.

A `DerivedProgram` is a program with the structure of its results. A `Transform` makes the next one
from it: a gradient, a Jacobian, a sum over the rows of a batch. Transforms are applied one after
another, as a chain, so a derivative can be differentiated again.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from arenagrad._compile.sparse import SparsePattern
from arenagrad._core import compiled as native
from arenagrad._core.compiled import PyTree

# The number of an argument, or of several.
Argnums: TypeAlias = int | tuple[int, ...]


class TransformKind(Enum):
    """The kinds of transforms; the values are the names that pickles and files know."""

    ROW_SUM = "sum"
    VALUE_AND_GRAD = "value_and_grad"
    GRAD = "grad"
    JACOBIAN = "jacobian"
    JACFWD = "jacfwd"  # by tangents
    JACREV = "jacrev"  # by reverse sweeps
    JACOBIAN_ENTRIES = "entries"  # those that are not always 0, and their SparsePattern
    JVP = "jvp"
    VJP = "vjp"
    HVP = "hvp"
    LOADED = "saved"  # the program of a file, whose function is not known


# A tuple and no dataclass: that module takes a third of the time of importing the package.
class Transform(NamedTuple):
    """One transform, and the arguments that it differentiates by (None: all, or not any).

    has_aux: whether the function gives a pair, of which only the first is differentiated.
    """

    kind: TransformKind
    argnums: Argnums | None = None
    has_aux: bool = False


Chain: TypeAlias = tuple[Transform, ...]
ROW_SUM = Transform(TransformKind.ROW_SUM)


def has_row_sum(chain: Iterable[Transform]) -> bool:
    """Whether the results of this chain are sums over the rows of a batch."""
    return any(transform.kind is TransformKind.ROW_SUM for transform in chain)


def chain_of(transforms: Iterable[Any]) -> Chain:
    """The chain of transforms, where pickles of earlier versions hold pairs of name and argnums."""
    return tuple(
        transform
        if isinstance(transform, Transform)
        else Transform(TransformKind(transform[0]), transform[1])
        for transform in transforms
    )


def axes_of_results(chain: Chain, out_axes: Any) -> Any:
    """The axes of the rows in what a chain gives: those of the function's results are out_axes.

    Gradients have their rows first.
    """
    kinds = [transform.kind for transform in chain]
    if out_axes == 0:
        return 0
    if kinds == [TransformKind.JVP]:
        return out_axes, out_axes
    if kinds == [TransformKind.VJP]:
        return out_axes, 0
    return 0 if kinds else out_axes


class DerivedProgram:
    """A program and the structure of its results. Immutable.

    Its inputs are the numbers of the arguments, then those of the closure, then those of the seeds
    (tangents, cotangents or the vector of a product) if seed_structure is not None. buffered is the
    child of the results that an `out` holds, or -1 for the whole.
    """

    def __init__(
        self,
        program: native.Program,
        results: PyTree,
        buffered: int = -1,
        seed_structure: PyTree | None = None,
        stats: dict[str, Any] | None = None,
    ) -> None:
        self.program: native.Program = program
        self.results: PyTree = results
        self.buffered: int = buffered
        self.seed_structure: PyTree | None = seed_structure
        self.stats: dict[str, Any] = stats or {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "more_of" in state:  # a pickle of an earlier version
            state["seed_structure"] = state.pop("more_of")
        vars(self).update(state)


class Transforms:
    """The rules of all transforms, for arguments of one structure.

    varying says of each input, closure included, whether it differs from row to row of a batch.
    """

    def __init__(self, arguments: PyTree, closure_size: int, strict: bool) -> None:
        self.arguments, self.strict = arguments, strict
        self.varying = [*arguments.varying(), *[0] * closure_size]

    def apply(self, source: DerivedProgram, transform: Transform, summed: bool) -> DerivedProgram:
        """The program that a transform makes of another one.

        Args:
            source: the program to transform.
            transform: what to do.
            summed: whether a sum over the rows came before, so that gradients by what does not
                vary are sums over the rows, too.

        Raises:
            TypeError: for results that cannot be differentiated, and derivatives by an argument
                without numbers.
            IndexError: for arguments that do not exist.
        """
        argnums = transform.argnums
        if argnums is not None:
            argnums = checked_argnums(argnums, self.arguments.positional, ())
        varies = self.varying if summed else []
        return _RULES[transform.kind](self, source, argnums, varies, transform.has_aux)

    def row_sum(self, source: DerivedProgram, *_: Any) -> DerivedProgram:
        # Numbers that the function itself made are summed, too.
        return DerivedProgram(source.program.summed(self.strict), source.results.summed())

    def value_and_grad(
        self, source: DerivedProgram, argnums: Argnums, varies: list[int], has_aux: bool = False
    ) -> DerivedProgram:
        value = _differentiated(source.results, has_aux)
        if not value.is_number:
            raise TypeError(
                f"only a function that gives one number has a gradient, this one gives "
                f"{value}: use jacobian, or vjp"
            )
        if varies and any(value.varying()):
            raise TypeError(
                "only a function that gives one number has a gradient, this one gives one for each "
                "row of a batch: use jvp or vjp"
            )
        by, inputs = self._by(argnums)
        program = source.program.reverse(inputs, varies, False, self.strict, 1)
        return DerivedProgram(program, PyTree.tuple_of([source.results, by]), buffered=1)

    def grad(
        self, source: DerivedProgram, argnums: Argnums, varies: list[int], has_aux: bool = False
    ) -> DerivedProgram:
        both = self.value_and_grad(source, argnums, varies, has_aux)
        first, gradient = source.results.numbers, both.results.child(1)
        wanted = [*range(first, both.program.outputs)]
        if not has_aux:
            return DerivedProgram(both.program.select(wanted), gradient)
        results = PyTree.tuple_of([gradient, source.results.child(1)])
        return DerivedProgram(both.program.select([*wanted, *range(1, first)]), results)

    def jacobian(
        self,
        source: DerivedProgram,
        argnums: Argnums,
        varies: list[int],
        has_aux: bool = False,
        direction: str = "cheaper",
    ) -> DerivedProgram:
        by, inputs = self._by(argnums)
        if varies and any(by.varying()):
            raise ValueError(
                "a batch that is summed has no Jacobian or Hessian by what differs from row to row"
            )
        value = _differentiated(source.results, has_aux)
        made = source.program.jacobian(inputs, varies, self.strict, value.numbers, direction)
        program, rows, columns, by_reverse = made
        first, width = source.results.numbers, len(inputs)
        results = by.jacobian(value)
        places = by.jacobian_positions(value)
        which = [-1] * results.numbers
        for k, (row, column) in enumerate(zip(rows, columns, strict=True)):
            which[places[row * width + column]] = first + k
        if has_aux:
            which += range(value.numbers, first)
            results = PyTree.tuple_of([results, source.results.child(1)])
        stats = {
            "derivatives": "reverse" if by_reverse else "forward",
            "entries": results.numbers,
            "entries_computed": len(rows),
        }
        return DerivedProgram(program.select(which), results, stats=stats)

    def jacobian_entries(
        self, source: DerivedProgram, argnums: Argnums, varies: list[int], *__: Any
    ) -> DerivedProgram:
        _, inputs = self._by(argnums)
        program, rows, columns, _ = source.program.jacobian(inputs, varies, self.strict)
        first = source.results.numbers
        pattern = SparsePattern(rows, columns, (first, len(inputs)))
        entries = program.select([first + k for k in pattern.order])
        results = [PyTree.array([len(rows)]), PyTree.static(pattern)]
        return DerivedProgram(entries, PyTree.tuple_of(results))

    def jvp(self, source: DerivedProgram, *_: Any) -> DerivedProgram:
        by, inputs = self._by(tuple(range(self.arguments.positional)), required=False)
        program = source.program.tangent(inputs, self.strict)
        results = PyTree.tuple_of([source.results, source.results.gradient()])
        return DerivedProgram(program, results, seed_structure=by)

    def vjp(self, source: DerivedProgram, _: Any, varies: list[int], *__: Any) -> DerivedProgram:
        by, inputs = self._by(tuple(range(self.arguments.positional)), required=False)
        program = source.program.reverse(inputs, varies, True, self.strict)
        results = PyTree.tuple_of([source.results, by])
        seeds = source.results.gradient()
        return DerivedProgram(program, results, buffered=1, seed_structure=seeds)

    def hvp(
        self, source: DerivedProgram, argnums: Argnums, varies: list[int], *_: Any
    ) -> DerivedProgram:
        gradient = self.grad(source, argnums, varies)
        by, inputs = self._by(argnums)
        both = gradient.program.tangent(inputs, self.strict)
        count = gradient.results.numbers
        product = both.select(range(count, 2 * count))
        return DerivedProgram(product, gradient.results, seed_structure=by)

    def _by(self, argnums: Argnums, required: bool = True) -> tuple[PyTree, list[int]]:
        """The structure of a gradient by these arguments, and the inputs that hold them.

        Raises:
            TypeError: for an argument that is no number and has none in it, if they are required.
        """
        if isinstance(argnums, tuple):
            parts = [self._by(argnum, required) for argnum in argnums]
            return PyTree.tuple_of([tree for tree, _ in parts]), [k for _, ks in parts for k in ks]
        tree, start = self.arguments.child(argnums), self.arguments.start(argnums)
        if required and tree.is_static:
            raise TypeError(
                f"argument {argnums} has no numbers, so there is no derivative by it: argnums "
                "names the arguments to differentiate by"
            )
        return tree.gradient(), list(range(start, start + tree.numbers))


_Rule: TypeAlias = Callable[[Transforms, DerivedProgram, Any, list[int], bool], DerivedProgram]
_RULES: dict[TransformKind, _Rule] = {
    TransformKind.ROW_SUM: Transforms.row_sum,
    TransformKind.VALUE_AND_GRAD: Transforms.value_and_grad,
    TransformKind.GRAD: Transforms.grad,
    TransformKind.JACOBIAN: Transforms.jacobian,
    TransformKind.JACFWD: partial(Transforms.jacobian, direction="forward"),
    TransformKind.JACREV: partial(Transforms.jacobian, direction="reverse"),
    TransformKind.JACOBIAN_ENTRIES: Transforms.jacobian_entries,
    TransformKind.JVP: Transforms.jvp,
    TransformKind.VJP: Transforms.vjp,
    TransformKind.HVP: Transforms.hvp,
}


def _differentiated(results: PyTree, has_aux: bool) -> PyTree:
    """What is differentiated of the results: the first of a pair if has_aux."""
    if not has_aux:
        return results
    if len(results) != 2:
        raise TypeError(f"with has_aux a function must give a pair, this one gives {results}")
    return results.child(0)


def checked_argnums(argnums: Any, count: int, statics: Sequence[int]) -> Argnums:
    """The numbers of arguments, none of them negative.

    Args:
        argnums: an int, or a tuple or list of ints; negative ones count from the last argument.
        count: how many arguments there are.
        statics: the arguments that are static.

    Raises:
        TypeError: for anything but ints.
        IndexError: for a number that no argument has.
        ValueError: for an argument that comes twice or is static.
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
