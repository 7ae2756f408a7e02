"""The parts of the benchmarks of compiled functions. No times here."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

import arenagrad
from settled import settled_nodes

ROOT = Path(__file__).resolve().parents[2]
# The benchmarks are not part of the package; they lie beside these tests' folder.
sys.path.insert(0, str(ROOT))

from benchmarks import (  # noqa: E402
    compiled_batch,
    compiled_gaussian,
    compiled_gpt,
    compiled_graph,
    compiled_making,
    compiled_peers,
    compiled_point,
    compiled_sparse,
    gpt,
    measure,
    pure_value,
)


def test_the_network_in_scalars_is_that_in_matrices() -> None:
    problem = compiled_peers.Problem(5, 3)
    signal = problem.points
    for matrix, bias in compiled_peers.layers(problem.weights, 5):
        signal = np.tanh(signal @ matrix.T + bias)
    losses = (signal[:, 0] - problem.targets) ** 2
    for x, target, expected in zip(problem.points, problem.targets, losses, strict=True):
        found = compiled_peers.loss(problem.weights, x, target, math.tanh, 5)
        assert found == pytest.approx(expected, rel=1e-12)


def test_the_network_has_as_many_operations_as_meant() -> None:
    before = settled_nodes()
    weights = arenagrad.values(np.ones(compiled_peers.weight_count(16)))
    x, target = arenagrad.values(np.ones(2)), arenagrad.Value(0.5)
    leaves = arenagrad.arena_info()["nodes"]
    root = compiled_peers.loss(weights, x, target, arenagrad.tanh, 16)
    # A subtraction is a product with a constant, and a sum.
    assert arenagrad.arena_info()["nodes"] - leaves == compiled_peers.operation_count(16) + 2
    assert leaves - before == len(weights) + 3
    assert root.data > 0
    assert compiled_peers.operation_count(16) == 643
    assert compiled_peers.operation_count(64) == 8_707


def test_a_batch_gives_the_sums_of_points() -> None:
    problem = compiled_peers.Problem(4, 20)
    _, (value, gradient) = compiled_batch.ours(problem)
    total, partials = 0.0, np.zeros_like(problem.weights)
    for k in range(20):
        one = compiled_peers.Problem(4, 20)
        one.points, one.targets = one.points[k:], one.targets[k:]
        _, answer = compiled_point.ours(one)
        total += float(answer[0])
        partials += answer[1]
    compiled_peers.check("sums", [value, gradient], [total, partials])


def test_different_answers_are_noticed() -> None:
    compiled_peers.check("x", [1.0, [2.0, 3.0]], [1.0 + 1e-12, np.array([2.0, 3.0])])
    for other in ([1.001, [2.0, 3.0]], [math.nan, [2.0, 3.0]], [1.0, [2.0]]):
        with pytest.raises(measure.DifferentAnswersError, match="x: "):
            compiled_peers.check("x", [1.0, [2.0, 3.0]], other)


def test_the_sparse_jacobian_is_that_of_the_residuals() -> None:
    pytest.importorskip("scipy.sparse", reason="SciPy is not installed")
    problem = compiled_sparse.Adjustment(2, 3, 4)
    _, matrix = compiled_sparse.ours(problem)
    step, k = 1e-6, 5  # a camera's centre
    sides = []
    for sign in (1.0, -1.0):
        cameras = problem.cameras.copy()
        cameras[0, k] += sign * step
        sides.append(
            [
                compiled_sparse.residual(math, cameras[i], problem.points[j], weight, seen)
                for i, j, weight, seen in zip(
                    problem.camera, problem.point, problem.weights, problem.seen, strict=True
                )
            ]
        )
    difference = (np.ravel(sides[0]) - np.ravel(sides[1])) / (2.0 * step)
    assert matrix.shape == (8, 2 * 11 + 3 * 3 + 4)
    assert matrix.toarray()[:, k] == pytest.approx(difference, abs=1e-6)


def test_the_likelihood_is_that_of_the_normal_distribution() -> None:
    seen = compiled_gaussian.Observations(30)
    _, (value, gradient) = compiled_gaussian.ours(seen)
    covariance = np.exp(-0.5 * seen.squares) + 0.1 * np.eye(30)
    inverse = np.linalg.inv(covariance)
    wanted = 0.5 * (seen.ys @ inverse @ seen.ys + np.linalg.slogdet(covariance)[1])
    assert value == pytest.approx(wanted)
    explained = inverse @ seen.ys
    assert gradient[2] == pytest.approx(0.5 * (np.trace(inverse) - explained @ explained))


@pytest.mark.parametrize("operations", [600, 2_000])
def test_random_graphs_use_every_value(operations: int) -> None:
    steps = compiled_making.draw(operations)
    used = {k for step in steps for k in step.operands}
    last = compiled_making.INPUTS + len(steps) - 1
    assert len(steps) == operations
    assert used | {last} == set(range(last + 1))


def test_random_graphs_stay_in_their_domains() -> None:
    draw = np.random.default_rng(1)
    inputs = draw.uniform(-1.0, 1.0, 32)[:, None] + draw.uniform(-0.05, 0.05, (32, 8))
    table = [row for row in arenagrad._core.op_table() if hasattr(np, row["name"])]
    table = [row for row in table if row["name"] != "pow"]
    steps = compiled_graph.draw(table, 700, inputs)
    assert len(steps) == 700
    assert len({step.name for step in steps}) > 20
    functions = compiled_graph.our_functions()
    function = arenagrad.compile(lambda x: compiled_graph.run(steps, x, functions), in_axes=1)
    values, gradients = function.value_and_grad(inputs)
    assert np.isfinite(values).all()
    assert np.isfinite(gradients).all()


@pytest.mark.slow
def test_the_compiled_gpt_learns_as_the_pure_one_does() -> None:
    ours, theirs = compiled_gpt.Training().step, gpt.stepper(pure_value.Value)
    for _ in range(3):
        assert ours() == pytest.approx(theirs(), rel=1e-12)


def test_a_peer_that_is_missing_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiled_peers.peer("no_such_module_as_this") is None
    monkeypatch.setattr(compiled_point, "peer", lambda _: None)
    monkeypatch.setattr(compiled_graph, "peer", lambda _: None)
    rows = compiled_point.rows(False) + compiled_graph.rows(False)
    assert len(rows) == 7
    assert all("not installed" in row.other or "--full" in row.other for row in rows)
    assert {row.reached for row in rows} == {None}
