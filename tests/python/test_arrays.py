"""Values in NumPy arrays, and Values read as numbers, beside arrays of floats and floats."""

import contextlib
import math
import operator
import pickle
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import arenagrad as ag
from arenagrad import Value
from settled import settled_nodes


def numbers(*shape: int) -> Any:
    return np.random.default_rng(len(shape)).uniform(0.5, 2.0, shape)


# Arrays that are handed out


def handed_out() -> list[Any]:
    """Arrays of Values by everything that hands them out."""
    x = ag.values(numbers(3))
    traced: list[Any] = []
    ag.compile(lambda a: traced.append(a) or a.sum())(numbers(3))  # type: ignore[func-returns-value]
    return [
        *(x, ag.exp(x), ag.softmax(x), ag.cumsum(x), ag.where(x, x, 0.0), ag.maximum(x, 1.0)),
        *(ag.grad(lambda a: (a * a * a).sum())(x), traced[0]),
        *(x + 1.0, np.exp(x), x[:2], x.reshape(3, 1), x @ ag.values(numbers(3, 3)), x.copy()),
        *(np.concatenate([x, x]), pickle.loads(pickle.dumps(x)), np.add(numbers(3), x)),
    ]


def test_arrays_that_are_handed_out_are_of_one_class_and_stay_of_it() -> None:
    for array in handed_out():
        assert type(array) is ag.ValueArray
        assert array.dtype == object


def test_what_is_no_array_of_objects_is_a_plain_one_and_single_elements_are_themselves() -> None:
    x = ag.values(numbers(3))
    assert type(x > 1.0) is np.ndarray
    assert [type(y) for y in (x.sum(), x @ x, x.max(), x[0], np.sum(x), x.prod())] == [Value] * 6
    assert type(ag.values(numbers(2, 3)).sum()) is Value
    assert type(ag.values(numbers(2, 3)).sum(axis=0)) is ag.ValueArray
    assert type(ag.exp(numbers(3))) is np.ndarray


def matrix(n: int) -> Any:
    """A symmetric matrix without small eigenvalues."""
    a = np.random.default_rng(n).normal(size=(n, n))
    return a @ a.T + n * np.eye(n)


LINEAR_ALGEBRA: dict[str, Callable[..., Any]] = {
    "solve": lambda a: np.linalg.solve(a, a[0]),
    "inv": np.linalg.inv,
    "det": np.linalg.det,
    "slogdet": lambda a: np.linalg.slogdet(a)[1],
    "cholesky": np.linalg.cholesky,
}


@pytest.mark.parametrize("name", LINEAR_ALGEBRA)
def test_numpys_linear_algebra_takes_arrays_of_values(name: str) -> None:
    function, a = LINEAR_ALGEBRA[name], matrix(3)

    def total(a: Any) -> Any:
        return np.sum(function(a) * 1.5)

    x = ag.values(a)
    total(x).backward()
    assert np.allclose(ag.data_of(function(ag.values(a))), function(a), rtol=1e-12)
    assert np.allclose(ag.compile(total)(a), total(a), rtol=1e-12)
    assert np.allclose(ag.grad(total)(a), ag.grad_of(x), rtol=1e-10)
    for i in np.ndindex(3, 3):
        step = np.zeros((3, 3))
        step[i] = 1e-6
        partial = (total(a + step) - total(a - step)) / 2e-6
        # cholesky() reads the lower triangle only, NumPy's as ours
        assert np.isclose(ag.grad_of(x)[i], partial, rtol=1e-5, atol=1e-7)


def test_numpys_linear_algebra_takes_lists_beside_an_array_and_views_of_plain_arrays() -> None:
    a, b = matrix(2), numbers(2)
    wanted = np.linalg.solve(a, b)
    assert np.allclose(ag.data_of(np.linalg.solve(a.tolist(), ag.values(b))), wanted)
    plain = np.array(ag.values(a).tolist(), dtype=object)
    assert np.allclose(ag.data_of(np.linalg.solve(plain.view(ag.ValueArray), b)), wanted)
    with pytest.raises(TypeError):
        np.linalg.solve(plain, b)
    assert np.allclose(np.linalg.solve(a.view(ag.ValueArray), b), wanted)


# Made, read and written


@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 0), (2, 3), (2, 3, 4), (100_000,)])
def test_values_have_the_shape_and_the_numbers_of_the_array(shape: tuple[int, ...]) -> None:
    array = numbers(*shape)
    made = ag.values(array)
    assert (made.shape, made.dtype) == (shape, object)
    assert np.array_equal(ag.data_of(made), array)
    assert ag.data_of(made).dtype == np.float64
    assert np.array_equal(ag.grad_of(made), np.zeros(shape))
    assert len({id(value) for value in made.flat}) == array.size
    ag.assign(made, array + 1)
    assert np.array_equal(ag.data_of(made.tolist()), array + 1)


@pytest.mark.parametrize("kind", [np.float32, np.int8, np.uint64, np.longdouble, bool])
def test_numbers_of_every_real_kind_are_taken(kind: Any) -> None:
    array = np.array([[0, 1], [1, 1]], kind)
    assert np.array_equal(ag.data_of(ag.values(array)), array.astype(float))


def test_lists_tuples_arrays_and_numbers_may_be_mixed_in_one_shape() -> None:
    a, b = Value(1.0), Value(2.0)
    nested = [[a, 3], (Fraction(1, 2), b), np.array([4.0, b])]
    (a * b * b).backward()
    assert ag.data_of(nested).tolist() == [[1.0, 3.0], [0.5, 2.0], [4.0, 2.0]]
    assert ag.grad_of(nested).tolist() == [[4.0, 0.0], [0.0, 4.0], [0.0, 4.0]]
    assert ag.data_of([[], []]).shape == (2, 0)
    assert ag.data_of(np.asfortranarray(ag.values([[1, 2], [3, 4]])).T).tolist() == [[1, 3], [2, 4]]


def itself() -> list[Any]:
    xs: list[Any] = []
    xs.append(xs)
    return xs


RAGGED = [[[1.0], [1.0, 2.0]], [1.0, [2.0]], [[2.0], 1.0], [[], 1.0], [[], [1.0]], itself()]


@pytest.mark.parametrize("function", [ag.values, ag.data_of, ag.grad_of])
def test_ragged_lists_and_what_is_no_number_are_refused(function: Callable[[Any], Any]) -> None:
    before = settled_nodes()
    for ragged in RAGGED:
        with pytest.raises(ValueError, match="lists"):
            function(ragged)
    for wrong in ([1.0, "a"], [None], np.array([1j]), {1.0}):
        with pytest.raises(TypeError, match="an element must be a real number, got"):
            function(wrong)
    assert ag.arena_info()["nodes"] == before


def test_an_assignment_that_fails_has_written_nothing() -> None:
    made = ag.values([[1.0, 2.0], [3.0, 4.0]])
    for wrong in ([[1.0, 2.0]], [9.0] * 4, 9.0):
        with pytest.raises(ValueError, match="in the same shape"):
            ag.assign(made, wrong)
    with pytest.raises(TypeError, match="real number, got str"):
        ag.assign(made, [[9.0, 9.0], [9.0, "a"]])
    with pytest.raises(TypeError, match="writes to Values, but one element is float"):
        ag.assign([made[0, 0], 5.0], [9.0, 9.0])
    assert ag.data_of(made).tolist() == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize("kind", [np.array, np.ndarray.tolist, lambda a: a.astype(np.float32)])
def test_numbers_may_be_assigned_to_the_grad_instead(kind: Callable[[Any], Any]) -> None:
    made = ag.values([[1.0, 2.0], [3.0, 4.0]])
    ag.assign(made, kind(np.array([[5.0, -0.5], [0.25, 7.0]])), to="grad")
    assert ag.grad_of(made).tolist() == [[5.0, -0.5], [0.25, 7.0]]
    assert ag.data_of(made).tolist() == [[1.0, 2.0], [3.0, 4.0]]
    ag.assign(made, kind(np.array([[9.0, 8.0], [7.0, 6.0]])), to="data")
    assert ag.data_of(made).tolist() == [[9.0, 8.0], [7.0, 6.0]]
    made[0, 0].backward()
    assert made[0, 0].grad == 1.0
    ag.zero_grad(made.ravel().tolist())
    assert not ag.grad_of(made).any()


def test_an_assigned_grad_is_what_a_later_sweep_adds_to_and_an_optimiser_uses() -> None:
    a, b = Value(2.0), Value(3.0)
    ag.assign([a, b], np.array([10.0, 20.0]), to="grad")
    (a * b).backward()
    assert (a.grad, b.grad) == (13.0, 22.0)
    ag.optim.SGD([a, b], lr=0.5).step()
    assert (a.data, b.data) == (-4.5, -8.0)


def test_an_assignment_to_something_else_is_refused() -> None:
    a = Value(2.0)
    for wrong in ("grads", "", None, 1):
        with pytest.raises(ValueError, match=r"assign\(\) writes to 'data' or 'grad', got to="):
            ag.assign([a], [1.0], to=wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="in the same shape"):
        ag.assign([a], np.zeros((1, 1)), to="grad")
    with pytest.raises(TypeError, match="writes to Values"):
        ag.assign([a, 1.0], np.ones(2), to="grad")
    assert (a.data, a.grad) == (2.0, 0.0)


def test_what_is_assigned_may_lie_anywhere_in_memory() -> None:
    made = ag.values(np.zeros((2, 3)))
    numbers = np.arange(12.0).reshape(3, 4)
    for part in (numbers[:2, :3], numbers[:, 1:3].T, numbers[::-1][:2, 1:]):
        for array in (part, part.astype(">f8"), np.ma.array(part), part.astype(object)):
            ag.assign(made, array)
            assert np.array_equal(ag.data_of(made), part)
    masked = np.ma.array(np.ones((2, 3)), mask=[[True, False, False]] * 2)
    with pytest.raises(TypeError, match="an element must be a real number"):
        ag.assign(made, masked)


def test_an_assignment_may_swap_the_data_of_its_own_values() -> None:
    a, b = Value(1.0), Value(2.0)
    ag.assign([a, b], [b, a])
    assert (a.data, b.data) == (2.0, 1.0)


# NumPy's own functions

ARRAY: list[Callable[[Any, Any], Any]] = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.matmul,
    operator.pow,
    np.dot,
    np.maximum,
    np.minimum,
    np.hypot,
    np.arctan2,
    lambda a, b: np.sum(a * b),
    lambda a, b: np.sum(a + b, axis=0),
    lambda a, b: np.linalg.norm(a * b),
    lambda a, b: np.linalg.norm(a * b, axis=0),
    lambda a, b: np.vdot(a, b),
    lambda a, b: np.var(a * b, axis=1),
    lambda a, b: np.std(a - b),
    lambda a, b: np.conjugate(a) * np.conj(b),
    lambda a, b: np.exp(a) + np.log(b),
    lambda a, b: np.tanh(a) * np.sqrt(b),
    lambda a, b: np.abs(-a) + np.square(b),
    lambda a, b: a[0, 0] * b + b * a[1, 1],
    lambda a, b: a.mean() + b.T,
]


@pytest.mark.parametrize("function", ARRAY)
def test_functions_of_object_arrays_are_those_of_float_arrays(
    function: Callable[[Any, Any], Any],
) -> None:
    a, b = numbers(3, 3), numbers(3, 3)[::-1] * 0.9
    one, two = ag.values(a), ag.values(b)
    want = function(a, b)
    # On the left NumPy asks a float for the method of its own name.
    methods = function in (np.hypot, np.arctan2)
    for left, right in ((one, two), (one, b), (one if methods else a, two)):
        assert ag.data_of(function(left, right)) == pytest.approx(want, rel=1e-14)
    ag.sum(np.ravel(function(one, two)).tolist()).backward()
    for i in np.ndindex(3, 3):
        step = np.zeros((3, 3))
        step[i] = 1e-6
        partial = np.sum(function(a + step, b)) - np.sum(function(a - step, b))
        assert one[i].grad == pytest.approx(partial / 2e-6, rel=1e-6, abs=1e-7)


def test_numpy_s_functions_that_compare_give_what_they_compared_and_no_node() -> None:
    a, b = Value(2.5), Value(-1.5)
    array = np.array([a, b], dtype=object)
    assert np.maximum(array, array[::-1]).tolist() == [a, a]
    assert np.minimum(array, 0.0).tolist() == [0.0, b]
    assert np.clip(array, -1, 1).tolist() == [1, -1]
    for function, wanted in ((np.floor, [2, -2]), (np.ceil, [3, -1]), (np.sign, [1, -1])):
        reads = function is not np.sign  # by math.floor and math.ceil; np.sign compares
        with pytest.warns(ag.DetachedValueWarning) if reads else contextlib.nullcontext():
            found = function(array).tolist()
        assert (found, {type(x) for x in found}) == (wanted, {int})
    assert np.sign(np.array([Value(0.0)], dtype=object)).tolist() == [0]
    with pytest.raises(TypeError):
        np.sign(np.array([Value(math.nan)], dtype=object))


SCALARS = [np.float64(3), np.float32(3), np.int64(3), np.array(3.0), np.longdouble(3)]


@pytest.mark.parametrize("scalar", SCALARS, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("operation", [operator.add, operator.sub, operator.mul, operator.truediv])
def test_scalars_of_numpy_are_numbers_on_either_side(operation: Any, scalar: Any) -> None:
    v = Value(2.0)
    for result, want in ((operation(v, scalar), (2, 3)), (operation(scalar, v), (3, 2))):
        assert isinstance(result, Value)
        assert result.data == pytest.approx(operation(*want))


# A Value as a number

FLOATS = [0.0, -0.0, 1.5, -2.5, 2.0**53, 0.1, 1e300, math.inf, -math.inf, math.nan]
OTHERS: list[Any] = [*FLOATS, 2**53 + 1, 10**400, -(10**400), True, Decimal("0.1")]
OTHERS += [Fraction(1, 10), Fraction(10**400), np.float64(0.1), np.int64(2)]


@pytest.mark.parametrize(
    "order",
    [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne],
)
@pytest.mark.parametrize("x", FLOATS)
def test_comparisons_are_those_of_the_float_exactly(order: Any, x: float) -> None:
    for other in OTHERS:
        if isinstance(other, Decimal) and math.isnan(x):
            continue  # Python's own answer depends on the decimal context
        assert bool(order(Value(x), other)) is bool(order(x, other))
        assert bool(order(other, Value(x))) is bool(order(other, x))
    for other in FLOATS if order not in (operator.eq, operator.ne) else ():
        assert order(Value(x), Value(other)) is order(x, other)


def test_values_are_sorted_by_data_and_equal_by_identity() -> None:
    values = [Value(x) for x in (3.0, 1.0, 2.0, 1.0)]
    assert sorted(values) == [values[1], values[3], values[2], values[0]]
    assert max(values) is values[0]
    assert min(values) is values[1]
    assert values[1] != values[3]
    assert len({*values, values[0]}) == 4
    for wrong in (None, "text", 1j, [1.0]):
        with pytest.raises(TypeError, match="not supported between"):
            values[0] < wrong  # noqa: B015
    assert (values[0] < np.array([1.0, 5.0])).tolist() == [False, True]


@pytest.mark.parametrize("number", [1, 1.0, True, np.True_, np.float32(1), np.int8(1), 1 + 0j])
def test_a_value_equals_the_numbers_that_its_data_equals_from_either_side(number: Any) -> None:
    one, two = Value(1.0), Value(2.0)
    for value, equal in ((one, True), (two, False)):
        assert bool(value == number) is bool(number == value) is equal
        assert bool(value != number) is bool(number != value) is not equal
        assert (number in [value], value in [number]) == (equal, equal)
    row = np.array([one, two, one], object)
    assert (row == number).tolist() == [True, False, True]
    assert hash(one) == object.__hash__(one)
    assert number not in {one: "a Value is no key for a number"}


@pytest.mark.parametrize("other", [None, "1.0", [1.0], object()])
def test_a_value_equals_nothing_that_is_no_number(other: Any) -> None:
    value = Value(1.0)
    assert (value == other, value != other, other == value) == (False, True, False)


READINGS: list[Callable[[Any], Any]] = [
    *(float, int, round, math.floor, math.ceil, math.trunc, math.sqrt),
    *(lambda x: round(x, 1), lambda x: round(x, -1), lambda x: round(x, None)),
    *(lambda x: f"{x:.3f}", lambda x: f"{x:>12.2e}", lambda x: format(x, "g")),
    *(lambda x: f"{x:d}", lambda x: np.asarray([x], float)[0]),
]


@pytest.mark.filterwarnings("ignore::arenagrad.DetachedValueWarning")
@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("x", [2.5, 0.0, -7.25, 1e30, math.inf, math.nan])
def test_a_value_is_read_as_its_float_is(reading: Callable[[Any], Any], x: float) -> None:
    class Own(Value):
        pass

    try:
        want = reading(x)
    except (ValueError, OverflowError) as error:
        for value in (Value(x), Own(x)):
            with pytest.raises(type(error)):
                reading(value)
        return
    for value in (Value(x), Own(x)):
        got = reading(value)
        assert (type(got), repr(got)) == (type(want), repr(want))
    assert f"{Value(x)}" == str(Value(x))


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_a_narrow_float_is_compared_as_the_double_that_it_is(kind: Any) -> None:
    narrow, wide = kind(0.1), float(kind(0.1))
    for compare in (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge):
        for number in (0.1, wide):
            assert compare(narrow, Value(number)) == compare(wide, number)
            assert compare(Value(number), narrow) == compare(number, wide)


class Lying(np.ndarray):
    """An array whose methods say something else than its memory holds."""

    def ravel(self, *args: Any, **kwargs: Any) -> Any:
        """A thousand elements, whatever the shape."""
        return np.zeros(1000, dtype=object)

    def astype(self, *args: Any, **kwargs: Any) -> Any:
        """The same."""
        return np.zeros(1000)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        """The same."""
        return np.zeros(1000)

    def __len__(self) -> int:
        """A thousand, whatever the shape."""
        return 1000

    def __getitem__(self, index: Any) -> Any:
        """A thousand numbers that the array does not hold."""
        if index == 1000:
            raise IndexError
        return 7.0

    def tolist(self) -> Any:
        """No list."""
        return "elements"


@pytest.mark.parametrize("dtype", [object, float, np.float32, int])
def test_an_array_that_lies_about_its_elements_does_no_harm(dtype: Any) -> None:
    lying = np.ones(10).astype(dtype).view(Lying)
    sums = ag.compile(lambda xs: ag.sum(list(xs)))
    rows = ag.compile(lambda x: x * 2.0, in_axes=0)
    uses: list[Callable[[], Any]] = [
        lambda: ag.values(lying),
        lambda: ag.data_of(lying),
        lambda: ag.assign(ag.values(np.zeros(10)), lying),
        lambda: ag.sum(lying),
        lambda: sums(lying),
        lambda: sums.jvp((np.ones(10),), (lying,)),
        lambda: sums.vjp(np.ones(10), v=lying),
        lambda: sums.value_and_grad(np.ones(10), out=(lying, lying)),
        lambda: rows(lying),
        lambda: rows(np.ones(10), out=lying),
    ]
    for use in uses:
        with contextlib.suppress(TypeError, ValueError, IndexError):
            use()
    with pytest.raises((ValueError, TypeError)):
        ag.values(np.ones(10).astype(object).view(Lying))
