"""Derivative functions called on Values: of a graph, and of a function being traced.

The expected numbers are worked out by hand, or by mpmath, which shares no code with the engine.
"""

import copy
import math
import numbers
import pickle
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import arenagrad as ag
from arenagrad import Value, compile, grad

ORDERS = range(1, 6)
# Each with the same function for mpmath.
FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], float]] = {
    "sin": (ag.sin, mpmath.sin, 0.7),
    "exp(x) x": (lambda x: ag.exp(x) * x, lambda x: mpmath.exp(x) * x, -0.3),
    "x**5": (lambda x: x**5, lambda x: x**5, 1.3),
    "tanh(x**2)": (lambda x: ag.tanh(x**2), lambda x: mpmath.tanh(x**2), 0.6),
    "1 / (1 + x)": (lambda x: 1 / (1 + x), lambda x: 1 / (1 + x), 0.5),
    "log(x) sqrt(x)": (
        lambda x: ag.log(x) * ag.sqrt(x),
        lambda x: mpmath.log(x) * mpmath.sqrt(x),
        1.7,
    ),
}


def nested(f: Callable[[Any], Any], order: int) -> Callable[[Any], Any]:
    """The derivative of an order, each level a call on the Values of the one around it."""
    if order == 0:
        return f
    inner = nested(f, order - 1)
    return lambda x: grad(inner)(x)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_in_derivatives_are_those_of_mpmath(name: str, order: int) -> None:
    f, reference, x = FUNCTIONS[name]
    with mpmath.workdps(50):
        wanted = float(mpmath.diff(reference, x, order))
    assert nested(f, order)(x) == pytest.approx(wanted, rel=1e-11)
    assert compile(nested(f, order))(x) == pytest.approx(wanted, rel=1e-11)
    assert nested(f, order)(Value(x)).data == pytest.approx(wanted, rel=1e-11)
    before = nested(f, order - 1)
    root, v = before(v := Value(x)), v
    root.backward()
    assert v.grad == pytest.approx(wanted, rel=1e-11)


def test_an_inner_derivative_is_not_confused_with_the_outer_one() -> None:
    """From Siskind and Pearlmutter, "Perturbation confusion and referential transparency"."""
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0) == 1.0
    assert grad(lambda x: x * grad(lambda y: x * y)(2.0))(3.0) == 6.0
    assert grad(lambda x: grad(lambda y: x * y)(x))(5.0) == 1.0

    def shifted(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda x: grad(lambda y: f(x + y))(0.0)

    assert shifted(shifted(ag.sin))(1.0) == pytest.approx(-math.sin(1.0), rel=1e-12)


def test_a_gradient_on_values_is_recorded_with_one_node_for_each_result() -> None:
    x, y = Value(1.5), Value(-0.5)
    partials = grad(lambda a, b: a * a * b, argnums=(0, 1))(x, y)
    assert [p.data for p in partials] == [2 * 1.5 * -0.5, 1.5**2]
    assert all(p._prev == {x, y} for p in partials)
    (partials[0] * partials[1]).backward()
    # Of (2 x y) (x x), which is 2 x^3 y.
    assert (x.grad, y.grad) == (6 * 1.5**2 * -0.5, 2 * 1.5**3)


def test_a_sweep_uses_the_primals_of_its_own_time() -> None:
    x = Value(2.0)
    y = grad(lambda t: t**3)(x)
    x.data = 5.0
    y.backward()
    assert x.grad == 30.0


def test_what_the_inner_function_closes_over_gets_its_adjoint() -> None:
    w = Value(2.0)
    y = grad(lambda x: x**2 * w)(Value(3.0)) * w
    y.backward()
    assert w.grad == 24.0
    assert grad(lambda w: grad(lambda x: x**2 * w)(3.0) * w)(2.0) == 24.0
    recorded = w * 1.0
    z = grad(lambda x: x**2 * recorded)(3.0)
    assert isinstance(z, Value)
    w.grad = 0.0
    z.backward()
    assert w.grad == 6.0
    assert grad(lambda x: x**2 * w)(3.0) == 12.0, "a parameter is no graph"
    assert isinstance(grad(lambda x: x**2 * w)(3.0), float)


def test_arrays_of_values_give_arrays_of_values() -> None:
    x = ag.values(np.array([[1.0, 2.0], [3.0, 4.0]]))
    g = grad(lambda a: (a * a * a).sum())(x)
    assert g.shape == (2, 2)
    assert ag.data_of(g) == pytest.approx(3.0 * np.array([[1.0, 4.0], [9.0, 16.0]]))
    g.sum().backward()
    assert ag.grad_of(x) == pytest.approx(6.0 * ag.data_of(x))


@pytest.mark.parametrize("kind", ["grad", "value_and_grad", "jacobian", "hessian"])
def test_every_derivative_function_takes_values(kind: str) -> None:
    f = compile(lambda x, y: x * x * y + ag.sin(y))
    derive = getattr(ag, kind)
    on_floats = derive(f)(1.2, 0.4)
    on_values = derive(f)(Value(1.2), Value(0.4))
    mixed = derive(f)(1.2, Value(0.4))
    traced = compile(lambda x, y: derive(f)(x, y))(1.2, 0.4)
    for other in (on_values, mixed, traced):
        np.testing.assert_allclose(
            np.array(ag.data_of(np.array(other, dtype=object)), float), on_floats, rtol=1e-12
        )


def test_products_with_derivatives_take_values_in_every_place() -> None:
    f = compile(lambda x, y: x * x * y)
    for x, v in ((1.5, Value(2.0)), (Value(1.5), 2.0), (Value(1.5), Value(2.0))):
        value, tangent = f.jvp((x, 3.0), (v, 1.0))
        assert value == 6.75
        assert tangent == pytest.approx(2 * 1.5 * 3.0 * 2.0 + 1.5**2)
        tangent.backward()
        if isinstance(v, Value):
            assert v.grad == 9.0
        product = f.hvp((x, 3.0), v)
        assert product == 12.0
        result, back = f.vjp((x, 3.0), v)
        assert result == 6.75
        assert back[0] == 18.0


def test_a_branch_inside_a_derivative_is_a_decision_of_the_function_around_it() -> None:
    def piece(x: Any) -> Any:
        return x**3 if x > 1.0 else x**2

    f = compile(lambda x: grad(piece)(x) * x)
    for x in (2.0, 0.5, 1.0, 3.0, -1.0):
        wanted = 3 * x**3 if x > 1.0 else 2 * x * x
        assert f(x) == pytest.approx(wanted)
    rows = compile(lambda x: grad(piece)(x) * x, in_axes=0)
    x = np.array([2.0, 0.5, 1.0, 3.0, -1.0])
    np.testing.assert_allclose(rows(x), np.where(x > 1.0, 3 * x**3, 2 * x * x))


def test_newtons_method_with_its_derivative_inside_is_compiled() -> None:
    def root(a: Any) -> Any:
        f = lambda x: x**3 + x - a  # noqa: E731
        x = 1.0 + 0.0 * a
        while abs(f(x)) > 1e-13:
            x = x - f(x) / grad(f)(x)
        return x

    solve = compile(root)
    for a in (5.0, 1.0, -3.0):
        x = solve(a)
        assert x**3 + x == pytest.approx(a, abs=1e-12)
        assert solve.grad(a) == pytest.approx(1 / (3 * x**2 + 1), rel=1e-9)


def test_an_error_inside_a_derivative_can_be_caught() -> None:
    def f(x: Any) -> Any:
        try:
            return grad(lambda t: ag.log(t) * t)(x)
        except ValueError:
            return x * 10.0

    g = compile(f)
    for x in (2.0, -1.0, 3.0, -2.0):
        wanted = math.log(x) + 1 if x > 0 else 10.0 * x
        assert g(x) == pytest.approx(wanted)


def test_in_no_grad_a_derivative_of_values_has_no_operands() -> None:
    with ag.no_grad():
        y = grad(lambda x: x**3)(Value(2.0))
    assert y.data == 12.0
    assert not y._prev


def test_a_sweep_that_fails_inside_a_derivative_changes_nothing() -> None:
    x = Value(0.0)
    value, _ = compile(lambda t: t**0.5, strict=True).vjp((x,), 0.0)
    y = value * 3.0
    with pytest.raises(ZeroDivisionError):
        y.backward()
    assert (x.grad, y.grad) == (0.0, 0.0)


def test_graphs_with_derivatives_are_compacted_and_dropped() -> None:
    x = Value(2.0)
    kept = grad(lambda t: t**4)(x)
    for _ in range(100):
        grad(lambda t: t**2)(x * 1.0)
    ag.collect()
    (kept * 1.0).backward()
    assert x.grad == 48.0
    before = ag.arena_info()["nodes"]
    many = [grad(lambda t: t**2)(x * 1.0) for _ in range(10)]
    del many
    ag.collect()
    assert ag.arena_info()["nodes"] == before


def leapfrog(q: Any, p: Any, step: float, steps: int, potential: Callable[[Any], Any]) -> Any:
    force = grad(potential)
    p = p - force(q) * (0.5 * step)
    for k in range(steps):
        q = q + p * step
        p = p - force(q) * (step if k < steps - 1 else 0.5 * step)
    return q, p


def test_a_leapfrog_with_its_gradient_inside_is_one_program() -> None:
    def potential(q: Any) -> Any:
        return ag.sum([0.5 * x * x for x in q]) + 0.1 * q[0] * q[1]

    f = compile(lambda q, p: leapfrog(q, p, 0.1, 20, potential))
    q, p = np.array([1.0, -0.5, 0.3]), np.array([0.2, 0.1, -0.4])
    got_q, got_p = f(q, p)
    a = np.eye(3)
    a[0, 1] = a[1, 0] = 0.1
    p = p - a @ q * 0.05
    for k in range(20):
        q = q + p * 0.1
        p = p - a @ q * (0.1 if k < 19 else 0.05)
    np.testing.assert_allclose(got_q, q, rtol=1e-12)
    np.testing.assert_allclose(got_p, p, rtol=1e-12)


def test_a_strict_derivative_raises_on_values_where_it_does_on_floats() -> None:
    root = compile(lambda t: t**0.5, strict=True)

    def doubled(x: Any) -> Any:
        try:
            return root.grad(x) * 2.0
        except ZeroDivisionError:
            return -1.0 - x

    for x in (0.0, Value(0.0)):
        with pytest.raises(ZeroDivisionError):
            root.grad(x)
        assert ag.data_of(doubled(x)) == -1.0
    assert doubled(Value(4.0)).data == 0.5
    # No decision of a trace stands for the error, so the function cannot catch it for good there.
    for strict in (False, True):
        f = compile(doubled, strict=strict)
        assert f(4.0) == 0.5
        with pytest.raises(ZeroDivisionError):
            f(0.0)
        assert f(1.0) == 1.0


def test_calls_on_values_of_a_known_structure_are_recorded_natively(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    w = Value(3.0)
    gradient = grad(lambda x, k: ag.sum([w * t**3 for t in x]) if x[0] > 0 else x[1] * k)
    cases = ([Value(1.0), 2.0], [Value(2.0), Value(0.5)], [-1.0, Value(2.0)], [-1.0, -2.0])
    first = [list(ag.data_of(gradient(x, 2.0))) for x in cases]
    assert first == [[9.0, 36.0], [36.0, 2.25], [0.0, 2.0], [0.0, 2.0]]

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the call was left to Python")

    monkeypatch.setattr(type(gradient._evaluation), "run", refuse)
    assert [list(ag.data_of(gradient(x, 2.0))) for x in cases] == first
    y = gradient([x := Value(2.0), 1.0], 0.0)[0]
    y.backward()
    assert (x.grad, w.grad) == (36.0, 12.0)


def test_known_arrays_of_values_are_read_in_any_layout_and_mixture() -> None:
    gradient = grad(lambda x: ag.sum([row[0] ** 2 * row[1] for row in x]))
    floats = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    expected = gradient(floats)
    values = ag.values(floats)
    mixed = values.copy()
    mixed[0, 0], mixed[1, 1], mixed[2, 0] = 1, np.float64(4.0), 5.0
    spread = np.empty((3, 4), object)
    spread[:, ::2] = values
    layouts = [values, mixed, np.asfortranarray(values), spread[:, ::2], floats.astype(object)]
    for _ in range(2):  # the second time by the native path
        for array in layouts:
            given = gradient(array)
            assert given.shape == (3, 2)
            assert np.array_equal(ag.data_of(given), expected)
        ag.sum(list(gradient(values).flat)).backward()
    assert values[0, 0].grad == 2 * (2 * 2.0 + 2 * 1.0)
    with pytest.raises(TypeError):
        gradient(np.empty((3, 2), object))


def test_a_call_on_values_may_be_made_while_another_reads_its_arguments() -> None:
    gradient = grad(lambda x: x[0] * x[1] ** 2)
    inner: list[Any] = []

    class Reading(numbers.Real):
        def __float__(self) -> float:
            inner.append(gradient([Value(5.0), Value(6.0)]))
            return 3.0

    Reading.__abstractmethods__ = frozenset()
    for _ in range(3):
        outer = gradient([Value(2.0), Reading()])
        assert list(ag.data_of(outer)) == [9.0, 12.0]
    assert [list(ag.data_of(given)) for given in inner] == [[36.0, 60.0]] * len(inner) != []


def test_a_known_call_on_numbers_and_a_module_stays_one_on_numbers() -> None:
    model = ag.nn.MLP(2, [3, 1])
    for p in model.parameters():
        p.data = 0.5
    gradient = grad(lambda m, x: m(x) ** 2 if x[0] < 1.0 else m(x) * 3.0, argnums=1)
    on_values = gradient(model, [Value(0.5), 1.0])
    assert all(isinstance(p, Value) for p in on_values)
    for x in ([0.5, 1.0], [2.0, 1.0], [0.5, 1.0]):
        assert all(isinstance(p, float) for p in gradient(model, x))
    sum(on_values).backward()
    assert any(p.grad != 0.0 for p in model.parameters())
    with pytest.raises(TypeError, match="out takes numbers"):
        grad(lambda x: x * x)(Value(1.0), out=np.zeros(()))


def test_a_variant_that_reads_values_of_a_trace_ends_with_it() -> None:
    state: dict[str, Any] = {}
    inner = compile(lambda t: t * t * state["w"])

    def f(x: Any) -> Any:
        state["w"] = x
        return inner.grad(x) + inner.grad(2.0)  # 2 x x + 4 x

    assert compile(f)(3.0) == 30.0
    assert compile(f).grad(3.0) == 16.0
    assert [grad(f)(x) for x in (1.0, 2.0)] == [8.0, 12.0]
    assert grad(grad(f))(1.0) == 4.0


def test_a_jvp_of_a_bound_method_reads_its_module_into_a_trace() -> None:
    class Scaled(ag.nn.Module):
        def __init__(self) -> None:
            self.w = Value(2.0)

        def parameters(self) -> list[Value]:
            return [self.w]

        @compile
        def cube(self, x: Any) -> Any:
            return self.w * x**3

    scaled = Scaled()
    f = compile(lambda x: scaled.cube.jvp((x,), (1.0,))[1])
    assert f(2.0) == 24.0
    scaled.w.data = 3.0
    assert f(2.0) == 36.0


def test_the_exponent_of_a_power_has_derivatives_at_zero_in_any_order() -> None:
    """Of x**y the derivative by x, x and y is (2 y - 1) x**(y - 2) and a multiple of y."""
    for order in ((0, 0, 1), (0, 1, 0), (1, 0, 0)):
        f: Any = ag.power
        for argnum in order:
            f = grad(f, argnum)
        assert f(2.0, 0.0) == pytest.approx(-0.25), order


@pytest.mark.parametrize(
    "twin_of", [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy], ids=["pickle", "copy"]
)
def test_graphs_with_derivatives_in_them_are_pickled_and_copied(twin_of: Any) -> None:
    derivative = grad(lambda x: ag.sin(x) * ag.exp(x))
    x = Value(0.7)
    result = derivative(x) * x + derivative(x * x)  # two calls of one function
    twin, twin_x = twin_of((result, x))
    result.backward()
    twin.backward()
    assert (twin.data, twin_x.grad) == (result.data, x.grad)
    assert twin_of(twin).data == result.data
