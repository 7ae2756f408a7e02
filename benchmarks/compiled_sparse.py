"""A sparse Jacobian of a bundle adjustment at one point: its structure is kept between calls."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

import arenagrad
from benchmarks.compiled_peers import Array, check, faster, on_processor, one_processor, peer
from benchmarks.measure import Row, in_turn

_LIMITS = {"casadi": 1.0, "jax, blocks of each observation": 1.0}
_CAMERA = 11  # rotation, centre, focal length, principal point, two of radial distortion
Found = tuple[Callable[[], object] | None, str]


class Adjustment:
    """Cameras that see points, with a weight for each observation."""

    def __init__(self, cameras: int, points: int, observations: int) -> None:
        random = np.random.default_rng(1)
        self.cameras: Array = random.normal(size=(cameras, _CAMERA)) * 0.1
        self.cameras[:, 5] -= 5.0
        self.cameras[:, 6] += 1.0
        self.points: Array = random.normal(size=(points, 3))
        self.weights: Array = random.uniform(0.5, 1.5, observations)
        self.seen: Array = random.normal(size=(observations, 2))
        self.camera = random.integers(0, cameras, observations)
        self.point = random.integers(0, points, observations)


def residual(functions: Any, c: Any, x: Any, weight: Any, seen: Any) -> Sequence[Any]:
    """How far from where it is seen a camera sees a point, by functions sqrt, sin and cos."""
    angle = functions.sqrt(c[0] * c[0] + c[1] * c[1] + c[2] * c[2])
    cosine, sine = functions.cos(angle), functions.sin(angle)
    v = [c[0] / angle, c[1] / angle, c[2] / angle]
    y = [x[0] - c[3], x[1] - c[4], x[2] - c[5]]
    along = (v[0] * y[0] + v[1] * y[1] + v[2] * y[2]) * (1.0 - cosine)
    cross = [v[1] * y[2] - v[2] * y[1], v[2] * y[0] - v[0] * y[2], v[0] * y[1] - v[1] * y[0]]
    turned = [y[k] * cosine + cross[k] * sine + v[k] * along for k in range(3)]
    a, b = turned[0] / turned[2], turned[1] / turned[2]
    square = a * a + b * b
    scale = (1.0 + c[9] * square + c[10] * square * square) * c[6]
    return weight * (a * scale + c[7] - seen[0]), weight * (b * scale + c[8] - seen[1])


def ours(problem: Adjustment) -> tuple[Callable[[], object], Any]:
    """A call, and the matrix that it gives."""

    def residuals(cameras: Any, points: Any, weights: Any) -> list[Any]:
        found: list[Any] = []
        for k, (i, j) in enumerate(zip(problem.camera, problem.point, strict=True)):
            seen = problem.seen[k].tolist()
            found += residual(arenagrad, cameras[i], points[j], weights[k], seen)
        return found

    function: Any = arenagrad.compile(residuals)
    call = partial(
        function.jacobian,
        *(problem.cameras, problem.points, problem.weights),
        argnums=(0, 1, 2),
        sparse=True,
    )
    return call, call()


def _casadi(problem: Adjustment, answer: Any) -> Found:
    casadi = peer("casadi")
    if casadi is None:
        return None, "casadi is not installed"
    sizes = problem.cameras.size, problem.points.size, problem.weights.size
    c, x, w = (casadi.SX.sym(name, size) for name, size in zip("cxw", sizes, strict=True))
    found: list[Any] = []
    for k, (i, j) in enumerate(zip(problem.camera, problem.point, strict=True)):
        camera = [c[int(i) * _CAMERA + n] for n in range(_CAMERA)]
        point = [x[int(j) * 3 + n] for n in range(3)]
        found += residual(casadi, camera, point, w[k], problem.seen[k].tolist())
    whole = casadi.jacobian(casadi.vertcat(*found), casadi.vertcat(c, x, w))
    function = casadi.Function("f", [c, x, w], [whole])
    given = problem.cameras.ravel(), problem.points.ravel(), problem.weights
    check("casadi", [answer.toarray()], [function(*given).sparse().toarray()])
    return partial(function, *given), ""


def _jax(problem: Adjustment, answer: Any) -> Found:
    jax = peer("jax")
    if jax is None:
        return None, "jax is not installed"
    jax.config.update("jax_enable_x64", True)

    def one(camera: Any, point: Any, weight: Any, seen: Any) -> Any:
        return jax.numpy.stack(residual(jax.numpy, camera, point, weight, seen))

    each = jax.vmap(jax.jacfwd(one, argnums=(0, 1, 2)))
    blocks = jax.jit(lambda c, x, w: each(c[problem.camera], x[problem.point], w, problem.seen))
    given = [jax.numpy.asarray(a) for a in (problem.cameras, problem.points, problem.weights)]

    def call() -> Any:
        return jax.block_until_ready(blocks(*given))

    rows = answer.toarray().reshape(len(problem.seen), 2, -1)
    of_cameras = np.zeros((len(rows), 2, _CAMERA))
    for k, i in enumerate(problem.camera):
        of_cameras[k] = rows[k, :, i * _CAMERA : (i + 1) * _CAMERA]
    check("jax", [of_cameras], [call()[0]])
    return call, ""


def rows(full: bool) -> list[Row]:
    """The call beside casadi, which gives a matrix, and jax, which gives blocks, in turn."""
    with one_processor():
        problem = Adjustment(10, 120, 949)
        call, answer = ours(problem)
        peers = {"casadi": _casadi(problem, answer)}
        peers["jax, blocks of each observation"] = _jax(problem, answer)
        there = {name: side for name, (side, _) in peers.items() if side is not None}
        sides = [on_processor(side, 40) for side in (call, *there.values())]
        own, *others = in_turn(31 if full else 7, *sides)
    times = dict(zip(there, others, strict=True))
    what = f"compiled: sparse Jacobian of a bundle adjustment, {len(problem.seen)} observations"
    return [
        faster(f"{what}, {name}", own, times.get(name), why, _LIMITS[name])
        for name, (_, why) in peers.items()
    ]
