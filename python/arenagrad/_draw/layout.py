"""Places for the boxes of a picture: columns from left to right, few crossings, no overlaps.

The classic four steps, none of which recurses. Each box goes into the column just left of its
leftmost user; a line that passes columns gets a slot of its own in each, shared by all lines of the
same source; slots are ordered by sweeps of barycentres; heights follow from the neighbours' by
isotonic regression, which keeps order and distances.
"""

from bisect import bisect_right
from itertools import pairwise
from typing import NamedTuple

GAP = 44.0  # between columns, where lines bend; up to twice that where many do
APART = 14.0  # between the boxes of a column
APART_LINE = 9.0  # between a box or a line and a line
SWEEPS = 12


class Box(NamedTuple):
    """A box to place: room in front of it, its width, its height."""

    front: float
    width: float
    height: float


class Layout(NamedTuple):
    """Where everything went.

    places are left edge and middle height of each box, starts where its front begins. lines are
    the pieces of the lines: source, target (None where a line passes on) and the four points
    of a piece: straight to the second, bending to the third, straight again.
    """

    places: list[tuple[float, float]]
    starts: list[float]
    lines: list[tuple[int, int | None, list[tuple[float, float]]]]
    width: float
    height: float


class _Slots:
    """Boxes, then passing lines, as the slots of columns; columns count from the right."""

    def __init__(self, boxes: int, edges: list[tuple[int, int]]) -> None:
        targets: list[list[int]] = [[] for _ in range(boxes)]
        for source, target in edges:
            targets[source].append(target)
        self.column = _columns(boxes, targets)
        self.source = list(range(boxes))
        self.left: list[list[int]] = [[] for _ in range(boxes)]
        self.right: list[list[int]] = [[] for _ in range(boxes)]
        last = [(source, self.column[source]) for source in range(boxes)]
        passing: dict[tuple[int, int], int] = {}
        for source, target in edges:
            slot, column = last[source]
            while column > self.column[target] + 1:
                column -= 1
                passing[source, column] = new = len(self.column)
                self.column.append(column)
                self.source.append(source)
                self.left.append([])
                self.right.append([])
                self._link(slot, new)
                slot = new
            last[source] = slot, column
            at = self.column[target] + 1
            self._link(passing.get((source, at), source), target)

    def _link(self, left: int, right: int) -> None:
        self.right[left].append(right)
        self.left[right].append(left)


def _columns(boxes: int, targets: list[list[int]]) -> list[int]:
    """For each box how many columns lie right of it: the longest way to a box without users."""
    column = [0] * boxes
    waiting = [0] * boxes
    sources: list[list[int]] = [[] for _ in range(boxes)]
    for source, users in enumerate(targets):
        waiting[source] = len(users)
        for user in users:
            sources[user].append(source)
    ready = [box for box in range(boxes) if not waiting[box]]
    for user in ready:  # grows meanwhile
        for source in sources[user]:
            waiting[source] -= 1
            if not waiting[source]:  # the last of its users, and so the farthest
                column[source] = column[user] + 1
                ready.append(source)
    return column


def _first_order(slots: _Slots) -> list[list[int]]:
    """The columns, each in the order in which the one to its right names its operands."""
    columns: list[list[int]] = [[] for _ in range(max(slots.column) + 1)]
    columns[0] = [slot for slot, column in enumerate(slots.column) if column == 0]
    for right, column in pairwise(columns):
        column += dict.fromkeys(left for slot in right for left in slots.left[slot])
    return columns


def _crossings(slots: _Slots, columns: list[list[int]]) -> int:
    """How often lines cross between neighbouring columns."""
    count = 0
    for right, column in pairwise(columns):
        rank = {slot: i for i, slot in enumerate(right)}
        passed: list[int] = []
        for slot in column:
            ends = sorted(rank[user] for user in slots.right[slot])
            count += sum(len(passed) - bisect_right(passed, end) for end in ends)
            for end in ends:
                passed.insert(bisect_right(passed, end), end)
    return count


def _ordered(slots: _Slots) -> list[list[int]]:
    """The columns in the best order that sweeps of barycentres, to and fro, come across."""
    columns = _first_order(slots)
    best, fewest = columns, _crossings(slots, columns)
    rank: dict[int, float] = {}

    def note(column: list[int]) -> None:
        rank.update((slot, (i + 0.5) / len(column)) for i, slot in enumerate(column))

    for column in columns:
        note(column)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        towards = slots.left if sweep % 2 else slots.right
        columns = [list(column) for column in columns]
        for column in reversed(columns) if sweep % 2 else columns:
            centre = {
                slot: sum(rank[n] for n in near) / len(near)
                if (near := towards[slot])
                else rank[slot]
                for slot in column
            }
            column.sort(key=centre.__getitem__)
            note(column)
        crossings = _crossings(slots, columns)
        if crossings < fewest:
            best, fewest = columns, crossings
    return best


def _spread(wanted: list[float], weights: list[float], apart: list[float]) -> list[float]:
    """The heights nearest to those wanted, by weighted squares, that lie so far apart in order.

    apart has the least distance of each from the one before it. With the distances taken off, this
    is isotonic regression, done by pooling neighbours that are out of order.
    """
    offset, offsets = 0.0, []
    for distance in apart:
        offset += distance
        offsets.append(offset)
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, count = want - offset, 1
        while pools and pools[-1][0] >= mean:
            before, heavy, many = pools.pop()
            mean = (before * heavy + mean * weight) / (heavy + weight)
            weight, count = heavy + weight, many + count
        pools.append((mean, weight, count))
    means = [mean for mean, _, count in pools for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def _parts(slots: _Slots) -> list[set[int]]:
    """The slots of each part of the graph that no line joins to another."""
    parts: list[set[int]] = []
    seen: set[int] = set()
    for start in range(len(slots.column)):
        if start not in seen:
            seen.add(start)
            part = [start]
            for slot in part:  # grows meanwhile
                new = {n for n in slots.left[slot] + slots.right[slot] if n not in seen}
                seen |= new
                part += new
            parts.append(set(part))
    return parts


def _stacked(slots: _Slots, columns: list[list[int]], boxes: list[Box]) -> list[float]:
    """The middle height of every slot, the parts of the graph one below the other from 0 on."""
    middle = [0.0] * len(slots.column)
    floor = 0.0
    for part in _parts(slots):
        inside = [[slot for slot in column if slot in part] for column in columns]
        own = _heights(slots, list(filter(None, inside)), boxes)
        shift = floor - min(2 * own[slot] - _bottom(slot, own, boxes) for slot in part)
        for slot in part:
            middle[slot] = float(round(own[slot] + shift))  # whole numbers make sharp lines
        floor = max(_bottom(slot, middle, boxes) for slot in part) + APART
    return middle


def _bottom(slot: int, middle: list[float], boxes: list[Box]) -> float:
    return middle[slot] + (boxes[slot].height / 2 if slot < len(boxes) else 0.0)


def _heights(slots: _Slots, columns: list[list[int]], boxes: list[Box]) -> list[float]:
    """The middle height of these slots: near their neighbours', and passing lines straight."""
    lines = len(boxes)
    middle = [0.0] * len(slots.column)
    apart: list[list[float]] = []
    for column in columns:
        distances = [0.0]
        for above, below in pairwise(column):
            halves = sum(boxes[slot].height / 2 for slot in (above, below) if slot < lines)
            distances.append(halves + (APART if max(above, below) < lines else APART_LINE))
        apart.append(distances)
        offset = -sum(distances) / 2
        for slot, distance in zip(column, distances, strict=True):
            offset += distance
            middle[slot] = offset

    # A chain stays straight though leaves join it, and a line though others branch off.
    chained = {user for slot, users in enumerate(slots.right) if slots.left[slot] for user in users}
    aside = {slot for user in chained for slot in slots.left[user] if not slots.left[slot]}

    def pull(left: int, right: int) -> float:
        if right >= lines:
            return 8.0 if left >= lines else 2.0
        if left >= lines:
            return 0.001 if max(slots.right[left]) >= lines else 2.0
        return 0.001 if left in aside else 1.0

    for sweep in range(2 * SWEEPS):
        forwards = sweep % 2 == 0
        both = sweep >= SWEEPS
        for at in range(len(columns)) if forwards else reversed(range(len(columns))):
            wanted, weights = [], []
            for slot in columns[at]:
                users = slots.right[slot] if forwards or both else []
                sources = slots.left[slot] if not forwards or both else []
                near = users + sources
                pulls = [pull(slot, user) for user in users]
                pulls += [pull(source, slot) for source in sources]
                weight = sum(pulls)
                mean = sum(middle[n] * p for n, p in zip(near, pulls, strict=True))
                wanted.append(mean / weight if near else middle[slot])
                weights.append(weight if near else 0.001)
            for slot, height in zip(columns[at], _spread(wanted, weights, apart[at]), strict=True):
                middle[slot] = height
    return middle


def lay_out(boxes: list[Box], edges: list[tuple[int, int]]) -> Layout:
    """Place boxes so that every edge (source, target) runs from left to right past all others.

    The edges, by places among boxes, have no cycle and no repetition. Cost: some 0.1 ms a box, and
    as much for each column that a line passes.
    """
    slots = _Slots(len(boxes), edges)
    columns = _ordered(slots)
    middle = _stacked(slots, columns, boxes)
    inside = [[boxes[slot] for slot in column if slot < len(boxes)] for column in columns]
    places, starts = [(0.0, 0.0)] * len(boxes), [0.0] * len(boxes)
    begin, end = [0.0] * len(columns), [0.0] * len(columns)
    x = 0.0
    for at in reversed(range(len(columns))):
        begin[at] = x
        left = x + max(box.front for box in inside[at])
        end[at] = left + max(box.width for box in inside[at])
        x = end[at] + GAP + min(GAP, sum(len(slots.right[slot]) for slot in columns[at]))
        for slot in columns[at]:
            if slot < len(boxes):
                places[slot] = left, middle[slot]
                starts[slot] = left - boxes[slot].front
    lines: list[tuple[int, int | None, list[tuple[float, float]]]] = []
    for slot, users in enumerate(slots.right):
        at, y, source = slots.column[slot], middle[slot], slots.source[slot]
        leaving = places[slot][0] + boxes[slot].width if slot < len(boxes) else end[at]
        for user in users:
            target = user if user < len(boxes) else None
            to = middle[user]
            arrival = starts[user] if target is not None else end[at - 1]
            points = [(leaving, y), (end[at], y), (begin[at - 1], to), (arrival, to)]
            lines.append((source, target, points))
    bottom = max(_bottom(slot, middle, boxes) for slot in range(len(middle)))
    return Layout(places, starts, lines, end[0], bottom)
