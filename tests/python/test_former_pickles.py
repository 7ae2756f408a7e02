"""Pickles of an earlier version load and give what they gave there.

The oracle are the numbers that the version which wrote the pickles computed.
"""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).with_name("references") / "former"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
PROTOCOLS = pytest.mark.parametrize("protocol", [2, 5])
X = np.linspace(-1, 2, 4)


def load(name: str, protocol: int) -> Any:
    return pickle.loads((FOLDER / f"{name}.{protocol}.pickle").read_bytes())


@PROTOCOLS
def test_a_decorated_function_comes_back_with_its_derivatives(protocol: int) -> None:
    bend = load("bend", protocol)
    assert bend(X) == EXPECTED["bend"]
    assert bend.grad(X).tolist() == EXPECTED["bend_grad"]


@PROTOCOLS
def test_both_variants_of_a_branching_function_come_back(protocol: int) -> None:
    branches = load("branches", protocol)
    assert [branches(1.0, 2.0), branches(2.0, 1.0)] == EXPECTED["branches"]


@PROTOCOLS
def test_a_compiled_function_and_a_derivative_come_back(protocol: int) -> None:
    assert load("plain", protocol)(2.0, 3.0) == EXPECTED["plain"]
    value, gradient = load("derived", protocol)(1.0, 2.0)
    assert [value, list(gradient)] == EXPECTED["derived"]


@PROTOCOLS
def test_a_batched_loss_comes_back_with_its_reduction(protocol: int) -> None:
    module, loss = load("module", protocol), load("loss", protocol)
    assert [parameter.data for parameter in module.parameters()] == EXPECTED["module"]
    points, labels = np.array(EXPECTED["points"]), np.array(EXPECTED["labels"])
    eager = sum((module(x) - y) ** 2 for x, y in zip(points, labels, strict=True)) / len(points)
    eager.backward()
    value, gradient = loss.value_and_grad(module, points, labels)
    assert value == pytest.approx(eager.data, rel=1e-14)
    assert gradient == pytest.approx([p.grad for p in module.parameters()], rel=1e-12)


@PROTOCOLS
def test_a_program_comes_back_and_runs(protocol: int) -> None:
    assert load("program", protocol)(X) == EXPECTED["program"]


@PROTOCOLS
def test_a_bound_method_and_its_object_come_back(protocol: int) -> None:
    assert load("method", protocol)(3.0) == EXPECTED["method"]
    assert load("model", protocol).energy(3.0) == EXPECTED["method"]


@PROTOCOLS
def test_values_and_optimisers_come_back(protocol: int) -> None:
    value = load("value", protocol)
    assert [value.data, value.grad] == EXPECTED["value"]
    assert value.note == "n"
    optimizer = load("optimizer", protocol)
    optimizer.step()
    assert len(optimizer.params) == len(EXPECTED["module"])
