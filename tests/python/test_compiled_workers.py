"""Compiled functions in other processes and threads: executors, joblib, Dask, and map over them.

Real pools, in scripts of their own: functions of an importable module, and of the script itself.
The oracle is the same function here. A function that is traced says so, so that it is seen.
"""

import importlib.util
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arenagrad as ag
from arenagrad import Value, compile
from scripts import run_python

FUNCTIONS = """
    from arenagrad import Value, compile, value_and_grad

    calls = []
    weight = Value(3.0)

    @compile
    def branching(x):
        calls.append(1)
        return (x * weight).tanh() if x > 0 else x * x * x

    @compile(in_axes=(0, None), reduce="mean")
    def loss(x, w):
        calls.append(1)
        return (x[0] * w[0]).exp() if x[1] > 0 else w[1] * x[1] * x[0]

    def counted(f, *args):
        before = len(calls)
        return f(*args), len(calls) - before
"""

MAIN = """
    import sys
    import numpy as np

    def same(one, other):
        return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))

    def main():
        names = branching, value_and_grad(branching), branching.grad
        for x in (2.0, -2.0):
            [f(x) for f in names]
        x, w = np.random.default_rng(0).normal(size=(1000, 2)), np.array([0.3, 0.7])
        partial = value_and_grad(loss, 1)
        here = partial.map(x, w)
        for pool in pools():
            for f in names:
                tasks = [(f, x) for x in (2.0, -2.0, 0.5)]
                for (y, traced), (f, x_) in zip(pool.map(counted, *zip(*tasks)), tasks):
                    assert y == f(x_), (y, f, x_)
                    assert traced == 0, f
            weight.data = 0.25  # what is pickled is as it is now
            assert list(pool.map(branching, [1.0])) == [branching(1.0)]
            weight.data = 3.0
            assert same(partial.map(x, w, executor=pool), here)
            try:
                logarithm.map([1.0] * 100 + [-1.0], executor=pool)
            except DomainError:
                print("right")

    from arenagrad import DomainError

    @compile
    def logarithm(x):
        return x.log()

    if __name__ == "__main__":
        main()
"""

POOLS = {
    "threads": """
        from concurrent.futures import ThreadPoolExecutor

        def pools():
            with ThreadPoolExecutor(3) as pool:
                yield pool
    """,
    "spawn": """
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        def pools():
            with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
                yield pool
    """,
    "fork": """
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        def pools():
            with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
                yield pool
    """,
    "joblib": """
        from joblib import Parallel, delayed
        from joblib.externals.loky import get_reusable_executor

        class Joblib:
            def map(self, f, *args):
                return Parallel(n_jobs=2)(delayed(f)(*each) for each in zip(*args))

            def submit(self, f, *args):
                return get_reusable_executor(2).submit(f, *args)

        def pools():
            yield Joblib()
            get_reusable_executor().shutdown()
    """,
    "dask": """
        from dask.distributed import Client, LocalCluster

        def pools():
            with (
                LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
                Client(cluster) as client,
            ):
                yield client.get_executor()
    """,
}


@pytest.mark.slow
@pytest.mark.parametrize("where", ["module", "script"])
@pytest.mark.parametrize("kind", POOLS)
def test_workers_run_what_was_traced_here_and_map_reduces_it(
    kind: str, where: str, tmp_path: Path
) -> None:
    package = {"joblib": "joblib", "dask": "distributed"}.get(kind, "arenagrad")
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    functions, pools, main = map(textwrap.dedent, (FUNCTIONS, POOLS[kind], MAIN))
    if where == "module":
        (tmp_path / "work.py").write_text(functions)
        functions = "from work import *\n"
    done = run_python(tmp_path, "script.py", script=functions + pools + main)
    assert (done.stdout, done.returncode) == ("right\n", 0), done.stderr


# map, in this process


def branching(x: Any, w: Any) -> Any:
    """A row's loss, which takes one of two ways."""
    return (x[0] * w[0]).exp() if x[1] > 0 else w[1] * x[1] * x[0]


@pytest.fixture
def batch() -> tuple[Any, Any]:
    """Rows that take both ways, and what all rows share."""
    return np.random.default_rng(3).normal(size=(333, 2)), np.array([0.3, 0.7])


@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
def test_map_gives_what_a_call_gives(reduce: Any, batch: tuple[Any, Any]) -> None:
    f = compile(branching, in_axes=(0, None), reduce=reduce)
    for g in (f, ag.grad(f, 1), ag.value_and_grad(f, (0, 1))):
        whole = g(*batch)
        for chunksize in (None, 1, 7, 333, 5000):
            part = g.map(*batch, chunksize=chunksize)
            flat, like = (np.hstack([np.ravel(a) for a in _leaves(y)]) for y in (part, whole))
            assert flat == pytest.approx(like, rel=1e-12, abs=1e-15)
            assert str(type(part)) == str(type(whole))


def _leaves(results: Any) -> list[Any]:
    if not isinstance(results, tuple):
        return [results]
    return [leaf for part in results for leaf in _leaves(part)]


def test_results_of_map_are_the_same_for_any_number_of_workers(batch: tuple[Any, Any]) -> None:
    def answer(workers: int) -> Any:
        f = ag.value_and_grad(compile(branching, in_axes=(0, None), reduce="sum"), 1)
        if workers == 0:
            return f.map(*batch, chunksize=5)
        with ThreadPoolExecutor(workers) as pool:
            return f.map(*batch, executor=pool, chunksize=5)

    value, partial = answer(0)
    for workers in (1, 2, 5):
        other, gradient = answer(workers)
        assert other == value
        assert gradient.tolist() == partial.tolist()


def test_map_without_axes_goes_along_the_first_of_every_argument() -> None:
    f = compile(lambda x, y: [x * y[0], y])
    product, pairs = f.map([1.0, 2.0, 3.0], np.ones((3, 2)) * 2.0)
    assert product.tolist() == [2.0, 4.0, 6.0]
    assert pairs.tolist() == [[2.0, 2.0]] * 3
    with pytest.raises(ValueError, match="equally many rows"):
        f.map([1.0, 2.0], np.ones((3, 2)))


def test_map_writes_into_buffers(batch: tuple[Any, Any]) -> None:
    f = ag.value_and_grad(compile(branching, in_axes=(0, None), reduce="sum"), 1)
    out = np.full(2, np.nan)
    value, partial = f.map(*batch, out=out, chunksize=50)
    assert partial is out
    assert (value, partial.tolist()) == (f.map(*batch, chunksize=50)[0], out.tolist())
    rows = np.full(333, np.nan)
    g = compile(branching, in_axes=(0, None))
    assert g.map(*batch, out=rows, chunksize=50) is rows
    assert rows == pytest.approx(g(*batch))


def test_map_tells_how_far_it_is_and_what_a_worker_raises(batch: tuple[Any, Any]) -> None:
    seen: list[tuple[int, int]] = []
    f = compile(lambda x: x.log(), in_axes=0, progress=lambda *done: seen.append(done))
    f.map(np.ones(10), chunksize=4)
    assert seen == [(4, 10), (8, 10), (10, 10)]
    with ThreadPoolExecutor(2) as pool, pytest.raises(ag.DomainError):
        f.map(np.array([1.0, 2.0, -1.0, 4.0]), executor=pool, chunksize=1)
    with pytest.raises(ValueError, match="chunksize must be at least 1"):
        f.map(np.ones(3), chunksize=0)
    with pytest.raises(TypeError, match="no Values in a batch"):
        f.map([Value(1.0)])


def test_rows_of_other_structures_are_refused_by_map_too() -> None:
    f = compile(lambda x: [x, x] if x > 0 else (x,), in_axes=0)
    assert [y.tolist() for y in f(np.ones(3))] == [[1.0] * 3] * 2
    for call in (f, f.map, lambda x: f.map(x, chunksize=1)):
        with pytest.raises(TypeError, match="results of one structure"):
            call(np.array([1.0, -1.0, -2.0]))


def test_every_way_is_traced_once_whatever_the_chunks(batch: tuple[Any, Any]) -> None:
    calls = []

    def counted(x: Any, w: Any) -> Any:
        calls.append(1)
        return branching(x, w)

    f = compile(counted, in_axes=(0, None), reduce="sum")
    for _ in range(2):
        with ThreadPoolExecutor(3) as pool:
            f.map(*batch, executor=pool, chunksize=4)
        f(*batch)
        assert len(calls) == 2
