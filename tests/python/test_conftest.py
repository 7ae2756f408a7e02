"""How the tests are run: in workers or not, the quick ones, and what the collector visits."""

import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import conftest

ROOT = Path(__file__).resolve().parents[2]


def workers(*arguments: str) -> int | None:
    """How many workers `python -m pytest ARGUMENTS` in the root would start."""
    config: Any = SimpleNamespace(args=list(arguments), invocation_params=SimpleNamespace(dir=ROOT))
    return conftest.pytest_xdist_auto_num_workers(config)


def test_folders_run_in_workers_and_named_files_in_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_AUTO_NUM_WORKERS", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for processors, expected in ((1, 0), (2, 2), (8, 8), (64, 8), (None, 0)):
        monkeypatch.setattr(os, "cpu_count", lambda processors=processors: processors)
        assert workers("tests/python") == expected
        assert workers(str(ROOT / "tests"), "tests/python/test_ops.py") == expected
        assert workers("tests/python/test_ops.py", "tests/python/test_nn.py::test_a[x/y]") == 0
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "3")
    assert workers("tests/python") is None, "the variable of pytest-xdist decides"


@pytest.mark.slow
def test_the_quick_tests_are_those_not_marked_as_slow() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider"]
    found = {}
    for mark in ("quick", "slow"):
        done = subprocess.run(
            [*command, "-m", mark, "tests/python/test_stress.py"],
            cwd=ROOT,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found[mark] = {line for line in done.stdout.splitlines() if "::" in line}
    assert found["quick"] == {
        "tests/python/test_stress.py::"
        "test_threads_that_build_graphs_of_their_own_do_not_disturb_each_other"
    }
    assert len(found["slow"]) == 2


def test_only_what_tests_make_is_visited_by_the_collector() -> None:
    class Node:
        pass

    first, second = Node(), Node()
    first.other, second.other = second, first  # type: ignore[attr-defined]
    seen = weakref.ref(first)
    assert gc.get_freeze_count() > len(gc.get_objects())
    del first, second
    gc.collect()
    assert seen() is None
