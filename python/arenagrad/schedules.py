"""Learning rates that change with time: the schedules of torch.optim.lr_scheduler.

A schedule sets the `lr` of its optimiser when it is made and at every `step()` of its own, which
follows the optimiser's. Names, arguments and sequences are torch's. Each rate is computed from the
base rate and the number of steps alone, so nothing adds up over a long training; two schedules of
one optimiser therefore do not multiply. SequentialLR runs one after the other.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Protocol

from arenagrad._support.arguments import at_least_zero, count, real


class Scheduled(Protocol):
    """An optimiser as its schedules see it, such as `optim.Optimizer`."""

    lr: float
    initial_lr: float | None


class Schedule:
    """What all schedules share: the optimizer, its base_lr, and last_epoch, the steps taken so far.

    The base rate is the `lr` that the optimiser had when its first schedule was made. Raises
    TypeError if there is no `lr`.
    """

    _KEPT: ClassVar[tuple[str, ...]] = ("optimizer",)  # what is no part of the state

    def __init__(self, optimizer: Scheduled) -> None:
        if not hasattr(optimizer, "lr"):
            raise TypeError(f"optimizer must be an Optimizer, got {type(optimizer).__name__}")
        if optimizer.initial_lr is None:
            optimizer.initial_lr = real("lr", optimizer.lr)
        self.optimizer = optimizer
        self.base_lr: float = optimizer.initial_lr
        self.last_epoch: int = 0
        self.last_lr: float = 0.0
        self._set(0)

    def _rate(self, epoch: int) -> float:
        """The rate after so many steps."""
        raise NotImplementedError("a schedule says what its rate is")

    def _attributes(self, epoch: int) -> dict[str, Any]:
        """What the optimiser has after so many steps."""
        return {"lr": self._rate(epoch)}

    def _set(self, epoch: int) -> None:
        found = self._attributes(epoch)
        for name, value in found.items():
            setattr(self.optimizer, name, value)
        self.last_epoch = epoch
        self.last_lr = found["lr"]

    def step(self) -> None:
        """Go on by one and set the optimiser's `lr`."""
        self._set(self.last_epoch + 1)

    def get_last_lr(self) -> list[float]:
        """The rate that was set last, `last_lr`, in a list as torch has it."""
        return [self.last_lr]

    def state_dict(self) -> dict[str, Any]:
        """All that a later step depends on, the optimiser and functions apart."""
        return {name: value for name, value in vars(self).items() if name not in self._KEPT}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where state_dict() of a schedule of the same kind was asked.

        The optimiser's `lr` is left to its own load_state_dict. Raises ValueError if the names are
        different and TypeError if kinds are; then nothing has changed.
        """
        self._check(state_dict)
        self._restore(state_dict)

    def _check(self, state_dict: dict[str, Any]) -> None:
        if not isinstance(state_dict, dict):
            raise TypeError(f"state_dict must be a dict, got {type(state_dict).__name__}")
        present = self.state_dict()
        if state_dict.keys() != present.keys():
            different = ", ".join(sorted(map(str, state_dict.keys() ^ present.keys())))
            raise ValueError(f"state_dict of another kind of schedule, by its names: {different}")
        for name, value in present.items():
            wanted = list | tuple if isinstance(value, tuple) else type(value)  # files have lists
            if not isinstance(state_dict[name], wanted):
                got = type(state_dict[name]).__name__
                raise TypeError(f"{name} must be of type {type(value).__name__}, got {got}")

    def _restore(self, state_dict: dict[str, Any]) -> None:
        self.__dict__.update(
            {name: tuple(v) if isinstance(v, list) else v for name, v in state_dict.items()}
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(last_epoch={self.last_epoch}, last_lr={self.last_lr!r})"


class LambdaLR(Schedule):
    """The base rate times lr_lambda(steps so far), a function that returns a number.

    Raises TypeError if it returns anything else, and whatever it raises.
    """

    _KEPT = ("optimizer", "lr_lambda")

    def __init__(self, optimizer: Scheduled, lr_lambda: Callable[[int], float]) -> None:
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def _rate(self, epoch: int) -> float:
        return self.base_lr * real("what lr_lambda returns", self.lr_lambda(epoch))


class StepLR(Schedule):
    """The rate times gamma every step_size steps. Raises ValueError if that is below 1."""

    def __init__(self, optimizer: Scheduled, step_size: int, gamma: float = 0.1) -> None:
        self.step_size: int = count("step_size", step_size, 1)
        self.gamma: float = real("gamma", gamma)
        super().__init__(optimizer)

    def _rate(self, epoch: int) -> float:
        return self.base_lr * self.gamma ** (epoch // self.step_size)


class MultiStepLR(Schedule):
    """The rate times gamma at each milestone, a number of steps; one given twice counts twice."""

    def __init__(self, optimizer: Scheduled, milestones: Iterable[int], gamma: float = 0.1) -> None:
        self.milestones: tuple[int, ...] = tuple(
            sorted(count("a milestone", m) for m in milestones)
        )
        self.gamma: float = real("gamma", gamma)
        super().__init__(optimizer)

    def _rate(self, epoch: int) -> float:
        return self.base_lr * self.gamma ** bisect_right(self.milestones, epoch)


class ExponentialLR(Schedule):
    """The rate times gamma at every step."""

    def __init__(self, optimizer: Scheduled, gamma: float) -> None:
        self.gamma: float = real("gamma", gamma)
        super().__init__(optimizer)

    def _rate(self, epoch: int) -> float:
        return self.base_lr * self.gamma**epoch


class ConstantLR(Schedule):
    """The rate times factor, from 0 to 1, for total_iters steps, then the base rate."""

    def __init__(self, optimizer: Scheduled, factor: float = 1.0 / 3, total_iters: int = 5) -> None:
        self.factor: float = _fraction("factor", factor)
        self.total_iters: int = count("total_iters", total_iters)
        super().__init__(optimizer)

    def _rate(self, epoch: int) -> float:
        return self.base_lr * (self.factor if epoch < self.total_iters else 1.0)


class LinearLR(Schedule):
    """The rate times a factor that goes straight from start_factor to end_factor.

    It takes total_iters steps, at least one; the factors are from 0 to 1, and the first is not 0.
    The usual warm-up. Raises ValueError for what is out of range.
    """

    def __init__(
        self,
        optimizer: Scheduled,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ) -> None:
        self.start_factor: float = _fraction("start_factor", start_factor)
        if self.start_factor == 0.0:
            raise ValueError("start_factor must be above 0, got 0")
        self.end_factor: float = _fraction("end_factor", end_factor)
        self.total_iters: int = count("total_iters", total_iters, 1)
        super().__init__(optimizer)

    def _rate(self, epoch: int) -> float:
        done = min(epoch, self.total_iters) / self.total_iters
        return self.base_lr * (self.start_factor + (self.end_factor - self.start_factor) * done)


class PolynomialLR(Schedule):
    """The rate times the power of what is left of total_iters steps, at least one; then 0."""

    def __init__(self, optimizer: Scheduled, total_iters: int = 5, power: float = 1.0) -> None:
        self.total_iters: int = count("total_iters", total_iters, 1)
        self.power: float = at_least_zero("power", power)
        super().__init__(optimizer)

    def _rate(self, epoch: int) -> float:
        left = 1.0 - min(epoch, self.total_iters) / self.total_iters
        return self.base_lr * math.pow(left, self.power)


class CosineAnnealingLR(Schedule):
    """From the base rate down to eta_min along half a cosine of T_max steps, and up again."""

    def __init__(self, optimizer: Scheduled, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max: int = count("T_max", T_max, 1)
        self.eta_min: float = real("eta_min", eta_min)
        super().__init__(optimizer)

    def _rate(self, epoch: int) -> float:
        return _along_cosine(self.base_lr, self.eta_min, epoch / self.T_max)


class OneCycleLR(Schedule):
    """From max_lr / div_factor up to max_lr, and down to that over final_div_factor.

    It takes total_steps steps, or epochs times steps_per_epoch; a step more raises ValueError. The
    part pct_start of them goes up. anneal_strategy is "cos" or "linear". three_phase goes down as
    far as it went up first, and to the end from there. With cycle_momentum the momentum of the
    optimiser, or the first of its betas, goes the other way, from max_momentum to base_momentum and
    back. Raises ValueError for what is out of range.
    """

    def __init__(
        self,
        optimizer: Scheduled,
        max_lr: float,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("total_steps is wanted, or epochs and steps_per_epoch")
            total_steps = count("epochs", epochs, 1) * count("steps_per_epoch", steps_per_epoch, 1)
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
        self.total_steps: int = count("total_steps", total_steps, 1)
        self.pct_start: float = _fraction("pct_start", pct_start)
        self.anneal_strategy = anneal_strategy
        self.cycle_momentum: bool = bool(cycle_momentum)
        self.base_momentum: float = real("base_momentum", base_momentum)
        self.max_momentum: float = real("max_momentum", max_momentum)
        self.max_lr: float = real("max_lr", max_lr)
        self.first_lr: float = self.max_lr / real("div_factor", div_factor)
        self.least_lr: float = self.first_lr / real("final_div_factor", final_div_factor)
        self.three_phase: bool = bool(three_phase)
        optimizer.initial_lr = self.first_lr
        super().__init__(optimizer)

    def _phases(self) -> Iterable[tuple[float, tuple[float, float], tuple[float, float]]]:
        """The last step of each phase, its first and last rate, its first and last momentum."""
        up = self.pct_start * self.total_steps - 1
        end = self.total_steps - 1
        falling = self.max_momentum, self.base_momentum
        yield up, (self.first_lr, self.max_lr), falling
        if self.three_phase:
            yield 2 * up, (self.max_lr, self.first_lr), falling[::-1]
            yield end, (self.first_lr, self.least_lr), (self.max_momentum, self.max_momentum)
        else:
            yield end, (self.max_lr, self.least_lr), falling[::-1]

    def _attributes(self, epoch: int) -> dict[str, Any]:
        if epoch > self.total_steps:
            raise ValueError(f"step {epoch} of a schedule of {self.total_steps} steps")
        start = 0.0
        phases = list(self._phases())
        while epoch > phases[0][0] and len(phases) > 1:
            start = phases.pop(0)[0]
        end, rates, momenta = phases[0]
        done = (epoch - start) / (end - start) if end != start else 1.0
        move = _along_cosine if self.anneal_strategy == "cos" else _along_line
        found: dict[str, Any] = {"lr": move(*rates, done)}
        if self.cycle_momentum:
            momentum = move(*momenta, done)
            betas = getattr(self.optimizer, "betas", None)
            found |= {"betas": (momentum, betas[1])} if betas else {"momentum": momentum}
        return found


class SequentialLR(Schedule):
    """One schedule after the other, each of the same optimiser and each from its own beginning.

    milestones says after how many steps the second, the third and so on begin. Raises ValueError if
    there is not one milestone fewer than schedulers, if they fall, or if the optimiser is another.
    """

    _KEPT = ("optimizer", "schedulers")

    def __init__(
        self, optimizer: Scheduled, schedulers: Sequence[Schedule], milestones: Sequence[int]
    ) -> None:
        self.schedulers: tuple[Schedule, ...] = tuple(schedulers)
        self.milestones: tuple[int, ...] = tuple(count("a milestone", m) for m in milestones)
        if not self.schedulers or len(self.milestones) != len(self.schedulers) - 1:
            raise ValueError(
                f"one milestone fewer than schedulers is wanted, got {len(self.milestones)} "
                f"and {len(self.schedulers)}"
            )
        if self.milestones != tuple(sorted(self.milestones)):
            raise ValueError(f"milestones must rise, got {list(self.milestones)}")
        if any(schedule.optimizer is not optimizer for schedule in self.schedulers):
            raise ValueError("schedulers must all be of this optimizer")
        super().__init__(optimizer)

    def _attributes(self, epoch: int) -> dict[str, Any]:
        which = bisect_right(self.milestones, epoch)
        begun = self.milestones[which - 1] if which else 0
        return self.schedulers[which]._attributes(epoch - begun)

    def state_dict(self) -> dict[str, Any]:
        """All that a later step depends on, the state of each schedule included."""
        states = [schedule.state_dict() for schedule in self.schedulers]
        return {**super().state_dict(), "schedulers": states}

    def _check(self, state_dict: dict[str, Any]) -> None:
        super()._check(state_dict)
        states = state_dict["schedulers"]
        if len(states) != len(self.schedulers):
            raise ValueError(f"a state of {len(states)} schedulers for {len(self.schedulers)}")
        for schedule, state in zip(self.schedulers, states, strict=True):
            schedule._check(state)

    def _restore(self, state_dict: dict[str, Any]) -> None:
        for schedule, state in zip(self.schedulers, state_dict["schedulers"], strict=True):
            schedule._restore(state)
        own = {name: value for name, value in state_dict.items() if name != "schedulers"}
        super()._restore(own)


def _fraction(name: str, value: Any) -> float:
    number = real(name, value)
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"{name} must be from 0 to 1, got {value!r}")
    return number


def _along_line(start: float, end: float, done: float) -> float:
    return (end - start) * done + start


def _along_cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) / 2.0 * (1.0 + math.cos(math.pi * done))
