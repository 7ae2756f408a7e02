"""What a picture shows of a graph: which nodes, and which texts in their boxes."""

import operator
import reprlib
from collections.abc import Iterable
from typing import Any

from arenagrad._core import Value, attributes, operands, topological_order

# Up to so many folded nodes it is counted which belong to which box: 0.5 us and 150 bytes each.
COUNTED = 1_000_000
LONGEST_LABEL, LONGEST_ATTRIBUTE = 40, 32


def roots_of(v: Value | Iterable[Value]) -> list[Value]:
    """The Values that v is or holds, each once.

    Raises TypeError for anything else, ValueError for an iterable without any.
    """
    wanted = "a picture needs a Value or an iterable of Values"
    if isinstance(v, Value):
        return [v]
    if not isinstance(v, Iterable):
        raise TypeError(f"{wanted}, got {_kind(v)}")
    things: Iterable[Any] = v
    roots = list({id(thing): thing for thing in things}.values())
    for root in roots:
        if not isinstance(root, Value):
            raise TypeError(f"{wanted}, got {_kind(v)} with {_kind(root)}")
    if not roots:
        raise ValueError(f"{wanted}, got {_kind(v)} without any")
    return roots


def _kind(thing: Any) -> str:
    """The name of its class; of another library's Value, also where that comes from."""
    kind = type(thing)
    return f"Value of {kind.__module__}" if kind.__name__ == "Value" else kind.__name__


def whole(number: Any, name: str, least: int) -> int:
    """Return number as an int. Raises TypeError if it is none, ValueError if it is below least."""
    try:
        found = operator.index(number)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, got {type(number).__name__}") from None
    if found < least:
        raise ValueError(f"{name} must be at least {least}, got {found}")
    return found


def nodes_below(roots: list[Value]) -> list[Value]:
    """The nodes of all these roots, operands before users."""
    order = topological_order(roots[0])
    if len(roots) > 1:
        seen = set(map(id, order))
        for root in roots[1:]:
            if id(root) not in seen:
                new = [node for node in topological_order(root) if id(node) not in seen]
                seen.update(map(id, new))
                order += new
    return order


class Excerpt:
    """The nodes of a graph that are nearest its roots, and what is folded behind them.

    nodes holds at most limit Values, operands before users; uses says for each which of them, by
    place, are its operands and how often, in their order. folds are the boxes for the rest: how
    many nodes (None where that was not counted) and the places of their users. total counts all
    nodes of the graph. Raises TypeError for a limit that is no whole number, ValueError below 1.
    """

    def __init__(self, roots: list[Value], limit: int) -> None:
        limit = whole(limit, "limit", 1)
        order = nodes_below(roots)  # holds every node, so that ids stay what they are
        self.total = len(order)
        nearest = roots[:limit]
        kept = set(map(id, nearest))
        for node in nearest:  # grows meanwhile
            if len(nearest) == limit:
                break
            for operand in operands(node):
                if id(operand) not in kept and len(nearest) < limit:
                    kept.add(id(operand))
                    nearest.append(operand)
        self.nodes = [node for node in order if id(node) in kept]
        self.place = {id(node): place for place, node in enumerate(self.nodes)}
        self.uses: list[dict[int, int]] = []
        for node in self.nodes:
            uses: dict[int, int] = {}
            for operand in operands(node):
                if id(operand) in kept:
                    place = self.place[id(operand)]
                    uses[place] = uses.get(place, 0) + 1
            self.uses.append(uses)
        self.folds = self._fold(nearest, roots[limit:])

    @property
    def hidden(self) -> int:
        """How many nodes are folded."""
        return self.total - len(self.nodes)

    def _fold(
        self, nearest: list[Value], more_roots: list[Value]
    ) -> list[tuple[int | None, list[int]]]:
        """One box for each shown node with folded operands that no earlier box has.

        A folded node belongs to the box from which the walk away from the roots meets it first.
        """
        if not self.hidden:
            return []
        box_of = {id(root): 0 for root in more_roots}
        walk = list(more_roots)
        users: list[dict[int, None]] = [{}] if more_roots else []
        for node in nearest:
            own = None
            for operand in operands(node):
                if id(operand) in self.place:
                    continue
                if id(operand) not in box_of:
                    if own is None:
                        own = len(users)
                        users.append({})
                    box_of[id(operand)] = own
                    walk.append(operand)
                users[box_of[id(operand)]][self.place[id(node)]] = None
        counts: list[int | None] = [self.hidden if len(users) == 1 else None] * len(users)
        if len(users) > 1 and self.hidden <= COUNTED:
            tally = [0] * len(users)
            for node in walk:  # grows meanwhile
                box = box_of[id(node)]
                tally[box] += 1
                for operand in operands(node):
                    if id(operand) not in self.place and id(operand) not in box_of:
                        box_of[id(operand)] = box
                        walk.append(operand)
            counts = list(tally)
        return list(zip(counts, map(list, users), strict=True))

    def note(self, function: str) -> str:
        """One line that says what is missing and how to see more of it; '' if nothing is."""
        if not self.hidden:
            return ""
        shown = len(self.nodes)
        return (
            f"{shown:,} of {self.total:,} nodes are shown, those nearest the root; "
            f"{function}(v, limit={min(2 * shown, self.total)}) shows more."
        )


def fold_text(count: int | None) -> str:
    """What stands in a box for folded nodes."""
    if count is None:
        return "… more nodes"
    return f"… {count:,} more node{'s' if count > 1 else ''}"


class Words:
    """The texts of a node: numbers with so many digits, attributes of these names (None: all)."""

    def __init__(self, digits: int, names: Iterable[str] | None) -> None:
        self.digits = whole(digits, "digits", 0)
        if isinstance(names, str) or not isinstance(names, Iterable | None):
            got = type(names).__name__
            raise TypeError(f"attributes must be an iterable of names, or None for all, got {got}")
        self.names = None if names is None else frozenset(names)
        self.shorten = reprlib.Repr()
        self.shorten.maxstring = self.shorten.maxother = self.shorten.maxlong = LONGEST_ATTRIBUTE

    def number(self, x: float) -> str:
        """Fixed digits after the point, or an exponent where those would hide or flood x."""
        plain = x == 0.0 or 10.0**-self.digits <= abs(x) < 1e6
        return f"{x:.{self.digits}{'f' if plain else 'e'}}"

    def cells(self, value: Value) -> list[str]:
        """The label if there is one, data and grad."""
        label: object = value.label
        text = clean(label if isinstance(label, str) else self._short(label), LONGEST_LABEL)
        numbers = [f"data {self.number(value.data)}", f"grad {self.number(value.grad)}"]
        return [text, *numbers] if text else numbers

    def attributes(self, value: Value) -> list[str]:
        """`name=value` for every other attribute that was set."""
        return [
            clean(f"{name}={self._short(thing)}", LONGEST_ATTRIBUTE)
            for name, thing in attributes(value).items()
            if name != "label" and (self.names is None or name in self.names)
        ]

    def _short(self, thing: Any) -> str:
        try:
            return self.shorten.repr(thing)
        except Exception:  # a user's __repr__ may do anything, and must not cost the picture
            return f"<{type(thing).__name__}>"


def clean(text: str, longest: int = LONGEST_LABEL) -> str:
    """The text on one line, without characters that do not print, cut to so many characters."""
    line = "".join(c for c in " ".join(str(text).split()) if c.isprintable())
    return line if len(line) <= longest else line[: longest - 1] + "…"
