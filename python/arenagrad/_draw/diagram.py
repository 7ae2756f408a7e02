"""An excerpt of a graph as text for Graphviz and for Mermaid, which lay it out themselves."""

from typing import NamedTuple

from arenagrad._draw.excerpt import Excerpt, Words, clean, fold_text


class _Vertex(NamedTuple):
    """Something to draw: its name in the text, what it is, and what it says."""

    name: str
    kind: str  # node, operation, fold or note
    cells: list[str]
    attributes: list[str]


class _Arrow(NamedTuple):
    """A line between two names, and how many times it counts."""

    start: str
    end: str
    times: int


def _diagram(excerpt: Excerpt, words: Words, note: str) -> tuple[list[_Vertex], list[_Arrow]]:
    """All that is to be drawn, operands before users."""
    vertices, arrows, entry = [], [], []
    for place, value in enumerate(excerpt.nodes):
        texts = words.cells(value), words.attributes(value)
        vertices.append(_Vertex(f"n{place}", "node", *texts))
        entry.append(f"n{place}")
        if op := clean(value._op):
            entry[-1] = f"op{place}"
            vertices.append(_Vertex(entry[-1], "operation", [op], []))
            arrows.append(_Arrow(entry[-1], f"n{place}", 1))
        for source, times in excerpt.uses[place].items():
            arrows.append(_Arrow(f"n{source}", entry[-1], times))
    for fold, (count, users) in enumerate(excerpt.folds):
        vertices.append(_Vertex(f"fold{fold}", "fold", [fold_text(count)], []))
        arrows += [_Arrow(f"fold{fold}", entry[user], 1) for user in users]
    if note:
        vertices.append(_Vertex("note", "note", [note], []))
    return vertices, arrows


DOT_STYLES = {
    "node": "",
    "operation": "shape=oval, ",
    "fold": "shape=box, style=dashed, ",
    "note": "shape=note, ",
}
# In a label & begins an entity, and in a record the others divide it.
DOT_SIGNS = str.maketrans({"&": "&amp;", **{sign: "\\" + sign for sign in '\\"{}|<>'}})


def dot(excerpt: Excerpt, words: Words) -> str:
    """The text for Graphviz."""
    note = excerpt.note("to_dot")
    vertices, arrows = _diagram(excerpt, words, note)
    lines = [f"// {note}"] if note else []
    lines += [
        "digraph arenagrad {",
        "  rankdir=LR;",
        '  node [shape=record, fontname="monospace"];',
    ]
    for name, kind, cells, attributes in vertices:
        row = " | ".join(text.translate(DOT_SIGNS) for text in cells)
        if kind == "node":
            row = "{" + row + "}"  # side by side, and the attributes below
        label = " | ".join([row, *(text.translate(DOT_SIGNS) for text in attributes)])
        lines.append(f'  {name} [{DOT_STYLES[kind]}label="{label}"];')
    for start, end, times in arrows:
        label = f' [label="{times}x"]' if times > 1 else ""
        lines.append(f"  {start} -> {end}{label};")
    return "\n".join([*lines, "}", ""])


MERMAID_SHAPES = {
    "node": '["{}"]',
    "operation": '(["{}"])',
    "fold": '["{}"]:::folded',
    "note": '>"{}"]',
}


def mermaid(excerpt: Excerpt, words: Words) -> str:
    """The text for Mermaid."""
    note = excerpt.note("to_mermaid")
    vertices, arrows = _diagram(excerpt, words, note)
    lines = [f"%% {note}"] if note else []
    lines += ["flowchart LR"]
    for name, kind, cells, attributes in vertices:
        label = " | ".join(map(_for_mermaid, cells + attributes))
        lines.append(f"  {name}{MERMAID_SHAPES[kind].format(label)}")
    for start, end, times in arrows:
        label = f'|"{times}x"|' if times > 1 else ""
        lines.append(f"  {start} -->{label} {end}")
    if excerpt.hidden:
        lines.append("  classDef folded stroke-dasharray: 4 3")
    return "\n".join([*lines, ""])


def _for_mermaid(text: str) -> str:
    """The text within a quoted label: all that Markdown, HTML or Mermaid could read as numbers.

    A point is one of those only after a number at the beginning, where Markdown begins a list.
    """
    signs = []
    for i, sign in enumerate(text):
        plain = (
            sign.isalnum() or sign in " =,;()…" or (sign == "." and text[i + 1 : i + 2].isdigit())
        )
        signs.append(sign if plain else f"#{ord(sign)};")
    return "".join(signs)
