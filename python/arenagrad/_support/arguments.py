"""Checks of numbers that users give: each returns the number, or says what came and is wanted."""

from numbers import Integral, Real
from typing import Any

_MOST_THREADS = 1024  # more than any machine has use for


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


def whole(name: str, value: Any) -> int:
    """The value as an int. Raises TypeError unless it is a whole number; a bool is none."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, got {type(value).__name__}")
    return int(value)


def count(name: str, value: Any, least: int = 0) -> int:
    """The same. Raises ValueError for what is below least, too."""
    number = whole(name, value)
    if number < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}")
    return number


def thread_count(value: Any) -> int:
    """The same for threads: at least 1, and not more than there is use for."""
    return min(count("threads", value, 1), _MOST_THREADS)
