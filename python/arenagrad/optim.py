"""Optimisers: the update rules of torch.optim, each step one native call over all parameters.

    optimizer = optim.Adam(model.parameters(), lr=0.01)
    for step in range(100):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

Names, arguments, defaults and formulas are torch's, and so are the trajectories, up to rounding.
Every parameter is updated at every step: a grad that no sweep has touched is 0, not None. A grad
that is not a number makes its parameter one. The learning rate `lr` and the other settings are
attributes that may be assigned between steps; the schedules below do that to `lr`.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from arenagrad._core import optim as native
from arenagrad._support.arguments import at_least_zero, count, real
from arenagrad.engine import Value
from arenagrad.schedules import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    Schedule,
    SequentialLR,
    StepLR,
)

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "ConstantLR",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "Optimizer",
    "PolynomialLR",
    "RMSprop",
    "Schedule",
    "SequentialLR",
    "StepLR",
]


class Optimizer:
    """What all optimisers share. params is an iterable of Values, settings what the rule needs.

    `lr` is the learning rate, `steps` the number of steps taken. Raises TypeError for a parameter
    that is no Value or a setting that is no number, ValueError if there are no parameters, one
    comes twice, or a setting is out of range.
    """

    _ARRAYS: ClassVar[tuple[str, ...]] = ()  # of state: a number for each parameter
    _PROGRESS: ClassVar[tuple[str, ...]] = ()  # settings that steps change and no caller gives
    lr: float
    initial_lr: float | None = None  # what schedules start from

    def __init__(self, params: Iterable[Value], settings: dict[str, Any]) -> None:
        checked = self._checked(settings)
        self._parameters = native.Parameters(params)
        self._settings = tuple(settings)
        self._state = {name: native.optimizer_state(len(self._parameters)) for name in self._ARRAYS}
        self.steps: int = 0
        self.__dict__.update(checked)

    @staticmethod
    def _checked(settings: dict[str, Any]) -> dict[str, Any]:
        """The settings as they are kept. Raises TypeError or ValueError for what is none."""
        raise NotImplementedError("an optimiser says what its settings are")

    @property
    def params(self) -> tuple[Value, ...]:
        """The parameters, in the order in which they were given."""
        return self._parameters.values

    def zero_grad(self) -> None:
        """Set the grad of every parameter to 0. Cost: about a nanosecond for each."""
        native.zero_parameters(self._parameters)

    def step(self) -> None:
        """Update every parameter from its grad.

        Raises TypeError for a setting that has been assigned what is no number, before anything
        changes. Cost: about 5 ns a parameter.
        """
        raise NotImplementedError("an optimiser says what a step is")

    def state_dict(self) -> dict[str, Any]:
        """A copy of all that a later step depends on, the parameters themselves apart.

        The settings by name, `steps`, and a NumPy array for each kind of number that is kept for
        the parameters, under torch's names.
        """
        settings = {name: getattr(self, name) for name in self._settings}
        arrays = {name: array.copy() for name, array in self._state.items()}
        return {**settings, "steps": self.steps, **arrays}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on, to the last bit, where state_dict() of an optimiser of the same kind was asked.

        Raises ValueError if names or sizes are different and TypeError if kinds are; then nothing
        has changed.
        """
        if not isinstance(state_dict, dict):
            raise TypeError(f"state_dict must be a dict, got {type(state_dict).__name__}")
        names = {*self._settings, "steps", *self._ARRAYS}
        if state_dict.keys() != names:
            different = ", ".join(sorted(map(str, state_dict.keys() ^ names)))
            raise ValueError(f"state_dict of another kind of optimiser, by its names: {different}")
        settings = self._checked({name: state_dict[name] for name in self._settings})
        steps = count("steps", state_dict["steps"])
        size = len(self._parameters)
        self._state = {
            name: native.copy_of_state(state_dict[name], size, name) for name in self._ARRAYS
        }
        self.steps = steps
        self.__dict__.update(settings)

    def _count_step(self) -> None:
        self.steps += 1

    def __repr__(self) -> str:
        given = (name for name in self._settings if name not in self._PROGRESS)
        settings = "".join(f", {name}={getattr(self, name)!r}" for name in given)
        return f"{type(self).__name__}({len(self._parameters)} parameters{settings})"


class SGD(Optimizer):
    """Gradient descent, with momentum if asked for.

    momentum is what is kept of the last step, dampening what the gradient loses before it is added
    to that, weight_decay how much of the parameter is added to its gradient; nesterov looks ahead
    by a step and needs momentum without dampening. Errors: see Optimizer.
    """

    _ARRAYS = ("momentum_buffer",)
    _PROGRESS = ("moving",)
    momentum: float
    dampening: float
    weight_decay: float
    nesterov: bool
    moving: bool  # whether momentum_buffer has begun: its first content is not dampened

    def __init__(
        self,
        params: Iterable[Value],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
    ) -> None:
        settings = {"lr": lr, "momentum": momentum, "dampening": dampening}
        settings |= {"weight_decay": weight_decay, "nesterov": nesterov, "moving": False}
        super().__init__(params, settings)

    @staticmethod
    def _checked(settings: dict[str, Any]) -> dict[str, Any]:
        checked: dict[str, Any] = {
            name: at_least_zero(name, settings[name]) for name in ("lr", "momentum", "weight_decay")
        }
        checked["dampening"] = real("dampening", settings["dampening"])
        checked["nesterov"] = bool(settings["nesterov"])
        checked["moving"] = bool(settings["moving"])
        if checked["nesterov"] and (not checked["momentum"] or checked["dampening"]):
            raise ValueError("nesterov needs momentum above 0 and dampening 0")
        return checked

    def step(self) -> None:
        """Update every parameter from its grad. Cost: 1 to 2 ns each. Errors: see Optimizer."""
        native.sgd_step(
            self._parameters,
            self._state["momentum_buffer"],
            self.lr,
            self.momentum,
            self.dampening,
            self.weight_decay,
            self.nesterov,
            not self.moving,
        )
        self.moving = self.moving or self.momentum != 0
        self._count_step()


class Adam(Optimizer):
    """Steps by the running mean of the gradient over the root of that of its square.

    betas is how much each of the two means keeps at a step, eps is added to the root,
    weight_decay is how much of the parameter is added to its gradient. Errors: see Optimizer.
    """

    _ARRAYS = ("exp_avg", "exp_avg_sq")
    _DECOUPLED: ClassVar[bool] = False
    betas: tuple[float, float]
    eps: float
    weight_decay: float

    def __init__(
        self,
        params: Iterable[Value],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
    ) -> None:
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, settings)

    @staticmethod
    def _checked(settings: dict[str, Any]) -> dict[str, Any]:
        betas = settings["betas"]
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise TypeError(f"betas must be a tuple of two numbers, got {betas!r}")
        means = [real(f"betas[{i}]", beta) for i, beta in enumerate(betas)]
        for i, beta in enumerate(means):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"betas[{i}] must be at least 0 and below 1, got {beta!r}")
        names = ("lr", "eps", "weight_decay")
        return {**{n: at_least_zero(n, settings[n]) for n in names}, "betas": tuple(means)}

    def step(self) -> None:
        """Update every parameter from its grad. Cost: about 4 ns each. Errors: see Optimizer."""
        beta1, beta2 = self.betas
        native.adam_step(
            self._parameters,
            self._state["exp_avg"],
            self._state["exp_avg_sq"],
            self.lr,
            beta1,
            beta2,
            self.eps,
            self.weight_decay,
            self._DECOUPLED,
            self.steps + 1,
        )
        self._count_step()


class AdamW(Adam):
    """Adam whose weight_decay shrinks the parameters by themselves, apart from their gradients.

    The arguments are Adam's, with another default for weight_decay. Errors: see Optimizer.
    """

    _DECOUPLED = True

    def __init__(
        self,
        params: Iterable[Value],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)


class RMSprop(Optimizer):
    """Steps by the gradient over the root of the running mean of its square.

    alpha is how much that mean keeps at a step, eps is added to the root, weight_decay is how much
    of the parameter is added to its gradient, momentum what is kept of the last step; centered
    takes the square of the mean off the mean of the square. Errors: see Optimizer.
    """

    _ARRAYS = ("square_avg", "grad_avg", "momentum_buffer")
    alpha: float
    eps: float
    weight_decay: float
    momentum: float
    centered: bool

    def __init__(
        self,
        params: Iterable[Value],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
    ) -> None:
        settings = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**settings, "momentum": momentum, "centered": centered})

    @staticmethod
    def _checked(settings: dict[str, Any]) -> dict[str, Any]:
        names = ("lr", "alpha", "eps", "weight_decay", "momentum")
        checked = {name: at_least_zero(name, settings[name]) for name in names}
        return {**checked, "centered": bool(settings["centered"])}

    def step(self) -> None:
        """Update every parameter from its grad. Cost: about 4 ns each. Errors: see Optimizer."""
        native.rmsprop_step(
            self._parameters,
            self._state["square_avg"],
            self._state["grad_avg"],
            self._state["momentum_buffer"],
            self.lr,
            self.alpha,
            self.eps,
            self.weight_decay,
            self.momentum,
            self.centered,
        )
        self._count_step()
