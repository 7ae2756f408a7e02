"""Derivative rules of a user's own, solutions of equations, and what stops a derivative.

The expected numbers are worked out by hand, or by mpmath.
"""

import math
import pickle
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import arenagrad as ag
from arenagrad import Value, compile, custom_jvp, custom_vjp, grad, stop_gradient


@custom_vjp
def softplus(x: Any) -> Any:
    return ag.log(1 + ag.exp(x))


softplus.defvjp(lambda x: (softplus(x), x), lambda x, g: (g * (1 - 1 / (1 + ag.exp(x))),))


@custom_jvp
def scaled_sine(x: Any) -> Any:
    return ag.sin(x)


@scaled_sine.defjvp
def scaled_sine_rule(primals: Any, tangents: Any) -> Any:
    """Three times the derivative, so that the rule can be told from the function."""
    (x,), (t,) = primals, tangents
    return scaled_sine(x), 3.0 * ag.cos(x) * t


def test_a_reverse_rule_is_used_where_the_functions_own_derivative_is_not_finite() -> None:
    f = compile(lambda x: softplus(x) * 2)
    assert f.grad(50.0) == pytest.approx(2.0)
    assert f.grad(0.0) == pytest.approx(1.0)
    rows = compile(lambda x: softplus(x) * 2, in_axes=0)
    np.testing.assert_allclose(rows.grad(np.array([50.0, 0.0, -50.0])), [2.0, 1.0, 0.0], atol=1e-12)
    x = Value(0.0)
    softplus(x).backward()
    assert x.grad == pytest.approx(0.5)


@pytest.mark.parametrize("order", range(1, 5))
def test_derivatives_of_a_rule_are_those_of_what_it_says(order: int) -> None:
    f: Callable[..., Any] = softplus
    for _ in range(order):
        f = grad(f)
    with mpmath.workdps(40):
        wanted = float(mpmath.diff(lambda x: mpmath.log(1 + mpmath.exp(x)), 0.3, order))
    assert f(0.3) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("strict", [False, True])
def test_the_rule_counts_and_not_the_function(strict: bool) -> None:
    f = compile(lambda x: scaled_sine(x) * x, strict=strict)
    assert f(0.4) == pytest.approx(math.sin(0.4) * 0.4)
    assert f.grad(0.4) == pytest.approx(math.sin(0.4) + 3 * math.cos(0.4) * 0.4)
    assert f.jvp((0.4,), (1.0,))[1] == pytest.approx(f.grad(0.4))
    assert pickle.loads(pickle.dumps(scaled_sine)) is scaled_sine


@pytest.mark.parametrize("strict", [False, True])
def test_a_node_whose_data_and_partials_are_values_is_compiled(strict: bool) -> None:
    def product(x: Any, y: Any) -> Any:
        """The product, whose derivative by y is said to be twice what it is."""
        return ag.custom(x * y, [x, y], [y, 2.0 * x], op="product")

    def f(x: Any, y: Any) -> Any:
        return product(x, y) * x

    compiled = compile(f, strict=strict)
    assert [compiled(2.0, 3.0), compiled(5.0, 7.0)] == [12.0, 175.0]
    assert compiled.grad(5.0, 7.0, argnums=(0, 1)) == (70.0, 50.0)
    # Of y x + the node, and of 2 x x.
    assert compiled.hessian(2.0, 3.0, argnums=(0, 1)) == ((6.0, 6.0), (8.0, 0.0))
    rows = compile(f, in_axes=0, strict=strict)
    by_rows = rows.grad(np.array([2.0, 5.0]), np.array([3.0, 7.0]), argnums=(0, 1))
    np.testing.assert_array_equal(by_rows, [[12.0, 70.0], [8.0, 50.0]])
    x, y = Value(5.0), Value(7.0)
    node = f(x, y)
    node.backward()
    assert (node.data, x.grad, y.grad) == (175.0, 70.0, 50.0)
    assert product(x, y)._op == "product"
    assert ag.custom(2.0, [x], [y])._op == "custom"
    with pytest.raises(ValueError, match="as many partials as operands"):
        ag.custom(x, [x], [y, y])


def test_rules_of_several_arguments_and_results_and_of_what_no_derivative_is_by() -> None:
    from functools import partial

    @partial(custom_vjp, nondiff_argnums=(0,))
    def applied(f: Callable[..., Any], x: Any, y: Any) -> Any:
        return f(x, y["a"]), x

    def forward(f: Callable[..., Any], x: Any, y: Any) -> Any:
        return (f(x, y["a"]), x), (x, y["a"])

    def backward(f: Callable[..., Any], kept: Any, g: Any) -> Any:
        x, a = kept
        return g[0] * 10.0 * a + g[1] * 7.0, {"a": g[0] * x}

    applied.defvjp(forward, backward)
    product = compile(lambda x, a: applied(lambda p, q: p * q, x, {"a": a}))
    assert product(3.0, 4.0) == (12.0, 3.0)
    rows = product.jacobian(3.0, 4.0, argnums=(0, 1))
    assert rows == ((40.0, 3.0), (7.0, 0.0))


def test_rules_of_single_arguments() -> None:
    @custom_jvp
    def product(x: Any, y: Any) -> Any:
        return x * y

    product.defjvps(lambda t, _, x, y: t * y * 2.0, None)
    assert grad(product, argnums=(0, 1))(3.0, 4.0) == (8.0, 0.0)


def test_a_rule_of_another_shape_is_refused() -> None:
    @custom_vjp
    def f(x: Any) -> Any:
        return x * 1.0

    with pytest.raises(AttributeError, match="has no rule"):
        grad(f)(1.0)
    with pytest.raises(TypeError, match="wants two functions, got int"):
        f.defvjp(lambda x: (x, x), 3)  # type: ignore[arg-type]
    f.defvjp(lambda x: x, lambda _, g: (g,))
    with pytest.raises(TypeError, match="must give a pair"):
        grad(f)(1.0)
    f.defvjp(lambda x: (x, None), lambda _, g: g)
    with pytest.raises(TypeError, match="a tuple of 1, one for each argument, got float"):
        grad(f)(1.0)
    f.defvjp(lambda x: (x, None), lambda _, g: ([g, g],))
    with pytest.raises(TypeError, match=r"backward rule of .* must be"):
        grad(f)(1.0)


def test_what_is_stopped_has_no_derivative_and_its_number() -> None:
    f = grad(lambda x: x * stop_gradient(x))
    assert [f(3.0), f(4.0)] == [3.0, 4.0]
    x = Value(3.0)
    stopped = stop_gradient(x * 2.0)
    assert (stopped.data, stopped._prev) == (6.0, set())
    assert stop_gradient(2.5) == 2.5
    both = compile(lambda a: ag.sum(a * stop_gradient({"k": a})["k"]))
    np.testing.assert_allclose(both.grad(np.array([1.0, 2.0])), [1.0, 2.0])


def cube_root(a: Any) -> Any:
    return ag.root(lambda x, a: x**3 - a, 1.0, a)


@pytest.mark.parametrize("order", range(5))
def test_a_root_has_the_derivatives_of_what_it_solves(order: int) -> None:
    f = cube_root
    for _ in range(order):
        f = grad(f)
    with mpmath.workdps(40):
        wanted = float(mpmath.diff(lambda a: mpmath.cbrt(a), 5.0, order))
    assert f(5.0) == pytest.approx(wanted, rel=1e-9)
    assert compile(f)(5.0) == pytest.approx(wanted, rel=1e-9)


def test_a_root_in_rows_and_of_a_solver_of_ones_own() -> None:
    rows = compile(cube_root, in_axes=0)
    a = np.array([1.0, 5.0, 100.0, 0.1])
    np.testing.assert_allclose(rows(a), np.cbrt(a), rtol=1e-12)
    np.testing.assert_allclose(rows.grad(a), np.cbrt(a) / a / 3, rtol=1e-9)

    def bisect(f: Callable[[Any], Any], x: Any) -> Any:
        low, high = x - 1.0, x + 4.0
        for _ in range(60):
            middle = 0.5 * (low + high)
            if f(middle) > 0:
                high = middle
            else:
                low = middle
        return low

    assert grad(lambda a: ag.root(lambda x, a: x**3 - a, 1.0, a, solver=bisect))(
        5.0
    ) == pytest.approx(5.0 ** (-2 / 3) / 3)


def test_a_fixed_point_has_the_derivatives_of_what_it_solves() -> None:
    f = compile(lambda a: ag.fixed_point(lambda x, a: ag.cos(a * x), 0.5, a))
    x = f(0.9)
    assert x == pytest.approx(math.cos(0.9 * x))
    sine = math.sin(0.9 * x)
    assert f.grad(0.9) == pytest.approx(-sine * x / (1 + 0.9 * sine), rel=1e-9)


def test_a_solve_that_does_not_converge_says_what_it_had() -> None:
    for solve in (
        lambda a: ag.root(lambda x, a: x * x + a, 1.0, a),
        lambda a: ag.fixed_point(lambda x, a: 2.0 * x + a, 1.0, a, max_steps=20),
    ):
        for f in (solve, compile(solve)):
            with pytest.raises(ag.ConvergenceError, match="has not converged") as caught:
                f(1.0)
            assert isinstance(caught.value.x, float)
            assert caught.value.residual > 0.0


def test_wrong_rules_are_found_and_right_ones_pass() -> None:
    ag.check_grads(lambda x, y: ag.sin(x) * y["a"][0], (0.7, {"a": [1.5]}), order=3)
    ag.check_grads(softplus, (0.3,), order=2)
    ag.check_grads(lambda x: ag.sum(x * x * x), (np.array([1.0, -2.0]),), order=2)
    with pytest.raises(AssertionError, match=r"order 1 \(fwd\) of number 0 .* by number 0"):
        ag.check_grads(scaled_sine, (0.4,), order=1)
    with pytest.raises(ValueError, match="got 'both'"):
        ag.check_grads(softplus, (0.3,), modes=["both"])


def test_products_with_derivatives_as_functions_of_the_package() -> None:
    f = lambda x, y: x**2 * y  # noqa: E731
    assert ag.jvp(f, (3.0, 2.0), (1.0, 0.5)) == (18.0, 16.5)
    out, back = ag.vjp(f, 3.0, 2.0)
    assert (out, back(2.0)) == (18.0, (24.0, 18.0))
    with_aux = lambda x: (x * x, {"twice": 2.0 * x})  # noqa: E731
    assert ag.jvp(with_aux, (3.0,), (1.0,), has_aux=True) == (9.0, 6.0, {"twice": 6.0})
    out, back, aux = ag.vjp(with_aux, 3.0, has_aux=True)
    assert (out, back(1.0), aux) == (9.0, (6.0,), {"twice": 6.0})


def test_auxiliary_results_come_along() -> None:
    with_aux = lambda x, y: (x * x * y, {"sum": x + y, "text": "t"})  # noqa: E731
    aux = {"sum": 5.0, "text": "t"}
    assert grad(with_aux, has_aux=True)(3.0, 2.0) == (12.0, aux)
    assert grad(with_aux, (0, 1), has_aux=True)(3.0, 2.0) == ((12.0, 9.0), aux)
    assert ag.value_and_grad(with_aux, has_aux=True)(3.0, 2.0) == ((18.0, aux), 12.0)
    for derive in (ag.jacobian, ag.jacfwd, ag.jacrev):
        assert derive(with_aux, has_aux=True)(3.0, 2.0) == (12.0, aux)
    x = Value(3.0)
    partial, recorded = grad(with_aux, has_aux=True)(x, 2.0)
    (partial + recorded["sum"]).backward()
    assert x.grad == 5.0
    with pytest.raises(TypeError, match="must give a pair"):
        grad(lambda x: x * x, has_aux=True)(3.0)


def test_jacobians_in_both_directions_agree() -> None:
    def f(x: Any) -> Any:
        return [ag.sin(x[0]) * x[1], x[1] * x[2], x[0] * x[2] * x[1]]

    x = np.array([0.5, -1.5, 2.0])
    wanted = ag.jacobian(f)(x)
    for derive, how in ((ag.jacfwd, "forward"), (ag.jacrev, "reverse")):
        np.testing.assert_allclose(derive(f)(x), wanted, rtol=1e-14)
        assert derive(f).program(x).stats["derivatives"] == how


def test_where_compiling_is_disabled_the_function_runs_at_each_call() -> None:
    calls = []

    def f(x: Any) -> Any:
        calls.append(x)
        return x * x if x > 1.0 else x

    g = compile(f)
    assert [g(3.0), g(3.0), g.grad(3.0)] == [9.0, 9.0, 6.0]
    before = len(calls)
    with ag.disable_compile():
        assert [g(3.0), g(3.0), g.grad(3.0), g(0.5)] == [9.0, 9.0, 6.0, 0.5]
    assert len(calls) >= before + 4
    before = len(calls)
    assert g(3.0) == 9.0
    assert len(calls) == before


def test_a_rule_that_is_not_linear_is_refused() -> None:
    @custom_vjp
    def clipped(x: Any) -> Any:
        return x * 1.0

    clipped.defvjp(lambda x: (x * 1.0, x), lambda x, g: (ag.minimum(ag.maximum(g, -5.0), 5.0),))

    @custom_jvp
    def rounded(x: Any) -> Any:
        return x * 1.0

    @rounded.defjvp
    def rounded_rule(primals: Any, tangents: Any) -> Any:
        return primals[0] * 1.0, abs(tangents[0])

    for f in (clipped, rounded):
        for call in (
            lambda f=f: f(Value(2.0)),
            lambda f=f: ag.grad(lambda x: f(x) * 3.0)(2.0),
            lambda f=f: ag.compile(lambda x: f(x) * 3.0, in_axes=0)(np.array([2.0])),
        ):
            with pytest.raises(TypeError, match=r"the rule of .* is not linear in what it multi"):
                call()
        assert f(2.0) == 2.0
