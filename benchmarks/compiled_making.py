"""What it costs to make a compiled function, and what it keeps in memory."""

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import arenagrad
from arenagrad import Value
from benchmarks.compiled_graph import Step, our_functions, run
from benchmarks.compiled_peers import Problem, loss, on_processor
from benchmarks.measure import Row, duration, in_turn

_MOST_SECONDS = 3e-6
_MOST_BYTES = 24
_MOST_GROWTH = 1.5
INPUTS = 64
_SIZE = 100_000
_OPEN = 500
# Each keeps numbers between -1 and 1 there.
_BOUNDED = ("multiply", "tanh", "sin", "cos", "maximum", "minimum", "arctan", "erf")
_TWO = {"multiply", "maximum", "minimum"}


def draw(operations: int) -> list[Step]:
    """A random graph like that of compiled_graph, of operations that need no look at domains.

    Each value is used, the last ones by additions.
    """
    choose = random.Random(1337)
    steps, is_open = list[Step](), list(range(INPUTS))
    while len(steps) + len(is_open) - 1 < operations:
        name = choose.choice(_BOUNDED)
        place = choose.randrange(len(is_open))
        operands = [is_open[place]]
        count = INPUTS + len(steps)
        if len(is_open) < _OPEN and len(steps) + len(is_open) < operations - 1:
            operands = [choose.randrange(count)]
            is_open.append(count)
        else:
            is_open[place] = count
        if name in _TWO:
            operands.append(choose.randrange(count))
        steps.append(Step(name, tuple(operands)))
    total = is_open[0]
    for k in is_open[1:]:
        steps.append(Step("add", (total, k)))
        total = INPUTS + len(steps) - 1
    return steps


def graph(operations: int) -> tuple[Callable[[Any], Any], Any]:
    """A function of that many operations that are all different, and its argument."""
    steps, functions = draw(operations), our_functions()
    return lambda x: run(steps, x, functions), np.random.default_rng(1).uniform(-1, 1, INPUTS)


def network(operations: int) -> tuple[Callable[[Any], Any], Any]:
    """The loss of a network over as many points as make that many operations."""
    problem = Problem(16, operations // 644)

    def total(weights: Any) -> Any:
        losses = [
            loss(weights, x, t, arenagrad.tanh, problem.width)
            for x, t in zip(problem.points.tolist(), problem.targets.tolist(), strict=True)
        ]
        return sum(losses)

    return total, problem.weights


def made(fn: Callable[[Any], Any], argument: Any) -> object:
    """A compiled function that has given value and gradient once."""
    function = arenagrad.compile(fn)
    function.value_and_grad(argument)
    return function


def made_for_rows(fn: Callable[[Any], Any], argument: Any) -> object:
    """The same for a batch, here of two rows."""
    function = arenagrad.compile(fn, in_axes=0)
    function.value_and_grad(np.stack([argument, argument]))
    return function


def traced(fn: Callable[[Any], Any], argument: Any) -> object:
    """The function run once on Values: what tracing costs in Python."""
    return fn([Value(x) for x in argument.tolist()])


def _costs(kind: str, operations: int, rounds: int) -> tuple[float, float, float]:
    """Seconds an operation of a compiled function, one for a batch, and the tracing alone."""
    fn, argument = _KINDS[kind](operations)
    sides = [on_processor(partial(make, fn, argument), 1) for make in (made, made_for_rows, traced)]
    one, batch, trace = (seconds / operations for seconds in in_turn(rounds, *sides))
    return one, batch, trace


_KINDS = {"a random graph": graph, "MLPs 2-16-16-1 on many points": network}


def _time(what: str, seconds: float, trace: float, limit: bool) -> Row:
    return Row(
        what,
        f"{duration(seconds - trace)} an operation",
        f"{duration(seconds)} with its tracing",
        f"{(seconds - trace) * 1e6:.2f} us",
        f"at most {_MOST_SECONDS * 1e6:g} us" if limit else "-",
        seconds - trace <= _MOST_SECONDS if limit else None,
        {"ours_seconds": seconds - trace, "traced_seconds": trace},
    )


def _growth(what: str, small: float, large: float) -> Row:
    return Row(
        what,
        f"{duration(large)} an operation",
        f"{duration(small)} at {_SIZE:,}",
        f"{large / small:.2f} times",
        f"at most {_MOST_GROWTH:g}",
        large / small <= _MOST_GROWTH,
        {"large_seconds": large, "small_seconds": small},
    )


def _making(full: bool) -> list[Row]:
    large = 2_000_000 if full else 400_000
    found = []
    for kind in _KINDS:
        here, there = _costs(kind, _SIZE, 5 if full else 3), _costs(kind, large, 1)
        for k, use in enumerate(("at one point", "on a batch")):
            what = f"compiled: making value and gradient {use}, {kind}, "
            found.append(_time(f"{what}{_SIZE:,} operations", here[k], here[2], True))
            growth = f"{what}{large:,} operations"
            found.append(_growth(growth, here[k] - here[2], there[k] - there[2]))
    return found


def _memory() -> list[Row]:
    """Bytes of a program, and of what runs it at one point."""
    found = []
    for kind, make in _KINDS.items():
        fn, argument = make(_SIZE)
        stats = arenagrad.value_and_grad(fn).program(argument).stats
        size = stats["instructions"]
        program, runner = stats["bytes"] / size, stats["group_bytes"] / size
        found.append(
            Row(
                f"compiled: memory of value and gradient, {kind}, {size:,} instructions",
                f"{program:.1f} bytes an instruction",
                f"{runner:.1f} more to run it at one point",
                f"{stats['bytes'] / _SIZE:.1f} bytes an operation of the function",
                f"at most {_MOST_BYTES} bytes an instruction",
                program <= _MOST_BYTES,
                {"program_bytes": program, "runner_bytes": runner},
            )
        )
    return found


def rows(full: bool) -> list[Row]:
    """Time for making one and its growth, then memory."""
    return _making(full) + _memory()
