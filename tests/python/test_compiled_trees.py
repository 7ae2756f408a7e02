"""Structures of arguments, results and derivatives of compiled functions.

The oracles are closed forms, and the conventions of JAX.
"""

from collections import namedtuple
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import arenagrad as ag
from arenagrad import Value, compile, grad, hessian, hvp, jacobian, value_and_grad

Point = namedtuple("Point", "x y")


# Arguments and results


@pytest.mark.parametrize(
    "number",
    [2, 2.0, np.float64(2.0), np.float32(2.0), np.int64(2), Fraction(2), Decimal(2), np.array(2.0)],
)
def test_every_kind_of_number_is_a_value_to_the_function(number: Any) -> None:
    f = compile(lambda x: x * 3.0)
    assert f(number) == 6.0
    assert f.grad(number) == 3.0


def test_nested_arguments_come_as_they_are_with_values_in_place_of_numbers() -> None:
    seen: list[Any] = []

    def f(*args: Any) -> Any:
        seen.extend(args)
        return args[0][0]["a"]

    got = compile(f)([{"a": 1.5, "b": (2, None)}, "text"], np.ones((2, 3)), Point(1.0, 2.0), True)
    assert got == 1.5
    nested, array, point, flag = seen
    assert isinstance(nested[0]["a"], Value)
    assert isinstance(nested[0]["b"][0], Value)
    assert nested[0]["b"][1] is None
    assert nested[1] == "text"
    assert array.dtype == object
    assert array.shape == (2, 3)
    assert isinstance(array[1, 2], Value)
    assert isinstance(point, Point)
    assert flag is True


def test_results_keep_the_structure_that_the_function_gives() -> None:
    def f(x: Any) -> Any:
        return {
            "list": [x[0], 2, None, "text"],
            "point": Point(x[1], 1.5),
            "array": x * 2.0,
            "mixed": np.array([x[0], 1.0], object),
            "flag": True,
            "none": None,
        }

    for _ in range(2):
        got = (g := compile(f))(np.array([3.0, 4.0]))
        got = g(np.array([3.0, 4.0]))
        assert got["list"] == [3.0, 2, None, "text"]
        assert isinstance(got["list"][1], int)
        assert got["point"] == Point(4.0, 1.5)
        assert got["array"].dtype == np.float64
        assert got["array"].tolist() == [6.0, 8.0]
        assert got["mixed"].tolist() == [3.0, 1.0]
        assert (got["flag"], got["none"]) == (True, None)


def test_arrays_of_any_kind_of_real_number_and_layout_are_read() -> None:
    f = compile(lambda x: (x * x).sum())
    base = np.arange(12.0).reshape(3, 4)
    for array in (base, base.T.copy().T, base[:, ::2], base.astype(np.float32), base.astype(int)):
        assert f(array) == (array.astype(float) ** 2).sum()
    assert f(base.astype(object)) == (base**2).sum()
    assert f(base.astype(">f8")) == (base**2).sum()
    assert f(np.empty((0, 3))) == 0.0
    assert f.grad(base[:, ::2]).shape == (3, 2)


def test_shapes_structures_and_static_objects_have_programs_of_their_own() -> None:
    calls: list[Any] = []

    @compile(static_argnums=1)
    def f(x: Any, n: int, mode: str = "sum") -> Any:
        calls.append((len(x), n, mode))
        return sum(x) * n if mode == "sum" else x[0]

    for _ in range(3):
        assert f([1.0, 2.0], 2) == 6.0
        assert f([1.0, 2.0], 3) == 9.0
        assert f([1.0, 2.0, 3.0], 2) == 12.0
        assert f([1.0, 2.0], 2, "first") == 1.0
        assert f((1.0, 2.0), 2) == 6.0
    assert len(calls) == 5
    assert f.grad([1.0, 2.0], 3) == [3.0, 3.0]
    with pytest.raises(ValueError, match="argument 1 is static"):
        f.grad([1.0, 2.0], 3, argnums=1)


def test_true_and_one_are_not_the_same_argument() -> None:
    f = compile(lambda flag, x: x if flag is True else -x)
    assert [f(True, 2.0), f(1, 2.0), f(True, 2.0), f(False, 2.0)] == [2.0, -2.0, 2.0, -2.0]


def test_lists_that_contain_themselves_are_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="nested"):
        compile(lambda x: 1.0)(endless)


def test_compiled_methods_see_their_instance() -> None:
    class Scale:
        factor = 3.0

        @compile
        def apply(self, x: Any) -> Any:
            return x * self.factor

    assert Scale().apply(2.0) == 6.0


# Gradients


def test_gradients_have_the_structure_of_the_argument() -> None:
    def f(p: Any, a: Any) -> Any:
        return p["w"][0] * p["w"][1] + p["b"] * a.sum() + (a * a).sum()

    p, a = {"w": [2.0, 3.0], "b": (5.0)}, np.array([[1.0, 2.0]])
    g = compile(f)
    for _ in range(2):
        value, gradient = g.value_and_grad(p, a)
        assert value == 26.0
        assert gradient == {"w": [3.0, 2.0], "b": 3.0}
        both = g.grad(p, a, argnums=(1, 0))
        assert both[0].tolist() == [[7.0, 9.0]]
        assert both[1] == gradient
    assert grad(f, argnums=1)(p, a).tolist() == [[7.0, 9.0]]
    assert value_and_grad(f)(p, a) == (26.0, gradient)


def test_gradients_of_constants_and_of_what_is_not_used_are_zero() -> None:
    assert grad(lambda x, y: 1.0)(2.0, 3.0) == 0.0
    assert grad(lambda x, y: x, argnums=1)(2.0, np.ones(2)).tolist() == [0.0, 0.0]
    assert grad(lambda x: x if x > 0 else 0)(-1.0) == 0.0
    assert grad(lambda x, s: x * x)(3.0, "s") == 6.0
    assert grad(lambda p: p[0])([2.0, "text", None]) == [1.0, None, None]


def test_derivatives_of_any_order_follow_from_each_other() -> None:
    f = lambda x: x**5 + x.exp()  # noqa: E731
    derivative: Any = f
    for k, factor in enumerate((5.0 * 16, 20.0 * 8, 60.0 * 4, 120.0 * 2, 120.0, 0.0)):
        derivative = grad(derivative)
        assert derivative(2.0) == pytest.approx(factor + np.exp(2.0), rel=1e-12), k


# Jacobians and Hessians


def test_jacobians_have_the_shape_of_result_and_argument_together() -> None:
    matrix = np.arange(6.0).reshape(2, 3) + 1.0
    f = compile(lambda x: matrix @ x)
    assert f.jacobian(np.ones(3)).tolist() == matrix.tolist()
    g = compile(lambda a, b: np.outer(a, b))
    a, b = np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])
    by_a, by_b = g.jacobian(a, b, argnums=(0, 1))
    assert by_a.shape == (2, 3, 2)
    assert by_b.shape == (2, 3, 3)
    assert by_a == pytest.approx(np.einsum("ik,j->ijk", np.eye(2), b))
    assert by_b == pytest.approx(np.einsum("i,jk->ijk", a, np.eye(3)))
    assert jacobian(lambda x: [x, x * x])(3.0) == [1.0, 6.0]
    nested = jacobian(lambda p: {"y": p["a"] * p["b"]})({"a": 2.0, "b": np.array([1.0, 2.0])})
    assert nested["y"]["a"].tolist() == [1.0, 2.0]
    assert nested["y"]["b"].tolist() == [[2.0, 0.0], [0.0, 2.0]]


def test_hessians_are_symmetric_and_those_of_the_closed_form() -> None:
    f = lambda x: x[0] ** 2 * x[1] + x[1] ** 3 * x[2]  # noqa: E731
    x = np.array([1.0, 2.0, 3.0])
    want = [[4.0, 2.0, 0.0], [2.0, 36.0, 12.0], [0.0, 12.0, 0.0]]
    assert hessian(f)(x).tolist() == want
    assert compile(f).hessian(x).tolist() == want
    assert jacobian(grad(f))(x).tolist() == want
    lists = hessian(f)(list(x))
    assert lists == want
    (xx, xy), (yx, yy) = hessian(lambda x, y: x * x * y, argnums=(0, 1))(2.0, 3.0)
    assert (xx, xy, yx, yy) == (6.0, 4.0, 4.0, 0.0)


def test_hessians_times_vectors_are_products() -> None:
    f = lambda x: (x[0] * x[1]).exp() + x[1] ** 4  # noqa: E731
    x, v = np.array([0.5, 1.5]), np.array([2.0, -1.0])
    want = hessian(f)(x) @ v
    assert hvp(f)((x,), v) == pytest.approx(want)
    assert compile(f).hvp((x,), v) == pytest.approx(want)
    two = compile(lambda x, y: x * x * y)
    assert two.hvp((2.0, 3.0), 5.0, argnums=1) == 0.0
    assert two.hvp((2.0, 3.0), (1.0, 1.0), argnums=(0, 1)) == (10.0, 4.0)


def test_products_with_jacobians_from_both_sides() -> None:
    f = compile(lambda a, b: [a[0] * b, a[1] ** 2])
    a = np.array([2.0, 3.0])
    values, tangents = f.jvp((a, 5.0), (np.array([1.0, 10.0]), 0.5))
    assert (values, tangents) == ([10.0, 9.0], [6.0, 60.0])
    values, gradients = f.vjp((a, 5.0), [1.0, 2.0])
    assert values == [10.0, 9.0]
    assert gradients[0].tolist() == [5.0, 12.0]
    assert gradients[1] == 2.0
    assert f.vjp((a, 5.0), np.array([1.0, 2.0]))[1][1] == 2.0
    with pytest.raises(TypeError, match=r"must be \[float, float\]"):
        f.vjp((a, 5.0), [1.0])
    with pytest.raises(TypeError, match="must be"):
        f.jvp((a, 5.0), (a,))


def test_sparse_derivatives_hold_what_is_not_always_zero() -> None:
    sparse = pytest.importorskip("scipy.sparse", reason="SciPy is not installed")
    f = compile(lambda x: x[1:] * x[:-1])
    x = np.arange(5.0) + 1.0
    got = f.jacobian(x, sparse=True)
    assert isinstance(got, sparse.csr_array)
    assert got.nnz == 8
    assert got.toarray().tolist() == f.jacobian(x).tolist()
    g = compile(lambda x: (x * x * x).sum() + x[0] * x[4])
    second = g.hessian(x, sparse=True)
    assert second.nnz == 7
    assert second.toarray() == pytest.approx(g.hessian(x))


def test_a_sparse_derivative_is_its_callers_own() -> None:
    pytest.importorskip("scipy.sparse", reason="SciPy is not installed")
    f = compile(lambda x: [x[2] * x[0], x[1], x[2] * x[2]])
    for _ in range(3):
        got = f.jacobian(np.array([1.0, 2.0, 0.0]), sparse=True)
        assert got.toarray().tolist() == [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
        assert got.has_canonical_format
        assert got.indices.tolist() == [0, 2, 1, 2]
        got.eliminate_zeros()  # in place, in all three arrays
        got.data[:] = -1.0
        assert got.nnz == 2


def test_sparse_derivatives_of_values_are_refused() -> None:
    inner = compile(lambda x: [x * x, x])
    with pytest.raises(TypeError, match="for numbers, not for Values"):
        inner.jacobian(Value(2.0), sparse=True)
    with pytest.raises(TypeError, match="for numbers, not for Values"):
        compile(lambda x: inner.jacobian(x, sparse=True).data[0])(2.0)


def test_sparse_derivatives_are_answered_natively_and_by_several_arguments() -> None:
    pytest.importorskip("scipy.sparse", reason="SciPy is not installed")
    f = compile(lambda x, y: [x * y if x > 0.0 else y, x])
    for x, expected in ((2.0, [[3.0, 2.0], [1.0, 0.0]]), (-2.0, [[0.0, 1.0], [1.0, 0.0]])) * 2:
        for _ in range(2):
            got = f.jacobian(x, 3.0, argnums=(0, 1), sparse=True)
            assert got.toarray().tolist() == expected
    assert f.jacobian(2.0, 3.0, argnums=-1, sparse=True).toarray().tolist() == [[2.0], [0.0]]
    with pytest.raises(ValueError, match="one point"):
        compile(lambda x: x, in_axes=0).jacobian(np.ones(2), sparse=True)


def test_statistics_of_a_jacobian_say_how_it_is_computed() -> None:
    tall = jacobian(lambda x: [x * k for k in range(1, 50)])
    wide = jacobian(lambda x: ag.sum(x) ** 2)
    assert tall.program(1.0).stats["derivatives"] == "forward"
    assert wide.program([1.0] * 50).stats["derivatives"] == "reverse"
    diagonal = jacobian(lambda x: x * x).program(np.ones(10)).stats
    assert (diagonal["entries"], diagonal["entries_computed"]) == (100, 10)


# take


@pytest.mark.parametrize("values", [[5.0, 6.0, 7.0], (5.0, 6.0, 7.0), np.array([5.0, 6.0, 7.0])])
def test_take_gives_the_element_or_a_node(values: Any) -> None:
    assert ag.take(values, 1) == 6.0
    leaves = [Value(v) for v in values]
    assert ag.take(leaves, 2) is leaves[2]
    index = Value(0)
    taken = ag.take(leaves, index)
    assert (taken.data, taken._op, taken._prev) == (5.0, "take", {index, *leaves})
    (taken * 3.0).backward()
    assert [leaf.grad for leaf in leaves] == [3.0, 0.0, 0.0]
    assert index.grad == 0.0


def test_take_of_rows_is_a_row() -> None:
    table = ag.values(np.arange(6.0).reshape(3, 2))
    row = ag.take(table, Value(1))
    assert ag.data_of(row).tolist() == [2.0, 3.0]
    assert [r is t for r, t in zip(ag.take(table, 2), table[2], strict=True)] == [True, True]
    assert ag.take([[1.0, 2.0], [3.0, 4.0]], 1) == [3.0, 4.0]


@pytest.mark.parametrize("index", [3, -1, 0.5, float("nan"), float("inf")])
def test_an_index_that_is_none_is_an_index_error(index: Any) -> None:
    f = compile(lambda values, index: ag.take(values, index) * 2.0)
    for _ in range(2):
        for take in (ag.take, f):
            with pytest.raises(IndexError, match="one of 3 values, from 0, got"):
                take([1.0, 2.0, 3.0], index)
        with pytest.raises(IndexError, match="one of 3 values"):
            ag.take([Value(1.0), 2.0, 3.0], Value(index))
        assert f([1.0, 2.0, 3.0], 1) == 4.0


def test_one_program_serves_every_index() -> None:
    calls = 0

    @compile
    def f(table: Any, token: Any) -> Any:
        nonlocal calls
        calls += 1
        return ag.sum(ag.take(table, token)) ** 2

    table = np.arange(6.0).reshape(3, 2)
    for token in (0, 2, 1, 2):
        assert f(table, token) == table[token].sum() ** 2
        want = np.zeros((3, 2))
        want[token] = 2.0 * table[token].sum()
        assert f.grad(table, token).tolist() == want.tolist()
    assert calls == 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ag.take(3.0, 0), TypeError, "values must be a list, tuple or array"),
        (lambda: ag.take([], 0), IndexError, "one of 0 values"),
        (lambda: ag.take([1.0], "0"), TypeError, "the index must be a real number"),
        (lambda: ag.take(["a"], 0), TypeError, "an element of values"),
        (lambda: ag.take([[1.0], [1.0, 2.0]], 0), ValueError, "equally many"),
    ],
)
def test_wrong_uses_of_take_are_refused(
    call: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call()
