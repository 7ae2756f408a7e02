"""Pictures of graphs: SVG without any program or package, and texts for those that draw better.

>>> from arenagrad import Value, draw
>>> a, b = Value(2.0, label="a"), Value(-3.0, label="b")
>>> draw(a * b).save("product.svg")
"""

import os
from collections import Counter
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from arenagrad._core import Value, operands
from arenagrad._core import attributes as attributes_of
from arenagrad._draw.excerpt import Excerpt, Words, nodes_below, roots_of

LIMIT = 200
SMALL = 60  # nodes in the picture that a notebook shows for a Value


class Picture:
    """A drawing of a graph. Notebooks show it; `svg`, and str(), are its text."""

    def __init__(self, svg: str) -> None:
        self.svg = svg

    def _repr_svg_(self) -> str:
        return self.svg

    def __str__(self) -> str:
        return self.svg

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the SVG file at path.

        Raises ValueError if its name does not end in `.svg`, OSError if it cannot be written.
        """
        if not os.fspath(path).lower().endswith(".svg"):
            raise ValueError(f"a picture is saved as .svg, got {os.fspath(path)!r}")
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(self.svg)


Picture.__module__ = "arenagrad"  # where users know it from


def draw(
    v: Value | Iterable[Value],
    *,
    limit: int = LIMIT,
    digits: int = 4,
    attributes: Iterable[str] | None = None,
) -> Picture:
    """A picture of the graph below v, from the operands on the left to v on the right.

    v is a Value or several. Each node is a box of label, data and grad, in front of it its
    operation. digits is how many of them follow the point; the exact numbers show when the mouse
    rests on a box. Attributes set on a node are listed under it: those with names in attributes,
    or all; texts are cut to some 40 characters.

    At most limit nodes are shown, the nearest to v; dashed boxes stand for the rest, and a note
    says how many there are. Raises TypeError for what is not a Value, ValueError for a limit below
    1. Cost: some 0.3 ms a node shown, up to 1 us a node hidden.
    """
    excerpt, words = Excerpt(roots_of(v), limit), Words(digits, attributes)
    from arenagrad._draw.svg import picture  # here: `import arenagrad` shall not pay for the layout

    return Picture(picture(excerpt, words))


def repr_svg(v: Value) -> str:
    """What a notebook shows for a Value: the SVG text of the nodes nearest to it.

    Raises and costs what `draw` does.
    """
    return draw(v, limit=SMALL).svg


def to_dot(
    v: Value | Iterable[Value],
    *,
    limit: int = LIMIT,
    digits: int = 4,
    attributes: Iterable[str] | None = None,
) -> str:
    """The same as text for Graphviz's `dot`.

    Arguments and errors are those of `draw`. Cost: some 20 us a node shown, up to
    1 us a node hidden.
    """
    excerpt, words = Excerpt(roots_of(v), limit), Words(digits, attributes)
    from arenagrad._draw.diagram import dot

    return dot(excerpt, words)


def to_mermaid(
    v: Value | Iterable[Value],
    *,
    limit: int = LIMIT,
    digits: int = 4,
    attributes: Iterable[str] | None = None,
) -> str:
    """The same as text for Mermaid, which Markdown pages of many a site draw.

    Arguments, errors and cost are those of `to_dot`.
    """
    excerpt, words = Excerpt(roots_of(v), limit), Words(digits, attributes)
    from arenagrad._draw.diagram import mermaid

    return mermaid(excerpt, words)


def to_networkx(v: Value | Iterable[Value]) -> Any:
    """The graph below v as a networkx.DiGraph, all of it.

    Its nodes are whole numbers, operands before users, with the attributes value (the Value), data,
    grad, op, label and attributes (a dict of those that were set). An edge runs from an operand to
    its user; count says how often it is used.
    The numbers are copies, which later changes do not reach. Raises TypeError for what is not a
    Value, ImportError if networkx is missing. Cost: some 15 us a node, most of it networkx's.
    """
    nodes = nodes_below(roots_of(v))
    try:
        networkx = import_module("networkx")
    except ImportError as error:
        raise ImportError(
            'to_networkx needs networkx: python -m pip install "arenagrad[draw]"'
        ) from error
    graph = networkx.DiGraph()
    place: dict[int, int] = {}
    for value in nodes:
        user = place[id(value)] = len(place)
        known = {"value": value, "data": value.data, "grad": value.grad}
        graph.add_node(
            user, **known, op=value._op, label=value.label, attributes=attributes_of(value)
        )
        for operand, count in Counter(place[id(operand)] for operand in operands(value)).items():
            graph.add_edge(operand, user, count=count)
    return graph
