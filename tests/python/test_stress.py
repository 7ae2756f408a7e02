"""Random lives of many Values beside a pure-Python model of micrograd: every bit has to agree.

The model keeps plain objects in order of creation and sweeps them in descending order, as the
arena does. After each action every live Value is compared with its model: primal, adjoint, text,
operands and their identity, attributes.
"""

import gc
import math
import operator
import random
import sys
import threading
import time
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import pytest

import arenagrad
from arenagrad import Value, topological_order
from lives import live
from oracle import real, reciprocal, tanh_partial

Number = int | float
Refused = (ArithmeticError, ValueError)
order_of_creation = count()


class Model:
    """micrograd's Value, with its sweep in descending order of creation."""

    def __init__(self, data: Number, operands: Iterable["Model"] = (), op: str = "") -> None:
        self.place = next(order_of_creation)
        self.data, self.grad, self.op = float(data), 0.0, op
        self.operands = tuple(operands)
        self.partials: Callable[[], Iterable[float]] = lambda: ()
        self.no_nan = False  # whether 0 times a partial or an adjoint that is not finite is 0
        self.rule: Callable[[], None] | None = None
        self.state: dict[str, Any] = {}

    def made(self, partials: Callable[[], Iterable[float]], no_nan: bool = False) -> "Model":
        self.partials, self.no_nan = partials, no_nan
        return self

    def __add__(self, other: Any) -> "Model":
        b = other if isinstance(other, Model) else Model(other)
        return Model(self.data + b.data, (self, b), "+").made(lambda: (1.0, 1.0))

    def __mul__(self, other: Any) -> "Model":
        b = other if isinstance(other, Model) else Model(other)
        return Model(self.data * b.data, (self, b), "*").made(lambda: (b.data, self.data))

    def __pow__(self, b: Number) -> "Model":
        y = real(self.data**b)
        return Model(y, (self,), f"**{b}").made(lambda: (b * real(self.data ** (b - 1)),))

    def __neg__(self) -> "Model":
        return self * -1

    def __sub__(self, other: Any) -> "Model":
        return self + (-other)

    def __rsub__(self, other: Number) -> "Model":
        return (-self) + other

    def __truediv__(self, other: Any) -> "Model":
        return self * other**-1

    def __rtruediv__(self, other: Number) -> "Model":
        return self**-1 * other

    __radd__, __rmul__ = __add__, __mul__

    def relu(self) -> "Model":
        out = Model(0.0 if self.data < 0 else self.data, (self,), "ReLU")
        return out.made(lambda: (float(out.data > 0),), no_nan=True)

    def tanh(self) -> "Model":
        out = Model(math.tanh(self.data), (self,), "tanh")
        return out.made(lambda: (tanh_partial(self.data, out.data),))

    def exp(self) -> "Model":
        out = Model(math.exp(self.data), (self,), "exp")
        return out.made(lambda: (out.data,))

    def log(self) -> "Model":
        out = Model(math.log(self.data), (self,), "log")
        return out.made(lambda: (reciprocal(self.data),), no_nan=True)

    def below(self) -> list["Model"]:
        seen, waiting = {self}, [self]
        while waiting:
            new = {operand for operand in waiting.pop().operands if operand not in seen}
            seen |= new
            waiting += new
        return sorted(seen, key=lambda node: node.place)

    def fails(self) -> bool:
        try:
            self.partials()
        except Refused:
            return self.rule is None
        return False

    def step(self) -> None:
        if self.rule is not None:
            self.rule()
        elif not (self.fails() and self.grad == 0.0):
            for operand, partial in zip(self.operands, self.partials(), strict=False):
                zero = self.no_nan and 0.0 in (partial, self.grad)
                operand.grad += 0.0 if zero else partial * self.grad

    def backward(self) -> None:
        order = self.below()[::-1]
        before = [node.grad for node in order]
        may_fail = any(node.fails() for node in order)
        self.grad = 1.0
        for node in order:
            if may_fail and node.fails() and node.grad != 0.0:
                for changed, grad in zip(order, before, strict=True):
                    changed.grad = grad
                node.partials()  # raises
            node.step()


class Sub(Value):
    """A subclass without anything of its own."""


class World:
    """Live Values and their models, and what may happen to them; i and j choose among the live."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Value, Model]] = []
        self.known: dict[Model, Value] = {}
        self.do_leaf(0, 0, 1.5)

    def pick(self, i: int) -> tuple[Value, Model]:
        return self.pairs[i % len(self.pairs)]

    def both(self, action: Callable[[Any], Any], *pairs: tuple[Value, Model]) -> tuple[Any, Any]:
        """The same done to Values and to models: both succeed, or both refuse alike."""
        outcomes = []
        for side in (0, 1):
            try:
                outcomes.append(action(*(pair[side] for pair in pairs)))
            except Refused as error:
                outcomes.append(
                    next(
                        kind
                        for kind in (OverflowError, ZeroDivisionError, ValueError)
                        if isinstance(error, kind)
                    )
                )
        ours, theirs = outcomes
        assert isinstance(ours, type) == isinstance(theirs, type), outcomes
        if isinstance(ours, type):
            assert ours is theirs, outcomes
        elif isinstance(theirs, Model):
            self.pairs.append((ours, theirs))
        return ours, theirs

    # What may happen. Every action takes two choices and a number.

    def do_leaf(self, i: int, j: int, c: float) -> None:
        self.pairs.append(((Sub if i % 4 == 1 else Value)(c), Model(c)))

    def do_combine(self, i: int, j: int, c: float) -> None:
        f = [operator.add, operator.mul, operator.sub, operator.truediv][(i + j) % 4]
        self.both(f, self.pick(i), self.pick(j))

    def do_combine_with_number(self, i: int, j: int, c: float) -> None:
        f = [operator.add, operator.mul, operator.sub, operator.truediv][j % 4]
        self.both((lambda x: f(x, c)) if i % 2 else (lambda x: f(c, x)), self.pick(i // 2))

    def do_apply(self, i: int, j: int, c: float) -> None:
        f = [operator.neg, *map(operator.methodcaller, ("relu", "tanh", "exp", "log"))][j % 5]
        self.both(f, self.pick(i))

    def do_power(self, i: int, j: int, c: float) -> None:
        exponent = [2, 3, -1, 0.5, 1, 0, -1.5, 2.0][j % 8]
        self.both(lambda x: x**exponent, self.pick(i))

    def do_node_with_partials(self, i: int, j: int, c: float) -> None:
        chosen = [self.pick(i + k * j) for k in range(j % 5)]
        partials = [c * k - 1.0 for k in range(j % 5)]
        ours = Value(c, [value for value, _ in chosen], partials)
        self.pairs.append((ours, Model(c, [m for _, m in chosen]).made(lambda: partials)))

    def do_node_with_a_rule(self, i: int, j: int, c: float) -> None:
        chosen = [self.pick(i), self.pick(j)]
        pair = Value(c, [v for v, _ in chosen], "own"), Model(c, [m for _, m in chosen], "own")
        self.pairs.append(pair)
        self.do_set_rule(len(self.pairs) - 1, j, c)

    def do_set_rule(self, i: int, j: int, c: float) -> None:
        """A rule that refers to its own node and to another, and, at times, records new ones."""

        def attach(out: Any, other: Any, name: str) -> None:
            def propagate() -> None:
                other.grad += c * out.grad
                if j % 3 == 0:
                    (other * c + out).relu()

            setattr(out, name, propagate)

        (ours, theirs), (other, its_model) = self.pick(i), self.pick(j)
        attach(ours, other, "_backward")
        attach(theirs, its_model, "rule")

    def do_clear_rule(self, i: int, j: int, c: float) -> None:
        ours, theirs = self.pick(i)
        del ours._backward
        theirs.rule = None

    def do_set_attribute(self, i: int, j: int, c: float) -> None:
        (ours, theirs), (other, its_model) = self.pick(i), self.pick(j)
        if j % 2:
            ours.label = theirs.state["label"] = f"label {c}"
        else:
            ours.link, theirs.state["link"] = other, its_model

    def do_set_number(self, i: int, j: int, c: float) -> None:
        for node in self.pick(i):
            setattr(node, "grad" if j % 3 == 0 else "data", c)

    def do_drop(self, i: int, j: int, c: float) -> None:
        for _ in range(1 + j % 4):
            if len(self.pairs) > 1:
                self.pairs.pop(i % len(self.pairs))

    def do_sweep(self, i: int, j: int, c: float) -> None:
        self.both(lambda x: x.backward(), self.pick(i))

    def do_step(self, i: int, j: int, c: float) -> None:
        ours, theirs = self.pick(i)
        self.both(lambda step: step(), (ours._backward, theirs.step))

    def do_take_from_order(self, i: int, j: int, c: float) -> None:
        ours, theirs = self.pick(i)
        listed, expected = topological_order(ours), theirs.below()
        assert len(listed) == len(expected)
        for value, model in zip(listed, expected, strict=True):
            self.compare(value, model)
        self.pairs.append((listed[j % len(listed)], expected[j % len(listed)]))

    def do_collect(self, i: int, j: int, c: float) -> None:
        if i % 2:
            gc.collect()
        arenagrad.collect()

    def do_fill_with_garbage(self, i: int, j: int, c: float) -> None:
        """So much that the arena has to look for it, below a Value that stays."""
        garbage = sum([Value(c)] * 150_000)
        self.do_leaf(i, j, c)
        del garbage

    def compare(self, value: Value, model: Model) -> None:
        assert (value.data.hex(), value.grad.hex()) == (model.data.hex(), model.grad.hex())
        assert value._op == model.op
        assert value.label == model.state.get("label", "")
        known = self.known
        assert known.get(model, value) is value, "one node has one object"
        operands = value._prev
        wanted = set(model.operands)
        assert len(operands) == len(wanted)
        assert {known[m] for m in wanted if m in known} <= operands
        assert sorted(v.data.hex() for v in operands) == sorted(m.data.hex() for m in wanted)
        assert sorted(v.label for v in operands) == sorted(m.state.get("label", "") for m in wanted)
        link = model.state.get("link")
        if link is not None:
            assert known.get(link, value.link) is value.link
            assert value.link.data.hex() == link.data.hex()

    def check(self) -> None:
        self.known = {model: value for value, model in self.pairs}
        for value, model in self.pairs:
            self.compare(value, model)

    def end(self) -> None:
        """Drop everything; nothing may stay."""
        self.pairs.clear()
        self.known.clear()
        gc.collect()
        while arenagrad.collect():
            pass


RARE = [World.do_fill_with_garbage]
COMMON = [f for name, f in vars(World).items() if name.startswith("do_") and f not in RARE]
NUMBERS = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -3.0, 0.1, 1e-3, 7.25]


@pytest.mark.slow
def test_values_agree_with_the_model_whatever_is_done_to_them() -> None:
    live(World, COMMON + RARE, NUMBERS, lives=40, steps=50)


@pytest.mark.slow
def test_values_agree_with_the_model_over_a_long_life() -> None:
    choose = random.Random(7)
    gc.collect()
    arenagrad.collect()
    before = arenagrad.arena_info()
    world = World()
    for _ in range(5_000):
        action = choose.choice(RARE if choose.random() < 0.005 else COMMON)
        action(world, choose.randrange(60), choose.randrange(60), choose.choice(NUMBERS))
        if len(world.pairs) > 40:
            world.do_drop(choose.randrange(60), 3, 0.0)
        world.check()
    world.end()
    after = arenagrad.arena_info()
    assert after["nodes"] == before["nodes"]
    assert after["compactions"] > before["compactions"] + 10


def life(seed: int) -> list[str]:
    """A program with closures, attributes, drops and collections; its numbers, exactly."""
    choose = random.Random(seed)
    weights = [Value(choose.uniform(-1, 1)) for _ in range(6)]
    seen = []
    for step in range(60):
        x = Value(choose.uniform(-1, 1))
        for w in weights:
            x = (x * w + choose.uniform(-1, 1)).tanh() - w / 3.0
            out = Value(2 * x.data, (x,), "twice")

            def propagate(x: Value = x, out: Value = out) -> None:
                time.sleep(0)  # lets another thread run in the middle of this sweep
                x.grad += 2 * out.grad

            out._backward, out.label = propagate, f"{step}"
            x = out
        for w in weights:
            w.grad = 0.0
        x.backward()
        seen += [x.data.hex(), *(w.grad.hex() for w in weights)]
        for w in weights:
            w.data -= 0.05 * w.grad
        if step % 20 == seed:
            arenagrad.collect()
    return seen


def test_threads_that_build_graphs_of_their_own_do_not_disturb_each_other() -> None:
    expected = [life(seed) for seed in range(4)]
    results: dict[int, list[str]] = {}
    threads = [
        threading.Thread(target=lambda seed=seed: results.update({seed: life(seed)}))
        for seed in range(4)
    ]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert [results[seed] for seed in range(4)] == expected
