"""The benchmarks' own parts: what decides whether their figures mean anything. No times here."""

import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import arenagrad
from arenagrad import _core

ROOT = Path(__file__).resolve().parents[2]
# The benchmarks are not part of the package; they lie beside these tests' folder.
sys.path.insert(0, str(ROOT))

from benchmarks import (  # noqa: E402
    __main__,
    adam,
    backward,
    eager,
    gpt,
    gpt_nary,
    gpt_script,
    instructions,
    measure,
    operations,
    pure_value,
)


@pytest.mark.skipif(backward.compiler() is None, reason="no C++ compiler")
def test_the_plain_loop_differentiates_as_backward_does() -> None:
    with backward.plain_sweep() as sweep:
        for seed in range(5):
            draw = random.Random(seed)
            _core.collect()
            first = arenagrad.arena_info()["nodes"]
            leaves = [arenagrad.Value(draw.uniform(-1.0, 1.0)) for _ in range(9)]
            nodes = list(leaves)
            for _ in range(500):
                a, b = draw.choice(nodes), draw.choice(nodes)
                nodes.append(draw.choice([a + b, a * b, a * 0.5, 1 - a, -b]))
            root = sum(nodes)
            adjoints = np.zeros(arenagrad.arena_info()["nodes"])
            for _ in range(2):
                root.backward()
                sweep(adjoints, len(adjoints) - 1)
            found = adjoints[first : first + len(leaves)].tolist()
            measure.same_bits("gradients", [leaf.grad for leaf in leaves], found)
            assert all(found)
            del leaves, nodes, root, a, b


def test_the_graph_of_the_loop_is_checked_at_both_ends() -> None:
    graph = backward.Graph(100)
    adjoints = np.zeros(graph.size)
    with pytest.raises(measure.DifferentAnswersError, match=r"number 0 is 0\.0 here"):
        graph.check(adjoints + 1.0)
    graph.check(adjoints)


def test_the_loop_computes_the_same_on_values_and_floats() -> None:
    floats = eager.numbers()
    values = [arenagrad.Value(x) for x in floats]
    assert len(set(floats)) == eager.LEAVES
    results = [eager.run(xs, eager.other_half_first(xs), 1000) for xs in (values, floats)]
    assert results[0].data == results[1]
    results[0].backward()
    assert all(value.grad for value in values)


def test_pure_values_and_micrograd_agree() -> None:
    engine = pytest.importorskip("micrograd.engine")

    def compute(value: type) -> list[float]:
        a, b, c = (value(x) for x in (1.25, -0.75, 0.5))
        d = a * b + c - a / c
        e = (2 - d) * b + 3 / a + 5 * (d + 1).relu() + (1 + d).relu() * -c
        f = (e * 0.25 - c**3) ** 2 + d / 2 + (7 + d).relu()
        f.backward()
        return [f.data, a.grad, b.grad, c.grad, d.grad, e.grad]

    assert compute(pure_value.Value) == pytest.approx(compute(engine.Value), rel=1e-14)


def test_pure_values_know_the_partials_of_exp_and_log() -> None:
    x = pure_value.Value(0.75)
    y = x.exp() * x.log()
    y.backward()
    assert y.data == math.exp(0.75) * math.log(0.75)
    assert x.grad == pytest.approx(math.exp(0.75) * (math.log(0.75) + 1 / 0.75), rel=1e-15)


def test_pure_values_may_hang_together_by_long_chains() -> None:
    limit = sys.getrecursionlimit()
    x = pure_value.Value(1.0)
    y = x
    for _ in range(3 * limit):
        y = y + x
    y.backward()
    assert x.grad == 3 * limit + 1
    assert sys.getrecursionlimit() == limit


@pytest.mark.slow
def test_the_gpt_has_as_many_nodes_as_meant_in_both_engines() -> None:
    assert gpt.graph_size() in gpt.NODES
    assert len(gpt.names()) > 50
    names = [gpt_script.tokens_of(name) for name in gpt.names()]
    assert all(len(tokens) <= gpt_script.CONTEXT for tokens in names)


@pytest.mark.slow
def test_the_gpt_has_the_same_gradients_and_losses_in_both_engines() -> None:
    models = [gpt_script.GPT(value, 7) for value in (arenagrad.Value, pure_value.Value)]
    losses = [gpt_script.loss(model, "anna") for model in models]
    assert losses[0].data == losses[1].data
    for loss in losses:
        loss.backward()
    gradients = [[p.grad for p in model.parameters] for model in models]
    assert gradients[0] == pytest.approx(gradients[1], rel=1e-9, abs=1e-15)
    assert sum(map(bool, gradients[0])) > 3000
    ours, theirs = gpt.stepper(arenagrad.Value), gpt.stepper(pure_value.Value)
    for _ in range(3):
        assert math.isclose(ours(), theirs(), rel_tol=1e-12)


def test_the_gpt_learns() -> None:
    model = gpt_script.GPT(arenagrad.Value, 1)
    optimiser = gpt_script.Adam(model.parameters)
    losses = [gpt_script.step(model, optimiser, "sophie") for _ in range(30)]
    assert losses[0] == pytest.approx(math.log(27), rel=0.1)
    assert losses[-1] < 0.2


@pytest.mark.parametrize("scattered", [False, True])
def test_the_adam_of_arrays_takes_the_steps_of_ours(scattered: bool) -> None:
    adam.check(*adam.sides(scattered))
    ours, theirs = adam.sides(scattered)
    theirs.grad[5] += 1e-3
    theirs.step()
    with pytest.raises(measure.DifferentAnswersError, match="after ten steps of Adam differ by"):
        adam.check(ours, theirs)


def test_the_example_is_compared_with_itself_in_many_more_nodes() -> None:
    sizes = {hot: gpt_nary.graph_size(hot) for hot in ("nary", "plain")}
    assert sizes["plain"] in range(54_000, 60_000)
    assert sizes["nary"] * 8 < sizes["plain"]
    steps = {hot: gpt_nary.training(hot).step for hot in sizes}
    gpt_nary.check(steps["nary"], steps["plain"])
    with pytest.raises(measure.DifferentAnswersError, match="the loss of step 0"):
        gpt_nary.check(steps["nary"], lambda: steps["plain"]() + 1e-9)


def test_sides_take_turns_and_report_medians() -> None:
    calls = []

    def side(name: str, times: list[float]) -> float:
        calls.append(name)
        return times.pop()

    a, b = [1.0, 100.0, 3.0], [5.0, 7.0, 6.0]
    assert measure.in_turn(3, lambda: side("a", a), lambda: side("b", b)) == [3.0, 6.0]
    assert calls == ["a", "b"] * 3


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.5, "2.5 s"), (0.0123456, "12.35 ms"), (4.2e-6, "4.2 us"), (1.5e-9, "1.5 ns"), (0, "0 ns")],
)
def test_durations_have_the_unit_that_suits_them(seconds: float, text: str) -> None:
    assert measure.duration(seconds) == text


def test_rows_say_whether_the_target_is_reached() -> None:
    slower = measure.times_slower("a", 3.0, 2.0, 1.5, operations=10**9)
    assert slower.cells() == (
        "a", "3 s, 3.00 ns each", "2 s, 2.00 ns each", "1.50 times", "at most 1.5", "yes",
    )  # fmt: skip
    assert measure.times_slower("a", 3.1, 2.0, 1.5).reached is False
    faster = measure.times_faster("b", 0.5, 350.0, 600)
    assert faster.cells() == ("b", "500 ms", "350 s", "700 times", "at least 600", "yes")
    assert faster.numbers == {"ours_seconds": 0.5, "other_seconds": 350.0, "ratio": 700.0}
    assert measure.times_faster("b", 1e-3, 0.5, 600).reached is False
    assert measure.times_faster("b", 1.0, 2.0).cells()[4:] == ("-", "-")


def test_the_table_is_aligned_markdown() -> None:
    rows = [measure.Row("short", "1", "2", "0.5"), measure.Row("longer", "1", "2", "0.5", "1")]
    assert measure.table(rows).splitlines() == [
        "| what   | ours | the other | ratio or figure | to reach | reached |",
        "|--------|------|-----------|-----------------|----------|---------|",
        "| short  | 1    | 2         | 0.5             | -        | -       |",
        "| longer | 1    | 2         | 0.5             | 1        | -       |",
    ]


def test_same_bits_means_same_bits() -> None:
    measure.same_bits("x", [1.0, math.nan], [1.0, math.nan])
    with pytest.raises(measure.DifferentAnswersError, match=r"x: number 1 is 0\.0 here and -0\.0"):
        measure.same_bits("x", [1.0, 0.0], [1.0, -0.0])
    with pytest.raises(measure.DifferentAnswersError, match="x: 1 numbers and 2"):
        measure.same_bits("x", [1.0], [1.0, 1.0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (measure.DifferentAnswersError("4 here, 5 there"), 1, "DIFFERENT ANSWERS: 4 here, 5 there"),
        (measure.NotMeasurableError("no compiler"), 0, "not measured: no compiler"),
    ],
)
def test_only_different_answers_are_a_failure(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
    said: str,
) -> None:
    def rows(full: bool) -> list[measure.Row]:
        raise error

    monkeypatch.setattr(eager, "rows", rows)
    assert __main__.main(["--only", "eager"]) == code
    assert f"eager: {said}" in capsys.readouterr().out


@pytest.mark.slow
def test_the_command_prints_a_table_and_writes_json(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--only", "imports", "--json", str(file)],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "CONFIG_ARGS" in done.stdout
    assert "| import arenagrad, against import numpy |" in done.stdout
    result = json.loads(file.read_text(encoding="utf-8"))
    assert result["mode"] == "short"
    assert result["setting"]["arenagrad"] == arenagrad.__version__
    (row,) = result["rows"]
    assert row["numbers"].keys() == {"ours_seconds", "other_seconds", "nothing_seconds"}
    assert row["reached"] in (True, False)


def test_instructions_are_added_up_by_object_without_callees() -> None:
    output = """\
        version: 1
        positions: line
        events: Ir
        ob=(1) /lib/interpreter
        fl=(1) a.c
        fn=(1) run
        10 100
        +2 20
        cob=(2) /lib/extension
        cfn=(2) add
        calls=3 5
        * 900
        -1 3
        ob=(2)
        fn=(2)
        5 900
        ob=(1)
        fn=(3) stop
        7 1
        totals: 1024
        """
    lines = [line.strip() for line in output.splitlines()]
    assert instructions.costs_by_object(lines) == {"/lib/interpreter": 124, "/lib/extension": 900}


@pytest.mark.parametrize(
    ("extension", "process", "good"),
    [(104.0, 1000.0, True), (106.0, 1000.0, False), (50.0, 2000.0, True), (100.0, 900.0, True)],
)
def test_only_growth_of_what_is_gated_fails_the_check(
    capsys: pytest.CaptureFixture[str], extension: float, process: float, good: bool
) -> None:
    found = {"eager": {"extension": extension, "process": process}}
    stored = {"eager": {"extension": 100.0, "process": 1000.0}}
    assert instructions.compare(found, stored, {"extension"}) is good
    assert ("ABOVE" in capsys.readouterr().out) is not good


def test_instructions_are_stored_for_every_workload() -> None:
    for stored in json.loads(instructions.STORED.read_text(encoding="utf-8")).values():
        assert stored["counts"].keys() == instructions.WORKLOADS.keys()


def test_every_operation_is_timed_beside_a_function_of_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "_CALLS", 2)
    rows = operations.rows(True)[2:]
    timed = {row.what.split("`")[1] for row in rows}
    named = {row["name"] for row in _core.op_table()}
    assert timed == named - {"add", "multiply", "pow"}  # which are operators: `eager` has those
    monkeypatch.setattr(arenagrad, "exp", lambda x: x if isinstance(x, float) else x * 2.0)
    with pytest.raises(measure.DifferentAnswersError, match="exp"):
        operations.rows(False)
