"""Random functions of Values, and what the eager engine says about them."""

import math
import struct
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

import arenagrad as ag
from arenagrad import Value

Function = Callable[[Any], Any]

# Softmax and prod are left out: their gradients are added up in another order.
_UNARY: list[Callable[[Any], Any]] = [
    *(lambda a: -a, abs, lambda a: a**3, lambda a: a**-1, lambda a: 2.0 * a, lambda a: a - 1.5),
    *(lambda a: a.tanh(), lambda a: a.exp(), lambda a: a.log(), lambda a: a.sqrt()),
    *(lambda a: a.relu(), lambda a: a.sigmoid(), lambda a: a.sin(), lambda a: a.softplus()),
    *(lambda a: a.gelu(), lambda a: 1.0 / a, lambda a: a.leaky_relu(0.1), lambda a: a.square()),
]
_BINARY: list[Callable[[Any, Any], Any]] = [
    *(lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b),
    *(lambda a, b: a.maximum(b), lambda a, b: a.hypot(b), lambda a, b: a if a < b else b),
    *(lambda a, b: ag.where(a, a, b), lambda a, b: ag.dot([a, b], [b, 2.0], a)),
    *(lambda a, b: ag.sum([a, b, a]), lambda a, b: ag.mean([a, b]), lambda a, b: ag.norm([a, b])),
    *(lambda a, b: ag.logsumexp([a, b, 0.5]), lambda a, b: abs(a) ** b),
]
_NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0, -0.25, 3.0, 0.1, -1.7])


@st.composite
def expressions(draw: Any) -> tuple[Function, list[float]]:
    """A function of a list of numbers, and such a list."""
    numbers = draw(st.lists(_NUMBERS, min_size=1, max_size=3))
    steps = draw(
        st.lists(
            st.tuples(
                st.integers(0, len(_UNARY) + len(_BINARY) - 1),
                st.integers(0, 50),
                st.integers(0, 50),
            ),
            min_size=1,
            max_size=12,
        )
    )

    def function(x: Any) -> Any:
        made = list(x)
        for which, a, b in steps:
            one, other = made[a % len(made)], made[b % len(made)]
            if which < len(_UNARY):
                made.append(_UNARY[which](one))
            else:
                made.append(_BINARY[which - len(_UNARY)](one, other))
        return ag.sum(made[-3:])

    return function, numbers


def eager(function: Function, numbers: list[float]) -> tuple[float, list[float]]:
    """The value and the gradient by the numbers, as the arena has them."""
    leaves = [Value(x) for x in numbers]
    root = function(leaves)
    root.backward()
    return root.data, [leaf.grad for leaf in leaves]


def same_bits(one: Any, other: Any) -> bool:
    """Whether floats, or lists of them, are the same bit by bit; any nan is as any other."""
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same_bits, one, other))
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return struct.pack("d", one) == struct.pack("d", other)
