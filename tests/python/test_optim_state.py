"""What an optimiser refuses, and how it is saved and goes on: errors change nothing."""

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from arenagrad import Value, optim
from arenagrad._core import optim as native

# Every setting is given, and none is its default.
FULL: dict[str, Callable[[Any], Any]] = {
    "sgd": lambda ps: optim.SGD(ps, 0.1, 0.9, 0.0, 0.01, True),
    "dampened": lambda ps: optim.SGD(ps, 0.1, 0.9, 0.25, 0.01),
    "adam": lambda ps: optim.Adam(ps, 0.1, (0.8, 0.99), 1e-7, 0.02),
    "adamw": lambda ps: optim.AdamW(ps, 0.1, (0.8, 0.99), 1e-7, 0.02),
    "rmsprop": lambda ps: optim.RMSprop(ps, 0.1, 0.9, 1e-7, 0.01, 0.5, True),
}
PLAIN: dict[str, Callable[[Any], Any]] = {
    "sgd": optim.SGD,
    "dampened": optim.SGD,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "rmsprop": optim.RMSprop,
}
each_kind = pytest.mark.parametrize("name", FULL)


def values(start: float = 1.0) -> list[Value]:
    return [Value(start + 0.25 * k) for k in range(5)]


def train(optimizer: optim.Optimizer, first: int, last: int) -> list[str]:
    for k in range(first, last):
        for i, p in enumerate(optimizer.params):
            p.grad = math.sin(1.7 * k + i) + 0.1 * p.data
        optimizer.step()
    return [p.data.hex() for p in optimizer.params]


def seen(optimizer: optim.Optimizer) -> bytes:
    """All there is to see of an optimiser and its parameters, bit for bit."""
    numbers = [(p.data, p.grad) for p in optimizer.params]
    return pickle.dumps((numbers, vars(optimizer)["_state"], optimizer.state_dict()))


# Arguments


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda ps: optim.SGD(ps, lr=-0.1), ValueError, r"lr must be at least 0, got -0\.1"),
        (lambda ps: optim.SGD(ps, lr=math.nan), ValueError, "lr must be at least 0, got nan"),
        (lambda ps: optim.SGD(ps, lr="0.1"), TypeError, "lr must be a real number, got str"),
        (lambda ps: optim.SGD(ps, lr=ps[0]), TypeError, "lr must be a real number, got Value"),
        (lambda ps: optim.SGD(ps, momentum=-1), ValueError, "momentum must be at least 0"),
        (lambda ps: optim.SGD(ps, weight_decay=-1), ValueError, "weight_decay must be at least 0"),
        (lambda ps: optim.SGD(ps, dampening=None), TypeError, "dampening must be a real number"),
        (lambda ps: optim.SGD(ps, nesterov=True), ValueError, "nesterov needs momentum"),
        (lambda ps: optim.SGD(ps, 1, 0.9, 0.1, nesterov=True), ValueError, "nesterov needs"),
        (lambda ps: optim.Adam(ps, lr=-1), ValueError, "lr must be at least 0"),
        (lambda ps: optim.Adam(ps, eps=-1), ValueError, "eps must be at least 0"),
        (lambda ps: optim.Adam(ps, betas=(1.0, 0.9)), ValueError, r"betas\[0\] .* got 1\.0"),
        (lambda ps: optim.Adam(ps, betas=(0.9, -0.1)), ValueError, r"betas\[1\] .* got -0\.1"),
        (lambda ps: optim.Adam(ps, betas=0.9), TypeError, r"betas must be a tuple .* got 0\.9"),
        (lambda ps: optim.Adam(ps, betas=(0.9,)), TypeError, "betas must be a tuple"),
        (lambda ps: optim.AdamW(ps, weight_decay=-1), ValueError, "weight_decay"),
        (lambda ps: optim.RMSprop(ps, alpha=-1), ValueError, "alpha must be at least 0"),
        (lambda ps: optim.RMSprop(ps, eps=-1), ValueError, "eps must be at least 0"),
        (lambda ps: optim.RMSprop(ps, momentum=-1), ValueError, "momentum must be at least 0"),
        (lambda ps: optim.Adam([]), ValueError, "params must hold at least one Value"),
        (lambda ps: optim.Adam([*ps, ps[1]]), ValueError, "parameter 5 is parameter 1 again"),
        (lambda ps: optim.Adam([*ps, 1.0]), TypeError, "parameter 5 must be a Value, got float"),
        (lambda ps: optim.Adam([{"params": ps}]), TypeError, "parameter 0 .* got dict"),
        (lambda ps: optim.Adam(ps[0]), TypeError, "Value"),
        (lambda ps: optim.Adam(None), TypeError, "NoneType"),
    ],
)
def test_bad_arguments_are_refused_by_name(make: Any, error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        make(values())


def test_defaults_are_those_of_torch() -> None:
    ps = values()
    assert repr(optim.SGD(ps)) == (
        "SGD(5 parameters, lr=0.001, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False)"
    )
    adam = "lr=0.001, betas=(0.9, 0.999), eps=1e-08"
    assert repr(optim.Adam(ps)) == f"Adam(5 parameters, {adam}, weight_decay=0.0)"
    assert repr(optim.AdamW(ps)) == f"AdamW(5 parameters, {adam}, weight_decay=0.01)"
    assert repr(optim.RMSprop(ps)) == (
        "RMSprop(5 parameters, lr=0.01, alpha=0.99, eps=1e-08, weight_decay=0.0, momentum=0.0, "
        "centered=False)"
    )


def test_any_iterable_of_values_will_do() -> None:
    class Weight(Value):
        """A subclass."""

    ps = [Weight(1.0), Value(2.0)]
    for given in (ps, tuple(ps), iter(ps), (p for p in ps), dict.fromkeys(ps)):
        optimizer = optim.SGD(given, lr=1)
        assert optimizer.params == tuple(ps)
    ps[0].grad = 3.0
    optimizer.step()
    assert [p.data for p in ps] == [-2.0, 2.0]
    with pytest.raises(AttributeError):
        optimizer.params = ()  # type: ignore[misc]


@each_kind
def test_an_assigned_setting_that_is_no_number_changes_nothing(name: str) -> None:
    optimizer = FULL[name](values())
    train(optimizer, 0, 2)
    for setting in ("lr", "weight_decay"):
        good = getattr(optimizer, setting)
        before = seen(optimizer)
        for bad in (None, "fast", 1j, Value(1.0)):
            setattr(optimizer, setting, bad)
            with pytest.raises(TypeError, match=f"{setting} must be a real number"):
                optimizer.step()
        setattr(optimizer, setting, good)
        assert seen(optimizer) == before


def test_momentum_switched_on_in_the_middle_begins_with_the_whole_gradient() -> None:
    optimizer = optim.SGD([Value(1.0)], 0.1, dampening=0.25, weight_decay=0.01)
    data, buffer = 1.0, None
    for k, momentum in enumerate([0.0, 0.0, 0.9, 0.9, 0.0, 0.5, 0.5]):
        resumed = optim.SGD([Value(optimizer.params[0].data)])
        resumed.load_state_dict(optimizer.state_dict())
        optimizer = resumed
        optimizer.momentum = momentum
        optimizer.params[0].grad = math.cos(k)
        optimizer.step()
        partial = math.cos(k) + 0.01 * data  # from here on torch's rule, written out
        if momentum:
            buffer = partial if buffer is None else momentum * buffer + 0.75 * partial
            partial = buffer
        data -= 0.1 * partial
        assert optimizer.params[0].data == pytest.approx(data, rel=1e-14)
        assert optimizer.state_dict()["moving"] is (buffer is not None)
        assert optimizer.state_dict()["momentum_buffer"] == pytest.approx(buffer or 0.0, rel=1e-14)


def test_the_base_class_says_that_it_is_none() -> None:
    with pytest.raises(NotImplementedError, match="settings"):
        optim.Optimizer(values(), {"lr": 1.0})


# The native steps, which check what memory depends on


def test_arrays_that_do_not_fit_the_parameters_are_refused() -> None:
    ps = values()
    parameters, right = native.Parameters(ps), np.zeros(5)
    settings = (0.1, 0.9, 0.99, 1e-8, 0.0, False, 1)
    fixed = np.zeros(5)
    fixed.flags.writeable = False
    for wrong in (np.zeros(4), np.zeros((5, 1)), np.zeros(0), fixed):
        for arrays in ((wrong, right), (right, wrong)):
            with pytest.raises(ValueError, match=r"array of state must hold|not writeable"):
                native.adam_step(parameters, *arrays, *settings)
    strided: Any = np.zeros(10)[::2]
    for other in (np.zeros(5, np.float32), np.zeros(5, int), [0.0] * 5, None, strided):
        with pytest.raises(TypeError, match="square must be a contiguous NumPy array of float64"):
            native.adam_step(parameters, right, other, *settings)
    assert not right.any()
    assert [p.data for p in ps] == [p.data for p in values()]


def test_steps_are_taken_with_parameters_alone() -> None:
    wrong: Any = [Value(1.0)]
    with pytest.raises(TypeError, match="parameters must be Parameters, got list"):
        native.zero_parameters(wrong)


# Saving and going on


@each_kind
def test_a_saved_optimiser_goes_on_to_the_last_bit(name: str) -> None:
    whole = FULL[name](values())
    wanted = train(whole, 0, 20)
    first = FULL[name](values())
    train(first, 0, 9)
    state = pickle.loads(pickle.dumps(first.state_dict()))
    second = PLAIN[name](Value(p.data) for p in first.params)
    second.load_state_dict(state)
    assert train(second, 9, 20) == wanted
    assert second.steps == 20
    assert repr(second) == repr(whole)


@each_kind
def test_a_state_is_a_copy_on_both_ways(name: str) -> None:
    optimizer, other = FULL[name](values()), FULL[name](values())
    train(optimizer, 0, 3)
    state = optimizer.state_dict()
    kept = copy.deepcopy(state)
    train(optimizer, 3, 6)
    assert pickle.dumps(state) == pickle.dumps(kept)
    other.load_state_dict(state)
    before = seen(other)
    for value in state.values():
        if isinstance(value, np.ndarray):
            assert value.any()
            value[:] = 77.0
    assert seen(other) == before


COPIES: list[Callable[[Any], Any]] = [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy]


@each_kind
@pytest.mark.parametrize("copied", COPIES, ids=["pickle", "deepcopy"])
def test_a_copied_optimiser_goes_on_with_parameters_of_its_own(name: str, copied: Any) -> None:
    optimizer = FULL[name](values())
    train(optimizer, 0, 5)
    twin = copied(optimizer)
    assert not set(twin.params) & set(optimizer.params)
    assert seen(twin) == seen(optimizer)
    assert train(twin, 5, 9) == train(optimizer, 5, 9)
    optimizer.params[0].optimizer = optimizer  # a way from a parameter back to its optimiser
    model, again = copied(({"weights": optimizer.params}, optimizer))
    assert set(model["weights"]) == set(again.params)
    assert again.params[0].optimizer is again
    assert train(again, 9, 12) == train(optimizer, 9, 12)


def test_a_shallow_copy_of_an_optimiser_trains_the_same_values() -> None:
    optimizer = optim.SGD(values())
    assert copy.copy(optimizer).params == optimizer.params
    parameters = copy.copy(native.Parameters(optimizer.params))
    assert parameters.values == optimizer.params


def test_a_state_may_come_in_arrays_of_any_stride() -> None:
    optimizer = optim.SGD(values(), momentum=0.5)
    state = optimizer.state_dict()
    state["momentum_buffer"] = np.arange(10.0)[::-2]
    optimizer.load_state_dict(state)
    assert optimizer.state_dict()["momentum_buffer"].tolist() == [9.0, 7.0, 5.0, 3.0, 1.0]


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"lr": -1.0}, ValueError, "lr must be at least 0"),
        ({"lr": "1"}, TypeError, "lr must be a real number"),
        ({"betas": (0.9, 1.0)}, ValueError, r"betas\[1\]"),
        ({"steps": -1}, ValueError, "steps must be at least 0"),
        ({"steps": 1.5}, TypeError, "steps must be a whole number, got float"),
        ({"exp_avg": np.zeros(4)}, ValueError, "exp_avg must hold 5 numbers"),
        ({"exp_avg_sq": np.zeros((5, 1))}, ValueError, "exp_avg_sq must hold 5 numbers"),
        ({"exp_avg_sq": [0.0] * 5}, TypeError, "exp_avg_sq must be a NumPy array of float64"),
        ({"exp_avg_sq": np.zeros(5, np.float32)}, TypeError, "exp_avg_sq must be a NumPy array"),
        ({"exp_avg_sq": None}, TypeError, "exp_avg_sq must be a NumPy array"),
        ({"amsgrad": True}, ValueError, "names: amsgrad"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change: Any, error: type, said: str) -> None:
    source, target = FULL["adam"](values()), PLAIN["adam"](values())
    train(source, 0, 3)
    train(target, 0, 1)
    before = seen(target)
    with pytest.raises(error, match=said):
        target.load_state_dict({**source.state_dict(), **change})
    assert seen(target) == before


def test_a_state_of_another_kind_is_refused_by_its_names() -> None:
    adam, sgd = optim.Adam(values()), optim.SGD(values())
    wrong: Any
    for wrong in (None, [], "state"):
        with pytest.raises(TypeError, match=f"must be a dict, got {type(wrong).__name__}"):
            adam.load_state_dict(wrong)
    with pytest.raises(ValueError, match="betas, dampening, eps, exp_avg, exp_avg_sq, momentum"):
        sgd.load_state_dict(adam.state_dict())
    with pytest.raises(ValueError, match=r"names: exp_avg$"):
        adam.load_state_dict({k: v for k, v in adam.state_dict().items() if k != "exp_avg"})
