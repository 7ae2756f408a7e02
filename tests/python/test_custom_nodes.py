"""Nodes of the user's own: assigned rules, as in the lecture, and partials given as numbers."""

import functools
import gc
import math
import operator
import random
from typing import Any

import pytest

import arenagrad
from arenagrad import Value
from oracle import (
    Pure,
    assert_same_nodes,
    creation_noted,
    grads,
    in_order,
    random_program,
    run_both,
    sweep,
)

# Rules in the manner of the lecture, written once for both libraries


def lecture_tanh(self: Any) -> Any:
    t = (math.exp(2 * self.data) - 1) / (math.exp(2 * self.data) + 1)
    out = type(self)(t, (self,), "tanh")

    def _backward() -> None:
        self.grad += (1 - t**2) * out.grad

    out._backward = _backward
    return out


def lecture_exp(self: Any) -> Any:
    out = type(self)(math.exp(self.data), (self,), "exp")

    def _backward() -> None:
        self.grad += out.data * out.grad

    out._backward = _backward
    return out


def lecture_dot(*nodes: Any) -> Any:
    """The sum of the squares as one n-ary node."""
    out = type(nodes[0])(sum(node.data**2 for node in nodes), nodes, "dot")

    def _backward() -> None:
        for node in nodes:
            node.grad += 2 * node.data * out.grad

    out._backward = _backward
    return out


def test_a_rule_of_the_lecture_is_called_at_its_turn() -> None:
    x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
    w1, w2, b = Value(-3.0), Value(1.0), Value(6.8813735870195432, label="b")
    o = lecture_tanh(x1 * w1 + x2 * w2 + b)
    o.backward()
    assert (o._op, o.data) == ("tanh", pytest.approx(0.7071067811865476))
    # As printed in the lecture.
    assert [round(v.grad, 4) for v in (x1, w1, x2, w2)] == [-1.5, 1.0, 0.5, 0.0]


@pytest.mark.slow
@pytest.mark.parametrize("block", range(5))
def test_own_nodes_among_native_ones_give_the_adjoints_of_micrograd(block: int) -> None:
    own, sweeps = (lecture_tanh, lecture_exp, lecture_dot), 0
    for seed in range(block * 100, (block + 1) * 100):
        choose = random.Random(seed)
        leaves, steps = random_program(choose)
        for _ in range(4):
            function = choose.choice(own)
            places = [choose.randrange(1000) for _ in range(3 if function is lecture_dot else 1)]
            steps.insert(choose.randint(0, len(steps)), (function, places))
        run = run_both((leaves, steps))
        try:
            for _ in range(2):
                sweep(run.theirs[-1], run.theirs)
        except (ArithmeticError, ValueError):
            continue
        for _ in range(2):
            run.ours[-1].backward()
        assert grads(run.ours) == grads(run.theirs)
        sweeps += 1
    assert sweeps > 50


def test_methods_put_on_the_class_serve_every_value(monkeypatch: pytest.MonkeyPatch) -> None:
    native, x = Value.tanh, Value(0.7)
    expected = x.tanh() * x.exp()
    expected.backward()
    partial, x.grad = x.grad, 0.0
    with monkeypatch.context() as patch:
        patch.setattr(Value, "tanh", lecture_tanh)
        patch.setattr(Value, "exp", lecture_exp)
        patch.setattr(Value, "squared", lambda self: self**2, raising=False)
        product = x.tanh() * x.exp()
        product.backward()
        assert [n._op for n in arenagrad.topological_order(product)] == ["", "tanh", "exp", "*"]
        assert product.data == pytest.approx(expected.data, rel=1e-14)
        assert x.grad == pytest.approx(partial, rel=1e-14)
        assert x.squared().data == 0.7**2
    assert Value.tanh is native
    assert not hasattr(x, "squared")


def test_each_rule_is_called_once_after_all_users_have_paid() -> None:
    calls: list[tuple[str, float]] = []

    def noting(node: Value, name: str) -> Value:
        native = node._backward

        def rule() -> None:
            calls.append((name, node.grad))
            native()

        node._backward = rule
        return node

    a = noting(Value(3.0), "a")
    b = noting(a * 2.0, "b")
    c = noting(a + b, "c")
    unreached = noting(b * 5.0, "unreached")
    root = noting(b * c, "root")
    root.backward()
    # b is paid c's data, 9, as a factor and b's data, 6, through c.
    assert calls == [("root", 1.0), ("c", 6.0), ("b", 15.0), ("a", 36.0)]
    assert (a.grad, unreached.grad) == (36.0, 0.0)


def act(choose: random.Random, pool: list[tuple[Any, Any]], created: list[Any]) -> None:
    """Do one random thing to both members of random pairs, or drop a few pairs."""
    theirs, ours = choose.choice(pool)
    others = choose.choice(pool)
    kind = choose.randrange(12)
    if kind < 5:
        function = choose.choice([operator.add, operator.mul, operator.sub])
        pool.append((function(theirs, others[0]), function(ours, others[1])))
    elif kind == 5:
        pool.append((theirs.relu(), ours.relu()))
    elif kind == 6:
        pool.append((lecture_dot(theirs, others[0]), lecture_dot(ours, others[1])))
    elif kind == 7:
        number = choose.uniform(-1, 1)
        pool.append((Pure(number), Value(number)))
    elif kind == 8:
        theirs.label = ours.label = str(len(pool))
    elif kind == 9:
        sweep(theirs, created)
        ours.backward()
    elif kind == 10:
        theirs.partner, ours.partner = others
    else:
        for _ in range(min(8, len(pool) - 5)):
            pool.pop(choose.randrange(len(pool)))
        choose.choice([int, gc.collect, arenagrad.collect])()


@pytest.mark.slow
@pytest.mark.parametrize("block", range(4))
def test_nodes_live_and_die_as_python_objects_do_whatever_is_dropped(block: int) -> None:
    for seed in range(block * 10, (block + 1) * 10):
        choose = random.Random(seed)
        with creation_noted() as created:
            pool: list[tuple[Any, Any]] = [(Pure(0.1 * i), Value(0.1 * i)) for i in range(5)]
            for _ in range(200):
                act(choose, pool, created)
        for theirs, ours in pool:
            below, our_below = in_order(theirs, created), arenagrad.topological_order(ours)
            assert_same_nodes(below, our_below)
            assert grads(our_below) == grads(below)
            twin = dict(zip(below, our_below, strict=True))
            for a, b in twin.items():
                assert getattr(a, "label", "") == b.label
                assert hasattr(a, "partner") == hasattr(b, "partner")
                if hasattr(a, "partner") and a.partner in twin:
                    assert b.partner is twin[a.partner]


# One node's step


def test_the_step_of_one_node_pays_its_operands_and_nobody_else() -> None:
    a, b = Value(2.0), Value(-3.0)
    for node, paid in [
        (a + b, (10.0, 10.0)),
        (a * b, (-30.0, 20.0)),
        (a**3, (120.0, 0.0)),
        (b.relu(), (0.0, 0.0)),
        (a.relu(), (10.0, 0.0)),
        (a * a, (40.0, 0.0)),
        (Value(0.0, (a, b), (0.5, 2.0)), (5.0, 20.0)),
        (Value(0.0, (a, b), "op"), (0.0, 0.0)),
        (lecture_dot(a, b), (40.0, -60.0)),
        (a + (b * 2.0), (10.0, 0.0)),
    ]:
        a.grad = b.grad = 0.0
        node.grad = 10.0
        node._backward()
        node._backward()
        assert (a.grad, b.grad, node.grad) == (2 * paid[0], 2 * paid[1], 10.0)


def test_the_step_of_a_leaf_does_nothing() -> None:
    leaf = Value(2.0)
    leaf.grad = 5.0
    assert leaf._backward() is None
    assert (leaf.data, leaf.grad) == (2.0, 5.0)


def test_an_assigned_rule_is_given_back_and_deleting_it_restores_the_native_one() -> None:
    a = Value(2.0)
    node = a * 3.0
    calls: list[int] = []

    def rule() -> None:
        calls.append(1)

    node._backward = rule
    assert node._backward is rule
    node.backward()
    node._backward()
    assert (len(calls), a.grad) == (2, 0.0)
    del node._backward
    node.backward()
    assert (len(calls), a.grad) == (2, 3.0)
    node._backward = node._backward
    node.backward()
    assert a.grad == 6.0, "the native step, assigned, is called like any other"


def test_any_callable_will_do_also_one_among_all_attributes_assigned_at_once() -> None:
    root = Value(1.0) * 2.0
    root.__dict__ = {"_backward": lambda: setattr(root, "grad", 7.0)}
    root.backward()
    assert root.grad == 7.0
    root.__dict__ = {}
    root.backward()
    assert root.grad == 1.0
    root._backward = [1].copy  # its result is ignored
    root.backward()


# Rules that do more than they should


def test_what_a_rule_raises_passes_through_and_the_engine_goes_on() -> None:
    a = Value(2.0)
    middle = a * 3.0
    node = Value(middle.data, (middle,), "broken")
    root = node * 5.0
    last = Value(0.0)  # nothing below it is trimmed when its handle dies: it waits for collect()

    def rule() -> None:
        raise LookupError("on purpose")

    node._backward = rule
    for _ in range(3):
        with pytest.raises(LookupError, match="on purpose"):
            root.backward()
    assert (root.grad, node.grad, middle.grad, a.grad) == (1.0, 15.0, 0.0, 0.0)
    node._backward = functools.partial(setattr, middle, "grad", 5.0)
    node.grad = 0.0
    root.backward()
    assert (node.grad, middle.grad, a.grad) == (5.0, 5.0, 15.0)
    del root, node
    gc.collect()
    assert arenagrad.collect() >= 3, "no sweep is thought to be under way"
    assert last.data == 0.0


def test_a_rule_may_build_nodes_by_the_million() -> None:
    a = Value(2.0)
    node = Value(3.0, (a,), "builder")
    built: list[Value] = []

    def rule() -> None:
        total = Value(0.0)
        for _ in range(600_000):
            total = total + 1.0
        built.append(total)
        a.grad += node.grad * 4.0

    node._backward = rule
    (node * 2.0 + a).backward()
    assert (a.grad, built[0].data) == (9.0, 600_000.0)
    built[0].backward()
    assert built[0].grad == 1.0


def test_a_rule_may_sweep_another_graph_and_even_its_own() -> None:
    def run(value: Any) -> list[float]:
        a = value(2.0)
        node = value(a.data**2, (a,), "square")
        other = a * a * a
        depth = 0

        def rule() -> None:
            nonlocal depth
            depth += 1
            a.grad += 2 * a.data * node.grad
            other.backward()
            if depth < 3:
                root.backward()

        node._backward = rule
        root = node * 10.0 + a
        root.backward()
        return [a.grad, node.grad, other.grad, root.grad, depth]

    assert run(Value) == run(Pure)


def test_a_rule_that_sweeps_without_end_is_stopped_as_any_recursion_is() -> None:
    a = Value(2.0)
    node = Value(3.0, (a,), "endless")
    node._backward = node.backward
    with pytest.raises(RecursionError):
        (node * 2.0).backward()
    del node._backward
    a.grad = 0.0
    (a * 2.0).backward()
    assert a.grad == 2.0


def test_a_rule_may_collect_garbage_and_drop_handles() -> None:
    a = Value(2.0)
    held = [lecture_tanh(a)]
    for i in range(50):
        held.append(held[-1] * 1.5 if i % 2 else lecture_tanh(held[-1]))
        Value(1.0)  # garbage between the nodes
    root = held[-1] + 0.0
    root.backward()
    partial, a.grad = a.grad, 0.0
    for node in held:
        node.grad = 0.0
    trigger = Value(root.data, (root,), "trigger")

    def rule() -> None:
        nonlocal root
        root.grad += trigger.grad
        del root
        held.clear()
        gc.collect()
        arenagrad.collect()
        for _ in range(100):
            Value(9.0).label = "new"

    root.grad = 0.0
    trigger._backward = rule
    del node
    trigger.backward()
    assert a.grad == partial != 0.0


def test_rules_assigned_and_deleted_during_the_sweep_count_at_their_turn() -> None:
    def run(value: Any) -> list[float]:
        a = value(2.0)
        first, second = a * 3.0, a * 5.0
        root = value(0.0, (first, second), "root")

        def rule() -> None:
            first.grad += 1.0
            second.grad += 1.0
            first._backward = lambda: setattr(a, "grad", a.grad + 1000.0)
            second._prev.clear()
            a.data = 7.0

        root._backward = rule
        root.backward()
        return [a.grad, first.grad, second.grad]

    assert run(Value) == run(Pure) == [1005.0, 1.0, 1.0]


def test_memory_stays_flat_over_thousands_of_training_steps() -> None:
    arenagrad.collect()
    before = arenagrad.arena_info()
    w, most, steps = Value(0.5), 0, 3000
    for _ in range(steps):
        out = w
        for _ in range(10):
            out = lecture_tanh(out * 1.1)
        loss = (out - 0.25) ** 2
        w.grad = 0.0
        loss.backward()
        w.data -= 0.1 * w.grad
        most = max(most, arenagrad.arena_info()["nodes"])
    assert steps * 30 > 2 * most, "the closures refer to their nodes, and yet these went"
    del out, loss
    arenagrad.collect()
    after = arenagrad.arena_info()
    assert after["nodes"] <= before["nodes"] + 1
    assert after["edges"] <= before["edges"]
