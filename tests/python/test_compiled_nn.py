"""Modules in compiled functions: as arguments, as the function itself, and in its closure."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import arenagrad
from arenagrad import compile, data_of, grad_of, nn
from arenagrad._cli import moons

MODULES: dict[str, Callable[[], Any]] = {
    "neuron": lambda: nn.Neuron(3),
    "linear neuron": lambda: nn.Neuron(3, nonlin=False),
    "layer": lambda: nn.Layer(3, 4),
    "layer of one": lambda: nn.Layer(3, 1),
    "mlp": lambda: nn.MLP(3, [5, 4, 2]),
    "mlp of one output": lambda: nn.MLP(3, [5, 1]),
}
ROWS = [[0.5, -1.25, 2.0], [-0.1, 0.3, -0.7], [0.0, 0.0, 0.0]]


@pytest.fixture(params=MODULES)
def module(request: pytest.FixtureRequest) -> Any:
    """A Module of each kind, with biases that are not 0."""
    random.seed(5)
    made = MODULES[request.param]()
    for parameter in made.parameters():
        parameter.data += random.gauss(0.0, 0.1)
    return made


def total(module: Any, x: Any) -> Any:
    """A number of all outputs."""
    outputs = module(x)
    return outputs.square() if isinstance(outputs, arenagrad.Value) else arenagrad.norm(outputs)


def eager_gradient(module: Any, x: Any) -> tuple[float, list[float]]:
    """The number of all outputs and its gradient by the parameters."""
    module.zero_grad()
    result = total(module, x)
    result.backward()
    return result.data, grad_of(module.parameters()).tolist()


def test_a_module_is_an_argument_like_another(module: Any) -> None:
    for strict in (False, True):
        run = compile(lambda m, x: m(x), strict=strict)
        for row in ROWS:
            assert np.allclose(run(module, row), data_of(module(row)), rtol=1e-14, atol=1e-15)
            if strict:
                assert np.array_equal(run(module, row), data_of(module(row)))


def test_a_module_is_a_function_that_can_be_compiled(module: Any) -> None:
    run = compile(module)
    for row in ROWS:
        for x in (row, np.array(row)):
            assert np.allclose(run(x), data_of(module(x)), rtol=1e-14, atol=1e-15)
    assert run.program(ROWS[0]).stats["closure"] == len(module.parameters())


def test_the_parameters_of_a_closure_are_read_anew_at_each_call(module: Any) -> None:
    run = compile(module)
    before = run(ROWS[0])
    parameters = module.parameters()
    arenagrad.assign(parameters, data_of(parameters) * 1.5 + 0.25)
    after = run(ROWS[0])
    assert not np.allclose(before, after)
    assert np.allclose(after, data_of(module(ROWS[0])), rtol=1e-14, atol=1e-15)
    assert run.program(ROWS[0]).stats["guards"] == 0


def test_each_module_has_a_program_of_its_own_whatever_its_parameters_become() -> None:
    traced = []

    @compile
    def run(m: Any, x: Any) -> Any:
        traced.append(m)
        return m(x)

    models = [nn.MLP(3, [4, 1]) for _ in range(2)]
    for scale in (1.0, -0.5):
        for model in models:
            parameters = model.parameters()
            arenagrad.assign(parameters, data_of(parameters) * scale)
            assert run(model, ROWS[0]) == pytest.approx(model(ROWS[0]).data, rel=1e-13)
    assert traced == models


@pytest.mark.parametrize("kind", [np.array, list])
def test_parameters_are_read_once_a_call_however_many_programs_there_are(
    kind: Callable[[list[float]], Any],
) -> None:
    class Counting(nn.MLP):
        reads = 0

        def parameters(self) -> Any:
            self.reads += 1
            return super().parameters()

    model = Counting(3, [4, 1])
    run = compile(lambda m, x, scale: m(x[-3:]) * scale)
    inputs = [kind([9.0] * k + ROWS[0]) for k in range(5)]
    for x in inputs:
        run(model, x, 2.0)
    expected = 2.0 * model(ROWS[0]).data
    for x in inputs * 3:
        before = model.reads
        assert run(model, x, 2.0) == pytest.approx(expected, rel=1e-13)
        assert model.reads == before + 1


def test_the_gradient_by_a_module_is_a_list_in_the_order_of_its_parameters(module: Any) -> None:
    run = compile(total)
    for row in ROWS[:2]:
        value, gradient = run.value_and_grad(module, row)
        expected, expected_gradient = eager_gradient(module, row)
        assert value == pytest.approx(expected, rel=1e-13)
        assert gradient == pytest.approx(expected_gradient, rel=1e-12, abs=1e-14)


def test_the_gradient_by_a_module_goes_into_one_array_where_that_is_asked_for(module: Any) -> None:
    run, gradient = compile(total), np.full(len(module.parameters()), np.nan)
    _, written = run.value_and_grad(module, ROWS[0], out=gradient)
    assert written is gradient
    assert gradient.tolist() == pytest.approx(
        eager_gradient(module, ROWS[0])[1], rel=1e-12, abs=1e-14
    )


def test_a_batch_runs_through_one_module(module: Any) -> None:
    run = compile(total, in_axes=(None, 0), reduce="mean")
    value, gradient = run.value_and_grad(module, np.array(ROWS[:2]))
    each = [eager_gradient(module, row) for row in ROWS[:2]]
    assert value == pytest.approx(sum(value for value, _ in each) / 2, rel=1e-13)
    expected = np.mean([gradient for _, gradient in each], axis=0)
    assert gradient == pytest.approx(expected, rel=1e-12, abs=1e-14)


def test_a_module_in_plain_python_compiles_too() -> None:
    class Slow(nn.Neuron):
        def __call__(self, x: Any) -> Any:
            total = self.b
            for w, operand in zip(self.w, x, strict=True):
                total = total + w * operand
            return total.tanh()

    layer = nn.Layer(3, 0)
    layer.neurons = [Slow(3) for _ in range(2)]
    result = compile(lambda m, x: m(x))(layer, ROWS[0])
    assert result == pytest.approx(data_of(layer(ROWS[0])).tolist(), rel=1e-14)


@pytest.mark.slow
def test_the_compiled_moons_step_has_the_losses_and_accuracies_of_the_eager_one() -> None:
    engine, problem = moons.arenagrad_engine(), moons.make_problem(3)
    eager, compiled = (moons.make_model(engine, 3) for _ in range(2))
    step = moons.CompiledStep(compiled, problem)
    for k in range(8):
        rate = 1.0 - 0.1 * k
        loss, accuracy = step(rate)
        expected, expected_accuracy = moons.step(engine, eager, problem, rate)
        assert loss == pytest.approx(expected, rel=1e-9)
        assert accuracy == expected_accuracy
    numbers = [data_of(model.parameters()).tolist() for model in (compiled, eager)]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-9, abs=1e-12)


def test_the_compiled_moons_step_gives_scores_of_any_points() -> None:
    engine, problem = moons.arenagrad_engine(), moons.make_problem(3)
    model = moons.make_model(engine, 3)
    step, points = moons.CompiledStep(model, problem), np.array(ROWS)[:, :2]
    step(1.0)
    assert step.scores(points) == pytest.approx([model(row).data for row in points.tolist()])
    labels = np.array(problem.labels) > 0
    hits = [model(row).data > 0 for row in problem.points] == labels
    assert step.accuracy() == hits.mean()
