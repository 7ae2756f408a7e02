"""Floats that calculate as Values do, in plain Python: what random programs are compared with.

`a / b` is `a * b**-1`, as in micrograd; everything else is Python's float and its module `math`,
errors included. No code is shared with the engine.

A run may be recorded, and run again with each result of an operation off by some rounding errors,
while every decision comes out as it was recorded. How far the result moves says how many of its
digits mean anything.
"""

import math
import random
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

Number = int | float
ROUNDING = 2.0**-52
SMALLEST, _SMALLEST_NORMAL = 2.0**-1074, 2.0**-1022


class Recording:
    """The outcomes of the decisions of one run, in order, errors of operations among them."""

    def __init__(self) -> None:
        self.outcomes: list[Any] = []
        self.is_complex = False  # whether a power of plain floats left the real numbers
        self.noise: random.Random | None = None  # set while the run is repeated
        self._next = 0

    def repeat(self, seed: int) -> None:
        """Begin another run, with other rounding errors and the same decisions."""
        self.noise, self._next = random.Random(seed), 0

    def decided(self, outcome: Callable[[], Any]) -> Any:
        """The outcome of a decision, the recorded one if the run is repeated."""
        if self.noise is None:
            self.outcomes.append(outcome())
            return self.outcomes[-1]
        self._next += 1
        return self.outcomes[self._next - 1]

    def calculated(self, operation: Callable[..., Any], *operands: Any) -> float:
        """The result of an operation that may fail; it fails in each run or in none."""
        result, failure = math.nan, None
        try:
            result = operation(*operands)
        except (ArithmeticError, ValueError) as error:
            failure = error
        if (recorded := self.decided(lambda: failure)) is not None:
            raise recorded
        return result

    def rounded(self, x: float) -> "Real":
        """The result of an operation as the run has it."""
        if self.noise is not None:
            x = _bare(x) * (1.0 + self.noise.uniform(-2.0, 2.0) * ROUNDING)
            if 0.0 < abs(x) < _SMALLEST_NORMAL:
                x += self.noise.choice((-1.0, 0.0, 1.0)) * SMALLEST
        return Real(x)

    def added(self, a: float, b: Any) -> Any:
        """A sum as the run has it: in another order of terms it is off by what these are."""
        x = float.__add__(a, b)
        if self.noise is not None and x is not NotImplemented and math.isfinite(x):
            x += self.noise.uniform(-1.0, 1.0) * ROUNDING * (abs(float(a)) + abs(float(b)))
        return self.rounded(x)


recording = Recording()


def record() -> Recording:
    """Begin a new recording, which is the current one from now on."""
    global recording
    recording = Recording()
    return recording


class Real(float):
    """A float that stands for a Value."""

    def __add__(self, other: Any) -> "Real":
        return recording.added(self, other)

    def __mul__(self, other: Any) -> "Real":
        return recording.rounded(float.__mul__(self, other))

    def __neg__(self) -> "Real":
        return self * -1.0

    def __pos__(self) -> "Real":
        return self

    def __sub__(self, other: Any) -> "Real":
        return self + (-other)

    def __rsub__(self, other: Number) -> "Real":
        return (-self) + other

    def __truediv__(self, other: Any) -> "Real":
        return self * other**-1

    def __rtruediv__(self, other: Number) -> "Real":
        return self**-1 * other

    def __pow__(self, other: Any, _: None = None) -> "Real":  # type: ignore[override]
        return recording.rounded(recording.calculated(_power, _bare(self), float(other)))

    def __rpow__(self, other: Any, _: None = None) -> "Real":  # type: ignore[override]
        return recording.rounded(recording.calculated(_power, float(other), _bare(self)))

    __radd__, __rmul__ = __add__, __mul__

    def __abs__(self) -> "Real":
        return recording.rounded(float.__abs__(self))

    def __lt__(self, other: Any) -> bool:
        return _compared(float.__lt__, self, other)

    def __le__(self, other: Any) -> bool:
        return _compared(float.__le__, self, other)

    def __gt__(self, other: Any) -> bool:
        return _compared(float.__gt__, self, other)

    def __ge__(self, other: Any) -> bool:
        return _compared(float.__ge__, self, other)

    def __eq__(self, other: Any) -> bool:
        return _compared(float.__eq__, self, other)

    def __ne__(self, other: Any) -> bool:
        return _compared(float.__ne__, self, other)

    def __bool__(self) -> bool:
        return bool(recording.decided(lambda: float.__bool__(self)))

    __hash__ = float.__hash__

    def __int__(self) -> int:
        return _whole(float.__int__, self)

    def __trunc__(self) -> int:
        return _whole(float.__trunc__, self)

    def __floor__(self) -> int:
        return _whole(float.__floor__, self)

    def __ceil__(self) -> int:
        return _whole(float.__ceil__, self)

    def __round__(self, digits: None = None) -> int:  # type: ignore[override]
        return _whole(float.__round__, self)


def _compared(relation: Callable[[float, Any], Any], one: float, other: Any) -> bool:
    if isinstance(other, complex):
        return NotImplemented
    return bool(recording.decided(lambda: relation(one, other)))


def _whole(convert: Callable[[float], int], x: float) -> int:
    recording.calculated(lambda: float(convert(x)))
    return int(recording.decided(lambda: convert(x)))


def _function(calculate: Callable[..., float]) -> Callable[..., Any]:
    """A function of numbers and lists of them: a Real if one of them is, else a float."""

    def function(*operands: Any) -> Any:
        flat = [x for o in operands for x in (o if isinstance(o, list) else [o])]
        bare = [[_term(x) for x in o] if isinstance(o, list) else _bare(o) for o in operands]
        if any(isinstance(x, Real) for x in flat):
            return recording.rounded(recording.calculated(calculate, *bare))
        return calculate(*bare)

    return function


def _term(x: Number) -> float:
    """A term of a sum, which may be off by what the sum is rounded by."""
    return _bare(recording.rounded(x)) if isinstance(x, Real) else float(x)


def _bare(x: Number) -> float:
    """The float that a Real is."""
    return float.__pos__(x) if isinstance(x, float) else float(x)


def loop_sum(xs: Sequence[Any]) -> Any:
    y = 0.0
    for x in xs:
        y = y + x
    return y


def loop_product(xs: Sequence[Any]) -> Any:
    y = 1.0
    for x in xs:
        y = y * x
    return y


def _maximum(a: float, b: float) -> float:
    if math.isnan(a) or math.isnan(b):
        return math.nan
    if a == b:  # the two zeros are equal, and 0.0 is the larger one
        return a if math.copysign(1.0, a) > 0.0 else b
    return a if a > b else b


def _power(a: float, b: float) -> Any:
    if -math.inf < a < 0.0 and math.isfinite(b) and b != math.floor(b):
        raise ValueError("the result is complex")
    return a**b


functions = SimpleNamespace(
    sqrt=_function(math.sqrt),
    exp=_function(math.exp),
    expm1=_function(math.expm1),
    log=_function(math.log),
    log1p=_function(math.log1p),
    log2=_function(math.log2),
    sin=_function(math.sin),
    cos=_function(math.cos),
    tan=_function(math.tan),
    tanh=_function(math.tanh),
    sinh=_function(math.sinh),
    arcsin=_function(math.asin),
    arctan=_function(math.atan),
    arctan2=_function(math.atan2),
    erf=_function(math.erf),
    relu=_function(lambda a: 0.0 if a < 0.0 else a),
    square=_function(lambda a: a * a),
    reciprocal=_function(lambda a: 1.0 / a),
    sign=_function(lambda a: a if math.isnan(a) else float((a > 0.0) - (a < 0.0))),
    maximum=_function(_maximum),
    minimum=_function(lambda a, b: -_maximum(-a, -b)),
    power=_function(_power),
    where=_function(lambda condition, a, b: a if condition != 0.0 else b),
    sum=_function(loop_sum),
    mean=_function(lambda xs: loop_sum(xs) / len(xs)),
    prod=_function(loop_product),
    dot=_function(lambda ws, xs: loop_sum([w * x for w, x in zip(ws, xs, strict=True)])),
)
