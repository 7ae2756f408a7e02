"""Value and gradient of a network's loss summed over a batch of a thousand rows, on one thread."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import arenagrad
from benchmarks.compiled_peers import (
    Problem,
    check,
    faster,
    layers,
    loss,
    on_processor,
    one_processor,
    peer,
)
from benchmarks.measure import Row, in_turn

ROWS = 1_000
_WIDTHS: dict[int, dict[str, float]] = {
    16: {"ddx, LLVM": 5.0, "jax, jit of tensors": 1.0, "torch, tensors": 2.5},
    64: {"torch, tensors": round(1 / 1.5, 3)},
}
_LONG = 32  # ddx compiles wider networks for half a minute
Found = tuple[Callable[[], object] | None, str]


def ours(problem: Problem, threads: int = 1) -> tuple[Callable[[], object], list[object]]:
    """A call, and what it gives: value and gradient."""
    width = problem.width
    function = arenagrad.compile(
        lambda w, x, target: loss(w, x, target, arenagrad.tanh, width),
        in_axes=(None, 0, 0),
        reduce="sum",
        threads=threads,
    )
    out = np.empty_like(problem.weights)
    arguments = (problem.weights, problem.points, problem.targets)
    call = partial(function.value_and_grad, *arguments, out=out)
    value, _ = call()
    return call, [value, out]


def _ddx(problem: Problem, answer: list[object]) -> Found:
    """Its gradients are those of each row; that they would have to be added up is not counted."""
    ddx = peer("ddx")
    if ddx is None or not ddx.has_jit:
        return None, "ddx is not installed, or has no LLVM"
    equation = problem.ddx(ddx).compile(points=problem.rows)
    weights = np.repeat(problem.weights[:, None], problem.rows, axis=1)
    call = equation.buffer(np.vstack([weights, problem.points.T, problem.targets[None]]))
    call()
    check("ddx", answer, [call.value.sum(), call.jacobian.sum(axis=1)])
    return call, ""


def _jax(problem: Problem, answer: list[object]) -> Found:
    jax = peer("jax")
    if jax is None:
        return None, "jax is not installed"
    jax.config.update("jax_enable_x64", True)

    def total(matrices: Any, points: Any, targets: Any) -> Any:
        signal = points
        for matrix, bias in matrices:
            signal = jax.numpy.tanh(signal @ matrix.T + bias)
        return ((signal[:, 0] - targets) ** 2).sum()

    function = jax.jit(jax.value_and_grad(total))
    matrices = [(jax.numpy.array(a), jax.numpy.array(b)) for a, b in _layers(problem)]
    points, targets = jax.numpy.array(problem.points), jax.numpy.array(problem.targets)

    def call() -> Any:
        return jax.block_until_ready(function(matrices, points, targets))

    value, gradient = call()
    check("jax", answer, [value, _flat(gradient)])
    return call, ""


def _torch(problem: Problem, answer: list[object]) -> Found:
    torch = peer("torch")
    if torch is None:
        return None, "torch is not installed"
    torch.set_num_threads(1)
    parameters = [
        torch.tensor(array, dtype=torch.float64, requires_grad=True)
        for pair in _layers(problem)
        for array in pair
    ]
    points, targets = torch.tensor(problem.points), torch.tensor(problem.targets)
    linear = torch.nn.functional.linear

    def call() -> Any:
        signal = points
        for k in range(0, len(parameters), 2):
            signal = torch.tanh(linear(signal, parameters[k], parameters[k + 1]))
        total = ((signal[:, 0] - targets) ** 2).sum()
        return total, torch.autograd.grad(total, parameters)

    value, gradient = call()
    pairs = [(gradient[k], gradient[k + 1]) for k in range(0, len(gradient), 2)]
    check("torch", answer, [value.item(), _flat(pairs)])
    return call, ""


def _layers(problem: Problem) -> list[tuple[Any, Any]]:
    return layers(problem.weights.copy(), problem.width)


def _flat(gradient: Any) -> Any:
    parts = [np.column_stack([np.asarray(a), np.asarray(b)]).ravel() for a, b in gradient]
    return np.concatenate(parts)


def rows(full: bool) -> list[Row]:
    """For each width, the call beside the compiled ddx, jax and torch, all in turn."""
    with one_processor():
        return [row for width in _WIDTHS for row in _of_width(width, full)]


def _of_width(width: int, full: bool) -> list[Row]:
    problem = Problem(width, ROWS)
    call, answer = ours(problem)
    peers: dict[str, Found] = {}
    if full or width < _LONG:
        peers["ddx, LLVM"] = _ddx(problem, answer)
    else:
        peers["ddx, LLVM"] = None, "only with --full"
    peers["jax, jit of tensors"] = _jax(problem, answer)
    peers["torch, tensors"] = _torch(problem, answer)
    there = {name: side for name, (side, _) in peers.items() if side is not None}
    repeats = 20 if width < _LONG else 5
    sides = [on_processor(side, repeats) for side in (call, *there.values())]
    own, *others = in_turn(31 if full else 7, *sides)
    times = dict(zip(there, others, strict=True))
    what = f"compiled: summed gradient of {ROWS:,} rows, MLP 2-{width}-{width}-1"
    return [
        faster(f"{what}, {name}", own, times.get(name), why, _WIDTHS[width].get(name))
        for name, (_, why) in peers.items()
    ]
