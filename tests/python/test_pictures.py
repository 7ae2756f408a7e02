"""Pictures: what stands in the boxes, where they lie, what is folded, and texts for other programs.

The SVG is read back as XML and judged by its geometry alone: lines are followed from box to box.
"""

import random
import re
from pathlib import Path
from typing import Any

import pytest

import arenagrad
from arenagrad import Value, draw, nn
from oracle import nodes_below, refused
from scripts import run_python
from svg_reader import HOSTILE, Drawn, assert_well_laid_out, expected_arrows, plain

ROOT = Path(__file__).resolve().parents[2]


def random_graph(choose: random.Random, steps: int) -> Value:
    """Nodes with labels of their own, shared at random, some used twice by one operation."""
    pool = [Value(choose.uniform(0.1, 2.0), label=f"leaf {k}") for k in range(3)]
    for k in range(steps):
        a, b = choose.choice(pool), choose.choice(pool[-4:])
        kinds = [lambda a, b: a + b, lambda a, b: a * b, lambda a, b: b.tanh(), lambda a, b: a * a]
        made = choose.choice(kinds)(a, b)
        made = made.sigmoid() if made.data > 100 else made
        made.label = f"node {k}"
        pool.append(made)
    root = sum(pool[-3:], start=pool[0])
    root.backward()
    return root


# The SVG


def test_a_picture_shows_label_data_grad_and_operation() -> None:
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    y = a * b
    y.label = "y"
    y.backward()
    drawn = Drawn(draw(y).svg)
    assert sorted(drawn.of("node")) == [
        ["a", "data 2.0000", "grad -3.0000"],
        ["b", "data -3.0000", "grad 2.0000"],
        ["y", "data -6.0000", "grad 1.0000"],
    ]
    assert drawn.of("operation") == [["*"]]
    assert drawn.of("fold") == drawn.notes == drawn.counts == []
    assert drawn.arrows() == expected_arrows(y)


@pytest.mark.parametrize("steps", [1, 2, 5, 10, 20, 40])
@pytest.mark.parametrize("seed", range(4))
def test_lines_join_operands_with_users_and_nothing_overlaps(seed: int, steps: int) -> None:
    root = random_graph(random.Random(seed), steps)
    drawn = Drawn(draw(root).svg)
    assert_well_laid_out(drawn)
    assert drawn.arrows() == expected_arrows(root)
    twice = [n for n in nodes_below(root) if n._op in "+*" and len(n._prev) == 1 and n._op]
    assert drawn.counts == ["2x"] * len(twice)


def test_a_tree_is_drawn_without_crossing_lines() -> None:
    row = [Value(float(k), label=str(k)) for k in range(16)]
    while len(row) > 1:
        row = [a * b for a, b in zip(row[::2], row[1::2], strict=True)]
    drawn = Drawn(draw(row[0]).svg)
    by_height = sorted((top, texts) for (_, top, _, _), (_, texts) in drawn.boxes.items())
    leaves = [texts[0] for _, texts in by_height if len(texts) == 3]
    assert leaves in ([str(k) for k in range(16)], [str(k) for k in reversed(range(16))])


def test_lines_that_need_not_cross_do_not() -> None:
    # As made, the four results would have three crossings; in another order they have none.
    a, b, c = (Value(1.0, label=label) for label in "abc")
    results = [Value(2.0, chosen, "", label=str(k)) for k, chosen in enumerate(
        [(a,), (b, c), (a, b), (c,)]
    )]  # fmt: skip
    drawn = Drawn(draw(results).svg)
    assert_well_laid_out(drawn)
    ends = [(line[0][1], line[-1][1]) for line in drawn.lines]
    assert len(ends) == 6
    assert not [1 for p in ends for q in ends if p[0] < q[0] and p[1] > q[1]]


def test_several_roots_share_one_picture() -> None:
    a = Value(2.0, label="a")
    b, c, alone = a + 1.0, a * a, Value(7.0, label="alone")
    drawn = Drawn(draw(iter([b, c, alone, b, a])).svg)
    assert_well_laid_out(drawn)
    assert len(drawn.of("node")) == 5
    both = expected_arrows(b) + expected_arrows(c)
    assert drawn.arrows() == both


def test_every_attribute_that_was_set_is_shown() -> None:
    v = Value(1.0, (Value(2.0, label=""),), "op", label="name")
    v.m, v.tags, v.long, v.text = 0.25, ["x", 1], "y" * 1000, "z"
    v._backward = lambda: None
    ((_, texts),) = [box for box in Drawn(draw(v).svg).boxes.values() if "name" in box[1]]
    name, data, grad, *others = texts
    assert [name, data, grad] == ["name", "data 1.0000", "grad 0.0000"]
    assert {"m=0.25", "tags=['x', 1]", "text='z'"} < set(others)
    (long,) = set(others) - {"m=0.25", "tags=['x', 1]", "text='z'"}
    assert re.fullmatch(r"long='y+\.\.\.y+…?'?", long)
    assert len(long) <= 40
    chosen = Drawn(draw(v, attributes=["m", "missing"]).svg)
    assert ["name", "data 1.0000", "grad 0.0000", "m=0.25"] in chosen.of("node")
    assert_well_laid_out(Drawn(draw(v).svg))


@pytest.mark.parametrize(
    ("number", "digits", "text"),
    [
        *((2.0, 4, "2.0000"), (0.0, 2, "0.00"), (-1.25, 1, "-1.2"), (3.0, 0, "3")),
        *((1e-9, 4, "1.0000e-09"), (-1e300, 2, "-1.00e+300"), (float("nan"), 4, "nan")),
        *((float("-inf"), 4, "-inf"), (0.0001, 4, "0.0001"), (999999.0, 1, "999999.0")),
    ],
)
def test_numbers_have_the_digits_asked_for(number: float, digits: int, text: str) -> None:
    (texts,) = Drawn(draw(Value(number), digits=digits).svg).of("node")
    assert texts[0] == f"data {text}"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_shown_and_do_nothing(text: str) -> None:
    v = Value(1.0, (Value(2.0),), f"op {text}", label=text)
    v.other = type("Odd", (), {"__repr__": lambda self: text})()
    svg = draw(v).svg
    svg.encode("utf-8")
    drawn = Drawn(svg)
    assert [plain(f"op {text}")] in drawn.of("operation")
    shown = ["data 1.0000", "grad 0.0000", plain(f"other={text}")]
    assert [*filter(None, [plain(text)]), *shown] in drawn.of("node")
    assert not set(re.findall(r"<(\w+)", svg)) - {"svg", "g", "rect", "path", "text", "title"}


def test_an_attribute_that_cannot_be_shown_costs_no_picture() -> None:
    class Sulky:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    v = Value(1.0)
    v.sulky, v.__dict__["label"] = Sulky(), 3
    (texts,) = Drawn(draw(v).svg).of("node")
    assert texts[0] == "3"
    assert texts[3].startswith("sulky=<Sulky")


# Folding


def nearest(root: Value, limit: int) -> int:
    """How far from the root the picture must reach: the distance of the node number limit."""
    distance, row, seen = 0, [root], {root}
    while len(seen) < limit:
        row = [n for n in dict.fromkeys(o for node in row for o in node._prev) if n not in seen]
        seen.update(row)
        distance += 1
    return distance


@pytest.mark.parametrize("limit", [1, 2, 7, 30, 80])
def test_nodes_beyond_the_limit_are_folded_and_counted(limit: int) -> None:
    random.seed(5)
    root: Any = nn.MLP(3, [5, 5, 1])([1.0, 2.0, 3.0])
    distance = {root: 0}
    for node in reversed(arenagrad.topological_order(root)):
        node.mark = distance[node]
        for operand in node._prev:
            distance[operand] = min(distance.get(operand, 1 << 30), distance[node] + 1)
    total = len(distance)
    drawn = Drawn(draw(root, limit=limit).svg)
    assert_well_laid_out(drawn)
    assert len(drawn.of("node")) == limit
    marks = [int(texts[-1].removeprefix("mark=")) for texts in drawn.of("node")]
    assert max(marks) == nearest(root, limit)
    folded = [re.fullmatch(r"… (\d+) more nodes?", text) for (text,) in drawn.of("fold")]
    assert sum(int(match[1]) for match in folded if match) == total - limit
    assert all(any(box[0] == (f[0],) for box in drawn.arrows()) for f in folded if f)
    (note,) = drawn.notes
    assert note.startswith(f"{limit} of {total} nodes are shown")
    assert f"draw(v, limit={min(2 * limit, total)})" in note


def test_roots_beyond_the_limit_are_folded_too() -> None:
    roots = [Value(float(k)) for k in range(10)]
    drawn = Drawn(draw(roots, limit=4).svg)
    assert (len(drawn.of("node")), drawn.of("fold")) == (4, [["… 6 more nodes"]])
    assert_well_laid_out(drawn)


def test_beyond_a_million_folded_nodes_only_the_note_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a, b = Value(1.0), Value(2.0)
    y = a.tanh().exp() + b.tanh()
    monkeypatch.setattr("arenagrad._draw.excerpt.COUNTED", 3)
    counted = sorted(Drawn(draw(y, limit=3).svg).of("fold"))
    assert counted == [["… 1 more node"], ["… 2 more nodes"]]
    monkeypatch.setattr("arenagrad._draw.excerpt.COUNTED", 2)
    drawn = Drawn(draw(y, limit=3).svg)
    assert drawn.of("fold") == [["… more nodes"]] * 2
    assert drawn.notes[0].startswith("3 of 6 nodes are shown")


def test_a_chain_of_a_hundred_thousand_nodes_is_folded() -> None:
    x = start = Value(1.0)
    for _ in range(50_000):
        x = x * 0.5 + start
    drawn = Drawn(x._repr_svg_())
    assert len(drawn.of("node")) == 60
    assert drawn.notes[0].startswith("60 of 150,001 nodes")
    assert_well_laid_out(drawn)


@pytest.mark.slow
def test_a_long_chain_can_be_drawn_whole() -> None:
    x = start = Value(1.0, label="start")
    for _ in range(1500):
        x = x + start
    drawn = Drawn(draw(x, limit=1501).svg)
    assert len(drawn.of("node")) == 1501
    assert drawn.size[1] < 200, "a chain is straight"


# Keeping and showing


def test_a_value_shows_itself_in_a_notebook_as_a_small_picture() -> None:
    v = sum((Value(float(k)) for k in range(100)), start=Value(0.0))
    assert v._repr_svg_() == draw(v, limit=60)._repr_svg_() == draw(v, limit=60).svg
    assert str(draw(v)) == draw(v).svg != v._repr_svg_()


def test_looking_at_a_graph_changes_nothing() -> None:
    x = Value(0.5, label="x")
    y = (x * x).tanh()
    before = arenagrad.arena_info()
    draw(y)
    assert arenagrad.arena_info() == before
    y.backward()
    assert vars(x) == {"label": "x"}
    assert x.grad == (1 - y.data**2) * 1.0


PICTURE = "tests/pictures/expression.svg"
# The package index shows the README too, and knows no file beside it.
HOME = "https://raw.githubusercontent.com/arenagrad/arenagrad/main"


def test_the_picture_in_the_readme_is_what_its_code_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = (ROOT / "README.md").read_text()
    assert f"]({HOME}/{PICTURE})" in readme
    (code,) = [c for c in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if ".save(" in c]
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert (tmp_path / "expression.svg").read_bytes() == (ROOT / PICTURE).read_bytes()
    assert_well_laid_out(Drawn((ROOT / PICTURE).read_text()))


def test_one_graph_gives_one_text_in_every_process(tmp_path: Path) -> None:
    script = """
        import random
        from arenagrad import draw, nn, to_dot, to_mermaid
        random.seed(2)
        out = nn.MLP(4, [6, 6, 2])([1.0, 2.0, 3.0, 4.0])
        junk = [object() for _ in range(hash("seeded") % 1000)]
        print(draw(out, limit=90), to_dot(out, limit=90), to_mermaid(out, limit=90))
    """
    texts = {run_python(tmp_path, "script.py", script=script).stdout for _ in range(3)}
    assert len(texts) == 1
    assert "90 of" in texts.pop()


def test_importing_the_package_loads_nothing_that_draws(tmp_path: Path) -> None:
    script = """
        import sys, arenagrad
        ours = {"arenagrad._draw.layout", "arenagrad._draw.svg"}
        heavy = {"networkx", "unicodedata", "numpy", *ours}
        print(heavy & set(sys.modules))
    """
    assert run_python(tmp_path, "script.py", script=script).stdout == "set()\n"


def test_a_picture_is_saved_as_svg_and_nothing_else(tmp_path: Path) -> None:
    picture = draw(Value(1.0, label="é"))
    picture.save(tmp_path / "one.SVG")
    assert (tmp_path / "one.SVG").read_text(encoding="utf-8") == picture.svg
    with refused(ValueError, "a picture is saved as .svg, got 'one.png'"):
        picture.save("one.png")
    with pytest.raises(OSError, match="missing"):
        picture.save(tmp_path / "missing" / "one.svg")
