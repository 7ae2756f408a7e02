"""Compiled functions as methods: called and differentiated through their objects.

The oracle is the same call of the function, which is given the object.
"""

import copy
import inspect
import pickle
import pydoc
from typing import Any

import numpy as np
import pytest

import arenagrad as ag
from arenagrad import Value, compile, nn


class Spring:
    """An object without numbers that are arguments."""

    def __init__(self, stiffness: float) -> None:
        self.stiffness = stiffness

    @compile
    def energy(self, x: Any, scale: Any = 1.0) -> Any:
        """The energy of one."""
        return self.stiffness * x * x * scale

    @compile(in_axes=(None, 0), reduce="sum")
    def total(self, x: Any) -> Any:
        """That of many."""
        return self.stiffness * x * x

    @compile(static_argnums=(0, 2))
    def power(self, x: Any, n: int) -> Any:
        """One with a static argument behind the object."""
        return self.stiffness * x**n


class Learned(nn.Module):
    """An object whose stiffness is an argument too."""

    energy, total, power = Spring.energy, Spring.total, Spring.power

    def __init__(self, stiffness: float) -> None:
        self.stiffness = Value(stiffness)

    def parameters(self) -> list[Value]:
        """The stiffness."""
        return [self.stiffness]


every_class = pytest.mark.parametrize("kind", [Spring, Learned])


@every_class
def test_derivatives_of_a_method_are_by_what_comes_behind_its_object(kind: Any) -> None:
    a, b = kind(2.0), kind(3.0)
    f = kind.energy
    assert (a.energy(3.0), b.energy(3.0)) == (18.0, 27.0)
    assert a.energy.value_and_grad(3.0) == f.value_and_grad(a, 3.0, argnums=1) == (18.0, 12.0)
    assert (a.energy.grad(3.0), b.energy.grad(3.0)) == (12.0, 18.0)
    assert a.energy.grad(3.0, 2.0, argnums=(0, 1)) == (24.0, 18.0)
    assert a.energy.grad(3.0, 2.0, argnums=-1) == 18.0
    assert a.energy.jacobian(3.0) == 12.0
    assert a.energy.jacobian(3.0, sparse=True).toarray().tolist() == [[12.0]]
    assert a.energy.hessian(3.0, 2.0, argnums=(0, 1)) == ((8.0, 12.0), (12.0, 0.0))
    assert a.energy.hvp((3.0, 2.0), 1.0) == 8.0
    assert a.energy.jvp((3.0, 1.0), (1.0, 0.0)) == (18.0, 12.0)
    assert a.energy.vjp((3.0, 2.0), 1.0) == (36.0, (24.0, 18.0))
    assert a.energy.program(3.0)(a, 4.0) == 32.0
    assert a.power.grad(3.0, 2) == 12.0


def test_a_module_is_an_argument_of_the_function_alone() -> None:
    module = Learned(2.0)
    assert Learned.energy.value_and_grad(module, 3.0) == (18.0, [9.0])
    assert Learned.total.grad(module, np.array([1.0, 2.0])) == [5.0]


@every_class
def test_functions_of_functions_derive_methods_as_methods(kind: Any) -> None:
    a = kind(2.0)
    assert ag.grad(a.energy)(3.0) == 12.0
    assert ag.grad(ag.grad(a.energy))(3.0) == ag.hessian(a.energy)(3.0) == 4.0
    assert ag.value_and_grad(a.energy, argnums=(0, 1))(3.0, 2.0) == (36.0, (24.0, 18.0))
    assert ag.jacobian(a.energy, argnums=-1)(3.0, 2.0) == 18.0
    assert ag.hvp(a.energy)((3.0,), 1.0) == 4.0


@every_class
def test_methods_may_take_batches(kind: Any) -> None:
    a, rows = kind(2.0), np.array([1.0, 2.0, 3.0])
    assert a.total(rows) == a.total.map(rows, chunksize=2) == 28.0
    value, gradient = a.total.value_and_grad(rows)
    assert (value, gradient.tolist()) == (28.0, [4.0, 8.0, 12.0])
    value, gradient = ag.value_and_grad(a.total).map(rows)
    assert (value, gradient.tolist()) == (28.0, [4.0, 8.0, 12.0])
    gradient = np.empty(3)
    assert a.total.grad(rows, out=gradient) is gradient
    assert a.total.hvp((rows,), rows).tolist() == [4.0, 8.0, 12.0]


@every_class
def test_wrong_arguments_of_methods_are_counted_without_the_object(kind: Any) -> None:
    a = kind(2.0)
    for argnum in (1, -2):
        with pytest.raises(IndexError, match=f"asks for argument {argnum} of 1$"):
            a.energy.grad(3.0, argnums=argnum)
    with pytest.raises(ValueError, match="argument 1 is static"):
        a.power.grad(3.0, 2, argnums=1)
    for wrong in ("jvp", "vjp", "hvp"):
        with pytest.raises(TypeError, match="args must be a tuple with all arguments, got float"):
            getattr(a.energy, wrong)(3.0, 1.0)
    with pytest.raises(TypeError, match="tangents must be a tuple"):
        a.energy.jvp((3.0,), 1.0)


def test_bound_methods_are_what_bound_methods_are() -> None:
    a, b = Spring(2.0), Spring(2.0)
    assert a.energy == a.energy != b.energy
    assert hash(a.energy) == hash(a.energy)
    assert a.energy != a.total
    assert a.energy.__self__ is a
    assert a.energy.__func__ is Spring.energy
    assert a.energy.__name__ == "energy"
    assert a.energy.__doc__ == "The energy of one."
    assert str(inspect.signature(a.energy)) == "(x: Any, scale: Any = 1.0) -> Any"
    assert "compiled Spring.energy" in repr(a.energy)
    assert not hasattr(a.energy, "stiffness")
    b.held = a.energy  # type: ignore[attr-defined]
    assert b.held(3.0) == 18.0  # type: ignore[attr-defined]
    for again in (pickle.loads(pickle.dumps(a.energy)), copy.deepcopy(a.energy)):
        assert again.__self__ is not a
        assert again(3.0) == 18.0
    assert copy.copy(a.energy) == a.energy


def test_the_native_methods_of_a_function_show_what_they_stand_for() -> None:
    f = compile(lambda x: x * x)
    for name in ("value_and_grad", "grad"):
        shown, method = getattr(f, name), getattr(ag.Compiled, name)
        assert shown.__doc__ == method.__doc__
        assert (shown.__name__, shown.__qualname__) == (name, f"Compiled.{name}")
        assert list(inspect.signature(shown).parameters) == ["args", "argnums", "out", "named"]
        assert method.__doc__.splitlines()[0] in pydoc.render_doc(shown)
