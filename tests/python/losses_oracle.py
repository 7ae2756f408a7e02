"""What arenagrad.losses and torch.nn.functional are both asked to compute, and how.

A case is the name of a loss, predictions, targets and whether the targets get gradients too. The
answer to it is the losses in the three reductions and the gradients of their weighted sums.
"""

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

STORED = Path(__file__).parent / "references" / "losses.json"
REDUCTIONS = ("mean", "sum", "none")


class Case(NamedTuple):
    """One question."""

    loss: str
    predictions: Any
    targets: Any
    soft: bool = False  # the targets are leaves as well


_draw = random.Random(20)


def _uniform(low: float, high: float, *shape: int) -> Any:
    if not shape:
        return _draw.uniform(low, high)
    return [_uniform(low, high, *shape[1:]) for _ in range(shape[0])]


def _likely(rows: int, classes: int) -> list[list[float]]:
    """Rows that add up to 1."""
    drawn = _uniform(0.0, 1.0, rows, classes)
    return [[x / sum(row) for x in row] for row in drawn]


_EDGES = [0.0, 1.0, 1e-320, 1e-45, 1e-30, 1e-13, 1e-6, 1.0 - 1e-13, 1.0 - 1e-6, 0.5]
_FAR = [-800.0, -40.0, -1e-9, 0.0, 1e-9, 40.0, 800.0]

CASES = {
    "mse": Case("mse", _uniform(-2.0, 2.0, 7), _uniform(-2.0, 2.0, 7)),
    "mse of one": Case("mse", 1.5, -0.25, True),
    "mse, both sides": Case(
        "mse", _uniform(-2.0, 2.0, 2, 3, 2), _uniform(-9.0, 9.0, 2, 3, 2), True
    ),
    "classes, one row": Case("cross_entropy", _uniform(-3.0, 3.0, 5), 3),
    "classes": Case("cross_entropy", _uniform(-3.0, 3.0, 4, 6), [5, 0, 2, 2]),
    "classes, far logits": Case(
        "cross_entropy",
        [[1e6, 1e6 + 1.0, 1e6 - 2.0], [-700.0, 700.0, 0.0], [0.0, 800.0, 0.0]],
        [0, 0, 1],
    ),
    "class probabilities, one row": Case("cross_entropy", _uniform(-3.0, 3.0, 4), _likely(1, 4)[0]),
    "class probabilities": Case("cross_entropy", _uniform(-3.0, 3.0, 3, 5), _likely(3, 5), True),
    "binary": Case("binary_cross_entropy", _uniform(0.01, 0.99, 8), [0, 1, 1, 0, 1, 0, 0, 1]),
    "binary, soft targets": Case(
        "binary_cross_entropy", _uniform(0.01, 0.99, 2, 4), _uniform(0.0, 1.0, 2, 4), True
    ),
    "binary, edges at 0": Case("binary_cross_entropy", _EDGES, [0] * len(_EDGES)),
    "binary, edges at 1": Case("binary_cross_entropy", _EDGES, [1] * len(_EDGES)),
    "binary, edges between": Case("binary_cross_entropy", _EDGES, [0.25] * len(_EDGES)),
    "logits": Case("binary_cross_entropy_with_logits", _uniform(-4.0, 4.0, 6), [1, 0, 0, 1, 1, 0]),
    "logits, soft targets": Case(
        "binary_cross_entropy_with_logits", _uniform(-4.0, 4.0, 3, 2), _uniform(0, 1, 3, 2), True
    ),
    "far logits of 0": Case("binary_cross_entropy_with_logits", _FAR, [0] * len(_FAR)),
    "far logits of 1": Case("binary_cross_entropy_with_logits", _FAR, [1] * len(_FAR)),
    "far logits between": Case("binary_cross_entropy_with_logits", _FAR, [0.75] * len(_FAR), True),
    "hinge": Case("hinge", _uniform(-2.0, 2.0, 9), [1, -1, 1, 1, -1, -1, 1, -1, 1]),
    "hinge at the kink": Case("hinge", [1.0, -1.0, 0.0, 1.0], [1, -1, 1, -1]),
}

Answer = dict[str, list[float]]


def flat(nested: Any) -> list[Any]:
    """The elements of nested lists."""
    return [x for part in nested for x in flat(part)] if isinstance(nested, list) else [nested]


def weights(count: int) -> list[float]:
    """What each loss of a "none" counts in the sum that is differentiated."""
    return [1.0 / (1.0 + i) for i in range(count)]


def stored(name: str) -> Answer:
    """What torch answered when references/make_losses.py was run last."""
    found: Answer = json.loads(STORED.read_text(encoding="utf-8"))["answers"][name]
    return found


def same(ours: Answer, theirs: Answer) -> bool:
    """Whether all numbers agree to 1e-12."""
    assert ours.keys() == theirs.keys()
    return all(
        math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)
        for key in ours
        for a, b in zip(ours[key], theirs[key], strict=True)
    )


def _torch_loss(torch: Any, name: str) -> Callable[..., Any]:
    functional = torch.nn.functional

    def hinge(scores: Any, labels: Any, reduction: str) -> Any:
        losses = torch.relu(1.0 - labels * scores)
        return losses if reduction == "none" else getattr(losses, reduction)()

    losses: dict[str, Callable[..., Any]] = {"mse": functional.mse_loss, "hinge": hinge}
    return losses.get(name) or getattr(functional, name)


def torch_answer(torch: Any, case: Case) -> Answer:
    """A case under torch, in doubles."""
    answer: Answer = {}
    for reduction in REDUCTIONS:
        xs = torch.tensor(case.predictions, dtype=torch.float64, requires_grad=True)
        kind = torch.float64
        if case.loss == "cross_entropy" and all(isinstance(t, int) for t in flat(case.targets)):
            kind = torch.int64
        ts = torch.tensor(case.targets, dtype=kind, requires_grad=case.soft)
        found = _torch_loss(torch, case.loss)(xs, ts, reduction=reduction).reshape(-1)
        (found * torch.tensor(weights(len(found)), dtype=torch.float64)).sum().backward()
        answer[reduction] = found.tolist()
        answer[f"{reduction}: gradient"] = xs.grad.reshape(-1).tolist()
        if case.soft:
            answer[f"{reduction}: gradient of targets"] = ts.grad.reshape(-1).tolist()
    return answer
