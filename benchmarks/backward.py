"""`backward()` beside a plain C++ loop, compiled here, over the very same arrays."""

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from arenagrad import Value, _core
from benchmarks import eager
from benchmarks.measure import (
    DifferentAnswersError,
    NotMeasurableError,
    Row,
    in_turn,
    same_bits,
    seconds_of,
    times_slower,
)

ITERATIONS = 1_000_000
_LIMIT = 1.5
_SOURCE = Path(__file__).with_name("plain_sweep.cpp")

# Adds the derivatives of the node `root` to an array with an adjoint for each node of the arena.
Sweep = Callable[["np.ndarray[Any, np.dtype[np.float64]]", int], None]


def compiler() -> str | None:
    """The system's C++ compiler, if it has one."""
    return next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)


@contextmanager
def plain_sweep() -> Iterator[Sweep]:
    """Compile the plain loop and lend it. Raises NotMeasurableError without a compiler.

    Only `+` and `*` are differentiated. The arrays are looked up at each call, so no node may be
    made or dropped during one.
    """
    command = compiler()
    if command is None:
        raise NotMeasurableError("there is no C++ compiler here (c++, g++ or clang++)")
    codes = _core.op_codes()
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "plain_sweep.so"
        flags = ["-std=c++17", "-O3", "-ffp-contract=off", "-shared", "-fPIC"]
        flags += [f"-DADD={codes['Add']}", f"-DMULTIPLY={codes['Mul']}"]
        subprocess.run([command, *flags, str(_SOURCE), "-o", str(library)], check=True)
        native = ctypes.CDLL(str(library)).plain_sweep
        native.argtypes = [ctypes.c_void_p] * 4 + [ctypes.c_size_t]
        native.restype = None

        def sweep(adjoints: "np.ndarray[Any, np.dtype[np.float64]]", root: int) -> None:
            data, pairs, op = _pointers()
            native(data, pairs, op, adjoints.ctypes.data, root)

        yield sweep


def _pointers() -> tuple[int, int, int]:
    """Where data, the pairs of operands, and the kinds of the nodes are."""
    views = {name: np.asarray(view) for name, view in _core.graph_views().items()}
    a, b = views["operand_a"], views["operand_b"]
    # The C++ loop reads the two interleaved arrays as one of pairs.
    if a.strides != (8,) or b.ctypes.data != a.ctypes.data + 4 or a.dtype != np.uint32:
        raise NotMeasurableError("the arena no longer keeps operands as pairs of uint32")
    return views["data"].ctypes.data, a.ctypes.data, views["op"].ctypes.data


class Graph:
    """The eager loop's graph, its leaves, and adjoints for the plain loop."""

    def __init__(self, n: int) -> None:
        """Record n iterations. The plain loop is only a fair yardstick if all else is dropped."""
        _core.collect()
        self.first = _core.arena_info()["nodes"]
        self.leaves = [Value(x) for x in eager.numbers()]
        self.root = eager.run(self.leaves, eager.other_half_first(self.leaves), n)
        self.size = _core.arena_info()["nodes"]
        # A sum, two products, and the leaf 0.5 in each iteration.
        if self.size != self.first + eager.LEAVES + 4 * n:
            raise DifferentAnswersError(f"the graph has {self.size - self.first} nodes")

    def check(self, adjoints: "np.ndarray[Any, np.dtype[np.float64]]") -> None:
        """Raise DifferentAnswersError unless both have the same gradients of all leaves."""
        same_bits(
            "the gradients of the leaves",
            [leaf.grad for leaf in self.leaves],
            adjoints[self.first : self.first + eager.LEAVES].tolist(),
        )


def _cold(sweep: Sweep, rounds: int) -> list[float]:
    """First sweeps over a new graph, when no adjoint has memory behind it yet."""
    graph: Graph | None = None

    def ours() -> float:
        nonlocal graph
        graph = None
        graph = Graph(ITERATIONS)
        return seconds_of(graph.root.backward)

    def others() -> float:
        assert graph is not None
        adjoints = np.zeros(graph.size)  # calloc: pages of zeros that are not there yet
        time = seconds_of(lambda: sweep(adjoints, graph.size - 1))
        graph.check(adjoints)
        return time

    return in_turn(rounds, ours, others)


def _warm(sweep: Sweep, rounds: int) -> list[float]:
    """Repeated sweeps over one graph.

    They add up as in micrograd, in both sides alike, so the answers of each round can be compared.
    """
    graph = Graph(ITERATIONS)
    adjoints = np.zeros(graph.size)
    root = graph.size - 1
    for _ in range(2):
        graph.root.backward()
        sweep(adjoints, root)

    def others() -> float:
        time = seconds_of(lambda: sweep(adjoints, root))
        graph.check(adjoints)
        return time

    return in_turn(rounds, lambda: seconds_of(graph.root.backward), others)


def rows(full: bool) -> list[Row]:
    """The warm sweep, with its target, and the cold one."""
    operations = ITERATIONS * eager.OPERATIONS
    with plain_sweep() as sweep:
        cold = _cold(sweep, 9 if full else 5)
        warm = _warm(sweep, 31 if full else 15)
    what = "backward(), 3 million operations, against a plain C++ loop"
    return [
        times_slower(what, warm[0], warm[1], _LIMIT, operations=operations),
        times_slower(f"{what}: first sweep", cold[0], cold[1], operations=operations),
    ]
