"""micrograd's Value on a C++ arena: scalar automatic differentiation, fast.

Record with `Value`, differentiate with `backward()`:

>>> from arenagrad import Value
>>> a, b = Value(2.0), Value(-3.0)
>>> loss = (a * b + a**3).relu()
>>> loss.backward()
>>> a.grad, b.grad
(9.0, 2.0)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from arenagrad._compile.api import compile, grad, hessian, hvp, jacobian, value_and_grad
from arenagrad._compile.compiled import Compiled
from arenagrad._compile.program import Program
from arenagrad._core import (
    ArenaFullError,
    ArenagradError,
    DivisionByZeroError,
    DomainError,
    FormatError,
    FrozenValueWarning,
    RangeError,
    Value,
    arena_info,
    build_info,
    collect,
    topological_order,
)
from arenagrad.compat import install_as_micrograd
from arenagrad.functions import (
    abs,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    assign,
    cbrt,
    ceil,
    cos,
    cosh,
    data_of,
    dot,
    elu,
    erf,
    exp,
    exp2,
    expm1,
    floor,
    gelu,
    grad_of,
    hypot,
    leaky_relu,
    lgamma,
    linear,
    log,
    log1p,
    log2,
    log10,
    log_softmax,
    logsumexp,
    maximum,
    mean,
    minimum,
    norm,
    power,
    prod,
    reciprocal,
    relu,
    sigmoid,
    sign,
    silu,
    sin,
    sinh,
    softmax,
    softplus,
    sqrt,
    square,
    sum,
    take,
    tan,
    tanh,
    values,
    where,
    zero_grad,
)
from arenagrad.grad_mode import custom, no_grad
from arenagrad.pictures import Picture, draw, to_dot, to_mermaid, to_networkx
from arenagrad.saving import load, save

if TYPE_CHECKING:
    from arenagrad import losses as losses
    from arenagrad import nn as nn
    from arenagrad import optim as optim
else:

    def __getattr__(name: str) -> Any:
        """`arenagrad.optim` and the like, which are imported when they are first asked for."""
        if name in ("losses", "nn", "optim"):
            return import_module(f"arenagrad.{name}")
        raise AttributeError(f"module 'arenagrad' has no attribute {name!r}")


__version__: str = build_info()["version"]

__all__ = [
    "ArenaFullError",
    "ArenagradError",
    "Compiled",
    "DivisionByZeroError",
    "DomainError",
    "FormatError",
    "FrozenValueWarning",
    "Picture",
    "Program",
    "RangeError",
    "Value",
    "__version__",
    "abs",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "arena_info",
    "assign",
    "build_info",
    "cbrt",
    "ceil",
    "collect",
    "compile",
    "cos",
    "cosh",
    "custom",
    "data_of",
    "dot",
    "draw",
    "elu",
    "erf",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "gelu",
    "grad",
    "grad_of",
    "hessian",
    "hvp",
    "hypot",
    "install_as_micrograd",
    "jacobian",
    "leaky_relu",
    "lgamma",
    "linear",
    "load",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_softmax",
    "logsumexp",
    "maximum",
    "mean",
    "minimum",
    "no_grad",
    "norm",
    "power",
    "prod",
    "reciprocal",
    "relu",
    "save",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinh",
    "softmax",
    "softplus",
    "sqrt",
    "square",
    "sum",
    "take",
    "tan",
    "tanh",
    "to_dot",
    "to_mermaid",
    "to_networkx",
    "topological_order",
    "value_and_grad",
    "values",
    "where",
    "zero_grad",
]
