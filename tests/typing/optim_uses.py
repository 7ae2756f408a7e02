"""Typed uses of the optimisers and schedules: `mypy --strict` must accept every line."""

from typing import Any, assert_type

import numpy as np

from arenagrad import Value, nn, optim


def optimisers_take_values(model: nn.Module, values: list[Value]) -> None:
    """Any iterable of Values will do; settings are numbers."""
    every: list[optim.Optimizer] = [
        optim.SGD(model.parameters()),
        optim.SGD(values, 0.1, momentum=0.9, nesterov=True),
        optim.Adam((v for v in values), lr=1, betas=(0.9, 0.99)),
        optim.AdamW(values, weight_decay=0.1),
        optim.RMSprop(values, centered=True),
    ]
    for optimizer in every:
        optimizer.zero_grad()
        optimizer.step()
        optimizer.lr = 0.5 * optimizer.lr
        assert_type(optimizer.params, tuple[Value, ...])
        assert_type(optimizer.state_dict(), dict[str, Any])
        optimizer.load_state_dict(optimizer.state_dict())
    optim.Adam(values).betas = (0.8, 0.99)


def schedules_take_optimisers(optimizer: optim.Optimizer) -> None:
    """Each has torch's name."""
    every: list[optim.Schedule] = [
        optim.LambdaLR(optimizer, lambda epoch: 0.9**epoch),
        optim.StepLR(optimizer, 10),
        optim.MultiStepLR(optimizer, [1, 2], gamma=0.5),
        optim.ExponentialLR(optimizer, 0.9),
        optim.ConstantLR(optimizer),
        optim.LinearLR(optimizer, total_iters=9),
        optim.PolynomialLR(optimizer, power=2),
        optim.CosineAnnealingLR(optimizer, T_max=100, eta_min=0.01),
        optim.OneCycleLR(optimizer, 0.1, total_steps=100),
    ]
    every.append(optim.SequentialLR(optimizer, every[:2], [5]))
    for schedule in every:
        schedule.step()
        assert_type(schedule.last_lr, float)
        assert_type(schedule.get_last_lr(), list[float])
        schedule.load_state_dict(schedule.state_dict())


def wrong_arguments_are_refused(values: list[Value], optimizer: optim.Optimizer) -> None:
    """What raises at run time is an error to the type checker."""
    optim.SGD([1.0, 2.0])  # type: ignore[list-item]
    optim.Adam(values, lr="0.1")  # type: ignore[arg-type]
    optim.Adam(values, betas=0.9)  # type: ignore[arg-type]
    optim.StepLR(values, 10)  # type: ignore[arg-type]
    optim.ExponentialLR(optimizer)  # type: ignore[call-arg]
    optimizer.params = tuple(values)  # type: ignore[misc]
    optimizer.load_state_dict(np.zeros(3))  # type: ignore[arg-type]
