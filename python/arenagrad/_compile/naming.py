"""Errors of compiled functions say in which function, and in which row of a batch, they arose."""

from collections.abc import Iterator
from contextlib import contextmanager

from arenagrad._core import ArenagradError


@contextmanager
def names_in_errors(function: str, row: int | None = None) -> Iterator[None]:
    """Adds the function, and the row if there is one, to an error of the mathematics.

    The error has the row as its attribute `row`. An error of the function's own keeps its text: the
    row is its attribute, and a note.
    """
    try:
        yield
    except Exception as error:
        name_in_error(error, function, row)
        raise


def name_in_error(error: Exception, function: str, row: int | None) -> None:
    """What `names_in_errors` does to an error."""
    is_ours = isinstance(error, ArenagradError) or _is_of_take(error)
    where = f"in {function}" if row is None else f"in {function}, row {row}"
    is_named = hasattr(error, "row")  # by a compiled function that this one calls
    if row is None and not is_ours:
        return
    vars(error)["row"] = row
    if is_ours and not is_named and len(error.args) == 1 and isinstance(error.args[0], str):
        error.args = (f"{error.args[0]} ({where})",)
    elif row is not None:
        error.add_note(where)


def _is_of_take(error: Exception) -> bool:
    return isinstance(error, IndexError) and str(error).startswith("take() ")
