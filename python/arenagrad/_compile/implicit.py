"""Solutions of equations, which are differentiated as what they solve says.

A solution is found without derivatives, by any means. Steps of Newton's method follow, which leave
its numbers as they are, to rounding, and give its derivatives: a step from derivatives that are
right to order k makes them right to order 2 k + 1 (Griewank and Walther, "Evaluating Derivatives",
2nd edition, chapter 15).
"""

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

from arenagrad._compile.api import jacobian
from arenagrad._compile.custom_rules import stop_gradient
from arenagrad._compile.leaves import Leaves

_STEPS = 3  # derivatives to order 7
_MOST_HALVINGS = 40


class ConvergenceError(RuntimeError):
    """An equation has not been solved.

    x is the best that was found, residual the largest entry of the residual there, and steps how
    many were made; all are numbers.
    """

    def __init__(self, message: str, x: Any, residual: float, steps: int) -> None:
        super().__init__(message)
        self.x: Any = x
        self.residual: float = residual
        self.steps: int = steps


def root(
    residual: Callable[..., Any],
    x0: Any,
    *args: Any,
    solver: Callable[[Callable[[Any], Any], Any], Any] | None = None,
    tol: float = 1e-12,
    max_steps: int = 100,
) -> Any:
    """The x near x0 where residual(x, *args) is 0, with its derivatives by args of order up to 7.

    Args:
        residual: a function of x and args that gives as many numbers as x has.
        x0: where to begin: a number, or an array, list or tuple of numbers.
        *args: what the solution depends on, numbers or Values in any structure.
        solver: a function of f and x0 that gives an x where f(x) is nearly 0; Newton's method with
            steps halved until the residual falls, by default.
        tol: how small a step must be for an end, beside the size of x.
        max_steps: after how many steps Newton's method gives up.

    Returns:
        x in the structure of x0.

    Raises:
        ConvergenceError: where no solution is found.
        numpy.linalg.LinAlgError: where the derivative of a residual of several numbers is singular.

    Cost: that of the solver, and of three steps of Newton's method. The number of steps decides
    which program a compiled function runs.
    Source: Griewank and Walther, "Evaluating Derivatives", 2nd edition, chapter 15.
    """
    equation = _Equation(residual, x0)
    fixed = stop_gradient(args)
    if solver is None:
        xs = _newton(equation, fixed, tol, max_steps)
    else:
        solution = solver(lambda x: residual(x, *fixed), x0)
        xs = Leaves(solution).leaves
    return equation.with_derivatives(xs, args)


def fixed_point(
    f: Callable[..., Any], x0: Any, *args: Any, tol: float = 1e-12, max_steps: int = 1000
) -> Any:
    """The x that f(x, *args) leaves as it is, with its derivatives by args of order up to 7.

    It is found by applying f again and again.

    Args:
        f: a function of x and args that gives as many numbers as x has.
        x0: where to begin: a number, or an array, list or tuple of numbers.
        *args: what the solution depends on, numbers or Values in any structure.
        tol: how small a change must be for an end, beside the size of x.
        max_steps: after how many steps to give up.

    Returns:
        x in the structure of x0.

    Raises:
        ConvergenceError: where x has not come to rest.

    Cost: max_steps calls of f at most, and three steps of Newton's method.
    """

    def change(x: Any, *args: Any) -> Any:
        pairs = zip(Leaves(f(x, *args)).leaves, Leaves(x).leaves, strict=True)
        return [new - old for new, old in pairs]

    equation, fixed = _Equation(change, x0), stop_gradient(args)
    xs, largest = equation.start, 0.0
    for _ in range(max_steps):
        steps = equation.residual(xs, fixed)
        xs = [x + step for x, step in zip(xs, steps, strict=True)]
        largest = _largest(steps)
        if largest <= tol * (1.0 + _largest(xs)):
            return equation.with_derivatives(xs, args)
    raise _not_converged("fixed_point()", equation, xs, largest, max_steps)


class _Equation:
    """residual(x, *args) = 0, where x is a list of its numbers."""

    def __init__(self, residual: Callable[..., Any], x0: Any) -> None:
        self._residual, self._x0 = residual, Leaves(x0)
        self.start = stop_gradient(self._x0.leaves)

    def residual(self, xs: list[Any], args: tuple[Any, ...]) -> list[Any]:
        """The numbers of the residual."""
        found = Leaves(self._residual(self._x0.like(xs), *args)).leaves
        if len(found) != len(xs):
            raise TypeError(
                f"a residual must have as many numbers as x, {len(xs)}, got {len(found)}"
            )
        return found

    def newton_step(self, xs: list[Any], args: tuple[Any, ...], found: list[Any]) -> list[Any]:
        """By how much x is too large, to first order."""
        rows = jacobian(lambda xs, *args: self.residual(xs, args))(xs, *args)
        if len(xs) == 1:
            return [found[0] / rows[0][0]]
        linalg = import_module("arenagrad.linalg")
        return list(linalg.solve(rows, found))

    def with_derivatives(self, xs: list[Any], args: tuple[Any, ...]) -> Any:
        """The solution in its structure."""
        xs = stop_gradient(xs)
        for _ in range(_STEPS):
            steps = self.newton_step(xs, args, self.residual(xs, args))
            xs = [x - step for x, step in zip(xs, steps, strict=True)]
        return self.like(xs)

    def like(self, xs: list[Any]) -> Any:
        """An object of the structure of x."""
        return self._x0.like(xs)


def _newton(equation: _Equation, args: tuple[Any, ...], tol: float, most: int) -> list[Any]:
    xs: list[Any] = equation.start
    found = equation.residual(xs, args)
    largest = _largest(found)
    for turn in range(most):
        if largest == 0.0:
            return xs
        try:
            steps = equation.newton_step(xs, args, found)
        except ZeroDivisionError:
            raise _not_converged("root()", equation, xs, largest, turn) from None
        for _ in range(_MOST_HALVINGS):
            tried = [x - step for x, step in zip(xs, steps, strict=True)]
            found = equation.residual(tried, args)
            fallen = _largest(found)
            if fallen < largest or _largest(steps) <= tol * (1.0 + _largest(tried)):
                break
            steps = [0.5 * step for step in steps]
        xs, largest = tried, fallen
        if _largest(steps) <= tol * (1.0 + _largest(xs)):
            return xs
    raise _not_converged("root()", equation, xs, largest, most)


def _largest(numbers: list[Any]) -> Any:
    return max(abs(number) for number in numbers)


def _not_converged(
    who: str, equation: _Equation, xs: list[Any], residual: Any, steps: int
) -> ConvergenceError:
    with warnings.catch_warnings():  # what an error says is not computed with
        warnings.simplefilter("ignore")
        x = equation.like([float(x) for x in xs])
        largest = float(residual)
    message = f"{who} has not converged: after {steps} steps x = {x} leaves {largest:.3g}"
    return ConvergenceError(message, x, largest, steps)


for _public in (ConvergenceError, root, fixed_point):
    _public.__module__ = "arenagrad"
