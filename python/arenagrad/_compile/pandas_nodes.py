"""pandas' Series and DataFrames as arguments and results: imported once pandas is there.

Their numbers are an array; the index, the columns and names, and columns that hold no numbers, are
structure, which chooses a program. A row of a DataFrame in a batch is a Series whose index is that
of the columns. What has another shape, as results of all rows and Jacobians have, is a plain array.
"""

from contextlib import suppress
from numbers import Real
from typing import Any

from arenagrad._core import Value
from arenagrad._core.compiled import register_node


class Labels:
    """What a Series or DataFrame is beside its numbers, compared by all that pandas compares."""

    def __init__(self, index: Any, columns: Any, name: Any, others: tuple[Any, ...]) -> None:
        self.index, self.columns, self.name, self.others = index, columns, name, others

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Labels)
            and _same_index(self.index, other.index)
            and _same_index(self.columns, other.columns)
            and type(self.name) is type(other.name)
            and self.name == other.name
            and len(self.others) == len(other.others)
            and all(
                at == where and one.equals(same)
                for (at, one), (where, same) in zip(self.others, other.others, strict=True)
            )
        )

    def __hash__(self) -> int:
        return hash((len(self.index), None if self.columns is None else len(self.columns)))

    def __repr__(self) -> str:
        return f"<labels of {len(self.index)} rows>"


def register() -> None:
    """Let compiled functions take and return Series and DataFrames."""
    import pandas as pd

    with suppress(ValueError):  # a user has registered it
        register_node(pd.Series, _flatten_series, _unflatten_series, _rows_of_series)
    with suppress(ValueError):
        register_node(pd.DataFrame, _flatten_frame, _unflatten_frame, _rows_of_frame)


def _same_index(one: Any, other: Any) -> bool:
    if one is other or one is None or other is None:
        return one is other
    return bool(one.identical(other))


def _flatten_series(series: Any) -> tuple[tuple[Any, ...], Labels]:
    if not _has_numbers(series):
        others = ((0, series.copy()),)  # a caller may change his in place
        return (), Labels(series.index, None, series.name, others)
    return (_numbers_of(series),), Labels(series.index, None, series.name, ())


def _unflatten_series(labels: Labels, children: tuple[Any, ...]) -> Any:
    import pandas as pd

    if not children:
        return labels.others[0][1].copy()
    (numbers,) = children
    if getattr(numbers, "shape", None) != (len(labels.index),):
        return numbers
    return pd.Series(numbers, index=labels.index, name=labels.name)


def _flatten_frame(frame: Any) -> tuple[tuple[Any, ...], Labels]:
    columns = [frame.iloc[:, k] for k in range(frame.shape[1])]
    numeric = [k for k, column in enumerate(columns) if _has_numbers(column)]
    others = tuple((k, column.copy()) for k, column in enumerate(columns) if k not in numeric)
    numbers = _numbers_of(frame if not others else frame.iloc[:, numeric])
    return (numbers,), Labels(frame.index, frame.columns, None, others)


def _unflatten_frame(labels: Labels, children: tuple[Any, ...]) -> Any:
    import pandas as pd

    (numbers,) = children
    numeric = len(labels.columns) - len(labels.others)
    if getattr(numbers, "shape", None) != (len(labels.index), numeric):
        return numbers
    if not labels.others:
        return pd.DataFrame(numbers, index=labels.index, columns=labels.columns)
    kept, rest = dict(labels.others), iter(range(numbers.shape[1]))
    columns = (
        kept[k] if k in kept else pd.Series(numbers[:, next(rest)], index=labels.index)
        for k in range(len(labels.columns))
    )
    frame = pd.concat(list(columns), axis=1)
    frame.columns = labels.columns
    return frame


def _rows_of_series(series: Any, _: int) -> tuple[Any, Any]:
    if not _has_numbers(series):
        raise TypeError(f"the rows of a batch must be real numbers, got the dtype {series.dtype}")
    return None, _numbers_of(series)


def _rows_of_frame(frame: Any, axis: int) -> tuple[Any, Any]:
    import pandas as pd

    if axis not in (0, -2):
        raise ValueError(
            "in_axes for a DataFrame must be 0, which is the axis of its rows, or None, got "
            f"{axis}: give its transpose"
        )
    others = [name for name, column in frame.items() if not _has_numbers(column)]
    if others:
        raise TypeError(
            f"the rows of a batch must be real numbers, and the columns {others} are not: give the "
            "DataFrame without them"
        )
    numbers = _numbers_of(frame)
    return pd.Series([0.0] * frame.shape[1], index=frame.columns), numbers


def _numbers_of(thing: Any) -> Any:
    if all(dtype.kind != "O" for dtype in getattr(thing.dtypes, "array", [thing.dtypes])):
        return thing.to_numpy(dtype="float64", na_value=float("nan"))
    return thing.to_numpy(dtype=object)


def _has_numbers(column: Any) -> bool:
    if column.dtype.kind != "O":
        return column.dtype.kind in "fiu"
    return len(column) > 0 and all(map(_is_number, column))


def _is_number(item: Any) -> bool:
    return isinstance(item, Value | Real) and not isinstance(item, bool)
