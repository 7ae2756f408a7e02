"""micrograd's Value on a C++ arena: scalar automatic differentiation, fast.

Record with `Value`, differentiate with `backward()`:

>>> from arenagrad import Value
>>> a, b = Value(2.0), Value(-3.0)
>>> loss = (a * b + a**3).relu()
>>> loss.backward()
>>> a.grad, b.grad
(9.0, 2.0)
"""

from arenagrad._core import (
    ArenaFullError,
    ArenagradError,
    DivisionByZeroError,
    DomainError,
    RangeError,
    Value,
    arena_info,
    build_info,
    collect,
    topological_order,
)
from arenagrad.compat import install_as_micrograd

__version__: str = build_info()["version"]

__all__ = [
    "ArenaFullError",
    "ArenagradError",
    "DivisionByZeroError",
    "DomainError",
    "RangeError",
    "Value",
    "__version__",
    "arena_info",
    "build_info",
    "collect",
    "install_as_micrograd",
    "topological_order",
]
