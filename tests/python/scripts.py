"""Scripts run in processes of their own: what tests of them share."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

Done = subprocess.CompletedProcess[str]
RUN = ("-m", "arenagrad", "run")


def run_python(folder: Path, *arguments: str, script: str | bytes = "", stdin: str = "") -> Done:
    """Call this interpreter in folder, with the text of script.py written there first."""
    if isinstance(script, str):
        script = textwrap.dedent(script).encode()
    (folder / "script.py").write_bytes(script)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        input=stdin,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


def outcome(done: Done) -> tuple[str, str, int]:
    """What a user sees of a process."""
    return done.stdout, done.stderr, done.returncode
