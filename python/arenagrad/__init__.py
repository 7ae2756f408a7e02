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

from arenagrad._compile.api import (
    compile,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    value_and_grad,
    vjp,
)
from arenagrad._compile.callbacks import pure_callback
from arenagrad._compile.compiled import Compiled
from arenagrad._compile.custom_rules import custom_jvp, custom_vjp, stop_gradient
from arenagrad._compile.gradient_checks import check_grads
from arenagrad._compile.implicit import ConvergenceError, fixed_point, root
from arenagrad._compile.program import Program
from arenagrad._compile.trace_cache import VariantsWarning
from arenagrad._core import (
    ArenaFullError,
    ArenagradError,
    DetachedValueWarning,
    DivisionByZeroError,
    DomainError,
    FormatError,
    FrozenValueWarning,
    RangeError,
    UntracedError,
    Value,
    arena_info,
    build_info,
    collect,
    set_capacity,
    topological_order,
)
from arenagrad.compat import install_as_micrograd
from arenagrad.functions import *  # noqa: F403, its stub is the one list of them
from arenagrad.functions import __all__ as __all__
from arenagrad.grad_mode import custom, disable_compile, no_grad
from arenagrad.pictures import Picture, draw, to_dot, to_mermaid, to_networkx
from arenagrad.saving import load, save
from arenagrad.structures import register_node

if TYPE_CHECKING:
    from arenagrad import linalg as linalg
    from arenagrad import losses as losses
    from arenagrad import nn as nn
    from arenagrad import optim as optim
    from arenagrad.arrays import ValueArray
else:

    def __getattr__(name: str) -> Any:
        """`arenagrad.optim` and the like, which are imported when they are first asked for."""
        if name in ("linalg", "losses", "nn", "optim"):
            return import_module(f"arenagrad.{name}")
        if name == "ValueArray":
            return import_module("arenagrad.arrays").ValueArray
        raise AttributeError(f"module 'arenagrad' has no attribute {name!r}")


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext arenagrad` calls: it adds `%install_as_micrograd` and `%%replace_class`.

    Args:
        shell: the IPython shell that loads the extension.
    """
    from arenagrad._drop_in import magics

    magics.register(shell, install_as_micrograd)


__version__: str = build_info()["version"]

# Behind the functions, which a tuple lists: theirs stays as it is.
__all__ += (
    "ArenaFullError",
    "ArenagradError",
    "Compiled",
    "ConvergenceError",
    "DetachedValueWarning",
    "DivisionByZeroError",
    "DomainError",
    "FormatError",
    "FrozenValueWarning",
    "Picture",
    "Program",
    "RangeError",
    "UntracedError",
    "Value",
    "ValueArray",
    "VariantsWarning",
    "__version__",
    "arena_info",
    "build_info",
    "check_grads",
    "collect",
    "compile",
    "custom",
    "custom_jvp",
    "custom_vjp",
    "disable_compile",
    "draw",
    "fixed_point",
    "grad",
    "hessian",
    "hvp",
    "install_as_micrograd",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "load",
    "no_grad",
    "pure_callback",
    "register_node",
    "root",
    "save",
    "set_capacity",
    "stop_gradient",
    "to_dot",
    "to_mermaid",
    "to_networkx",
    "topological_order",
    "value_and_grad",
    "vjp",
)
