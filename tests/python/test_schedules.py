"""arenagrad.schedules beside torch.optim.lr_scheduler: the same rates, saved and gone on."""

import math
import pickle
from pathlib import Path
from typing import Any

import pytest

import arenagrad
import optim_oracle
from arenagrad import Value, optim

each_case = pytest.mark.parametrize("name", optim_oracle.SCHEDULES)


def adam(lr: float = 0.1) -> optim.Adam:
    return optim.Adam([Value(1.0)], lr=lr)


def rates(optimizer: optim.Adam, schedule: optim.Schedule, epochs: int) -> list[list[float]]:
    seen = []
    for _ in range(epochs):
        seen.append([optimizer.lr, optimizer.betas[0]])
        schedule.step()
    return seen


def ours(name: str) -> list[list[float]]:
    optimizer = adam()
    return rates(optimizer, optim_oracle.SCHEDULES[name](optim, optimizer), optim_oracle.EPOCHS)


def assert_close(found: list[list[float]], wanted: list[list[float]]) -> None:
    assert len(found) == len(wanted)
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-12, abs=1e-15)


@each_case
def test_the_rates_are_those_that_torch_gave(name: str) -> None:
    found = ours(name)
    assert_close(found, optim_oracle.stored("schedules", name))
    assert len({rate for rate, _ in found}) > 1


@each_case
def test_the_rates_are_those_that_torch_gives(name: str) -> None:
    torch = pytest.importorskip("torch", reason="torch, too large to be asked for, is not here")
    assert_close(ours(name), optim_oracle.torch_rates(torch, optim_oracle.SCHEDULES[name]))


def test_momentum_runs_against_the_rate_in_one_cycle() -> None:
    optimizer = optim.SGD([Value(1.0)], momentum=0.5)
    schedule = optim.OneCycleLR(optimizer, 1.0, total_steps=40)
    for _ in range(39):
        along = (optimizer.lr - schedule.least_lr) / (1.0 - schedule.least_lr)
        assert 0.85 <= optimizer.momentum <= 0.95
        assert along > 0.9 or optimizer.momentum > 0.855
        schedule.step()
    assert optimizer.lr == pytest.approx(0.04 / 1e4)
    assert optimizer.momentum == pytest.approx(0.95)
    schedule.step()
    with pytest.raises(ValueError, match="step 41 of a schedule of 40 steps"):
        schedule.step()
    assert schedule.last_epoch == 40


def test_the_rate_of_the_optimiser_is_what_was_set_last() -> None:
    optimizer = adam(1.0)
    schedule = optim.StepLR(optimizer, 1, 0.5)
    assert schedule.base_lr == optimizer.initial_lr == 1.0
    for k in range(5):
        assert optimizer.lr == schedule.last_lr == 0.5**k
        assert schedule.get_last_lr() == [0.5**k]
        schedule.step()
    assert repr(schedule) == "StepLR(last_epoch=5, last_lr=0.03125)"
    assert optim.ExponentialLR(optimizer, 0.5).base_lr == 1.0, "the first schedule's, as in torch"


@each_case
def test_a_saved_schedule_goes_on_to_the_last_bit(name: str) -> None:
    make = optim_oracle.SCHEDULES[name]
    wanted = ours(name)
    first = adam()
    schedule = make(optim, first)
    rates(first, schedule, 23)
    state = pickle.loads(pickle.dumps(schedule.state_dict()))
    second = adam(7.0)
    resumed = make(optim, second)
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(state)
    assert rates(second, resumed, optim_oracle.EPOCHS - 23) == wanted[23:]


def test_a_state_that_comes_from_a_file_goes_on_though_its_tuples_are_lists(tmp_path: Path) -> None:
    def made() -> tuple[optim.Adam, optim.Schedule]:
        optimizer = adam()
        parts = [optim.MultiStepLR(optimizer, [2, 5]), optim.StepLR(optimizer, 2)]
        return optimizer, optim.SequentialLR(optimizer, parts, [7])

    (first, schedule), (second, resumed) = made(), made()
    rates(first, schedule, 4)
    both = {"adam": first.state_dict(), "schedule": schedule.state_dict()}
    arenagrad.save(both, tmp_path / "both.npz")
    state = arenagrad.load(tmp_path / "both.npz")
    assert type(state["schedule"]["milestones"]) is list
    second.load_state_dict(state["adam"])
    resumed.load_state_dict(state["schedule"])
    assert resumed.state_dict() == schedule.state_dict(), "tuples again"
    assert second.betas == first.betas
    assert rates(second, resumed, 10) == rates(first, schedule, 10)


@pytest.mark.parametrize("inner", [False, True])
def test_a_state_that_does_not_fit_changes_nothing(inner: bool) -> None:
    optimizer = adam()
    parts = [optim.LinearLR(optimizer), optim.StepLR(optimizer, 2)]
    schedule = optim.SequentialLR(optimizer, parts, [3])
    good = schedule.state_dict()
    before = pickle.dumps(good)
    for change in ({"last_epoch": 1.5}, {"base_lr": "1"}, {"milestones": 3}, {"unknown": 1}):
        bad: dict[str, Any] = {**good, "last_epoch": 2}
        if inner:
            bad["schedulers"] = [{**good["schedulers"][0], "base_lr": 3.0}]
            bad["schedulers"].append({**good["schedulers"][1], **change})
        else:
            bad |= change
        with pytest.raises((TypeError, ValueError), match=next(iter(change))):
            schedule.load_state_dict(bad)
        assert pickle.dumps(schedule.state_dict()) == before
    with pytest.raises(TypeError, match="state_dict must be a dict, got NoneType"):
        schedule.load_state_dict({**good, "schedulers": [None, None]} if inner else None)
    with pytest.raises(ValueError, match="1 schedulers for 2"):
        schedule.load_state_dict({**good, "schedulers": good["schedulers"][:1]})
    with pytest.raises(ValueError, match="another kind of schedule"):
        schedule.load_state_dict(parts[0].state_dict())


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda o: optim.StepLR(o, 0), ValueError, "step_size must be at least 1, got 0"),
        (lambda o: optim.StepLR(o, 2.5), TypeError, "step_size must be a whole number, got float"),
        (lambda o: optim.StepLR(o, 2, "x"), TypeError, "gamma must be a real number, got str"),
        (lambda o: optim.MultiStepLR(o, [1, -2]), ValueError, "a milestone must be at least 0"),
        (lambda o: optim.ConstantLR(o, 1.5), ValueError, r"factor must be from 0 to 1, got 1\.5"),
        (lambda o: optim.LinearLR(o, 0.0), ValueError, "start_factor must be above 0"),
        (lambda o: optim.LinearLR(o, 0.5, -1), ValueError, "end_factor must be from 0 to 1"),
        (lambda o: optim.LinearLR(o, total_iters=0), ValueError, "total_iters must be at least 1"),
        (lambda o: optim.PolynomialLR(o, 5, -1), ValueError, "power must be at least 0"),
        (lambda o: optim.CosineAnnealingLR(o, 0), ValueError, "T_max must be at least 1"),
        (lambda o: optim.CosineAnnealingLR(o, 5, None), TypeError, "eta_min must be a real"),
        (lambda o: optim.LambdaLR(o, lambda epoch: "x"), TypeError, "what lr_lambda returns"),
        (lambda o: optim.OneCycleLR(o, 0.1), ValueError, "total_steps is wanted, or epochs"),
        (lambda o: optim.OneCycleLR(o, 0.1, 10, pct_start=2), ValueError, "pct_start"),
        (lambda o: optim.OneCycleLR(o, 0.1, 10, anneal_strategy="x"), ValueError, "'cos' or"),
        (lambda o: optim.OneCycleLR(o, "x", 10), TypeError, "max_lr must be a real number"),
        (lambda o: optim.SequentialLR(o, [], []), ValueError, "one milestone fewer"),
        (lambda o: optim.SequentialLR(o, [optim.StepLR(o, 1)] * 3, [5, 2]), ValueError, "rise"),
        (lambda o: optim.SequentialLR(adam(), [optim.StepLR(o, 1)], []), ValueError, "all be of"),
        (lambda o: optim.StepLR(Value(1.0), 1), TypeError, "optimizer must be an Optimizer"),
    ],
)
def test_bad_arguments_are_refused_by_name(make: Any, error: type, said: str) -> None:
    optimizer = adam()
    with pytest.raises(error, match=said):
        make(optimizer)
    assert optimizer.lr == 0.1


def test_a_failing_lambda_leaves_the_schedule_where_it_was() -> None:
    optimizer = adam()
    schedule = optim.LambdaLR(optimizer, lambda epoch: 1.0 / (2 - epoch))
    schedule.step()
    with pytest.raises(ZeroDivisionError):
        schedule.step()
    assert (schedule.last_epoch, optimizer.lr) == (1, 0.1)


def test_a_cosine_ends_where_it_is_told_exactly() -> None:
    optimizer = adam()
    schedule = optim.CosineAnnealingLR(optimizer, 1000, eta_min=0.001)
    for _ in range(1000):
        schedule.step()
    assert math.isclose(optimizer.lr, 0.001, rel_tol=1e-15)
