"""`python -m benchmarks`: measure, and print the setting and one table."""

import argparse
import gc
import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from time import perf_counter

from arenagrad._cli import info
from benchmarks.measure import DifferentAnswersError, NotMeasurableError, Row, setting, table

NAMES = (
    *("eager", "backward", "operations", "memory", "drop", "moons", "gpt", "gpt_nary", "adam"),
    *("imports", "compiled"),
)


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure arenagrad beside what it is compared with. Short mode by default.",
    )
    parser.add_argument("--full", action="store_true", help="more rounds and more sizes")
    parser.add_argument(
        "--only", action="append", choices=NAMES, metavar="NAME", help=f"one of {', '.join(NAMES)}"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there as well")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks asked for. Returns 1 if two sides computed different numbers, else 0.

    A target that is missed is printed and changes nothing: times depend on the machine.
    """
    asked = _arguments(arguments)
    mode = "full" if asked.full else "short"
    where = setting()
    print(info.table("setting", {**where, "mode": f"{mode}; all times are medians"}))
    print(flush=True)
    rows: list[Row] = []
    different = []
    for name in [name for name in NAMES if not asked.only or name in asked.only]:
        start = perf_counter()
        gc.collect()
        try:
            rows += importlib.import_module(f"benchmarks.{name}").rows(asked.full)
            outcome = "done"
        except NotMeasurableError as error:
            outcome = f"not measured: {error}"
        except DifferentAnswersError as error:
            outcome = f"DIFFERENT ANSWERS: {error}"
            different.append(name)
        print(f"{name}: {outcome} ({perf_counter() - start:.0f} s)", flush=True)
    print()
    print(table(rows))
    if asked.json:
        result = {"mode": mode, "setting": where, "rows": [asdict(row) for row in rows]}
        asked.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if different:
        print(f"\nthe two sides computed different numbers in: {', '.join(different)}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
