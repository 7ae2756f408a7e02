"""The command line, run as a user runs it: in a process and a folder of its own."""

import os
import re
import shutil
import struct
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.image import imread

import arenagrad
from arenagrad._cli.main import main

HIDE = """
import sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hide())
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def cli(tmp_path: Path) -> Run:
    """Call `python -m arenagrad` in tmp_path; hide= names packages that seem not installed."""

    def run(*arguments: str, hide: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
        if hide:
            folder = tmp_path / "hidden"
            folder.mkdir(exist_ok=True)
            (folder / "sitecustomize.py").write_text(HIDE.format(hidden=hide), encoding="utf-8")
            environment["PYTHONPATH"] = str(folder)
        return subprocess.run(
            [sys.executable, "-m", "arenagrad", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )

    return run


def installed_command() -> str:
    """The path of the command `arenagrad`; skips the test where only the package is there."""
    found = shutil.which("arenagrad", path=sysconfig.get_path("scripts"))
    if found is None:
        pytest.skip("the package was not installed by an installer: there is no command")
    return found


def steps_of(output: str) -> list[str]:
    """The lines that report a training step."""
    return [line for line in output.splitlines() if line.startswith("step ")]


@pytest.mark.slow
def test_demo_reports_its_steps_and_saves_the_picture_where_it_says(
    cli: Run, tmp_path: Path
) -> None:
    done = cli("demo", "--steps", "2", "--out", "boundary.png")
    assert done.returncode == 0, done.stderr
    first, second = steps_of(done.stdout)
    # Both as published with micrograd's own notebook, which has the same seed.
    assert first == "step 0 loss 0.8958441028683222, accuracy 50.0%"
    assert re.fullmatch(r"step 1 loss \d+\.\d+, accuracy \d+\.\d%", second)
    picture = tmp_path / "boundary.png"
    assert done.stdout.splitlines()[-1].endswith(f" {picture.resolve()}")
    head = picture.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert min(struct.unpack(">II", head[16:24])) >= 400
    assert "2/2" in done.stderr, "the progress bar belongs on the error stream"


@pytest.mark.slow
def test_demo_saves_moons_png_in_the_current_folder_by_default(cli: Run, tmp_path: Path) -> None:
    assert cli("demo", "--steps", "1").returncode == 0
    assert (tmp_path / "moons.png").is_file()


@pytest.mark.slow
def test_demo_computes_the_same_from_the_same_seed_and_something_else_from_another(
    cli: Run,
) -> None:
    one, again, other = (
        cli("demo", "--steps", "2", "--seed", seed).stdout for seed in ("7", "7", "8")
    )
    assert len(steps_of(one)) == 2
    assert steps_of(one) == steps_of(again)
    assert steps_of(one) != steps_of(other)


@pytest.mark.slow
@pytest.mark.parametrize("how", [(), ("--compiled",)])
def test_demo_reaches_full_accuracy_with_the_notebooks_settings(
    cli: Run, how: tuple[str, ...]
) -> None:
    steps = steps_of(cli("demo", *how).stdout)
    assert len(steps) == 100
    assert steps[-1].endswith("accuracy 100.0%")


@pytest.mark.slow
def test_the_compiled_demo_says_and_draws_what_the_other_one_does(cli: Run, tmp_path: Path) -> None:
    eager = cli("demo", "--steps", "4", "--out", "eager.png").stdout.splitlines()
    done = cli("demo", "--steps", "4", "--compiled", "--out", "compiled.png")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == eager[:2]
    assert len(lines) == len(eager) == 7
    for ours, theirs in zip(lines[2:6], eager[2:6], strict=True):
        *words, loss, _, accuracy = ours.split()
        *their_words, their_loss, _, their_accuracy = theirs.split()
        assert (words, accuracy) == (their_words, their_accuracy)
        assert float(loss.rstrip(",")) == pytest.approx(float(their_loss.rstrip(",")), rel=1e-9)
    theirs, ours = (imread(tmp_path / name) for name in ("eager.png", "compiled.png"))
    assert abs(ours - theirs).mean() < 1e-4 < ours.std()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["demo", "--steps", "0"], "--steps: '0' is not a whole number of at least 1"),
        (["demo", "--steps", "many"], "--steps: 'many' is not a whole number of at least 1"),
        (["demo", "--seed", "-1"], "--seed: '-1' is not a whole number between 0 and 4294967295"),
        (["demo", "--seed", "1.5"], "--seed: '1.5' is not a whole number"),
        (["demo", "--seed", str(2**32)], "is not a whole number between 0 and 4294967295"),
        (["demo", "--out", "absent/moons.png"], "--out: there is no folder 'absent'"),
        (["demo", "--out", "."], "--out: '.' is a folder, not a file"),
        (["demo", "--out", ""], "--out: '' is a folder, not a file"),
        (["demo", "--step", "3"], "unrecognized arguments: --step 3"),
        (["bench", "--rounds", "0"], "--rounds: '0' is not a whole number of at least 1"),
        (["info", "more"], "unrecognized arguments: more"),
        (["run"], "script.py"),
        (["run", "--replace-class", "Value"], "script.py"),
        (["run", "--replace", "Value", "script.py"], "--replace"),
        (["fly"], "'fly'"),
        ([], "run | demo | bench | info"),
    ],
)
def test_bad_arguments_are_explained_before_any_work(
    cli: Run, tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    done = cli(*arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("package", ["sklearn", "matplotlib", "tqdm"])
def test_demo_without_an_extra_package_says_how_to_install_it(cli: Run, package: str) -> None:
    done = cli("demo", "--steps", "1", hide=(package,))
    assert done.returncode == 1
    assert f"{package} is not installed" in done.stderr
    assert 'python -m pip install "arenagrad[demo]"' in done.stderr
    assert "Traceback" not in done.stderr
    assert steps_of(done.stdout) == []


def test_info_and_run_need_no_other_package(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import arenagrad\nprint(arenagrad.Value(2.0) * 3)\n", encoding="utf-8"
    )
    hide = ("numpy", "sklearn", "matplotlib", "tqdm", "micrograd")
    assert cli("info", hide=hide).returncode == 0
    assert cli("run", "script.py", hide=hide).stdout == "Value(data=6.0, grad=0.0)\n"


def test_info_prints_versions_build_and_arena(cli: Run) -> None:
    done = cli("info")
    assert done.returncode == 0, done.stderr
    lines = {tuple(line.split(None, 1)) for line in done.stdout.splitlines() if line[:1] == " "}
    assert ("arenagrad", arenagrad.__version__) in lines
    assert ("compiler", arenagrad.build_info()["compiler"]) in lines
    names = {line[0] for line in lines}
    assert {"Python", "numpy", "platform", "CPU"} <= names
    assert set(arenagrad.build_info()) <= names
    assert set(arenagrad.arena_info()) <= names


def test_version_is_that_of_the_package(cli: Run) -> None:
    assert cli("--version").stdout == f"arenagrad {arenagrad.__version__}\n"


@pytest.mark.parametrize(
    ("called", "name"),
    [("/some/bin/arenagrad", "arenagrad"), ("/some/arenagrad/__main__.py", "python -m arenagrad")],
)
def test_usage_and_errors_begin_with_the_command_as_it_was_called(
    called: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [called])
    for arguments, prefix in (
        ([], f"usage: {name} [-h]"),
        (["run"], f"usage: {name} run [-h]"),
        (["demo", "--steps", "0"], f"usage: {name} demo [-h]"),
        (["run", "absent.py"], f"{name} run: can't open file "),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(arguments)
        assert capsys.readouterr().err.startswith(prefix)


@pytest.mark.slow
def test_the_command_arenagrad_does_what_the_module_does(cli: Run, tmp_path: Path) -> None:
    command = installed_command()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "beside.py").write_text("answer = 42\n", encoding="utf-8")
    (tmp_path / "folder" / "script.py").write_text(
        "import sys, beside, micrograd\n"
        "print(__name__, sys.argv, sys.path[0], beside.answer, micrograd.__name__)\n",
        encoding="utf-8",
    )
    for arguments in (
        ["--version"],
        ["info"],
        ["run", "folder/script.py", "--", "-h"],
        ["run", "absent.py"],
        ["fly"],
        ["--help"],
    ):
        module = cli(*arguments)
        done = subprocess.run(
            [command, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        assert done.returncode == module.returncode
        for ours, theirs in ((done.stdout, module.stdout), (done.stderr, module.stderr)):
            assert " ".join(ours.split()) == " ".join(
                theirs.replace("python -m arenagrad", "arenagrad").split()
            )


@pytest.mark.slow
def test_bench_checks_the_answers_and_prints_times_and_ratios(cli: Run) -> None:
    done = cli("bench", "--rounds", "1")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^checked: loss 0\.89584410286832\d* in both", done.stdout, re.MULTILINE)
    assert re.search(r"^  arenagrad +\d+\.\d+ ms$", done.stdout, re.MULTILINE)
    for collector in ("on (default)", "off"):
        row = rf"^  micrograd, cyclic gc {re.escape(collector)} +\d+\.\d+ ms +\d+\.\d times ours$"
        assert re.search(row, done.stdout, re.MULTILINE)
    assert "CONFIG_ARGS" in done.stdout


@pytest.mark.slow
def test_bench_without_micrograd_times_arenagrad_and_says_how_to_install_it(cli: Run) -> None:
    done = cli("bench", "--rounds", "1", hide=("micrograd",))
    assert done.returncode == 0, done.stderr
    assert re.search(r"^  arenagrad +\d+\.\d+ ms$", done.stdout, re.MULTILINE)
    assert "times ours" not in done.stdout
    assert "python -m pip install micrograd\n" in done.stdout


def test_run_passes_everything_after_the_script_on_untouched(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import sys\nclass Unused: pass\nprint(sys.argv[1:])\n", encoding="utf-8"
    )
    arguments = ["--", "-h", "--replace-class", "A", "--version", "x", "", "--seed=3", "--", "-1"]
    for before in ([], ["--"], ["--replace-class", "Unused"]):
        done = cli("run", *before, "script.py", *arguments)
        assert done.stdout == f"{arguments!r}\n", done.stderr


def test_run_puts_arenagrad_in_the_place_of_each_class_named(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "class Value:\n    pass\n\nclass Scalar:\n    pass\n\nclass Other:\n    pass\n\n"
        "print(Value.__module__, Scalar.__module__, Other.__module__)\n",
        encoding="utf-8",
    )
    done = cli("run", "--replace-class", "Value", "--replace-class=Scalar", "script.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "arenagrad arenagrad __main__\n"
