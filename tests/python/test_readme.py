"""The README: its code runs as it stands, and prints what it says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^print\(.*\)  # (.*)$", re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS, ids=[block.splitlines()[0] for block in BLOCKS])
def test_code_in_the_readme_runs_and_prints_what_it_says(block: str, tmp_path: Path) -> None:
    if "scipy" in block:
        pytest.importorskip("scipy", reason="SciPy is not installed")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = " ".join(PRINTED.findall(block)).replace("...", "").split()
    printed = done.stdout.split()
    assert len(printed) == len(said)
    assert all(ours.startswith(theirs) for ours, theirs in zip(printed, said, strict=True))


def test_commands_in_the_readme_name_files_that_are_there() -> None:
    scripts = set(re.findall(r"`?(examples/\w+\.py)", README))
    assert scripts == {f"examples/{path.name}" for path in (ROOT / "examples").glob("gpt*.py")}
