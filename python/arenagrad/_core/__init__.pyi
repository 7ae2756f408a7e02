"""The native module: the arena, its Value, and what they tell about themselves."""

import numbers
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import (
    Any,
    Self,
    SupportsIndex,
    TypeAlias,
    TypedDict,
    overload,
    type_check_only,
)

import numpy as np
from typing_extensions import disjoint_base

from arenagrad._core import compiled as compiled
from arenagrad._core import functions as functions
from arenagrad._core import optim as optim

# What counts as a real number at run time: NumPy's scalars are registered with numbers.Real there,
# which no type checker sees. SupportsFloat would let a Value pass, by its __getattr__.
_Real: TypeAlias = float | numbers.Real | Decimal | np.floating[Any] | np.integer[Any]

@disjoint_base
class Value:
    """A number that remembers how it was computed.

    Any attribute may be set on a Value and is seen again through `_prev`, so reading and setting
    unknown names is allowed here, with the type Any.
    """

    label: str
    @property
    def data(self) -> float:
        """The number this node holds."""

    @data.setter
    def data(self, number: _Real) -> None: ...
    @property
    def grad(self) -> float:
        """d(root)/d(self), accumulated by backward()."""

    @grad.setter
    def grad(self, number: _Real) -> None: ...
    @property
    def _op(self) -> str:
        """The text of the operation that made this node; '' for a leaf."""

    @_op.setter
    def _op(self, text: str) -> None: ...
    @property
    def _prev(self) -> set[Value]:
        """The set of this node's operands: the very objects."""

    @property
    def _backward(self) -> Callable[[], object]:
        """A callable doing this node's step of backward(); assign one to replace the rule."""

    @_backward.setter
    def _backward(self, rule: Callable[[], object]) -> None: ...
    def __init__(
        self,
        data: _Real,
        _children: Iterable[Value] = (),
        _op: str | Iterable[_Real] = "",
        label: str = "",
    ) -> None:
        """Make a leaf, or a node with operands of its own.

        A text in third place names the operation: assign `_backward` afterwards. A tuple of numbers
        there holds the partials d(self)/d(child). Raises TypeError for what is not a real number
        or not a Value, ValueError if partials and children differ in number.
        """

    def __add__(self, other: Value | _Real, /) -> Value: ...
    def __radd__(self, other: Value | _Real, /) -> Value: ...
    def __sub__(self, other: Value | _Real, /) -> Value: ...
    def __rsub__(self, other: Value | _Real, /) -> Value: ...
    def __mul__(self, other: Value | _Real, /) -> Value: ...
    def __rmul__(self, other: Value | _Real, /) -> Value: ...
    def __truediv__(self, other: Value | _Real, /) -> Value: ...
    def __rtruediv__(self, other: Value | _Real, /) -> Value: ...
    def __pow__(self, other: Value | _Real, mod: None = None, /) -> Value: ...
    def __rpow__(self, other: _Real, mod: None = None, /) -> Value: ...
    def __mod__(self, other: Value | _Real, /) -> Value: ...
    def __rmod__(self, other: _Real, /) -> Value: ...
    def __floordiv__(self, other: Value | _Real, /) -> Value: ...
    def __rfloordiv__(self, other: _Real, /) -> Value: ...
    def __divmod__(self, other: Value | _Real, /) -> tuple[Value, Value]: ...
    def __rdivmod__(self, other: _Real, /) -> tuple[Value, Value]: ...
    def __neg__(self) -> Value: ...
    def __pos__(self) -> Value: ...
    def __abs__(self) -> Value: ...
    def __float__(self) -> float: ...
    def __int__(self) -> int: ...
    @overload
    def __round__(self, digits: None = None, /) -> int: ...
    @overload
    def __round__(self, digits: SupportsIndex, /) -> float: ...
    def __trunc__(self) -> int: ...
    def __floor__(self) -> int: ...
    def __ceil__(self) -> int: ...

    # Always true; in a compiled function where the data is not 0.
    def __bool__(self) -> bool: ...
    def __format__(self, spec: str, /) -> str: ...
    def item(self) -> float:
        """The data. Unlike float() it never warns that the number carries no derivative."""

    # By the data, but for two Values == is identity; hash is that of the object. A nan is not even
    # equal to itself.
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __lt__(self, other: Value | _Real, /) -> bool: ...
    def __le__(self, other: Value | _Real, /) -> bool: ...
    def __gt__(self, other: Value | _Real, /) -> bool: ...
    def __ge__(self, other: Value | _Real, /) -> bool: ...
    def __hash__(self) -> int: ...
    def relu(self) -> Value:
        """The larger of self and 0; partial 0 at the kink."""

    def exp(self) -> Value:
        """The exponential of self. Raises RangeError where it is too large for a float."""

    def exp2(self) -> Value:
        """2 to the power of self. Raises RangeError where it is too large for a float."""

    def expm1(self) -> Value:
        """exp(self) - 1, exact near 0. Raises RangeError where it is too large for a float."""

    def log(self) -> Value:
        """The natural logarithm of self. Raises DomainError unless self is positive."""

    def log2(self) -> Value:
        """The logarithm to base 2. Raises DomainError unless self is positive."""

    def log10(self) -> Value:
        """The logarithm to base 10. Raises DomainError unless self is positive."""

    def log1p(self) -> Value:
        """log(1 + self), exact near 0. Raises DomainError unless self is above -1."""

    def sqrt(self) -> Value:
        """The square root of self; partial inf at 0. Raises DomainError below 0."""

    def cbrt(self) -> Value:
        """The real cube root of self; partial inf at 0."""

    def square(self) -> Value:
        """The square of self, as one node."""

    def reciprocal(self) -> Value:
        """1 / self, as one node. Raises DivisionByZeroError at 0."""

    def sin(self) -> Value:
        """The sine of self, in radians. Raises DomainError at infinity."""

    def cos(self) -> Value:
        """The cosine of self, in radians. Raises DomainError at infinity."""

    def tan(self) -> Value:
        """The tangent of self, in radians. Raises DomainError at infinity."""

    def arcsin(self) -> Value:
        """The arc sine of self. Raises DomainError outside [-1, 1]."""

    def arccos(self) -> Value:
        """The arc cosine of self. Raises DomainError outside [-1, 1]."""

    def arctan(self) -> Value:
        """The arc tangent of self."""

    def sinh(self) -> Value:
        """The hyperbolic sine of self. Raises RangeError where it is too large for a float."""

    def cosh(self) -> Value:
        """The hyperbolic cosine of self. Raises RangeError where it is too large for a float."""

    def tanh(self) -> Value:
        """The hyperbolic tangent of self."""

    def arcsinh(self) -> Value:
        """The inverse hyperbolic sine of self."""

    def arccosh(self) -> Value:
        """The inverse hyperbolic cosine of self. Raises DomainError below 1."""

    def arctanh(self) -> Value:
        """The inverse hyperbolic tangent of self. Raises DomainError unless in (-1, 1)."""

    def sigmoid(self) -> Value:
        """1 / (1 + exp(-self)), without overflow."""

    def softplus(self) -> Value:
        """log(1 + exp(self)), without overflow."""

    def silu(self) -> Value:
        """The product of self and sigmoid(self)."""

    def gelu(self) -> Value:
        """The product of self and the standard normal distribution function of self."""

    def abs(self) -> Value:
        """The magnitude of self; partial 0 at the kink."""

    def sign(self) -> Value:
        """-1, 0 or 1; partial 0 everywhere."""

    def floor(self) -> Value:
        """The largest whole number up to self, as a Value; partial 0 everywhere."""

    def ceil(self) -> Value:
        """The smallest whole number from self on, as a Value; partial 0 everywhere."""

    def erf(self) -> Value:
        """The error function of self."""

    def lgamma(self) -> Value:
        """The logarithm of the magnitude of gamma of self. Raises DomainError at its poles."""

    def log_sigmoid(self) -> Value:
        """The logarithm of sigmoid(self), exact where that is near 0 or 1."""

    def softsign(self) -> Value:
        """Self / (1 + abs(self))."""

    def hardtanh(self) -> Value:
        """Self between -1 and 1, the nearer of the two elsewhere; partial 0 at the kinks."""

    def erfc(self) -> Value:
        """1 - erf(self), exact where that is small."""

    def norm_cdf(self) -> Value:
        """The standard normal distribution function of self, SciPy's ndtr."""

    def log_norm_cdf(self) -> Value:
        """The logarithm of norm_cdf(self), exact far below 0 too: SciPy's log_ndtr."""

    def digamma(self) -> Value:
        """The derivative of lgamma at self. Raises DomainError at its poles."""

    def erfinv(self) -> Value:
        """The number whose erf is self, by SciPy. Raises DomainError unless in (-1, 1)."""

    def norm_ppf(self) -> Value:
        """The number whose norm_cdf is self, by SciPy. Raises DomainError unless in (0, 1)."""

    def remainder(self, other: Value | _Real, /) -> Value:
        """Self % other, with the sign of other. Raises DivisionByZeroError where other is 0."""

    def floor_divide(self, other: Value | _Real, /) -> Value:
        """Self // other; partials 0 everywhere. Raises DivisionByZeroError where other is 0."""

    def fmod(self, other: Value | _Real, /) -> Value:
        """The remainder with the sign of self, C's fmod. Raises DomainError where other is 0."""

    def logaddexp(self, other: Value | _Real, /) -> Value:
        """log(exp(self) + exp(other)), without overflow."""

    def power(self, other: Value | _Real, /) -> Value:
        """Self ** other as one node, where other may be a Value. Raises what ** raises."""

    def maximum(self, other: Value | _Real, /) -> Value:
        """The larger of self and other; a tie gives each half of the gradient."""

    def minimum(self, other: Value | _Real, /) -> Value:
        """The smaller of self and other; a tie gives each half of the gradient."""

    def hypot(self, other: Value | _Real, /) -> Value:
        """The root of the sum of both squares; partial 0 at (0, 0)."""

    def arctan2(self, other: Value | _Real, /) -> Value:
        """The angle of the point (other, self), in radians; partial 0 at (0, 0)."""

    def leaky_relu(self, partial: _Real = 0.01, /) -> Value:
        """Self above 0, partial * self elsewhere; at the kink the partial is that below."""

    def elu(self, alpha: _Real = 1.0, /) -> Value:
        """Self above 0, alpha * (exp(self) - 1) elsewhere; at the kink the partial is alpha."""

    def conjugate(self) -> Self:
        """Self: a real number is its own conjugate, which NumPy asks for in norm, var and vdot."""

    def detach(self) -> Value:
        """A new leaf with the same data."""

    def backward(self) -> None:
        """Set self.grad to 1 and add d(self)/d(node) to the grad of every node below.

        Primals are read as they are now; an assigned `_backward` is called at its node's turn.
        Raises what ** raises where a partial has no real value, before any grad changes. Cost: 2 to
        4 ns a node.
        """

    def _repr_svg_(self) -> str:
        """A small picture of the graph below self as SVG text: what a notebook shows."""

    def __getattr__(self, name: str, /) -> Any: ...
    def __setattr__(self, name: str, value: Any, /) -> None: ...
    def __delattr__(self, name: str, /) -> None: ...
    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle: this Value with all that it was computed from."""

    def __reduce_ex__(self, protocol: Any, /) -> tuple[Any, ...]:
        """For pickle: this Value with all that it was computed from."""

    def __copy__(self) -> Self:
        """For copy.copy: a twin, the same operation on the same operands."""

    def __deepcopy__(self, memo: dict[Any, Any], /) -> Self:
        """For copy.deepcopy: this Value and all that it was computed from, anew."""

class ArenagradError(Exception):
    """Base of the errors of arenagrad. `value` is the Value to blame, or None."""

    value: Value | None

class ArenaFullError(ArenagradError, MemoryError):
    """No index or no memory is left for another node."""

class DomainError(ArenagradError, ValueError):
    """An operand lies where the operation has no real result."""

class DivisionByZeroError(ArenagradError, ZeroDivisionError):
    """Zero was raised to a negative power."""

class RangeError(ArenagradError, OverflowError):
    """The result is too large for a float."""

class DetachedValueWarning(UserWarning):
    """A number was read out of a Value by float() or int(), so that no derivative follows it."""

class FrozenValueWarning(UserWarning):
    """A number was read out of a Value while a function was compiled, which freezes it."""

class FormatError(ArenagradError, ValueError):
    """Bytes or a file that should hold something saved do not."""

class UntracedError(ArenagradError, ValueError):
    """A program alone, without its function, met an outcome that it was not traced for."""

@type_check_only
class _OpRow(TypedDict):
    id: str
    name: str
    symbol: str
    arity: int
    parametric: bool
    b: float
    low: float
    high: float

def topological_order(root: Value) -> list[Value]:
    """The nodes below root, operands before users, root last.

    Never recurses. Cost: about 10 ns a node.
    """

def operands(value: Value) -> list[Value]:
    """The operands of value in order, each as often as it is used.

    Cost: about 50 ns an operand.
    """

def attributes(value: Value) -> dict[str, Any]:
    """A copy of the attributes that were set on value, in order, without _op and _backward.

    Unlike vars(value) it leaves the Value as it was.
    """

def partials(value: Value) -> list[float]:
    """The partials of value by its operands, in their order.

    Raises ValueError for a node of many operands, and for one with a rule of its own.
    """

def set_constructor(function: Callable[..., Value] | None) -> None:
    """Let Value(...) return what this function does, but for one plain number alone.

    None takes it away. For classes of scripts, whose constructor may take other arguments.
    """

def no_grad_step(step: int) -> None:
    """Enter (+1) or leave (-1) a block of this thread in which operations record no graph."""

def collect() -> int:
    """Drop every unreachable node, cycles included, and return how many nodes went.

    Runs Python's own collector too if there were such cycles. Happens by itself in time; call it to
    measure. Cost: a few ns a node.
    """

def arena_info() -> dict[str, int]:
    """Figures of the arena.

    nodes in use (those not yet reclaimed included), handles (live Values), edges (operands of
    user-made nodes), capacity in nodes, bytes_per_node, resident_bytes, compactions so far.
    """

def set_capacity(nodes: int) -> None:
    """Allow so many nodes at a time, and as many operands of functions that take lists.

    ARENAGRAD_MAX_NODES sets it before the import. Without either it is what 32-bit indices count,
    or what the system has memory for.

    Args:
        nodes: how many; each takes up to 35 bytes.

    Raises:
        ValueError: it is not above 0, or not below 2**63.
        ArenaFullError: more are in use.
    """

def build_info() -> dict[str, str]:
    """How this extension was built: version, compiler, flags and the like."""

def op_codes() -> dict[str, int]:
    """The number of each kind of node, by id."""

def op_table() -> list[_OpRow]:
    """The rows of the table of operations with one or two operands."""

def nary_table() -> list[dict[str, str]]:
    """The rows of the table of operations with any number of operands."""

def graph_views() -> dict[str, memoryview[Any]]:
    """Read-only views, without a copy, of the arena's arrays data, operand_a, operand_b and op.

    Valid until the next node is made or dropped.
    """

def layer(neurons: list[Any], x: Iterable[Value | _Real], neuron_type: type) -> list[Value] | None:
    """The outputs of a layer of micrograd neurons for the inputs x, recorded in one go.

    Returns None if some neuron is not exactly a neuron_type with a list w and a b of Values. Raises
    TypeError for an element of x that is no real number. Cost: about 5 ns a node.
    """
