"""Functions with derivative rules of a user's own.

A rule is run when the function is called on Values: it says what the partials of each result are,
as Values in turn, so that they are traced, run in batches and differentiated again like any other.
"""

import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import partial, update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

from arenagrad._compile.leaves import Leaves
from arenagrad._core import FrozenValueWarning, Value, functions
from arenagrad._core.compiled import refusal, with_partials

# A rule that calls its own function, as forward rules do, gets one with that rule again, which says
# what the next order of derivatives is, and so on; beyond this depth it gets the function as it is.
_DEEPEST = 4
# A weight far from 1, of the other sign, with which a rule that clips or rounds shows itself.
_WEIGHT = -1e3

_P = ParamSpec("_P")
_R = TypeVar("_R")
_Rule = TypeVar("_Rule", bound=Callable[..., Any])


class _CustomRule(ABC, Generic[_P, _R]):
    """What functions with rules of both kinds share."""

    def __init__(self, fun: Callable[_P, _R], nondiff_argnums: int | Sequence[int] = ()) -> None:
        if not callable(fun):
            raise TypeError(f"{type(self).__name__} wants a function, got {type(fun).__name__}")
        update_wrapper(self, fun)
        self.fun = fun
        given = (nondiff_argnums,) if isinstance(nondiff_argnums, int) else nondiff_argnums
        self.nondiff_argnums: tuple[int, ...] = tuple(given)
        self._running = threading.local()  # how deep rules are that call the function itself
        self._is_judged = False  # whether the rule has been asked if it is linear

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """The function's results; where there are Values, with the partials that the rule says."""
        if kwargs:
            raise TypeError(f"{self._name} takes its arguments by position, got {sorted(kwargs)}")
        fixed = {k % len(args) for k in self.nondiff_argnums} if args else set()
        primals = tuple(arg for k, arg in enumerate(args) if k not in fixed)
        given = Leaves(primals)
        depth = getattr(self._running, "depth", 0)
        if not given.values or depth == _DEEPEST:
            return self.fun(*args, **kwargs)
        nondiff = tuple(args[k] for k in sorted(fixed))
        self._running.depth = depth + 1
        try:
            result: _R = self._apply(given, primals, nondiff, args)
        finally:
            self._running.depth = depth
        return result

    def _need_linear(self, given: Leaves, args: Any, run: Callable[[Any, float], Any]) -> None:
        """Raise unless the rule is linear in its weights or tangents, as far as numbers show.

        Args:
            given: the arguments that derivatives are by.
            args: all arguments.
            run: gives what the rule does for these arguments, numbers all, and this weight.
        """
        if self._is_judged:
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FrozenValueWarning)  # the numbers go nowhere else
                numbers = [float(functions.data_of(leaf)) for leaf in given.leaves]
            primals = iter(given.like(numbers))
            fixed = {k % len(args) for k in self.nondiff_argnums}
            plain = [arg if k in fixed else next(primals) for k, arg in enumerate(args)]
            one, other = (Leaves(run(plain, weight)).leaves for weight in (1.0, _WEIGHT))
        except Exception:  # a rule for Values alone is not judged
            one, other = [], []
        for x, y in zip(one, other, strict=False):
            if abs(_WEIGHT * x - y) > 1e-6 * abs(y):
                raise refusal(
                    TypeError(
                        f"the rule of {self._name} is not linear in what it multiplies partials "
                        f"by: {x!r} for the weight 1.0, {y!r} for {_WEIGHT!r}. It is run for the "
                        "weight 1.0 alone, so that it cannot clip or round a gradient"
                    )
                )
        self._is_judged = True

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """The function as a method."""
        if instance is None:
            return self
        function: Callable[..., Any] = self
        return partial(function, instance)

    def __reduce__(self) -> str:
        """For pickle: the name, as of functions."""
        return self._name

    @property
    def _name(self) -> str:
        return getattr(self.fun, "__qualname__", repr(self.fun))

    @abstractmethod
    def _apply(
        self, given: Leaves, primals: tuple[Any, ...], nondiff: tuple[Any, ...], args: Any
    ) -> Any:
        """The results of the rule, of arguments of which some are Values."""


class custom_vjp(_CustomRule[_P, _R]):
    """A function whose reverse derivatives are a rule of your own, as in JAX.

    Args:
        fun: the function.
        nondiff_argnums: arguments that no derivative is by, such as functions and choices.

    The rule is given by `defvjp`. It is run where the function is called on Values, once for each
    number of the results.

    >>> @custom_vjp
    ... def clipped(x):
    ...     return x * 1.0
    >>> clipped.defvjp(lambda x: (x * 1.0, x), lambda x, g: (where(abs(x) < 1.0, g, 0.0),))
    """

    fwd: Callable[..., Any] | None = None
    bwd: Callable[..., Any] | None = None

    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        """Set the rule.

        Args:
            fwd: takes the arguments of the function; gives a pair of its result and of what bwd
                needs.
            bwd: takes the arguments of nondiff_argnums, what fwd gave for it, and a weight for each
                number of the result, in its structure; gives a tuple of the gradients of the
                weighted sum by each other argument, None where an argument has no numbers.

        Raises:
            TypeError: for what cannot be called. A call of the function raises it for a bwd that is
                not linear in the weights, such as one that clips gradients.
        """
        for rule in (fwd, bwd):
            if not callable(rule):
                raise TypeError(f"defvjp() wants two functions, got {type(rule).__name__}")
        self.fwd, self.bwd = fwd, bwd

    def _apply(
        self, given: Leaves, primals: tuple[Any, ...], nondiff: tuple[Any, ...], args: Any
    ) -> Any:
        if self.fwd is None or self.bwd is None:
            raise AttributeError(f"{self._name} has no rule: call defvjp() first")
        fwd, bwd = self.fwd, self.bwd

        def run(plain: Any, weight: float) -> Any:
            result, kept = fwd(*plain)
            return bwd(*nondiff, kept, _weighted(Leaves(result), weight))

        self._need_linear(given, args, run)
        pair = self.fwd(*args)
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise TypeError(
                f"the forward rule of {self._name} must give a pair, got {type(pair).__name__}"
            )
        results = Leaves(pair[0])
        made = []
        for place, value in enumerate(results.leaves):
            gradients = self.bwd(*nondiff, pair[1], results.unit(place))
            if not isinstance(gradients, tuple) or len(gradients) != len(primals):
                raise TypeError(
                    f"the backward rule of {self._name} must give a tuple of {len(primals)}, one "
                    f"for each argument, got {type(gradients).__name__}"
                )
            partials = given.gradient(gradients, f"what the backward rule of {self._name} gives")
            operands = list(given.values.values())
            made.append(with_partials(value, operands, [partials[k] for k in given.values]))
        return results.like(made)


class custom_jvp(_CustomRule[_P, _R]):
    """A function whose derivatives are a rule of your own, as in JAX.

    Args:
        fun: the function.
        nondiff_argnums: arguments that no derivative is by.

    The rule is given by `defjvp` or `defjvps`. It is run where the function is called on Values,
    once for each Value among the arguments.

    >>> @custom_jvp
    ... def half(x):
    ...     return x * 0.5
    >>> @half.defjvp
    ... def half_rule(primals, tangents):
    ...     return primals[0] * 0.5, tangents[0] * 0.5
    """

    _rule: Callable[..., Any] | None = None

    def defjvp(self, rule: _Rule) -> _Rule:
        """Set the rule; a decorator.

        Args:
            rule: takes the arguments of nondiff_argnums, a tuple of the other arguments, and a
                tuple of tangents in their structure; gives a pair of the result and its tangent.

        Returns:
            The rule.
        """
        if not callable(rule):
            raise TypeError(f"defjvp() wants a function, got {type(rule).__name__}")
        self._rule = rule
        return rule

    def defjvps(self, *rules: Callable[..., Any] | None) -> None:
        """Set a rule for each argument, None for one by which the derivative is 0.

        Args:
            *rules: each takes the tangent of its argument, the result, and all arguments; gives
                the tangent of the result. For functions whose arguments and result are numbers.
        """

        def rule(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
            fun: Callable[..., Any] = self.fun
            result = fun(*primals)
            terms: Iterable[Any] = (
                each(tangent, result, *primals)
                for each, tangent in zip(rules, tangents, strict=True)
                if each is not None
            )
            return result, sum(terms, 0.0)

        self.defjvp(rule)

    def _apply(
        self, given: Leaves, primals: tuple[Any, ...], nondiff: tuple[Any, ...], args: Any
    ) -> Any:
        if self._rule is None:
            raise AttributeError(f"{self._name} has no rule: call defjvp() first")
        rule = self._rule

        def run(plain: Any, weight: float) -> Any:
            fixed = {k % len(plain) for k in self.nondiff_argnums}
            numbers = tuple(arg for k, arg in enumerate(plain) if k not in fixed)
            return rule(*nondiff, numbers, _weighted(given, weight))[1]

        self._need_linear(given, args, run)
        results: Leaves | None = None
        columns = []
        for place in given.values:
            pair = self._rule(*nondiff, primals, given.unit(place))
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise TypeError(
                    f"the rule of {self._name} must give a pair, got {type(pair).__name__}"
                )
            results = Leaves(pair[0]) if results is None else results
            what = f"the tangent that the rule of {self._name} gives"
            columns.append(results.gradient(pair[1], what))
        assert results is not None
        operands = list(given.values.values())
        return results.like(
            [
                with_partials(value, operands, [column[k] for column in columns])
                for k, value in enumerate(results.leaves)
            ]
        )


def _weighted(leaves: Leaves, weight: float) -> Any:
    """An object of the structure of a gradient, with this number in all places."""
    return leaves.tree.gradient().unflatten_values([weight] * len(leaves.leaves))


def stop_gradient(x: Any) -> Any:
    """The same numbers, by which nothing has a derivative.

    Args:
        x: a Value, a number, or a structure of such. An eager Value is detached: the result is a
            leaf.

    Returns:
        The same structure.

    >>> grad(lambda x: x * stop_gradient(x))(3.0)
    3.0
    """
    if isinstance(x, Value):
        return x.detach()
    if isinstance(x, int | float):
        return x
    given = Leaves(x)
    return given.like([stop_gradient(leaf) for leaf in given.leaves])


for _public in (custom_vjp, custom_jvp, stop_gradient):
    _public.__module__ = "arenagrad"
