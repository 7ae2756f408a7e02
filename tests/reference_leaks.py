"""Look for references that leak: on demand, since it takes minutes.

`python tests/reference_leaks.py [files or other arguments of pytest]` calls each quick test nine
times in one process and reports those after which the interpreter has more references each time; on
a Python that was built without --with-pydebug, and so counts no references, more blocks of memory.
Tests that start processes or that draw examples say nothing here and are left out.
"""

import gc
import sys
from array import array
from pathlib import Path
from typing import Any

import pytest

import arenagrad

CALLS, SETTLED = 9, 4
# Their figures are of other processes, or grow with what Hypothesis remembers.
LEFT_OUT = ("tmp_path", "monkeypatch", "capsys", "capfd", "cli")


def references() -> int:
    """How many there are, or blocks of memory, when all garbage is gone."""
    for _ in range(3):
        gc.collect()
        arenagrad.collect()
    return int(getattr(sys, "gettotalrefcount", sys.getallocatedblocks)())


class Leaks:
    """Calls each test again and again."""

    def __init__(self) -> None:
        """Nothing has been called yet."""
        self.tested = 0
        self.leaking: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: Any) -> bool | None:
        """Call a test CALLS times; note whether each call but the first left references."""
        names = pyfuncitem._fixtureinfo.argnames
        if hasattr(pyfuncitem.obj, "hypothesis") or any(name in LEFT_OUT for name in names):
            return None
        given = {name: pyfuncitem.funcargs[name] for name in names}
        counts = array("q", bytes(8 * CALLS))  # ints would be counted themselves
        for call in range(CALLS):
            try:
                pyfuncitem.obj(**given)
            except BaseException:
                if call == 0:
                    raise
                return True  # a test that cannot be called twice
            counts[call] = references()
        grown = [counts[k + 1] - counts[k] for k in range(SETTLED, CALLS - 1)]
        self.tested += 1
        if min(grown) > 0:
            self.leaking.append(f"{pyfuncitem.nodeid}: {grown}")
        return True


def main(arguments: list[str]) -> int:
    """Run pytest with this; 1 if a test leaks."""
    leaks = Leaks()
    usual = ["-q", "-p", "no:cacheprovider", "-n", "0", "-m", "quick"]
    folder = str(Path(__file__).parent / "python")
    files = arguments or [folder]
    pytest.main([*usual, *files], plugins=[leaks])
    print(f"{leaks.tested} tests called {CALLS} times each, {len(leaks.leaking)} of them leak")
    print("\n".join(leaks.leaking))
    return bool(leaks.leaking)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
