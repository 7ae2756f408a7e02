"""micrograd's Value on a C++ arena: scalar automatic differentiation, fast.

    from arenagrad import Value
    a, b = Value(2.0), Value(-3.0)
    loss = (a * b + b**3).relu()
    loss.backward()
    print(a.grad, b.grad)
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
    "topological_order",
]
