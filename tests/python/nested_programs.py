"""Runs random derivatives inside functions, and says where they differ from mpmath.

    python tests/python/nested_programs.py --count 2000 --seed 0

A program is a tree of derivatives: at each level a function of some variables, made of operations
within their domains, of rules of its own, of solutions of equations, of branches, of what lies
around it, and of derivatives of further functions inside it. mpmath's numbers of 40 digits go
through the same tree as dual numbers, with an infinitesimal for each derivative that no other is
confused with. Each program runs on floats, on Values, in a compiled function, with strict=True,
with the functions of the package, and in rows, and its own gradient by `backward()` and by `grad`
is compared, too.
"""

import argparse
import random
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import mpmath
import numpy as np

import arenagrad as ag
from arenagrad import Value

TOLERANCE = 1e-9
DIGITS = 40
ARGUMENTS = 2  # of each program


class Dual:
    """A number and its tangent in one infinitesimal, each of any kind: nested for higher orders.

    Operations work on the infinitesimal that was made last, so that none is confused with another.
    """

    made = 0

    def __init__(self, tag: int, real: Any, tangent: Any) -> None:
        self.tag, self.real, self.tangent = tag, real, tangent

    @classmethod
    def new_tag(cls) -> int:
        """An infinitesimal that is like no other."""
        cls.made += 1
        return cls.made

    def __add__(self, other: Any) -> Any:
        return lifted(lambda a, b: a + b, lambda a, b: (1, 1), self, other)

    def __mul__(self, other: Any) -> Any:
        return lifted(lambda a, b: a * b, lambda a, b: (b, a), self, other)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Any:
        return self * -1

    def __sub__(self, other: Any) -> Any:
        return self + (-other)

    def __rsub__(self, other: Any) -> Any:
        return (-self) + other

    def __truediv__(self, other: Any) -> Any:
        return lifted(lambda a, b: a / b, lambda a, b: (1 / b, -a / (b * b)), self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return lifted(lambda a, b: a / b, lambda a, b: (1 / b, -a / (b * b)), other, self)

    def __pow__(self, k: int) -> Any:
        if k == 0:  # at 0, too, where the rule would divide
            return mpmath.mpf(1)
        return lifted(lambda a: a**k, lambda a: (k * a ** (k - 1),), self)


def tag_of(x: Any) -> int:
    """The last infinitesimal in a number, 0 if there is none."""
    return x.tag if isinstance(x, Dual) else 0


def tangent_of(x: Any, tag: int) -> Any:
    """What a number has of an infinitesimal."""
    return x.tangent if tag_of(x) == tag else mpmath.mpf(0)


def lifted(rule: Callable[..., Any], partials: Callable[..., Any], *operands: Any) -> Any:
    """A rule and its partials on numbers, whatever infinitesimals these have."""
    tag = max(map(tag_of, operands))
    if tag == 0:
        return rule(*operands)
    reals = [x.real if tag_of(x) == tag else x for x in operands]
    tangent: Any = mpmath.mpf(0)
    for x, partial in zip(operands, partials(*reals), strict=True):
        if tag_of(x) == tag:
            tangent = tangent + partial * x.tangent
    return Dual(tag, rule(*reals), tangent)


def primal(x: Any) -> Any:
    """The number without any infinitesimal."""
    while isinstance(x, Dual):
        x = x.real
    return x


def of_one(rule: Callable[[Any], Any], partial: Callable[[Any], Any]) -> "staticmethod[[Any], Any]":
    """A function of one operand, whatever infinitesimals that has, by its partial."""

    def function(x: Any) -> Any:
        return rule(x) if tag_of(x) == 0 else lifted(function, lambda a: (partial(a),), x)

    return staticmethod(function)


class Reference:
    """The functions that a program calls, for Duals of mpmath's numbers."""

    sin = of_one(mpmath.sin, lambda a: Reference.cos(a))
    cos = of_one(mpmath.cos, lambda a: -Reference.sin(a))
    exp = of_one(mpmath.exp, lambda a: Reference.exp(a))
    log = of_one(mpmath.log, lambda a: 1 / a)
    sqrt = of_one(mpmath.sqrt, lambda a: 0.5 / Reference.sqrt(a))
    tanh = of_one(mpmath.tanh, lambda a: 1 - Reference.tanh(a) ** 2)
    arctan = of_one(mpmath.atan, lambda a: 1 / (1 + a * a))
    erf = of_one(mpmath.erf, lambda a: 2 / mpmath.sqrt(mpmath.pi) * Reference.exp(-(a * a)))

    erfc = of_one(mpmath.erfc, lambda a: -2 / mpmath.sqrt(mpmath.pi) * Reference.exp(-(a * a)))
    erfinv = of_one(
        mpmath.erfinv,
        lambda a: mpmath.sqrt(mpmath.pi) / 2 * Reference.exp(Reference.erfinv(a) ** 2),
    )
    norm_cdf = of_one(
        mpmath.ncdf, lambda a: Reference.exp(a * a * -0.5) / mpmath.sqrt(2 * mpmath.pi)
    )

    @staticmethod
    def polygamma(n: int, x: Any) -> Any:
        function = of_one(
            lambda a: mpmath.polygamma(n, a), lambda a: Reference.polygamma(n + 1, a)
        ).__func__
        return function(x)

    @staticmethod
    def gammainc(a: float, x: Any) -> Any:
        function = of_one(
            lambda x: mpmath.gammainc(a, 0, x, regularized=True),
            lambda x: Reference.power(x, a - 1) * Reference.exp(-x) / mpmath.gamma(a),
        ).__func__
        return function(x)

    @staticmethod
    def betainc(a: float, b: float, x: Any) -> Any:
        function = of_one(
            lambda x: mpmath.betainc(a, b, 0, x, regularized=True),
            lambda x: Reference.power(x, a - 1) * Reference.power(1 - x, b - 1) / mpmath.beta(a, b),
        ).__func__
        return function(x)

    @staticmethod
    def logaddexp(x: Any, y: Any) -> Any:
        return Reference.log(Reference.exp(x) + Reference.exp(y))

    @staticmethod
    def var(xs: Sequence[Any]) -> Any:
        mean = Reference.mean(xs)
        return Reference.mean([(x - mean) * (x - mean) for x in xs])

    # What an engine has a rule of its own or a solver for.

    @staticmethod
    def cube(x: Any) -> Any:
        return x * x * x

    @staticmethod
    def both(x: Any, y: Any) -> list[Any]:
        return [Reference.sin(x) * y, x * y * y]

    @staticmethod
    def root(residual: Callable[..., Any], *args: Any) -> Any:
        """Newton's method on numbers, then on infinitesimals, of which it doubles the orders."""
        x: Any = mpmath.mpf(0)
        for k in range(11):
            partial = Reference.tangent(lambda x: residual(x, *args), [x], [mpmath.mpf(1)])
            x = x - residual(x, *args) / partial
            x = primal(x) if k < 7 else x
        return x

    @staticmethod
    def sinh(x: Any) -> Any:
        return (Reference.exp(x) - Reference.exp(-x)) * 0.5

    @staticmethod
    def expm1(x: Any) -> Any:
        return Reference.exp(x) - 1

    @staticmethod
    def log1p(x: Any) -> Any:
        return Reference.log(1 + x)

    @staticmethod
    def sigmoid(x: Any) -> Any:
        return 1 / (1 + Reference.exp(-x))

    @staticmethod
    def softplus(x: Any) -> Any:
        return Reference.log(1 + Reference.exp(x))

    @staticmethod
    def square(x: Any) -> Any:
        return x * x

    @staticmethod
    def power(x: Any, y: Any) -> Any:
        return Reference.exp(y * Reference.log(x))

    @staticmethod
    def arctan2(x: Any, y: Any) -> Any:  # only of positive y
        return Reference.arctan(x / y)

    @staticmethod
    def hypot(x: Any, y: Any) -> Any:
        return Reference.sqrt(x * x + y * y)

    @staticmethod
    def maximum(x: Any, y: Any) -> Any:
        return x if primal(x) > primal(y) else y

    @staticmethod
    def minimum(x: Any, y: Any) -> Any:
        return x if primal(x) < primal(y) else y

    @staticmethod
    def where(c: Any, x: Any, y: Any) -> Any:
        return x if primal(c) != 0 else y

    @staticmethod
    def less(x: Any, y: Any) -> bool:
        return bool(primal(x) < primal(y))

    @staticmethod
    def sum(xs: Sequence[Any]) -> Any:
        total: Any = mpmath.mpf(0)
        for x in xs:
            total = total + x
        return total

    @staticmethod
    def mean(xs: Sequence[Any]) -> Any:
        return Reference.sum(xs) / len(xs)

    @staticmethod
    def prod(xs: Sequence[Any]) -> Any:
        total: Any = mpmath.mpf(1)
        for x in xs:
            total = total * x
        return total

    @staticmethod
    def dot(xs: Sequence[Any], ys: Sequence[Any]) -> Any:
        return Reference.sum([x * y for x, y in zip(xs, ys, strict=True)])

    @staticmethod
    def logsumexp(xs: Sequence[Any]) -> Any:
        return Reference.log(Reference.sum([Reference.exp(x) for x in xs]))

    @staticmethod
    def softmax(xs: Sequence[Any]) -> list[Any]:
        total = Reference.sum([Reference.exp(x) for x in xs])
        return [Reference.exp(x) / total for x in xs]

    @staticmethod
    def norm(xs: Sequence[Any]) -> Any:
        return Reference.sqrt(Reference.dot(xs, xs))

    # Derivatives, all of them by Duals, one direction at a time.

    @staticmethod
    def tangent(f: Callable[..., Any], args: Sequence[Any], direction: Sequence[Any]) -> Any:
        tag = Dual.new_tag()
        return tangent_of(f(*(Dual(tag, x, v) for x, v in zip(args, direction, strict=True))), tag)

    @staticmethod
    def gradient(f: Callable[..., Any], args: Sequence[Any]) -> list[Any]:
        units = [[mpmath.mpf(j == k) for j in range(len(args))] for k in range(len(args))]
        return [Reference.tangent(f, args, unit) for unit in units]

    @staticmethod
    def hvp(f: Callable[..., Any], args: Sequence[Any], v: Sequence[Any]) -> list[Any]:
        return Reference.gradient(lambda *xs: Reference.tangent(f, xs, v), args)

    @staticmethod
    def jacobian(f: Callable[..., Any], args: Sequence[Any]) -> list[Any]:
        count = len(f(*args))
        return [Reference.gradient(lambda *xs, k=k: f(*xs)[k], args) for k in range(count)]

    @staticmethod
    def vjp(f: Callable[..., Any], args: Sequence[Any], weights: Sequence[Any]) -> list[Any]:
        return Reference.gradient(lambda *xs: Reference.dot(f(*xs), weights), args)


@ag.custom_jvp
def cube(x: Any) -> Any:
    """A power with a rule of its own, which says what it would be without."""
    return x * x * x


@cube.defjvp
def cube_rule(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return cube(x), 3.0 * x * x * t


@ag.custom_vjp
def both(x: Any, y: Any) -> list[Any]:
    """Two results with a rule of their own."""
    return [ag.sin(x) * y, x * y * y]


both.defvjp(
    lambda x, y: (both(x, y), (x, y)),
    lambda kept, g: (
        ag.cos(kept[0]) * kept[1] * g[0] + kept[1] * kept[1] * g[1],
        ag.sin(kept[0]) * g[0] + 2.0 * kept[0] * kept[1] * g[1],
    ),
)


class Package:
    """The derivatives of a function by the functions of the package, as methods of Compiled."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f = f

    def __call__(self, *args: Any) -> Any:
        return ag.compile(self.f)(*args)

    def jvp(self, args: Any, direction: Any) -> Any:
        return ag.jvp(self.f, args, direction)

    def grad(self, *args: Any, argnums: Any) -> Any:
        return ag.grad(self.f, argnums)(*args)

    def hvp(self, args: Any, v: Any, argnums: Any) -> Any:
        return ag.hvp(self.f, argnums)(args, v)

    def jacobian(self, *args: Any, argnums: Any) -> Any:
        return (ag.jacfwd if len(args) == 1 else ag.jacrev)(self.f, argnums)(*args)

    def vjp(self, args: Any, weights: Any) -> Any:
        y, pull_back = ag.vjp(self.f, *args)
        return y, pull_back(weights)


class Engine:
    """The same for the engine; `derive` says how a function is made one with derivatives."""

    def __init__(self, derive: Callable[[Callable[..., Any]], Any]) -> None:
        self.derive = derive

    def __getattr__(self, name: str) -> Any:
        return getattr(ag, name)

    @staticmethod
    def less(x: Any, y: Any) -> Any:
        return x < y

    @staticmethod
    def hypot(x: Any, y: Any) -> Any:
        return ag.sqrt(x * x + y * y)

    cube = staticmethod(cube)
    both = staticmethod(both)

    @staticmethod
    def root(residual: Callable[..., Any], *args: Any) -> Any:
        return ag.root(residual, 0.0, *args)

    def tangent(self, f: Callable[..., Any], args: Any, direction: Any) -> Any:
        return self.derive(f).jvp(tuple(args), tuple(direction))[1]

    def gradient(self, f: Callable[..., Any], args: Any) -> Any:
        return self.derive(f).grad(*args, argnums=tuple(range(len(args))))

    def hvp(self, f: Callable[..., Any], args: Any, v: Any) -> Any:
        return self.derive(f).hvp(tuple(args), tuple(v), argnums=tuple(range(len(args))))

    def jacobian(self, f: Callable[..., Any], args: Any) -> Any:
        return self.derive(f).jacobian(*args, argnums=tuple(range(len(args))))

    def vjp(self, f: Callable[..., Any], args: Any, weights: Any) -> Any:
        return self.derive(f).vjp(tuple(args), list(weights))[1]


class Writer:
    """The source of one program."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lines: list[str] = []
        self.count = 0

    def pick(self, *choices: str) -> str:
        return self.random.choice(choices)

    def new_name(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def put(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line)

    def small(self, x: str) -> str:
        """An expression whose number is small, so that orders do not pile up."""
        return self.pick(f"m.tanh({x})", f"m.sin({x})", f"m.arctan({x})", f"m.erf({x})", f"{x}")

    def expression(self, names: Sequence[str], depth: int) -> str:
        if depth == 0:
            return self.pick(*names, *names, "0.5", "1.25")
        one, other = self.expression(names, depth - 1), self.expression(names, depth - 1)
        third, positive = self.pick(*names), f"(1.5 + m.square({self.small(one)}))"
        several = f"[{one}, {other}, {third}]"
        return self.pick(
            f"({one} + {other})",
            f"({one} - {other})",
            f"({one} * {other})",
            f"({one} * {self.small(other)})",
            f"({other} / {positive})",
            f"({self.small(one)} ** {self.pick('2', '3')})",
            f"{self.pick('m.sin', 'm.cos', 'm.tanh', 'm.arctan', 'm.erf', 'm.sigmoid')}({one})",
            f"{self.pick('m.exp', 'm.expm1', 'm.sinh', 'm.softplus')}(m.sin({one}))",
            f"{self.pick('m.log', 'm.sqrt', 'm.log1p')}({positive})",
            f"m.power({positive}, m.tanh({other}))",
            f"m.arctan2({other}, {positive})",
            f"m.hypot({one}, 1.0 + {positive})",
            f"{self.pick('m.maximum', 'm.minimum')}({one}, {other} + 0.1)",
            f"m.where({self.pick('0.0', '1.0')}, {one}, {other})",
            f"({one} if m.less({third}, {other} + 0.05) else {other} * 0.5)",
            f"m.{self.pick('sum', 'mean', 'prod')}({several})",
            f"m.dot({several}, [{other}, {third}, {one}])",
            f"m.logsumexp([m.sin({one}), {third}])",
            f"m.softmax([m.sin({one}), {third}, 0.5])[{self.pick('0', '1')}]",
            f"m.norm([{one}, {third}, 1.5])",
            f"m.var({several})",
            f"m.logaddexp({one}, {other})",
            f"{self.pick('m.erfc', 'm.norm_cdf', 'm.cube')}({one})",
            f"m.erfinv(0.5 * m.sin({one}))",
            f"m.polygamma({self.pick('0', '1', '3')}, {positive})",
            f"m.gammainc({self.pick('0.75', '2.0', '3.5')}, {positive})",
            f"m.betainc(1.5, {self.pick('0.75', '2.0')}, 0.5 + 0.25 * m.sin({one}))",
            f"m.both({one}, {other})[{self.pick('0', '1')}]",
            f"m.root(lambda x, y: x * x * x + x - y, m.tanh({one}))",
            f"m.root(lambda x: 2.0 * x + m.sin(x) - m.tanh({other}))",
        )

    def body(self, depth: int, names: list[str], order: int, results: int) -> None:
        """Statements of a function in which these names are numbers, up to its return."""
        names = [*names]
        for _ in range(self.random.randint(0, 1) if order else 1):
            names.append(name := self.new_name("t"))
            self.put(depth, f"{name} = {self.expression(names[:-1], 2)}")
        left = order
        while left > 0:
            step = self.random.choice([1, 1, left]) if left < 4 else self.random.choice([1, 2])
            names.append(self.derivative(depth, names, step))
            left -= max(step, 1)
            if self.random.random() < 0.3:
                break
        last = names[-1]
        made = [f"{self.expression([last, *names], 1)} + m.sin({last})" for _ in range(results)]
        self.put(depth, f"return {made[0] if results == 1 else '[' + ', '.join(made) + ']'}")

    def derivative(self, depth: int, names: list[str], order: int) -> str:
        """A function with its derivative, of this order with what is inside: a new name."""
        kinds = ["gradient", "tangent", "vjp", "jacobian"] + ["hvp"] * (order > 1)
        kind = self.pick(*kinds)
        f, result = self.new_name("f"), self.new_name("d")
        arguments = [self.new_name("x") for _ in range(self.random.randint(1, 2))]
        inside = order - (2 if kind == "hvp" else 1)
        many = kind in ("vjp", "jacobian")
        self.put(depth, f"def {f}({', '.join(arguments)}):")
        self.body(depth + 1, [*arguments, *arguments, *names], inside, 2 if many else 1)
        at = ", ".join(self.small(self.expression(names, 1)) for _ in arguments)
        along = ", ".join(self.pick("0.5", "1.0", *names) for _ in arguments)
        number = f"[{self.random.randrange(len(arguments))}]"
        call = {
            "gradient": f"m.gradient({f}, [{at}]){number}",
            "tangent": f"m.tangent({f}, [{at}], [{along}])",
            "hvp": f"m.hvp({f}, [{at}], [{along}]){number}",
            "vjp": f"m.vjp({f}, [{at}], [0.5, {self.pick('1.5', *names)}]){number}",
            "jacobian": f"m.jacobian({f}, [{at}])[1]{number}",
        }[kind]
        self.put(depth, f"{result} = {call}")
        return result


def source_of(seed: int) -> str:
    """The program of a seed: derivatives of orders 1 to 5."""
    writer = Writer(seed)
    writer.put(0, "def f(a, b):")
    writer.body(1, ["a", "b"], seed % 5 + 1, 1)
    return "\n".join(writer.lines) + "\n"


def function_of(source: str, m: Any) -> Callable[..., Any]:
    """The function of a source whose functions are those of m."""
    names: dict[str, Any] = {"m": m}
    exec(source, names)  # the writer wrote it
    function: Callable[..., Any] = names["f"]
    return function


class Difference(NamedTuple):
    """Where a mode did not give what it had to."""

    seed: int
    mode: str
    point: tuple[float, ...]
    wanted: float
    got: Any

    def __str__(self) -> str:
        return f"seed {self.seed}, {self.mode}, at {self.point}: {self.got!r} for {self.wanted!r}"


MODES: dict[str, Callable[[Callable[..., Any]], Any]] = {
    "plain": lambda f: ag.compile(f),
    "strict": lambda f: ag.compile(f, strict=True),
    "package": Package,
}


class Case:
    """One program in all modes."""

    def __init__(self, seed: int) -> None:
        self.seed, self.source = seed, source_of(seed)
        source = random.Random(seed + 10**9)
        self.points = [
            tuple(round(source.uniform(-1.2, 1.2), 3) for _ in range(ARGUMENTS)) for _ in range(3)
        ]
        self.reference = function_of(self.source, Reference())
        self.differences: list[Difference] = []

    def wanted(self, point: tuple[float, ...]) -> tuple[list[float], list[float]]:
        """The number and its gradient, and how far they move where the point moves by an ulp."""
        with mpmath.workdps(DIGITS):
            moved = [x * (1 + 2.0**-50) for x in point]
            answers = []
            for at in (point, moved):
                xs = [mpmath.mpf(x) for x in at]
                both = [self.reference(*xs), *Reference.gradient(self.reference, xs)]
                answers.append([float(primal(x)) for x in both])
        spread = [abs(x - y) for x, y in zip(*answers, strict=True)]
        return answers[0], spread

    def compare(self, mode: str, point: Any, got: Any, wanted: float, spread: float) -> None:
        number = got.data if isinstance(got, Value) else float(got)
        if not abs(number - wanted) <= TOLERANCE * max(1.0, abs(wanted)) + 100.0 * spread:
            self.differences.append(Difference(self.seed, mode, point, wanted, number))

    def check(self) -> list[Difference]:
        answers = [self.wanted(point) for point in self.points]
        for name, derive in MODES.items():
            f = function_of(self.source, Engine(derive))
            compiled = derive(f)
            for point, (wanted, spread) in zip(self.points, answers, strict=True):
                self.compare(f"eager, {name}", point, f(*point), wanted[0], spread[0])
                self.on_values(f"values, {name}", f, point, wanted, spread)
                gradient = compiled.grad(*point, argnums=(0, 1))
                got = [compiled(*point), *gradient]
                for numbers in zip(got, wanted, spread, strict=True):
                    self.compare(f"compiled, {name}", point, *numbers)
            rows = ag.compile(f, in_axes=0, strict=name == "strict")
            columns = np.array(self.points).T
            numbers, _ = rows.vjp(tuple(columns), np.ones(len(self.points)))
            for k, (wanted, spread) in enumerate(answers):
                self.compare(f"rows, {name}", self.points[k], numbers[k], wanted[0], spread[0])
        return self.differences

    def on_values(
        self,
        mode: str,
        f: Callable[..., Any],
        point: tuple[float, ...],
        wanted: list[float],
        spread: list[float],
    ) -> None:
        """The number, and the gradient that a sweep leaves."""
        leaves = [Value(x) for x in point]
        # A leaf that a function closes over is a parameter, which makes no graph of its derivative.
        root = f(*(leaf * 1.0 for leaf in leaves))
        if isinstance(root, Value):
            root.backward()
        for numbers in zip([root, *(leaf.grad for leaf in leaves)], wanted, spread, strict=True):
            self.compare(mode, point, *numbers)


def differences_of(seed: int) -> list[Difference]:
    """What differs in one program; an error is a difference."""
    case = Case(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return case.check()
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            return [*case.differences, Difference(seed, "error", case.points[0], 0.0, text)]


def run(seeds: Sequence[int]) -> Iterator[tuple[int, list[Difference]]]:
    """The differences of each of these programs."""
    for k, seed in enumerate(seeds):
        yield seed, differences_of(seed)
        if k % 100 == 99:
            ag.collect()


def main() -> int:
    """Run many programs; 1 if any mode of any of them differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="how many programs")
    parser.add_argument("--seed", type=int, default=0, help="the first program")
    given = parser.parse_args()
    began, found = time.time(), 0
    for seed, differences in run(range(given.seed, given.seed + given.count)):
        if differences:
            found += 1
            print(source_of(seed), *differences[:4], "", sep="\n", flush=True)
    print(f"{given.count} programs in {time.time() - began:.0f} s, {found} differ")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
