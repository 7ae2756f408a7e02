"""The example GPT compiled: the losses of gpt.py, a program for each length, the same files."""

import math
import os
import re
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

from examples import gpt, gpt_compiled  # noqa: E402

NAMES = ["ann", "bo", "carla", "dan", "ed", "felicia"]  # of four lengths
SHAPE = gpt.Shape(width=8, heads=2, layers=2, context=8)


def both() -> tuple[Any, Any]:
    """A training that is compiled, and the same that is recorded anew at each step."""
    arguments = NAMES, SHAPE, 7, "nary"
    return gpt_compiled.CompiledTraining(*arguments), gpt.Training(*arguments)


def test_the_losses_are_those_of_the_training_that_is_not_compiled() -> None:
    compiled, recorded = both()
    for _ in range(25):
        assert compiled.step() == pytest.approx(recorded.step(), rel=1e-9)
    numbers = [arenagrad.data_of(some.model.parameters()) for some in (compiled, recorded)]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-6, abs=1e-9)
    assert compiled.optimiser.steps == recorded.optimiser.steps == 25
    assert compiled.optimiser.lr == recorded.optimiser.lr


def test_a_step_leaves_the_gradient_in_the_parameters() -> None:
    compiled, recorded = both()
    compiled.step()
    recorded.step()
    gradient = [arenagrad.grad_of(some.model.parameters()) for some in (compiled, recorded)]
    assert gradient[0] == pytest.approx(gradient[1], rel=1e-9, abs=1e-14)
    assert gradient[0] == pytest.approx(compiled.gradient, rel=0, abs=0)


def test_each_length_of_names_is_traced_once_whatever_the_letters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    traced, eager = [], gpt.loss_of

    def loss_of(model: Any, hot: Any, tokens: Any) -> Any:
        traced.append(len(tokens))
        return eager(model, hot, tokens)

    compiled, _ = both()
    monkeypatch.setattr(gpt, "loss_of", loss_of)
    for _ in range(60):
        compiled.step()
    lengths = {len(name) + 2 for name in NAMES}
    assert sorted(traced) == sorted(lengths) == sorted(compiled.lengths)


def test_the_program_takes_the_tokens_as_numbers_and_compares_nothing() -> None:
    compiled, _ = both()
    tokens = np.array(compiled.alphabet.tokens("ann"))
    stats = compiled.loss.program(compiled.model, tokens).stats
    assert stats["guards"] == stats["closure"] == 0
    assert stats["inputs"] == len(compiled.model.parameters()) + len(tokens)


def test_it_learns_a_name_by_heart_and_repeats_it() -> None:
    some = gpt_compiled.CompiledTraining(["sophie"], gpt.Shape(), 1, "nary")
    losses = [some.step() for _ in range(60)]
    assert losses[0] == pytest.approx(math.log(some.alphabet.size), rel=0.1)
    assert losses[-1] < 0.1
    assert some.sample(0.1) == "sophie"


def test_a_saved_training_goes_on_compiled_or_not(tmp_path: Path) -> None:
    compiled, recorded = both()
    compiled.step()
    recorded.step()
    for some, name in ((compiled, "compiled"), (recorded, "recorded")):
        gpt.save(some, tmp_path / name)
    swapped = [
        gpt.resume(tmp_path / "recorded", None, gpt_compiled.CompiledTraining),
        gpt.resume(tmp_path / "compiled", None, gpt.Training),
    ]
    for _ in range(4):
        expected = recorded.step()
        assert [some.step() for some in swapped] == pytest.approx([expected] * 2, rel=1e-9)
    assert gpt.resume(tmp_path / "compiled", None, gpt_compiled.CompiledTraining).step() > 0


def test_the_rates_are_measured_on_the_same_names() -> None:
    compiled, _ = both()
    drawn: list[str] = []
    names = compiled.alphabet.tokens

    class Watched(gpt.Alphabet):
        def tokens(self, name: str) -> list[int]:
            drawn.append(name)
            return names(name)

    compiled.alphabet = Watched(NAMES)
    assert min(gpt_compiled.rates(compiled, 5)) > 0
    assert drawn[:5] == drawn[5:10] == drawn[10:]
    assert compiled.optimiser.steps == 15


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The script in a process and a folder of its own."""
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / "gpt_compiled.py"), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


@pytest.mark.slow
def test_the_command_does_what_that_of_gpt_does_and_tells_the_rates(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("\n".join(NAMES), encoding="utf-8")
    start = ["--data", "names.txt", "--seed", "5", "--samples", "3"]
    through = run(tmp_path, *start, "--steps", "6")
    assert through.returncode == 0, through.stderr
    lines = through.stdout.splitlines()
    assert lines[0] == "6 names, 12 tokens, 3712 parameters"
    assert lines[1].startswith("after 6 names: loss 2.")
    rates = r"4 programs, one for each length: [\d,]+ names a second, [\d.]+ times as many as .*"
    assert re.fullmatch(rates, lines[-1])
    assert len(lines) == 6

    half = run(tmp_path, *start, "--steps", "3", "--save", "half.npz")
    assert half.returncode == 0, half.stderr
    rest = run(tmp_path, "--resume", "half.npz", "--steps", "3", "--samples", "3")
    assert rest.stdout.splitlines()[2:-1] == lines[2:-1]


def test_the_arithmetic_in_operators_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("\n".join(NAMES), encoding="utf-8")
    done = run(tmp_path, "--data", "names.txt", "--hot", "plain")
    assert done.returncode == 1
    assert done.stderr.endswith("functions of many operands: --hot nary\n")
    assert "Traceback" not in done.stderr
