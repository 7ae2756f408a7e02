"""A script's own method beside ours, on sample points: number, partials, and what it raises.

An `Engine` says how nodes are made, swept and read, once for the script's class and once for
Value, so that one function runs a method on either. Two outcomes agree if their numbers do to
1e-12 of their size, or at small arguments, where formulas that mean the same lose digits, to 1e-12.
"""

import enum
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from arenagrad._core import ArenagradError, Value, operands, topological_order
from arenagrad._drop_in.layout import Layout, is_number
from arenagrad._drop_in.nodes import NATIVE

_TOLERANCE = 1e-12
_SEEDS = (1.7, -3e4)  # the second shows a gradient that is clipped
_LARGE = 1e12  # as does this one
_SMALL = 0.1  # arguments below it are small
_SMALL_SEED = 1e-6
_MOST_LINES = 20_000  # of the script's code in one sample
_BEGIN = 0.25  # what stands in grad before: a rule must add to it

# Numbers of leaves; a number in `_Constant` is passed as it is; "same" repeats the first leaf.
_ONE = (
    0.7,
    -1.3,
    2.5,
    0.0,
    0.2,
    -0.4,
    5.0,
    -6.0,
    *(s * x for x in (30.0, 300.0, 600.0, 800.0, 1e-15, 1e-9, 1e-4) for s in (1, -1)),
)
_TWO = ((0.7, -1.3), (2.5, 0.4), (-3.0, -0.5), (0.0, 1.5), (1.5, 0.0), (1e3, 2e3), (-0.2, 4.0),
        (2.0, 2.0),
        (0.0, 1.0), (0.0, 0.5), (1e-15, 0.3), (0.3, -1e-15), (1e-9, 0.3), (0.3, 1e-9),
        (-1e-4, 0.3), (1e6, 1e6), (1e200, 1e200))  # fmt: skip
_NUMBERS = (2, 3.0, -0.5, 0.25, 0, 1, -1, 0.0, 1.0, -1.0, 1e6, 1e-9)
_INFINITE = (float("inf"), float("-inf"), float("nan"))
_FOREIGN: tuple[Any, ...] = (None, [1.0, 2.0], (1.0,), {}, "2")
_POWERS = (2, 3, -1, 0.5, 1, 2.0, -2.5, 1.5, 0, 1.0, -1.0, 4, 10)
_BASES = (0.7, 2.5, 40.0)


@dataclass(frozen=True)
class Constant:
    """An argument that is a plain number."""

    number: Any


# The code that imports modules, half of which must not run.
_IMPORTING = ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")


class NoNumber(TypeError):
    """The script's method gives a complex number, or something else that a Value cannot hold."""


class TooLong(BaseException):
    """A sample runs more lines of the script than any would that ends."""


Point = tuple["float | Constant | str", ...]


class Engine(Protocol):
    """How nodes of one kind are made and read."""

    kind: type

    def leaf(self, number: float) -> Any:
        """A new leaf."""

    def number(self, node: Any) -> float:
        """The number of a node."""

    def grad(self, node: Any) -> float:
        """The gradient of a node."""

    def set_grad(self, node: Any, number: float) -> None:
        """Assign the gradient of a node."""

    def operands(self, node: Any) -> list[Any]:
        """The operands of a node."""

    def text(self, node: Any) -> str | None:
        """The text of the operation that made a node."""

    def sweep(self, root: Any, seed: float) -> None:
        """Run the rules of all nodes below root, users first, from this gradient of root."""


class OwnEngine:
    """The script's class as it is; the names must mean the class itself."""

    def __init__(self, kind: type, layout: Layout) -> None:
        """Read nodes of kind by this layout."""
        self.kind, self._layout = kind, layout

    def leaf(self, number: float) -> Any:
        """A new leaf."""
        return self.kind(number)

    def number(self, node: Any) -> float:
        """The number of a node."""
        return self._layout.number(node)

    def grad(self, node: Any) -> float:
        """The gradient of a node."""
        return getattr(node, self._layout.grad)  # type: ignore[no-any-return]

    def set_grad(self, node: Any, number: float) -> None:
        """Assign the gradient of a node."""
        setattr(node, self._layout.grad, number)

    def operands(self, node: Any) -> list[Any]:
        """The operands of a node."""
        return self._layout.operands_of(node)

    def text(self, node: Any) -> str | None:
        """The text of the operation that made a node."""
        return getattr(node, self._layout.op) if self._layout.op else None

    def sweep(self, root: Any, seed: float) -> None:
        """Run the rules of all nodes below root, users first, from this gradient of root."""
        self.set_grad(root, seed)
        order: list[Any] = []
        seen: set[int] = set()

        def visit(node: Any) -> None:
            if id(node) not in seen:
                seen.add(id(node))
                for operand in self.operands(node):
                    visit(operand)
                order.append(node)

        visit(root)
        for node in reversed(order):
            self._step(node)

    def _step(self, node: Any) -> None:
        if self._layout.rule:
            rule = getattr(node, self._layout.rule, None)  # a leaf may have none
            if rule is not None:
                rule()
            return
        for operand, partial in zip(
            self.operands(node), getattr(node, self._layout.partials, None) or (), strict=False
        ):
            self.set_grad(operand, self.grad(operand) + partial * self.grad(node))


class NativeEngine:
    """Value, read by its own descriptors, whatever has been put on it."""

    kind: type = Value

    def leaf(self, number: float) -> Any:
        """A new leaf."""
        return Value(number)

    def number(self, node: Any) -> float:
        """The number of a node."""
        return NATIVE["data"].__get__(node)  # type: ignore[no-any-return]

    def grad(self, node: Any) -> float:
        """The gradient of a node."""
        return NATIVE["grad"].__get__(node)  # type: ignore[no-any-return]

    def set_grad(self, node: Any, number: float) -> None:
        """Assign the gradient of a node."""
        NATIVE["grad"].__set__(node, number)

    def operands(self, node: Any) -> list[Any]:
        """The operands of a node."""
        return operands(node)

    def text(self, node: Any) -> str | None:
        """The text of the operation that made a node."""
        return NATIVE["_op"].__get__(node)  # type: ignore[no-any-return]

    def sweep(self, root: Any, seed: float) -> None:
        """Run the rules of all nodes below root, users first, from this gradient of root."""
        self.set_grad(root, seed)
        for node in reversed(topological_order(root)):
            NATIVE["_backward"].__get__(node)()


@dataclass(frozen=True)
class Outcome:
    """What a method gives at a point."""

    raised: type[BaseException] | None = None
    result: Any = None  # what is no node
    numbers: tuple[float, ...] = ()  # the node's number, and the gradients of the leaves
    structure: tuple[int | None, ...] = ()  # the operands, each by the leaf it is
    text: str | None = None  # of the operation
    is_operand: bool = False  # the result is one of the arguments, and no new node
    scale: float = 1.0  # of the gradients
    scale_of_number: float = 1.0
    is_bare: bool = False  # the gradients began with 0, whatever was asked for

    def agrees(self, other: "Outcome") -> bool:
        """Whether both are the same, numbers to 1e-12."""
        if self.raised or other.raised:
            if self.raised is None or other.raised is None:
                return False
            return self.raised is NoNumber or issubclass(other.raised, self.raised)
        if len(self.numbers) != len(other.numbers) or self.is_operand != other.is_operand:
            return False
        if not self.numbers:
            return _same_result(self.result, other.result)
        return _close(self.numbers[0], other.numbers[0], self.scale_of_number) and all(
            _close(a, b, self.scale)
            for a, b in zip(self.numbers[1:], other.numbers[1:], strict=True)
        )


def _close(a: float, b: float, scale: float = 1.0) -> bool:
    """Whether two numbers agree; nan is nan here, and -0.0 is 0.0."""
    if a == b or (a != a and b != b):
        return True
    return abs(a - b) <= _TOLERANCE * max(scale, abs(a), abs(b)) < float("inf")


@contextmanager
def bounded() -> Iterator[None]:
    """Raise TooLong in the code within that runs on and on; not in what it imports."""
    left, before, imports = _MOST_LINES, sys.gettrace(), 0

    def count(frame: Any, event: str, _argument: Any) -> Any:
        nonlocal left, imports
        if event == "call" and (imports or frame.f_code.co_filename in _IMPORTING):
            if imports:
                return None
            imports += 1
            return importing
        left -= 1
        if left < 0:
            raise TooLong
        return count

    def importing(_frame: Any, event: str, _argument: Any) -> Any:
        nonlocal imports
        if event == "return":
            imports -= 1
        return importing

    sys.settrace(count)
    try:
        yield
    finally:
        sys.settrace(before)


def _same_result(a: Any, b: Any) -> bool:
    if is_number(a) and is_number(b):
        return _close(a, b)
    return type(a) is type(b) and (a is b or bool(a == b))


def run_at(
    engine: Engine, method: Callable[..., Any], point: Point, seed: float, begin: float
) -> Outcome:
    """The outcome of a method at one point; the gradients of the leaves begin with a number."""
    try:
        with bounded():
            return _run_at(engine, method, point, seed, begin)
    except (Exception, SystemExit, KeyboardInterrupt, TooLong) as error:
        return Outcome(raised=type(error))


def _run_at(
    engine: Engine, method: Callable[..., Any], point: Point, seed: float, begin: float
) -> Outcome:
    leaves: list[Any] = []
    arguments: list[Any] = []
    is_bare = 0.0 < abs(seed) < _SMALL_SEED  # what is added could not be seen beside a beginning
    begin = 0.0 if is_bare else begin
    for item in point:
        if isinstance(item, Constant):
            arguments.append(item.number)
        elif item == "same":
            arguments.append(leaves[0])
        else:
            leaves.append(engine.leaf(item))  # type: ignore[arg-type]  # a float is left
            engine.set_grad(leaves[-1], begin)
            arguments.append(leaves[-1])
    result = method(*arguments)
    if type(result) is not engine.kind:
        return Outcome(result=result)
    number = engine.number(result)
    is_operand = any(result is leaf for leaf in leaves)
    engine.sweep(result, seed)
    numbers = (number, *map(engine.grad, leaves))
    where = {id(leaf): i for i, leaf in enumerate(leaves)}
    structure = tuple(where.get(id(x)) for x in engine.operands(result))
    if not all(is_number(x) for x in numbers):
        return Outcome(raised=NoNumber)
    found = tuple(map(float, numbers))
    scale = 0.0 if is_bare else max(1.0, abs(seed))
    numbers_given = (x.number if isinstance(x, Constant) else x for x in point)
    sizes = [abs(float(x)) for x in numbers_given if is_number(x)]
    small = 1.0 if max(sizes) < _SMALL else 0.0
    text = engine.text(result)
    return Outcome(None, None, found, structure, text, is_operand, scale, small, is_bare)


def points(name: str, arity: int, thresholds: Sequence[float] = ()) -> Iterator[list[Point]]:
    """The sample points of a method, in kinds: each kind gives it arguments of another sort.

    thresholds are numbers that stand in its code: what it does may change there.
    """
    if arity == 0:
        yield [(x,) for x in (*_ONE, *thresholds)]
        return
    if name in ("__pow__", "__rpow__"):
        values: list[Point] = [(x, y) for x in _BASES for y in (1.5, -0.5)]
        values += [(-2.0, 2.0), (0.0, 2.0), (-2.0, 3.0)]
        numbers: list[Point] = [(x, Constant(n)) for x in _BASES for n in _POWERS]
        numbers += [(x, Constant(n)) for x in (-1.3, -6.0) for n in (2, 3, -1, 0, 1)]
        numbers += [(0.0, Constant(n)) for n in (2, 3.0, 1, 0, 0.5, -1)]
        repeated: list[Point] = []
    else:
        values = list(_TWO)
        numbers = [(x, Constant(n)) for x in (0.7, -3.0, 5.0, 0.0) for n in _NUMBERS]
        repeated = [(0.7, "same"), (-3.0, "same"), (0.0, "same")]
    yield values + [p for t in thresholds for p in ((t, 0.7), (0.7, t), (t, t))]
    yield numbers + [p for t in thresholds for p in ((t, Constant(2)), (0.7, Constant(t)))]
    if repeated:
        yield repeated


def points_without_end(name: str, arity: int) -> Iterator[list[Point]]:
    """Sample points that are infinite, or no number."""
    if arity == 0:
        yield [(x,) for x in _INFINITE]
        return
    power = name in ("__pow__", "__rpow__")
    yield [p for x in _INFINITE for p in ((x, 0.7), (0.7, x), (x, 0.0), (x, x))]
    yield [(x, Constant(n)) for x in _INFINITE for n in (_POWERS if power else _NUMBERS)]


def reflected(kinds: Sequence[list[Point]]) -> list[list[Point]]:
    """The points whose other argument is a number: Python calls reflected operators with these."""
    found = [[p for p in kind if isinstance(p[1], Constant)] for kind in kinds]
    return [kind for kind in found if kind]


def takes_foreign_operands(
    engine: Engine, method: Callable[..., Any], *, texts_are_numbers: bool
) -> bool:
    """Whether a method answers where its operand is neither a number nor a node."""
    for held in _FOREIGN[:-1] if texts_are_numbers else _FOREIGN:
        found = run_at(engine, method, (0.7, Constant(held)), 1.0, 0.0)
        if not found.raised and found.result is not NotImplemented:
            return True
    return False


def outcomes(
    engine: Engine,
    method: Callable[..., Any],
    kinds: Sequence[Sequence[Point]],
    begin: float = _BEGIN,
    thresholds: Sequence[float] = (),
) -> list[list[Outcome]]:
    """The outcomes of a method at all points, kind by kind; thresholds are seeds, too."""
    found = []
    for kind in kinds:
        first = [run_at(engine, method, p, _SEEDS[i in (1, 2)], begin) for i, p in enumerate(kind)]
        for seed in (_LARGE, *thresholds):
            first += [run_at(engine, method, p, seed, begin) for p in kind[:2] if seed]
        found.append(first)
        if any(x.raised is TooLong for x in first):
            break  # the others would take as long
    return found


class Agreement(enum.Enum):
    """Whether ours does what the script's own method does."""

    NONE = "they differ, or could not be compared"
    WHERE_OURS_ANSWERS = "the same numbers, but ours raises where the script's own method does not"
    WHERE_IN_RANGE = "the same, but where the script's own method leaves the range of floats"
    WHERE_FINITE = "the same, but for numbers that are infinite or none"
    FULL = "the same"


def _pairs(
    own: list[list[Outcome]], ours: list[list[Outcome]], *, answered: bool = False
) -> Iterator[tuple[Outcome, Outcome]]:
    """The outcomes at each point; answered: without sorts of arguments that are refused at all."""
    for a, b in zip(own, ours, strict=True):
        if not (answered and all(x.raised for x in a)):
            yield from zip(a, b, strict=True)


def agreement(own: list[list[Outcome]], ours: list[list[Outcome]]) -> Agreement:
    """Whether ours does what the script's own method does, wherever that does anything.

    A sort of argument that the script's method refuses at each point is no part of its meaning, nor
    is a number beyond the range of floats, where it raises OverflowError.
    """
    compared, refused = 0, 0
    if any(x.raised is TooLong for kind in own for x in kind):
        return Agreement.NONE
    for x, y in _pairs(own, ours, answered=True):
        if x.raised and issubclass(x.raised, OverflowError):
            continue
        if y.raised and not x.raised and issubclass(y.raised, ArenagradError):
            refused += 1
        elif not x.agrees(y):
            return Agreement.NONE
        elif not x.raised:
            compared += 1
    if not compared:
        return Agreement.NONE
    return Agreement.WHERE_OURS_ANSWERS if refused else Agreement.FULL


def range_of(
    samples: Sequence[Sequence[Point]], own: list[list[Outcome]], ours: list[list[Outcome]]
) -> float | None:
    """Up to which size of the first operand ours may answer for the script's own method.

    None, unless the script's raises OverflowError at a sample where ours answers: then it is the
    largest sample below all those.
    """
    sizes: tuple[list[float], list[float]] = ([], [])
    for kind, a, b in zip(samples, own, ours, strict=False):
        for point, x, y in zip(kind, a, b, strict=False):  # those behind are repeated ones
            overflows = x.raised is not None and issubclass(x.raised, OverflowError)
            if isinstance(point[0], float | int):
                sizes[overflows and not y.raised].append(abs(point[0]))
    if not sizes[True]:
        return None
    least = min(sizes[True])
    return max((size for size in sizes[False] if size < least), default=0.0)


def all_agree(own: list[list[Outcome]], ours: list[list[Outcome]]) -> bool:
    """Whether all outcomes agree, but for sorts of arguments that the script refuses."""
    return all(
        x.agrees(y) or (x.raised is not None and issubclass(x.raised, OverflowError))
        for x, y in _pairs(own, ours, answered=True)
    )


def all_add(one: list[list[Outcome]], other: list[list[Outcome]], *, by: float) -> bool:
    """Whether rules add to gradients: those of the other outcomes began with so much more."""
    return all(
        x.raised
        or y.raised
        or x.is_bare
        or all(
            _close(a + by, b, x.scale) for a, b in zip(x.numbers[1:], y.numbers[1:], strict=True)
        )
        for x, y in _pairs(one, other)
    )


def alike_in_structure(
    own: list[list[Outcome]], ours: list[list[Outcome]], *, ordered: bool
) -> bool:
    """Whether the nodes have the same operands, in the same order if there is one."""

    def seen(outcome: Outcome) -> Any:
        return outcome.structure if ordered else frozenset(outcome.structure)

    return all(seen(x) == seen(y) for x, y in _pairs(own, ours) if x.numbers and y.numbers)


def translation(own: list[list[Outcome]], ours: list[list[Outcome]]) -> dict[str, str] | None:
    """The script's text for each of ours; None if ours does not tell which it is.

    The texts of powers, which name the exponent, are told by their first two characters.
    """
    found: dict[str, str] = {}
    for x, y in _pairs(own, ours):
        if not (x.numbers and y.numbers) or x.text == y.text:
            continue
        ours_text = "**" if (y.text or "").startswith("**") else y.text
        if not ours_text or not x.text or found.setdefault(ours_text, x.text) != x.text:
            return None
    return found
