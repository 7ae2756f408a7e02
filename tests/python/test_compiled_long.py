"""Long runs: Ctrl-C stops them, and progress tells how far they are.

Runs are of rows that would take far longer than the test waits; no time is asserted.
"""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from arenagrad import compile

SCRIPT = """
    import signal
    import sys
    import numpy as np
    from arenagrad import compile, grad

    signal.signal(signal.SIGINT, signal.default_int_handler)  # may have been inherited as ignored

    threads, how = int(sys.argv[1]), sys.argv[2]
    told = []

    def progress(done, rows):
        told.append(done)
        if len(told) == 1:
            print("running", flush=True)

    def f(x, w):
        y = x
        for _ in range(2000):
            y = (y * w).tanh() + y.sin()
        return y

    reduce = "sum" if how == "grad" else None
    f = compile(f, in_axes=(0, None), reduce=reduce, threads=threads, progress=progress)
    # So many rows of one number that all of them would take minutes, without memory for them.
    x = np.broadcast_to(np.array(0.5), (ROWS,))
    try:
        grad(f, 1)(x, 0.3) if how == "grad" else f(x, 0.3)
    except KeyboardInterrupt:
        print("stopped", max(told) < ROWS // 2)
        print("and works", np.shape(f(np.ones(3), 0.5)) == (() if reduce else (3,)))
    else:
        print("ran to its end")
"""


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("how", ["call", "grad"])
def test_ctrl_c_stops_a_long_run(threads: int, how: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT).replace("ROWS", "20_000_000"))
    process = subprocess.Popen(
        [sys.executable, str(script), str(threads), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (out, process.returncode) == ("stopped True\nand works True\n", 0), err


def long_function(x: float) -> float:
    """Some thousand instructions."""
    for _ in range(1000):
        x = x * 0.5 + 1.0 / (x * x + 1.0)
    return x


def test_progress_grows_up_to_the_number_of_rows() -> None:
    told: list[tuple[int, int]] = []
    f = compile(long_function, in_axes=0, progress=lambda done, rows: told.append((done, rows)))
    rows = 1000
    while len(told) < 3:
        told.clear()
        rows *= 2
        f(np.linspace(0.0, 1.0, rows))
    done = [d for d, _ in told]
    assert done == sorted(done)
    assert {r for _, r in told} == {rows}
    assert done[0] >= 0
    assert done[-1] <= rows


def test_what_progress_raises_stops_the_run_and_comes_through() -> None:
    def progress(done: int, rows: int) -> None:
        raise KeyError("enough")

    f = compile(long_function, in_axes=0, progress=progress)
    with pytest.raises(KeyError, match="enough"):
        f(np.broadcast_to(np.array(0.5), (3_000_000,)))
    assert f(np.ones(2)).shape == (2,)
