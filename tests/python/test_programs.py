"""Programs in files: what comes back, what is refused, and damaged and hostile files.

The oracle is the compiled function that the program was saved of.
"""

import json
import math
import random
import struct
import zlib
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import arenagrad as ag
from arenagrad import FormatError, UntracedError, Value, compile
from arenagrad._compile.program import Program
from arenagrad.nn import MLP
from compiled_oracle import same_bits

weight = Value(3.0)


class Point(NamedTuple):
    """A tuple of a type of its own."""

    x: Any
    y: Any


def nested(x: Any, how: str, y: Any) -> Any:
    """Something with every kind of structure in its results."""
    z = (x[0] * weight).tanh() + y["a"][1] * y[2]
    return {"z": z, "how": (how, None, True), "n": [z * 2.0, 1.5, 7], "y": y["a"] * z}


ARGUMENTS = ([0.5, 0.25], "it", {"a": np.array([1.0, 2.0]), 2: 0.125})


def saved(program: Program, folder: Path) -> Program:
    """The program as it comes back from a file."""
    program.save(folder / "p.agpf")
    return Program.load(folder / "p.agpf")


def test_a_loaded_program_gives_what_the_function_gave(tmp_path: Path) -> None:
    f = compile(nested)
    p = f.program(*ARGUMENTS)
    q = saved(p, tmp_path)
    expected = f(*ARGUMENTS)
    for program in (p, q, saved(q, tmp_path)):
        for _ in range(3):  # the first call is not the native one
            got = program(*ARGUMENTS)
            assert got["y"].tolist() == expected["y"].tolist()
            assert {**got, "y": 0} == {**expected, "y": 0}
            assert type(got["n"][2]) is int
    assert q.text() == p.text()
    assert q.stats == p.stats
    assert repr(q) == repr(p)


@pytest.mark.parametrize("derive", [ag.grad, ag.value_and_grad, ag.jacobian, ag.hessian])
@pytest.mark.parametrize("strict", [False, True])
def test_programs_of_derivatives_are_saved(
    derive: Callable[..., Any], strict: bool, tmp_path: Path
) -> None:
    f = derive(compile(lambda x: (x[0] * x[1]).exp() / x[1] ** 3, strict=strict))
    x = np.array([0.3, -1.7])
    p, expected = f.program(x), f(x)
    q = saved(p, tmp_path)
    for _ in range(2):
        got = q(x)
        if derive is ag.value_and_grad:
            assert same_bits(got[0], expected[0])
            got, value = got[1], expected[1]
        else:
            value = expected
        assert same_bits(got.ravel().tolist(), value.ravel().tolist())
    assert q.stats == p.stats
    if derive is not ag.hessian and derive is not ag.jacobian:
        out = np.empty(2)
        q(x, out=out)
        assert same_bits(out.tolist(), value.tolist())


@pytest.mark.parametrize("reduce", [None, "sum", "mean"])
def test_programs_of_batches_are_saved(reduce: Any, tmp_path: Path) -> None:
    f = compile(lambda x, w: (x[0] * w).exp() + x[1], in_axes=(0, None), reduce=reduce)
    x = np.random.default_rng(1).normal(size=(50, 2))
    for g in (f, ag.grad(f, 1)):
        p = g.program(x, 0.5)
        p.save(tmp_path / "p")
        for q in (p, Program.load(tmp_path / "p", threads=2)):
            assert np.array_equal(q(x, 0.5), g(x, 0.5))
            assert np.array_equal(q(x[:7], 2.0), g(x[:7], 2.0))
    with pytest.raises(ag.RangeError):
        q(x * 1e6, 0.5)


def test_static_arguments_and_axes_in_structures_are_saved(tmp_path: Path) -> None:
    def f(x: Any, n: Any, flags: Any) -> Any:
        return x["a"] * x["b"][0] * n[0] if flags is None else x["a"]

    g = compile(f, in_axes=({"a": 0, "b": (None, 1)}, None, None), static_argnums=1)
    arguments = ({"a": np.arange(4.0), "b": (2.0, np.ones((2, 4)))}, (3, "k", 0.5), None)
    q = saved(g.program(*arguments), tmp_path)
    assert q(*arguments).tolist() == g(*arguments).tolist() == [0.0, 6.0, 12.0, 18.0]
    with pytest.raises(TypeError, match="this program is for"):
        q(arguments[0], (4, "k", 0.5), None)


def test_numbers_of_a_closure_are_saved_as_they_are(tmp_path: Path) -> None:
    w = Value(2.0)
    p = compile(lambda x: x * w).program(1.0)
    q = saved(p, tmp_path)
    w.data = 5.0
    assert (p(3.0), q(3.0)) == (15.0, 6.0)
    assert q.stats["closure"] == 1


def test_a_module_is_saved_as_the_list_of_its_numbers(tmp_path: Path) -> None:
    model, x = MLP(2, [3, 1]), [0.5, -0.25]
    f = ag.value_and_grad(compile(lambda model, x: model(x) ** 2, strict=True))
    q = saved(f.program(model, x), tmp_path)
    value, gradient = f(model, x)
    numbers = [p.data for p in model.parameters()]
    assert q(numbers, x) == (value, gradient)
    with pytest.raises(TypeError, match="this program is for"):
        q(model, x)


def test_other_structures_other_ways_and_values_are_refused(tmp_path: Path) -> None:
    f = compile(lambda x: x.exp() if x > 0 else x)
    for p in (f.program(1.0), saved(f.program(1.0), tmp_path)):
        for _ in range(2):
            assert p(2.0) == math.exp(2.0)
            with pytest.raises(UntracedError, match="these numbers take another"):
                p(-1.0)
            with pytest.raises(
                TypeError, match=r"this program is for \(float,\), got \(\[float\],\)"
            ):
                p([1.0])
            with pytest.raises(TypeError, match="numbers, not Values"):
                p(Value(1.0))
    g = compile(lambda x: x.exp() if x > 0 else x, in_axes=0)
    q = saved(g.program(np.ones(3)), tmp_path)
    with pytest.raises(UntracedError, match="these numbers take another"):
        q(np.array([1.0, -1.0, 2.0]))


@pytest.mark.parametrize(
    ("function", "x", "error"),
    [
        (lambda x: x.log() + 1.0, -1.0, ag.DomainError),
        (lambda x: 1.0 / x, 0.0, ZeroDivisionError),
        (lambda x: (x * 10.0).exp(), 1e3, ag.RangeError),
        (lambda x: x**0.5, -2.0, ag.DomainError),
        (lambda x: ag.take([x, x], x), 2.0, IndexError),
    ],
)
def test_errors_of_the_mathematics_are_those_of_the_function(
    function: Callable[[Any], Any], x: float, error: type[Exception], tmp_path: Path
) -> None:
    f = compile(function)
    q = saved(f.program(1.0), tmp_path)
    with pytest.raises(error):
        f(x)
    for _ in range(2):
        with pytest.raises(error):
            q(x)
        assert q(1.0) == f(1.0)


def test_infinities_that_were_given_are_no_errors(tmp_path: Path) -> None:
    q = saved(compile(lambda x: x.log() + x).program(1.0), tmp_path)
    assert q(math.inf) == math.inf
    assert math.isnan(q(math.nan))


class Custom(Enum):
    """An object that a function may be given, and a file may not hold."""

    ONE = 1


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (lambda x, y: x, (1.0, Custom.ONE), "arguments hold Custom cannot be saved"),
        (lambda x, y: x, (1.0, b"text"), "arguments hold bytes"),
        (lambda p: p.x, (Point(1.0, 2.0),), "arguments hold Point"),
        (lambda x: Point(x, x), (1.0,), "results hold Point"),
        (lambda x: [x, np.arange(3)], (1.0,), "results hold ndarray"),
        (lambda x: [x, float], (1.0,), "results hold type"),
    ],
)
def test_structures_without_safe_bytes_are_not_saved(
    function: Any, arguments: Any, message: str, tmp_path: Path
) -> None:
    p = compile(function).program(*arguments)
    target = tmp_path / "p"
    target.write_text("before")
    with pytest.raises(TypeError, match=message):
        p.save(target)
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["p"]
    p(*arguments)


def test_constants_come_back_as_they_were(tmp_path: Path) -> None:
    constants = (None, True, 0, -(2**80), 1.5, "\ud800é\n", (1, ("a", (False,)), 0.1))
    q = saved(compile(lambda x: [x, *constants]).program(1.0), tmp_path)
    assert [repr(c) for c in q(2.0)[1:]] == [repr(c) for c in constants]
    odd = saved(compile(lambda x: [x, math.nan, math.inf, -0.0]).program(1.0), tmp_path)
    assert repr(odd(2.0)[1:]) == "[nan, inf, -0.0]"


# Damaged and hostile files


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a file with every kind of structure."""
    path = tmp_path_factory.mktemp("programs") / "p"
    compile(nested).program(*ARGUMENTS).save(path)
    return path.read_bytes()


def load(content: bytes, folder: Path) -> Program:
    """What a file of these bytes gives."""
    path = folder / "p"
    path.write_bytes(content)
    return Program.load(path)


def sealed(body: bytes) -> bytes:
    """With the right checksum."""
    return body + struct.pack("<I", zlib.crc32(body))


@pytest.mark.slow
def test_every_truncation_is_refused(content: bytes, tmp_path: Path) -> None:
    load(content, tmp_path)
    for length in range(len(content)):
        for damaged in (content[:length], sealed(content[: max(length - 4, 0)])):
            if damaged == content:
                continue
            with pytest.raises(FormatError, match="p is no saved program"):
                load(damaged, tmp_path)
    with pytest.raises(FormatError, match="checksum"):
        load(content + b"\0", tmp_path)
    with pytest.raises(FormatError, match="a saved program is cut short"):
        load(sealed(content[:-4] + b"\0"), tmp_path)  # of its two programs the last
    compile(nested, strict=True).program(*ARGUMENTS).save(tmp_path / "strict")
    with pytest.raises(FormatError, match="not as long as it says"):
        load(sealed((tmp_path / "strict").read_bytes()[:-4] + b"\0"), tmp_path)


def test_every_flipped_bit_is_noticed(content: bytes, tmp_path: Path) -> None:
    for k in range(len(content)):
        damaged = bytearray(content)
        damaged[k] ^= 1 << k % 8
        with pytest.raises(FormatError):
            load(bytes(damaged), tmp_path)


@pytest.mark.slow
def test_changed_bytes_under_a_right_checksum_never_do_harm(content: bytes, tmp_path: Path) -> None:
    draw = random.Random(4)
    loaded = 0
    for _ in range(3000):
        damaged = bytearray(content[:-4])
        for _ in range(draw.choice([1, 1, 2, 5])):
            damaged[draw.randrange(len(damaged))] = draw.choice([0, 1, 255, draw.randrange(256)])
        try:
            program = load(sealed(bytes(damaged)), tmp_path)
        except FormatError:
            continue
        loaded += 1
        try:
            assert len(program.text()) > 0
            program(*ARGUMENTS)
        except (TypeError, ValueError, ArithmeticError, IndexError):
            pass
    assert loaded > 0


def rewritten(content: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """With another head under a right checksum."""
    _, version, head, program, count = struct.unpack_from("<4sHIII", content)
    front = struct.calcsize("<4sHIII")
    text = json.loads(content[front : front + head])
    change(text)
    new = json.dumps(text).encode()
    start = struct.pack("<4sHIII", b"AGPF", version, len(new), program, count)
    return sealed(start + new + content[front + head : -4])


def first_static(head: dict[str, Any]) -> Any:
    """The part of the argument that is a text."""
    return next(part for part in head["arguments"] if part[0] == "static")


@pytest.mark.parametrize(
    "change",
    [
        lambda head: head.pop("arguments"),
        lambda head: head.update(arguments=head["results"]),
        lambda head: head.update(arguments=[]),
        lambda head: head.update(arguments=[["tuple", False, 2**31, []]]),
        lambda head: head.update(arguments=[["tuple", False, 1, []]] * 100),
        lambda head: head.update(arguments=[["array", False, [2**31, 2**31], []]]),
        lambda head: head.update(arguments=[["array", False, [-1], []]]),
        lambda head: head.update(arguments=[["array", False, [5], []]]),
        lambda head: head.update(results=[["array", False, [2**40], []]]),
        lambda head: head.update(results=[["module", False, 5, [None]]]),
        lambda head: head.update(results=[["number", False, None, ["text"]]] * 6),
        lambda head: head.update(buffered=1),
        lambda head: head.update(buffered=True),
        lambda head: head.update(strict=1),
        lambda head: head.update(reduced=True),
        lambda head: head.update(mean=True),
        lambda head: head.update(static_argnums=["a"]),
        lambda head: head.update(in_axes="a"),
        lambda head: head.update(stats={"text": 1}),
        lambda head: head.update(stats={"entries": {}}),
        lambda head: first_static(head).__setitem__(3, [{"object": "os.system"}]),
        lambda head: first_static(head).__setitem__(3, [{"int": "0x"}]),
        lambda head: first_static(head).__setitem__(3, []),
        lambda head: first_static(head).__setitem__(0, "module"),
        lambda head: head["arguments"][-1].__setitem__(0, "rubbish"),
    ],
)
def test_heads_that_make_no_sense_are_refused(
    change: Callable[[dict[str, Any]], object], content: bytes, tmp_path: Path
) -> None:
    load(rewritten(content, lambda head: None), tmp_path)
    with pytest.raises(FormatError):
        load(rewritten(content, change), tmp_path)


@pytest.mark.parametrize("what", ["arguments", "results"])
def test_counts_are_compared_before_there_is_memory_for_them(
    what: str, content: bytes, tmp_path: Path
) -> None:
    parts = [["tuple", False, 1, []], ["array", False, [2**31], []]]
    with pytest.raises(FormatError, match="its program does not fit its arguments or results"):
        load(rewritten(content, lambda head: head.update({what: parts})), tmp_path)


def test_deep_nesting_and_other_versions_are_refused(content: bytes, tmp_path: Path) -> None:
    def nest(head: dict[str, Any]) -> None:
        deep: Any = None
        for _ in range(100):
            deep = {"tuple": [deep]}
        first_static(head)[3] = [deep]

    load(rewritten(content, nest), tmp_path)
    nested = b"[" * 200_000
    start = struct.pack("<4sHIII", b"AGPF", 1, len(nested), 0, 0)
    with pytest.raises(FormatError):
        load(sealed(start + nested), tmp_path)
    lists = [["list", False, 1, []]] * 70
    with pytest.raises(FormatError, match="64 deep"):
        load(rewritten(content, lambda head: head.update(results=lists)), tmp_path)
    with pytest.raises(FormatError, match="the format 3, and this version reads 1 to 2"):
        load(sealed(content[:4] + b"\3\0" + content[6:-4]), tmp_path)
    with pytest.raises(FormatError, match="not of arenagrad's making"):
        load(b"PK" + content, tmp_path)
    with pytest.raises(FileNotFoundError):
        Program.load(tmp_path / "none")
    with pytest.raises(ValueError, match="threads must be at least 1"):
        Program.load(tmp_path / "p", threads=0)


def test_a_file_raises_what_its_function_does_where_other_orders_of_sums_would_not(
    tmp_path: Path,
) -> None:
    def sums(a: Any, b: Any, c: Any) -> Any:
        return 1.0 / (a + (b + c)) * 0.0 + a

    def power(a: Any, b: Any, c: Any) -> Any:
        return 3.0 * a + (b * c) ** -1

    def quotient(a: Any, b: Any, c: Any) -> Any:
        return 3.0 * a + ag.reciprocal(b * c)

    points = [(1.0, 2.0, 3.0), (1e16, -1e16, 1.0), (1.0, -1e16, 1e16), (1.0, 1e-300, 1e-10)]
    for function in (sums, power, quotient):
        for in_axes in (None, 0):
            f = compile(function, in_axes=in_axes)
            made = [x if in_axes is None else np.array([x]) for x in points[0]]
            f.program(*made).save(tmp_path / "p")
            loaded = Program.load(tmp_path / "p")
            for point in points:
                given = [x if in_axes is None else np.array([x]) for x in point]
                assert outcome(loaded, given) == outcome(f, given)


def test_a_check_stays_behind_the_guards_that_stand_before_it(tmp_path: Path) -> None:
    def function(a: Any, b: Any) -> Any:
        if a < b * b:  # no error where the product overflows, but another variant
            return a
        return b**2

    compile(function).program(5.0, 2.0).save(tmp_path / "p")
    loaded = Program.load(tmp_path / "p")
    with pytest.raises(UntracedError):
        loaded(5.0, 1e200)
    with pytest.raises(OverflowError):
        loaded(math.inf, 1e200)


def outcome(run: Callable[..., Any], given: list[Any]) -> Any:
    """What a run gives, or the class of its error."""
    try:
        return repr(np.asarray(run(*given)).tolist())  # nan is nan
    except ArithmeticError as error:
        return type(error)
