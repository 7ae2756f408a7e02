"""The demonstration: micrograd's moons classifier, trained and drawn."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from arenagrad._cli import moons

Step: TypeAlias = Callable[[float], tuple[float, float]]  # of a rate, to loss and accuracy
Scores: TypeAlias = Callable[[Any], Any]  # of an array of points

_GRID = 140  # points of the picture's background along its longer side
_MARGIN = 0.45
_LOW, _HIGH = "#d1495b", "#00798c"  # the labels -1 and 1
_SHADES = ["#dd7a87", "#fbfaf5", "#4a9fad"]


def why_not_writable(out: str) -> str | None:
    """Why no file can be written at the path out, in words; None if one can be."""
    folder = os.path.dirname(out) or "."
    if os.path.isdir(out) or not os.path.basename(out):
        return f"{out!r} is a folder, not a file"
    if not os.path.isdir(folder):
        return f"there is no folder {folder!r}"
    if not os.access(out if os.path.exists(out) else folder, os.W_OK):
        return f"{out!r} cannot be written"
    return None


def main(seed: int, steps: int, out: str, compiled: bool = False) -> int:
    """Train for some steps, print each one, save the decision boundary as a PNG at out.

    compiled: by compiled functions, with the same numbers up to rounding. Returns the exit code.
    Raises SystemExit for a package that is missing, before training. Costs one or two ms a step, a
    third to a fifth of that if compiled, and a second for the imports and the picture.
    """
    tqdm = moons.need("tqdm").tqdm
    moons.need("matplotlib")
    engine = moons.arenagrad_engine()
    problem = moons.make_problem(seed)
    model = moons.make_model(engine, seed)
    print(model)
    print("number of parameters", len(model.parameters()))
    step: Step = partial(moons.step, engine, model, problem)
    scores: Scores = partial(_scores, model)
    if compiled:
        step = moons.CompiledStep(model, problem)
        scores = step.scores
    for k in tqdm(range(steps), desc="training", unit="step"):
        loss, accuracy = step(1.0 - 0.9 * k / steps)
        tqdm.write(f"step {k} loss {loss}, accuracy {accuracy * 100:.1f}%")

    _, accuracy = moons.loss(engine, model, problem)
    try:
        draw(scores, problem, f"moons after {steps} steps: accuracy {accuracy * 100:.1f}%", out)
    except OSError as error:
        raise SystemExit(f"arenagrad: the picture could not be saved: {error}") from error
    print("decision boundary saved to", os.path.abspath(out))
    return 0


def _scores(model: Any, points: Any) -> Any:
    """The model's score at each point, for an array of two columns."""
    return [model(point).data for point in points.tolist()]


def draw(scores: Scores, problem: moons.Problem, title: str, out: str) -> None:
    """Save a PNG at out: the model's score as colour, where it is zero as a line, the points.

    Raises OSError if the file cannot be written, SystemExit without matplotlib.
    """
    matplotlib = moons.need("matplotlib")
    matplotlib.use("Agg")
    numpy = moons.need("numpy")
    figures = moons.need("matplotlib.figure")
    colors = moons.need("matplotlib.colors")

    points = numpy.array(problem.points)
    labels = numpy.array(problem.labels)
    low = points.min(axis=0) - _MARGIN
    high = points.max(axis=0) + _MARGIN
    counts = numpy.ceil(_GRID * (high - low) / (high - low).max()).astype(int)
    x = numpy.linspace(low[0], high[0], counts[0])
    y = numpy.linspace(low[1], high[1], counts[1])
    grid = numpy.stack(numpy.meshgrid(x, y), axis=-1)
    height = numpy.reshape(scores(grid.reshape(-1, 2)), grid.shape[:2])

    # Symmetric about zero, so that the two colours meet on the boundary.
    most = max(float(numpy.quantile(numpy.abs(height), 0.9)), 1e-9)
    levels = numpy.linspace(-most, most, 25)
    shades = colors.LinearSegmentedColormap.from_list("moons", _SHADES)
    figure = figures.Figure(figsize=(7.2, 5.0), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.contourf(x, y, height, levels=levels, cmap=shades, extend="both")
    if height.min() < 0.0 < height.max():
        axes.contour(x, y, height, levels=[0.0], colors="#22303c", linewidths=1.8)
    for label, color in ((-1, _LOW), (1, _HIGH)):
        chosen = points[labels == label]
        axes.scatter(
            chosen[:, 0],
            chosen[:, 1],
            s=38,
            color=color,
            edgecolors="white",
            linewidths=0.9,
            label=f"label {label}",
            zorder=3,
        )
    axes.set_title(title)
    axes.set_xlabel("x")
    axes.set_ylabel("y")
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(y[0], y[-1])
    axes.set_aspect("equal")
    axes.legend(loc="upper right", framealpha=0.9)
    figure.savefig(out, format="png")
