"""The native steps that the optimisers of `arenagrad.optim` take."""

from collections.abc import Iterable
from typing import TypeAlias, final

import numpy as np
import numpy.typing as npt

from arenagrad._core import Value, _Real

@final
class Parameters:
    """The Values that an optimiser trains."""

    def __init__(self, params: Iterable[Value]) -> None:
        """Keep the Values of an iterable.

        Raises TypeError for what is no Value, ValueError if there are none or one comes twice.
        """

    @property
    def values(self) -> tuple[Value, ...]:
        """The Values, in the order in which they were given."""

    def __len__(self) -> int: ...
    def __reduce__(self) -> tuple[type[Parameters], tuple[tuple[Value, ...]]]: ...

_State: TypeAlias = npt.NDArray[np.float64]

def optimizer_state(count: int) -> _State:
    """A NumPy array of so many zeros: a number to be kept with each parameter."""

def copy_of_state(source: _State, count: int, name: str) -> _State:
    """A copy of an array of state.

    Raises TypeError unless it is a NumPy array of float64, ValueError unless it has one dimension
    and so many numbers; name is for the message.
    """

def zero_parameters(parameters: Parameters) -> None:
    """Set the grad of every parameter to 0. Cost: about 1 ns each."""

# In the steps the arrays of state are changed in place and hold one number for each parameter; the
# rest is as in arenagrad.optim. They raise TypeError and ValueError for what is of another kind or
# size, before anything changes.

def sgd_step(
    parameters: Parameters,
    velocity: _State,
    lr: _Real,
    momentum: _Real,
    dampening: _Real,
    weight_decay: _Real,
    nesterov: bool,
    first: bool,
) -> None:
    """Take one step of SGD; first says that velocity is not yet one."""

def adam_step(
    parameters: Parameters,
    mean: _State,
    square: _State,
    lr: _Real,
    beta1: _Real,
    beta2: _Real,
    eps: _Real,
    weight_decay: _Real,
    decoupled: bool,
    steps: int,
) -> None:
    """Take one step of Adam, or of AdamW if decoupled; steps counts this one."""

def rmsprop_step(
    parameters: Parameters,
    square: _State,
    mean: _State,
    velocity: _State,
    lr: _Real,
    alpha: _Real,
    eps: _Real,
    weight_decay: _Real,
    momentum: _Real,
    centered: bool,
) -> None:
    """Take one step of RMSprop."""
