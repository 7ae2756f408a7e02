"""The losses: values and gradients as torch has them, digits that torch loses, errors."""

import importlib.util
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import arenagrad
import losses_oracle
from arenagrad import Value, losses
from losses_oracle import CASES, REDUCTIONS, Answer, Case, flat, weights
from settled import settled_nodes

every_case = pytest.mark.parametrize("name", CASES)


def leaves(nested: Any) -> Any:
    """The same nested lists, of Values."""
    return [leaves(part) for part in nested] if isinstance(nested, list) else Value(nested)


def our_answer(case: Case) -> Answer:
    """A case under arenagrad, asked as torch is asked."""
    answer: Answer = {}
    for reduction in REDUCTIONS:
        xs = leaves(case.predictions)
        ts = leaves(case.targets) if case.soft else case.targets
        found = flat(getattr(losses, case.loss)(xs, ts, reduction=reduction))
        arenagrad.dot(weights(len(found)), found).backward()
        answer[reduction] = [loss.data for loss in found]
        answer[f"{reduction}: gradient"] = [x.grad for x in flat(xs)]
        if case.soft:
            answer[f"{reduction}: gradient of targets"] = [t.grad for t in flat(ts)]
    return answer


@every_case
def test_losses_and_gradients_are_those_that_torch_gave(name: str) -> None:
    ours, theirs = our_answer(CASES[name]), losses_oracle.stored(name)
    assert losses_oracle.same(ours, theirs), (ours, theirs)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
@every_case
def test_torch_as_installed_still_answers_as_stored(name: str) -> None:
    import torch

    live = losses_oracle.torch_answer(torch, CASES[name])
    assert losses_oracle.same(live, losses_oracle.stored(name))


@every_case
def test_numbers_alone_give_the_same_losses_as_floats(name: str) -> None:
    case = CASES[name]
    wanted = losses_oracle.stored(name)
    for reduction in REDUCTIONS:
        found = flat(getattr(losses, case.loss)(case.predictions, case.targets, reduction))
        assert all(type(loss) is float for loss in found)
        assert losses_oracle.same({reduction: found}, {reduction: wanted[reduction]})


@every_case
def test_arrays_give_the_same_losses_in_their_shape(name: str) -> None:
    case = CASES[name]
    wanted = losses_oracle.stored(name)
    targets = np.array(case.targets)
    xs = arenagrad.values(case.predictions)
    loss = getattr(losses, case.loss)
    assert loss(xs, targets).data == pytest.approx(wanted["mean"][0], rel=1e-12, abs=1e-12)
    found = loss(xs, targets, "none")
    shape = xs.shape[:-1] if case.loss == "cross_entropy" else xs.shape
    assert np.shape(found) == shape
    assert isinstance(found, np.ndarray if shape else Value)
    data = arenagrad.data_of(found).ravel().tolist()
    assert losses_oracle.same({"none": data}, {"none": wanted["none"]})


def test_losses_one_by_one_are_nested_like_the_predictions() -> None:
    found = losses.mse([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[0, 0, 0], [0, 0, 0]], "none")
    assert found == [[1.0, 4.0, 9.0], [16.0, 25.0, 36.0]]
    found = losses.cross_entropy([[[0.0, 0.0]], [[0.0, 0.0]]], [[0], [1]], "none")
    assert found == [[math.log(2.0)], [math.log(2.0)]]
    assert losses.mse([], [], "none") == []
    assert losses.mse([], [], "sum") == 0.0


def test_a_small_loss_keeps_its_digits_where_torch_cancels_them() -> None:
    close = pytest.approx(math.log1p(math.exp(-40.0)), rel=1e-15, abs=0.0)
    assert losses.cross_entropy([40.0, 0.0], 0) == close
    assert losses.cross_entropy([1e6 + 40.0, 1e6], [1.0, 0.0]) == close
    assert losses.binary_cross_entropy_with_logits(-40.0, 0) == close
    assert losses.binary_cross_entropy_with_logits(40.0, 1) == close
    close = pytest.approx(-math.log1p(-1e-9), rel=1e-15, abs=0.0)
    assert losses.binary_cross_entropy(1e-9, 0) == close


def test_infinite_logits_of_the_right_sign_cost_nothing() -> None:
    assert losses.binary_cross_entropy_with_logits([math.inf, -math.inf], [1, 0]) == 0.0
    assert losses.cross_entropy([0.0, -math.inf], 0) == 0.0


def test_gradients_of_the_hinge_are_those_of_margins_that_are_missed() -> None:
    scores = leaves([0.5, 2.0, -0.5])
    losses.hinge(scores, [1, 1, -1], "sum").backward()
    assert [s.grad for s in scores] == [-1.0, 0.0, 1.0]


def test_a_loss_is_a_few_nodes_an_element() -> None:
    xs = leaves([0.25] * 100)
    sizes = {
        name: len(arenagrad.topological_order(getattr(losses, name)(xs, [1] * 100))) / 100
        for name in ("mse", "hinge", "binary_cross_entropy", "binary_cross_entropy_with_logits")
    }
    assert sizes == pytest.approx(
        {
            "mse": 4,  # x, the target, their difference, its square
            "hinge": 6,  # x, a label, a product, 1, a sum, its relu
            "binary_cross_entropy": 4,  # x, its logarithm, -1, a product
            "binary_cross_entropy_with_logits": 4,  # x, -1, a product, its softplus
        },
        abs=0.02,
    )
    entropy = losses.cross_entropy(xs, 3)
    assert len(arenagrad.topological_order(entropy)) < 105


PAIR = [Value(0.5), Value(0.25)]


@pytest.mark.parametrize(
    ("loss", "predictions", "targets", "error", "message"),
    [
        ("mse", PAIR, [1.0], ValueError, r"targets must have the shape \(2,\) .* got \(1,\)"),
        ("mse", PAIR, 1.0, ValueError, r"got \(\)"),
        ("mse", [PAIR, PAIR[:1]], [[1, 2], [3]], ValueError, "equally long"),
        ("mse", PAIR, [1.0, "2"], TypeError, "str"),
        ("mse", PAIR, [1.0, None], TypeError, "NoneType"),
        ("mse", [], [], ValueError, "mean of no losses"),
        ("cross_entropy", PAIR[0], 0, ValueError, "logits must be lists"),
        ("cross_entropy", PAIR, 2, IndexError, r"in \[0, 2\), got 2"),
        ("cross_entropy", PAIR, -1, IndexError, "got -1"),
        ("cross_entropy", PAIR, 1.0, TypeError, "must be an integer, got float"),
        ("cross_entropy", PAIR, Value(1.0), TypeError, "must be an integer, got Value"),
        ("cross_entropy", [PAIR, PAIR], [0, 5], IndexError, "got 5"),
        ("cross_entropy", [PAIR, PAIR], [0, 1, 1], ValueError, r"shape \(2,\) of indices"),
        ("cross_entropy", PAIR, [0.5, 0.25, 0.25], ValueError, r"\(2,\) of probabilities"),
        ("cross_entropy", PAIR, [0.5, "x"], TypeError, "str"),
        ("cross_entropy", [], [], ValueError, "no class"),
        ("binary_cross_entropy", [0.5, Value(1.5)], [1, 1], ValueError, r"in \[0, 1\], got 1\.5"),
        ("binary_cross_entropy", [PAIR[0], math.nan], [1, 1], ValueError, "got nan"),
        ("binary_cross_entropy", PAIR, [1], ValueError, "targets must have the shape"),
        ("binary_cross_entropy_with_logits", PAIR, [1], ValueError, "targets must have the shape"),
        ("hinge", PAIR, [1, 0], ValueError, r"labels must be -1 or 1, got 0\.0"),
        ("hinge", PAIR, [1], ValueError, "labels must have the shape"),
        ("hinge", PAIR, [1, 1j], TypeError, "complex"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_recorded(
    loss: str, predictions: Any, targets: Any, error: type[Exception], message: str
) -> None:
    arenagrad.collect()
    before = settled_nodes()
    with pytest.raises(error, match=message):
        getattr(losses, loss)(predictions, targets)
    assert arenagrad.arena_info()["nodes"] == before


@pytest.mark.parametrize("loss", losses.__all__)
def test_a_reduction_of_another_name_is_refused(loss: str) -> None:
    with pytest.raises(ValueError, match="'mean', 'sum' or 'none', got 'max'"):
        getattr(losses, loss)([Value(0.5), 0.5], [1, 1], reduction="max")


def test_losses_in_a_compiled_function_follow_every_number() -> None:
    calls: list[tuple[Callable[[Any, Any], Any], list[tuple[Any, Any]]]] = [
        (losses.mse, [([1.0, math.nan], [0.5, 2.0]), ([1.0, 3.0], [math.nan, 2.0])]),
        (losses.mse, [([[1.0], [2.0]], [[0.5], [1.5]]), ([[0.0], [4.0]], [[1.0], [1.0]])]),
        (losses.hinge, [([0.5, 2.0], [1.0, -1.0]), ([0.5, 2.0], [-1.0, 1.0])]),
        (
            losses.binary_cross_entropy,
            [([0.5, 0.9], [1.0, 0.25]), ([0.0, 1.0], [1.0, 0.5]), ([1e-13, 0.5], [0.0, 1.0])],
        ),
        (
            losses.binary_cross_entropy_with_logits,
            [([0.5, -9.0], [1.0, 0.0]), ([3.0, 1.0], [0.5, 0.5])],
        ),
        (
            lambda x, t: losses.cross_entropy(x, t),
            [([0.5, 2.0], [0.5, 0.5]), ([1.0, -2.0], [1.0, 0.0])],
        ),
    ]
    for loss, points in calls:
        f = arenagrad.compile(loss)
        for x, t in points:
            values = [arenagrad.values(x), arenagrad.values(t)]
            wanted = loss(*values)
            wanted.backward()
            assert f(x, t) == pytest.approx(wanted.data, nan_ok=True)
            gradient = f.grad(np.array(x), np.array(t), argnums=(0, 1))
            for got, by in zip(gradient, values, strict=True):
                assert got == pytest.approx(arenagrad.grad_of(by), nan_ok=True)
    with pytest.raises(ValueError, match=r"labels must be -1 or 1, got 0.5"):
        arenagrad.compile(losses.hinge)([1.0], [0.5])
