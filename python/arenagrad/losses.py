"""Losses: how far predictions are from what was wanted, as torch.nn.functional defines them.

    loss = losses.cross_entropy([model(x) for x in batch], labels)
    loss.backward()

Predictions and targets are Values, numbers, or lists, tuples and arrays of them, nested to any
depth but of one shape. `reduction` is "mean", "sum" or "none", which gives the losses one by one,
nested as the predictions are. The result is a Value if an operand is one, else a float. Everything
is checked before anything is recorded: a wrong name, shape or number raises ValueError, what is no
number TypeError. Cost: a few nodes an element.
"""

import operator
import warnings
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeAlias, overload

from arenagrad import functions
from arenagrad._core import FrozenValueWarning
from arenagrad._core.compiled import is_tracing
from arenagrad.engine import Value

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "hinge",
    "mse",
]

Reduction: TypeAlias = Literal["mean", "sum", "none"]


@overload
def mse(
    predictions: Value | Iterable[Value], targets: Any, reduction: Literal["mean", "sum"] = ...
) -> Value: ...
@overload
def mse(predictions: Any, targets: Any, reduction: Reduction = ...) -> Any: ...
def mse(predictions: Any, targets: Any, reduction: Reduction = "mean") -> Any:
    """The squares of the differences.

    >>> mse([Value(1.0), Value(2.0)], [1.0, 4.0]).data
    2.0
    """
    shape, pairs = _pairs(predictions, targets, "targets", reduction)
    return _reduced([functions.square(p - t) for p, t in pairs], reduction, predictions, shape)


@overload
def cross_entropy(
    logits: Iterable[Value] | Iterable[Iterable[Value]],
    targets: Any,
    reduction: Literal["mean", "sum"] = ...,
) -> Value: ...
@overload
def cross_entropy(logits: Any, targets: Any, reduction: Reduction = ...) -> Any: ...
def cross_entropy(logits: Any, targets: Any, reduction: Reduction = "mean") -> Any:
    """Minus the logarithms of the softmax of logits at the right classes.

    The last axis of logits are the classes. targets has the axes before it and holds the index of
    the right class, or has all of them and holds the probability of every class. The mean is that
    over the rows. Raises TypeError for an index that is no integer, IndexError for one that is no
    class.

    >>> cross_entropy([0.0, 0.0], 1)
    0.6931471805599453
    """
    _check_reduction(reduction)
    whole = _numbers(logits).shape
    if not whole or whole[-1] == 0:
        got = "no class" if whole else "one number"
        raise ValueError(f"logits must be lists of numbers, one for each class, got {got}")
    *axes, classes = whole
    shape = tuple(axes)
    wanted = _numbers(targets).shape
    if wanted not in (shape, whole):
        raise ValueError(
            f"targets must have the shape {shape} of indices or {whole} of probabilities, "
            f"for logits of shape {whole}, got {wanted}"
        )
    _check_sizes(shape, reduction)
    rows = _rows(logits, whole)
    if wanted == shape:
        indices = [_index(target, classes) for target in _flat(targets, shape)]
        found = [-functions.log_softmax(row)[i] for row, i in zip(rows, indices, strict=True)]
    else:
        pairs = zip(rows, _rows(targets, whole), strict=True)
        found = [-functions.dot(likely, functions.log_softmax(row)) for row, likely in pairs]
    return _reduced(found, reduction, logits, shape)


@overload
def binary_cross_entropy(
    probabilities: Value | Iterable[Value], targets: Any, reduction: Literal["mean", "sum"] = ...
) -> Value: ...
@overload
def binary_cross_entropy(probabilities: Any, targets: Any, reduction: Reduction = ...) -> Any: ...
def binary_cross_entropy(probabilities: Any, targets: Any, reduction: Reduction = "mean") -> Any:
    """-t * log(p) - (1 - t) * log(1 - p), for probabilities p that each target t is 1.

    As in torch no logarithm is below -100, and no partial has a denominator below 1e-12, so that
    both are finite at 0 and 1. Raises ValueError for a probability outside [0, 1].

    >>> binary_cross_entropy([0.5, 0.0], [1, 1], reduction="none")
    [0.6931471805599453, 100.0]
    """
    shape, pairs = _pairs(probabilities, targets, "targets", reduction)
    for p, _ in pairs:
        if not (p >= 0.0 and p <= 1.0):
            raise ValueError(f"probabilities must be in [0, 1], got {_number(p)!r}")
    found = [
        _mixed(t, p, lambda p: -functions.log(p), lambda p: -functions.log1p(-p))
        if p >= _LEAST_INSIDE and p <= _MOST_INSIDE
        else _at_the_edge(p, t)
        for p, t in pairs
    ]
    return _reduced(found, reduction, probabilities, shape)


@overload
def binary_cross_entropy_with_logits(
    logits: Value | Iterable[Value], targets: Any, reduction: Literal["mean", "sum"] = ...
) -> Value: ...
@overload
def binary_cross_entropy_with_logits(
    logits: Any, targets: Any, reduction: Reduction = ...
) -> Any: ...
def binary_cross_entropy_with_logits(
    logits: Any, targets: Any, reduction: Reduction = "mean"
) -> Any:
    """binary_cross_entropy of the sigmoids of logits, exact where those round to 0 or 1.

    >>> binary_cross_entropy_with_logits(-1000.0, 1)
    1000.0
    """
    shape, pairs = _pairs(logits, targets, "targets", reduction)
    found = [_mixed(t, x, lambda x: functions.softplus(-x), functions.softplus) for x, t in pairs]
    return _reduced(found, reduction, logits, shape)


@overload
def hinge(
    scores: Value | Iterable[Value], labels: Any, reduction: Literal["mean", "sum"] = ...
) -> Value: ...
@overload
def hinge(scores: Any, labels: Any, reduction: Reduction = ...) -> Any: ...
def hinge(scores: Any, labels: Any, reduction: Reduction = "mean") -> Any:
    """How much label * score falls short of 1, or 0 if it does not. Labels are -1 or 1.

    Raises ValueError for another label.

    >>> hinge([2.0, 0.25], [1, -1])
    0.625
    """
    shape, pairs = _pairs(scores, labels, "labels", reduction)
    for _, y in pairs:
        if not (y == 1.0 or y == -1.0):
            raise ValueError(f"labels must be -1 or 1, got {_number(y)!r}")
    return _reduced([functions.relu(s * -y + 1.0) for s, y in pairs], reduction, scores, shape)


_LEAST_LOGARITHM, _INFINITY = -100.0, float("inf")
_LEAST_SPREAD = 9.999999960041972e-13  # 1e-12 in single precision, as torch has it
# The least and the largest float p for which p * (1 - p) is not below it.
_LEAST_INSIDE, _MOST_INSIDE = 9.999999960051972e-13, 0.9999999999989999


def _mixed(target: Any, x: Any, one: Callable[[Any], Any], zero: Callable[[Any], Any]) -> Any:
    """The sum target * one(x) + (1 - target) * zero(x), without a part that weighs nothing."""
    if isinstance(target, Value):
        return target * one(x) + (1.0 - target) * zero(x)
    if target in (0.0, 1.0):
        return one(x) if target else zero(x)
    return functions.dot([target, 1.0 - target], [one(x), zero(x)])


def _number(x: Any) -> float:
    """The number of what is refused, for the message."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FrozenValueWarning)  # it goes nowhere else
        return x.data if isinstance(x, Value) else float(x)


def _at_the_edge(p: Any, target: Any) -> Any:
    """The binary cross entropy where p is next to 0 or 1: a line in p."""
    point = p.detach() if isinstance(p, Value) else p
    found = _mixed(
        target,
        point,
        lambda x: _least_logarithm(functions.log(x) if x > 0.0 else -_INFINITY),
        lambda x: _least_logarithm(functions.log1p(-x) if x < 1.0 else -_INFINITY),
    )
    if not isinstance(p, Value):
        return found
    aim = target.detach() if isinstance(target, Value) else target
    return found + (p - point) * ((point - aim) / _LEAST_SPREAD)


def _least_logarithm(logarithm: Any) -> Any:
    """Minus a logarithm that is not below -100."""
    return -logarithm if logarithm > _LEAST_LOGARITHM else -_LEAST_LOGARITHM


Shape: TypeAlias = tuple[int, ...]


def _pairs(
    xs: Any, ys: Any, name: str, reduction: str
) -> tuple[Shape, list[tuple[Value | float, Value | float]]]:
    """The shape of xs, and its elements beside those of ys, after all checks."""
    _check_reduction(reduction)
    first, second = _numbers(xs), _numbers(ys)
    if first.shape != second.shape:
        raise ValueError(
            f"{name} must have the shape {first.shape} of what they judge, got {second.shape}"
        )
    _check_sizes(first.shape, reduction)
    sides = []
    for nested, numbers in ((xs, first), (ys, second)):
        elements = zip(_flat(nested, first.shape), numbers.ravel().tolist(), strict=True)
        sides.append([x if isinstance(x, Value) else number for x, number in elements])
    return first.shape, list(zip(*sides, strict=True))


def _numbers(nested: Any) -> Any:
    """The numbers, and of Values too, but 0.0 where a function is traced and those may change."""
    return functions.data_of(_without_values(nested) if is_tracing() else nested)


def _without_values(nested: Any) -> Any:
    if isinstance(nested, Value):
        return 0.0
    if hasattr(nested, "tolist"):
        nested = nested.tolist()
    if isinstance(nested, list | tuple):
        return [_without_values(x) for x in nested]
    return nested


def _check_reduction(reduction: str) -> None:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")


def _check_sizes(shape: Shape, reduction: str) -> None:
    if reduction == "mean" and 0 in shape:
        raise ValueError("there is no mean of no losses: the predictions are empty")


def _index(target: Any, classes: int) -> int:
    """The index of a class as an int."""
    try:
        index = operator.index(target)
    except TypeError:
        kind = type(target).__name__
        raise TypeError(f"the index of a class must be an integer, got {kind}") from None
    if not 0 <= index < classes:
        raise IndexError(f"the index of a class must be in [0, {classes}), got {index}")
    return index


def _flat(nested: Any, shape: Shape) -> list[Any]:
    """The elements in a list, the last axis running fastest."""
    if not shape:
        is_array = hasattr(nested, "shape")
        return [nested.item() if is_array else nested]
    return [x for row in _rows(nested, shape) for x in row]


def _rows(nested: Any, shape: Shape) -> list[Any]:
    """The lists of elements along the last axis."""
    rows = [nested]
    for _ in shape[1:]:
        rows = [row for several in rows for row in several]
    return rows


def _reduced(losses: list[Any], reduction: str, like: Any, shape: Shape) -> Any:
    """The losses as asked for; one by one, they are nested like the predictions."""
    if reduction == "mean":
        return functions.mean(losses)
    if reduction == "sum":
        return functions.sum(losses)
    if not shape:
        return losses[0]
    nested = losses
    for size in reversed(shape[1:]):
        nested = [nested[i : i + size] for i in range(0, len(nested), size or 1)]
    if not hasattr(like, "reshape"):
        return nested
    array = _numbers(nested).astype(object)
    array.ravel()[:] = losses
    return array
