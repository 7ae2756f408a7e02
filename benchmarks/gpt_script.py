"""A small GPT that learns names letter by letter, written on scalars with plain operators.

One block of attention with HEADS heads and a two-layer network, on embeddings of WIDTH numbers.
The Value class comes as an argument: any with + - * / **, exp, log and relu will do. Written for
the reader, and to make a Value work as a script would: nothing is batched or spelled for speed.
"""

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

WIDTH = 16
HEADS = 4
HIDDEN = 56  # of the two-layer network
LETTERS = "abcdefghijklmnopqrstuvwxyz"
END = len(LETTERS)  # the token before a name and after it
CONTEXT = 16

Vector = list[Any]
Matrix = list[Vector]


class GPT:
    """The parameters, and how they turn a token into the logits of the next."""

    def __init__(self, value: Callable[[float], Any], seed: int) -> None:
        """Draw all parameters as objects of the class value."""
        draw = random.Random(seed)

        def matrix(rows: int, columns: int) -> Matrix:
            return [[value(draw.gauss(0.0, 0.1)) for _ in range(columns)] for _ in range(rows)]

        self.tokens = matrix(END + 1, WIDTH)
        self.positions = matrix(CONTEXT, WIDTH)
        self.query = matrix(WIDTH, WIDTH)
        self.key = matrix(WIDTH, WIDTH)
        self.read = matrix(WIDTH, WIDTH)
        self.mix = matrix(WIDTH, WIDTH)
        self.widen = matrix(HIDDEN, WIDTH)
        self.narrow = matrix(WIDTH, HIDDEN)
        self.output = matrix(END + 1, WIDTH)
        matrices = [self.tokens, self.positions, self.query, self.key, self.read, self.mix]
        matrices += [self.widen, self.narrow, self.output]
        self.parameters = [p for m in matrices for row in m for p in row]

    def logits(self, token: int, position: int, keys: Matrix, values: Matrix) -> Vector:
        """How likely each token is to come next.

        keys and values are those of the tokens before; this token's are appended.
        """
        x = add(self.tokens[token], self.positions[position])
        y = normalise(x)
        query = linear(self.query, y)
        keys.append(linear(self.key, y))
        values.append(linear(self.read, y))
        size = WIDTH // HEADS
        seen: Vector = []
        for start in range(0, WIDTH, size):
            part = slice(start, start + size)
            scores = [dot(query[part], key[part]) * size**-0.5 for key in keys]
            weights = self.softmax(scores)
            for column in range(start, start + size):
                seen.append(sum(w * v[column] for w, v in zip(weights, values, strict=True)))
        x = add(x, linear(self.mix, seen))
        hidden = [h.relu() ** 2 for h in linear(self.widen, normalise(x))]
        return linear(self.output, add(x, linear(self.narrow, hidden)))

    def softmax(self, scores: Vector) -> Vector:
        """Positive weights that add up to 1."""
        largest = max(score.data for score in scores)  # a number, no node: it prevents overflow
        powers = [(score - largest).exp() for score in scores]
        total = sum(powers)
        return [power / total for power in powers]


class Adam:
    """The optimiser, and its two running means for each parameter."""

    def __init__(self, parameters: Vector, rate: float = 0.01) -> None:
        """Start with means of zero."""
        self.parameters = parameters
        self.rate = rate
        self.means = [0.0] * len(parameters)
        self.squares = [0.0] * len(parameters)
        self.steps = 0

    def step(self) -> None:
        """Move each parameter against its gradient, which is set to zero."""
        self.steps += 1
        mean_scale = self.rate / (1.0 - 0.9**self.steps)
        square_scale = 1.0 / (1.0 - 0.99**self.steps)
        means, squares = self.means, self.squares
        for i, p in enumerate(self.parameters):
            g = p.grad
            means[i] = m = 0.9 * means[i] + 0.1 * g
            squares[i] = v = 0.99 * squares[i] + 0.01 * g * g
            p.data -= mean_scale * m / ((v * square_scale) ** 0.5 + 1e-8)
            p.grad = 0.0


def dot(a: Vector, b: Vector) -> Any:
    """The sum of the products."""
    return sum(x * y for x, y in zip(a, b, strict=True))


def add(a: Vector, b: Vector) -> Vector:
    """The sums, one by one."""
    return [x + y for x, y in zip(a, b, strict=True)]


def linear(weights: Matrix, x: Vector) -> Vector:
    """A matrix times a vector."""
    return [dot(row, x) for row in weights]


def normalise(x: Vector) -> Vector:
    """The vector scaled to a mean square of 1."""
    scale = (dot(x, x) / len(x) + 1e-5) ** -0.5
    return [element * scale for element in x]


def tokens_of(name: str) -> list[int]:
    """The name between two END tokens."""
    return [END, *map(LETTERS.index, name), END]


def loss(model: GPT, name: str) -> Any:
    """The mean of minus the logarithm of what the model thought of each next token."""
    tokens = tokens_of(name)
    keys: Matrix = []
    values: Matrix = []
    losses = []
    for position, (token, following) in enumerate(pairwise(tokens)):
        likely = model.softmax(model.logits(token, position, keys, values))
        losses.append(-likely[following].log())
    return sum(losses) * (1.0 / len(losses))


def step(model: GPT, optimiser: Adam, name: str) -> float:
    """Train on one name; the loss from before it."""
    total = loss(model, name)
    total.backward()
    optimiser.step()
    return float(total.data)
