"""A state machine of Hypothesis that does what a World can do, and compares it with its model.

A World has methods do_...(i, j, c), each an action on what i and j choose, with the number c;
check(), which compares; and end(), which drops everything.
"""

import gc
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

import arenagrad


class World(Protocol):
    def check(self) -> None: ...
    def end(self) -> None: ...


def live(
    world: Callable[[], World],
    actions: Iterable[Callable[..., None]],
    numbers: Sequence[float],
    *,
    lives: int,
    steps: int,
) -> None:
    """Let Hypothesis choose what happens in so many lives of a World of so many steps each."""

    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            gc.collect()
            arenagrad.collect()
            self.before = arenagrad.arena_info()["nodes"]
            self.world: Any = world()

        @invariant()
        def everything_agrees_with_its_model(self) -> None:
            self.world.check()

        def teardown(self) -> None:
            self.world.end()
            assert arenagrad.arena_info()["nodes"] == self.before

    def add_rule(action: Callable[..., None]) -> None:
        def run(self: Machine, i: int, j: int, c: float) -> None:
            action(self.world, i, j, c)

        run.__name__ = action.__name__
        choice = st.integers(0, 60)
        setattr(Machine, action.__name__, rule(i=choice, j=choice, c=st.sampled_from(numbers))(run))

    for action in actions:
        add_rule(action)
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=lives,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],  # shrinking takes minutes; derandomized, a failure comes again
            suppress_health_check=list(HealthCheck),
        ),
    )
