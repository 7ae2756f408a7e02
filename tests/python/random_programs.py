"""Runs random programs with control flow in every mode, and says where the modes disagree.

    python tests/python/random_programs.py --count 100000 --seed 0

Each program runs on some points as plain Python on the floats of `float_oracle`, on Values,
compiled, compiled with strict=True, in rows, from a pickle and from a file. Decisions must be the
same in all modes, which the int in the result shows, and so must the classes of errors; numbers
must be the same bit for bit in eager and strict runs, and to 1e-12 in others, or to what their
rounding errors can explain. Gradients of compiled programs are compared with those of
`backward()`.
"""

import argparse
import ast
import gc
import itertools
import math
import operator
import pickle
import random
import struct
import sys
import tempfile
import time
import types
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import arenagrad as ag
import float_oracle
from arenagrad import Program, Value
from float_oracle import ROUNDING, SMALLEST, Real, functions, record
from program_generator import by_number, points_of, smaller, source_of

POINTS = 6
_noise = random.Random()
MOST_TRIES = 500  # to make a program smaller
TOLERANCE = 1e-12
Point = tuple[float, ...]
# What is let pass although it is not the same, and how often. Each reason is one of those below.
PASSED: Counter[str] = Counter()
# A power of a plain float of the program's own is complex: floats and Values then part, since
# Python multiplies a complex number by a float and refuses to by a Value.
_COMPLEX = "points skipped because a float of the program's own became complex"
# A file holds one variant of its function, and says so where numbers take another.
_REFUSED = "points that a file refused because they take another variant"
_OTHER_VARIANT = "a program is one variant of the function"
# A product with a constant 0 is left out of programs, so that no 0 times infinity makes it nan.
_NO_PRODUCT = "entries of strict gradients that only the sweep of the graph has as nan"
# The order of terms decides what is left of infinities.
_INFINITE = "entries of gradients not compared because the sweep of the graph has no number there"
# The rounding errors of the function itself are as large as its number, or turn it into nan.
_UNSTABLE = "numbers not compared because other rounding errors make them nan or infinite"
# What a program may raise: an error is the same in two modes if it is of the same of these classes.
KINDS = (ZeroDivisionError, OverflowError, ValueError, TypeError, IndexError)


class Answer(NamedTuple):
    """What a run came to: a number and an int, or the kind of an error."""

    number: float = 0.0
    path: int = 0
    error: type[BaseException] | None = None
    text: str = ""

    def __str__(self) -> str:
        return (
            f"{self.error.__name__}: {self.text}" if self.error else f"{self.number!r}, {self.path}"
        )


class Difference(NamedTuple):
    """Where a mode did not give what it had to."""

    seed: int
    mode: str
    point: Any
    wanted: str
    got: str

    def __str__(self) -> str:
        return f"seed {self.seed}, {self.mode}, at {self.point}: {self.got} for {self.wanted}"


def answer_of(run: Callable[[], Any]) -> Answer:
    """What a run of a program comes to."""
    try:
        number, path = run()
    except KINDS as error:
        kind = next(kind for kind in KINDS if isinstance(error, kind))
        return Answer(error=kind, text=str(error).splitlines()[0] if str(error) else "")
    except Exception as error:  # never right: the report shows it
        return Answer(error=type(error), text=str(error))
    return Answer(number.data if isinstance(number, Value) else float(number), int(path))


def same_bits(one: float, other: float) -> bool:
    """Whether two floats have the same bits; any nan is as any other."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return struct.pack("d", one) == struct.pack("d", other)


def close(one: float, other: float, spread: float) -> bool:
    """Whether two floats are equal to 1e-12, or to a hundred times the spread."""
    if one == other or (math.isnan(one) and math.isnan(other)):
        return True
    if not math.isfinite(spread):
        PASSED[_UNSTABLE] += 1
        return True
    return abs(one - other) <= max(TOLERANCE * max(abs(one), abs(other)), 100.0 * spread)


class Oracle:
    """What a program means: its answers on floats, and how far rounding errors move them."""

    def __init__(self, program: Callable[..., Any], points: Sequence[Point]) -> None:
        self.program, self.recordings = program, {}
        self.answers: dict[int, Answer] = {}
        for i, point in enumerate(points):
            recording = self.recordings[i] = record()
            answer = answer_of(lambda point=point: self._run(point))  # type: ignore[misc]
            if recording.is_complex:
                PASSED[_COMPLEX] += 1
            else:
                self.answers[i] = answer
        self.points = points
        self._spreads: dict[int, float] = {}

    def _run(self, point: Point) -> Any:
        number, path = self.program(*map(Real, point))
        return (math.nan if isinstance(number, complex) else number), path

    def spread(self, i: int) -> float:
        """How far rounding errors move the number at point i."""
        if i not in self._spreads:
            recording, wanted = self.recordings[i], self.answers[i].number
            moved = []
            for seed in range(6):
                recording.repeat(seed)
                with _current(recording):
                    again = float(self._run(self.points[i])[0])
                    moved.append(0.0 if same_bits(again, wanted) else abs(again - wanted))
            self._spreads[i] = math.inf if any(map(math.isnan, moved)) else max(moved)
        return self._spreads[i]


def gradient_noise(noisy: Callable[..., Any], point: Point, wanted: list[float]) -> float:
    """How far other rounding errors in the sweep move the gradient."""
    moved = [0.0]
    for seed in range(8):
        _noise.seed(seed)
        gradient = gradient_of(noisy, point)
        moved += [
            0.0 if same_bits(g, h) else abs(g - h) for g, h in zip(gradient, wanted, strict=True)
        ]
    return math.inf if any(map(math.isnan, moved)) else max(moved)


def gradient_of(program: Callable[..., Any], point: Point) -> list[float]:
    """The gradient by the sweep of the graph; zeros where the result is no Value."""
    leaves = [Value(x) for x in point]
    root = program(*leaves)[0]
    if isinstance(root, Value):
        root.backward()
    return [leaf.grad for leaf in leaves]


class _current:
    """A recording that is the current one for a while."""

    def __init__(self, recording: Any) -> None:
        self.recording = recording

    def __enter__(self) -> None:
        float_oracle.recording = self.recording

    def __exit__(self, *_: Any) -> None:
        record()


def _number(x: Any) -> Any:
    return x.data if isinstance(x, Value) else x


def _within(x: Any, xs: Any) -> bool:
    return any(x is other or _number(x) == _number(other) for other in xs)


BY_NUMBER = {
    "_equal": lambda a, b: _number(a) == _number(b),
    "_unequal": lambda a, b: _number(a) != _number(b),
    "_within": _within,
    "_without": lambda x, xs: not _within(x, xs),
    "_count": lambda xs, x: sum(x is other or _number(x) == _number(other) for other in xs),
    "_truth": lambda x: bool(_number(x)),
    "_power": lambda a, b: _power(a, b),
    "_noisy": lambda x: _noisy(x),
}


class _Watched(ast.NodeTransformer):
    """Puts a call of `_power` in place of each power."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Pow):
            return node
        return ast.Call(ast.Name("_power", ast.Load()), [node.left, node.right], [])


class _Noisy(ast.NodeTransformer):
    """Puts what rounds adjoints otherwise around each operand of an operation or a function."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        return ast.BinOp(_noisy_call(node.left), node.op, _noisy_call(node.right))

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        read = ast.parse(ast.unparse(node.target), mode="eval").body
        return ast.Assign([node.target], self.visit(ast.BinOp(read, node.op, node.value)))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        is_function = isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "m"
        if is_function or ast.unparse(node.func) == "sum":
            node.args = list(map(_noisy_call, node.args))
        return node


def _noisy_call(argument: ast.expr) -> ast.Call:
    return ast.Call(ast.Name("_noisy", ast.Load()), [argument], [])


def _noisy(x: Any) -> Any:
    """The same number; its adjoint is off by some rounding errors, and so are those of a list."""
    if isinstance(x, list):
        return [_noisy(term) for term in x]
    if not isinstance(x, Value):
        return x
    return ag.custom(x.data, [x], [1.0 + _noise.uniform(-2.0, 2.0) * ROUNDING])


def watched(source: str) -> ast.Module:
    """The program, in which the recording under way learns of complex powers."""
    return ast.fix_missing_locations(_Watched().visit(ast.parse(source)))


def _power(a: Any, b: Any) -> Any:
    power = a**b
    float_oracle.recording.is_complex |= isinstance(power, complex)
    return power


def _module(source: Any, m: Any, name: str) -> Any:
    module = types.ModuleType(name)
    vars(module).update(m=m, math=math, **BY_NUMBER)
    exec(compile(source, f"<{name}>", "exec"), vars(module))  # the generator wrote it
    return module


class Case:
    """One program in all modes."""

    def __init__(self, seed: int, source: str | None = None) -> None:
        self.seed, self.source = seed, source_of(seed) if source is None else source
        self.points = points_of(seed, POINTS)
        self.module = _module(self.source, ag, f"random_program_{seed}")
        self.eager = _module(by_number(self.source), ag, f"eager_program_{seed}").f
        self._noisy: Callable[..., Any] | None = None
        self.oracle = Oracle(_module(watched(self.source), functions, "oracle").f, self.points)
        self.differences: list[Difference] = []

    def check(self, folder: Path) -> list[Difference]:
        """Run the program in all modes: where they differ from the oracle."""
        sys.modules[self.module.__name__] = self.module  # where pickle finds the function
        try:
            self.run_eager()
            default, strict = ag.compile(self.module.f), ag.compile(self.module.f, strict=True)
            order = [*self.oracle.answers]
            for i in [*order, *reversed(order)]:
                self.at_point("compiled", i, default, False)
                self.at_point("strict", i, strict, True)
            self.run_rows(False)
            self.run_rows(True)
            for compiled in (default, strict):
                self.run_pickle(compiled, compiled is strict)
            self.run_file(default, folder)
            self.run_gradients()
        finally:
            del sys.modules[self.module.__name__]
        return self.differences

    def differ(self, mode: str, point: Any, wanted: Any, got: Any) -> None:
        self.differences.append(Difference(self.seed, mode, point, str(wanted), str(got)))

    def compare(self, mode: str, i: int, got: Answer, exactly: bool) -> None:
        """Note a difference unless an answer is what the oracle says at point i."""
        wanted = self.oracle.answers[i]
        same = got.error is wanted.error and got.path == wanted.path
        if same and wanted.error is None and not same_bits(got.number, wanted.number):
            same = not exactly and close(got.number, wanted.number, self.oracle.spread(i))
        if not same:
            self.differ(mode, self.points[i], wanted, got)

    def at_point(self, mode: str, i: int, run: Callable[..., Any], exactly: bool) -> None:
        self.compare(mode, i, answer_of(lambda: run(*self.points[i])), exactly)

    def run_eager(self) -> None:
        for i in self.oracle.answers:
            values = map(Value, self.points[i])
            self.compare("eager", i, answer_of(lambda v=values: self.eager(*v)), True)  # type: ignore[misc]

    def run_rows(self, strict: bool) -> None:
        """All rows that raise nothing, and then all rows."""
        mode = "rows, strict" if strict else "rows"
        rows = ag.compile(self.module.f, in_axes=0, strict=strict)
        answers = self.oracle.answers
        good = [i for i in answers if answers[i].error is None]
        for chosen in (good, [*answers]):
            if not chosen:
                continue
            columns = [np.array([self.points[i][k] for i in chosen]) for k in range(3)]
            failing = [i for i in chosen if answers[i].error is not None]
            try:
                numbers, paths = rows(*columns)
            except Exception as error:
                kind = next((k for k in KINDS if isinstance(error, k)), type(error))
                if not failing or answers[failing[0]].error is not kind:
                    wanted = answers[failing[0]] if failing else "no error"
                    points = [self.points[i] for i in chosen]
                    self.differ(mode, points, wanted, f"{type(error).__name__}: {error}")
                continue
            if failing:
                points = [self.points[i] for i in chosen]
                self.differ(mode, points, answers[failing[0]], numbers)
                continue
            both = zip(
                np.broadcast_to(numbers, len(chosen)),
                np.broadcast_to(paths, len(chosen)),
                strict=True,
            )
            for i, (number, path) in zip(chosen, both, strict=True):
                self.compare(mode, i, Answer(float(number), int(path)), strict)

    def run_pickle(self, compiled: Any, strict: bool) -> None:
        mode = "pickle, strict" if strict else "pickle"
        copied = pickle.loads(pickle.dumps(compiled))
        for i in self.oracle.answers:
            self.at_point(mode, i, copied, strict)

    def run_file(self, compiled: Any, folder: Path) -> None:
        """The program of the first point that has one, on all points."""
        answers = self.oracle.answers.items()
        i = next((i for i, answer in answers if answer.error is None), None)
        if i is None:
            return
        path = folder / "program.agpf"
        try:
            compiled.program(*self.points[i]).save(path)
            loaded = Program.load(path)
        except Exception as error:
            return self.differ(
                "file", self.points[i], "a program", f"{type(error).__name__}: {error}"
            )
        for j in self.oracle.answers:
            got = answer_of(lambda j=j: loaded(*self.points[j]))  # type: ignore[misc]
            if i != j and got.text.startswith(_OTHER_VARIANT):
                PASSED[_REFUSED] += 1
            else:
                self.compare("file", j, got, False)

    def run_gradients(self) -> None:
        def number(*numbers: Any) -> Any:
            return self.module.f(*numbers)[0]

        # A result that depends on no argument is no Value.
        default, strict = ag.compile(number), ag.compile(number, strict=True)
        for i, answer in self.oracle.answers.items():
            if answer.error is not None:
                continue
            try:
                wanted = gradient_of(self.eager, self.points[i])
            except KINDS as error:
                self.gradient_error(strict, i, error)
                continue
            for exactly, compiled in ((True, strict), (False, default)):
                mode = "gradient, strict" if exactly else "gradient"
                try:
                    got = compiled.grad(*self.points[i], argnums=(0, 1, 2))
                except Exception as error:
                    self.differ(mode, self.points[i], wanted, f"{type(error).__name__}: {error}")
                    continue
                same = self.same_strictly if exactly else self.same_gradient
                if not same(i, wanted, got):
                    self.differ(mode, self.points[i], wanted, got)

    def gradient_error(self, strict: Any, i: int, error: Exception) -> None:
        try:
            got: Any = strict.grad(*self.points[i], argnums=(0, 1, 2))
        except Exception as raised:
            if any(isinstance(raised, k) and isinstance(error, k) for k in KINDS):
                return
            got = f"{type(raised).__name__}: {raised}"
        self.differ("gradient, strict", self.points[i], f"{type(error).__name__}: {error}", got)

    def same_strictly(self, _: int, wanted: list[float], got: Any) -> bool:
        """Whether a strict gradient has the bits of the sweep, but for what is said above."""
        pairs = [pair for pair in zip(wanted, got, strict=True) if not same_bits(*pair)]
        PASSED[_NO_PRODUCT] += len(pairs)
        return all(math.isnan(entry) for entry, _ in pairs)

    def same_gradient(self, i: int, wanted: list[float], got: Any) -> bool:
        """Whether a gradient is that of the sweep, to what other rounding errors can explain."""
        pairs = [(g, h) for g, h in zip(wanted, got, strict=True) if math.isfinite(g)]
        PASSED[_INFINITE] += len(wanted) - len(pairs)
        spread = TOLERANCE * max((abs(g) for g, _ in pairs), default=0.0)
        if all(abs(g - h) <= spread for g, h in pairs):
            return True
        noise = max(spread, SMALLEST, gradient_noise(self.noisy, self.points[i], wanted))
        return all(close(g, h, noise) for g, h in pairs)

    @property
    def noisy(self) -> Callable[..., Any]:
        """The program on Values, whose adjoints are rounded otherwise each time."""
        if self._noisy is None:
            tree = ast.fix_missing_locations(_Noisy().visit(by_number(self.source)))
            self._noisy = _module(tree, ag, f"noisy_program_{self.seed}").f
        return self._noisy


def differences_of(seed: int, folder: Path) -> list[Difference]:
    """What differs between the modes of one program."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Case(seed).check(folder)


def shrunk(seed: int, mode: str, folder: Path) -> Case:
    """The smallest program found in some tries that differs in a mode as that of a seed does."""
    tries = 0

    def case_of(source: str | None) -> Case | None:
        nonlocal tries
        tries += 1
        try:
            case = Case(seed, source)
            case.check(folder)
        except Exception:  # not the program that is looked for
            return None
        return case if any(found.mode == mode for found in case.differences) else None

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        best = found = case_of(None)
        while found is not None and tries < MOST_TRIES:
            best = found
            left = itertools.islice(smaller(best.source), MOST_TRIES - tries)
            found = next(filter(None, map(case_of, left)), None)
    best = found or best
    assert best is not None, "the program differs no more"
    best.differences = [found for found in best.differences if found.mode == mode]
    return best


def run(seeds: Sequence[int]) -> Iterator[tuple[int, list[Difference]]]:
    """The differences of each of these programs."""
    with tempfile.TemporaryDirectory() as folder:
        for k, seed in enumerate(seeds):
            yield seed, differences_of(seed, Path(folder))
            if k % 200 == 199:
                ag.collect()
                gc.collect()


def main() -> int:
    """Run many programs; 1 if any mode of any of them differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="how many programs")
    parser.add_argument("--seed", type=int, default=0, help="the first program")
    parser.add_argument(
        "--most", type=int, default=5, help="how many differences are shown in full"
    )
    given = parser.parse_args()
    began, found, modes = time.time(), 0, dict[str, int]()
    for seed, differences in run(range(given.seed, given.seed + given.count)):
        if differences:
            found += 1
            for difference in differences:
                modes[difference.mode] = modes.get(difference.mode, 0) + 1
            if found <= given.most:
                with tempfile.TemporaryDirectory() as folder:
                    case = shrunk(seed, differences[0].mode, Path(folder))
                print(case.source, *case.differences, "", sep="\n", flush=True)
            else:
                print(
                    f"{seed}: {sorted({difference.mode for difference in differences})}", flush=True
                )
    counts = sorted(modes.items(), key=operator.itemgetter(1), reverse=True)
    for reason, count in sorted(PASSED.items()):
        print(f"{count} {reason}")
    print(f"{given.count} programs in {time.time() - began:.0f} s, {found} differ: {counts}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
