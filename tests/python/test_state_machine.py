"""Random lives of graphs beside compiled functions and pickles, against a model in plain Python.

`test_stress.py` does to Values whatever can be done to Values. Here compiled functions live beside
them: they read Values whose data is edited, dropped and compacted between calls, are pickled with
them, and record nodes when they are called with Values. Every number has to agree bit for bit.
"""

import gc
import math
import pickle
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any

import pytest

import arenagrad as ag
from arenagrad import Value
from lives import live

LARGEST = 1e6  # of results: adjoints stay finite
_order = count()


class Node:
    """A Value in plain Python: a kind of operation, its operands, and two numbers."""

    def __init__(self, data: float, kind: str = "", operands: Sequence["Node"] = ()) -> None:
        self.data, self.grad, self.kind = float(data), 0.0, kind
        self.operands, self.order = tuple(operands), next(_order)

    def __add__(self, other: Any) -> "Node":
        b = _node(other)
        return Node(self.data + b.data, "+", (self, b))

    def __mul__(self, other: Any) -> "Node":
        b = _node(other)
        return Node(self.data * b.data, "*", (self, b))

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> "Node":
        return self * -1

    def __sub__(self, other: Any) -> "Node":
        return self + (-other)

    def __rsub__(self, other: Any) -> "Node":
        return (-self) + other

    def __pow__(self, exponent: int) -> "Node":
        return Node(self.data**exponent, f"**{exponent}", (self,))

    def relu(self) -> "Node":
        return Node(0.0 if self.data < 0.0 else self.data, "relu", (self,))

    def __lt__(self, other: Any) -> bool:
        return self.data < _number(other)

    def __gt__(self, other: Any) -> bool:
        return self.data > _number(other)

    def partials(self) -> Iterable[float]:
        if self.kind == "*":
            return self.operands[1].data, self.operands[0].data
        if self.kind == "relu":
            return (1.0 if self.data > 0.0 else 0.0,)
        if self.kind[:2] == "**":
            exponent = int(self.kind[2:])
            return (exponent * self.operands[0].data ** (exponent - 1),)
        return [1.0] * len(self.operands)

    def below(self) -> list["Node"]:
        """Itself and all that it was made of, in the order of creation."""
        seen, waiting = {self}, [self]
        while waiting:
            new = set(waiting.pop().operands) - seen
            seen |= new
            waiting += new
        return sorted(seen, key=lambda node: node.order)

    def backward(self) -> None:
        self.grad = 1.0
        for node in reversed(self.below()):
            for operand, partial in zip(node.operands, node.partials(), strict=True):
                operand.grad += partial * node.grad


def _node(x: Any) -> Node:
    return x if isinstance(x, Node) else Node(x)


def _number(x: Any) -> float:
    return float(x.data) if isinstance(x, Node | Value) else float(x)


def copies_of(nodes: Sequence[Node]) -> list[Node]:
    """The same graphs once more, as pickle makes them."""
    twins: dict[Node, Node] = {}
    for node in sorted({n for root in nodes for n in root.below()}, key=lambda node: node.order):
        twin = twins[node] = Node(node.data, node.kind, [twins[o] for o in node.operands])
        twin.grad = node.grad
    return [twins[node] for node in nodes]


def total(xs: Sequence[Any]) -> Any:
    """`ag.sum` for Nodes as well."""
    if any(isinstance(x, Node) for x in xs):
        nodes = [_node(x) for x in xs]
        result = 0.0
        for node in nodes:
            result += node.data
        return Node(result, "sum", nodes)
    return ag.sum(xs)


# Functions of two numbers, a Value that they close over, and whatever these are.
FORMULAS: list[Callable[[Any, Any, Any], Any]] = [
    lambda x, y, w: x * w + y,
    lambda x, y, w: (x - y).relu() * w if x > w else x * x - w,
    lambda x, y, w: total([x, y, w, x * 0.5]) ** 2,
    lambda x, y, w: (x if x < y else y) * w - x,
    lambda x, y, w: w**3 + x * y if w > 0.5 else x + y * 2.0,
    lambda x, y, w: x * y,
]


class Function:
    """A formula that closes over something, so that pickle finds it by its class."""

    def __init__(self, which: int, w: Any) -> None:
        self.which, self.w = which, w

    def __call__(self, x: Any, y: Any) -> Any:
        return FORMULAS[self.which](x, y, self.w)


class World:
    """Live Values and compiled functions with their models; i and j choose among them."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Value, Node]] = [(Value(1.5), Node(1.5))]
        self.functions: list[tuple[Any, Function]] = []

    def pick(self, i: int) -> tuple[Value, Node]:
        return self.pairs[i % len(self.pairs)]

    def keep(self, value: Any, node: Any) -> None:
        if isinstance(node, Node) and abs(node.data) < LARGEST:
            self.pairs.append((value, node))

    # What may happen. Every action takes two choices and a number.

    def do_leaf(self, i: int, j: int, c: float) -> None:
        self.keep(Value(c), Node(c))

    def do_combine(self, i: int, j: int, c: float) -> None:
        formula = FORMULAS[j % len(FORMULAS)]
        a, b, w = self.pick(i), self.pick(j), self.pick(i + j)
        self.keep(*(formula(a[side], b[side], w[side]) for side in (0, 1)))

    def do_combine_with_number(self, i: int, j: int, c: float) -> None:
        a = self.pick(i)
        self.keep(*((c - a[side]) * (a[side] + c) for side in (0, 1)))

    def do_set_number(self, i: int, j: int, c: float) -> None:
        for node in self.pick(i):
            setattr(node, "grad" if j % 3 == 0 else "data", c)

    def do_drop(self, i: int, j: int, c: float) -> None:
        for _ in range(1 + j % 4):
            if len(self.pairs) > 1:
                self.pairs.pop(i % len(self.pairs))

    def do_sweep(self, i: int, j: int, c: float) -> None:
        for node in self.pick(i):
            node.backward()

    def do_collect(self, i: int, j: int, c: float) -> None:
        if i % 2:
            gc.collect()
        ag.collect()

    def do_pickle_values(self, i: int, j: int, c: float) -> None:
        chosen = [self.pick(i), self.pick(j)]
        values = pickle.loads(pickle.dumps([value for value, _ in chosen]))
        self.pairs += zip(values, copies_of([node for _, node in chosen]), strict=True)

    def do_compile(self, i: int, j: int, c: float) -> None:
        which = j % len(FORMULAS)
        value, node = self.pick(i)
        function = ag.compile(Function(which, value), strict=True)
        self.functions.append((function, Function(which, node)))

    def do_drop_function(self, i: int, j: int, c: float) -> None:
        if self.functions:
            self.functions.pop(i % len(self.functions))

    def do_call_with_numbers(self, i: int, j: int, c: float) -> None:
        """The value and gradient of each function, in which no live node changes."""
        x, y = c, float(j % 5) - 2.0
        for function, model in self.functions:
            a, b = Node(x), Node(y)
            grads = [node.grad for node in model.w.below()]
            wanted = model(a, b)
            wanted.backward()
            for node, grad in zip(model.w.below(), grads, strict=True):
                node.grad = grad
            assert function(x, y).hex() == wanted.data.hex()
            value, gradient = function.value_and_grad(x, y, argnums=(0, 1))
            assert (value, *gradient) == (wanted.data, a.grad, b.grad)

    def do_call_with_values(self, i: int, j: int, c: float) -> None:
        if self.functions:
            function, model = self.functions[i % len(self.functions)]
            a, b = self.pick(i), self.pick(j)
            self.keep(function(a[0], b[0]), model(a[1], b[1]))

    def do_let_it_read_another(self, i: int, j: int, c: float) -> None:
        if self.functions:
            function, model = self.functions[i % len(self.functions)]
            function._function.w, model.w = self.pick(j)

    def do_pickle_function(self, i: int, j: int, c: float) -> None:
        """A pickled function reads copies of what it read, and so do its programs."""
        if self.functions:
            function, model = self.functions[i % len(self.functions)]
            (w,) = copies_of([model.w])
            twin = pickle.loads(pickle.dumps(function))
            self.functions.append((twin, Function(model.which, w)))

    def check(self) -> None:
        for value, node in self.pairs:
            assert (value.data.hex(), value.grad.hex()) == (node.data.hex(), node.grad.hex())
            assert len(value._prev) == len(set(node.operands))
        for function, model in self.functions:
            assert function._function.w.data.hex() == model.w.data.hex()

    def end(self) -> None:
        """Drop everything; nothing may stay."""
        self.pairs.clear()
        self.functions.clear()
        gc.collect()
        while ag.collect():
            pass


ACTIONS = [action for name, action in vars(World).items() if name.startswith("do_")]
NUMBERS = [0.0, 1.0, -1.0, 0.5, 2.0, -3.0, 0.1, 1e-3, 7.25]


def test_a_few_lives_of_graphs_and_compiled_functions_agree_with_the_model() -> None:
    live(World, ACTIONS, NUMBERS, lives=3, steps=40)


@pytest.mark.slow
def test_lives_of_graphs_and_compiled_functions_agree_with_the_model() -> None:
    live(World, ACTIONS, NUMBERS, lives=100, steps=40)


def test_the_model_knows_a_wrong_number_when_it_sees_one() -> None:
    world = World()
    world.check()
    world.pairs[0][0].data = math.nextafter(1.5, 2.0)
    with pytest.raises(AssertionError):
        world.check()
