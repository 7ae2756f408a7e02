"""How long a program waits for `import arenagrad`, beside `import numpy`."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable

from benchmarks.measure import Row, duration, in_turn, seconds_of

_MOST_MORE = 0.020


def rows(full: bool) -> list[Row]:
    """New interpreters that import one or the other or nothing, in turn."""
    # Installed packages have their bytecode beside them. A first, untimed round writes what is not
    # there yet, so the interpreters here must be allowed to.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:

        def start(statement: str) -> Callable[[], float]:
            command = [sys.executable, "-c", statement]
            return lambda: seconds_of(
                lambda: subprocess.run(command, cwd=folder, env=environment, check=True)
            )

        sides = [start(s) for s in ("import arenagrad", "import numpy", "pass")]
        for side in sides:
            side()
        ours, numpy, nothing = in_turn(31 if full else 11, *sides)
    more = ours - numpy
    return [
        Row(
            "import arenagrad, against import numpy",
            duration(ours),
            f"{duration(numpy)} (no import: {duration(nothing)})",
            f"{more * 1e3:+.1f} ms",
            f"at most {_MOST_MORE * 1e3:+.0f} ms",
            more <= _MOST_MORE,
            {"ours_seconds": ours, "other_seconds": numpy, "nothing_seconds": nothing},
        )
    ]
