"""Matrices of more rows than are unrolled: one node or instruction a call, computed by LAPACK.

The oracle of derivatives is the elimination that is written out on Values, which shares no code
with the rules of matrices.
"""

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from numpy.linalg import LinAlgError

import arenagrad
from arenagrad import Program, Value, compile, data_of, grad_of, linalg, values

N = 18
Array = np.ndarray[Any, Any]
RANDOM = np.random.default_rng(7)
MATRIX = RANDOM.normal(size=(N, N))
DEFINITE = MATRIX @ MATRIX.T + 2.0 * np.eye(N)
RIGHT = RANDOM.normal(size=(N, 3))
WEIGHTS = RANDOM.normal(size=N * N)
A_STEP, B_STEP = RANDOM.normal(size=(N, N)), RANDOM.normal(size=(N, 3))


def weighted(array: Any) -> Any:
    numbers = array.ravel()
    return arenagrad.dot(WEIGHTS[: len(numbers)], numbers)


FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "solve": lambda a, b: weighted(linalg.solve(a, b)),
    "solve one": lambda a, b: weighted(linalg.solve(a, b[:, 0])),
    "inv": lambda a, _: weighted(linalg.inv(a)),
    "det": lambda a, _: linalg.det(a / 5.0),
    "slogdet": lambda a, _: linalg.slogdet(a)[1],
    "cholesky": lambda a, _: weighted(linalg.cholesky(a)),
    "cholesky, upper": lambda a, _: weighted(linalg.cholesky(a, upper=True)),
    "lower": lambda a, b: weighted(linalg.solve_triangular(a, b, lower=True)),
    "lower, one": lambda a, b: weighted(linalg.solve_triangular(a, b[:, 0], lower=True)),
    "lower, transposed": lambda a, b: weighted(linalg.solve_triangular(a, b, "T", lower=True)),
    "upper": lambda a, b: weighted(linalg.solve_triangular(a, b)),
    "upper, unit": lambda a, b: weighted(
        linalg.solve_triangular(a / 50.0, b, unit_diagonal=True, trans=1)
    ),
}


def along(name: str) -> Callable[[Any], Any]:
    """The function of a number by which both operands move."""
    function = FUNCTIONS[name]
    return lambda t: function(DEFINITE + t * A_STEP, RIGHT + t * B_STEP)


def unrolled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linalg, "_MOST_UNROLLED", 10 * N)


def derivatives(function: Callable[[Any], Any], t: float) -> list[float]:
    """The value and three derivatives, and the first again by a tangent."""
    run = compile(function)
    first = arenagrad.grad(run)
    second = arenagrad.grad(first)
    numbers = [run(t), first(t), second(t), arenagrad.grad(second)(t)]
    return [*numbers, run.jvp((t,), (1.0,))[1]]


def counts(function: Callable[..., Any], *arguments: Any) -> dict[str, int]:
    program = compile(function).program(*arguments)
    found: dict[str, int] = program.stats["counts"]
    return found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_of_orders_one_to_three_are_those_of_the_elimination(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = derivatives(along(name), 0.1)
    unrolled(monkeypatch)
    assert np.allclose(found, derivatives(along(name), 0.1), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_mode_gives_the_same_numbers(name: str) -> None:
    function, points = along(name), np.linspace(-0.1, 0.1, 70)
    leaf = Value(0.1)
    result = function(leaf)
    result.backward()
    strict = compile(function, strict=True)
    assert strict.value_and_grad(0.1) == (result.data, leaf.grad)
    run = compile(function)
    assert np.allclose(run.value_and_grad(0.1), (result.data, leaf.grad), rtol=1e-10)
    by_row = [run(t) for t in points]
    assert np.allclose(run.map(points), by_row, rtol=1e-10)
    assert np.array_equal(strict.map(points), [strict(t) for t in points])
    two = compile(function, threads=2)
    assert np.allclose(two.map(points), by_row, rtol=1e-10)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_by_all_elements_are_those_of_the_graph(name: str) -> None:
    a, b = values(DEFINITE), values(RIGHT)
    FUNCTIONS[name](a, b).backward()
    wanted = grad_of(a), grad_of(b)
    found = arenagrad.grad(compile(FUNCTIONS[name]), argnums=(0, 1))(DEFINITE, RIGHT)
    for one, other in zip(found, wanted, strict=True):
        assert np.allclose(one, other, rtol=1e-9, atol=1e-9)


def test_eager_derivatives_have_every_order() -> None:
    t = Value(0.1)
    function = along("cholesky")
    second = arenagrad.grad(arenagrad.grad(function))(t)
    second.backward()
    wanted = derivatives(function, 0.1)
    assert np.allclose([second.data, t.grad], wanted[2:4], rtol=1e-8)


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("cholesky", {"Cholesky": 1}),
        ("solve", {"LuFactors": 1, "LuSolve": 1}),
        ("slogdet", {"LuFactors": 1, "LuSolve": 1}),
        ("lower", {"TriangularSolve": 1}),
    ],
)
def test_a_call_is_one_instruction_whose_factors_are_found_once(
    name: str, counted: dict[str, int]
) -> None:
    found = counts(FUNCTIONS[name], DEFINITE, RIGHT)
    matrices = (
        "Cholesky",
        "CholeskyPullback",
        "LuFactors",
        "LuSolve",
        "TriangularSolve",
        "MatrixProduct",
    )
    assert {k: v for k, v in found.items() if k in matrices} == counted
    gradient = counts(arenagrad.grad(compile(FUNCTIONS[name])), DEFINITE, RIGHT)
    for factors in ("Cholesky", "LuFactors"):
        assert gradient.get(factors) == counted.get(factors)


def test_a_solve_and_a_determinant_share_the_factors() -> None:
    def both(a: Any, b: Any) -> Any:
        return weighted(linalg.solve(a, b)) + linalg.slogdet(a)[1]

    assert counts(arenagrad.grad(compile(both)), DEFINITE, RIGHT)["LuFactors"] == 1


@pytest.mark.parametrize("n", [16, 17])
def test_both_sides_of_the_switch_agree_with_numpy(n: int) -> None:
    a, b = DEFINITE[:n, :n], RIGHT[:n]
    assert np.allclose(data_of(linalg.solve(values(a), b)), np.linalg.solve(a, b))
    assert np.allclose(data_of(linalg.cholesky(values(a))), np.linalg.cholesky(a))
    assert np.allclose(data_of(linalg.inv(values(a))), np.linalg.inv(a))
    assert np.isclose(linalg.det(values(a)).data, np.linalg.det(a))
    assert ("LuSolve" in counts(lambda a: linalg.solve(a, b)[0, 0], a)) == (n > 16)


def test_results_have_the_bits_of_the_same_call_on_other_values() -> None:
    one = data_of(linalg.cholesky(values(DEFINITE)))
    assert np.array_equal(one, data_of(linalg.cholesky(values(DEFINITE))))
    assert np.array_equal(one, compile(linalg.cholesky)(DEFINITE))


# What fails


def broken(t: Any) -> Any:
    """Positive definite for t > 0."""
    a = DEFINITE.astype(object)
    a[3, 3] = a[3, 3] * t
    return linalg.cholesky(a)[-1, -1]


@pytest.mark.parametrize("strict", [False, True])
def test_a_matrix_that_is_not_definite_raises_alike_in_every_mode(strict: bool) -> None:
    run = compile(broken, strict=strict)
    assert run(1.0) == broken(Value(1.0)).data
    for call in (
        lambda: broken(Value(-1.0)),
        lambda: run(-1.0),
        lambda: run.value_and_grad(-1.0),
        lambda: compile(broken)(-1.0),
    ):
        with pytest.raises(LinAlgError, match=r"^Matrix is not positive definite$"):
            call()
    with pytest.raises(LinAlgError, match=r"^Matrix is not positive definite") as raised:
        run.map([1.0, 2.0, -1.0, -2.0])
    assert vars(raised.value)["row"] == 2


def caught(t: Any) -> Any:
    try:
        return broken(t)
    except LinAlgError:
        return 100.0 * t


@pytest.mark.parametrize("strict", [False, True])
def test_whether_a_caught_call_fails_is_a_decision(strict: bool) -> None:
    run = compile(caught, strict=strict)
    good = broken(Value(1.0)).data
    for one in (run, pickle.loads(pickle.dumps(run))):
        assert (one(1.0), one(-1.0)) == (good, -100.0)
        assert one.value_and_grad(-1.0) == (-100.0, 100.0)
        assert np.array_equal(one.map([-1.0, 1.0, -2.0]), [-100.0, good, -200.0])
    assert counts(caught, 1.0)["Equal"] == 1


@pytest.mark.parametrize("name", ["solve", "inv"])
def test_singular_matrices_raise_what_numpy_raises(name: str) -> None:
    function = {
        "solve": lambda a: linalg.solve(a, RIGHT)[0, 0],
        "inv": lambda a: linalg.inv(a)[0, 0],
    }[name]
    singular = MATRIX.copy()
    singular[:, 4] = 0.0
    run = compile(function)
    run(MATRIX)
    for call in (lambda: function(values(singular)), lambda: run(singular)):
        with pytest.raises(LinAlgError, match=r"^Singular matrix$"):
            call()


def test_a_zero_on_the_diagonal_of_a_triangle_is_named() -> None:
    a = DEFINITE.copy()
    a[5, 5] = 0.0
    for lower in (False, True):
        run = compile(lambda a, lower=lower: linalg.solve_triangular(a, RIGHT, lower=lower)[0, 0])
        for call in (lambda: linalg.solve_triangular(values(a), RIGHT), lambda run=run: run(a)):
            with pytest.raises(LinAlgError, match=r"resolution failed at diagonal 5$"):
                call()


def test_a_determinant_of_zero_has_its_cofactors() -> None:
    a = MATRIX.copy()
    a[0] = 0.0
    leaves = values(a)
    found = linalg.det(leaves)
    found.backward()
    assert found.data == 0.0
    cofactors = np.linalg.det(MATRIX) * np.linalg.inv(MATRIX).T[0]
    assert np.allclose(grad_of(leaves)[0], cofactors)
    run = compile(linalg.det)
    assert np.isclose(run(MATRIX), np.linalg.det(MATRIX))
    assert np.allclose(run.grad(a)[0], cofactors)
    assert np.allclose(run.map(np.stack([a, MATRIX])), [0.0, np.linalg.det(MATRIX)])
    sign, logarithm = compile(lambda a: tuple(linalg.slogdet(a)))(a)
    assert (sign, logarithm) == (0.0, -np.inf)


def test_no_right_side_is_solved_for_nothing() -> None:
    assert linalg.solve(values(MATRIX), np.ones((N, 0))).shape == (N, 0)
    assert linalg.solve_triangular(values(MATRIX), np.ones((N, 0))).shape == (N, 0)
    with pytest.raises(LinAlgError, match="Singular matrix"):
        linalg.solve(values(np.zeros((N, N))), np.ones((N, 0)))


# Files, and where there is no SciPy


def test_a_graph_with_matrices_is_pickled_and_copied() -> None:
    a = values(DEFINITE)
    result = linalg.slogdet(a)[1] + linalg.solve(a, RIGHT)[0, 0]
    result.backward()
    for twin_of in (lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy):
        twin, twin_a = twin_of((result, a))
        arenagrad.zero_grad(twin)
        twin.backward()
        assert twin.data == result.data
        assert np.array_equal(grad_of(twin_a), grad_of(a))


def test_a_file_holds_matrices_and_their_derivatives(tmp_path: Path) -> None:
    gradient = arenagrad.grad(compile(along("solve")))
    path = tmp_path / "solve.agpf"
    gradient.program(0.1).save(path)
    assert Program.load(path)(0.1) == gradient(0.1)
    compile(broken).program(1.0).save(path)
    with pytest.raises(LinAlgError, match=r"^Matrix is not positive definite$"):
        Program.load(path)(-1.0)


WITHOUT_SCIPY = """
import sys
sys.modules["scipy.linalg"] = None
import numpy as np
from arenagrad import Program, compile, linalg, values
random = np.random.default_rng(1)
for n, columns in ((20, 1), (30, 4)):
    a, b = random.normal(size=(n, n)), random.normal(size=(n, columns))
    a += 4.0 * np.eye(n)[::-1]
    run = compile(lambda a, b: linalg.solve(a, b))
    assert np.allclose(run(a, b), np.linalg.solve(a, b))
    d = a @ a.T
    assert np.allclose(compile(linalg.cholesky)(d), np.linalg.cholesky(d))
print(repr(float(Program.load(sys.argv[1])(0.1))))
for call in (
    lambda: linalg.det(values(np.eye(129))),
    lambda: Program.load(sys.argv[2]),
):
    try:
        call()
    except ImportError as error:
        print(error)
"""


def test_without_scipy_there_are_plain_loops_and_beyond_128_rows_an_error(tmp_path: Path) -> None:
    run = compile(along("solve"))
    paths = [tmp_path / "small.agpf", tmp_path / "large.agpf"]
    run.program(0.1).save(paths[0])
    compile(lambda t: linalg.slogdet(t * np.eye(129))[1]).program(2.0).save(paths[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SCIPY, *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    number, *errors = done.stdout.splitlines()
    assert np.isclose(float(number), run(0.1))
    assert len(errors) == 2
    for error in errors:
        assert error == (
            "matrices of more than 128 rows take LAPACK from SciPy, which is not installed: "
            "pip install 'arenagrad[linalg]'"
        )


# A Gaussian process


def negative_log_likelihood(xs: list[float], ys: Array) -> Callable[[Any, Any, Any], Any]:
    n = len(xs)

    def of(length: Any, variance: Any, noise: Any) -> Any:
        kernel = [[0.0] * n for _ in range(n)]
        for i in range(n):
            for j in range(i):
                distance = (xs[i] - xs[j]) ** 2
                kernel[i][j] = variance * arenagrad.exp(-0.5 / length**2 * distance)
            kernel[i][i] = variance + noise
        factor = linalg.cholesky(kernel)
        y = linalg.solve_triangular(factor, ys, lower=True)
        logarithms = arenagrad.sum([arenagrad.log(factor[i, i]) for i in range(n)])
        return 0.5 * arenagrad.dot(y, y) + logarithms

    return of


def test_the_likelihood_of_a_gaussian_process_and_its_gradient_are_the_closed_forms() -> None:
    n, (length, variance, noise) = 60, (0.8, 1.3, 0.2)
    random = np.random.default_rng(3)
    x, y = np.sort(random.uniform(0.0, 8.0, n)), random.normal(size=n)
    squares = (x[:, None] - x) ** 2
    smooth = variance * np.exp(-0.5 * squares / length**2)
    kernel = smooth + noise * np.eye(n)
    a = np.linalg.solve(kernel, y)
    by_kernel = 0.5 * (np.linalg.inv(kernel) - np.outer(a, a))
    wanted = [
        np.sum(by_kernel * smooth * squares / length**3),
        np.sum(by_kernel * smooth / variance),
        np.trace(by_kernel),
    ]
    function = compile(negative_log_likelihood(x.tolist(), y))
    value, gradient = arenagrad.value_and_grad(function, argnums=(0, 1, 2))(length, variance, noise)
    assert np.isclose(value, 0.5 * (y @ a + np.linalg.slogdet(kernel)[1]), rtol=1e-12)
    assert np.allclose(gradient, wanted, rtol=1e-9)
    leaves = [Value(p) for p in (length, variance, noise)]
    negative_log_likelihood(x.tolist(), y)(*leaves).backward()
    assert np.allclose([leaf.grad for leaf in leaves], wanted, rtol=1e-9)


def test_a_triangle_of_scipy_is_what_a_large_solve_gives() -> None:
    n = 200
    a = np.tril(np.random.default_rng(5).normal(size=(n, n))) / n + np.eye(n)
    b = np.arange(float(n))
    found = linalg.solve_triangular(values(a), b, lower=True)
    assert np.allclose(data_of(found), scipy.linalg.solve_triangular(a, b, lower=True))
