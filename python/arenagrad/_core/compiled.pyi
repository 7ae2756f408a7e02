"""The native parts of compiled functions, which `arenagrad._compile` works with."""

import builtins
from collections.abc import Callable, Sequence
from types import CellType, CodeType, FunctionType
from typing import Any, NoReturn, Self, TypeAlias, TypeVar, final

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

from arenagrad._core import Value

_Numbers: TypeAlias = npt.NDArray[np.float64]
_Part: TypeAlias = tuple[str, bool, Any, tuple[Any, ...]]
_Exception = TypeVar("_Exception", bound=Exception)
_PlacedValues: TypeAlias = Sequence[tuple[int, Value]]
_Progress: TypeAlias = Callable[[int, int], object] | None

@final
class PyTree:
    """The structure of arguments or results: lists, tuples and dicts with leaves.

    Leaves are numbers, arrays, Modules, and objects that are no numbers. The numbers of all leaves
    are counted in order. Immutable; equal trees have equal objects at their leaves.
    """

    def __init__(self, parts: tuple[_Part, ...]) -> None:
        """The tree of such parts, see to_parts(). Raises FormatError for anything else."""

    @property
    def numbers(self) -> int:
        """How many numbers it has."""

    @property
    def is_number(self) -> bool:
        """Whether it is a single number."""

    @staticmethod
    def tuple_of(parts: Sequence[PyTree]) -> PyTree:
        """A tuple of these."""

    @staticmethod
    def array(shape: Sequence[int]) -> PyTree:
        """A single array."""

    @staticmethod
    def static(object: Any) -> PyTree:
        """An object that is no number."""

    @property
    def objects(self) -> list[Any]:
        """The objects that are no numbers, the Modules, and the classes of named tuples,
        dataclasses and registered objects, in order.
        """

    @property
    def positional(self) -> int:
        """How many arguments are given by position."""

    @property
    def is_static(self) -> bool:
        """Whether it has objects that are no numbers, and nothing else."""

    @property
    def has_modules(self) -> bool:
        """Whether it has Modules in it."""

    def is_twin_of(self, other: PyTree) -> bool:
        """Whether they differ in nothing but which Modules they have, and there are such."""

    def same_layout(self, other: PyTree) -> bool:
        """Whether numbers of the one may be taken as numbers of the other."""

    def child(self, k: int) -> PyTree:
        """The tree of child k. Raises IndexError if there is none."""

    def start(self, k: int) -> int:
        """Where the numbers of child k begin. Raises IndexError if there is none."""

    def varying(self) -> list[int]:
        """Of each number 1 if rows of a batch differ in it, else 0."""

    def gradient(self) -> PyTree:
        """The structure of a gradient by this: lists for Modules, None for what is no number."""

    def summed(self) -> PyTree:
        """The structure of such results summed over rows: as they are, but for new numbers."""

    def axes(self) -> Any:
        """The in_axes of arguments of this structure: 0 for what varies, None for what does not."""

    def jacobian(self, results: PyTree) -> PyTree:
        """The structure of all derivatives of results by this."""

    def jacobian_positions(self, results: PyTree) -> list[int]:
        """Where each entry of the matrix of derivatives stands among the numbers of jacobian()."""

    def stacked(self, rows: int, all: bool) -> PyTree:
        """The structure of the results of a batch: arrays in place of what varies, or of all."""

    def row_axes(self, axes: Any) -> list[int]:
        """Of results of a batch the axis of the rows in each array, as out_axes say.

        Raises TypeError and ValueError.
        """

    def with_rows_at(self, axes: Sequence[int]) -> PyTree:
        """The structure of results of a batch once their rows are at these axes."""

    def new_output_buffers(self) -> tuple[list[_Numbers], list[bool]]:
        """Arrays of zeros for all numbers, and whether each has an axis of rows.

        There is one for each array, and one for numbers that follow one another.
        """

    def output_buffers_in(self, out: Any) -> tuple[list[_Numbers], list[bool]]:
        """The same in the memory of out. Raises TypeError and ValueError."""

    def flatten(self, object: Any, what: str) -> _Numbers:
        """The numbers of an object of this structure.

        Arrays may stand for lists. Raises TypeError, saying what was wanted, for another structure.
        """

    def flatten_operands(self, object: Any, what: str) -> tuple[_Numbers, _PlacedValues]:
        """The same of an object in which Values may stand for numbers."""

    def unflatten_values(self, values: Sequence[Value | float]) -> Any:
        """An object of this structure, of these Values and numbers."""

    def unflatten(self, arrays: Sequence[_Numbers]) -> Any:
        """An object of this structure, of the numbers in such buffers."""

    def to_parts(self) -> tuple[_Part, ...]:
        """Its branches: kind, whether it varies, size (a shape for arrays), and () or (extra,)."""

    def __reduce__(self) -> tuple[Any, ...]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __len__(self) -> int: ...

@final
class Callback:
    """A function of Python's as programs call it."""

    def __init__(self, parts: tuple[Any, ...]) -> None:
        """What was pickled as these parts. Raises FormatError for anything else."""

    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Program:
    """A linear program: what a function does to its inputs. Immutable."""

    def __init__(self, bytes: builtins.bytes, callbacks: Sequence[Callback] = ...) -> None:
        """The program of the bytes of a file, and what it calls. Raises FormatError otherwise."""

    @property
    def callbacks(self) -> list[Callback]:
        """The functions that it calls."""

    @property
    def inputs(self) -> int:
        """How many numbers it reads."""

    @property
    def outputs(self) -> int:
        """How many numbers it gives."""

    @property
    def guards(self) -> int:
        """How many comparisons must come out as they did when it was recorded."""

    @property
    def checks(self) -> int:
        """How many operations it checks, which can fail and did not when it was recorded."""

    @property
    def may_overflow_otherwise(self) -> bool:
        """Whether its arithmetic may overflow where the function does not, or the other way."""

    @property
    def bytes(self) -> int:
        """The memory it takes."""

    @property
    def counts(self) -> dict[str, int]:
        """How many instructions of each kind it has."""

    def text(self) -> str:
        """One line an instruction."""

    def same_as(self, other: Program) -> bool:
        """Whether both are the same, bit by bit."""

    def optimised(self, strict: bool) -> Program:
        """A shorter program with the same results."""

    def select(self, which: Sequence[int]) -> Program:
        """The program of these outputs; 0 for each negative number."""

    def reverse(
        self,
        inputs: Sequence[int],
        varies: Sequence[int],
        seeded: bool,
        strict: bool,
        outputs: int = ...,
    ) -> Program:
        """The outputs, then the sum of the derivatives of the first by each of these inputs.

        outputs: how many are differentiated; all of them if it is left out.

        seeded: times cotangents, which are inputs behind the others.
        """

    def tangent(self, inputs: Sequence[int], strict: bool) -> Program:
        """The outputs, then the tangent of each, given one of each of these inputs."""

    def jacobian(
        self,
        inputs: Sequence[int],
        varies: Sequence[int],
        strict: bool,
        outputs: int = ...,
        direction: str = ...,
    ) -> tuple[Program, list[int], list[int], bool]:
        """The outputs, then the derivatives that are not always 0.

        Their rows and columns, and whether they come from reverse sweeps.
        """

    def summed(self, strict: bool) -> Program:
        """Its outputs summed over the rows of a batch."""

    def refuse(self, inputs: Sequence[float], partials_only: bool = False) -> None:
        """Raise the error of the first operation that fails on these inputs, if one does.

        With partials_only it is that of the first partial that nobody has.
        """

    @property
    def lacks_partials(self) -> bool:
        """Whether there are partials in it that nobody has."""

    def may_refuse(self, inputs: Sequence[float]) -> bool:
        """Whether an operation fails, or may have failed, on these inputs."""

    def to_bytes(self) -> builtins.bytes:
        """The program in the bytes of a file."""

    def __reduce__(self) -> tuple[Any, ...]: ...
    def __len__(self) -> int: ...

@final
class Closure:
    """The Values that a compiled function uses and was not given."""

    def __init__(self, values: tuple[Value, ...]) -> None:
        """Read these Values. Raises FormatError for anything else among them."""

    def __reduce__(self) -> tuple[Any, ...]: ...
    @property
    def values(self) -> list[Value]:
        """The Values."""

    def numbers(self) -> _Numbers:
        """Their data as it is now."""

    def __len__(self) -> int: ...

@final
class OuterState:
    """What a function found beyond its arguments when it was traced."""

    def __init__(
        self,
        cells: tuple[CellType, ...],
        holders: list[tuple[Any, tuple[str, ...]]],
        functions: tuple[FunctionType, ...] = ...,
    ) -> None:
        """Of closure cells, of names in each holder, and of the code of functions.

        A holder is a dict, class or object.
        """

    def __reduce__(self) -> NoReturn: ...
    def is_current(self) -> bool:
        """Whether it is all the same objects now."""

@final
class RandomStates:
    """The states of the global generators of random and numpy.random."""

    def __init__(self) -> None: ...
    def __reduce__(self) -> NoReturn: ...
    def changed(self) -> bool:
        """Whether any of them is another one now."""

@final
class PointExecutable:
    """A program ready to be run on one point."""

    def __init__(
        self,
        arguments: PyTree,
        closure: Closure,
        program: Program,
        results: PyTree,
        buffered: int,
        strict: bool,
    ) -> None:
        """Plan the program.

        Its inputs are the numbers of the arguments, those of the closure, and what else a call
        gives; its outputs those of the results, of which child `buffered`, or the whole if that is
        negative, may go into an `out`. Raises ValueError for numbers that do not fit.
        """

    @property
    def groups(self) -> int:
        """Into how many steps its instructions have been grouped."""

    @property
    def bytes(self) -> int:
        """The memory that it takes."""

    def text(self) -> str:
        """One line a step."""

    def run(
        self, numbers: _Numbers, more: _Numbers | None, out: Any, any: bool
    ) -> tuple[bool, bool, Any] | None:
        """Whether all is finite that must be, whether the result may stand, and the result.

        A result that is not finite may be another one in strict arithmetic. It is left out if all
        is not finite that must be. None if a guard came out otherwise. With any always the result.
        more are the further inputs.
        """

@disjoint_base
class NativeDispatch:
    """A callable that runs programs it knows natively and leaves all else to its fallback."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self: ...
    def __init__(self, fallback: Callable[..., Any]) -> None:
        """Know nothing yet."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def _remember(
        self,
        argnums: int | tuple[int, ...] | None,
        executable: PointExecutable,
        outer: OuterState | None = None,
        recorded: RecordedFunction | None = None,
        /,
    ) -> None:
        """Try this one first in calls with these argnums; None: in calls that take none.

        With recorded it is tried in calls on Values, too.
        """

    def _forget(self) -> None:
        """Leave every call to the fallback again."""

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle and copy: the method that it stands for."""

@final
class Batch:
    """The arguments of a batch, with an axis of rows."""

    def __init__(
        self,
        arguments: tuple[Any, ...],
        axes: Any,
        statics: Sequence[bool],
        keywords: dict[str, Any] = {},
        static_names: Sequence[str] = (),
    ) -> None:
        """Look at arguments; axes says which axis of each has the rows, None for none.

        Raises TypeError and ValueError for what has no such axis or other numbers of rows.
        """

    @property
    def tree(self) -> PyTree:
        """The structure of one row."""

    @property
    def has_values(self) -> bool:
        """Whether it has Values in it; the rest means nothing then."""

    @property
    def has_rows(self) -> bool:
        """Whether any argument has rows."""

    def row(self, k: int) -> _Numbers:
        """The numbers of row k. Raises IndexError if there is none."""

    def overlaps(self, arrays: Sequence[_Numbers]) -> bool:
        """Whether any of these arrays has memory that the rows are read from."""

    def part(self, first: int, last: int) -> Batch:
        """The rows from first to before last, where they are. Raises IndexError."""

    def numbers(self) -> tuple[_Numbers, _Numbers]:
        """The numbers of the first row, and of all rows those that vary."""

    @staticmethod
    def of_numbers(tree: PyTree, first: _Numbers, varying: _Numbers) -> Batch:
        """The batch of rows of this structure with such numbers.

        Raises ValueError for numbers that do not fit.
        """

    def __reduce__(self) -> tuple[Any, ...]:
        """Raise TypeError: a batch lives within one call."""

    def __len__(self) -> int: ...

@final
class BatchExecutable:
    """A program ready to be run on the rows of a batch."""

    def __init__(self, program: Program, varies: Sequence[int], strict: bool) -> None:
        """Plan the program; varies says of each input whether it differs from row to row."""

    @property
    def slots(self) -> int:
        """How many rows of numbers are alive at once."""

    @property
    def block(self) -> int:
        """How many rows are worked on at a time."""

    @property
    def bytes(self) -> int:
        """The memory that it takes."""

    def run(
        self,
        batch: Batch,
        closure: Closure,
        more: Batch | None,
        leaves: Sequence[_Numbers],
        stacked: Sequence[bool],
        rows: Sequence[int] | None,
        strict: Callable[[], BatchExecutable] | None,
        threads: int,
        progress: _Progress,
    ) -> tuple[bool, bool, tuple[int, Exception] | None]:
        """Write the results into the leaves, of some rows or all.

        Those that are stacked have a row for each of the batch; what is not stacked is added to if
        rows are given. Numbers that are not finite are those of the executable that strict
        returns. Whether all is finite that must be, whether all guards came out as they should, and
        the number and exception of the first row in which a callback fails, or None. Raises
        KeyboardInterrupt within a fraction of a second.
        """

    def split(
        self,
        batch: Batch,
        closure: Closure,
        more: Batch | None,
        rows: Sequence[int] | None,
        threads: int,
        progress: _Progress,
    ) -> tuple[list[int], list[int], list[int]]:
        """The rows by what a run finds.

        The good ones, those that are not finite where they must be, and those for which a guard
        does not hold.
        """

def read_operands(
    arguments: tuple[Any, ...],
    statics: Sequence[bool],
    keywords: dict[str, Any],
    static_names: Sequence[str],
) -> tuple[PyTree, _Numbers, _PlacedValues]:
    """The structure of arguments in which Values stand for numbers, and these numbers.

    The parameters of Modules are such Values, too. Raises as read_arguments does.
    """

def with_partials(
    value: Value | float, operands: list[Value], partials: list[Value | float]
) -> Value:
    """A Value of these partials by the operands, and of no others.

    It can be differentiated in turn. Raises ValueError unless operands and partials are equally
    many.
    """

def record_matrices(
    function: str,
    rows: int,
    columns: int,
    transposed: bool,
    decides: bool,
    numbers: list[Value | float],
) -> list[Value] | None:
    """Record one call of a function of matrices: its results, or None where it fails.

    The numbers, Values or not, are those of matrices row by row. Whether it fails is a decision of
    a trace under way if decides, or if it does. Raises ImportError where SciPy is needed and not
    there.
    """

def pure_callback(
    function: Callable[..., Any], arguments: tuple[Any, ...], rule: Callable[..., Any] | None
) -> Any:
    """The result of a function that is called on the numbers of these arguments.

    Where there are Values among them the numbers of the result are Values, with the derivatives of
    the rule. Raises what the function raises.
    """

def is_compile_disabled() -> bool:
    """Whether nothing that has been compiled is used."""

def compile_step(step: int) -> None:
    """Enter (+1) or leave (-1) a block in which nothing that has been compiled is used."""

def is_recorded(closure: Closure) -> bool:
    """Whether what is computed from a closure belongs to a graph, or to a trace under way."""

def is_tracing() -> bool:
    """Whether a function is being traced in this thread."""

@final
class RecordedFunction:
    """A program as the function of calls that are recorded. Immutable."""

    def __init__(self, program: Program, strict: bool) -> None: ...
    def record(
        self,
        numbers: _Numbers,
        values: _PlacedValues,
        closure: Closure,
        more: Sequence[float] | _Numbers,
        more_values: _PlacedValues,
        is_taken: bool,
    ) -> list[Value] | None:
        """A list of the results; None if the numbers may take another variant.

        is_taken says that they take this one: then an error of a strict derivative is raised.

        The operands are numbers, with pairs of a place among them and the Value that is there; the
        closure; and more such numbers and Values.
        """

def read_arguments(
    arguments: tuple[Any, ...],
    statics: Sequence[bool],
    keywords: dict[str, Any] = {},
    static_names: Sequence[str] = (),
) -> tuple[PyTree, _Numbers] | None:
    """The structure of arguments and their numbers; None if there are Values among them.

    Raises TypeError for what is neither made of numbers nor hashable.
    """

def register_node(
    cls: type,
    flatten: Callable[[Any], Any],
    unflatten: Callable[[Any, Any], Any],
    rows: Callable[[Any, int], tuple[Any, Any]] | None = None,
) -> None:
    """Take objects of a class apart, and make them again, by these functions.

    rows, of an object and an axis, gives what is like a row, or None, and an array.

    Raises TypeError for other arguments, ValueError for a class that is registered.
    """

def children_of(object: Any) -> tuple[Any, ...] | None:
    """What a dataclass or an object of a registered class is made of, None for any other."""

def capture(
    function: Callable[..., Any],
    arguments: PyTree,
    numbers: _Numbers,
    strict: bool,
    catches: Callable[[CodeType, int], bool] | None = None,
) -> tuple[Program, PyTree, Closure]:
    """Run a function on Values of these numbers: its program, results and closure.

    Operations that can fail are decisions where catches(code, offset) says that the code would go
    on after an error there.
    """

def call_by_number(
    function: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any] = {}
) -> Any:
    """Call a function in which Values compare, and are true, by number."""

def refusal(exception: _Exception) -> _Exception:
    """The exception, to be raised: the trace under way, if any, ends with it, caught or not."""

def split_refused(
    program: Program,
    batch: Batch,
    closure: Closure,
    more: Batch | None,
    rows: Sequence[int],
    partials_only: bool = False,
) -> tuple[list[int], list[int]]:
    """Of these rows those for which no checked operation of the program fails, and the others.

    With partials_only, only partials that nobody has count as failing.
    """

def clear_arrays(arrays: Sequence[_Numbers]) -> None:
    """Set contiguous arrays of float64 to 0."""

def divide_arrays(arrays: Sequence[_Numbers], by: float) -> None:
    """Divide contiguous arrays of float64 by a number."""

def pack_arrays(arrays: Sequence[_Numbers]) -> _Numbers:
    """The numbers of contiguous arrays of float64 in one."""

def put_rows(
    leaves: Sequence[_Numbers],
    stacked: Sequence[bool],
    packed: _Numbers,
    first: int,
    count: int,
    rows: int,
) -> None:
    """Put the packed results of some of the rows into those of all.

    What is stacked goes into its places, and what is not is added. Raises ValueError for packed
    numbers that do not fit.
    """
