"""The GPT of gpt.py, compiled: the same names in the same order, the same losses, far sooner.

    python examples/gpt_compiled.py   # takes what gpt.py takes, but for --hot plain

`arenagrad.compile` runs the loss of gpt.py once for each length of names and keeps what it did as a
program; which letters a name has is given to the program as numbers, of which `take` makes rows of
the table and the logits to be raised. The files that --save writes are gpt.py's own.
"""

import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

import arenagrad

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # from wherever this is run

from examples import gpt


class CompiledTraining(gpt.Training):
    """A training whose step runs a program; the model, the optimiser and the draws are gpt.py's."""

    def __init__(self, names: list[str], shape: gpt.Shape, seed: int, hot: str) -> None:
        if hot != "nary":
            raise SystemExit(
                "what is compiled is written in functions of many operands: --hot nary"
            )
        super().__init__(names, shape, seed, hot)
        self.loss = arenagrad.compile(self.loss_of)
        self.gradient = np.empty(len(self.model.parameters()))
        self.lengths: set[int] = set()  # of which there is a program

    def loss_of(self, model: gpt.GPT, tokens: Any) -> Any:
        """What is compiled: it is run on Values in place of the tokens."""
        self.lengths.add(len(tokens))
        return gpt.loss_of(model, self.arithmetic, tokens)

    def step(self) -> float:
        """Learn from one name; the loss from before."""
        tokens = np.array(self.alphabet.tokens(self.draw.choice(self.names)))
        loss, gradient = self.loss.value_and_grad(self.model, tokens, out=self.gradient)
        arenagrad.assign(self.optimiser.params, gradient, to="grad")
        self.optimiser.step()
        self.schedule.step()
        return float(loss)


def rates(training: CompiledTraining, names: int = 50) -> tuple[float, float]:
    """Names a second, compiled and as gpt.py does it, in the median over the same names."""
    state = training.draw.getstate()

    def rate(step: Callable[[], float]) -> float:
        training.draw.setstate(state)
        times = [perf_counter()]
        for _ in range(names):
            step()
            times.append(perf_counter())
        return 1 / median(end - start for start, end in pairwise(times))

    rate(training.step)  # whatever length has no program yet gets one
    return rate(training.step), rate(partial(gpt.Training.step, training))


if __name__ == "__main__":
    training = gpt.main(CompiledTraining)
    compiled, recorded = rates(training)
    print(
        f"{len(training.lengths)} programs, one for each length: {compiled:,.0f} names a second, "
        f"{compiled / recorded:.1f} times as many as where each is recorded anew, {recorded:,.0f}"
    )
