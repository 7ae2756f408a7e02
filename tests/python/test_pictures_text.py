"""Graphs as text for Graphviz and Mermaid and as networkx graphs, and what all of these refuse."""

import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

import micrograd.engine
import micrograd.nn
import networkx
import numpy as np
import pytest

import arenagrad
from arenagrad import Value, _core, draw, nn, to_dot, to_mermaid, to_networkx
from oracle import nodes_below, refused
from svg_reader import HOSTILE, Arrows, Texts, expected_arrows, plain

# The texts of every name, the lines between names with how often they count, the comments.
Read = tuple[dict[str, Texts], list[tuple[str, str, int]], list[str]]


def read_dot(text: str) -> Read:
    """A strict reading of what to_dot writes; anything else is an assertion."""
    lines = text.splitlines()
    comments = [lines.pop(0).removeprefix("// ")] if lines[0].startswith("// ") else []
    style = '  node [shape=record, fontname="monospace"];'
    assert lines[:3] == ["digraph arenagrad {", "  rankdir=LR;", style]
    assert lines[-1] == "}"
    names: dict[str, Texts] = {}
    edges = []
    for line in lines[3:-1]:
        node = re.fullmatch(r'  (\w+) \[([\w=, ]*)label="((?:[^"\\]|\\.)*)"\];', line)
        edge = re.fullmatch(r'  (\w+) -> (\w+)(?: \[label="(\d+)x"\])?;', line)
        assert bool(node) != bool(edge), line
        if node:
            assert node[1] not in names
            names[node[1]] = (read_label if node[2] else read_record)(node[3])
        elif edge:
            edges.append((edge[1], edge[2], int(edge[3] or 1)))
    return names, edges, comments


def read_label(label: str) -> Texts:
    """The text of an escaped label, in which no letter may be escaped: that would insert texts."""
    assert not re.search(r"\\[A-Za-z]", re.sub(r"\\\\", "", label))
    return (unescape(re.sub(r"\\(.)", r"\1", label)),)


def read_record(label: str) -> Texts:
    """The fields of a record: a row between braces, then one below the other."""
    match = re.fullmatch(r"\{((?:[^{}<>\\]|\\.)*)\}((?: \| (?:[^{}|<>\\]|\\.)*)*)", label)
    assert match, label
    fields = re.findall(r"((?:[^|\\]|\\.)+?)(?: \| |$)", match[1] + match[2])
    return tuple(text for field in fields for text in read_label(field))


def read_mermaid(text: str) -> Read:
    """The same for what to_mermaid writes."""
    lines = text.splitlines()
    comments = [lines.pop(0).removeprefix("%% ")] if lines[0].startswith("%% ") else []
    assert lines.pop(0) == "flowchart LR"
    if comments:
        assert lines.pop() == "  classDef folded stroke-dasharray: 4 3"
    names: dict[str, Texts] = {}
    edges = []
    for line in lines:
        label = r"(?:[^\W\d_]|[\d =,;()…|_]|(?<=.)\.(?=\d)|#\d+;)*"
        node = re.fullmatch(rf'  (\w+)(?:\[|\(\[|>)"({label})"(?:\]|\]\)|\]:::folded)', line)
        edge = re.fullmatch(r'  (\w+) -->(?:\|"(\d+)x"\|)? (\w+)', line)
        assert bool(node) != bool(edge), line
        if node:
            assert node[1] not in names
            names[node[1]] = tuple(unescape(t.replace("#", "&#")) for t in node[2].split(" | "))
        elif edge:
            edges.append((edge[1], edge[3], int(edge[2] or 1)))
    return names, edges, comments


writers = pytest.mark.parametrize(
    ("write", "read"), [(to_dot, read_dot), (to_mermaid, read_mermaid)]
)


def arrows(read: Read) -> Arrows:
    """The lines between texts rather than names."""
    names, edges, _ = read
    return Counter((names[start], names[end]) for start, end, _ in edges)


def perceptron(inputs: list[float]) -> Value:
    """An output that shares its inputs and weights in many ways."""
    random.seed(3)
    out: Any = nn.MLP(len(inputs), [3, 2, 1])(inputs)
    out.label = "out"
    out.backward()
    return out  # type: ignore[no-any-return]


@writers
def test_the_text_has_every_node_and_every_line(write: Callable[..., str], read: Any) -> None:
    out = perceptron([1.0, -2.0, 3.0])
    assert arrows(read(write(out))) == expected_arrows(out)
    assert write(out) == write([out]) == write((out, out))
    assert read(write(out))[2] == []


@writers
def test_an_operand_used_twice_is_one_line_that_says_so(
    write: Callable[..., str], read: Any
) -> None:
    a, b = Value(2.0, label="a"), Value(1.0, label="b")
    y = Value(3.0, (a, b, a, a), (1.0, 1.0, 1.0, 1.0))
    for root, times in ((a * a, [1, 2]), (a + b, [1, 1, 1]), (a**3, [1, 1]), (y, [1, 3])):
        assert sorted(count for *_, count in read(write(root))[1]) == times


@writers
@pytest.mark.parametrize("limit", [1, 5, 20, 60])
def test_the_text_folds_what_is_beyond_the_limit(
    write: Callable[..., str], read: Any, limit: int
) -> None:
    out = perceptron([1.0, 2.0, 3.0])
    total = len(nodes_below(out))
    names, edges, (comment,) = read(write(out, limit=limit))
    assert sum(name.startswith("n") and name != "note" for name in names) == limit
    folds = [name for name in names if name.startswith("fold")]
    counts = [re.fullmatch(r"… (\d+) more nodes?", names[fold][0]) for fold in folds]
    assert sum(int(match[1]) for match in counts if match) == total - limit
    assert set(folds) <= {start for start, *_ in edges}
    assert names["note"] == (comment,)
    assert comment.startswith(f"{limit} of {total} nodes are shown")
    assert f"{write.__name__}(v, limit=" in comment


@writers
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_kept_but_do_nothing(
    write: Callable[..., str], read: Any, text: str
) -> None:
    v = Value(1.0, (Value(2.0),), f"op {text}", label=text)
    v.other, v.place = type("Odd", (), {"__repr__": lambda self: text})(), 7
    names, edges, _ = read(write(v))
    label = (plain(text),) if plain(text) else ()
    others = plain(f"other={text}"), "place=7"
    if " | " not in text:
        assert names["n1"] == (*label, "data 1.0000", "grad 0.0000", *others)
    assert names["op1"] == (plain(f"op {text}"),)
    assert edges == [("op1", "n1", 1), ("n0", "op1", 1)]


def test_the_networkx_graph_is_that_of_micrograd() -> None:
    random.seed(9)
    theirs: Any = micrograd.nn.MLP(2, [3, 1])([1.5, -0.5])
    theirs = theirs * theirs
    random.seed(9)
    ours: Any = nn.MLP(2, [3, 1])([1.5, -0.5])
    ours = ours * ours
    for root in (theirs, ours):
        root.backward()
    expected = networkx.DiGraph()
    for node in nodes_below(theirs):
        expected.add_node(node, op=node._op, data=float(node.data), grad=float(node.grad))
        for operand in node._prev:
            count = 2 if len(node._prev) == 1 and node._op in ("+", "*") else 1
            expected.add_edge(operand, node, count=count)
    graph = to_networkx(ours)
    assert type(graph) is networkx.DiGraph
    same = networkx.algorithms.isomorphism.DiGraphMatcher(
        graph,
        expected,
        node_match=lambda a, b: (
            (a["op"], a["data"]) == (b["op"], b["data"])
            and a["grad"] == pytest.approx(b["grad"], rel=1e-12)
        ),
        edge_match=lambda a, b: a["count"] == b["count"],
    )
    assert same.is_isomorphic()
    assert {count for *_, count in graph.edges(data="count")} == {1, 2}


def test_the_nodes_of_the_networkx_graph_are_numbered_operands_first() -> None:
    a = Value(2.0, label="a")
    y = a * a + 1.0
    a.grad = 3.0
    graph = to_networkx([y, a])
    assert list(graph) == list(range(4))
    assert all(operand < user for operand, user in graph.edges)
    first, last = graph.nodes[0], graph.nodes[3]
    known = {"value": a, "data": 2.0, "grad": 3.0, "op": "", "label": "a"}
    assert first == {**known, "attributes": {"label": "a"}}
    assert last["attributes"] == {}
    assert first["value"] is a
    assert last["value"] is y
    assert graph.edges[0, 1] == {"count": 2}


def test_without_networkx_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "networkx", None)
    message = 'to_networkx needs networkx: python -m pip install "arenagrad[draw]"'
    with refused(ImportError, message):
        to_networkx(Value(1.0))


def operand_cases() -> Iterator[tuple[Value, list[Value]]]:
    a, b = Value(2.0), Value(3.0)
    yield from [(a, []), (a - b, []), (a * b, [a, b]), (b * a, [b, a]), (a * a, [a, a])]
    yield from [(a**2, [a]), (a.tanh(), [a]), (Value(1.0, (b, a, b), (1, 1, 1)), [b, a, b])]


def test_operands_are_listed_in_order_as_often_as_used() -> None:
    for value, expected in operand_cases():
        found = _core.operands(value)
        assert set(found) == value._prev
        if value._op != "+":
            assert found == expected


def test_attributes_are_copied_and_the_value_left_alone() -> None:
    v = Value(1.0, (Value(2.0),), "op", label="v")
    assert _core.attributes(Value(1.0)) == {}
    v.m, v._backward = 1.0, print
    found = _core.attributes(v)
    assert found == {"label": "v", "m": 1.0}
    found["m"] = 2.0
    assert v.m == 1.0
    assert v._op == "op"
    assert v._backward is print


# What is refused

every = pytest.mark.parametrize("show", [draw, to_dot, to_mermaid, to_networkx])
limited = pytest.mark.parametrize("show", [draw, to_dot, to_mermaid])
WANTED = "a picture needs a Value or an iterable of Values, got "


@every
@pytest.mark.parametrize(
    ("wrong", "got"),
    [
        *((None, "NoneType"), (1.0, "float"), ("text", "str with str"), (Value, "type")),
        *(([Value(1.0), 2.0], "list with float"), (np.ones(2), "ndarray with float64")),
        (micrograd.engine.Value(1.0), "Value of micrograd.engine"),
    ],
)
def test_what_is_no_value_is_refused(show: Callable[..., Any], wrong: Any, got: str) -> None:
    with refused(TypeError, WANTED + got):
        show(wrong)


@every
def test_a_picture_of_nothing_is_refused(show: Callable[..., Any]) -> None:
    with refused(ValueError, f"{WANTED}list without any"):
        show([])


@limited
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"limit": 0}, ValueError, "limit must be at least 1, got 0"),
        ({"limit": -5}, ValueError, "limit must be at least 1, got -5"),
        ({"limit": 2.5}, TypeError, "limit must be a whole number, got float"),
        ({"limit": None}, TypeError, "limit must be a whole number, got NoneType"),
        ({"digits": -1}, ValueError, "digits must be at least 0, got -1"),
        ({"digits": "4"}, TypeError, "digits must be a whole number, got str"),
        (
            {"attributes": "label"},
            TypeError,
            "attributes must be an iterable of names, or None for all, got str",
        ),
        (
            {"attributes": 1},
            TypeError,
            "attributes must be an iterable of names, or None for all, got int",
        ),
    ],
)
def test_arguments_out_of_place_are_refused(
    show: Callable[..., Any], arguments: Any, error: type[Exception], message: str
) -> None:
    with refused(error, message):
        show(Value(1.0), **arguments)


def test_a_limit_may_be_any_whole_number() -> None:
    assert to_dot(Value(1.0), limit=np.int64(3)) == to_dot(Value(1.0), limit=10**30)
    assert arenagrad.Picture(draw(Value(1.0)).svg).svg == draw(Value(1.0)).svg
