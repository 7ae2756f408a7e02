"""One moons training step, timed here and in pure micrograd, side by side in one process."""

import gc
import importlib
import math
import platform
import sysconfig
from collections.abc import Callable
from statistics import median
from time import perf_counter

from arenagrad import __version__
from arenagrad._cli import info, moons

_SEED = 1337
_RATE = 0.1
_OUR_STEPS = 20  # in each round: one alone is too short to time well
_LOSS_TOLERANCE = 1e-12
_GRADIENT_TOLERANCE = 1e-9


def micrograd_engine() -> moons.Engine | None:
    """The pure-Python micrograd as an Engine, or None where it is not installed."""
    try:
        nn = importlib.import_module("micrograd.nn")
        engine = importlib.import_module("micrograd.engine")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "micrograd":
            raise
        return None
    return moons.Engine("micrograd", nn, engine.Value)


def check(ours: moons.Engine, theirs: moons.Engine, problem: moons.Problem) -> str:
    """Prove that both engines compute the same step, and return how well they agree, in words.

    Raises SystemExit, saying where, if the losses differ by more than 1e-12 or a gradient by
    more than 1e-9 of itself.
    """
    losses, gradients = [], []
    for engine in (ours, theirs):
        model = moons.make_model(engine, _SEED)
        total, _ = moons.loss(engine, model, problem)
        total.backward()
        losses.append(float(total.data))
        gradients.append([float(p.grad) for p in model.parameters()])
    if abs(losses[0] - losses[1]) > _LOSS_TOLERANCE:
        raise SystemExit(f"arenagrad: the losses differ: {losses[0]!r} and {losses[1]!r}")
    worst = 0.0
    for i, (a, b) in enumerate(zip(*gradients, strict=True)):
        if not math.isclose(a, b, rel_tol=_GRADIENT_TOLERANCE, abs_tol=1e-15):
            raise SystemExit(f"arenagrad: gradient {i} differs: {a!r} and {b!r}")
        worst = max(worst, abs(a - b) / max(abs(a), abs(b), 1e-15))
    return (
        f"loss {losses[0]!r} in both, difference {abs(losses[0] - losses[1]):.1e}; "
        f"{len(gradients[0])} gradients, largest relative difference {worst:.1e}"
    )


def seconds(step: Callable[[], object], repeats: int, collector: bool) -> list[float]:
    """The times of some calls of step, with Python's cyclic collector on or off.

    Garbage from before is collected first, so that no run pays for another's.
    """
    was_enabled = gc.isenabled()
    gc.collect()
    (gc.enable if collector else gc.disable)()
    try:
        times = []
        for _ in range(repeats):
            start = perf_counter()
            step()
            times.append(perf_counter() - start)
        return times
    finally:
        (gc.enable if was_enabled else gc.disable)()
        gc.collect()


def _stepper(engine: moons.Engine, problem: moons.Problem) -> Callable[[], object]:
    model = moons.make_model(engine, _SEED)
    return lambda: moons.step(engine, model, problem, _RATE)


def _setting(rounds: int) -> str:
    rows: dict[str, object] = {
        "CPU": info.cpu_name(),
        "platform": platform.platform(),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "arenagrad": __version__,
        "micrograd": info.version_of("micrograd"),
        "numpy": info.version_of("numpy"),
        "CONFIG_ARGS": sysconfig.get_config_var("CONFIG_ARGS") or "unknown",
        "rounds": f"{rounds}, in turn, one thread; the figures are medians",
    }
    return info.table("setting", rows)


def main(rounds: int) -> int:
    """Time the step in that many rounds, print times and ratios, and return the exit code.

    Raises SystemExit without scikit-learn, and if the two engines disagree. Costs 2 to 4 seconds
    a round, nearly all of it micrograd's.
    """
    ours = moons.arenagrad_engine()
    theirs = micrograd_engine()
    problem = moons.make_problem(_SEED)
    our_step = _stepper(ours, problem)
    seconds(our_step, 3, True)  # warm up
    rows = {"arenagrad": (our_step, _OUR_STEPS, True)}
    print(_setting(rounds))
    print()
    if theirs is not None:
        print("checked:", check(ours, theirs, problem))
        print()
        their_step = _stepper(theirs, problem)
        rows["micrograd, cyclic gc on (default)"] = (their_step, 1, True)
        rows["micrograd, cyclic gc off"] = (their_step, 1, False)

    times: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, (step, repeats, collector) in rows.items():
            times[name] += seconds(step, repeats, collector)

    width = max(map(len, rows))
    our_time = median(times["arenagrad"])
    print("moons training step: forward, backward, update of 100 points, MLP 2-16-16-1")
    for name, measured in times.items():
        time = median(measured)
        ratio = "" if name == "arenagrad" else f"  {time / our_time:7.1f} times ours"
        print(f"  {name:<{width}}  {time * 1e3:9.3f} ms{ratio}", flush=True)
    if theirs is None:
        print()
        print("micrograd is not installed, so there is nothing to compare with. To get it:")
        print("    python -m pip install micrograd")
    return 0
