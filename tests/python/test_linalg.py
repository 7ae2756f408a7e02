"""Linear algebra on Values: NumPy's numbers, closed-form derivatives, pivots, rows, errors."""

import math
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.linalg
from numpy.linalg import LinAlgError

import arenagrad
from arenagrad import Value, compile, data_of, grad_of, linalg, values

SIZES = (1, 2, 3, 6)
Array = np.ndarray[Any, Any]


def matrix(n: int, seed: int = 0) -> Array:
    """Numbers of a normal distribution, whose elimination has to choose pivots."""
    return np.random.default_rng(seed).normal(size=(n, n))


def definite(n: int, seed: int = 0) -> Array:
    """A symmetric matrix with eigenvalues above 1."""
    m = matrix(n, seed)
    return m @ m.T + np.eye(n)


def near(found: Any, wanted: Any, tolerance: float = 1e-10) -> bool:
    """Equal in shape, and to 10 digits."""
    numbers = data_of(found)
    same_shape = numbers.shape == np.shape(wanted)
    return same_shape and np.allclose(numbers, wanted, rtol=tolerance, atol=tolerance)


# Each function that has an array of one matrix, the same of NumPy or SciPy, and its arguments.
SAME: dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[[int], tuple[Any, ...]]]] = {
    "solve": (linalg.solve, np.linalg.solve, lambda n: (matrix(n), matrix(n, 1)[0])),
    "solve many": (linalg.solve, np.linalg.solve, lambda n: (matrix(n), matrix(n, 1)[:, :2])),
    "solve none": (linalg.solve, np.linalg.solve, lambda n: (matrix(n), np.ones((n, 0)))),
    "inv": (linalg.inv, np.linalg.inv, lambda n: (matrix(n),)),
    "det": (linalg.det, np.linalg.det, lambda n: (matrix(n),)),
    "cholesky": (linalg.cholesky, np.linalg.cholesky, lambda n: (definite(n),)),
    "cholesky, upper": (
        lambda a: linalg.cholesky(a, upper=True),
        lambda a: np.linalg.cholesky(a).T,
        lambda n: (definite(n),),
    ),
}


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", SAME)
def test_values_give_the_numbers_and_shapes_that_numpy_gives(name: str, n: int) -> None:
    ours, theirs, arguments = SAME[name]
    given = arguments(n)
    wanted = theirs(*given)
    assert near(ours(*map(values, given)), wanted)
    assert near(ours(*[values(x).tolist() for x in given]), wanted)  # nested lists
    assert near(compile(ours)(*given), wanted)
    found = ours(*given)
    assert type(found) is (float if np.shape(wanted) == () else np.ndarray)
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize("n", SIZES)
def test_slogdet_has_the_sign_and_logarithm_of_numpy(n: int) -> None:
    for seed in range(4):
        a = matrix(n, seed)
        wanted = np.linalg.slogdet(a)
        found = linalg.slogdet(values(a))
        assert near(found.sign, wanted[0], 0.0)
        assert near(found.logabsdet, wanted[1])
        assert near(compile(lambda a: tuple(linalg.slogdet(a)))(a), wanted)
        assert linalg.slogdet(a) == tuple(wanted)
        assert type(linalg.slogdet(a).sign) is float


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("trans", [0, 1, 2, "N", "T", "C"])
def test_triangular_solves_are_those_of_scipy(trans: Any, unit: bool, lower: bool) -> None:
    a, b = matrix(4), matrix(4, 1)[:, :3]
    for right in (b, b[:, 0]):
        wanted = scipy.linalg.solve_triangular(a, right, trans, lower, unit)
        assert near(linalg.solve_triangular(a, right, trans, lower, unit), wanted)
        assert near(linalg.solve_triangular(values(a), right, trans, lower, unit), wanted)
        assert near(linalg.solve_triangular(a, values(right), trans, lower, unit), wanted)


def test_only_the_named_triangle_is_read_and_has_derivatives() -> None:
    a = definite(4)
    spoilt = np.tril(a) + np.triu(np.full((4, 4), math.nan), 1)
    assert near(linalg.cholesky(values(spoilt)), np.linalg.cholesky(a))
    assert near(linalg.cholesky(values(spoilt.T), upper=True), np.linalg.cholesky(a).T)
    assert near(
        linalg.solve_triangular(values(spoilt), np.ones(4), lower=True),
        scipy.linalg.solve_triangular(np.tril(a), np.ones(4), lower=True),
    )
    gradient = compile(lambda a: arenagrad.sum(linalg.cholesky(a).ravel())).grad(a)
    assert not np.triu(gradient, 1).any()


# Derivatives


@pytest.mark.parametrize("n", SIZES)
def test_gradients_are_the_closed_forms_of_giles(n: int) -> None:
    a, b, weights = matrix(n), matrix(n, 1)[0], matrix(n, 2)
    w, x, inverse = weights[0], np.linalg.solve(a, b), np.linalg.inv(a)
    adjoint = np.linalg.solve(a.T, w)
    wanted: dict[str, tuple[Callable[..., Any], tuple[Any, ...], tuple[Any, ...]]] = {
        "solve": (
            lambda a, b: arenagrad.dot(w, linalg.solve(a, b)),
            (a, b),
            (-np.outer(adjoint, x), adjoint),
        ),
        "inv": (
            lambda a: arenagrad.dot(weights.ravel(), linalg.inv(a).ravel()),
            (a,),
            (-inverse.T @ weights @ inverse.T,),
        ),
        "det": (linalg.det, (a,), (np.linalg.det(a) * inverse.T,)),
        "slogdet": (lambda a: linalg.slogdet(a)[1], (a,), (inverse.T,)),
    }
    for function, arguments, gradients in wanted.values():
        leaves = [values(x) for x in arguments]
        function(*leaves).backward()
        run = compile(function)
        for i, gradient in enumerate(gradients):
            assert near(grad_of(leaves[i]), gradient, 1e-9)
            assert near(arenagrad.grad(run, argnums=i)(*arguments), gradient, 1e-9)


@pytest.mark.parametrize("n", SIZES)
def test_the_gradient_of_a_cholesky_factor_is_the_closed_form(n: int) -> None:
    a, weights = definite(n), np.tril(matrix(n, 1))
    factor = np.linalg.cholesky(a)
    phi = np.tril(factor.T @ weights)
    phi[np.diag_indices(n)] /= 2.0
    inverse = np.linalg.inv(factor)
    full = inverse.T @ phi @ inverse
    symmetric = full + full.T  # by an element of the lower triangle, which stands for both
    symmetric[np.diag_indices(n)] /= 2.0
    wanted = np.tril(symmetric)
    run = compile(lambda a: arenagrad.dot(weights.ravel(), linalg.cholesky(a).ravel()))
    assert near(run.grad(a), wanted, 1e-9)


def test_second_derivatives_are_the_closed_forms() -> None:
    n = 3
    a, inverse = matrix(n), np.linalg.inv(matrix(n))
    # The derivative of inv(a).T[i, j] by a[k, l] is -inv(a)[j, k] * inv(a)[l, i].
    logarithm = -np.einsum("jk,li->ijkl", inverse, inverse)
    outer = np.einsum("ji,lk->ijkl", inverse, inverse)
    hessian = arenagrad.hessian(lambda a: linalg.slogdet(a)[1])(a)
    assert near(hessian, logarithm, 1e-9)
    hessian = arenagrad.hessian(linalg.det)(a)
    assert near(hessian, np.linalg.det(a) * (logarithm + outer), 1e-9)
    b = matrix(n, 1)[0]
    # The quadratic form b @ inv(a) @ b has the Hessian inv(a) + inv(a).T by b.
    hessian = arenagrad.hessian(lambda b: arenagrad.dot(b, linalg.solve(a, b)))(b)
    assert near(hessian, inverse + inverse.T, 1e-9)


def test_nearly_singular_matrices_keep_the_digits_that_are_there() -> None:
    n = 8
    a = np.array([[1.0 / (i + j + 1) for j in range(n)] for i in range(n)])
    b = np.ones(n)
    with mpmath.workdps(50):
        exact = mpmath.matrix(a.tolist())
        x = np.array([float(t) for t in mpmath.lu_solve(exact, mpmath.matrix(b.tolist()))])
        logarithm = float(mpmath.log(abs(mpmath.det(exact))))
        inverse = np.array((exact**-1).T.tolist(), dtype=float).reshape(n, n)
    tolerance = 1e-15 * np.linalg.cond(a)
    assert near(linalg.solve(values(a), b), x, tolerance)
    assert near(linalg.slogdet(values(a))[1], logarithm, tolerance)
    found = arenagrad.grad(lambda a: linalg.slogdet(a)[1])(a)
    assert np.abs(found - inverse).max() < tolerance * np.abs(inverse).max()


# Pivots


def test_a_zero_on_the_diagonal_needs_a_pivot_and_gets_it() -> None:
    a = np.array([[0.0, 2.0, 1.0], [1.0, 0.0, 3.0], [4.0, 1.0, 0.0]])
    b = np.array([1.0, 2.0, 3.0])
    assert near(linalg.solve(values(a), b), np.linalg.solve(a, b))
    assert near(linalg.det(values(a)), np.linalg.det(a))
    assert near(arenagrad.grad(linalg.det)(a), np.linalg.det(a) * np.linalg.inv(a).T)


def test_a_tiny_pivot_is_not_taken() -> None:
    a = np.array([[1e-20, 1.0], [1.0, 1.0]])
    assert near(linalg.solve(values(a), [1.0, 2.0]), [1.0, 1.0], 1e-15)


def test_subnormal_pivots_divide_as_others_do() -> None:
    a = np.array([[1e-310, 0.0], [0.0, 2e-310]])
    b = np.array([3e-310, 4e-310])
    wanted = np.linalg.solve(a, b)
    assert near(linalg.solve(values(a), b), wanted, 1e-14)
    assert near(compile(linalg.solve)(a, b), wanted, 1e-14)
    assert near(linalg.solve_triangular(values(a), b), wanted, 1e-14)


def test_a_compiled_function_chooses_the_pivots_of_each_call() -> None:
    run = compile(lambda a, b: linalg.solve(a, b))
    for seed in range(12):
        a, b = matrix(3, seed), matrix(3, seed + 50)[0]
        assert near(run(a, b), np.linalg.solve(a, b), 1e-9)
        adjoint = np.linalg.inv(a).T
        assert near(run.jacobian(a, b)[..., 0, 0], -adjoint[0] * np.linalg.solve(a, b)[0], 1e-8)


def test_rows_of_a_batch_choose_their_own_pivots() -> None:
    a = np.array([matrix(3, seed) for seed in range(40)])
    b = np.array([matrix(3, seed)[0] for seed in range(40, 80)])
    run = compile(linalg.solve, in_axes=0)
    assert near(run(a, b), np.linalg.solve(a, b[..., None])[..., 0], 1e-9)
    signs = compile(lambda a: tuple(linalg.slogdet(a)), in_axes=0)
    assert near(np.array(signs(a)), np.array(np.linalg.slogdet(a)), 1e-9)
    gradient = compile(lambda a: linalg.slogdet(a)[1], in_axes=0, reduce="sum").grad(a)
    assert near(gradient, np.swapaxes(np.linalg.inv(a), 1, 2), 1e-8)


def test_a_choice_of_pivots_is_one_variant_whatever_the_signs() -> None:
    traces = []

    def function(a: Any) -> Any:
        traces.append(1)
        return linalg.slogdet(a)[1]

    run = compile(function)
    large = np.array([[9.0, 1.0, 1.0], [1.0, 8.0, 1.0], [2.0, 1.0, 7.0]])
    for signs in np.ndindex(2, 2, 2):
        a = large * np.where(signs, 1.0, -1.0)
        assert near(run(a), np.linalg.slogdet(a)[1])
    assert len(traces) == 1


def test_there_are_no_more_variants_than_sequences_of_pivots() -> None:
    traces = []

    def function(a: Any) -> Any:
        traces.append(1)
        return linalg.det(a)

    run = compile(function)
    for seed in range(60):
        assert near(run(matrix(3, seed)), np.linalg.det(matrix(3, seed)))
    assert len(traces) == 6  # one of three, then one of two


def test_a_cholesky_factor_is_a_decision_for_each_diagonal_element() -> None:
    run = compile(linalg.cholesky)
    assert run.program(definite(5)).stats["guards"] == 5


def test_what_is_no_number_spreads_and_is_no_singularity() -> None:
    for bad in (math.nan, math.inf):
        for i, j in np.ndindex(2, 2):
            a = np.array([[2.0, 1.0], [1.0, 3.0]])
            a[i, j] = bad
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert not math.isfinite(linalg.det(values(a)).data)
            if bad != bad:
                assert np.isnan(data_of(linalg.solve(values(a), [1.0, 1.0]))).all()
                assert np.isnan(data_of(linalg.slogdet(values(a))[1]))
    with pytest.raises(LinAlgError, match="not positive definite"):
        linalg.cholesky(values(np.array([[math.nan, 0.0], [0.0, 1.0]])))


# Singular matrices


def test_singular_matrices_raise_what_numpy_raises() -> None:
    a = np.array([[1.0, 2.0], [2.0, 4.0]])
    for given in (a, values(a)):
        for call in (lambda g: linalg.solve(g, [1.0, 1.0]), linalg.inv):
            with pytest.raises(LinAlgError, match=r"^Singular matrix$"):
                call(given)
        with pytest.raises(LinAlgError, match=r"^Matrix is not positive definite$"):
            linalg.cholesky(given - 3.0 * np.eye(2))
        with pytest.raises(LinAlgError, match=r"singular matrix: resolution failed at diagonal 1$"):
            linalg.solve_triangular(given * np.array([[1, 1], [1, 0]]), [1.0, 1.0])
    with pytest.raises(LinAlgError, match=r"^Singular matrix$"):
        compile(lambda a: linalg.solve(a, [1.0, 1.0]))(a)


def test_a_singular_row_is_an_outcome_that_a_function_may_catch() -> None:
    def safe(a: Any) -> Any:
        try:
            return linalg.solve(a, [1.0, 1.0])[0]
        except LinAlgError:
            return -1.0

    a = np.array([np.eye(2), np.ones((2, 2)), 2.0 * np.eye(2)])
    assert near(compile(safe, in_axes=0)(a), [1.0, -1.0, 0.5])
    with pytest.raises(LinAlgError, match="Singular matrix"):
        compile(linalg.inv, in_axes=0)(a)


def test_the_determinant_of_a_singular_matrix_is_zero_with_its_derivatives() -> None:
    zero_column = matrix(4)
    zero_column[:, 1] = 0.0
    for a in (
        np.array([[1.0, 2.0], [2.0, 4.0]]),
        np.zeros((1, 1)),
        np.array([[0.0, 1.0, 2.0], [0.0, 3.0, 5.0], [0.0, 1.0, 1.0]]),
        np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [2.0, 1.0, 1.0]]),
        zero_column,
        np.zeros((3, 3)),
    ):
        assert linalg.det(values(a)).data == 0.0
        found = linalg.slogdet(values(a))
        assert (found.sign.data, found.logabsdet.data) == (0.0, -math.inf)
        run = compile(linalg.det)
        assert run(a) == 0.0
        assert near(run.grad(a), cofactors(a))
        assert compile(lambda a: tuple(linalg.slogdet(a)))(a) == (0.0, -math.inf)


def cofactors(a: Array) -> Array:
    """The derivative of the determinant, also where that is 0."""
    n = len(a)
    minors = [
        [np.linalg.det(np.delete(np.delete(a, i, 0), j, 1)) for j in range(n)] for i in range(n)
    ]
    return np.array(minors) * (-1.0) ** np.add.outer(range(n), range(n))


@pytest.mark.parametrize("strict", [False, True])
def test_ties_and_singular_rows_are_decided_as_the_function_decides_them(strict: bool) -> None:
    a = np.random.default_rng(3).integers(-1, 2, size=(120, 3, 3)) * 0.1
    eager = [(linalg.det(values(x)), linalg.slogdet(values(x))) for x in a]
    run = compile(linalg.det, in_axes=0, strict=strict)
    signs, logarithms = compile(linalg.slogdet, in_axes=0, strict=strict)(a)
    found, wanted = run(a), data_of([d for d, _ in eager])
    assert np.array_equal(found == 0.0, wanted == 0.0)
    assert 0 < np.count_nonzero(found) < len(a)
    assert near(found, wanted, 1e-15)
    assert np.array_equal(signs, data_of([s.sign for _, s in eager]))
    assert np.allclose(logarithms, data_of([s.logabsdet for _, s in eager]), 1e-14)
    if strict:
        assert np.array_equal(found, wanted)
    assert near(run.grad(a), np.array([cofactors(x) for x in a]), 1e-15)


def test_second_derivatives_of_a_determinant_of_rank_zero_are_there() -> None:
    hessian = arenagrad.hessian(linalg.det)(np.zeros((2, 2)))
    wanted = np.zeros((2, 2, 2, 2))
    wanted[0, 0, 1, 1] = wanted[1, 1, 0, 0] = 1.0
    wanted[0, 1, 1, 0] = wanted[1, 0, 0, 1] = -1.0
    assert near(hessian, wanted)
    assert linalg.det(values(np.zeros((9, 9)))).data == 0.0


def test_the_logarithm_of_no_determinant_has_no_finite_gradient() -> None:
    gradient = arenagrad.grad(lambda a: linalg.slogdet(a)[1])(np.array([[1.0, 2.0], [2.0, 4.0]]))
    assert not np.isfinite(gradient).any()


# What is taken and refused


def test_empty_matrices_are_those_of_numpy() -> None:
    empty = np.empty((0, 0))
    for given in (empty, empty.astype(object), values(empty)):
        assert linalg.det(given) == 1.0
        assert linalg.slogdet(given) == (1.0, 0.0)
        assert linalg.inv(given).shape == linalg.cholesky(given).shape == (0, 0)
        assert linalg.solve(given, np.empty((0, 2))).shape == (0, 2)
        assert linalg.solve_triangular(given, []).shape == (0,)


def test_elements_of_results_are_values_even_where_they_are_constant() -> None:
    factor = linalg.cholesky([[Value(4.0), 0.0], [2.0, 5.0]])
    assert all(type(x) is Value for x in factor.ravel())
    x = linalg.solve([[1.0, 0.0], [0.0, Value(2.0)]], [1.0, 1.0])
    assert all(type(x) is Value for x in x)
    assert type(linalg.det([[1.0, Value(0.0)], [0.0, 1.0]])) is Value


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "solve": lambda a: linalg.solve(a, [1.0, 1.0]),
    "inv": linalg.inv,
    "det": linalg.det,
    "slogdet": linalg.slogdet,
    "cholesky": linalg.cholesky,
    "cholesky, upper": lambda a: linalg.cholesky(a, upper=True),
    "solve_triangular": lambda a: linalg.solve_triangular(a, [1.0, 1.0]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_wrong_matrices_are_refused_by_the_same_words(name: str) -> None:
    function, v = FUNCTIONS[name], Value(1.0)
    for number in (v, 1.0):
        with pytest.raises(
            LinAlgError, match=r"^1-dimensional array given. Array must be at least"
        ):
            function([number, 1.0])
        with pytest.raises(LinAlgError, match=r"^Last 2 dimensions of the array must be square$"):
            function([[number, 1.0]])
        for wrong in (1j, "1", None):
            with pytest.raises(TypeError, match="an element must be a real number, got"):
                function([[number, wrong], [1.0, 1.0]])
        with pytest.raises(ValueError, match="equally long"):
            function([[number, 1.0], [1.0]])
    with pytest.raises(ValueError, match=r"not a stack of them, got shape \(1, 2, 2\)"):
        function(values(np.ones((1, 2, 2))))
    with pytest.raises(TypeError, match="an element must be a real number, got complex"):
        function(np.eye(2) * 1j)


def test_numbers_of_every_kind_are_elements() -> None:
    a = [[Value(1.0), np.float32(2.0)], [np.int64(3), np.array(4.0)]]
    assert linalg.det(a).data == pytest.approx(-2.0)
    assert linalg.det([[True, 2], [3, 4]]) == pytest.approx(-2.0)


def test_wrong_right_sides_are_refused() -> None:
    a = values(np.eye(2))
    for solve in (linalg.solve, linalg.solve_triangular):
        for b in (1.0, [1.0], np.ones((3, 2)), np.ones((1, 2, 2))):
            with pytest.raises(ValueError, match=r"b must have the shape \(2,\) or \(2, k\)"):
                solve(a, b)
    with pytest.raises(ValueError, match="trans must be 0, 1, 2, 'N', 'T' or 'C', got 3"):
        linalg.solve_triangular(a, [1.0, 1.0], trans=3)  # type: ignore[arg-type]


def test_stacks_of_numbers_are_answered_by_numpy() -> None:
    stack = np.array([definite(3, seed) for seed in range(4)])
    assert np.array_equal(linalg.det(stack), np.linalg.det(stack))
    assert np.array_equal(linalg.inv(stack), np.linalg.inv(stack))
    assert np.array_equal(linalg.slogdet(stack)[1], np.linalg.slogdet(stack)[1])
    assert np.array_equal(linalg.cholesky(stack), np.linalg.cholesky(stack))


@pytest.mark.slow
def test_the_module_is_imported_when_it_is_first_asked_for() -> None:
    code = (
        "import sys, arenagrad; assert 'arenagrad.linalg' not in sys.modules;"
        "arenagrad.linalg.solve; assert 'arenagrad.linalg' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_factorisation_is_the_nodes_that_it_says() -> None:
    for n in (8, 16):
        a, b = values(definite(n)), values(np.ones(n))
        count = len(arenagrad.topological_order(arenagrad.sum(linalg.cholesky(a).ravel())))
        assert count - n * n < 2.0 * n * n + 8 * n
        count = len(arenagrad.topological_order(arenagrad.sum(linalg.solve(a, b))))
        assert count - n * n < 1.5 * n * n + 8 * n
