"""Where states and programs are saved: through links, under any name, with errors that name it.

The oracle is the file system.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import arenagrad
from arenagrad import Program

PROGRAM = arenagrad.compile(lambda x: x * x).program(3.0)


def save_state(path: Any) -> None:
    arenagrad.save({"a": 1.0}, path)


every_save = pytest.mark.parametrize("save", [PROGRAM.save, save_state])
Save = Callable[[Any], None]


@every_save
def test_a_link_stays_one_and_its_target_is_written(save: Save, tmp_path: Path) -> None:
    for name in ("there", "not_yet"):
        (tmp_path / f"to_{name}").symlink_to(name)
    (tmp_path / "there").write_text("before")
    for name in ("there", "not_yet"):
        link = tmp_path / f"to_{name}"
        save(link)
        assert link.is_symlink()
        assert not (tmp_path / name).is_symlink()
        assert (tmp_path / name).stat().st_size > len("before")
    assert len(os.listdir(tmp_path)) == 4


@every_save
def test_the_mode_of_a_file_is_kept_and_a_new_one_has_the_usual(save: Save, tmp_path: Path) -> None:
    usual, own = tmp_path / "usual", tmp_path / "own"
    own.touch(0o600)
    own.chmod(0o640)
    (tmp_path / "like").touch()
    for path in (usual, own):
        save(path)
    assert stat.S_IMODE(own.stat().st_mode) == 0o640
    assert usual.stat().st_mode == (tmp_path / "like").stat().st_mode


@every_save
def test_a_name_may_be_as_long_as_names_can_be(save: Save, tmp_path: Path) -> None:
    save(tmp_path / ("n" * 250))
    assert os.listdir(tmp_path) == ["n" * 250]


@every_save
def test_errors_name_the_path_that_was_asked_for(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for path, error in (
        (".", IsADirectoryError),
        ("", FileNotFoundError),
        ("no/such", FileNotFoundError),
        ("n" * 300, OSError),
    ):
        with pytest.raises(error) as caught:
            save(path)
        assert caught.value.filename == path
    assert os.listdir(tmp_path) == []


def test_what_is_no_file_is_written_and_not_replaced(tmp_path: Path) -> None:
    pipe, file = tmp_path / "pipe", tmp_path / "file"  # a device would be the machine's own
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        PROGRAM.save(pipe)
        PROGRAM.save(file)
        assert os.read(reader, 1 << 20) == file.read_bytes()
        assert stat.S_ISFIFO(pipe.stat().st_mode)
    finally:
        os.close(reader)


def test_paths_may_be_bytes_and_nothing_else_that_is_no_path(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "p")
    save: Any
    load: Any
    for save, load in ((PROGRAM.save, Program.load), (save_state, arenagrad.load)):
        save(path)
        load(path)
        for wrong in (3, None):
            with pytest.raises(TypeError, match=r"expected str, bytes or os\.PathLike"):
                save(wrong)
        (tmp_path / "p").write_bytes(b"damaged")
        with pytest.raises(arenagrad.FormatError, match="/p "):
            load(path)
