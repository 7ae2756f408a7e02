"""micrograd's demonstration problem: two interleaved half circles, told apart by a small network.

The model, its loss and `step` are written over an nn module and a Value class handed in, so that
pure micrograd and arenagrad do exactly the same work; CompiledStep does what `step` does by
`arenagrad.compile`.
"""

import importlib
import random
from types import ModuleType
from typing import Any, NamedTuple

POINTS = 100
NOISE = 0.1
LAYERS = [16, 16, 1]
DECAY = 1e-4


class Problem(NamedTuple):
    """The data: the two coordinates of each point, and its label, 1 or -1."""

    points: list[list[float]]
    labels: list[int]


class Engine(NamedTuple):
    """Who computes: a name, a module with micrograd's MLP, and the Value class it is made of."""

    name: str
    nn: Any
    value: Any


def need(module: str) -> ModuleType:
    """Import a module that only the demonstration needs, and return it.

    Raises SystemExit with the command that installs it (exit code 1) if it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise SystemExit(
            f"arenagrad: {package} is not installed and this command needs it:\n"
            '    python -m pip install "arenagrad[demo]"'
        ) from None


def arenagrad_engine() -> Engine:
    """The Engine that is this package itself."""
    from arenagrad import nn
    from arenagrad.engine import Value

    return Engine("arenagrad", nn, Value)


def make_problem(seed: int) -> Problem:
    """The points and labels that the notebook draws after seeding NumPy with seed.

    Leaves NumPy's global generator where the notebook has it next. Raises SystemExit without
    scikit-learn.
    """
    numpy = need("numpy")
    datasets = need("sklearn.datasets")
    numpy.random.seed(seed)
    points, labels = datasets.make_moons(n_samples=POINTS, noise=NOISE)
    return Problem(points.tolist(), (labels * 2 - 1).tolist())


def make_model(engine: Engine, seed: int) -> Any:
    """The engine's MLP 2-16-16-1, with weights drawn after seeding `random` with seed."""
    random.seed(seed)
    return engine.nn.MLP(2, LAYERS)


def loss(engine: Engine, model: Any, problem: Problem) -> tuple[Any, float]:
    """The max-margin loss with decay of the weights, a Value, and the accuracy, 0 to 1."""
    inputs = [[engine.value(x) for x in point] for point in problem.points]
    scores = [model(row) for row in inputs]
    losses = [
        (1 + -label * score).relu() for label, score in zip(problem.labels, scores, strict=True)
    ]
    data_loss = sum(losses) * (1.0 / len(losses))
    total = data_loss + DECAY * sum(p * p for p in model.parameters())
    hits = sum(
        (label > 0) == (score.data > 0) for label, score in zip(problem.labels, scores, strict=True)
    )
    return total, hits / len(scores)


def step(engine: Engine, model: Any, problem: Problem, rate: float) -> tuple[float, float]:
    """One step of gradient descent on all points; the loss and accuracy from before it."""
    total, accuracy = loss(engine, model, problem)
    model.zero_grad()
    total.backward()
    for p in model.parameters():
        p.data -= rate * p.grad
    return total.data, accuracy


class CompiledStep:
    """`step` by compiled functions: the same numbers, up to rounding.

    The loss is a function of the model and of one point, and runs on all points as a batch. Raises
    SystemExit without NumPy. Cost of a step: some 0.2 ms, and a few milliseconds for the first.
    """

    def __init__(self, model: Any, problem: Problem) -> None:
        from arenagrad import compile

        numpy = need("numpy")
        self._model = model
        self._points = numpy.array(problem.points)
        self._labels = numpy.array(problem.labels, dtype=float)
        self._loss = compile(_loss_at, in_axes=(None, 0, 0), reduce="mean")
        self._scores = compile(lambda model, point: model(point), in_axes=(None, 0))
        self._gradients = numpy.empty(len(model.parameters()))

    def scores(self, points: Any) -> Any:
        """The model's score at each point, for an array of two columns. Cost: 1 us a point."""
        return self._scores(self._model, points)

    def accuracy(self) -> float:
        """The share of points on the side of their label, 0 to 1."""
        return float(((self.scores(self._points) > 0) == (self._labels > 0)).mean())

    def __call__(self, rate: float) -> tuple[float, float]:
        """One step of gradient descent on all points; the loss and accuracy from before it."""
        from arenagrad import assign, data_of

        accuracy = self.accuracy()
        loss, gradients = self._loss.value_and_grad(
            self._model, self._points, self._labels, out=self._gradients
        )
        parameters = self._model.parameters()
        assign(parameters, data_of(parameters) - rate * gradients)
        return loss, accuracy


def _loss_at(model: Any, point: Any, label: Any) -> Any:
    """The loss at one point; the decay is the same at each, and so is its mean."""
    return (1 - label * model(point)).relu() + DECAY * sum(p * p for p in model.parameters())
