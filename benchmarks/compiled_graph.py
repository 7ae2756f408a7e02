"""A batch through a random graph, where nothing is regular: no layers, no matrices, no runs."""

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import arenagrad
from arenagrad import _core
from benchmarks.compiled_peers import Array, check, missing, on_processor, peer
from benchmarks.measure import Row, in_turn, times_faster

ROWS = 1_000
_INPUTS = 32
_OPEN = 500  # values that nothing has used yet are kept to about so many
_LIMIT = 3.0
_BOUND = 6.0  # of all values
_NEAR = 1e-3
# ddx's names where they are not ours; what it has not is left out.
_IN_DDX = {
    **{"arc" + name: "a" + name for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "tan2")},
    **{"multiply": "mul", "power": "pow", "maximum": "max", "minimum": "min"},
}


class Step(NamedTuple):
    """An operation of the table, and which values before it are its operands."""

    name: str
    operands: tuple[int, ...]


def shared_table(ddx: Any) -> list[Any]:
    """The rows of the table of operations that ddx has too."""
    names = set(ddx.__all__)
    table = [row for row in _core.op_table() if row["name"] != "pow"]  # its exponent is no operand
    return [row for row in table if _IN_DDX.get(row["name"], row["name"]) in names]


def draw(table: Sequence[Any], operations: int, inputs: Array) -> list[Step]:
    """A random graph in which every value is in the domain of its user at all the inputs' rows.

    Each value is used, the last ones by a sum, which is the result.
    """
    choose = random.Random(1337)
    values, steps = list(inputs), list[Step]()
    is_open = list(range(len(values)))
    while len(steps) + len(is_open) - 1 < operations:
        row = choose.choice(table)
        places = [choose.randrange(len(is_open))] if len(is_open) >= _OPEN else []
        operands = [is_open[place] for place in places]
        while len(operands) < row["arity"]:
            operands.append(choose.randrange(len(values)))
        x = [values[k] for k in operands]
        if len(steps) + len(is_open) == operations and not set(operands) & set(is_open):
            continue
        is_tie = len(x) > 1 and np.abs(x[0] - x[1]).min() < _NEAR
        if is_tie or not all(_is_smooth(a, row) for a in x):
            continue
        y = getattr(np, row["name"], _erf)(*x)
        if not np.all(np.abs(y) < _BOUND):
            continue
        steps.append(Step(row["name"], tuple(operands)))
        is_open = [k for k in is_open if k not in operands]
        is_open.append(len(values))
        values.append(y)
    total = is_open[0]
    for k in is_open[1:]:
        steps.append(Step("add", (total, k)))
        total = len(inputs) + len(steps) - 1
    return steps


def _is_smooth(x: Array, row: Any) -> bool:
    """Whether all are in the domain of an operation, and not where some have kinks or poles."""
    return bool(row["low"] <= x.min() and x.max() <= row["high"] and np.abs(x).min() > _NEAR)


def _erf(x: Array) -> Array:
    return np.array([arenagrad.erf(a) for a in x.tolist()])


def run(
    steps: Sequence[Step], inputs: Sequence[Any], functions: dict[str, Callable[..., Any]]
) -> Any:
    """The result of a graph, in numbers of whatever kind."""
    values = list(inputs)
    for name, operands in steps:
        values.append(functions[name](*[values[k] for k in operands]))
    return values[-1]


def our_functions() -> dict[str, Callable[..., Any]]:
    """Those of the table, by name; + and * are operators."""
    names = [row["name"] for row in _core.op_table()]
    found = {name: getattr(arenagrad, name) for name in names if hasattr(arenagrad, name)}
    return {**found, "add": lambda a, b: a + b, "multiply": lambda a, b: a * b}


def rows(full: bool) -> list[Row]:
    """Value and gradient of each row, beside the compiled ddx.

    In short mode the graph is small, since ddx compiles the other for half a minute.
    """
    operations = 10_000 if full else 1_000
    what = f"compiled: gradients of {ROWS:,} rows, random graph of {operations:,} operations, ddx"
    ddx = peer("ddx")
    if ddx is None or not ddx.has_jit:
        return [missing(what, "ddx is not installed, or has no LLVM", _LIMIT)]
    draws = np.random.default_rng(1337)
    inputs: Array = draws.uniform(-1.0, 1.0, _INPUTS)[:, None] + draws.uniform(
        -0.05, 0.05, (_INPUTS, ROWS)
    )
    steps = draw(shared_table(ddx), operations, inputs)
    assert len(steps) == operations

    functions = our_functions()
    function = arenagrad.compile(lambda x: run(steps, x, functions), in_axes=1)
    by_row = np.empty((ROWS, _INPUTS))
    ours = partial(function.value_and_grad, inputs, out=by_row)
    value, _ = ours()

    theirs = {row["name"]: getattr(ddx, _IN_DDX.get(row["name"], row["name"]))
              for row in shared_table(ddx)}  # fmt: skip
    equation = ddx.equation(
        lambda: run(steps, [ddx.var(f"x{k}") for k in range(_INPUTS)], theirs)
    ).compile(points=ROWS)
    call = equation.buffer(inputs)
    call()
    check("ddx", [value, by_row], [call.value, call.jacobian.T])
    own, other = in_turn(15 if full else 7, on_processor(ours, 3), on_processor(call, 3))
    return [times_faster(what, own, other, _LIMIT if full else None)]
