"""Value and gradient of a network's loss at one point, with all results in buffers."""

from collections.abc import Callable
from functools import partial

import numpy as np

import arenagrad
from benchmarks.compiled_peers import (
    Problem,
    check,
    faster,
    loss,
    on_processor,
    operation_count,
    peer,
)
from benchmarks.measure import Row, in_turn

_WIDTHS = {16: {"casadi": 3.0, "ddx, LLVM": 1.5}, 64: {"casadi": 2.5, "ddx, LLVM": 1.0}}
_LONG = 32  # ddx compiles wider networks for half a minute
Peers = dict[str, tuple[Callable[[], object] | None, str]]


def ours(problem: Problem) -> tuple[Callable[[], object], list[object]]:
    """A call, and what it gives: value and gradient."""
    width = problem.width
    function = arenagrad.compile(lambda w, x, target: loss(w, x, target, arenagrad.tanh, width))
    out = np.empty_like(problem.weights)
    call = partial(
        function.value_and_grad,
        problem.weights,
        problem.points[0],
        float(problem.targets[0]),
        out=out,
    )
    value, _ = call()
    return call, [value, out]


def _casadi(problem: Problem, answer: list[object]) -> tuple[Callable[[], object] | None, str]:
    casadi = peer("casadi")
    if casadi is None:
        return None, "casadi is not installed"
    weights, x = casadi.SX.sym("w", len(problem.weights)), casadi.SX.sym("x", 2)
    target = casadi.SX.sym("target")
    value = loss([weights[k] for k in range(len(problem.weights))], [x[0], x[1]], target,
                 casadi.tanh, problem.width)  # fmt: skip
    function = casadi.Function("f", [weights, x, target], [value, casadi.gradient(value, weights)])
    buffer, call = function.buffer()
    given = [problem.weights, problem.points[0].copy(), problem.targets[:1].copy()]
    results = [np.empty(1), np.empty_like(problem.weights)]
    for k, array in enumerate(given):
        buffer.set_arg(k, memoryview(array.data))
    for k, array in enumerate(results):
        buffer.set_res(k, memoryview(array.data))
    call()
    check("casadi", answer, results)
    call.kept = buffer, given, results  # the call itself does not keep them alive
    return call, ""


def _ddx(
    problem: Problem, answer: list[object], compiled: bool
) -> tuple[Callable[[], object] | None, str]:
    ddx = peer("ddx")
    if ddx is None:
        return None, "ddx is not installed"
    equation = problem.ddx(ddx)
    if compiled:
        if not ddx.has_jit:
            return None, "this ddx has no LLVM"
        equation.compile(points=1)
    call = equation.buffer([*problem.weights, *problem.points[0], problem.targets[0]])
    call()
    check("ddx", answer, [call.value, call.jacobian])
    return call, ""


def rows(full: bool) -> list[Row]:
    """For each width, the call beside casadi and both ways of ddx, all in turn."""
    found = []
    for width, limits in _WIDTHS.items():
        problem = Problem(width, 1)
        call, answer = ours(problem)
        peers: Peers = {"casadi": _casadi(problem, answer)}
        peers["ddx, interpreted"] = _ddx(problem, answer, compiled=False)
        if full or width < _LONG:
            peers["ddx, LLVM"] = _ddx(problem, answer, compiled=True)
        else:
            peers["ddx, LLVM"] = None, "only with --full"
        repeats = max(20, 2_000_000 // operation_count(width) // 10)
        there = {name: side for name, (side, _) in peers.items() if side is not None}
        sides = [on_processor(side, repeats) for side in (call, *there.values())]
        own, *others = in_turn(41 if full else 9, *sides)
        times = dict(zip(there, others, strict=True))
        for name, (_, why) in peers.items():
            what = f"compiled: value and gradient at one point, MLP 2-{width}-{width}-1, {name}"
            found.append(faster(what, own, times.get(name), why, limits.get(name)))
    return found
