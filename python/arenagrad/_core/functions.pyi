"""The functions of Values and numbers: those of one, two and any number of operands.

`arenagrad.functions` and `arenagrad` give them on: this stub and the tables in the sources are the
only lists of them.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol, TypeAlias, overload, type_check_only

import numpy as np

from arenagrad._core import Value, _Real
from arenagrad.arrays import ValueArray

__all__: tuple[str, ...] = (
    "abs",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "assign",
    "betainc",
    "cbrt",
    "ceil",
    "clip",
    "cos",
    "cosh",
    "cumsum",
    "data_of",
    "digamma",
    "dot",
    "elu",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "floor_divide",
    "fmod",
    "gammainc",
    "gelu",
    "grad_of",
    "hardtanh",
    "hypot",
    "interp",
    "leaky_relu",
    "lgamma",
    "linear",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_norm_cdf",
    "log_sigmoid",
    "log_softmax",
    "logaddexp",
    "logsumexp",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mod",
    "norm",
    "norm_cdf",
    "norm_ppf",
    "polygamma",
    "power",
    "prod",
    "reciprocal",
    "relu",
    "remainder",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinh",
    "softmax",
    "softplus",
    "softsign",
    "sqrt",
    "square",
    "std",
    "sum",
    "take",
    "tan",
    "tanh",
    "values",
    "var",
    "where",
    "zero_grad",
)

# Nested lists and arrays, which are taken element by element.
_Many: TypeAlias = Sequence[Any] | np.ndarray[Any, Any]

@type_check_only
class _Function(Protocol):
    """A Value for a Value, a float for a real number; see the method of the same name."""

    @overload
    def __call__(self, x: Value, /) -> Value: ...
    @overload
    def __call__(self, x: _Real, /) -> float: ...
    @overload
    def __call__(self, x: _Many, /) -> Any: ...

@type_check_only
class _Function2(Protocol):
    """A Value if an argument is one, a float for real numbers; see the method of that name."""

    @overload
    def __call__(self, x: Value, y: Value | _Real, /) -> Value: ...
    @overload
    def __call__(self, x: _Real, y: Value, /) -> Value: ...
    @overload
    def __call__(self, x: _Real, y: _Real, /) -> float: ...
    @overload
    def __call__(self, x: _Many, y: _Many | Value | _Real, /) -> Any: ...
    @overload
    def __call__(self, x: Value | _Real, y: _Many, /) -> Any: ...

@type_check_only
class _Parametric(Protocol):
    """A Value for a Value, a float for a real number; see the method of the same name."""

    @overload
    def __call__(self, x: Value, constant: _Real = ..., /) -> Value: ...
    @overload
    def __call__(self, x: _Real, constant: _Real = ..., /) -> float: ...
    @overload
    def __call__(self, x: _Many, constant: _Many | _Real = ..., /) -> Any: ...

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
remainder: _Function2
mod: _Function2
floor_divide: _Function2
fmod: _Function2
logaddexp: _Function2
log_sigmoid: _Function
softsign: _Function
hardtanh: _Function
erfc: _Function
norm_cdf: _Function
log_norm_cdf: _Function
digamma: _Function
erfinv: _Function
norm_ppf: _Function

# A result is a Value if an operand is one, else a float. Of mixed lists only the run knows.
_Operands: TypeAlias = Iterable[Any]

@overload
def sum(xs: Iterable[Value], start: Value | _Real = 0.0) -> Value: ...
@overload
def sum(xs: Iterable[_Real], start: _Real = 0.0) -> float: ...
@overload
def sum(xs: _Operands, start: Value | _Real = 0.0) -> Any:
    """The sum start + xs[0] + xs[1] + ..., left to right, as one node.

    Args:
        xs: a list, tuple or one-dimensional array of Values and numbers; numbers become leaves.
        start: a Value or number that comes first.

    Returns:
        A Value if an operand is one, else a float.

    Raises:
        TypeError: an element is neither a Value nor a real number. Nothing has been recorded then.

    Cost: about 3 ns an operand, and as much again in the sweep.
    """

@overload
def mean(xs: Iterable[Value]) -> Value: ...
@overload
def mean(xs: Iterable[_Real]) -> float: ...
@overload
def mean(xs: _Operands) -> Any:
    """sum(xs) / len(xs), as one node.

    Args:
        xs: as for sum().

    Returns:
        A Value if an operand is one, else a float.

    Raises:
        ValueError: xs is empty.
        TypeError: as sum() does.
    """

@overload
def prod(xs: Iterable[Value]) -> Value: ...
@overload
def prod(xs: Iterable[_Real]) -> float: ...
@overload
def prod(xs: _Operands) -> Any:
    """The product of xs, left to right, as one node; 1 if xs is empty.

    Args:
        xs: as for sum().

    Returns:
        A Value if an operand is one, else a float.

    Raises:
        TypeError: as sum() does.
    """

@overload
def dot(ws: Iterable[Value], xs: _Operands, start: Value | _Real = 0.0) -> Value: ...
@overload
def dot(ws: Iterable[_Real], xs: Iterable[Value], start: Value | _Real = 0.0) -> Value: ...
@overload
def dot(ws: Iterable[_Real], xs: Iterable[_Real], start: _Real = 0.0) -> float: ...
@overload
def dot(ws: _Operands, xs: _Operands, start: Value | _Real = 0.0) -> Any:
    """The sum start + ws[0]*xs[0] + ws[1]*xs[1] + ..., left to right, as one node.

    Args:
        ws: as for sum().
        xs: as many operands.
        start: a Value or number that comes first.

    Returns:
        A Value if an operand is one, else a float.

    Raises:
        ValueError: ws and xs are not equally long.
        TypeError: as sum() does.
    """

@overload
def norm(xs: Iterable[Value]) -> Value: ...
@overload
def norm(xs: Iterable[_Real]) -> float: ...
@overload
def norm(xs: _Operands) -> Any:
    """The root of the sum of the squares of xs, as one node; partial 0 where all are 0.

    It neither overflows nor underflows unless the result does.

    Args:
        xs: as for sum().

    Returns:
        A Value if an operand is one, else a float.

    Raises:
        TypeError: as sum() does.
    """

@overload
def logsumexp(xs: Iterable[Value]) -> Value: ...
@overload
def logsumexp(xs: Iterable[_Real]) -> float: ...
@overload
def logsumexp(xs: _Operands) -> Any:
    """log(exp(xs[0]) + exp(xs[1]) + ...) without overflow, as one node.

    Args:
        xs: as for sum().

    Returns:
        A Value if an operand is one, else a float.

    Raises:
        ValueError: xs is empty.
        TypeError: as sum() does.
    """

def softmax(xs: _Operands) -> Any:
    """exp(x - largest) divided by the sum of all of these, for each x of xs: one node each.

    Linear, in the sweep too, since the results share their list of operands.

    Args:
        xs: as for sum().

    Returns:
        A list, or an array if xs is one.

    Raises:
        TypeError: as sum() does.
    """

def log_softmax(xs: _Operands) -> Any:
    """The logarithms of softmax(xs), without overflow and exact near 0: one node each.

    Args:
        xs: as for sum().

    Returns:
        A list, or an array if xs is one.

    Raises:
        TypeError: as sum() does.
    """

@overload
def max(xs: Iterable[Value]) -> Value: ...
@overload
def max(xs: Iterable[_Real]) -> float: ...
@overload
def max(xs: _Operands) -> Any:
    """The largest of xs, as one node; those that tie share the gradient equally.

    Args:
        xs: as for sum().

    Returns:
        A Value if an operand is one, else a float.

    Raises:
        ValueError: xs is empty.
        TypeError: as sum() does.
    """

@overload
def min(xs: Iterable[Value]) -> Value: ...
@overload
def min(xs: Iterable[_Real]) -> float: ...
@overload
def min(xs: _Operands) -> Any:
    """The smallest of xs, as one node; those that tie share the gradient equally.

    Args:
        xs: as for sum().

    Returns:
        A Value if an operand is one, else a float.

    Raises:
        ValueError: xs is empty.
        TypeError: as sum() does.
    """

@overload
def var(xs: Iterable[Value], ddof: _Real = 0) -> Value: ...
@overload
def var(xs: Iterable[_Real], ddof: _Real = 0) -> float: ...
@overload
def var(xs: _Operands, ddof: _Real = 0) -> Any:
    """The variance of xs: the mean of the squared distances from their mean, as one node.

    Args:
        xs: as for sum().
        ddof: taken off the number of xs by which the sum of squares is divided, as in NumPy.

    Returns:
        A Value if an operand is one, else a float.

    Raises:
        ValueError: there are not more xs than ddof.
        TypeError: as sum() does.
    """

@overload
def std(xs: Iterable[Value], ddof: _Real = 0) -> Value: ...
@overload
def std(xs: Iterable[_Real], ddof: _Real = 0) -> float: ...
@overload
def std(xs: _Operands, ddof: _Real = 0) -> Any:
    """The root of var(xs, ddof), as one node; partial 0 where all xs are the same.

    Args:
        xs: as for sum().
        ddof: as for var().

    Returns:
        A Value if an operand is one, else a float.

    Raises:
        ValueError: as var() does.
        TypeError: as sum() does.
    """

def interp(
    x: Any,
    xp: _Operands,
    fp: _Operands,
    left: Value | _Real | None = None,
    right: Value | _Real | None = None,
) -> Any:
    """The height at x of the lines that join the points (xp[k], fp[k]), as one node.

    Between two points the gradient goes to x, to both points and to their heights; at a point it is
    that of the line to its right.

    Args:
        x: a Value or number; or a list or array of such, taken element by element.
        xp: the points, of which each is above the one before: Values and numbers.
        fp: as many heights.
        left: the result below xp[0]; fp[0] if it is left out.
        right: the result above xp[-1]; fp[-1] if it is left out.

    Returns:
        A Value if an operand is one, else a float; a list or an array for a list or an array x.

    Raises:
        ValueError: xp and fp are empty or not equally many.
        TypeError: as sum() does.

    Cost: about 6 ns a point.
    """

def polygamma(n: Any, x: Any) -> Any:
    """The derivative of order n of digamma at x, as one node.

    Args:
        n: a whole number from 0, which is digamma itself, to 170; or a list or array of such.
        x: a Value or number; or a list or array of such, taken element by element.

    Returns:
        A Value if x is one, else a float; an array if an operand is one, a list if one is a list.

    Raises:
        ValueError: n is not one of these numbers.
        DomainError: x is 0, -1, -2, ...
        TypeError: n is a Value, or an operand is neither a Value nor a real number.
    """

def gammainc(a: Any, x: Any) -> Any:
    """The regularised lower incomplete gamma function of the shape a at x, as one node: SciPy's.

    It has derivatives by x of every order. No library has those by a, so that a sweep which asks
    for them raises; a number, or what stop_gradient() gave, is a shape that is not asked.

    Args:
        a: the shape, not below 0: a Value or number; or a list or array of such, as x may be.
        x: not below 0, taken element by element.

    Returns:
        A Value if an operand is one, else a float; an array if an operand is one, else a list if
        one is a list.

    Raises:
        DomainError: a or x is below 0, or both are 0.
        ImportError: SciPy is not installed.
        TypeError: an operand is neither a Value nor a real number.
    """

def betainc(a: Any, b: Any, x: Any) -> Any:
    """The regularised incomplete beta function of the shapes a and b at x, as one node: SciPy's.

    It has derivatives by x of every order. No library has those by a and b, so that a sweep which
    asks for them raises; numbers, or what stop_gradient() gave, are shapes that are not asked.

    Args:
        a: a shape, not below 0: a Value or number; or a list or array of such, as b and x may be.
        b: the other shape.
        x: from 0 to 1, taken element by element.

    Returns:
        A Value if an operand is one, else a float; an array if an operand is one, else a list if
        one is a list.

    Raises:
        DomainError: a or b is below 0, or x is not from 0 to 1.
        ImportError: SciPy is not installed.
        TypeError: an operand is neither a Value nor a real number.
    """

def cumsum(xs: _Operands) -> Any:
    """The sums xs[0], xs[0] + xs[1], ...: one node each but the first, which is xs[0] itself.

    Args:
        xs: as for sum().

    Returns:
        A list, or an array if xs is one.

    Raises:
        TypeError: as sum() does.
    """

@overload
def clip(
    a: Value, a_min: Value | _Real | None = None, a_max: Value | _Real | None = None
) -> Value: ...
@overload
def clip(a: _Real, a_min: _Real | None = None, a_max: _Real | None = None) -> float: ...
@overload
def clip(a: Any, a_min: Any = None, a_max: Any = None) -> Any:
    """The number a, or the bound beyond which it is: minimum(maximum(a, a_min), a_max).

    At a bound, a and the bound get half of the gradient each; beyond it the bound gets all.

    Args:
        a: a Value or number; or a list or array of such, as the bounds may be.
        a_min: the least result, or None for no such bound.
        a_max: the largest result, or None. Where a_min is above it, the result is a_max.

    Returns:
        A Value if an operand is one, else a float. Lists and arrays are taken element by element,
        broadcast as NumPy does; the result is then an array, or a list if all of them are lists.

    Raises:
        TypeError: an operand is neither a Value nor a real number.
    """

def where(condition: Any, x: Any, y: Any) -> Any:
    """The operand x if condition is true (a Value: if it is not 0), else y, as one node.

    The operand that is not chosen gets no gradient, not even a nan.

    Args:
        condition: a Value, number or bool; or a list or array of such, as x and y may be.
        x: the result where the condition is true.
        y: the result elsewhere.

    Returns:
        A Value if an operand is one, else a float. Lists and arrays are taken element by element,
        broadcast as NumPy does; the result is then an array, or a list if all of them are lists.

    Raises:
        TypeError: an operand is neither a Value nor a real number.
    """

def take(values: Any, index: Any) -> Any:
    """values[index], where the index may be a Value that holds a whole number.

    With such an index it is one node, which gives its gradient to the value that was chosen; in a
    compiled function the index may then differ from call to call.

    Args:
        values: a list, tuple or array of Values and numbers, or of rows of such.
        index: a whole number from 0 to len(values) - 1, or a Value that holds one.

    Returns:
        The very element for a number as index, a Value for a Value; of rows, a row.

    Raises:
        IndexError: the index is no whole number or too large or too small.
        ValueError: rows are of unequal lengths.
        TypeError: an element is neither a Value nor a real number.

    Cost: about 3 ns a value.
    """

def linear(weights: Iterable[_Operands], x: _Operands, biases: _Operands | None = None) -> Any:
    """biases[k] + dot(weights[k], x) for each row k of weights: one node each.

    Args:
        weights: rows of operands, each as for sum().
        x: as many operands as each row has.
        biases: an operand for each row, or None for no biases.

    Returns:
        A list, or an array if x is one.

    Raises:
        ValueError: a row and x, or biases and the rows, are not equally many.
        TypeError: as sum() does.
    """

def zero_grad(roots: Value | Iterable[Value]) -> None:
    """Set the grad of every node below the roots to 0, the roots included.

    Parameters are roots too: a leaf has nothing below.

    Args:
        roots: a Value, or several.

    Raises:
        TypeError: a root is no Value. No grad has changed then.

    Cost: 2 to 4 ns a node.
    """

def values(array: Any) -> ValueArray:
    """An object array of new leaves, of the shape of array.

    Args:
        array: an array, a number, or nested lists of numbers.

    Returns:
        An array of dtype object with a Value for each number.

    Raises:
        TypeError: an element is no real number.
        ValueError: lists at one depth are of unequal lengths.

    Cost: about 30 ns a number.
    """

def data_of(nested: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The data of Values in nested lists, tuples and arrays, as a float array of their shape.

    Args:
        nested: Values, and numbers, which stand for themselves.

    Returns:
        A NumPy array of float64.

    Raises:
        TypeError: an element is neither a Value nor a real number.
        ValueError: lists at one depth are of unequal lengths.

    Cost: about 15 ns a Value.
    """

def grad_of(nested: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The grad of Values in nested lists, tuples and arrays, as a float array of their shape.

    Args:
        nested: Values, and numbers, whose grad is 0.

    Returns:
        A NumPy array of float64.

    Raises:
        TypeError: an element is neither a Value nor a real number.
        ValueError: lists at one depth are of unequal lengths.

    Cost: about 15 ns a Value.
    """

def assign(nested: Any, array: Any, to: Literal["data", "grad"] = "data") -> None:
    """Write numbers into the data of Values, or into their grad.

    Args:
        nested: Values in nested lists, tuples or arrays.
        array: numbers in the same shape, nested or an array.
        to: "data" or "grad".

    Raises:
        ValueError: the shapes differ, or to is something else. Nothing has changed then.
        TypeError: what is written to is no Value, or what is written no number; as above.

    Cost: 2 ns a Value for a list and an array of float64, else about 30 ns.
    """
