"""What arenagrad.optim and torch.optim are both asked to do, and how their answers are read.

A case is a function of a module, torch's or ours: both have the same names and arguments. The
gradients are those of a chain of Rosenbrock valleys, which depend on all parameters, in plain
floats. Rates are small enough for a walk not to be chaotic: RMSprop at its default rate takes a
start that differs in the last bit elsewhere by 1e-7, and no two roundings could agree to 1e-12.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

STORED = Path(__file__).parent / "references" / "optim.json"
START = [-1.2, 1.0, 0.4, -0.7, 1.3]
STEPS, EVERY = 200, 10
EPOCHS = 50


def partials(x: list[float]) -> list[float]:
    """The gradient of the sum over i of 10 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2."""
    found = [0.0] * len(x)
    for i in range(len(x) - 1):
        off = x[i + 1] - x[i] ** 2
        found[i] += -40.0 * x[i] * off - 2.0 * (1.0 - x[i])
        found[i + 1] += 20.0 * off
    return found


Case = Callable[[Any, Any], Any]  # of the module and the parameters, or of it and the optimiser

OPTIMISERS: dict[str, Case] = {
    "sgd": lambda m, ps: m.SGD(ps),
    "sgd, decay": lambda m, ps: m.SGD(ps, lr=2e-3, weight_decay=0.3),
    "sgd, momentum": lambda m, ps: m.SGD(ps, lr=1e-3, momentum=0.9),
    "sgd, dampening": lambda m, ps: m.SGD(ps, lr=1e-3, momentum=0.9, dampening=0.3),
    "sgd, nesterov": lambda m, ps: m.SGD(
        ps, lr=1e-3, momentum=0.8, nesterov=True, weight_decay=0.05
    ),
    "adam": lambda m, ps: m.Adam(ps),
    "adam, fast": lambda m, ps: m.Adam(ps, lr=0.02),
    "adam, decay": lambda m, ps: m.Adam(ps, lr=0.01, weight_decay=0.1),
    "adam, betas": lambda m, ps: m.Adam(ps, lr=3e-3, betas=(0.3, 0.995), eps=1e-5),
    "adamw": lambda m, ps: m.AdamW(ps, lr=0.01),
    "adamw, decay": lambda m, ps: m.AdamW(ps, lr=0.01, weight_decay=0.5),
    "rmsprop": lambda m, ps: m.RMSprop(ps, 2e-3),
    "rmsprop, decay": lambda m, ps: m.RMSprop(ps, lr=1e-3, weight_decay=0.1, eps=1e-4),
    "rmsprop, centered": lambda m, ps: m.RMSprop(ps, lr=1e-3, alpha=0.9, centered=True),
    "rmsprop, all": lambda m, ps: m.RMSprop(
        ps, lr=1e-3, momentum=0.8, centered=True, weight_decay=0.01
    ),
}

SCHEDULES: dict[str, Case] = {
    "lambda": lambda m, o: m.LambdaLR(o, lambda epoch: 1.0 / (1.0 + epoch)),
    "step": lambda m, o: m.StepLR(o, 7),
    "step, gamma": lambda m, o: m.StepLR(o, step_size=3, gamma=0.7),
    "multi-step": lambda m, o: m.MultiStepLR(o, [4, 20, 20, 31], gamma=0.3),
    "exponential": lambda m, o: m.ExponentialLR(o, 0.93),
    "constant": lambda m, o: m.ConstantLR(o, factor=0.25, total_iters=6),
    "linear": lambda m, o: m.LinearLR(o),
    "linear, down": lambda m, o: m.LinearLR(o, 1.0, 0.2, total_iters=30),
    "polynomial": lambda m, o: m.PolynomialLR(o, total_iters=40, power=2.5),
    "cosine": lambda m, o: m.CosineAnnealingLR(o, 60),
    "cosine, up again": lambda m, o: m.CosineAnnealingLR(o, T_max=12, eta_min=0.02),
    "one cycle": lambda m, o: m.OneCycleLR(o, 0.5, total_steps=EPOCHS),
    "one cycle, three phases": lambda m, o: m.OneCycleLR(
        o, 0.5, epochs=10, steps_per_epoch=6, pct_start=0.4, three_phase=True
    ),
    "one cycle, linear": lambda m, o: m.OneCycleLR(
        o, 0.5, total_steps=60, anneal_strategy="linear", cycle_momentum=False, div_factor=10.0
    ),
    "warm-up, then cosine": lambda m, o: m.SequentialLR(
        o, [m.LinearLR(o, 0.1, total_iters=8), m.CosineAnnealingLR(o, 42)], [8]
    ),
    "three in turn": lambda m, o: m.SequentialLR(
        o, [m.ConstantLR(o, 0.5, 3), m.ExponentialLR(o, 0.9), m.StepLR(o, 5, 0.5)], [5, 20]
    ),
}


def walk(step: Callable[[list[float]], list[float]], start: list[float]) -> list[list[float]]:
    """The parameters at every tenth step; step(gradient) takes one and returns the parameters."""
    x, seen = start, []
    for k in range(1, STEPS + 1):
        x = step(partials(x))
        if k % EVERY == 0:
            seen.append(x)
    return seen


def stored(what: str, name: str) -> list[list[float]]:
    """What torch answered when references/make_optim.py was run last."""
    found: list[list[float]] = json.loads(STORED.read_text(encoding="utf-8"))[what][name]
    return found


def torch_walk(torch: Any, case: Case) -> list[list[float]]:
    """A case of OPTIMISERS under torch, one tensor of doubles for each parameter."""
    tensors = [torch.tensor([x], dtype=torch.float64, requires_grad=True) for x in START]
    optimizer = case(torch.optim, tensors)

    def step(gradient: list[float]) -> list[float]:
        for tensor, partial in zip(tensors, gradient, strict=True):
            tensor.grad = torch.tensor([partial], dtype=torch.float64)
        optimizer.step()
        return [tensor.item() for tensor in tensors]

    return walk(step, START)


def torch_rates(torch: Any, case: Case) -> list[list[float]]:
    """A case of SCHEDULES under torch: the rate and the first beta of Adam at every epoch."""
    tensor = torch.tensor([1.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([tensor], lr=0.1)
    schedule = case(torch.optim.lr_scheduler, optimizer)
    seen = []
    for _ in range(EPOCHS):
        group = optimizer.param_groups[0]
        seen.append([float(group["lr"]), float(group["betas"][0])])
        optimizer.step()
        schedule.step()
    return seen
