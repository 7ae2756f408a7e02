"""Instructions instead of seconds: counts repeat where times do not, so they can be a gate.

`python -m benchmarks.instructions [--check | --write]` runs small workloads under valgrind's
callgrind, each at two sizes; the difference, divided by the difference in size, is free of start-up
and of imports. Counted are the instructions of the extension module and those of the whole process.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from arenagrad import Value, _core, build_info
from arenagrad._cli import moons
from benchmarks import compiled_batch, compiled_making, compiled_peers, compiled_point, eager

STORED = Path(__file__).with_name("instructions.json")
TOLERANCE = 0.05


def _eager(n: int) -> None:
    leaves = [Value(x) for x in eager.numbers()]
    eager.run(leaves, eager.other_half_first(leaves), n)


def _backward(n: int) -> None:
    leaves = [Value(x) for x in eager.numbers()]
    root = eager.run(leaves, eager.other_half_first(leaves), 20_000)
    for _ in range(n):
        root.backward()


def _moons(n: int) -> None:
    # scikit-learn takes a minute to import under valgrind; any points will do.
    points = [[i % 7 / 3.5 - 1.0, i % 11 / 5.5 - 1.0] for i in range(20)]
    problem = moons.Problem(points, [i % 2 * 2 - 1 for i in range(20)])
    engine = moons.arenagrad_engine()
    model = moons.make_model(engine, 1337)
    for _ in range(n):
        total, _ = moons.loss(engine, model, problem)
        total.backward()


def _point(n: int) -> None:
    call, _ = compiled_point.ours(compiled_peers.Problem(16, 1))
    for _ in range(n):
        call()


def _batch(n: int) -> None:
    call, _ = compiled_batch.ours(compiled_peers.Problem(16, 256))
    for _ in range(n):
        call()


def _making(n: int) -> None:
    function, argument = compiled_making.graph(2_000)
    for _ in range(n):
        compiled_making.made(function, argument)


class Workload(NamedTuple):
    """A function of a size, the smaller of the two sizes, and what one more of it is."""

    function: Callable[[int], None]
    size: int
    unit: str


WORKLOADS = {
    "eager": Workload(_eager, 20_000, "iteration"),
    "backward": Workload(_backward, 5, "sweep of 60,000 operations"),
    "moons": Workload(_moons, 2, "forward and backward of 20 points"),
    "compiled_point": Workload(_point, 1_000, "value and gradient of an MLP 2-16-16-1"),
    "compiled_batch": Workload(_batch, 4, "value and gradient of it over 256 rows"),
    "compiled_making": Workload(_making, 2, "function of 2,000 operations, with its gradient"),
}
Counts = dict[str, float]


def costs_by_object(lines: Iterable[str]) -> dict[str, int]:
    """The instructions of each object file, callees not included, from callgrind's output."""
    costs: dict[str, int] = defaultdict(int)
    names: dict[str, str] = {}
    current = ""
    inclusive = False  # the line after `calls=` repeats what stands elsewhere
    for line in lines:
        if line.startswith("ob="):
            # `(3) name` where the name first occurs, `(3)` from then on.
            number, _, name = line[3:].strip().partition(" ")
            current = names.setdefault(number, name)
        elif line.startswith("cob="):
            number, _, name = line[4:].strip().partition(" ")
            names.setdefault(number, name)
        elif line.startswith("calls="):
            inclusive = True
        elif re.match(r"[0-9+*-]", line):
            if not inclusive:
                costs[current] += int(line.split()[1])
            inclusive = False
    return dict(costs)


def _callgrind(valgrind: str, name: str, size: int) -> Counts:
    """The instructions of one run of a workload: of the whole process, and of the extension."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out"
        command = [valgrind, "--tool=callgrind", f"--callgrind-out-file={output}"]
        command += [sys.executable, "-m", "benchmarks.instructions", "--run", name, str(size)]
        done = subprocess.run(
            command,
            cwd=Path(__file__).resolve().parent.parent,
            env={**os.environ, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{name} failed under valgrind:\n{done.stderr}")
        with output.open(encoding="utf-8") as lines:
            costs = costs_by_object(lines)
    extension = os.path.realpath(_core.__file__)
    own = sum(cost for path, cost in costs.items() if os.path.realpath(path) == extension)
    return {"extension": own, "process": sum(costs.values())}


def count(valgrind: str) -> dict[str, Counts]:
    """The instructions of one more unit of each workload. Costs about a minute."""
    found = {}
    for name, workload in WORKLOADS.items():
        once, twice = (_callgrind(valgrind, name, workload.size * k) for k in (1, 2))
        found[name] = {key: (twice[key] - once[key]) / workload.size for key in once}
    return found


def compare(found: dict[str, Counts], stored: dict[str, Counts], gated: set[str]) -> bool:
    """Print a table of both; whether none of the gated counts has grown too much."""
    good = True
    print(f"{'':<28}{'stored':>16}{'now':>16}{'change':>10}")
    for name, counts in found.items():
        for key, now in counts.items():
            before = stored.get(name, {}).get(key)
            if before is None:
                verdict, good = "not stored", False
                print(f"{name + ', ' + key:<28}{'-':>16}{now:>16,.1f}  {verdict}")
                continue
            change = now / before - 1.0
            verdict = ""
            if key not in gated:
                verdict = "for information"
            elif change > TOLERANCE:
                verdict, good = f"MORE THAN {TOLERANCE:.0%} ABOVE", False
            elif change < -TOLERANCE:
                verdict = "better: --write the new counts"
            print(
                f"{name + ', ' + key:<28}{before:>16,.1f}{now:>16,.1f}{change:>+10.1%}  {verdict}"
            )
    return good


def _check(found: dict[str, Counts], version: str) -> int:
    stored = _stored().get(version)
    if stored is None:
        print(f"nothing is stored for Python {version}: --write stores it")
        return 0
    # Another build of the interpreter has other counts of its own, which are no concern of ours.
    gated = {"extension"} | ({"process"} if stored["interpreter"] == _interpreter() else set())
    good = compare(found, stored["counts"], gated)
    print(f"stored with {stored['compiler']}, here {build_info()['compiler']}")
    return 0 if good else 1


def _stored() -> dict[str, Any]:
    """What --write has stored, by version of Python."""
    return dict(json.loads(STORED.read_text(encoding="utf-8"))) if STORED.exists() else {}


def _interpreter() -> str:
    """The build of this interpreter, without the folders it was built for."""
    build = re.sub(r"/\S*?(?=['\"\s]|$)", "", sysconfig.get_config_var("CONFIG_ARGS") or "unknown")
    return f"{platform.python_version()}, {platform.python_compiler()}, {build}"


def main(arguments: list[str] | None = None) -> int:
    """Count, and print, check or write. Returns 1 if a check finds a count that has grown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help="compare with the stored counts")
    action.add_argument("--write", action="store_true", help="store the counts")
    action.add_argument("--run", nargs=2, metavar=("NAME", "SIZE"), help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.run:
        WORKLOADS[asked.run[0]].function(int(asked.run[1]))
        return 0
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        print("valgrind is not installed: no instructions were counted")
        return 0
    version = "{}.{}".format(*sys.version_info)
    found = count(valgrind)
    if asked.check:
        return _check(found, version)
    for name, counts in found.items():
        print(f"{name}, for one {WORKLOADS[name].unit}:")
        print("".join(f"  {key:<10}{number:>16,.1f}\n" for key, number in counts.items()), end="")
    if asked.write:
        everything = _stored()
        everything[version] = {
            "interpreter": _interpreter(),
            "compiler": build_info()["compiler"],
            "counts": found,
        }
        STORED.write_text(json.dumps(everything, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
