"""Arguments by name, and defaults, of compiled functions and their derivatives.

The oracles are closed forms, and the conventions of JAX.
"""

import pickle
from typing import Any

import numpy as np
import pytest

import arenagrad as ag
from arenagrad import compile


def scaled(x: Any, *, scale: Any, shift: Any = 1.0) -> Any:
    return x**2 * scale + shift


def test_arguments_by_name_are_inputs_of_the_program() -> None:
    calls: list[int] = []

    @compile
    def f(x: Any, *, scale: Any) -> Any:
        calls.append(1)
        return x**2 * scale

    for k in range(4):
        assert f(3.0, scale=float(k)) == 9.0 * k
    assert len(calls) == 1


def test_derivatives_are_by_position_and_take_arguments_by_name() -> None:
    f, at = compile(scaled), {"scale": 2.0}
    for _ in range(2):
        assert f.grad(3.0, **at) == 12.0
        assert f.value_and_grad(3.0, **at) == (19.0, 12.0)
        assert f.jacobian(3.0, **at) == 12.0
        assert f.hessian(3.0, **at) == 4.0
        assert f.jacobian(3.0, sparse=True, **at).toarray().tolist() == [[12.0]]
        assert f.hessian(3.0, sparse=True, **at).toarray().tolist() == [[4.0]]
    for make, expected in (
        *((ag.grad, 12.0), (ag.value_and_grad, (19.0, 12.0))),
        *((ag.jacobian, 12.0), (ag.hessian, 4.0)),
    ):
        derived: Any = make(f)
        assert derived(3.0, scale=2.0) == expected
        assert derived(3.0, scale=2.0) == expected
    with pytest.raises(IndexError, match="argument 1 of 1"):
        f.grad(3.0, argnums=1, **at)


def test_a_default_is_a_constant_until_it_is_given() -> None:
    f = compile(scaled)
    assert f(3.0, scale=2.0) == 19.0
    assert f(3.0, scale=2.0, shift=5.0) == 23.0
    assert f.grad(3.0, scale=2.0, shift=5.0) == 12.0
    assert f(3.0, scale=2.0) == 19.0
    assert f.program(3.0, scale=2.0).stats["inputs"] == 2
    assert f.program(3.0, scale=2.0, shift=5.0).stats["inputs"] == 3


def test_the_order_of_names_does_not_matter() -> None:
    calls: list[int] = []

    def g(x: Any, a: Any, b: Any) -> Any:
        calls.append(1)
        return x * a - b

    f = compile(g)
    assert f(2.0, a=3.0, b=1.0) == f(2.0, b=1.0, a=3.0) == 5.0
    assert len(calls) == 1
    assert f(2.0, 3.0, b=1.0) == 5.0
    assert f(x=2.0, b=1.0, a=3.0) == 5.0


def test_a_dict_in_the_last_place_is_not_taken_for_names() -> None:
    f = compile(lambda x, last=None, **named: x * (last or named)["a"])
    assert f(2.0, a=3.0) == 6.0
    assert f(2.0, {"a": 4.0}) == 8.0
    assert f(2.0, a=5.0) == 10.0
    assert f.grad(2.0, {"a": 4.0}, argnums=1) == {"a": 2.0}


def test_structures_and_choices_are_given_by_name() -> None:
    def g(x: Any, *, weights: Any, mode: str = "sum", flag: bool = False) -> Any:
        total = ag.sum(weights["w"]) * x
        return -total if mode == "minus" or flag else total

    f = compile(g)
    for _ in range(2):
        assert f(2.0, weights={"w": np.ones(3)}) == 6.0
        assert f(2.0, weights={"w": np.ones(3)}, mode="minus") == -6.0
        assert f(2.0, weights={"w": np.ones(3)}, flag=True) == -6.0
        assert f.grad(2.0, weights={"w": np.ones(4)}, mode="minus") == -4.0


def test_static_argnums_hold_for_an_argument_by_its_name() -> None:
    f = compile(lambda x, n: sum(x**k for k in range(n)), static_argnums=1)
    assert f(2.0, n=3) == 7.0
    assert f(2.0, 3) == 7.0
    program: Any = f.program(2.0, n=3)
    assert program(3.0, n=3) == 13.0
    with pytest.raises(TypeError, match=r"is for \(float, n=3\), got \(float, n=4\)"):
        program(3.0, n=4)
    assert f.grad(2.0, n=3) == 5.0


def test_out_takes_results_of_calls_with_names() -> None:
    f = compile(lambda x, *, k: x * k)
    out = np.zeros(2)
    for _ in range(2):
        assert f(np.array([1.0, 2.0]), k=3.0, out=out) is out
        assert out.tolist() == [3.0, 6.0]


def test_rows_come_first_in_arguments_by_name_and_numbers_are_the_same_in_all() -> None:
    f = compile(lambda x, *, y, k, mode: (x + y) * k * (1.0 if mode == "a" else 2.0), in_axes=0)
    x, y = np.arange(3.0), np.ones(3)
    for _ in range(2):
        assert f(x, y=y, k=2.0, mode="b").tolist() == [4.0, 8.0, 12.0]
        assert f.grad(x, y=y, k=2.0, mode="a").tolist() == [2.0, 2.0, 2.0]
        assert f.map(x, y=y, k=2.0, mode="a", chunksize=2).tolist() == [2.0, 4.0, 6.0]
    program = f.program(x, y=y, k=2.0, mode="b")
    assert program(x, y=y, k=3.0, mode="b").tolist() == [6.0, 12.0, 18.0]
    with pytest.raises(ValueError, match="equally many rows"):
        f(x, y=np.ones(4), k=2.0, mode="a")


def test_methods_take_arguments_by_name() -> None:
    class Model:
        def __init__(self) -> None:
            self.w = 2.0

        @compile
        def loss(self, x: Any, *, scale: Any) -> Any:
            return self.w * x**2 * scale

    model: Any = Model()
    for _ in range(2):
        assert model.loss(3.0, scale=2.0) == 36.0
        assert model.loss.grad(3.0, scale=2.0) == 24.0
        assert model.loss.value_and_grad(3.0, scale=2.0) == (36.0, 24.0)
        assert model.loss.jacobian(3.0, scale=2.0) == 24.0
        assert model.loss.hessian(3.0, scale=2.0) == 8.0
        assert model.loss.program(3.0, scale=2.0)(model, 3.0, scale=2.0) == 36.0


def test_values_by_name_call_the_function_itself() -> None:
    scale = ag.Value(2.0)
    y = compile(scaled)(ag.Value(3.0), scale=scale)
    y.backward()
    assert (y.data, scale.grad) == (19.0, 9.0)


def test_pickles_and_files_keep_names(tmp_path: Any) -> None:
    f = compile(scaled)
    assert f(3.0, scale=2.0) == 19.0
    again = pickle.loads(pickle.dumps(f))
    assert again(3.0, scale=3.0) == 28.0
    f.program(3.0, scale=2.0).save(tmp_path / "f.agpf")
    loaded: Any = ag.Program.load(tmp_path / "f.agpf")
    assert loaded(4.0, scale=2.0) == 33.0
    with pytest.raises(TypeError, match=r"is for \(float, scale=float\), got \(float, float\)"):
        loaded(4.0, 2.0)


def test_a_function_that_changes_what_it_got_by_name_is_warned_of() -> None:
    f = compile(lambda x, *, given: (given.append(1.0), x)[1])
    with pytest.warns(ag.FrozenValueWarning, match="changed its argument given in place"):
        f(1.0, given=[2.0])


def test_an_error_names_the_argument() -> None:
    with pytest.raises(TypeError, match=r"got object.*\(argument scale, at \['a'\]\)"):
        compile(scaled)(1.0, scale={"a": object()})
