"""Closure cells, which may be empty."""

from types import CellType
from typing import Any


def contents_of(cell: CellType, if_empty: Any = None) -> Any:
    """What a cell holds, or if_empty where nothing has been bound yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return if_empty
