"""The interpreter exits while daemon threads are in this package: quietly, whatever they are doing.

A script imports the package once and then forks: each child starts threads, waits for a random
moment and comes to the end of the script, where Python finalizes. ARENAGRAD_EXITS says how many
children a work gets; 70 make a thousand exits in all.
"""

import os
import random
import sys
from pathlib import Path

import pytest

from scripts import Done, run_python

EXITS = int(os.environ.get("ARENAGRAD_EXITS", "3"))

PREPARED = """
    import fractions, os, pickle, random, tempfile, threading, time
    import numpy as np
    import arenagrad as ag
    from arenagrad import Value, nn, optim

    rows = np.ones(300_000)
    batch = ag.compile(lambda x: x.tanh() * x.exp(), in_axes=0)
    shared = ag.compile(lambda x: x.tanh() * x.exp(), in_axes=0, threads=2)
    told = ag.compile(lambda x: x.sin(), in_axes=0, progress=lambda done, of: None)
    mixed = ag.compile(lambda x: x.sin() if x > 0 else x.cos(), in_axes=0)
    numbers = [0.5] * 3000
    chain = ag.compile(lambda xs: ag.sum([(x * y).tanh() for x in xs[:10] for y in xs]))
    chain(numbers)
    signs = np.where(np.arange(100_000) % 2, 1.0, -1.0)
    model = nn.MLP(4, [16, 16, 1])
    adam = optim.Adam(model.parameters())
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "state%d.npz")

    def graph():
        return ag.sum([(Value(float(k)) * 0.5).tanh() for k in range(3000)])

    class Slow(fractions.Fraction):
        def __float__(self):
            time.sleep(0.001)
            return 1.0

    def callbacks():
        a = Value(1.0)
        b = a * 2
        b._backward = lambda: time.sleep(0.001)
        (b + 1).backward()

    def traced(x):
        return ag.sum([v * v for v in x])

    def train():
        loss = model([1.0, 2.0, 3.0, 4.0]) ** 2
        loss.backward()
        adam.step()
        adam.zero_grad()

    def states():
        name = path % threading.get_ident()
        ag.save(model, name)
        model.load_state_dict(ag.load(name))
"""

WORKS = {
    "batch": "batch(rows)",
    "batch in threads": "shared(rows)",
    "batch with progress": "told(rows)",
    "batch of two variants": "mixed(signs)",
    "gradients of a batch": "batch.value_and_grad(rows)",
    "long program": "chain.value_and_grad(numbers)",
    "tracing": "ag.compile(traced)([1.0] * 300)",
    "derivatives": "ag.hessian(traced)([1.0] * 20)",
    "callback": "callbacks()",
    "backward": "graph().backward()",
    "numbers": "ag.sum([Slow(1), Value(1.0)]); ag.data_of([[Slow(1), 1.0]])",
    "save and load": "states()",
    "pickle": "pickle.loads(pickle.dumps(graph()))",
    "optimiser": "train()",
    "draw": "str(ag.draw(graph().tanh()))",
    "map": "batch.map(rows, chunksize=1000)",
}


def exits(folder: Path, work: str, count: int, seed: int = 0) -> Done:
    """Run a script whose forks exit while two threads do this."""
    script = f"""{PREPARED}
    def forever():
        while True:
            {work}

    draw = random.Random({seed})
    for _ in range({count}):
        moment = draw.uniform(0.0, 0.06)
        if os.fork() == 0:
            for _ in range(2):
                threading.Thread(target=forever, daemon=True).start()
            time.sleep(moment)
            break
        ended = os.wait()[1]
        if ended != 0:
            print("status", ended, "after", moment)
    """
    return run_python(folder, "-W", "ignore", "script.py", script=script)


pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")


@pytest.mark.parametrize("work", ["batch", "callback"])
def test_a_daemon_thread_ends_quietly(tmp_path: Path, work: str) -> None:
    done = exits(tmp_path, WORKS[work], 2)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
@pytest.mark.parametrize("work", WORKS)
def test_a_daemon_thread_ends_quietly_at_any_moment(tmp_path: Path, work: str) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    done = exits(tmp_path, WORKS[work], EXITS, seed)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_thread_that_exits_goes_on_where_others_stop(tmp_path: Path) -> None:
    script = """
        import arenagrad as ag

        f = ag.compile(lambda xs: ag.sum([x.tanh() * x for x in xs]))
        numbers = [0.0] * 25_000  # a program so long that the GIL is given up

        class Last:
            def __init__(self):
                self.call, self.numbers = f, numbers
                self.call(self.numbers)

            def __del__(self):
                print(self.call(self.numbers))

        last = Last()
    """
    done = run_python(tmp_path, "script.py", script=script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0.0\n", "")


def test_a_subinterpreter_is_refused_with_an_import_error(tmp_path: Path) -> None:
    name = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    pytest.importorskip(name)
    script = f"""
        import {name} as interpreters

        own = interpreters.create()
        try:
            told = interpreters.run_string(own, "import arenagrad")
        except Exception as error:
            told = error
        print(told)
    """
    done = run_python(tmp_path, "script.py", script=script)
    assert "ImportError" in done.stdout, done
    # CPython 3.13 may refuse by itself, before our module is asked.
    said = ("main interpreter only", "does not support loading in subinterpreters")
    assert any(text in done.stdout for text in said), done
