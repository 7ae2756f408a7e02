"""Checks of numbers that users give: each returns the number, or says what came and is wanted."""

from numbers import Integral, Real
from typing import Any


def real(name: str, value: Any) -> float:
    """The value as a float. Raises TypeError unless it is a real number."""
    if not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number, got {type(value).__name__}")
    return float(value)


def at_least_zero(name: str, value: Any) -> float:
    """The same. Raises ValueError for what is negative or no number at all (nan), too."""
    number = real(name, value)
    if not number >= 0.0:
        raise ValueError(f"{name} must be at least 0, got {value!r}")
    return number


def count(name: str, value: Any, least: int = 0) -> int:
    """The value as an int. Raises TypeError unless it is whole, ValueError if it is below least."""
    if not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, got {type(value).__name__}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}")
    return int(value)
