"""Functions compiled once and run many times: their values, and their derivatives of any order.

`compile(function)` runs the function once on Values, keeps what it did as a program, and from then
on runs the program. Decisions that depend on its numbers (`if x > 0`) are checked at each call, and
a call that decides otherwise is traced anew.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast, overload

from arenagrad._compile.compiled import BoundMethod, Compiled
from arenagrad._compile.former_names import register_former_names
from arenagrad._compile.options import Options, Reduce
from arenagrad._compile.transforms import Argnums, Transform, TransformKind

_P = ParamSpec("_P")
_R = TypeVar("_R")


@overload
def compile(
    fn: Callable[_P, _R],
    *,
    in_axes: Any = ...,
    out_axes: Any = ...,
    reduce: Reduce = ...,
    threads: int = ...,
    strict: bool = ...,
    static_argnums: int | tuple[int, ...] = ...,
    progress: Callable[[int, int], object] | None = ...,
    max_variants: int = ...,
) -> Compiled[_P, _R]: ...
@overload
def compile(
    fn: None = None,
    *,
    in_axes: Any = ...,
    out_axes: Any = ...,
    reduce: Reduce = ...,
    threads: int = ...,
    strict: bool = ...,
    static_argnums: int | tuple[int, ...] = ...,
    progress: Callable[[int, int], object] | None = ...,
    max_variants: int = ...,
) -> Callable[[Callable[_P, _R]], Compiled[_P, _R]]: ...
def compile(
    fn: Callable[..., Any] | None = None,
    *,
    in_axes: Any = None,
    out_axes: Any = 0,
    reduce: Reduce = None,
    threads: int = 1,
    strict: bool = False,
    static_argnums: int | tuple[int, ...] = (),
    progress: Callable[[int, int], object] | None = None,
    max_variants: int = 256,
) -> Any:
    """Make a function of Values fast: it is run once, and what it did is run from then on.

    Also a decorator, with or without arguments. The function is called with Values in place of the
    numbers of its arguments, with object arrays of Values in place of arrays; see Compiled. It must
    not hand them to other threads: comparisons that are made there are not checked at later calls.
    A method has derivatives through its object, `a.method.grad(x)`, by the arguments behind the
    object.

    A number that the function reads out of a Value (`.data`, float()) is frozen, which warns with
    FrozenValueWarning. A Value that the function uses and was not given, or made and left with
    somebody, is read anew at each call. If a closure cell, a global that its code names or a field
    of the object of a method is another object than it was, the function is traced again; what lies
    deeper, such as the items of a list, is as it was.

    Args:
        fn: the function.
        in_axes: makes it a function of a batch, as JAX's vmap does: for each argument the axis that
            has the rows, None for one that is the same in all of them, or a tuple, list, dict or
            object of the argument's class with such for what is in the argument. It counts the
            object of a method.
        out_axes: the axis of the rows in the results, as JAX's vmap takes it: an int, or a tuple,
            list, dict or object as the results are with such. Gradients have their rows first.
        reduce: "sum" or "mean" adds up the results of all rows, and gradients by what is the same
            in all rows; without it all results have an axis of rows, the first.
        threads: how many work on a batch, with the same results for any number.
        strict: whether results must be those of the eager function bit for bit, save for gradients
            through softmax and log_softmax. Otherwise sums may be added in another order,
            functions be rounded otherwise in their last bit (x ** 0.5 is sqrt(x)), and a zero may
            have the other sign.
        static_argnums: arguments that are taken as they are and choose a program of their own; a
            negative one counts from the last. It counts the object of a method.
        progress: called with the rows done and the rows to be done, some twenty times a second
            while a batch runs for longer than that.
        max_variants: how many variants are kept for arguments of one structure, those used last;
            what takes another is traced again, and VariantsWarning says so once where that is most
            of what is done.

    Returns:
        The function compiled, or a decorator if fn is None.

    Raises:
        TypeError: for what is not a function, and for options of another kind.
        ValueError: for options that do not go together.
        ArenagradError: when called, for a node with a rule of its own (`_backward`, custom()),
            which cannot be compiled.

    Cost: a few microseconds an operation for each new structure of arguments, and for each new
    variant, which is one sequence of outcomes of the function's comparisons.
    """
    options = Options(
        in_axes, reduce, threads, strict, static_argnums, progress, out_axes, max_variants
    )
    if fn is None:
        return lambda function: _compiled(function, options)
    return _compiled(fn, options)


def _compiled(fn: Callable[..., Any], options: Options) -> Compiled[..., Any]:
    if isinstance(fn, Compiled):
        chain = fn._evaluation.chain
        without_sum = tuple(t for t in chain if t.kind is not TransformKind.ROW_SUM)
        return Compiled(fn._function, options, without_sum)
    return Compiled(fn, options)


def grad(fn: Callable[_P, Any], argnums: Argnums = 0, has_aux: bool = False) -> Compiled[_P, Any]:
    """The function that gives the gradient of fn, compiled; see Compiled.grad.

    Args:
        fn: the function, which gives one number.
        argnums: the number of an argument, or a tuple of them.
        has_aux: whether fn gives a pair, of which only the first is differentiated; the result is
            the pair of the gradient and the second then.

    >>> grad(lambda x: x**3)(2.0)
    12.0
    """
    return _derived(TransformKind.GRAD, fn, argnums, has_aux)


def value_and_grad(
    fn: Callable[_P, Any], argnums: Argnums = 0, has_aux: bool = False
) -> Compiled[_P, Any]:
    """The function that gives the value of fn and its gradient; see Compiled.value_and_grad.

    Args:
        fn: the function, which gives one number.
        argnums: the number of an argument, or a tuple of them.
        has_aux: whether fn gives a pair, of which only the first is differentiated.
    """
    return _derived(TransformKind.VALUE_AND_GRAD, fn, argnums, has_aux)


def jacobian(
    fn: Callable[_P, Any], argnums: Argnums = 0, has_aux: bool = False
) -> Compiled[_P, Any]:
    """The function that gives all derivatives of fn; see Compiled.jacobian.

    It takes an out, and no sparse: that is for `f.jacobian(x, sparse=True)`, which takes no out.

    Args:
        fn: the function.
        argnums: the number of an argument, or a tuple of them.
        has_aux: whether fn gives a pair, of which only the first is differentiated; the result is
            the pair of the derivatives and the second then.
    """
    return _derived(TransformKind.JACOBIAN, fn, argnums, has_aux)


def jacfwd(fn: Callable[_P, Any], argnums: Argnums = 0, has_aux: bool = False) -> Compiled[_P, Any]:
    """The same as jacobian, by a tangent for each number of the arguments."""
    return _derived(TransformKind.JACFWD, fn, argnums, has_aux)


def jacrev(fn: Callable[_P, Any], argnums: Argnums = 0, has_aux: bool = False) -> Compiled[_P, Any]:
    """The same as jacobian, by a reverse sweep for each number of the results."""
    return _derived(TransformKind.JACREV, fn, argnums, has_aux)


def hessian(fn: Callable[_P, Any], argnums: Argnums = 0) -> Compiled[_P, Any]:
    """The function that gives all second derivatives of fn; see Compiled.hessian.

    It takes an out, and no sparse, as jacobian(fn) does.
    """
    transform = Transform(TransformKind.JACOBIAN, _hashable(argnums))
    return _source("hessian", fn).derive(transform, transform)


def jvp(
    fn: Callable[..., Any],
    primals: tuple[Any, ...],
    tangents: tuple[Any, ...],
    has_aux: bool = False,
) -> tuple[Any, ...]:
    """The results of fn, and how fast they change where the arguments change by the tangents.

    Args:
        fn: the function.
        primals: a tuple with all arguments.
        tangents: a tuple with a tangent for each, in its structure.
        has_aux: whether fn gives a pair, of which only the first is differentiated.

    Returns:
        A pair of results and their tangents; with has_aux, and the second of the pair.

    Raises:
        TypeError: for tangents of another structure.

    >>> jvp(lambda x, y: x * x * y, (3.0, 2.0), (1.0, 0.0))
    (18.0, 12.0)
    """
    results, changes = _source("jvp", fn).jvp(primals, tangents)
    return (results[0], changes[0], results[1]) if has_aux else (results, changes)


def vjp(fn: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """The results of fn, and the function that pulls cotangents back to the arguments.

    Args:
        fn: the function.
        *primals: its arguments.
        has_aux: whether fn gives a pair, of which only the first is differentiated.

    Returns:
        A pair: the results, and a function of weights in their structure, which gives a tuple of
        the gradients of their weighted sum by all arguments. With has_aux, and the second of the
        pair.

    >>> value, back = vjp(lambda x, y: x * x * y, 3.0, 2.0)
    >>> back(1.0)
    (12.0, 9.0)
    """
    source = _source("vjp", fn)
    results = source(*primals)
    if not has_aux:
        return results, lambda cotangents: source.vjp(primals, cotangents)[1]
    alone = compile(lambda *args: fn(*args)[0])
    return results[0], lambda cotangents: alone.vjp(primals, cotangents)[1], results[1]


def hvp(fn: Callable[..., Any], argnums: Argnums = 0) -> Callable[[tuple[Any, ...], Any], Any]:
    """The function of args and v that gives the Hessian of fn at args times v.

    See Compiled.hvp.
    """
    return partial(_source("hvp", fn).hvp, argnums=argnums)


def _derived(
    kind: TransformKind, fn: Callable[..., Any], argnums: Argnums, has_aux: bool
) -> Compiled[Any, Any]:
    """What the function of the package that is called as the kind is gives."""
    return _source(kind.value, fn).derive(Transform(kind, _hashable(argnums), bool(has_aux)))


def _source(name: str, fn: Callable[..., Any]) -> Compiled[Any, Any]:
    """What has the derivatives of fn: a Compiled, or one that is bound to an object."""
    if not callable(fn):
        raise TypeError(f"{name}() wants a function, got {type(fn).__name__}")
    is_compiled = isinstance(fn, Compiled | BoundMethod)
    return cast("Compiled[Any, Any]", fn) if is_compiled else compile(fn)


def _hashable(argnums: Any) -> Argnums:
    """Programs are kept by their transforms, so these must be hashable."""
    return tuple(argnums) if isinstance(argnums, list) else argnums


_FUNCTIONS = (compile, grad, value_and_grad, jacobian, jacfwd, jacrev, hessian, jvp, vjp, hvp)
for _public in _FUNCTIONS:
    _public.__module__ = "arenagrad"

register_former_names()
