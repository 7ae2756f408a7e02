"""arenagrad.optim beside torch.optim: the same walks, and what may happen between two steps."""

import gc
import math
import random
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arenagrad
import optim_oracle
from arenagrad import Value, nn, optim
from scripts import run_python
from settled import settled_nodes

EACH = [optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop]
each_case = pytest.mark.parametrize("name", optim_oracle.OPTIMISERS)
each_class = pytest.mark.parametrize("kind", EACH)


def walked(case: optim_oracle.Case, factor: float = 1.0) -> list[list[float]]:
    parameters = [Value(x * factor) for x in optim_oracle.START]
    optimizer = case(optim, parameters)

    def step(gradient: list[float]) -> list[float]:
        set_grads(parameters, gradient)
        optimizer.step()
        return [p.data for p in parameters]

    return optim_oracle.walk(step, [p.data for p in parameters])


def set_grads(parameters: Any, gradient: Any) -> None:
    for parameter, partial in zip(parameters, gradient, strict=True):
        parameter.grad = partial


def numbers(parameters: Any) -> list[str]:
    """The primals and adjoints as texts that show every bit, and nan as itself."""
    return [number.hex() for p in parameters for number in (p.data, p.grad)]


def drawn(seed: int, count: int) -> list[float]:
    draw = random.Random(seed)
    return [draw.gauss(0.0, 1.0) for _ in range(count)]


def assert_close(found: list[list[float]], wanted: list[list[float]]) -> None:
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-12)


# The same walks


@each_case
def test_two_hundred_steps_end_where_those_of_torch_did(name: str) -> None:
    found = walked(optim_oracle.OPTIMISERS[name])
    assert_close(found, optim_oracle.stored("optimisers", name))
    assert found[-1] != pytest.approx(optim_oracle.START, rel=1e-3)


@each_case
def test_two_hundred_steps_end_where_those_of_torch_do(name: str) -> None:
    torch = pytest.importorskip("torch", reason="torch, too large to be asked for, is not here")
    case = optim_oracle.OPTIMISERS[name]
    assert_close(walked(case), optim_oracle.torch_walk(torch, case))


@each_case
def test_the_walks_forgive_a_rounding_error_and_nothing_larger(name: str) -> None:
    case = optim_oracle.OPTIMISERS[name]
    assert_close(walked(case, 1.0 + 2**-52), walked(case))
    with pytest.raises(AssertionError):
        assert_close(walked(case, 1.0 + 1e-10), walked(case))


MANY: list[Callable[[Any], Any]] = [
    lambda ps: optim.SGD(ps, 0.1, 0.9, nesterov=True, weight_decay=0.1),
    lambda ps: optim.SGD(ps, 0.1, 0.9, dampening=0.5),
    lambda ps: optim.Adam(ps, 0.1, weight_decay=0.1),
    lambda ps: optim.AdamW(ps, 0.1, weight_decay=0.1),
    lambda ps: optim.RMSprop(ps, 0.1, momentum=0.5, centered=True, weight_decay=0.1),
]


@pytest.mark.slow
@pytest.mark.parametrize("make", MANY)
@pytest.mark.parametrize("order", ["as made", "shuffled", "with gaps", "each alone"])
def test_it_is_all_one_where_parameters_lie(make: Any, order: str) -> None:
    count = 1300
    wanted = [Value(x) for x in drawn(1, count)]
    whole = [make(wanted)]
    if order == "with gaps":
        found = [pair[0] for pair in [(Value(x), Value(9.0)) for x in drawn(1, count)]]
    else:
        found = [Value(x) for x in drawn(1, count)]
    given = list(found)
    if order == "shuffled":
        random.Random(5).shuffle(given)
    parts = [make([p]) for p in given] if order == "each alone" else [make(given)]
    for k in range(5):
        for parameters, optimisers in ((wanted, whole), (found, parts)):
            set_grads(parameters, drawn(k, count))
            for optimizer in optimisers:
                optimizer.step()
    assert numbers(found) == numbers(wanted)


@each_class
def test_a_model_learns_from_its_steps(kind: Any) -> None:
    random.seed(3)
    model = nn.MLP(2, [6, 1])
    optimizer = kind(model.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = sum((model([a, b]) - a * b) ** 2 for a in (-1.0, 1.0) for b in (-1.0, 1.0))
        loss.backward()
        optimizer.step()
        losses.append(loss.data)
    assert losses[-1] < 0.5 * losses[0]
    assert optimizer.steps == 60


@pytest.mark.parametrize("gaps", [False, True])
def test_zero_grad_clears_its_own_parameters_only(gaps: bool) -> None:
    values = [Value(1.0) for _ in range(1300)]
    set_grads(values, drawn(2, 1300))
    mine = values[1:-1:2] if gaps else values[1:-1]
    before = [v.grad for v in values]
    optim.SGD(mine).zero_grad()
    chosen = set(mine)
    wanted = [0.0 if v in chosen else g for v, g in zip(values, before, strict=True)]
    assert [v.grad for v in values] == wanted


@each_class
def test_a_gradient_that_is_no_number_makes_its_parameter_none(kind: Any) -> None:
    parameters = [Value(1.0) for _ in range(6)]
    set_grads(parameters, [0.5, math.nan, 0.5, math.inf, 0.5, 0.0])
    kind(parameters).step()
    assert math.isnan(parameters[1].data)
    assert not math.isfinite(parameters[3].data)
    assert all(math.isfinite(parameters[i].data) for i in (0, 2, 4, 5))
    assert parameters[0].data == parameters[2].data == parameters[4].data < 1.0


def test_the_rate_may_be_assigned_between_steps() -> None:
    p = Value(1.0)
    optimizer = optim.SGD([p], lr=0.5)
    p.grad = 1.0
    optimizer.step()
    optimizer.lr = np.float64(0.25)
    optimizer.step()
    assert p.data == 0.25


# What may happen between two steps


def test_nodes_may_move_between_steps() -> None:
    below = [Value(0.0) for _ in range(50)]
    moved, still = ([Value(x) for x in drawn(3, 40)] for _ in range(2))
    optimisers = [optim.Adam(moved, 0.1), optim.Adam(still, 0.1)]
    compactions = arenagrad.arena_info()["compactions"]
    for k in range(4):
        for parameters, optimizer in zip((moved, still), optimisers, strict=True):
            set_grads(parameters, drawn(k, 40))
            optimizer.step()
        del below[-10:]
        arenagrad.collect()
    assert arenagrad.arena_info()["compactions"] == compactions + 4
    assert numbers(moved) == numbers(still)
    optimisers[0].zero_grad()
    assert [p.grad for p in moved] == [0.0] * 40
    assert [p.grad for p in still] == drawn(3, 40)


def test_a_parameter_made_again_by_its_init_is_found_where_it_is() -> None:
    other, p = Value(1.0), Value(2.0)
    optimizer = optim.SGD([p], lr=1.0)
    optimizer.step()
    above = Value(5.0)  # so that the node made anew is another
    p.__init__(3.0, (other,))  # type: ignore[misc]
    p.grad = 1.0
    optimizer.step()
    assert p.data == 2.0
    optimizer.zero_grad()
    assert (p.grad, above.data) == (0.0, 5.0)


def test_parameters_live_as_long_as_their_optimiser_and_no_longer() -> None:
    arenagrad.collect()
    before = settled_nodes()
    optimizer = optim.Adam([Value(x) for x in (1.0, 2.0, 3.0)], lr=0.5)
    arenagrad.collect()
    set_grads(optimizer.params, [1.0, 1.0, 1.0])
    optimizer.step()
    assert [p.data for p in optimizer.params] == pytest.approx([0.5, 1.5, 2.5])
    del optimizer
    arenagrad.collect()
    assert arenagrad.arena_info()["nodes"] == before


@pytest.mark.parametrize("through", ["attribute", "closure", "object"])
def test_an_optimiser_that_its_own_parameter_knows_is_collected(through: str) -> None:
    def known() -> "weakref.ref[optim.Optimizer]":
        p = Value(1.0)
        optimizer = optim.Adam([p])
        if through == "attribute":
            p.optimizer = optimizer
        elif through == "closure":
            p._backward = lambda: optimizer
        else:
            optimizer.__dict__["extra"] = [optimizer]
        return weakref.ref(optimizer)

    found = known()
    gc.collect()
    arenagrad.collect()
    gc.collect()
    assert found() is None


def test_the_collector_of_python_sees_what_is_held() -> None:
    parameters = arenagrad._core.optim.Parameters([Value(1.0)])
    assert gc.is_tracked(parameters)
    assert gc.get_referents(parameters)[-1] is parameters.values


def test_memory_is_flat_over_ten_thousand_steps(tmp_path: Path) -> None:
    script = """
        import gc, os
        from arenagrad import Value, arena_info, optim

        def resident():
            with open("/proc/self/statm", encoding="ascii") as figures:
                return int(figures.read().split()[1]) * os.sysconf("SC_PAGESIZE")

        parameters = [Value(0.01 * k) for k in range(64)]
        optimisers = [kind(parameters) for kind in (optim.SGD, optim.Adam, optim.RMSprop)]
        def train(steps):
            for k in range(steps):
                for optimizer in optimisers:
                    optimizer.zero_grad()
                    sum(p * p for p in parameters).backward()
                    optimizer.step()
                    if k % 50 == 0:
                        optimizer.load_state_dict(optimizer.state_dict())
        train(300)
        gc.collect()
        before, nodes = resident(), arena_info()["nodes"]
        train(3400)
        gc.collect()
        print(resident() - before, arena_info()["nodes"] - nodes)
    """
    if not Path("/proc/self/statm").exists():
        pytest.skip(reason="the system does not tell the resident memory")
    done = run_python(tmp_path, "script.py", script=script)
    assert done.returncode == 0, done.stderr
    grown, nodes = map(int, done.stdout.split())
    assert grown < 1 << 20
    assert nodes == 0


def test_nothing_is_imported_before_it_is_asked_for(tmp_path: Path) -> None:
    script = """
        import sys, arenagrad
        assert not {"arenagrad.optim", "arenagrad.schedules", "numpy"} & sys.modules.keys()
        assert "inspect" not in sys.modules, "a third of the time that the import takes"
        for name in ("optim", "losses", "nn"):
            assert getattr(arenagrad, name) is sys.modules["arenagrad." + name]
        from arenagrad import optim
        assert arenagrad.optim is optim
        assert arenagrad.losses.mse and arenagrad.nn.MLP
        try:
            arenagrad.adam
        except AttributeError as error:
            assert str(error) == "module 'arenagrad' has no attribute 'adam'"
        else:
            raise AssertionError
    """
    done = run_python(tmp_path, "script.py", script=script)
    assert done.returncode == 0, done.stderr


def test_references_to_parameters_are_not_leaked() -> None:
    p = Value(1.0)
    before = sys.getrefcount(p)
    optimizer = optim.RMSprop([p])
    for _ in range(10):
        optimizer.step()
        assert optimizer.params == (p,)
    del optimizer
    assert sys.getrefcount(p) == before
