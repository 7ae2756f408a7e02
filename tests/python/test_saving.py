"""Pickle and copy: graphs come back whole, and shared nodes stay shared.

The oracle is a class of plain Python objects with the same operators, whose graphs pickle and copy
as Python's own objects do.
"""

import copy
import io
import multiprocessing
import pickle
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

import arenagrad
from arenagrad import Value, no_grad, softmax
from oracle import assert_same_picture, grads, nodes_below_in_order, picture, random_program


class Plain:
    """A node as plain Python objects: what a pickle of one must mean."""

    def __init__(self, data: float, _children: tuple["Plain", ...] = (), _op: str = "") -> None:
        self.data, self.grad, self._op, self._children = float(data), 0.0, _op, _children

    @property
    def _prev(self) -> set["Plain"]:
        return set(self._children)

    def __add__(self, other: Any) -> "Plain":
        other = other if isinstance(other, Plain) else Plain(other)
        return Plain(self.data + other.data, (self, other), "+")

    def __mul__(self, other: Any) -> "Plain":
        other = other if isinstance(other, Plain) else Plain(other)
        return Plain(self.data * other.data, (self, other), "*")

    def relu(self) -> "Plain":
        return Plain(max(self.data, 0.0), (self,), "ReLU")


class Sub(Value):
    """A subclass, with a method and an `__init__` that a load must not call."""

    made = 0

    def __init__(self, data: float) -> None:
        super().__init__(data)
        Sub.made += 1


class Slotted(Value):
    """A subclass whose state is more than a dict."""

    __slots__ = ("place",)
    place: Any


class Counted(Value):
    """A subclass that says itself what it is made of."""

    def __getstate__(self) -> Any:
        return [self.data, "own"]

    def __setstate__(self, state: Any) -> None:
        self.told = state


def through_pickle(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


def through_python_pickle(thing: Any) -> Any:
    file = io.BytesIO()
    pickle._Pickler(file).dump(thing)
    return pickle._loads(file.getvalue())


def protocol(number: int) -> Callable[[Any], Any]:
    def through(thing: Any) -> Any:
        return pickle.loads(pickle.dumps(thing, number))

    through.__name__ = f"protocol_{number}"
    return through


PICKLES = [*(protocol(k) for k in range(6)), through_python_pickle]
WAYS = [*PICKLES, copy.deepcopy]
every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


def every_kind() -> list[Value]:
    """A graph with every kind of node, swept: its root, a leaf, softmax results, the root again."""
    x, y = Value(0.5), Value(-2.0)
    p = softmax([x, y, x * y])
    q = arenagrad.log_softmax([y, p[0]])
    many = [arenagrad.dot([x, y], [p[1], q[0]], 1.0), arenagrad.where(x, y, p[2])]
    own = [Value(7.0, (x, y), (0.25, -4.0)), Value(8.0, (x,), "mine")]
    root = x**3 + x**2.5 + (y * y) ** x + y.tanh() + p[0] * q[1] + arenagrad.sum(many + own)
    root.backward()
    return [root, x, *p, root]


def build(kind: type, seed: int) -> list[Any]:
    """A random graph of this class of nodes, several of them as roots, swept by no one."""
    choose = random.Random(seed)
    pool = [kind(choose.uniform(-2, 2)) for _ in range(3)]
    for _ in range(choose.randrange(1, 30)):
        a, b = choose.choice(pool), choose.choice([*pool, choose.uniform(-2, 2)])
        pool.append(choose.choice([lambda a, b: a + b, lambda a, b: a * b, relu])(a, b))
    for node in pool:
        node.grad = choose.uniform(-1, 1)
    return choose.sample(pool, choose.randrange(1, len(pool)))


def relu(a: Any, _: Any) -> Any:
    return a.relu()


def number_grads(roots: list[Value]) -> list[Value]:
    """The roots, every node below them with a grad of its own by which it is known again."""
    for k, node in enumerate(dict.fromkeys(n for root in roots for n in nodes(root))):
        node.grad = float(k)
    return roots


def nodes(root: Value) -> list[Value]:
    return arenagrad.topological_order(root)


# Whole graphs


@every_way
@pytest.mark.parametrize("seed", range(12))
def test_random_graphs_come_back_as_those_of_plain_objects_do(
    way: Callable[[Any], Any], seed: int
) -> None:
    theirs, ours = way(build(Plain, seed)), way(build(Value, seed))
    assert_same_picture(theirs, ours)


@every_way
def test_every_kind_of_node_comes_back_and_sweeps_the_same(way: Callable[[Any], Any]) -> None:
    roots = number_grads(every_kind())
    again = way(roots)
    arenagrad.collect()
    assert_same_picture(roots, again)
    assert again[0] is again[-1]
    theirs, ours = nodes_below_in_order(roots[0]), nodes_below_in_order(again[0])
    assert not set(theirs) & set(ours)
    for root in (roots[0], again[0]):
        arenagrad.zero_grad(root)
        root.backward()
    assert grads(theirs) == grads(ours)


@every_way
def test_attributes_and_classes_come_back_even_in_cycles(way: Callable[[Any], Any]) -> None:
    x = Sub(2.0)
    y = x * 3.0
    y.label, y.ring, x.users = "y", [y], {"first": y}
    z = Value(1.0, (y, x), "own text")
    z.label = "z"
    del y
    made = Sub.made
    a, b = way([z, x])
    assert Sub.made == made, "__init__ was called"
    assert (type(a), type(b), a.label, a._op) == (Value, Sub, "z", "own text")
    (c,) = a._prev - {b}
    assert (c.label, c._op, c.ring[0], b.users["first"]) == ("y", "*", c, c)
    assert c.ring[0] is c


@every_way
def test_states_of_a_class_of_its_own_making_are_honoured(way: Callable[[Any], Any]) -> None:
    slotted, counted = Slotted(1.0), Counted(4.0)
    slotted.place, slotted.extra = [3], "more"
    root = slotted * counted
    again = way(root)
    kinds = {type(node): node for node in again._prev}
    assert kinds[Slotted].place == [3]
    assert kinds[Slotted].extra == "more"
    assert kinds[Counted].told == [4.0, "own"]


def test_values_made_without_a_graph_are_saved_as_leaves() -> None:
    x = Value(3.0)
    with no_grad():
        y = x * 2.0
        again = through_pickle([x * 1.0, y])
        graph = through_pickle(x)
    assert [v.data for v in again] == [3.0, 6.0]
    assert [v._prev for v in again] == [set(), set()]
    outside = x * x
    with no_grad():
        assert len(through_pickle(outside)._prev) == 1, "loading is no operation"
    assert graph.data == 3.0


def doubled(node: Value) -> None:
    node.grad *= 2


def rule_of_a_module() -> None:
    doubled(rule_of_a_module.node)  # type: ignore[attr-defined]


def test_a_rule_that_pickle_knows_comes_back_and_a_closure_is_refused_by_pickle() -> None:
    x = Value(1.0)
    out = Value(2.0, (x,), "own")
    out._backward = rule_of_a_module
    assert through_pickle(out)._backward is rule_of_a_module
    calls = []
    out._backward = lambda: calls.append(out)
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(out)
    assert through_pickle([x * 2.0, x])[1].data == 1.0, "the next dump is not disturbed"


# What one dump shares


def test_each_dump_stands_alone_beside_a_pickler_that_is_kept() -> None:
    file = io.BytesIO()
    kept = pickle.Pickler(file)
    a = Value(1.0)
    b = a * 2.0
    kept.dump(b)
    between = pickle.dumps([a + 1.0, a, b])
    kept.dump([a, b, a + b])
    c, d, e = pickle.loads(between)
    assert d in c._prev
    assert d in e._prev
    file.seek(0)
    reader = pickle.Unpickler(file)
    first, (x, y, z) = reader.load(), reader.load()
    assert y is first
    assert x in y._prev
    assert z._prev == {x, y}


class Nesting:
    """Pickles something else while it is being pickled."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __reduce__(self) -> Any:
        return pickle.loads, (pickle.dumps(self.inner),)


def test_a_dump_within_a_dump_disturbs_neither() -> None:
    a = Value(1.0)
    b, c = a * 2.0, a * 3.0
    b.other = Nesting([c, a, b.data])
    left, (inner, a2, _), right, leaf = through_pickle([b, Nesting([c, a, 0]), c, a])
    assert leaf in left._prev
    assert leaf in right._prev
    assert a2 in inner._prev
    assert a2 is not leaf
    assert left.other[1] in left.other[0]._prev


class Moving:
    """Compacts the arena while it is being pickled or copied."""

    def __reduce__(self) -> Any:
        garbage = [Value(1.0) * 2.0 for _ in range(50)]
        keep = garbage[-1]
        del garbage
        arenagrad.collect()
        del keep
        return Moving, ()


@every_way
def test_sharing_survives_that_nodes_move_in_the_middle(way: Callable[[Any], Any]) -> None:
    garbage = [Value(float(k)) for k in range(100)]
    a = Value(1.0)
    b = a * 2.0
    del garbage[::2]
    c = a + b
    compactions = arenagrad.arena_info()["compactions"]
    left, _, right, leaf = way([b, Moving(), c, a])
    assert arenagrad.arena_info()["compactions"] > compactions
    assert left in right._prev
    assert leaf in left._prev
    assert (left.data, right.data, leaf.data) == (2.0, 3.0, 1.0)


def test_a_value_made_anew_between_two_dumps_is_written_anew() -> None:
    file = io.BytesIO()
    kept = pickle.Pickler(file)
    a, b = Value(1.0), Value(2.0)
    kept.dump(b)
    b.__init__(5.0, (a,), "anew")  # type: ignore[misc]
    c = Value(7.0)
    kept.dump([c, a])
    file.seek(0)
    reader = pickle.Unpickler(file)
    assert reader.load().data == 2.0
    assert [v.data for v in reader.load()] == [7.0, 1.0]


def test_threads_dump_side_by_side() -> None:
    shared = every_kind()
    results: list[Any] = []

    def run() -> None:
        for _ in range(30):
            roots = [shared[0], Moving(), shared[1], shared[2] * 2.0, shared[2]]
            again = through_pickle(roots)
            results.append(again[4] in again[3]._prev and again[2] in nodes(again[0]))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 120


def test_another_process_gives_back_the_same_graph() -> None:
    roots = number_grads(every_kind())
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert_same_picture(roots, pool.map(copy.copy, [roots])[0])


def test_a_pickler_without_memory_writes_each_value_for_itself() -> None:
    file = io.BytesIO()
    fast = pickle.Pickler(file)
    fast.fast = True
    a = Value(1.0)
    fast.dump([a * 2.0, a, a])
    b, c, d = pickle.loads(file.getvalue())
    assert (b.data, c.data, d.data) == (2.0, 1.0, 1.0)


# Many programs


def test_random_programs_of_all_operators_come_back_bit_for_bit() -> None:
    for seed in range(40):
        leaves, steps = random_program(random.Random(seed), special=True)
        pool = [Value(x) for x in leaves]
        for function, arguments in steps:
            operands = [pool[a % len(pool)] if isinstance(a, int) else a[0] for a in arguments]
            try:
                pool.append(function(*operands))
            except (ArithmeticError, ValueError):
                continue
        number_grads(pool)
        assert picture(through_pickle(pool)) == picture(copy.deepcopy(pool)) == picture(pool)
