"""An excerpt of a graph as SVG: boxes, operations, lines and texts.

Everything is a plain attribute: ids and style sheets would leak into the notebook page around the
picture, and a background of its own keeps it readable on a dark one.
"""

from arenagrad._draw.excerpt import Excerpt, Words, clean, fold_text
from arenagrad._draw.layout import Box, Layout, lay_out

CELL = 7.3  # a monospace character of 12 units, with a little to spare
ROW, EXTRA = 24.0, 18.0  # even heights of the row of cells and of each further attribute
PAD, MARGIN, ARROW = 8.0, 16.0, 6.0
FRONT = 20.0  # from an operation to its box
INK, SOFT, PAPER, FRAME, LINE = "#1f2328", "#57606a", "#ffffff", "#d0d7de", "#6e7781"
LABEL, GRAD = "#0550ae", "#953800"
RESULT, LEAF, OPERATION, FOLD = "#ffffff", "#f1f8ec", "#e3ecfb", "#f6f8fa"
ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})


def text_width(text: str) -> float:
    """How wide text is at most in a monospace font of 12 units; wide scripts take two cells."""
    cells = len(text)
    if not text.isascii():
        from unicodedata import combining, east_asian_width

        cells = sum(0 if combining(c) else 1 + (east_asian_width(c) in "WF") for c in text)
    return float(round(CELL * cells + 0.5))


def _n(x: float) -> str:
    """A coordinate as short text."""
    return f"{x:.1f}".removesuffix(".0")


class _Paper:
    """The elements of a picture in the order in which they are painted."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def rect(self, x: float, y: float, width: float, height: float, rest: str) -> None:
        size = f'width="{_n(width)}" height="{_n(height)}"'
        self.parts.append(f'<rect x="{_n(x)}" y="{_n(y)}" {size} {rest}/>')

    def text(self, x: float, y: float, text: str, rest: str = "") -> None:
        # Other scripts come from other fonts, of any width: they are made to fit.
        fit = "" if text.isascii() else f' textLength="{_n(text_width(text))}"'
        place = f'x="{_n(x)}" y="{_n(y + 4)}"'
        self.parts.append(f"<text {place}{fit}{rest}>{text.translate(ENTITIES)}</text>")

    def path(self, points: str, rest: str) -> None:
        self.parts.append(f'<path d="{points}" {rest}/>')

    def group(self, rest: str, title: str = "") -> None:
        self.parts.append(f"<g {rest}>" + (f"<title>{title}</title>" if title else ""))

    def end(self) -> None:
        self.parts.append("</g>")


class _Node:
    """What is drawn for one node: the text of its operation, its cells, its further attributes."""

    def __init__(self, op: str, cells: list[str], extras: list[str]) -> None:
        self.op, self.cells, self.extras = op, cells, extras
        self.cell_widths = [text_width(cell) + 2 * PAD for cell in cells]
        self.op_width = max(ROW, text_width(op) + 2 * PAD) if op else 0.0
        extra = max((text_width(text) + 2 * PAD for text in extras), default=0.0)
        self.width = max(sum(self.cell_widths), extra)
        self.height = ROW + EXTRA * len(extras) + (4.0 if extras else 0.0)

    def box(self) -> Box:
        return Box(self.op_width + FRONT if self.op else 0.0, self.width, self.height)


def picture(excerpt: Excerpt, words: Words) -> str:
    """The SVG text of an excerpt."""
    nodes = [
        _Node(clean(value._op), words.cells(value), words.attributes(value))
        for value in excerpt.nodes
    ]
    folds = [fold_text(count) for count, _ in excerpt.folds]
    boxes = [node.box() for node in nodes]
    boxes += [Box(0.0, text_width(text) + 2 * PAD, ROW) for text in folds]
    edges = [(source, user) for user, uses in enumerate(excerpt.uses) for source in uses]
    for fold, (_, users) in enumerate(excerpt.folds, len(nodes)):
        edges += [(fold, user) for user in users]
    layout = lay_out(boxes, edges)

    paper, note = _Paper(), excerpt.note("draw")
    width = max(layout.width, text_width(note)) + 2 * MARGIN
    height = layout.height + 2 * MARGIN + (ROW if note else 0.0)
    paper.parts.append(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(width)}" height="{_n(height)}" '
        f'viewBox="0 0 {_n(width)} {_n(height)}" font-family="monospace" font-size="12" '
        f'fill="{INK}" role="img" aria-label="a graph of {excerpt.total} nodes">'
    )
    frame = f'rx="6" fill="{PAPER}" stroke="{FRAME}"'
    paper.rect(0.5, 0.5, width - 1, height - 1, frame)
    if note:
        paper.text(MARGIN, MARGIN + 4, note, f' fill="{SOFT}"')
    paper.group(f'transform="translate({_n(MARGIN)} {_n(MARGIN + (ROW if note else 0.0))})"')
    _draw_lines(paper, layout, nodes, excerpt)
    for place, (value, node) in enumerate(zip(excerpt.nodes, nodes, strict=True)):
        exact = f"data={value.data!r} grad={value.grad!r}"
        _draw_node(paper, node, *layout.places[place], leaf=not value._prev, title=exact)
    dashed = f'rx="4" fill="{FOLD}" stroke="{LINE}" stroke-dasharray="4 3"'
    for box, text in enumerate(folds, len(nodes)):
        (x, y), size = layout.places[box], boxes[box]
        paper.group('data-kind="fold"')
        paper.rect(x, y - ROW / 2, size.width, ROW, dashed)
        paper.text(x + PAD, y, text, f' fill="{SOFT}"')
        paper.end()
    paper.end()
    paper.parts.append("</svg>\n")
    return "\n".join(paper.parts)


def _draw_node(paper: _Paper, node: _Node, x: float, y: float, leaf: bool, title: str) -> None:
    """A box whose left edge is at x and whose middle is at y, with its operation before it."""
    top, bottom = y - node.height / 2, y + node.height / 2
    if node.op:
        left = x - FRONT - node.op_width
        paper.group('data-kind="operation"')
        paint = f'rx="{_n(ROW / 2)}" fill="{OPERATION}" stroke="{LINE}"'
        paper.rect(left, y - ROW / 2, node.op_width, ROW, paint)
        paper.text(left + node.op_width / 2, y, node.op, ' text-anchor="middle"')
        paper.end()
    paper.group('data-kind="node"', title)
    paper.rect(x, top, node.width, node.height, f'fill="{LEAF if leaf else RESULT}" stroke="{INK}"')
    middle, rules = top + ROW / 2, ""
    colours = [LABEL, INK, GRAD][-len(node.cells) :]
    spare = (node.width - sum(node.cell_widths)) / len(node.cells)
    at = x
    for cell, width, colour in zip(node.cells, node.cell_widths, colours, strict=True):
        if at > x:
            rules += f"M{_n(at)} {_n(top)}v{_n(ROW)}"
        bold = ' font-weight="bold"' if colour == LABEL else ""
        paper.text(at + spare / 2 + PAD, middle, cell, f' fill="{colour}"{bold}')
        at += width + spare
    if node.extras:
        rules += f"M{_n(x)} {_n(top + ROW)}h{_n(node.width)}"
    for row, text in enumerate(reversed(node.extras)):
        paper.text(x + PAD, bottom - 2 - EXTRA * (row + 0.5), text, f' fill="{SOFT}"')
    paper.path(rules, f'fill="none" stroke="{LINE}"')
    paper.end()


def _draw_lines(paper: _Paper, layout: Layout, nodes: list[_Node], excerpt: Excerpt) -> None:
    """The lines between boxes, an arrow's head where one arrives, how often it is used if twice."""
    heads: dict[str, None] = {}
    counts: list[tuple[float, float, str]] = []
    paper.group(f'fill="none" stroke="{LINE}" data-kind="lines"')
    for source, target, ((x0, y0), (x1, _), (x2, y3), (x3, _)) in layout.lines:
        bend = (x1 + x2) / 2
        curve = f"C{_n(bend)} {_n(y0)} {_n(bend)} {_n(y3)} {_n(x2)} {_n(y3)}"
        paper.path(f"M{_n(x0)} {_n(y0)}H{_n(x1)}{curve}H{_n(x3)}", "")
        if target is not None:
            heads[_head(x3, y3)] = None
            used = excerpt.uses[target].get(source, 1)
            if used > 1:
                counts.append((bend, (y0 + y3) / 2, f"{used}x"))
    for node, (x, y) in zip(nodes, layout.places, strict=False):
        if node.op:
            paper.path(f"M{_n(x - FRONT)} {_n(y)}H{_n(x)}", "")
            heads[_head(x, y)] = None
    paper.end()
    paper.path("".join(heads), f'fill="{LINE}" data-kind="heads"')
    halo = f' text-anchor="middle" stroke="{PAPER}" stroke-width="5" paint-order="stroke"'
    for x, y, text in counts:
        paper.text(x, y, text, halo)


def _head(x: float, y: float) -> str:
    """An arrow's head that points to (x, y) from the left."""
    return f"M{_n(x)} {_n(y)}l{_n(-ARROW)} {_n(-ARROW / 2)}v{_n(ARROW)}z"
