"""custom, no_grad, zero_grad and detach."""

import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest

import arenagrad as ag
from arenagrad import Value, _core, custom, no_grad
from arenagrad.nn import MLP
from oracle import refused
from settled import settled_nodes


def recording() -> bool:
    return bool((Value(1.0) * 2.0)._prev)


# custom


def test_a_custom_node_is_swept_with_the_partials_it_was_given() -> None:
    x, y = Value(3.0), Value(4.0)
    node = custom(5.0, [x, y, x, 2.0], [0.5, 0.25, 1.0, 7.0], op="own")
    (node * 2.0).backward()
    assert (node.data, node._op, node._prev - {x, y} == set()) == (5.0, "own", False)
    assert (x.grad, y.grad) == (3.0, 0.5)
    x.data = 100.0
    node.backward()
    assert x.grad == 4.5
    assert custom(1.0, (z for z in [x]), np.array([2.0]))._op == "custom"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("a", [Value(1.0)], [1.0]), TypeError, "data must be a real number, got str"),
        ((1.0, ["a"], [1.0]), TypeError, "operands must be Values or real numbers, got str"),
        ((1.0, [None], [1.0]), TypeError, "operands must be Values or real numbers, got None"),
        ((1.0, 2.0, [1.0]), TypeError, "operands must be a list or tuple, got float"),
        ((1.0, Value(2.0), [1.0]), TypeError, "operands must be a list or tuple, got Value"),
        ((1.0, [Value(2.0)], 1.0), TypeError, "partials must be a list or tuple, got float"),
        ((1.0, [Value(1.0)], ["a"]), TypeError, "must be a real number, got str"),
        ((1.0, [Value(1.0)], [1.0, 2.0]), ValueError, "got 2 partials for 1 operands"),
        ((1.0, [Value(1.0)], [1.0], 3), TypeError, "op must be a str, got int"),
    ],
)
def test_wrong_parts_of_a_custom_node_are_refused(
    arguments: Any, error: type[Exception], message: str
) -> None:
    before = settled_nodes()
    with pytest.raises(error, match=message):
        custom(*arguments)
    assert ag.arena_info()["nodes"] == before


# no_grad


def one(v: Value) -> list[Value]:
    return [v * 2.0, v + v, v - 1.0, 1.0 / v, v**3, 2.0**v, -v, v**v, v**True, abs(v)]


WAYS: list[Callable[[Value], Any]] = [
    one,
    lambda v: [v.exp(), ag.maximum(v, 1.0), ag.hypot(v, v), v.leaky_relu(), ag.elu(v, 2.0)],
    lambda v: [ag.sum([v, 1.0]), ag.mean([v, v]), ag.prod([v, 2.0]), ag.dot([v], [2.0], 1.0)],
    lambda v: [*ag.softmax([v, 1.0]), *ag.log_softmax([v, 1.0]), ag.norm([v, 1.0])],
    lambda v: [ag.logsumexp([v, 1.0]), ag.where(v, v, 1.0), *ag.linear([[v], [2.0]], [v], [v, 1])],
    lambda v: [Value(2.0, (v,)), Value(2.0, (v,), (1.0,)), custom(1.0, [v], [2.0]), v.detach()],
    lambda v: list(np.array([v, v]) * np.array([v, 2.0])),
]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_record_gives_leaves_of_the_same_numbers(way: Callable[[Value], Any]) -> None:
    v = Value(1.5)
    want = [result.data for result in way(v)]
    settled_nodes()
    before = ag.arena_info()
    with no_grad():
        results = way(v)
        after = ag.arena_info()
    assert [result.data for result in results] == want
    assert all(result._prev == set() for result in results)
    assert after["nodes"] - before["nodes"] == len(results)
    assert after["edges"] == before["edges"]
    results[0].backward()
    assert v.grad == 0.0
    assert recording()


def test_layers_of_neurons_give_leaves_and_parameters_stay_what_they_are() -> None:
    model = MLP(3, [4, 1])
    want = model([1.0, 2.0, 3.0]).data
    with no_grad():
        out = model([1.0, 2.0, 3.0])
        first = out + 0.0
    assert (out.data, out._prev, first._prev) == (want, set(), set())
    assert first is not out


def test_blocks_nest_and_end_with_an_exception_too() -> None:
    with no_grad():
        with no_grad():
            assert not recording()
        assert not recording()
        with pytest.raises(ZeroDivisionError), no_grad():
            Value(0.0) ** -1
        assert not recording()
    assert recording()
    block = no_grad()
    for _ in range(2):
        with block:
            assert not recording()
    assert recording()


def test_a_decorated_function_records_nothing_even_if_it_calls_itself() -> None:
    @no_grad()
    def depth(n: int) -> list[bool]:
        return [recording(), *(depth(n - 1) if n else [])]

    assert depth(3) == [False] * 4
    assert depth.__name__ == "depth"
    assert recording()


def test_what_runs_when_its_call_has_returned_cannot_be_decorated() -> None:
    def generator(of: int = 1) -> Iterator[int]:
        yield of

    async def coroutine() -> None: ...

    async def both() -> AsyncIterator[int]:
        yield 1

    class Owner:
        def method(self) -> Iterator[int]:
            yield 1

    for function in (generator, coroutine, both, Owner.method, Owner().method):
        said = rf"cannot decorate {function.__name__}, a generator or coroutine: put `with no_grad"
        with pytest.raises(TypeError, match=said):
            no_grad()(function)
    with pytest.raises(TypeError, match="a generator or coroutine"):
        no_grad()(functools.partial(generator, 2))
    assert no_grad()(functools.partial(recording))() is False
    assert recording()


def test_a_block_that_was_not_entered_cannot_be_left() -> None:
    for step in (-1, 0, 2, -2, 2**31 - 1, -(2**31)):
        with pytest.raises(RuntimeError, match="left that had not been entered"):
            _core.no_grad_step(step)
        assert recording()
    with pytest.raises(RuntimeError, match="not been entered"):
        no_grad().__exit__()
    with no_grad():
        for step in (0, 2, -2):
            with pytest.raises(RuntimeError, match="not been entered"):
                _core.no_grad_step(step)
            assert not recording()
    assert recording()


def test_a_generator_leaves_the_block_when_it_ends_or_is_closed() -> None:
    def numbers() -> Iterator[bool]:
        with no_grad():
            yield recording()
            yield recording()

    assert list(numbers()) == [False, False]
    begun = numbers()
    assert not next(begun)
    begun.close()
    assert recording()


def test_a_block_is_of_its_own_thread_only() -> None:
    inside, proceed = threading.Event(), threading.Event()
    found: list[bool] = []

    def work() -> None:
        with no_grad():
            inside.set()
            proceed.wait(10)
            found.append(recording())
        found.append(recording())

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(10)
    x = Value(3.0)
    root = ag.sum([x * x, *ag.softmax([x, 1.0])])
    proceed.set()
    thread.join()
    root.backward()
    assert found == [False, True]
    assert x.grad == pytest.approx(6.0)


def test_memory_is_flat_though_each_result_comes_from_the_last_one() -> None:
    x, y = Value(1.0), Value(1.0)
    ag.collect()
    before, most = ag.arena_info()["nodes"], 0
    with no_grad():
        for i in range(1_500_000):
            x = x * 1.0000001
            if i % 3 == 0:
                y = ag.sum([x, y, 1.0])
            if i % 10_000 == 0:
                most = max(most, ag.arena_info()["nodes"])
    assert most - before < 600_000
    assert x._prev == y._prev == set()


def test_a_graph_from_before_the_block_is_swept_within_it() -> None:
    x = Value(3.0)
    root = x * x
    with no_grad():
        root.backward()
        same = +root
    assert x.grad == 6.0
    assert same is root
    assert root._prev == {x}


# zero_grad and detach


def test_zeroing_reaches_all_below_the_roots_and_nothing_else() -> None:
    x, other = Value(3.0), Value(4.0)
    parts = ag.softmax([x, other * 1.0])
    root = ag.dot(parts, [1.0, 2.0])
    above = root * other
    above.backward()
    ag.zero_grad(root)
    below = ag.topological_order(root)
    assert [node.grad for node in below] == [0.0] * len(below)
    assert above.grad == 1.0
    above.backward()
    ag.zero_grad([parts[0], x])
    assert (parts[0].grad, x.grad, other.grad) == (0.0, 0.0, 0.0)
    assert root.grad != 0.0
    ag.zero_grad(node for node in [root])
    ag.zero_grad(())
    assert root.grad == 0.0


def test_zeroing_what_is_no_value_changes_nothing() -> None:
    x = Value(3.0)
    x.grad = 5.0
    with pytest.raises(TypeError, match="number 1 is float"):
        ag.zero_grad([x, 1.0])
    with pytest.raises(TypeError, match="wants a Value or Values, got int"):
        ag.zero_grad(3)
    assert x.grad == 5.0


def test_arguments_that_are_missing_or_unknown_are_named() -> None:
    functions: Any = ag
    for name, wanted in (("zero_grad", "roots"), ("values", "array"), ("data_of", "nested")):
        function = getattr(functions, name)
        with refused(TypeError, f"{name}() needs the argument '{wanted}'"):
            function()
        with refused(TypeError, f"{name}() takes at most 1 arguments, got 2"):
            function([], [])
        with refused(TypeError, f"{name}() has no argument 'other'"):
            function(other=[])
        assert function(**{wanted: []}) is None or function([]).shape == (0,)
    with refused(TypeError, "grad_of() needs the argument 'nested'"):
        functions.grad_of()
    with refused(TypeError, "assign() needs the argument 'array'"):
        functions.assign([])


def test_a_detached_value_is_a_leaf_of_its_own() -> None:
    class Own(Value):
        pass

    x = Own(3.0)
    x.label = "x"
    y = (x * 2.0).detach()
    assert (y.data, y._prev, y._op, type(x.detach())) == (6.0, set(), "", Value)
    (y * x).backward()
    assert (x.grad, y.grad) == (6.0, 3.0)
    assert x.detach() is not x
    assert (x.label, x.detach().label) == ("x", "")
