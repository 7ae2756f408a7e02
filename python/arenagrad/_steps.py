"""The native steps that the optimisers of `arenagrad.optim` take; `_steps.pyi` describes them."""

from arenagrad._core import (
    Parameters,
    adam_step,
    copy_of_state,
    optimizer_state,
    rmsprop_step,
    sgd_step,
    zero_parameters,
)

__all__ = [
    "Parameters",
    "adam_step",
    "copy_of_state",
    "optimizer_state",
    "rmsprop_step",
    "sgd_step",
    "zero_parameters",
]
