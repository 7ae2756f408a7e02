"""ARENAGRAD_DUMP: what a pass did, on stderr, and the same results with it.

The variable is read once, so each case is a process of its own.
"""

import os
import re
import subprocess
import sys

import pytest

SCRIPT = """
import arenagrad as ag
f = ag.compile(lambda x, y: (x - y) ** 2 + x * y + x * y + x * 1.0 + y.exp())
value, (dx, dy) = ag.value_and_grad(f, argnums=(0, 1))(1.5, -0.25)
print(value.hex(), dx.hex(), dy.hex())
"""
PASSES = ["fold", "common_subexpressions", "peephole", "reorder", "prune", "fuse"]
TITLE = re.compile(r"^--- (before|after) (\w+): (\d+) instructions$", re.MULTILINE)


def run(wanted: str | None) -> tuple[str, str]:
    """What the script prints on stdout and stderr."""
    environment = {k: v for k, v in os.environ.items() if k != "ARENAGRAD_DUMP"}
    if wanted is not None:
        environment["ARENAGRAD_DUMP"] = wanted
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def plain() -> str:
    results, said = run(None)
    assert said == ""
    return results


@pytest.mark.parametrize("name", PASSES)
def test_a_dump_shows_the_program_before_and_after_that_pass(name: str, plain: str) -> None:
    results, said = run(name)
    assert results == plain
    titles = TITLE.findall(said)
    assert [when for when, _, _ in titles] == ["before", "after"] * (len(titles) // 2)
    assert {of for _, of, _ in titles} == {name}
    programs = TITLE.split(said)[4::4]
    assert all(text.splitlines()[-1].startswith("return v") for text in programs)
    assert any(one != other for one, other in zip(programs[::2], programs[1::2], strict=True))


def test_a_dump_of_all_passes_has_every_one_of_them(plain: str) -> None:
    results, said = run("all")
    assert results == plain
    assert {of for _, of, _ in TITLE.findall(said)} == set(PASSES)


def test_a_name_that_is_no_pass_is_said_with_those_there_are(plain: str) -> None:
    results, said = run("fusing")
    assert results == plain
    assert said == (
        "arenagrad: ARENAGRAD_DUMP=fusing names no pass; there are "
        + " ".join(PASSES)
        + ", and all\n"
    )
