"""The name of the command line, which its own messages and those of `compat` begin with."""

import os
import sys


def command_name() -> str:
    """How the user called the command line: `arenagrad`, or `python -m arenagrad`."""
    called, _ = os.path.splitext(os.path.basename(sys.argv[0]))
    return "arenagrad" if called == "arenagrad" else "python -m arenagrad"
