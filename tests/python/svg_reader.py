"""Pictures read back: the geometry and texts of an SVG, and what the graph says they should be.

Lines are followed from box to box by where they end. Holds no tests.
"""

import re
from collections import Counter
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

from arenagrad import Value
from oracle import nodes_below

SVG = "{http://www.w3.org/2000/svg}"
CELL = 7.25  # no monospace font of 12 units is wider
Rect = tuple[float, float, float, float]
Point = tuple[float, float]
Texts = tuple[str, ...]
Arrows = Counter[tuple[Texts, Texts]]

HOSTILE = [
    "<script>&\"'</script>",
    "]]> -- <!-- --",
    'a\\" b\\',
    "{x|y} <p>",
    "\u202eback\x00",
    "#35; %% é",
]
HOSTILE += [
    "1. list",
    "- item",
    "`code` **bold**",
    "&amp;",
    "\n two \t lines \u2028",
    "日本語",
    "\ud800",
]


def plain(text: str) -> str:
    """What is left of a hostile text: one line of characters that print."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())


class Drawn:
    """An SVG read back: rectangles with their texts by kind, lines as lists of points."""

    def __init__(self, svg: str) -> None:
        root = ElementTree.fromstring(svg)
        assert root.tag == f"{SVG}svg"
        self.size = float(root.attrib["width"]), float(root.attrib["height"])
        moved = root.find(f"{SVG}g")
        assert moved is not None
        x, y = map(float, re.findall(r"[\d.]+", moved.attrib["transform"]))
        self.corner = x, y
        self.notes = [text.text or "" for text in root.findall(f"{SVG}text")]
        self.boxes: dict[Rect, tuple[str, list[str]]] = {}
        self.texts: list[tuple[Rect, Any]] = []
        self.counts = [text.text for text in moved.findall(f"{SVG}text")]
        self.lines: list[list[Point]] = []
        for group in moved.findall(f"{SVG}g"):
            kind = group.attrib["data-kind"]
            if kind == "lines":
                self.lines = [points(path.attrib["d"]) for path in group]
                continue
            (rect,) = group.findall(f"{SVG}rect")
            left, top, width, height = (
                float(rect.attrib[name]) for name in ("x", "y", "width", "height")
            )
            place = left, top, left + width, top + height
            texts = group.findall(f"{SVG}text")
            assert place not in self.boxes, "two boxes in one place"
            self.boxes[place] = kind, [text.text or "" for text in texts]
            self.texts += [(place, text) for text in texts]

    def of(self, kind: str) -> list[list[str]]:
        """The texts of each box of this kind."""
        return [texts for own, texts in self.boxes.values() if own == kind]

    def arrows(self) -> Arrows:
        """Pairs of the texts of two boxes between which one can follow the lines."""
        onward: dict[Point, list[Point]] = {}
        for line in self.lines:
            onward.setdefault(line[0], []).append(line[-1])
        entry = {(left, (top + bottom) / 2): (left, top, right, bottom)
                 for left, top, right, bottom in self.boxes}  # fmt: skip
        found: Arrows = Counter()
        for rect, (_, texts) in self.boxes.items():
            ends = list(onward.get((rect[2], (rect[1] + rect[3]) / 2), []))
            for end in ends:
                if end in entry:
                    found[tuple(texts), tuple(self.boxes[entry[end]][1])] += 1
                else:
                    assert onward[end], "a line that ends nowhere"
                    ends += onward[end]
        return found


def points(path: str) -> list[Point]:
    """The ends of a path and points along it, its curves included."""
    (x, y, rest) = re.fullmatch(r"M(\S+) (\S+?)((?:H|C).*)", path).groups()  # type: ignore[union-attr]
    found = [(float(x), float(y))]
    for command, numbers in re.findall(r"([HC])([^HC]*)", rest):
        n = [float(number) for number in numbers.split()]
        (x0, y0) = found[-1]
        if command == "H":
            found.append((n[0], y0))
        else:
            for k in range(1, 9):
                t, s = k / 8, 1 - k / 8
                weights = s**3, 3 * s * s * t, 3 * s * t * t, t**3
                along = zip(weights, [x0, *n[0::2]], strict=True)
                across = zip(weights, [y0, *n[1::2]], strict=True)
                found.append((sum(w * p for w, p in along), sum(w * p for w, p in across)))
            found[-1] = n[4], n[5]
    return found


def assert_well_laid_out(drawn: Drawn) -> None:
    """Nothing overlaps, nothing is outside, texts fit, lines go right and through no box."""
    rects = list(drawn.boxes)
    width, height = drawn.size[0] - drawn.corner[0], drawn.size[1] - drawn.corner[1]
    for i, (left, top, right, bottom) in enumerate(rects):
        assert left >= 0
        assert top >= 0
        assert right < width
        assert bottom < height
        for other in rects[:i]:
            beside = right + 4 <= other[0] or other[2] + 4 <= left
            assert beside or bottom + 4 <= other[1] or other[3] + 4 <= top, "boxes overlap"
    for (left, top, right, bottom), text in drawn.texts:
        x, y, room = float(text.attrib["x"]), float(text.attrib["y"]), CELL * len(text.text)
        x -= room / 2 if text.attrib.get("text-anchor") == "middle" else 0.0
        assert left < x < x + room < right, f"{text.text!r} leaves its box"
        assert top + 12 < y < bottom - 4
    for line in drawn.lines:
        for (x0, _), (x, y) in pairwise(line):
            assert x >= x0, "a line goes back"
            for left, top, right, bottom in rects:
                inside = left + 0.1 < x < right - 0.1 and top - 1 < y < bottom + 1
                assert not inside, "a line goes through a box"


def texts_of(node: Value) -> Texts:
    """What the box of a node without further attributes says, with four digits."""
    numbers = [
        f"{name} {x:.4f}" if x == 0 or 1e-4 <= abs(x) < 1e6 else f"{name} {x:.4e}"
        for name, x in (("data", node.data), ("grad", node.grad))
    ]
    return (node.label, *numbers) if node.label else tuple(numbers)


def expected_arrows(root: Value) -> Arrows:
    """The arrows of the whole graph, found through micrograd's own interface."""
    arrows: Arrows = Counter()
    for node in nodes_below(root):
        if node._op:
            arrows[(node._op,), texts_of(node)] += 1
        for operand in node._prev:
            arrows[texts_of(operand), (node._op,) if node._op else texts_of(node)] += 1
    return arrows
