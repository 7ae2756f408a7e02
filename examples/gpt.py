"""A GPT that learns to make up names, letter by letter. Every number in it is a Value.

    python -m pip install "arenagrad[examples]"
    python examples/gpt.py                                   # two thousand names, a few seconds
    python examples/gpt.py --data FILE --save model.npz      # names of your own, one a line
    python examples/gpt.py --resume model.npz --steps 1000   # go on where that ended
    python examples/gpt.py --hot plain                       # the same sums, written in operators

Read it from top to bottom: the data, the arithmetic in two versions, the model, its training, its
names, the file that keeps it all, the command line.
"""

import argparse
import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

import arenagrad
from arenagrad import Value, nn, optim

Vector = Sequence[Any]  # of Values
Matrix = Sequence[Vector]


# The data: names, and the letters they are made of.


class Alphabet:
    """The letters of some names as tokens 0, 1, 2, ... and one more token, the end of a name."""

    def __init__(self, names: Iterable[str]) -> None:
        self.letters = sorted(set("".join(names)))
        self.end = len(self.letters)
        self.size = self.end + 1

    def tokens(self, name: str) -> list[int]:
        """The name between two ends."""
        return [self.end, *map(self.letters.index, name), self.end]


def names_of_package() -> list[str]:
    """First names and their short forms, from the package nicknames."""
    try:
        from nicknames import name_triplets
    except ImportError:
        raise SystemExit(
            'no names to learn: python -m pip install "arenagrad[examples]", or --data FILE with '
            "one name a line"
        ) from None
    names = {name for triplet in name_triplets() for name in (triplet.name1, triplet.name2)}
    return sorted(name for name in names if name.isalpha())


def names_of_file(path: Path) -> list[str]:
    """The lines of a text file that are not empty, in lower case."""
    try:
        lines = path.read_text(encoding="utf-8-sig").lower().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SystemExit(f"{path} cannot be read as a text: {error}") from None
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise SystemExit(f"{path} holds no names: one a line is wanted")
    return names


# The arithmetic, where all the time goes, in two versions with the same meaning. The first is
# written in operators, a node for each of them. The second makes one node of a whole row.


class Plain:
    """What a GPT computes, in operators."""

    @staticmethod
    def dot(a: Vector, b: Vector) -> Any:
        """The sum of the products."""
        return sum(x * y for x, y in zip(a, b, strict=True))

    @classmethod
    def linear(cls, weights: Matrix, x: Vector) -> Vector:
        """A matrix times a vector."""
        return [cls.dot(row, x) for row in weights]

    @staticmethod
    def softmax(scores: Vector) -> Vector:
        """Positive weights that add up to 1, the larger the higher the score."""
        largest = max(score.data for score in scores)  # a number: it only keeps exp from overflow
        powers = [(score - largest).exp() for score in scores]
        total = sum(powers)
        return [power / total for power in powers]

    @classmethod
    def surprise(cls, logits: Vector, token: int) -> Any:
        """How unexpected the token was: minus the logarithm of its probability."""
        return -cls.softmax(logits)[token].log()


class Nary:
    """The same, in functions of any number of operands."""

    dot = staticmethod(arenagrad.dot)
    linear = staticmethod(arenagrad.linear)
    softmax = staticmethod(arenagrad.softmax)

    @staticmethod
    def surprise(logits: Vector, token: int) -> Any:
        """Minus the logarithm of the probability of the token."""
        return arenagrad.logsumexp(logits) - arenagrad.take(logits, token)


Arithmetic = type[Plain] | type[Nary]
HOT: dict[str, Arithmetic] = {"plain": Plain, "nary": Nary}


def add(a: Vector, b: Vector) -> Vector:
    """The sums, one by one."""
    return [x + y for x, y in zip(a, b, strict=True)]


# The model: each token becomes a vector, the layers add to it, and what comes out says how likely
# every token is to be the next.


@dataclass(frozen=True)
class Shape:
    """The sizes that define a model."""

    width: int = 16  # of the vector of a token
    heads: int = 4  # each looks back with its own part of the vector
    layers: int = 1
    context: int = 16  # the longest name, its end included


class GPT(nn.Module):
    """The parameters, by the names of their matrices, and what they make of a token."""

    def __init__(self, shape: Shape, tokens: int, draw: random.Random) -> None:
        self.shape = shape
        width = shape.width
        sizes = {"token": (tokens, width), "position": (shape.context, width)}
        for layer in range(shape.layers):
            sizes |= {f"{layer}.{name}": (width, width) for name in ("query", "key", "value")}
            sizes[f"{layer}.join"] = (width, width)
            sizes[f"{layer}.widen"] = (4 * width, width)
            sizes[f"{layer}.narrow"] = (width, 4 * width)
        sizes["output"] = (tokens, width)
        self.weights: dict[str, Matrix] = {
            name: [[Value(draw.gauss(0.0, 0.08)) for _ in range(columns)] for _ in range(rows)]
            for name, (rows, columns) in sizes.items()
        }

    def parameters(self) -> list[Value]:
        """All that training adjusts, in a fixed order."""
        return [*chain(*chain(*self.weights.values()))]

    def reader(self, hot: Arithmetic) -> Callable[[int], Vector]:
        """A function that is given the tokens of one name in turn.

        For each it returns the logits of what comes next: the logarithms, up to a constant, of how
        likely the model thinks each token.
        """
        weights = self.weights
        positions = iter(weights["position"])
        seen: list[tuple[list[Vector], list[Vector]]] = [([], []) for _ in range(self.shape.layers)]

        def read(token: int) -> Vector:
            x = add(arenagrad.take(weights["token"], token), next(positions))
            for layer, (keys, values) in enumerate(seen):

                def linear(name: str, x: Vector, layer: int = layer) -> Vector:
                    return hot.linear(weights[f"{layer}.{name}"], x)

                y = normalise(hot, x)
                keys.append(linear("key", y))
                values.append(linear("value", y))
                found = attend(hot, self.shape.heads, linear("query", y), keys, values)
                x = add(x, linear("join", found))
                hidden = [h.relu() for h in linear("widen", normalise(hot, x))]
                x = add(x, linear("narrow", hidden))
            return hot.linear(weights["output"], normalise(hot, x))

        return read


def attend(hot: Arithmetic, heads: int, query: Vector, keys: Matrix, values: Matrix) -> Vector:
    """The values of the tokens so far, mixed: the better a key fits the query, the more of them."""
    size = len(query) // heads
    mixed: list[Any] = []
    for start in range(0, len(query), size):
        part = slice(start, start + size)
        scaled = [q * size**-0.5 for q in query[part]]
        likely = hot.softmax(hot.linear([key[part] for key in keys], scaled))
        columns = list(zip(*(value[part] for value in values), strict=True))
        mixed += hot.linear(columns, likely)
    return mixed


def normalise(hot: Arithmetic, x: Vector) -> Vector:
    """The vector scaled to a mean square of 1."""
    scale = (hot.dot(x, x) / len(x) + 1e-5) ** -0.5
    return [element * scale for element in x]


def loss_of(model: GPT, hot: Arithmetic, tokens: list[int]) -> Any:
    """The mean surprise of the model as it reads the tokens."""
    read = model.reader(hot)
    found = [hot.surprise(read(token), following) for token, following in pairwise(tokens)]
    return sum(found) / len(found)


# The training: a name drawn, its loss differentiated, all parameters moved a little against it.


class Training:
    """A model on its way, and all that its next step depends on."""

    def __init__(self, names: list[str], shape: Shape, seed: int, hot: str) -> None:
        self.names, self.shape, self.hot = names, shape, hot
        self.arithmetic = HOT[hot]
        longest = max(names, key=len)
        if len(longest) >= shape.context:
            raise SystemExit(f"names may have {shape.context - 1} letters, but there is {longest}")
        self.alphabet = Alphabet(names)
        self.draw = random.Random(seed)
        self.model = GPT(shape, self.alphabet.size, self.draw)
        self.optimiser = optim.Adam(self.model.parameters(), lr=0.01, betas=(0.85, 0.99))
        self.schedule = optim.LambdaLR(self.optimiser, lambda step: (1 + step / 500) ** -0.5)

    def step(self) -> float:
        """Learn from one name; the loss from before."""
        tokens = self.alphabet.tokens(self.draw.choice(self.names))
        loss = loss_of(self.model, self.arithmetic, tokens)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.schedule.step()
        return float(loss.data)

    def sample(self, temperature: float) -> str:
        """A new name; the lower the temperature, the more like the most likely one."""
        read, end, name = self.model.reader(self.arithmetic), self.alphabet.end, ""
        token = end
        with arenagrad.no_grad():  # nothing is to be learnt from these, so no graph is kept
            while len(name) < self.shape.context - 1:
                logits = [logit / temperature for logit in read(token)]
                likely = [p.data for p in self.arithmetic.softmax(logits)]
                if not name:
                    likely[end] = 0.0  # one letter at least
                (token,) = self.draw.choices(range(self.alphabet.size), likely)
                if token == end:
                    break
                name += self.alphabet.letters[token]
        return name


# The file: one .npz with everything, so that a training goes on as if it had never stopped.


def save(training: Training, path: Path) -> None:
    """Write all of a training to a file."""
    optimiser = training.optimiser.state_dict()
    arrays: dict[str, Any] = {
        name: part for name, part in optimiser.items() if isinstance(part, np.ndarray)
    }
    rest = {
        "names": training.names,
        "shape": asdict(training.shape),
        "hot": training.hot,
        "draw": training.draw.getstate(),
        "optimiser": {name: part for name, part in optimiser.items() if name not in arrays},
        "schedule": training.schedule.state_dict(),
    }
    arrays["parameters"] = arenagrad.data_of(training.model.parameters())
    arrays["rest"] = np.array(json.dumps(rest))
    path = path.resolve()  # of a link the file that it leads to
    beside = path.with_name(f"{path.name}.part")  # a write that fails leaves the old file whole
    try:
        with beside.open("wb") as file:
            np.savez(file, **arrays)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


Kind = TypeVar("Kind", bound=Training)


def resume(path: Path, hot: str | None, kind: type[Kind]) -> Kind:
    """The training that was saved in a file, in the arithmetic it had unless another is named."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            arrays = dict(content)
        rest = json.loads(arrays.pop("rest").item())
        training = kind(rest["names"], Shape(**rest["shape"]), 0, hot or rest["hot"])
        arenagrad.assign(training.model.parameters(), arrays.pop("parameters"))
        training.optimiser.load_state_dict(rest["optimiser"] | arrays)
        training.schedule.load_state_dict(rest["schedule"])
        version, numbers, gauss = rest["draw"]
        training.draw.setstate((version, tuple(numbers), gauss))
        if not np.isfinite(arenagrad.data_of(training.model.parameters())).all():
            raise ValueError("a parameter is no number")
    except Exception as error:  # whatever zipfile, NumPy, json and the training find wrong
        raise SystemExit(f"{path} is no file that --save has written: {error}") from None
    return training


# The command line.


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description="A GPT on scalars that learns to make up names.")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--data", type=Path, metavar="FILE", help="names to learn, one a line")
    start.add_argument("--resume", type=Path, metavar="FILE", help="a file that --save has written")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the training there")
    parser.add_argument("--steps", type=whole, default=2000, metavar="N", help="names to read")
    parser.add_argument("--hot", choices=HOT, help="the arithmetic: nary, the default, or plain")
    parser.add_argument("--samples", type=whole, default=10, metavar="N", help="names to make up")
    parser.add_argument(
        "--temperature", type=warmth, default=0.6, metavar="T", help="how bold the names are"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of a new training")
    asked = parser.parse_args()
    if asked.save and not asked.save.parent.is_dir():
        parser.error(f"there is no folder {asked.save.parent} to save in")
    if asked.save and asked.save.exists() and not asked.save.is_file():
        parser.error(f"{asked.save} is there and no file")
    return asked


def whole(text: str) -> int:
    """A number of things."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a whole number from 0 on is wanted, not {text}")
    return int(text)


def warmth(text: str) -> float:
    """A number that logits can be divided by."""
    number = float(text)
    if not 0.01 <= number <= 100.0:
        raise argparse.ArgumentTypeError(f"a number from 0.01 to 100 is wanted, not {text}")
    return number


def main(kind: type[Kind]) -> Kind:
    """Train, save and make up names, in a training of this kind; the training."""
    asked = arguments()
    try:
        from tqdm import trange
    except ImportError:
        raise SystemExit('tqdm is missing: python -m pip install "arenagrad[examples]"') from None
    if asked.resume:
        training = resume(asked.resume, asked.hot, kind)
    else:
        names = names_of_file(asked.data) if asked.data else names_of_package()
        training = kind(names, Shape(), asked.seed, asked.hot or "nary")
    size = len(training.model.parameters())
    print(f"{len(training.names)} names, {training.alphabet.size} tokens, {size} parameters")

    loss = None
    with trange(asked.steps, unit="name", disable=asked.steps == 0) as bar:
        for _ in bar:
            latest = training.step()
            loss = latest if loss is None else 0.99 * loss + 0.01 * latest
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
    if loss is not None:
        print(f"after {training.optimiser.steps} names: loss {loss:.3f}")
    if asked.save:
        save(training, asked.save)
    for _ in range(asked.samples):
        print(training.sample(asked.temperature))
    return training


if __name__ == "__main__":
    main(Training)
