"""arenagrad.nn beside micrograd.nn: the same draws, texts, graph and numbers."""

import itertools
import random
from collections.abc import Callable
from typing import Any

import micrograd.engine
import micrograd.nn
import numpy as np
import pytest

import arenagrad
from arenagrad import Value, nn
from oracle import shape_of

SHAPES = [(2, [16, 16, 1]), (3, [4, 4, 1]), (1, [1]), (3, [2]), (2, [3, 5]), (4, [4])]
Pair = tuple[Any, Any]  # the same thing twice: in micrograd, in arenagrad


def both(build: Callable[[Any, Any], Any], seed: int = 5) -> Pair:
    """What build(nn, Value) gives with micrograd and with arenagrad, from the same seed."""
    random.seed(seed)
    theirs = build(micrograd.nn, micrograd.engine.Value)
    random.seed(seed)
    return theirs, build(nn, Value)


def assert_same_graph(theirs: Any, ours: Any) -> None:
    """Both results, Values or lists of them, stand on graphs equal node for node."""
    theirs, ours = ([out] if not isinstance(out, list) else out for out in (theirs, ours))
    assert len(theirs) == len(ours)
    known: dict[Any, int] = {}
    assert shape_of(ours, known) == shape_of(theirs, known)
    for a, b in zip(theirs, ours, strict=True):
        assert float(a.data).hex() == b.data.hex()


@pytest.mark.parametrize(("nin", "nouts"), SHAPES)
def test_the_same_random_numbers_are_drawn_in_the_same_order(nin: int, nouts: list[int]) -> None:
    states = []

    def build(module: Any, _: Any) -> list[float]:
        drawn = [p.data for p in module.MLP(nin, nouts).parameters()]
        states.append(random.getstate())
        return drawn

    theirs, ours = both(build)
    assert theirs == ours
    assert states[0] == states[1], "neither draws more than the other"


@pytest.mark.parametrize(
    "build",
    [
        lambda m: m.Neuron(3),
        lambda m: m.Neuron(3, nonlin=False),
        lambda m: m.Neuron(0, False),
        lambda m: m.Layer(2, 3),
        lambda m: m.Layer(2, 1, nonlin=False),
        lambda m: m.Layer(2, 0),
        lambda m: m.MLP(2, [16, 16, 1]),
        lambda m: m.MLP(2, []),
    ],
)
def test_reprs_are_those_of_micrograd(build: Callable[[Any], Any]) -> None:
    theirs, ours = both(lambda module, _: repr(build(module)))
    assert theirs == ours


def test_attributes_are_those_of_micrograd() -> None:
    theirs, ours = both(lambda module, _: module.MLP(2, [3, 1]))
    assert vars(theirs).keys() == vars(ours).keys()
    for a, b in zip(theirs.layers, ours.layers, strict=True):
        assert vars(a).keys() == vars(b).keys()
        for p, q in zip(a.neurons, b.neurons, strict=True):
            assert vars(p).keys() == vars(q).keys()
            assert (len(p.w), p.nonlin, type(q.b)) == (len(q.w), q.nonlin, Value)
            assert q.parameters() == [*q.w, q.b]
    assert nn.Module().parameters() == []


INPUTS: dict[str, Callable[[Any, int], Any]] = {
    "floats": lambda value, n: [0.5 - i for i in range(n)],
    "integers": lambda value, n: tuple(range(-1, n - 1)),
    "values": lambda value, n: [value(1.5 - i) for i in range(n)],
    "one value several times": lambda value, n: [value(0.75)] * n,
    "a mixture": lambda value, n: [value(i + 0.5) if i % 2 else i - 0.5 for i in range(n)],
    "a NumPy row": lambda value, n: np.linspace(-1.0, 2.0, n),
    "a row of values": lambda value, n: np.array([value(i - 0.5) for i in range(n)]),
    "nothing": lambda value, n: [],
    "too few": lambda value, n: [0.25] * (n - 1),
    "too many": lambda value, n: [value(0.25) for _ in range(n + 2)],
    "dictionary keys": lambda value, n: {i - 0.5: None for i in range(n)},
    "an iterator": lambda value, n: iter([0.5 - i for i in range(n)]),
    "an endless iterator": lambda value, n: itertools.count(0.5),
}


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize(("nin", "nouts"), SHAPES)
def test_the_graph_is_that_of_micrograd_node_for_node(
    nin: int, nouts: list[int], kind: str
) -> None:
    theirs, ours = both(lambda module, value: module.MLP(nin, nouts)(INPUTS[kind](value, nin)))
    assert_same_graph(theirs, ours)


def test_graphs_are_those_of_micrograd_for_many_random_shapes() -> None:
    choose = random.Random(11)
    for seed in range(150):
        nin = choose.randint(0, 5)
        nouts = [choose.randint(1, 5) for _ in range(choose.randint(1, 3))]
        # The layers after one with a single output would have no list to work on.
        nouts = [max(n, 2) for n in nouts[:-1]] + nouts[-1:]
        x = [choose.uniform(-2, 2) for _ in range(choose.randint(0, 6))]
        as_value = [choose.random() < 0.5 for _ in x]

        def run(module: Any, value: Any, nin=nin, nouts=nouts, x=x, as_value=as_value) -> Any:
            row = [value(a) if wrap else a for a, wrap in zip(x, as_value, strict=True)]
            return module.MLP(nin, nouts)(row)

        assert_same_graph(*both(run, seed))


def test_a_row_of_single_precision_is_computed_in_doubles() -> None:
    row = np.linspace(-1.0, 2.0, 3, dtype=np.float32)
    theirs, ours = both(
        lambda module, _: module.MLP(3, [4, 1])(row if module is nn else row.tolist())
    )
    assert_same_graph(theirs, ours)


def test_adjoints_are_those_of_micrograd() -> None:
    def run(module: Any, value: Any) -> list[float]:
        model = module.MLP(3, [8, 8, 2])
        rows = [[value(a), b, value(a * b)] for a, b in ((0.5, -1.5), (2.0, 0.25), (-1.0, 3.0))]
        outputs = [out for row in rows for out in model(row)]
        loss = sum(out * out for out in outputs)
        loss.backward()
        inputs = [a for row in rows for a in row if isinstance(a, value)]
        return [float(p.grad) for p in [*model.parameters(), *inputs, *outputs]]

    theirs, ours = both(run)
    assert any(theirs)
    assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-15)


def test_training_follows_micrograd_step_for_step() -> None:
    def run(module: Any, value: Any) -> list[float]:
        model = module.MLP(2, [6, 1])
        history = []
        for k in range(20):
            scores = [model([value(a), value(1 - a)]) for a in (0.1, 0.4, 0.9)]
            loss = sum((score - k % 2) ** 2 for score in scores)
            model.zero_grad()
            loss.backward()
            for p in model.parameters():
                p.data -= 0.01 * p.grad
            history.append(loss.data)
        return history + [p.data for p in model.parameters()]

    theirs, ours = both(run)
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_zero_grad_resets_every_parameter() -> None:
    model = nn.MLP(2, [3, 1])
    model([1.0, 2.0]).backward()
    assert any(p.grad for p in model.parameters())
    model.zero_grad()
    assert [p.grad for p in model.parameters()] == [0.0] * len(model.parameters())


def test_one_output_comes_bare_and_others_in_a_list() -> None:
    assert isinstance(nn.Layer(2, 1)([1.0, 2.0]), Value)
    assert [type(out) for out in nn.Layer(2, 2)([1.0, 2.0])] == [Value, Value]
    assert nn.Layer(2, 0)([1.0, 2.0]) == []


def test_a_linear_neuron_without_terms_is_its_bias() -> None:
    neuron = nn.Neuron(0, nonlin=False)
    assert neuron([]) is neuron.b


@pytest.fixture
def native_calls(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """One entry for each native call made meanwhile: whether it did the work."""
    calls: list[bool] = []
    native = nn._core.layer

    def counting(*arguments: Any) -> Any:
        outputs = native(*arguments)
        calls.append(outputs is not None)
        return outputs

    monkeypatch.setattr(nn._core, "layer", counting)
    return calls


def test_each_layer_is_one_native_call(native_calls: list[bool]) -> None:
    model = nn.MLP(2, [16, 16, 1])
    model([1.0, Value(2.0)])
    assert native_calls == [True] * 3
    nn.Neuron(2)(np.array([1.0, 2.0]))
    assert native_calls == [True] * 4


def test_a_layer_honours_a_patched_neuron(
    monkeypatch: pytest.MonkeyPatch, native_calls: list[bool]
) -> None:
    monkeypatch.setattr(nn.Neuron, "__call__", lambda self, x: self.b + 7.0)
    assert [out.data for out in nn.Layer(2, 2)([1.0, 2.0])] == [7.0, 7.0]
    assert native_calls == []


@pytest.mark.parametrize("name", ["__add__", "__mul__", "relu"])
def test_a_layer_honours_an_operator_put_on_value(
    monkeypatch: pytest.MonkeyPatch, native_calls: list[bool], name: str
) -> None:
    original, seen = getattr(Value, name), []

    def noting(self: Value, *other: Any) -> Value:
        seen.append(name)
        return original(self, *other)

    layer = nn.Layer(2, 3)
    with monkeypatch.context() as patch:
        patch.setattr(Value, name, noting)
        layer([1.0, 2.0])
    assert len(seen) == (3 if name == "relu" else 6)
    assert native_calls == []
    layer([1.0, 2.0])
    assert native_calls == [True], "and is fast again once the original is back"


def test_a_layer_honours_neurons_of_a_subclass(native_calls: list[bool]) -> None:
    class Doubled(nn.Neuron):
        def __call__(self, x: Any) -> Value:
            return super().__call__(x) * 2

    layer = nn.Layer(2, 0)
    layer.neurons = [Doubled(2, nonlin=False), nn.Neuron(2, nonlin=False)]
    sums = [n.w[0].data + 2.0 * n.w[1].data for n in layer.neurons]
    assert [out.data for out in layer([1.0, 2.0])] == [2 * sums[0], sums[1]]
    # Refused for the layer, then made by each neuron for itself, the first through super().
    assert native_calls == [False, True, True]


def test_a_layer_honours_another_neuron_class_put_into_the_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Constant(nn.Module):
        def __init__(self, nin: int, **kwargs: Any) -> None:
            self.w, self.b, self.nonlin = [Value(1.0)] * nin, Value(0.0), True

        def __call__(self, x: Any) -> Value:
            return Value(3.0)

    monkeypatch.setattr(nn, "Neuron", Constant)
    assert [out.data for out in nn.Layer(2, 2)([1.0, 2.0])] == [3.0, 3.0]


def test_neurons_in_a_tuple_and_weights_that_are_numbers_go_through_plain_python() -> None:
    def run(module: Any, value: Any) -> Any:
        layer = module.Layer(2, 3)
        layer.neurons = tuple(layer.neurons)
        layer.neurons[1].w = [0.5, -0.25]
        layer.neurons[2].w = tuple(layer.neurons[2].w)
        return layer([1.0, value(2.0)])

    assert_same_graph(*both(run))


def test_reassigned_parameters_count_at_once() -> None:
    def run(module: Any, value: Any) -> Any:
        layer = module.Layer(2, 2)
        layer([1.0, 2.0])
        layer.neurons[0].w = [value(0.125)]
        layer.neurons[1].b, layer.neurons[1].nonlin = value(4.0), 0
        layer.neurons.append(module.Neuron(2))
        return layer([1.0, 2.0])

    assert_same_graph(*both(run))


def test_the_operands_are_the_parameters_and_inputs_themselves() -> None:
    layer, x = nn.Layer(2, 1), [Value(1.0), Value(2.0)]
    leaves = {node for node in arenagrad.topological_order(layer(x)) if not node._prev}
    assert leaves == {*layer.parameters(), *x}


@pytest.mark.parametrize("wrong", [None, "text", 1j, [1.0], np.ones(2)])
def test_an_input_that_is_no_real_number_is_a_type_error(wrong: object) -> None:
    handles = arenagrad.arena_info()["handles"]
    layer = nn.Layer(2, 2)
    with pytest.raises(TypeError, match="real number, got"):
        layer([1.0, wrong])
    del layer
    assert arenagrad.arena_info()["handles"] == handles


@pytest.mark.parametrize("wrong", [3.0, None, Value(1.0)])
@pytest.mark.parametrize("build", [lambda: nn.Neuron(1), lambda: nn.Layer(1, 2)])
def test_inputs_that_cannot_be_iterated_are_a_type_error(
    build: Callable[[], Any], wrong: Any
) -> None:
    with pytest.raises(TypeError, match=r"not iterable|must support iteration"):
        build()(wrong)


@pytest.mark.parametrize("place", ["w", "b", "x"])
def test_a_layer_honours_the_operators_of_a_subclass_of_value(place: str) -> None:
    def run(module: Any, value: Any) -> float:
        class Loud(value):  # type: ignore[misc]
            def __add__(self, other: Any) -> Any:
                return value(100.0)

            __mul__ = __rmul__ = __add__

        layer, x = module.Layer(1, 1), [value(1.0)]
        if place == "w":
            layer.neurons[0].w = [Loud(1.0)]
        elif place == "b":
            layer.neurons[0].b = Loud(1.0)
        else:
            x = [Loud(1.0)]
        return float(layer(x).data)

    theirs, ours = both(run)
    assert theirs == 100.0
    assert ours == theirs


def test_what_lies_beyond_the_last_weight_is_not_looked_at() -> None:
    theirs, ours = both(lambda module, _: module.Layer(2, 2)([1.0, 2.0, "a label"]))
    assert_same_graph(theirs, ours)
