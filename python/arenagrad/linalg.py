"""Linear algebra on arrays of Values: NumPy's names, shapes and errors.

    x = linalg.solve(a, b)
    norm(x).backward()

Matrices and vectors are arrays or nested lists of Values and numbers, of NumPy's shapes. If one
element is a Value the results are Values, arrays of them, with derivatives of any order, in graphs
and in compiled functions; else NumPy computes, and the results are floats. Numbers are real.

A call on a matrix of more than 16 rows is one node with a node for each result, in a compiled
function one instruction or two, computed by LAPACK, whose C functions SciPy exports (extra
`linalg`). Its derivatives are such calls too and find no factor anew. Without SciPy plain loops
compute up to 128 rows; beyond, ImportError says what to install. A matrix that is singular, or not
positive definite, is an error like that of `log(0)`, and a decision only where the function catches
it; `det` decides always.

Of up to 16 rows the arithmetic is written out, a `dot` for each element. Then an elimination
chooses its pivots as LAPACK does, the first of the largest in a column, and the choice is a
decision: a compiled function keeps a variant for each sequence of pivots that it meets, and each
row of a batch takes its own. `cholesky` and `solve_triangular` have no choices.

One matrix at a time; stacks of numbers alone are NumPy's. `np.linalg.solve` and its kin come here
for arrays of Values that arenagrad hands out (`arenagrad.ValueArray`).
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.linalg import LinAlgError

from arenagrad import functions
from arenagrad._core.compiled import record_matrices
from arenagrad.engine import Value

__all__ = ["SlogdetResult", "cholesky", "det", "inv", "slogdet", "solve", "solve_triangular"]

Number: TypeAlias = Value | float
Array: TypeAlias = np.ndarray[Any, Any]

_MOST_UNROLLED = 16  # beyond, LAPACK is faster at a point
_MOST_EXPANDED = 4
_SMALLEST_NORMAL = 2.2250738585072014e-308
_ValueArray = type(functions.values([]))  # whose module imports this one
_SCALE = 2.0**256  # brings a subnormal number to where its reciprocal is finite


class SlogdetResult(NamedTuple):
    """The sign of a determinant and the logarithm of its absolute value."""

    sign: Any
    logabsdet: Any


def solve(a: Any, b: Any) -> Array:
    """The x with a @ x = b, by elimination with partial pivoting.

    Derivatives are those of the elimination, which are those of `inv(a) @ b`. A compiled function
    has a variant for each sequence of pivots.

    >>> data_of(solve([[Value(2.0), 1.0], [1.0, 3.0]], [3.0, 4.0]))
    array([1., 1.])

    Args:
        a: n by n numbers.
        b: n numbers, or n rows of as many as there are systems.

    Returns:
        An array of the shape of b.

    Raises:
        LinAlgError: if a is not square, or a pivot is exactly 0.
        ValueError: for another shape of b, or a stack with a Value in it.
        TypeError: for an element that is no real number.

    Cost:
        n**3 / 3 multiplications, and n**2 for each system; up to 16 rows n**2 * 3 / 2 nodes for a
        and 2 n for each system, else n for each and their operands.

    Source:
        Golub and Van Loan, Matrix Computations, 4th edition, sections 3.2 and 3.4.
    """
    matrix, right = _array(a, "a"), _array(b, "b")
    if not _any_values(matrix, right):
        return np.linalg.solve(matrix, right)
    rows = _square(matrix)
    if len(rows) > _MOST_UNROLLED:
        _check_rows(right, len(rows))
        return _solved(matrix, right)
    return _by_columns(right, len(rows), _Elimination(rows).solve)


def inv(a: Any) -> Array:
    """The inverse of a, solved for the columns of the identity.

    >>> data_of(inv([[Value(2.0), 0.0], [0.0, 4.0]]))
    array([[0.5 , 0.  ],
           [0.  , 0.25]])

    Args:
        a: n by n numbers.

    Returns:
        An n by n array.

    Raises:
        LinAlgError: if a is not square, or a pivot is exactly 0.
        ValueError: for or a stack with a Value in it.
        TypeError: for an element that is no real number.

    Cost:
        n**3 multiplications; up to 16 rows 4 n**2 nodes, else n**2. `solve` is cheaper where the
        inverse is only a factor.
    """
    matrix = _array(a, "a")
    if not _any_values(matrix):
        return np.linalg.inv(matrix)
    rows = _square(matrix)
    if len(rows) > _MOST_UNROLLED:
        return _reshaped(_one_call("inv", matrix, len(rows)), matrix.shape)
    return _by_columns(np.eye(len(rows)), len(rows), _Elimination(rows).solve)


def det(a: Any) -> Any:
    """The determinant of a, the product of the pivots.

    It is 0 if a pivot is exactly 0, and has its derivatives there too (those of first order are the
    cofactors), up to order 4 where the rank is less than n by more than 4. The product may leave
    the range of floats where `slogdet` does not.

    >>> det([[Value(1.0), 2.0], [3.0, 4.0]]).data
    -2.0

    Args:
        a: n by n numbers.

    Returns:
        A Value, or a float if no element is a Value.

    Raises:
        LinAlgError: if a is not square.
        ValueError: for or a stack with a Value in it.
        TypeError: for an element that is no real number.

    Cost:
        n**3 / 3 multiplications; up to 16 rows n**2 * 3 / 2 nodes, else one.

    Source:
        Giles, Collected matrix derivative results for forward and reverse mode algorithmic
        differentiation, 2008, section 2.2.4, has the derivatives.
    """
    matrix = _array(a, "a")
    if not _any_values(matrix):
        return _float_if_one(np.linalg.det(matrix))
    rows = _square(matrix)
    if len(rows) > _MOST_UNROLLED:
        found = record_matrices("det", len(rows), 1, False, True, matrix.ravel().tolist())
        if found is not None:
            return found[0]
    return _value(_Elimination(rows, singular=True).determinant())


def slogdet(a: Any) -> SlogdetResult:
    """The sign of the determinant of a, and the logarithm of its absolute value.

    They are (0, -inf) if a pivot is exactly 0, where the logarithm has no finite derivatives.

    >>> sign, logarithm = slogdet([[Value(0.0), 1.0], [1.0, 0.0]])
    >>> sign.data, logarithm.data
    (-1.0, 0.0)

    Args:
        a: n by n numbers.

    Returns:
        The named tuple (sign, logabsdet), of Values, or floats if no element is a Value.

    Raises:
        LinAlgError: if a is not square.
        ValueError: for or a stack with a Value in it.
        TypeError: for an element that is no real number.

    Cost:
        n**3 / 3 multiplications; up to 16 rows n**2 * 3 / 2 nodes, else two.
    """
    matrix = _array(a, "a")
    if not _any_values(matrix):
        sign, logarithm = np.linalg.slogdet(matrix)
        return SlogdetResult(_float_if_one(sign), _float_if_one(logarithm))
    rows = _square(matrix)
    if len(rows) > _MOST_UNROLLED:
        return SlogdetResult(*_one_call("slogdet", matrix, len(rows)))
    elimination = _Elimination(rows, singular=True)
    if elimination.left_over:
        # The cube root has an infinite partial at 0, as the logarithm would have.
        edge = functions.cbrt(elimination.determinant())
        return SlogdetResult(Value(0.0), _value(edge + float("-inf")))
    pivots = elimination.pivots()
    signs = functions.prod([functions.sign(pivot) for pivot in pivots])
    logarithm = functions.sum([functions.log(functions.abs(pivot)) for pivot in pivots])
    return SlogdetResult(_value(-signs if elimination.odd else signs), _value(logarithm))


def cholesky(a: Any, /, *, upper: bool = False) -> Array:
    """The lower triangular L with positive diagonal and L @ L.T = a.

    Only the lower triangle of a is read, as NumPy does, so derivatives are by its elements.

    >>> data_of(cholesky([[Value(4.0), 2.0], [2.0, 5.0]]))
    array([[2., 0.],
           [1., 2.]])

    Args:
        a: n by n numbers, symmetric and positive definite.
        upper: reads the upper triangle, and gives L.T instead.

    Returns:
        An n by n array.

    Raises:
        LinAlgError: if a is not square, or not positive definite.
        ValueError: for or a stack with a Value in it.
        TypeError: for an element that is no real number.

    Cost:
        n**3 / 6 multiplications, n**2 nodes (half of it beyond 16 rows), n**2 / 2 leaves of 0.

    Source:
        Golub and Van Loan, Matrix Computations, 4th edition, section 4.2; Murray, Differentiation
        of the Cholesky decomposition, 2016.
    """
    matrix = _array(a, "a")
    if upper:
        if matrix.ndim < 2:
            raise LinAlgError(_too_few_axes(matrix))
        return cholesky(np.swapaxes(matrix, -1, -2)).swapaxes(-1, -2)
    if not _any_values(matrix):
        return np.linalg.cholesky(matrix)
    rows = _square(matrix)
    if len(rows) > _MOST_UNROLLED:
        return _factored(matrix)
    rows = _cholesky(rows)
    return _object_array([[*row, *[0.0] * (len(rows) - len(row))] for row in rows])


def solve_triangular(
    a: Any,
    b: Any,
    trans: Literal[0, 1, 2, "N", "T", "C"] = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
) -> Array:
    """The x with a @ x = b for a triangular a, as scipy.linalg.solve_triangular.

    The other triangle of a is not read, nor the diagonal if that is said to be of ones.

    >>> data_of(solve_triangular([[Value(2.0), 1.0], [0.0, 4.0]], [4.0, 8.0]))
    array([1., 2.])

    Args:
        a: n by n numbers.
        b: n numbers, or n rows of as many as there are systems.
        trans: solves a.T @ x = b if 1, 2, "T" or "C".
        lower: a is lower triangular, else upper.
        unit_diagonal: the diagonal is taken for ones.

    Returns:
        An array of the shape of b.

    Raises:
        LinAlgError: if a is not square, or an element of the diagonal is exactly 0.
        ValueError: for another shape of b, a stack with a Value in it, or another trans.
        TypeError: for an element that is no real number.

    Cost:
        n**2 / 2 multiplications and 2 n nodes for each system, beyond 16 rows n.
    """
    if trans not in (0, 1, 2, "N", "T", "C"):
        raise ValueError(f"trans must be 0, 1, 2, 'N', 'T' or 'C', got {trans!r}")
    matrix, right = _array(a, "a"), _array(b, "b")
    only_floats = not _any_values(matrix, right)
    rows = _square(matrix)
    if not only_floats and len(rows) > _MOST_UNROLLED:
        return _solved_triangular(matrix, right, trans not in (0, "N"), lower, unit_diagonal)
    if trans not in (0, "N"):
        rows = [list(column) for column in zip(*rows, strict=True)]
        lower = not lower
    step = 1 if lower else -1
    rows = [row[::step] for row in rows[::step]]  # lower triangular, in the order of the unknowns
    diagonal = [1.0 if unit_diagonal else row[i] for i, row in enumerate(rows)]
    sizes = [functions.abs(number) for number in diagonal]
    for i, size in enumerate(sizes):
        if size < _SMALLEST_NORMAL and size == 0.0:
            at = i if lower else len(rows) - 1 - i
            raise _singular_at(at)
    if only_floats:
        _check_rows(right, len(rows))
        triangle = np.tril(np.reshape(rows, matrix.shape), -1) + np.diag(diagonal)
        # Upper triangular, the elimination has nothing to eliminate and no choice of pivots.
        return np.linalg.solve(triangle[::-1, ::-1], right[::step][::-1])[::-1][::step]
    divisors = [_Divisor(*both) for both in zip(diagonal, sizes, strict=True)]
    return _by_columns(
        right, len(rows), lambda column: _substituted(rows, divisors, column[::step])[::step]
    )


def _one_call(name: str, matrix: Array, n: int, columns: int = 1) -> list[Value]:
    """The results of a call that is one node, or one instruction, for matrices of n rows."""
    found = record_matrices(name, n, columns, False, False, matrix.ravel().tolist())
    if found is None:
        definite = name == "cholesky"
        raise LinAlgError("Matrix is not positive definite" if definite else "Singular matrix")
    return found


def _solved(matrix: Array, right: Array) -> Array:
    columns = right.reshape(len(matrix), -1)
    if columns.shape[1] == 0:  # a singular matrix is refused for no right side, too
        _one_call("inv", matrix, len(matrix))
        return right
    both = np.concatenate([matrix.ravel(), columns.ravel()])
    return _reshaped(_one_call("solve", both, len(matrix), columns.shape[1]), right.shape)


def _factored(matrix: Array) -> Array:
    n = len(matrix)
    lower = np.tril_indices(n)
    factor = _reshaped([Value(0.0) for _ in range(n * n)], (n, n))
    factor[lower] = _one_call("cholesky", matrix[lower], n)
    return factor


def _solved_triangular(
    matrix: Array, right: Array, transposed: bool, lower: bool, unit_diagonal: bool
) -> Array:
    """The same as an elimination, of a lower triangle or its transpose."""
    n = len(matrix)
    _check_rows(right, n)
    if right.size == 0:
        return right
    triangle = (matrix if lower else matrix.T)[np.tril_indices(n)].astype(object)
    diagonal = np.cumsum(np.arange(1, n + 1)) - 1
    if unit_diagonal:
        triangle[diagonal] = 1.0
    columns = right.reshape(n, -1)
    numbers = [*triangle.tolist(), *columns.ravel().tolist()]
    turned = transposed == lower
    found = record_matrices("solve_triangular", n, columns.shape[1], turned, False, numbers)
    if found is None:
        raise _singular_at(next(i for i, x in enumerate(triangle[diagonal]) if x == 0.0))
    return _reshaped(found, right.shape)


def _singular_at(diagonal: int) -> LinAlgError:
    return LinAlgError(f"singular matrix: resolution failed at diagonal {diagonal}")


class _Divisor:
    """Divides by a number that is not 0: multiplies with its reciprocal, as LAPACK does."""

    def __init__(self, number: Number, size: Number) -> None:
        """Takes the absolute value of the number, or what it is at least, as size."""
        self._scale = _SCALE if size < _SMALLEST_NORMAL else 1.0
        scaled = number if self._scale == 1.0 else number * self._scale
        self._minus_reciprocal = -functions.reciprocal(scaled)

    def minus_quotient(self, number: Number) -> Number:
        """-number / divisor; a zero that is no Value stays one."""
        if _is_zero(number):
            return 0.0
        scaled = number if self._scale == 1.0 else number * self._scale
        return scaled * self._minus_reciprocal


class _Elimination:
    """P a Q = L U by columns, where Q moves columns without a pivot behind the others.

    The rows are in the order of their pivots. `_minus[i]` has the elements of -L left of the
    diagonal in row i, and `_columns[j]` those of U in column j, the pivot last.
    """

    def __init__(self, rows: list[list[Number]], singular: bool = False) -> None:
        """Eliminates. Without `singular`, a column without a pivot raises LinAlgError."""
        self._rows = list(rows)
        self._order = list(range(len(rows)))
        self._minus: list[list[Number]] = [[] for _ in rows]
        self._columns: list[list[Number]] = []
        self._divisors: list[_Divisor] = []
        self.odd = False  # whether P and Q together are an odd permutation
        self.left_over: list[int] = []  # columns without a pivot
        for k in range(len(rows)):
            if not self._eliminate(k):
                if not singular:
                    raise LinAlgError("Singular matrix")
                behind = len(rows) - len(self._columns) - 1
                self.odd ^= behind % 2 == 1
                self.left_over.append(k)

    def _eliminate(self, k: int) -> bool:
        """Takes column k as the next, or says that it has no pivot."""
        column = self._reduced([row[k] for row in self._rows])
        step = len(self._columns)
        sizes = [functions.abs(number) for number in column[step:]]
        largest = functions.max(sizes)
        if largest < _SMALLEST_NORMAL and largest == 0.0:
            return False
        # One decision for each candidate up to the first that is the largest, so that a compiled
        # function has one variant for each choice. If one is nan, so is the largest: no choice.
        p = step + next((i for i, size in enumerate(sizes) if size >= largest), 0)
        if p != step:
            by_rows: tuple[list[Any], ...] = (self._rows, self._order, self._minus, column)
            for items in by_rows:
                items[step], items[p] = items[p], items[step]
            self.odd = not self.odd
        divisor = _Divisor(column[step], largest)
        for i in range(step + 1, len(column)):
            self._minus[i].append(divisor.minus_quotient(column[i]))
        self._columns.append(column[: step + 1])
        self._divisors.append(divisor)
        return True

    def _reduced(self, column: list[Number]) -> list[Number]:
        """inv(L) @ column, for a column whose rows are in the order of the pivots."""
        reduced: list[Number] = []
        for minus, number in zip(self._minus, column, strict=True):
            reduced.append(_dot(minus, reduced[: len(minus)], number))
        return reduced

    def solve(self, right: list[Number]) -> list[Number]:
        """The x with a @ x = right."""
        reduced = self._reduced([right[i] for i in self._order])
        n = len(reduced)
        upper = [[self._columns[k][i] for k in range(n - 1, i, -1)] for i in range(n)]
        return _substituted(upper[::-1], self._divisors[::-1], reduced[::-1])[::-1]

    def pivots(self) -> list[Number]:
        """The diagonal of U."""
        return [column[-1] for column in self._columns]

    def determinant(self) -> Number:
        """The product of the pivots and of the determinant of the block that has none.

        Every element of that block is 0, but has derivatives.
        """
        product: Number = functions.prod(self.pivots())
        if self.left_over:
            start = len(self._columns)
            block = [self._reduced([row[k] for row in self._rows])[start:] for k in self.left_over]
            product *= _expanded(block) if len(block) <= _MOST_EXPANDED else 0.0
        return -product if self.odd else product


def _expanded(columns: list[list[Number]]) -> Number:
    """The determinant of these columns, without a division: expanded along the first."""
    first, *others = columns
    if not others:
        return first[0]
    minors = [
        _expanded([column[:i] + column[i + 1 :] for column in others]) for i in range(len(first))
    ]
    signed = [-minor if i % 2 else minor for i, minor in enumerate(minors)]
    total: Number = functions.dot(first, signed)
    return total


def _cholesky(rows: list[list[Number]]) -> list[list[Number]]:
    """The rows of L up to the diagonal."""
    lower: list[list[Number]] = []
    divisors: list[_Divisor] = []
    for given in rows:
        row: list[Number] = []
        for number, above, divisor in zip(given, lower, divisors, strict=False):
            rest = _minus_rest(row, above[: len(row)], number)
            row.append(divisor.minus_quotient(rest))
        square = given[len(row)] - functions.dot(row, row) if row else given[0]
        if not square > 0.0:
            raise LinAlgError("Matrix is not positive definite")
        row.append(functions.sqrt(square))
        divisors.append(_Divisor(row[-1], _SMALLEST_NORMAL))  # the smallest root is far above it
        lower.append(row)
    return lower


def _substituted(
    rows: list[list[Number]], divisors: list[_Divisor], right: list[Number]
) -> list[Number]:
    """Solves for one unknown after another; a row begins with the coefficients of those before."""
    xs: list[Number] = []
    for row, divisor, number in zip(rows, divisors, right, strict=True):
        xs.append(divisor.minus_quotient(_minus_rest(xs, row[: len(xs)], number)))
    return xs


def _minus_rest(xs: list[Number], ws: list[Number], number: Number) -> Number:
    """sum(xs * ws) - number, a single node."""
    return functions.dot([*xs, number], [*ws, -1.0]) if xs else -number


def _dot(ws: list[Number], xs: list[Number], start: Number) -> Number:
    """sum(ws * xs, start), without the terms before the first x that may be other than 0."""
    first = 0
    while first < len(xs) and _is_zero(xs[first]):
        first += 1
    return functions.dot(ws[first:], xs[first:], start) if first < len(xs) else start


def _is_zero(number: Number) -> bool:
    """Whether it is a constant 0: in a compiled function, comparing a Value is a decision."""
    return not isinstance(number, Value) and number == 0.0


def _array(nested: Any, name: str) -> Array:
    """An array of doubles, or of objects if one is a Value: Values and floats then."""
    if isinstance(nested, np.ndarray) and nested.dtype != object:
        return functions.data_of(nested)
    array = np.asarray(nested, dtype=object)
    elements = array.ravel().tolist()
    numbers = [x for x in elements if not isinstance(x, Value)]
    if any(isinstance(x, list | tuple) or np.ndim(x) > 0 for x in numbers):
        raise ValueError(f"the rows of {name} must be equally long")
    floats = functions.data_of(numbers)
    if len(numbers) == len(elements):
        return floats.reshape(array.shape)
    rest = iter(floats.tolist())
    checked = np.empty(len(elements), dtype=object)
    checked[:] = [x if isinstance(x, Value) else next(rest) for x in elements]
    return checked.reshape(array.shape)


def _any_values(*arrays: Array) -> bool:
    return any(array.dtype == object for array in arrays)


def _too_few_axes(matrix: Array) -> str:
    given = f"{matrix.ndim}-dimensional array given."
    return f"{given} Array must be at least two-dimensional"


def _square(matrix: Array) -> list[list[Number]]:
    """The rows of a square matrix."""
    if matrix.ndim < 2:
        raise LinAlgError(_too_few_axes(matrix))
    if matrix.ndim > 2:
        raise ValueError(f"a must be one matrix, not a stack of them, got shape {matrix.shape}")
    if matrix.shape[0] != matrix.shape[1]:
        raise LinAlgError("Last 2 dimensions of the array must be square")
    rows: list[list[Number]] = matrix.tolist()
    return rows


def _check_rows(right: Array, count: int) -> None:
    if right.ndim not in (1, 2) or len(right) != count:
        raise ValueError(
            f"b must have the shape ({count},) or ({count}, k) for a of shape ({count}, {count}), "
            f"got {right.shape}"
        )


def _by_columns(right: Array, count: int, solved: Callable[[list[Number]], list[Number]]) -> Array:
    """What `solved` makes of each column of the right side, as an array of its shape."""
    _check_rows(right, count)
    if right.ndim == 1:
        return _object_array(solved(right.tolist()))
    columns = [solved(column) for column in right.T.tolist()]
    return _object_array(columns).reshape(right.shape[::-1]).T


def _reshaped(numbers: list[Value], shape: tuple[int, ...]) -> Array:
    array = np.empty(len(numbers), dtype=object)
    array[:] = numbers
    return array.reshape(shape).view(_ValueArray)


def _object_array(nested: Any) -> Array:
    """An array of Values, which it makes of the floats."""
    array = np.array(nested, dtype=object)
    flat = array.reshape(-1)
    for i, x in enumerate(flat.tolist()):
        flat[i] = _value(x)
    return array.view(_ValueArray)


def _value(number: Number) -> Value:
    return number if isinstance(number, Value) else Value(number)


def _float_if_one(result: Any) -> Any:
    """A float in place of NumPy's number."""
    return result if isinstance(result, np.ndarray) else float(result)
