"""Functions compiled once and run many times: their values, and their derivatives of any order.

`compile(function)` runs the function once on Values, keeps what it did as a program, and from then
on runs the program. What depends on its numbers (`if x > 0`) is noticed, and what a call would do
differently is traced anew.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast, overload

from arenagrad._compile.bound_method import Bound
from arenagrad._compile.compiled import Compiled
from arenagrad._compile.options import Options, Reduce
from arenagrad._compile.transforms import Argnums, Step


@overload
def compile(
    fn: Callable[..., Any],
    *,
    in_axes: Any = ...,
    reduce: Reduce = ...,
    threads: int = ...,
    strict: bool = ...,
    static_argnums: int | tuple[int, ...] = ...,
    progress: Callable[[int, int], object] | None = ...,
) -> Compiled: ...
@overload
def compile(
    fn: None = None,
    *,
    in_axes: Any = ...,
    reduce: Reduce = ...,
    threads: int = ...,
    strict: bool = ...,
    static_argnums: int | tuple[int, ...] = ...,
    progress: Callable[[int, int], object] | None = ...,
) -> Callable[[Callable[..., Any]], Compiled]: ...
def compile(
    fn: Callable[..., Any] | None = None,
    *,
    in_axes: Any = None,
    reduce: Reduce = None,
    threads: int = 1,
    strict: bool = False,
    static_argnums: int | tuple[int, ...] = (),
    progress: Callable[[int, int], object] | None = None,
) -> Any:
    """Make a function of Values fast: it is run once, and what it did is run from then on.

    Also a decorator, with or without arguments. The function is called with Values in place of the
    numbers of its arguments, with object arrays of Values in place of arrays; see Compiled. It must
    not hand them to other threads: comparisons that are made there are not made again. A method has
    derivatives through its object, `a.method.grad(x)`, by what comes behind the object.

    in_axes makes it a function of a batch, as JAX's vmap does: for each argument the axis that has
    the rows, None for one that is the same in all of them, or a tuple, list or dict of such for
    what is in the argument. reduce "sum" or "mean" adds up the results of all rows, and gradients
    by what is the same in all rows; without it all results have an axis of rows, the first. threads
    is how many work on a batch, with the same results for any number.

    With strict the results are those of the eager function bit for bit, save for gradients through
    softmax, log_softmax and prod; without, sums may be added in another order, functions be
    rounded otherwise in their last bit (x ** 0.5 is sqrt(x)), and a zero may have the other sign.

    static_argnums names arguments that are taken as they are and choose a program of their own; a
    negative one counts from the last. Both it and in_axes count the object of a method. progress is
    called with the rows done and the rows to be done, some twenty times a second while a batch runs
    for longer than that.

    A number that the function reads out of a Value (`.data`, float()) is frozen, which warns with
    FrozenValueWarning; a Value that it uses and was not given, or made and left with somebody, is
    read anew at each call. Raises ArenagradError for a node with a rule of its own (`_backward`,
    custom()), which cannot be compiled.

    Cost: a few microseconds an operation for each new structure of arguments, and for each new way
    through the function's comparisons.
    """
    options = Options(in_axes, reduce, threads, strict, static_argnums, progress)
    if fn is None:
        return lambda function: _compiled(function, options)
    return _compiled(fn, options)


def _compiled(fn: Callable[..., Any], options: Options) -> Compiled:
    if isinstance(fn, Compiled):
        return Compiled(fn._function, options, tuple(s for s in fn._steps if s[0] != "sum"))
    return Compiled(fn, options)


def grad(fn: Callable[..., Any], argnums: Argnums = 0) -> Compiled:
    """The function that gives the gradient of fn, compiled; see Compiled.grad.

    >>> grad(lambda x: x**3)(2.0)
    12.0
    """
    return _source("grad", fn).derive(("grad", _wanted(argnums)))


def value_and_grad(fn: Callable[..., Any], argnums: Argnums = 0) -> Compiled:
    """The function that gives the value of fn and its gradient; see Compiled.value_and_grad."""
    return _source("value_and_grad", fn).derive(("value_and_grad", _wanted(argnums)))


def jacobian(fn: Callable[..., Any], argnums: Argnums = 0) -> Compiled:
    """The function that gives all derivatives of fn; see Compiled.jacobian.

    It takes an out, and no sparse: that is for `f.jacobian(x, sparse=True)`, which takes no out.
    """
    return _source("jacobian", fn).derive(("jacobian", _wanted(argnums)))


def hessian(fn: Callable[..., Any], argnums: Argnums = 0) -> Compiled:
    """The function that gives all second derivatives of fn; see Compiled.hessian.

    It takes an out, and no sparse, as jacobian(fn) does.
    """
    step: Step = ("jacobian", _wanted(argnums))
    return _source("hessian", fn).derive(step, step)


def hvp(fn: Callable[..., Any], argnums: Argnums = 0) -> Callable[[tuple[Any, ...], Any], Any]:
    """The function of args and v that gives the Hessian of fn at args times v.

    See Compiled.hvp.
    """
    return partial(_source("hvp", fn).hvp, argnums=argnums)


def _source(name: str, fn: Callable[..., Any]) -> Compiled:
    """What has the derivatives of fn: a Compiled, or what stands for one, bound to an object."""
    if not callable(fn):
        raise TypeError(f"{name}() wants a function, got {type(fn).__name__}")
    return cast("Compiled", fn) if isinstance(fn, Compiled | Bound) else compile(fn)


def _wanted(argnums: Any) -> Argnums:
    """Steps are kept by their argnums, so these must be hashable."""
    return tuple(argnums) if isinstance(argnums, list) else argnums


for _public in (compile, grad, value_and_grad, jacobian, hessian, hvp):
    _public.__module__ = "arenagrad"
