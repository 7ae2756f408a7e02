"""The native module: the arena, its Value, and what they tell about themselves."""

import numbers
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import (
    Any,
    NoReturn,
    Protocol,
    SupportsIndex,
    TypeAlias,
    TypedDict,
    overload,
    type_check_only,
)

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

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
    def __neg__(self) -> Value: ...
    def __pos__(self) -> Value: ...
    def __abs__(self) -> Value: ...
    def __float__(self) -> float: ...
    def __int__(self) -> int: ...
    @overload
    def __round__(self, digits: None = None, /) -> int: ...
    @overload
    def __round__(self, digits: SupportsIndex, /) -> float: ...
    def __format__(self, spec: str, /) -> str: ...
    # By the data; == and hash are those of the object.
    def __lt__(self, other: Value | _Real, /) -> bool: ...
    def __le__(self, other: Value | _Real, /) -> bool: ...
    def __gt__(self, other: Value | _Real, /) -> bool: ...
    def __ge__(self, other: Value | _Real, /) -> bool: ...
    def __hash__(self) -> int: ...
    def relu(self) -> Value:
        """The larger of self and 0; slope 0 at the kink."""

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
        """The square root of self; slope inf at 0. Raises DomainError below 0."""

    def cbrt(self) -> Value:
        """The real cube root of self; slope inf at 0."""

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
        """The magnitude of self; slope 0 at the kink."""

    def sign(self) -> Value:
        """-1, 0 or 1; slope 0 everywhere."""

    def floor(self) -> Value:
        """The largest whole number up to self, as a Value; slope 0 everywhere."""

    def ceil(self) -> Value:
        """The smallest whole number from self on, as a Value; slope 0 everywhere."""

    def erf(self) -> Value:
        """The error function of self."""

    def lgamma(self) -> Value:
        """The logarithm of the magnitude of gamma of self. Raises DomainError at its poles."""

    def power(self, other: Value | _Real, /) -> Value:
        """Self ** other as one node, where other may be a Value. Raises what ** raises."""

    def maximum(self, other: Value | _Real, /) -> Value:
        """The larger of self and other; a tie gives each half of the gradient."""

    def minimum(self, other: Value | _Real, /) -> Value:
        """The smaller of self and other; a tie gives each half of the gradient."""

    def hypot(self, other: Value | _Real, /) -> Value:
        """The root of the sum of both squares; slope 0 at (0, 0)."""

    def arctan2(self, other: Value | _Real, /) -> Value:
        """The angle of the point (other, self), in radians; slope 0 at (0, 0)."""

    def leaky_relu(self, slope: _Real = 0.01, /) -> Value:
        """Self above 0, slope * self elsewhere; at the kink the slope is that below."""

    def elu(self, alpha: _Real = 1.0, /) -> Value:
        """Self above 0, alpha * (exp(self) - 1) elsewhere; at the kink the slope is alpha."""

    def detach(self) -> Value:
        """A new leaf with the same data."""

    def backward(self) -> None:
        """Set self.grad to 1 and add d(self)/d(node) to the grad of every node below.

        Primals are read as they are now; an assigned `_backward` is called at its node's turn.
        Raises what ** raises where a slope has no real value, before any grad changes. Cost: 2 to
        4 ns a node.
        """

    def _repr_svg_(self) -> str:
        """A small picture of the graph below self as SVG text: what a notebook shows."""

    def __getattr__(self, name: str, /) -> Any: ...
    def __setattr__(self, name: str, value: Any, /) -> None: ...
    def __delattr__(self, name: str, /) -> None: ...
    def __reduce_ex__(self, protocol: Any, /) -> NoReturn:
        """Raise TypeError: a Value can be neither pickled nor copied."""

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

@type_check_only
class _Function(Protocol):
    """A Value for a Value, a float for a real number; see the method of the same name."""

    @overload
    def __call__(self, x: Value, /) -> Value: ...
    @overload
    def __call__(self, x: _Real, /) -> float: ...

@type_check_only
class _Function2(Protocol):
    """A Value if an argument is one, a float for real numbers; see the method of that name."""

    @overload
    def __call__(self, x: Value, y: Value | _Real, /) -> Value: ...
    @overload
    def __call__(self, x: _Real, y: Value, /) -> Value: ...
    @overload
    def __call__(self, x: _Real, y: _Real, /) -> float: ...

@type_check_only
class _Parametric(Protocol):
    """A Value for a Value, a float for a real number; see the method of the same name."""

    @overload
    def __call__(self, x: Value, constant: _Real = ..., /) -> Value: ...
    @overload
    def __call__(self, x: _Real, constant: _Real = ..., /) -> float: ...

power: _Function2
maximum: _Function2
minimum: _Function2
hypot: _Function2
arctan2: _Function2
leaky_relu: _Parametric
elu: _Parametric
relu: _Function
exp: _Function
exp2: _Function
expm1: _Function
log: _Function
log2: _Function
log10: _Function
log1p: _Function
sqrt: _Function
cbrt: _Function
square: _Function
reciprocal: _Function
sin: _Function
cos: _Function
tan: _Function
arcsin: _Function
arccos: _Function
arctan: _Function
sinh: _Function
cosh: _Function
tanh: _Function
arcsinh: _Function
arccosh: _Function
arctanh: _Function
sigmoid: _Function
softplus: _Function
silu: _Function
gelu: _Function
abs: _Function
sign: _Function
floor: _Function
ceil: _Function
erf: _Function
lgamma: _Function

# What is a Value if an operand is one, else a float, can be told apart at run time only.
_Operands: TypeAlias = Iterable[Any]

def sum(xs: _Operands, start: Value | _Real = 0.0) -> Any:
    """Start + xs[0] + xs[1] + ..., left to right, as one node.

    As all functions of this kind it takes a list, tuple or one-dimensional array of Values and
    numbers, and gives a Value if one of them is, else a float. Numbers become leaves. Raises
    TypeError for an element that is neither, before anything is recorded. Cost: about 3 ns an
    operand, and as much again in the sweep.
    """

def mean(xs: _Operands) -> Any:
    """sum(xs) / len(xs), as one node. Raises ValueError for an empty xs, else as sum does."""

def prod(xs: _Operands) -> Any:
    """The product of xs, left to right, as one node; 1 if xs is empty. Raises as sum does."""

def dot(ws: _Operands, xs: _Operands, start: Value | _Real = 0.0) -> Any:
    """Start + ws[0]*xs[0] + ws[1]*xs[1] + ..., left to right, as one node.

    Raises ValueError unless ws and xs are equally long, else as sum does.
    """

def norm(xs: _Operands) -> Any:
    """The root of the sum of the squares of xs, as one node; slope 0 where all are 0.

    Neither overflows nor underflows unless the result does. Raises as sum does.
    """

def logsumexp(xs: _Operands) -> Any:
    """log(exp(xs[0]) + exp(xs[1]) + ...) without overflow, as one node.

    Raises ValueError for an empty xs, else as sum does.
    """

def softmax(xs: _Operands) -> Any:
    """exp(x - largest) over the sum of them all for each x of xs: one node each.

    A list, or an array if xs is one. Raises as sum does. Cost: linear, in the sweep too, since the
    results share their list of operands.
    """

def log_softmax(xs: _Operands) -> Any:
    """The logarithms of softmax(xs), without overflow and exact near 0: one node each.

    A list, or an array if xs is one. Raises as sum does.
    """

def where(condition: Any, x: Any, y: Any) -> Any:
    """X if condition is true (a Value: if it is not 0), else y, as one node.

    The one that is not chosen gets no gradient, not even a nan. Lists and arrays are taken element
    by element, broadcast as NumPy does. Raises TypeError for what is no Value or number.
    """

def linear(weights: Iterable[_Operands], x: _Operands, biases: _Operands | None = None) -> Any:
    """biases[k] + dot(weights[k], x) for each row k of weights: one node each.

    A list, or an array if x is one. Raises ValueError if a row and x, or biases and the rows, are
    not equally many, else as sum does.
    """

def no_grad_step(step: int) -> None:
    """Enter (+1) or leave (-1) a block of this thread in which operations record no graph."""

def zero_grad(roots: Value | Iterable[Value]) -> None:
    """Set the grad of every node below the roots to 0, the roots included.

    Parameters are roots too: a leaf has nothing below. Raises TypeError for what is no Value,
    before any grad changes. Cost: 2 to 4 ns a node.
    """

def values(array: Any) -> np.ndarray[Any, Any]:
    """An object array of new leaves, of the shape of array.

    array is an array, a number or nested lists of numbers. Raises TypeError for what is no real
    number, ValueError for lists of unequal lengths. Cost: about 30 ns a number.
    """

def data_of(nested: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The data of Values in nested lists, tuples and arrays, as a float array of their shape.

    Numbers among them stand for themselves. Raises TypeError for anything else, ValueError for
    lists of unequal lengths. Cost: about 15 ns a Value.
    """

def grad_of(nested: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The grad of Values in nested lists, tuples and arrays, as a float array; 0 for numbers.

    Raises as data_of does. Cost: about 15 ns a Value.
    """

def assign(nested: Any, array: Any) -> None:
    """Write numbers into the data of Values: both nested or arrays, of the same shape.

    Raises ValueError for other shapes, TypeError for what is no Value or no number; nothing has
    changed then. Cost: about 30 ns a Value.
    """

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

class Parameters:
    """The Values that an optimiser trains."""

    def __init__(self, params: Iterable[Value]) -> None:
        """Keep the Values of an iterable.

        Raises TypeError for what is no Value, ValueError if there are none or one comes twice.
        """

    @property
    def values(self) -> tuple[Value, ...]:
        """The Values, in the order in which they were given."""

    def __len__(self) -> int: ...

_State: TypeAlias = npt.NDArray[np.float64]

def optimizer_state(count: int) -> _State:
    """A NumPy array of so many zeros: a number to be kept with each parameter."""

def copy_of_state(source: _State, count: int, name: str) -> _State:
    """A copy of an array of state.

    Raises TypeError unless it is a NumPy array of float64, ValueError unless it has one dimension
    and so many numbers; name is for the message.
    """

def zero_parameters(parameters: Parameters) -> None:
    """Set the grad of every parameter to 0. Cost: about 1 ns each."""

# In the steps the arrays of state are changed in place and hold one number for each parameter; the
# rest is as in arenagrad.optim. They raise TypeError and ValueError for what is of another kind or
# size, before anything changes.

def sgd_step(
    parameters: Parameters,
    velocity: _State,
    lr: _Real,
    momentum: _Real,
    dampening: _Real,
    weight_decay: _Real,
    nesterov: bool,
    first: bool,
) -> None:
    """Take one step of SGD; first says that velocity is not yet one."""

def adam_step(
    parameters: Parameters,
    mean: _State,
    square: _State,
    lr: _Real,
    beta1: _Real,
    beta2: _Real,
    eps: _Real,
    weight_decay: _Real,
    decoupled: bool,
    steps: int,
) -> None:
    """Take one step of Adam, or of AdamW if decoupled; steps counts this one."""

def rmsprop_step(
    parameters: Parameters,
    square: _State,
    mean: _State,
    velocity: _State,
    lr: _Real,
    alpha: _Real,
    eps: _Real,
    weight_decay: _Real,
    momentum: _Real,
    centered: bool,
) -> None:
    """Take one step of RMSprop."""
