"""Files of an earlier version: its programs and pickles load and give what they gave there.

The oracle is what that version answered (references/make_earlier_files.py). Where the C library is
not the one that it ran on, the last bits of its functions may differ.
"""

import json
import math
import pickle
import platform
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arenagrad import Program, topological_order

STORED = Path(__file__).parent / "references" / "earlier_files.tar.xz"


def stored_files() -> dict[str, bytes]:
    """Every file of the archive by its name."""
    with tarfile.open(STORED) as archive:
        contents = ((entry.name, archive.extractfile(entry)) for entry in archive)
        return {name: file.read() for name, file in contents if file is not None}


FILES = stored_files()
ABOUT = json.loads(FILES.pop("answers.json"))
HERE = [list(platform.libc_ver()), platform.machine()]
SAME_LIBRARY = [ABOUT["library"], ABOUT["machine"]] == HERE
PROGRAMS = [name for name in FILES if name.endswith(".agpf")]
OPTIMISERS = ["SGD", "Adam", "AdamW", "RMSprop"]


def check(name: str, got: Any) -> None:
    """Every number is the stored one, in all bits where the C library is the same.

    But for derivatives of digamma, which have become more accurate since.
    """
    expected = [float.fromhex(text) for text in ABOUT["answers"][name]["gives"]]
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        if SAME_LIBRARY and not name.startswith("lgamma.hessian"):
            assert float(one).hex() == other.hex()
        else:
            assert math.isclose(one, other, rel_tol=1e-11, abs_tol=1e-13)


def numbers(tree: Any) -> list[float]:
    """All numbers of a nested result, in order."""
    if isinstance(tree, list | tuple):
        return [number for item in tree for number in numbers(item)]
    return [float(number) for number in np.asarray(tree, dtype=float).ravel()]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_of_an_earlier_version_gives_what_it_gave(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name])
    program = Program.load(path)
    x = np.array(ABOUT["answers"][name]["x"])
    check(name, numbers(program(x)))
    program.save(path)  # under the names of today
    check(name, numbers(Program.load(path)(x)))


def test_values_of_an_earlier_version_are_unpickled() -> None:
    values = pickle.loads(FILES["values.pickle"])
    check("values.pickle", [v.data for v in values] + [v.grad for v in values])
    for node in topological_order(values[2]):
        node.grad = 0.0
    values[2].backward()
    check("values.pickle", [v.data for v in values] + [v.grad for v in values])


def test_a_module_of_an_earlier_version_is_unpickled() -> None:
    model: Callable[[Any], Any] = pickle.loads(FILES["module.pickle"])
    check("module.pickle", [model([0.5, -2.0]).data])


@pytest.mark.parametrize("rule", OPTIMISERS)
def test_an_optimiser_of_an_earlier_version_goes_on_where_it_was(rule: str) -> None:
    optimiser, parameters = pickle.loads(FILES[f"{rule}.pickle"])
    given = []
    for _ in range(2):
        optimiser.zero_grad()
        (parameters[0] ** 2 * parameters[1] + parameters[1] ** 2).backward()
        optimiser.step()
        given += [p.data for p in parameters]
    check(f"{rule}.pickle", given)
