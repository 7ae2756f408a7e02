"""What code that runs in the middle of ours may do: each of these once broke the library."""

import threading
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

import arenagrad
from arenagrad import Value


def test_children_are_those_that_were_given_whatever_a_partial_does_to_the_list() -> None:
    children: list[Any] = [Value(1.0), Value(2.0)]
    given = set(children)

    class Meddler(Fraction):
        def __float__(self) -> float:
            children[0], children[1] = object(), "abc"
            return 1.0

    assert Value(1.0, children, (Meddler(1), 2.0))._prev == given


def test_partials_are_those_that_were_given_whatever_one_of_them_does_to_the_list() -> None:
    children = [Value(float(i)) for i in range(2000)]
    partials: list[Any] = []

    class Meddler(Fraction):
        def __float__(self) -> float:
            partials.clear()
            return 1.0

    partials.extend([Meddler(1), *[1.0] * 1999])
    Value(1.0, children, partials).backward()
    assert [child.grad for child in children] == [1.0] * 2000


def test_operands_are_listed_right_though_a_hash_moves_the_nodes() -> None:
    class Hashed(Value):
        def __hash__(self) -> int:
            arenagrad.collect()
            return 1

        def __eq__(self, other: object) -> bool:
            return self is other

    junk = [Value(7.0) for _ in range(100)]
    product = Hashed(5.0) * Hashed(6.0)
    above = [Value(-1.0 - i) for i in range(300)]
    del junk
    assert sorted(operand.data for operand in product._prev) == [5.0, 6.0]
    assert above[0].data == -1.0


def test_partials_of_a_set_of_children_are_refused_because_they_have_no_order() -> None:
    a, b = Value(1.0), Value(2.0)
    with pytest.raises(TypeError, match="must have an order: a tuple or a list, not a set"):
        Value(3.0, {a, b}, (10.0, 20.0))


def test_a_rule_set_through_the_dict_is_called_and_one_taken_from_it_is_not() -> None:
    a = Value(2.0)
    out = a * 3.0
    vars(out)["_backward"] = lambda: setattr(a, "grad", 4.0)
    out.backward()
    assert a.grad == 4.0
    del vars(out)["_backward"]
    a.grad = 0.0
    out.backward()
    assert a.grad == 3.0


def test_a_partial_that_fails_since_a_callback_changed_its_primal_raises() -> None:
    x = Value(4.0)
    middle = x**0.5
    out = Value(middle.data, (middle,), "own")

    def rule() -> None:
        x.data = 0.0
        middle.grad += out.grad

    out._backward = rule
    with pytest.raises(ZeroDivisionError):
        out.backward()
    assert x.grad == 0.0


def test_a_collection_that_lets_another_thread_in_does_not_move_what_it_sweeps() -> None:
    in_rule, proceed, ready, start = (threading.Event() for _ in range(4))
    junk = [Value(0.0) for _ in range(1000)]
    gradients = []

    def sweeper() -> None:
        x = Value(3.0)
        h = x * 1.0
        root = Value(h.data, (h,), "root")

        def rule() -> None:
            in_rule.set()
            proceed.wait(10)
            h.grad += root.grad

        root._backward = rule
        ready.set()
        start.wait(10)
        root.backward()
        gradients.append(x.grad)

    class Opener:
        def __del__(self) -> None:
            start.set()
            in_rule.wait(10)

    thread = threading.Thread(target=sweeper)
    thread.start()
    ready.wait(10)
    cycle = Value(1.0)
    cycle.me, cycle.opener = cycle, Opener()
    user = cycle * 2
    del cycle, user
    tail = Value(5.0)
    del junk
    arenagrad.collect()
    proceed.set()
    thread.join()
    assert gradients == [1.0]
    assert tail.data == 5.0


def recursive(x: Value, out: Value) -> Callable[[], None]:
    def rule(depth: int = 0) -> None:
        if depth == 0:
            return rule(1)
        x.grad += out.grad
        return None

    return rule


def counting(x: Value, out: Value) -> Callable[[], None]:
    def rule() -> None:
        x.grad += out.grad
        rule.calls += 1  # type: ignore[attr-defined]

    rule.calls = 0  # type: ignore[attr-defined]
    return rule


def with_a_list_of_itself(x: Value, out: Value) -> Callable[[], None]:
    history: list[Any] = [out]
    history.append(history)
    out.history = history
    return lambda: None


class Owner:
    """Parents and children, which refer to each other."""

    def __init__(self, out: Value) -> None:
        self.out = out
        self.child = self


def with_an_owner(x: Value, out: Value) -> Callable[[], None]:
    out.owner = Owner(out)
    return lambda: None


@pytest.mark.slow
@pytest.mark.parametrize("kind", [recursive, counting, with_a_list_of_itself, with_an_owner])
def test_memory_is_flat_though_the_state_holds_cycles_of_its_own(
    kind: Callable[[Value, Value], Callable[[], None]],
) -> None:
    x = Value(1.0)
    arenagrad.collect()
    before, most = arenagrad.arena_info()["nodes"], 0
    for _ in range(30_000):
        out = Value(x.data, (x,), "own")
        out._backward = kind(x, out)
        (out * 2.0).backward()
        most = max(most, arenagrad.arena_info()["nodes"])
    del out
    arenagrad.collect()
    assert arenagrad.arena_info()["nodes"] <= before
    assert most < 100_000


def test_a_closure_that_is_held_elsewhere_keeps_what_it_needs() -> None:
    x = Value(2.0)
    out = Value(x.data, (x,), "own")
    rule = counting(x, out)
    out._backward = rule
    out.label = "kept"
    del out
    arenagrad.collect()
    cells = {
        cell.cell_contents for cell in rule.__closure__ or () if cell.cell_contents is not rule
    }
    (kept,) = (cell for cell in cells if cell is not x)
    assert (kept.label, kept.data, kept._prev) == ("kept", 2.0, {x})
