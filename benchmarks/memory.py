"""Resident memory of a large graph, and what is left of it once the graph is dropped."""

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import Row

ITERATIONS = 1_000_000
_MOST_BYTES = 40
_BACK = 2 * 2**20  # what an allocator may keep for itself: still "back to the start"


def resident() -> int:
    """The resident memory of this process in bytes; its peak so far where there is no /proc."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak * (1 if sys.platform == "darwin" else 1024)
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def figures() -> dict[str, int]:
    """Build, sweep and drop twice, with resident() after each step. Meant for a new process.

    Only the root of the graph has a handle, as in a training step.
    """
    from arenagrad import Value, _core
    from benchmarks import eager

    leaves = [Value(x) for x in eager.numbers()]
    others = eager.other_half_first(leaves)
    # Whatever the interpreter sets up at a first call is not the graph's.
    eager.run(leaves, others, 10).backward()
    gc.collect()
    found = {"start": resident()}
    for turn in ("first", "second"):
        nodes = _core.arena_info()["nodes"]
        s = eager.run(leaves, others, ITERATIONS)
        found[f"{turn}_built"] = resident()
        s.backward()
        found[f"{turn}_swept"] = resident()
        found["nodes"] = _core.arena_info()["nodes"] - nodes
        del s
        found[f"{turn}_dropped"] = resident()
    found["reserve"] = _core.arena_info()["resident_bytes"]
    return found


def rows(full: bool) -> list[Row]:
    """Bytes a node, and what stays behind. The same in both modes: there is no noise to fight."""
    command = [sys.executable, "-m", "benchmarks.memory"]
    root = Path(__file__).resolve().parent.parent
    output = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    found = {name: int(number) for name, number in json.loads(output).items()}
    start, nodes = found["start"], found["nodes"]
    numbers = {name: float(number) for name, number in found.items()}
    built = (found["first_built"] - start) / nodes
    swept = (found["first_swept"] - start) / nodes
    left = found["first_dropped"] - start
    grown = found["second_dropped"] - found["first_dropped"]
    return [
        Row(
            f"memory of {nodes:,} nodes, swept",
            f"{(found['first_swept'] - start) / 2**20:.0f} MiB",
            f"{start / 2**20:.0f} MiB before",
            f"{swept:.1f} bytes a node ({built:.1f} before backward())",
            f"at most {_MOST_BYTES}",
            swept <= _MOST_BYTES,
            {**numbers, "bytes_per_node": swept},
        ),
        Row(
            "memory left when that graph is dropped",
            f"{found['first_dropped'] / 2**20:.1f} MiB",
            f"{start / 2**20:.1f} MiB before",
            f"{left / 1024:+.0f} KiB, the second time {grown / 1024:+.0f} KiB; "
            f"the arena keeps {found['reserve'] / 1024:.0f} KiB",
            f"within {_BACK // 1024} KiB of the start",
            abs(left) <= _BACK,
            {"left_bytes": left, "second_time_bytes": grown},
        ),
    ]


if __name__ == "__main__":
    print(json.dumps(figures()))
