"""The example GPT: its two versions agree, it learns, and a training goes on where it was saved."""

import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arenagrad

ROOT = Path(__file__).resolve().parents[2]
# The examples are not part of the package; they lie beside these tests' folder.
sys.path.insert(0, str(ROOT))

from examples import gpt  # noqa: E402

SCRIPT = ROOT / "examples" / "gpt.py"
NAMES = ROOT / "benchmarks" / "names.txt"


def training(hot: str = "nary", **shape: int) -> Any:
    """A new training on names of a file."""
    return gpt.Training(gpt.names_of_file(NAMES), gpt.Shape(**shape), 7, hot)


def run(folder: Path, *arguments: str, hide: str = "") -> "subprocess.CompletedProcess[str]":
    """The script in a process of its own; hide names a package that shall seem not installed."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8"}
    if hide:
        (folder / hide).mkdir()
        (folder / hide / "__init__.py").write_text("raise ImportError\n", encoding="utf-8")
        before = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(folder), before)))
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


def numbers(some: Any) -> list[float]:
    """All parameters and what the optimiser keeps for each."""
    arrays = [part for part in some.optimiser.state_dict().values() if isinstance(part, np.ndarray)]
    assert len(arrays) == 2
    return np.concatenate([arenagrad.data_of(some.model.parameters()), *arrays]).tolist()


# The model


def test_both_versions_give_the_same_losses_and_gradient() -> None:
    plain, nary = training("plain", layers=2), training("nary", layers=2)
    for _ in range(4):
        assert math.isclose(plain.step(), nary.step(), rel_tol=1e-12)
    gradient = [arenagrad.grad_of(some.model.parameters()) for some in (plain, nary)]
    assert gradient[0] == pytest.approx(gradient[1], rel=1e-9, abs=1e-14)
    assert np.count_nonzero(gradient[0]) > len(gradient[0]) / 2


def by_numpy(some: Any, tokens: list[int]) -> float:
    """The loss once more, on arrays, all positions at a time under a mask."""
    weights = {name: arenagrad.data_of(matrix) for name, matrix in some.model.weights.items()}

    def normalise(x: Any) -> Any:
        return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-5)

    def softmax(x: Any) -> Any:
        powers = np.exp(x - x.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)

    given, following = tokens[:-1], tokens[1:]
    count, heads = len(given), some.shape.heads
    future = np.triu(np.full((count, count), -np.inf), 1)
    x = weights["token"][given] + weights["position"][:count]
    for layer in range(some.shape.layers):
        y = normalise(x)
        q, k, v = (
            (y @ weights[f"{layer}.{name}"].T).reshape(count, heads, -1).swapaxes(0, 1)
            for name in ("query", "key", "value")
        )
        likely = softmax(q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1]) + future)
        found = (likely @ v).swapaxes(0, 1).reshape(count, -1)
        x = x + found @ weights[f"{layer}.join"].T
        hidden = np.maximum(normalise(x) @ weights[f"{layer}.widen"].T, 0.0)
        x = x + hidden @ weights[f"{layer}.narrow"].T
    likely = softmax(normalise(x) @ weights["output"].T)
    return float(-np.log(likely[np.arange(count), following]).mean())


@pytest.mark.parametrize("hot", gpt.HOT)
def test_the_loss_is_that_of_a_gpt_written_on_arrays(hot: str) -> None:
    some, draw = training(hot, layers=2), random.Random(3)
    parameters = some.model.parameters()
    arenagrad.assign(parameters, [draw.gauss(0.0, 0.5) for _ in parameters])
    tokens = some.alphabet.tokens("margaret")
    loss = gpt.loss_of(some.model, gpt.HOT[hot], tokens)
    assert loss.data == pytest.approx(by_numpy(some, tokens), rel=1e-12)


def test_it_learns_a_name_by_heart_and_repeats_it() -> None:
    some = gpt.Training(["sophie"], gpt.Shape(), 1, "nary")
    losses = [some.step() for _ in range(60)]
    assert losses[0] == pytest.approx(math.log(some.alphabet.size), rel=0.1)
    assert losses[-1] < 0.1
    assert some.sample(0.1) == "sophie"


def test_made_up_names_have_one_letter_at_least_and_fit_the_context() -> None:
    some = training(context=12)
    names = [some.sample(1.0) for _ in range(50)]
    assert {len(name) for name in names} <= set(range(1, 12))
    assert len(set(names)) > 40
    assert set("".join(names)) <= set(some.alphabet.letters)


def test_making_up_names_records_no_graph() -> None:
    sizes = set()

    class Watched(gpt.Nary):
        @staticmethod
        def softmax(scores: Any) -> Any:
            sizes.update(len(arenagrad.topological_order(score)) for score in scores)
            return gpt.Nary.softmax(scores)

    some = training()
    some.arithmetic = Watched
    some.sample(1.0)
    assert sizes == {1}


def test_the_rate_falls_as_the_training_goes_on() -> None:
    some = training()
    rates = [some.optimiser.lr]
    for _ in range(3):
        some.step()
        rates.append(some.optimiser.lr)
    assert rates == [0.01 * (1 + step / 500) ** -0.5 for step in range(4)]


# Saving and resuming


def test_a_saved_training_goes_on_bit_for_bit_as_if_never_interrupted(tmp_path: Path) -> None:
    through, first = training(), training()
    losses = [through.step() for _ in range(6)]
    begun = [first.step() for _ in range(3)]
    gpt.save(first, tmp_path / "half.npz")
    second = gpt.resume(tmp_path / "half.npz", None, gpt.Training)
    assert [*begun, *(second.step() for _ in range(3))] == losses
    assert numbers(second) == numbers(through)
    assert second.sample(1.0) == through.sample(1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["half.npz"]


def test_a_training_may_be_resumed_in_the_other_version(tmp_path: Path) -> None:
    some = training("nary", layers=2)
    some.step()
    gpt.save(some, tmp_path / "some.npz")
    other = gpt.resume(tmp_path / "some.npz", "plain", gpt.Training)
    assert (other.hot, other.shape.layers) == ("plain", 2)
    assert math.isclose(other.step(), some.step(), rel_tol=1e-12)


def test_a_save_that_fails_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some, path = training(), tmp_path / "some.npz"
    gpt.save(some, path)
    old = path.read_bytes()
    some.step()

    def full(file: Any, **arrays: Any) -> None:
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="no space left"):
        gpt.save(some, path)
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["some.npz"]


def test_a_link_to_a_saved_training_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "link.npz"
    link.symlink_to(tmp_path / "there" / "some.npz")
    gpt.save(training(), link)
    assert link.is_symlink()
    assert os.listdir(tmp_path / "there") == ["some.npz"]
    assert gpt.resume(link, None, gpt.Training).optimiser.steps == 0


def spoilt(path: Path, how: str) -> None:
    """Write a file that --resume cannot use."""
    gpt.save(training(), path)
    with np.load(path) as content:
        arrays = dict(content)
    rest = json.loads(arrays["rest"].item())
    if how == "cut short":
        path.write_bytes(path.read_bytes()[:20_000])
        return
    if how == "text":
        path.write_text("names\n", encoding="utf-8")
        return
    if how == "empty":
        path.write_bytes(b"")
        return
    if how == "other sizes":
        arrays["parameters"] = arrays["parameters"][:-1]
    elif how == "something missing":
        del arrays["exp_avg"]
    elif how == "another version":
        rest["hot"] = "cold"
    elif how == "no state to draw from":
        rest["draw"] = [3, [1, 2], None]
    elif how == "no numbers":
        arrays["parameters"][3] = math.nan
    elif how == "no schedule":
        rest["schedule"] = None
    elif how == "no end of lists":
        arrays["rest"] = np.array("[" * 100_000)
        with path.open("wb") as file:
            np.savez(file, **arrays)
        return
    arrays["rest"] = np.array(json.dumps(rest))
    with path.open("wb") as file:
        np.savez(file, **arrays)


@pytest.mark.parametrize(
    "how",
    [
        "cut short",
        "text",
        "empty",
        "other sizes",
        "something missing",
        "another version",
        "no state to draw from",
        "no numbers",
        "no schedule",
        "no end of lists",
    ],
)
def test_a_file_that_is_no_saved_training_is_refused_with_its_name(
    tmp_path: Path, how: str
) -> None:
    path = tmp_path / "spoilt.npz"
    spoilt(path, how)
    with pytest.raises(SystemExit, match=r"spoilt\.npz is no file that --save has written: \S"):
        gpt.resume(path, None, gpt.Training)


@pytest.mark.slow
def test_a_damaged_file_is_refused_with_its_name_or_read_as_it_was(tmp_path: Path) -> None:
    shape = gpt.Shape(width=4, heads=2, context=6)
    gpt.save(gpt.Training(["anna", "bob"], shape, 7, "nary"), tmp_path / "good.npz")
    good, path, draw = (tmp_path / "good.npz").read_bytes(), tmp_path / "bad.npz", random.Random(2)
    headers = [at for at in range(len(good)) if good.startswith((b"PK", b"\x93NUMPY"), at)]
    refused, found = 0, set()
    for _ in range(500):
        bad = bytearray(good)
        at = min(draw.choice(headers) + draw.randrange(120), len(good) - 1)
        bad[at] ^= 1 << draw.randrange(8)
        path.write_bytes(bad)
        try:
            gpt.resume(path, None, gpt.Training)
        except SystemExit as error:
            found.add(str(error).partition(": ")[0])
            refused += 1
    assert found == {f"{path} is no file that --save has written"}
    assert refused > 100


# The command line


@pytest.mark.slow
@pytest.mark.parametrize("hot", gpt.HOT)
def test_the_command_trains_saves_resumes_and_makes_up_names(tmp_path: Path, hot: str) -> None:
    first = ["--data", str(NAMES), "--seed", "5", "--hot", hot, "--samples", "3"]
    through = run(tmp_path, *first, "--steps", "6")
    assert through.returncode == 0, through.stderr
    assert "100%" in through.stderr
    assert "loss=" in through.stderr
    lines = through.stdout.splitlines()
    assert lines[0] == "221 names, 26 tokens, 4160 parameters"
    assert lines[1].startswith("after 6 names: loss 3.")
    assert len(lines) == 5

    half = run(tmp_path, *first, "--steps", "3", "--save", "half.npz")
    assert half.returncode == 0, half.stderr
    rest = run(tmp_path, "--resume", "half.npz", "--steps", "3", "--samples", "3")
    assert rest.returncode == 0, rest.stderr
    assert rest.stdout.splitlines()[2:] == lines[2:]


def test_names_come_from_the_package_where_no_file_is_given(tmp_path: Path) -> None:
    pytest.importorskip("nicknames")
    done = run(tmp_path, "--steps", "2", "--samples", "1")
    assert done.returncode == 0, done.stderr
    count, tokens = done.stdout.split()[0:3:2]
    assert int(count) > 2000
    assert tokens == "27"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "hide", "message"),
    [
        ([], "nicknames", '"arenagrad[examples]", or --data FILE with one name a line'),
        (["--data", str(NAMES)], "tqdm", 'tqdm is missing: python -m pip install "arenagrad[ex'),
        (["--data", "missing.txt"], "", "missing.txt cannot be read as a text: "),
        (["--data", "blank.txt"], "", "blank.txt holds no names: one a line is wanted"),
        (["--data", "bytes.txt"], "", "bytes.txt cannot be read as a text: "),
        (["--data", "long.txt"], "", "names may have 15 letters, but there is aaaaaaaaaaaaaaaa"),
        (["--resume", "missing.npz"], "", "missing.npz is no file that --save has written: "),
        (["--resume", "x", "--data", "y"], "", "not allowed with argument --resume"),
        (["--data", str(NAMES), "--save", "no/x.npz"], "", "there is no folder no to save in"),
        (["--data", str(NAMES), "--save", "folder"], "", "folder is there and no file"),
        (["--temperature", "0"], "", "a number from 0.01 to 100 is wanted, not 0"),
        (["--temperature", "warm"], "", "invalid warmth value: 'warm'"),
        (["--steps", "-1"], "", "a whole number from 0 on is wanted, not -1"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    tmp_path: Path, arguments: list[str], hide: str, message: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "blank.txt").write_text(" \n\n", encoding="utf-8")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "long.txt").write_text("anna\n" + "a" * 16 + "\n", encoding="utf-8")
    done = run(tmp_path, *arguments, "--samples", "1", hide=hide)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
