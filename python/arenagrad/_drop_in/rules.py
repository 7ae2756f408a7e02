"""A script's own method beside ours, on sample points: number, partials, and what it raises.

An `Engine` says how nodes are made, swept and read, once for the script's class and once for
Value, so that one function runs a method on either. Two outcomes agree if their numbers do to
1e-12.
"""

import enum
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from arenagrad._core import ArenagradError, Value, operands, topological_order
from arenagrad._drop_in.layout import Layout, is_number

_TOLERANCE = 1e-12
_SEEDS = (1.7, -3e4)  # the second shows a gradient that is clipped
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
    *(s * x for x in (30.0, 300.0, 600.0, 800.0) for s in (1, -1)),
)
_TWO = ((0.7, -1.3), (2.5, 0.4), (-3.0, -0.5), (0.0, 1.5), (1.5, 0.0), (1e3, 2e3), (-0.2, 4.0))
_NUMBERS = (2, 3.0, -0.5, 0.25)
_POWERS = (2, 3, -1, 0.5, 1, 2.0, -2.5, 1.5)
_BASES = (0.7, 2.5, 40.0)


@dataclass(frozen=True)
class Constant:
    """An argument that is a plain number."""

    number: float


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


_native = {name: vars(Value)[name] for name in ("data", "grad", "_op", "_backward")}


class NativeEngine:
    """Value, read by its own descriptors, whatever has been put on it."""

    kind: type = Value

    def leaf(self, number: float) -> Any:
        """A new leaf."""
        return Value(number)

    def number(self, node: Any) -> float:
        """The number of a node."""
        return _native["data"].__get__(node)  # type: ignore[no-any-return]

    def grad(self, node: Any) -> float:
        """The gradient of a node."""
        return _native["grad"].__get__(node)  # type: ignore[no-any-return]

    def set_grad(self, node: Any, number: float) -> None:
        """Assign the gradient of a node."""
        _native["grad"].__set__(node, number)

    def operands(self, node: Any) -> list[Any]:
        """The operands of a node."""
        return operands(node)

    def text(self, node: Any) -> str | None:
        """The text of the operation that made a node."""
        return _native["_op"].__get__(node)  # type: ignore[no-any-return]

    def sweep(self, root: Any, seed: float) -> None:
        """Run the rules of all nodes below root, users first, from this gradient of root."""
        self.set_grad(root, seed)
        for node in reversed(topological_order(root)):
            _native["_backward"].__get__(node)()


@dataclass(frozen=True)
class Outcome:
    """What a method gives at a point."""

    raised: type[BaseException] | None = None
    result: Any = None  # what is no node
    numbers: tuple[float, ...] = ()  # the node's number, and the gradients of the leaves
    structure: tuple[int | None, ...] = ()  # the operands, each by the leaf it is
    text: str | None = None  # of the operation

    def agrees(self, other: "Outcome") -> bool:
        """Whether both are the same, numbers to 1e-12."""
        if self.raised or other.raised:
            return bool(self.raised) == bool(other.raised)
        if len(self.numbers) != len(other.numbers):
            return False
        if not self.numbers:
            return _same_result(self.result, other.result)
        return all(map(_close, self.numbers, other.numbers))


def _close(a: float, b: float) -> bool:
    if a == b or (a != a and b != b):
        return True
    return abs(a - b) <= _TOLERANCE * max(1.0, abs(a), abs(b))


def _same_result(a: Any, b: Any) -> bool:
    if is_number(a) and is_number(b):
        return _close(a, b)
    return type(a) is type(b) and (a is b or bool(a == b))


def run_at(
    engine: Engine, method: Callable[..., Any], point: Point, seed: float, begin: float
) -> Outcome:
    """The outcome of a method at one point; the gradients of the leaves begin with a number."""
    leaves: list[Any] = []
    arguments: list[Any] = []
    try:
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
        engine.sweep(result, seed)
        numbers = (number, *map(engine.grad, leaves))
        where = {id(leaf): i for i, leaf in enumerate(leaves)}
        structure = tuple(where.get(id(x)) for x in engine.operands(result))
        if not all(is_number(x) for x in numbers):
            return Outcome(raised=TypeError)
        return Outcome(None, None, tuple(map(float, numbers)), structure, engine.text(result))
    except Exception as error:
        return Outcome(raised=type(error))


def points(name: str, arity: int) -> Iterator[list[Point]]:
    """The sample points of a method, in kinds: each kind gives it arguments of another sort."""
    if arity == 0:
        yield [(x,) for x in _ONE]
        return
    power = name in ("__pow__", "__rpow__")
    if power:
        yield [(x, y) for x in _BASES for y in (1.5, -0.5)]
        yield [(x, Constant(n)) for x in _BASES for n in _POWERS]
        yield [(x, Constant(n)) for x in (-1.3, -6.0) for n in (2, 3, -1)]
        yield [(0.0, Constant(2)), (0.0, Constant(3.0))]
        return
    yield list(_TWO)
    yield [(x, Constant(n)) for x in (0.7, -3.0, 5.0) for n in _NUMBERS]
    yield [(0.7, "same"), (-3.0, "same")]


def outcomes(
    engine: Engine,
    method: Callable[..., Any],
    kinds: Sequence[Sequence[Point]],
    begin: float = _BEGIN,
) -> list[list[Outcome]]:
    """The outcomes of a method at all points, kind by kind."""
    found = []
    for kind in kinds:
        found.append(
            [run_at(engine, method, p, _SEEDS[i in (1, 2)], begin) for i, p in enumerate(kind)]
        )
    return found


class Agreement(enum.Enum):
    """Whether ours does what the script's own method does."""

    NONE = "they differ, or could not be compared"
    WHERE_OURS_ANSWERS = "the same numbers, but ours raises where the script's own method does not"
    FULL = "the same"


def agreement(own: list[list[Outcome]], ours: list[list[Outcome]]) -> Agreement:
    """Whether ours does what the script's own method does, wherever that does anything.

    A sort of argument that the script's method refuses at each point is no part of its meaning, nor
    is a number beyond the range of floats, where it raises OverflowError.
    """
    compared, refused = 0, 0
    for a, b in zip(own, ours, strict=True):
        if all(x.raised for x in a):
            continue
        for x, y in zip(a, b, strict=True):
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


def all_add(one: list[list[Outcome]], other: list[list[Outcome]], *, by: float) -> bool:
    """Whether rules add to gradients: those of the other outcomes began with so much more."""
    return all(
        x.raised
        or y.raised
        or all(_close(a + by, b) for a, b in zip(x.numbers[1:], y.numbers[1:], strict=True))
        for a, b in zip(one, other, strict=True)
        for x, y in zip(a, b, strict=True)
    )


def alike_in_structure(
    own: list[list[Outcome]], ours: list[list[Outcome]], *, ordered: bool
) -> bool:
    """Whether the nodes have the same operands, in the same order if there is one."""

    def seen(outcome: Outcome) -> Any:
        return outcome.structure if ordered else frozenset(outcome.structure)

    return all(
        seen(x) == seen(y)
        for a, b in zip(own, ours, strict=True)
        for x, y in zip(a, b, strict=True)
        if x.numbers and y.numbers
    )


def translation(own: list[list[Outcome]], ours: list[list[Outcome]]) -> dict[str, str] | None:
    """The script's text for each of ours; None if ours does not tell which it is.

    The texts of powers, which name the exponent, are told by their first two characters.
    """
    found: dict[str, str] = {}
    for a, b in zip(own, ours, strict=True):
        for x, y in zip(a, b, strict=True):
            if not (x.numbers and y.numbers) or x.text == y.text:
                continue
            ours_text = "**" if (y.text or "").startswith("**") else y.text
            if not ours_text or not x.text or found.setdefault(ours_text, x.text) != x.text:
                return None
    return found
