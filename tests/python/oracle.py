"""micrograd as the oracle: one program run there and here, and the two graphs compared.

Both libraries make the nodes of an expression in the same order. That order numbers the nodes, so
graphs are compared place by place; and micrograd's own rules, called in descending order, give
adjoints that must agree to the last bit, because every sum then has the same order.
"""

import contextlib
import math
import operator
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import micrograd.engine
import pytest

import arenagrad

Pure = micrograd.engine.Value
Node = Any  # a Value of either library
Refused = (ArithmeticError, AssertionError, TypeError, ValueError)

# A step applies a function to nodes, given as whole numbers that choose from the pool, and to
# numbers, given as tuples of one; its result joins the pool.
Step = tuple[Callable[..., Any], list[Any]]
Program = tuple[list[float], list[Step]]


def nodes_below(root: Node) -> list[Node]:
    """Every node below root, operands before users, found through `_prev` without recursion."""
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(operand, False) for operand in node._prev]
    return order


def shape_of(roots: list[Node], known: dict[Any, int]) -> Counter[int]:
    """How often each kind of subgraph occurs below roots: operation, exact primal, operands.

    known numbers the kinds; two graphs are compared with the same dict.
    """
    kinds: dict[Node, int] = {}
    for root in roots:
        for node in nodes_below(root):
            if node not in kinds:
                operands = sorted(kinds[operand] for operand in node._prev)
                key = (node._op, float(node.data).hex(), *operands)
                kinds[node] = known.setdefault(key, len(known))
    return Counter(kinds.values())


def picture(roots: list[Node]) -> list[Any]:
    """The graphs below roots as plain data: two are equal if nodes, numbers and sharing are.

    Requires that no two operands of a node have the same text, data and grad.
    """
    places: dict[Node, int] = {}
    lines: list[Any] = []
    for root in roots:
        for node in nodes_below_in_order(root):
            if node not in places:
                places[node] = len(places)
                operands = sorted(places[operand] for operand in node._prev)
                lines.append((node._op, bits(node.data), bits(node.grad), operands))
        lines.append(("root", places[root]))
    return lines


def nodes_below_in_order(root: Node) -> list[Node]:
    """Every node below root, operands before users, in an order that equal graphs have alike."""
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            operands = sorted(node._prev, key=lambda n: (n._op, bits(n.data), bits(n.grad)))
            stack += [(operand, False) for operand in operands]
    return order


def assert_same_picture(theirs: list[Node], ours: list[Node]) -> None:
    """The two lists of roots reach equal graphs, the same nodes shared."""
    for a, b in zip(picture(theirs), picture(ours), strict=True):
        assert a == b


def refused(error: type[Exception], message: str) -> Any:
    """Expect this error with this message, all of it."""
    return pytest.raises(error, match=f"^{re.escape(message)}$")


def bits(number: float) -> str:
    """The exact text of a number: signed zeros differ, every nan is the same."""
    return float(number).hex()


@contextlib.contextmanager
def creation_noted() -> Iterator[list[Node]]:
    """The nodes micrograd makes meanwhile, in order; their data are floats as arenagrad's are."""
    created: list[Node] = []
    original = Pure.__init__

    def noting(self: Node, data: Any, *arguments: Any) -> None:
        # micrograd's relu gives the integer 0, and -0 is not -0.0.
        original(self, float(data) if isinstance(data, int) else data, *arguments)
        created.append(self)

    Pure.__init__ = noting
    try:
        yield created
    finally:
        Pure.__init__ = original


def in_order(root: Node, created: list[Node]) -> list[Node]:
    """The nodes of micrograd below root, in the order in which they were made."""
    below = set(nodes_below(root))
    return [node for node in created if node in below]


def assert_same_nodes(theirs: list[Node], ours: list[Node]) -> None:
    """The two graphs, each as its nodes in the order of creation, are equal node for node."""
    for a, b in zip(theirs, ours, strict=True):
        assert (b._op, bits(b.data)) == (a._op, bits(a.data)), (a, a._op, b, b._op)
        assert type(b.data) is float
        assert type(b.grad) is float
    assert edges(ours) == edges(theirs), "other operands"


def edges(nodes: list[Node]) -> list[set[int]]:
    """The places of each node's operands."""
    place = {node: i for i, node in enumerate(nodes)}
    return [{place[operand] for operand in node._prev} for node in nodes]


def grads(nodes: list[Node]) -> list[str]:
    """The exact adjoints."""
    return [bits(node.grad) for node in nodes]


def step(node: Node) -> None:
    """The rule of one node of micrograd.

    Raises ValueError where the partial is complex: micrograd goes on with it, arenagrad refuses.
    Unlike micrograd, arenagrad passes on nothing where a relu is off, whatever the adjoint is, and
    where a power has no partial but the adjoint is 0.
    """
    before = {operand: operand.grad for operand in node._prev}
    try:
        if node._op == "ReLU" and not node.data > 0 and not math.isfinite(node.grad):
            return
        node._backward()
        if any(isinstance(operand.grad, complex) for operand in node._prev):
            raise ValueError("complex partial")
    except Refused:
        for operand, grad in before.items():
            operand.grad = grad
        if node.grad != 0:
            raise


def sweep(root: Node, created: list[Node]) -> None:
    """The backward() of micrograd, but visiting the nodes in descending order of creation."""
    root.grad = 1
    for node in reversed(in_order(root, created)):
        step(node)


def add_magnitudes(root: Node, created: list[Node], sums: dict[Node, float]) -> None:
    """Add to sums, as backward() does to the adjoints, absolute values of what they add up.

    Rounding, and with it the order of summation, moves an adjoint by a few ulp of this at most.
    """
    sums[root] = 1.0
    for node in reversed(in_order(root, created)):
        saved = {n: n.grad for n in (*node._prev, node)}
        for n in saved:
            n.grad = 0.0
        node.grad = 1.0
        step(node)
        for operand in node._prev:
            sums[operand] = sums.get(operand, 0.0) + abs(operand.grad) * sums.get(node, 0.0)
        for n, grad in saved.items():
            n.grad = grad


def assert_close(theirs: list[Node], ours: list[Node], sums: dict[Node, float]) -> int:
    """Adjoints agree to 1e-12 of the magnitudes in sums; returns how many could be compared.

    Where a magnitude overflows, the order of summation decides what the adjoint is.
    """
    compared = 0
    for a, b in zip(theirs, ours, strict=True):
        if sums.get(a, 0.0) < 1e300:
            compared += 1
            assert abs(a.grad - b.grad) <= 1e-12 * sums.get(a, 0.0) + 1e-300, (a, b)
    return compared


@dataclass
class Run:
    """A program run in both libraries: every node of its results, in the order of creation."""

    theirs: list[Node]
    ours: list[Node]
    refused: int


def run_both(program: Program) -> Run:
    """Run a program step by step in both, which must refuse the same steps for the same reason.

    In the end the results are summed up, so that the last node of a Run reaches all others.
    """
    leaves, steps = program
    refused = 0
    with creation_noted() as created:
        pool, our_pool = [Pure(x) for x in leaves], [arenagrad.Value(x) for x in leaves]
        for function, arguments in steps:
            theirs = outcome(function, pool, arguments)
            ours = outcome(function, our_pool, arguments)
            if isinstance(theirs, Pure) and not isinstance(theirs.data, complex):
                assert isinstance(ours, arenagrad.Value), (ours, function, arguments)
                pool.append(theirs)
                our_pool.append(ours)
            else:
                assert_same_refusal(theirs, ours)
                refused += 1
        run = Run(in_order(sum(pool), created), arenagrad.topological_order(sum(our_pool)), refused)
    assert_same_nodes(run.theirs, run.ours)
    return run


def outcome(function: Callable[..., Any], pool: list[Node], arguments: list[Any]) -> Any:
    """The result of one step, or the exception it raised."""
    operands = [pool[a % len(pool)] if isinstance(a, int) else a[0] for a in arguments]
    try:
        return function(*operands)
    except Refused as error:
        return error


def assert_same_refusal(theirs: Any, ours: Any) -> None:
    """Both raised the same class of exception; where micrograd goes complex, ours is ValueError."""
    if isinstance(theirs, Pure) or "complex" in str(theirs):
        assert isinstance(ours, arenagrad.DomainError), (theirs, ours)
    else:
        assert isinstance(ours, type(theirs)), (theirs, ours)


def total(*nodes: Node) -> Node:
    """`sum` as a step."""
    return sum(nodes)


def plus_assign(node: Node, other: Any) -> Node:
    """`+=` as a step: it binds the name anew and leaves the node alone."""
    before = node
    node += other
    assert node is not before
    return node


def relu(node: Node) -> Node:
    """The method as a step."""
    return node.relu()


BINARY = [operator.add, operator.sub, operator.mul, operator.truediv, plus_assign]
SPECIAL = [0.0, -0.0, 1.0, math.inf, -math.inf, math.nan, 1e200, -1e-200, 5e-324]
NUMBERS = [1, -1, 2, -3, 7, 0.5, -1.25, 3.0, 0.1, True]
EXPONENTS = [2, 3, -1, 0, 1, 5, -2, 0.5, -0.5, 2.0, 1.5, -3.0, 0.0, True, 1 / 3, 20]


def random_program(choose: random.Random, special: bool = False) -> Program:
    """A few leaves and up to 25 steps over them, which share and reuse what is there.

    With special, among the numbers are signed zeros, infinities, nan and extremes.
    """

    def number() -> float:
        if special and choose.random() < 0.4:
            return choose.choice(SPECIAL)
        return choose.choice([choose.uniform(-2, 2), float(choose.randint(-4, 4))])

    leaves = [number() for _ in range(choose.randint(1, 4))]
    steps: list[Step] = []
    for _ in range(choose.randint(1, 25)):
        a, b, c = (choose.randrange(10000) for _ in range(3))
        constant = (choose.choice([choose.choice(NUMBERS), number()]),)
        kind = choose.randrange(10)
        if kind < 3:
            steps.append((choose.choice(BINARY), [a, b]))
        elif kind == 3:
            steps.append((choose.choice(BINARY), [a, constant]))
        elif kind == 4:
            steps.append((choose.choice(BINARY[:4]), [constant, a]))
        elif kind == 5:
            steps.append((choose.choice(BINARY), [a, a]))
        elif kind == 6:
            steps.append((operator.pow, [a, (choose.choice(EXPONENTS),)]))
        elif kind == 7:
            steps.append((relu, [a]))
        elif kind == 8:
            steps.append((operator.neg, [a]))
        else:
            steps.append((total, [a, b, c, a][: choose.randint(1, 4)]))
    return leaves, steps


# Formulas of a model in plain Python, to the last bit


def tanh_partial(a: float, y: float) -> float:
    e = math.exp(-2 * abs(a))
    return 1 - y * y if abs(y) <= 0.7 else 4 * e / ((1 + e) * (1 + e))


def real(number: Any) -> float:
    if isinstance(number, complex):
        raise ValueError("complex")
    return float(number)


def reciprocal(number: float) -> float:
    return 1 / number if number else math.copysign(math.inf, number)
