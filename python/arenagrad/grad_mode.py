"""Operations of a user's own, and blocks in which no graph is recorded."""

from collections.abc import Callable, Iterable
from contextlib import ContextDecorator
from typing import Any, TypeVar

from arenagrad._core import Value, no_grad_step
from arenagrad._core.compiled import compile_step, with_partials

_Function = TypeVar("_Function", bound=Callable[..., Any])


def custom(
    data: Value | float,
    operands: Iterable[Value | float],
    partials: Iterable[Value | float],
    op: str = "custom",
) -> Value:
    """A node of your own: its value, what it was computed from, and its partials.

    Of numbers it is a node whose partials are fixed: `backward()` uses them whatever the operands'
    data has become. A compiled function cannot hold it, since its number would be frozen. Where
    data or a partial is a Value they follow their operands, are compiled, and can be differentiated
    in turn; by data itself there is no derivative.

    Args:
        data: what the node holds.
        operands: what it was computed from; numbers among them become constant leaves.
        partials: its derivatives by each of the operands, in the same order.
        op: the text of `_op`.

    Raises:
        TypeError: for what is no real number or no Value; nothing is recorded then.
        ValueError: unless partials and operands are equally many.

    Cost: about a microsecond, with Values a few.

    >>> x = Value(3.0)
    >>> y = custom(x.data**2, [x], [2 * x.data], op="square")
    >>> z = custom(x**2, [x], [2 * x], op="square")
    """
    if not isinstance(op, str):
        raise TypeError(f"op must be a str, got {type(op).__name__}")
    if not isinstance(operands, Iterable):
        raise TypeError(f"operands must be a list or tuple, got {type(operands).__name__}")
    if not isinstance(partials, Iterable):
        raise TypeError(f"partials must be a list or tuple, got {type(partials).__name__}")
    values = [x if isinstance(x, Value) else _constant(x) for x in operands]
    derivatives = list(partials)
    numbers = [partial for partial in derivatives if not isinstance(partial, Value)]
    if isinstance(data, Value) or len(numbers) < len(derivatives):
        node = with_partials(data, values, derivatives)
    else:
        node = Value(data, values, tuple(numbers))
    node._op = op
    return node


def _constant(operand: Any) -> Value:
    try:
        return Value(operand)
    except TypeError:
        kind = type(operand).__name__
        raise TypeError(f"operands must be Values or real numbers, got {kind}") from None


class no_grad(ContextDecorator):
    """A block, or a decorated function, in which operations record no graph.

    Results are leaves with the same numbers, so that nothing is kept alive for a sweep that will
    not come; in a function being compiled they follow its numbers, without derivatives. For this
    thread only; blocks may be nested. A generator or coroutine cannot be decorated, a TypeError:
    its body runs when the call has long returned. Cost: an operation takes some 20 ns more within
    the block.

    >>> with no_grad():
    ...     score = model(x)
    """

    def __call__(self, function: _Function) -> _Function:
        """The function, run in such a block whenever it is called."""
        import inspect  # not before it is needed: it takes a third of the time of importing us

        kinds = inspect.isgeneratorfunction, inspect.iscoroutinefunction, inspect.isasyncgenfunction
        if any(is_kind(function) for is_kind in kinds):
            name = getattr(function, "__name__", repr(function))
            raise TypeError(
                f"no_grad cannot decorate {name}, a generator or coroutine: "
                "put `with no_grad():` into its body"
            )
        return super().__call__(function)

    def __enter__(self) -> None:
        """Record no graph from here on."""
        no_grad_step(1)

    def __exit__(self, *_: Any) -> None:
        """Record as before the block."""
        no_grad_step(-1)


class disable_compile(ContextDecorator):
    """A block in which compiled functions are traced at each call, and nothing is kept of it.

    So a debugger, and prints, see each call of the function, and comparisons mean what they mean in
    a compiled one. For all threads. ARENAGRAD_DISABLE_COMPILE=1 in the environment does the same
    for a whole program.

    >>> with disable_compile():
    ...     loss(model, x)
    """

    def __enter__(self) -> None:
        """Trace at each call from here on."""
        compile_step(1)

    def __exit__(self, *_: Any) -> None:
        """Use what has been compiled again."""
        compile_step(-1)


for _public in (custom, no_grad, disable_compile):
    _public.__module__ = "arenagrad"
