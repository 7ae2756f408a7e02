"""How exact each operation is, measured against mpmath at 50 digits and written into the docs.

`cpp/OPERATIONS.md` holds the table. This test measures anew and fails if an operation is missing
there or less exact than it says; with ARENAGRAD_WRITE_DOCS=1 in the environment it writes the file.
"""

import itertools
import math
import os
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mpmath import mp, mpf

from arenagrad import Value, _core
from op_oracle import ORACLES, error_in_ulps, exponent_error, refused

CPP = Path(__file__).resolve().parents[2] / "cpp"
DOCS, OPS = CPP / "OPERATIONS.md", CPP / "core/ops.def"
TABLE = _core.op_table()
POINTS = 600
SLACK = 0.25  # C libraries differ in the last digits of such figures

# What of C each formula is made of, where it is not one of C's functions itself, with the points at
# which it is called. The correctly rounded + - * / and sqrt are none.
MADE_OF: dict[str, tuple[Callable[[float], float], Callable[[Any], Any], Callable[..., float]]] = {
    "sigmoid": (math.exp, mp.exp, lambda a: -abs(a)),
    "softplus": (math.log1p, mp.log1p, lambda a: math.exp(-abs(a))),
    "silu": (math.exp, mp.exp, lambda a: -abs(a)),
    "gelu": (math.erfc, mp.erfc, lambda a: -a * math.sqrt(0.5)),
    "elu": (math.expm1, mp.expm1, lambda a, _: min(a, 0.0)),
    "log_sigmoid": (math.log1p, mp.log1p, lambda a: math.exp(-abs(a))),
    "logaddexp": (math.log1p, mp.log1p, lambda a, b: math.exp(-abs(a - b))),
    "norm_cdf": (math.erfc, mp.erfc, lambda a: -a * math.sqrt(0.5)),
    "log_norm_cdf": (math.erfc, mp.erfc, lambda a: -a * math.sqrt(0.5)),
}
# One rounding, or none.
EXACT = ("add", "multiply", "square", "reciprocal", "sqrt", "leaky_relu", "remainder")
# No rounding.
CHOICES = (
    *("relu", "abs", "sign", "floor", "ceil", "maximum", "minimum", "hardtanh", "fmod"),
    "floor_divide",
)
# Of two roundings, and of a sum of up to ten reciprocals and a logarithm.
MADE_OF_NONE = ("softsign", "digamma")

HEAD = """# The operations

Written by `tests/python/test_accuracy.py`, which measures each row of `cpp/core/ops.def` against
mpmath at 50 digits and fails if one is less exact than it says here. Errors are the largest seen at
{points} points of the domain given, in units in the last place (ulps) of the exact result; 0.5 is
correct rounding. "C" is the error of the C library's function that the formula is made of, at the
same points: ours is at most 1 more. Partials are within 4 ulps, but where two terms cancel, beside
their zeros, of what the terms are. Partials that can be infinite, or that select, pass on nothing
where they or the adjoint are 0 (`no_nan` in the table).

| operation | `_op` | operands | domain measured | value | C | partials | by convention |
|---|---|---|---|---|---|---|---|
"""


def points(row: dict[str, Any]) -> Iterator[tuple[float, ...]]:
    draw = random.Random(f"accuracy of {row['name']}")
    constants = itertools.cycle(ORACLES[row["name"]].constants or (0.0,))
    for constant in itertools.islice(constants, POINTS):
        a = draw.uniform(row["low"], row["high"])
        second = constant if row["parametric"] else draw.uniform(row["low"], row["high"])
        operands = (a, second)[: row["arity"] + row["parametric"]]
        if refused(ORACLES[row["name"]], operands) is None:
            yield operands


def node(row: dict[str, Any], operands: tuple[float, ...]) -> tuple[Value, list[Value]]:
    values = [Value(number) for number in operands[: row["arity"]]]
    others = [*values[1:], *operands[row["arity"] :]]
    special = {"add": Value.__add__, "multiply": Value.__mul__, "pow": Value.__pow__}
    method: Callable[..., Value] = special.get(row["name"]) or getattr(Value, row["name"])
    return method(values[0], *others), values


def partial_error(row: dict[str, Any], operands: tuple[float, ...], values: list[Value]) -> float:
    """The largest error of a partial that cancellation does not account for."""
    oracle, exact = ORACLES[row["name"]], [mpf(number) for number in operands]
    worst = 0.0
    for value, partial in zip(values, oracle.partials, strict=True):
        wanted = mpf(partial(*exact))
        if abs(mpf(value.grad) - wanted) > oracle.partial_error(*exact):
            worst = max(worst, error_in_ulps(value.grad, wanted))
    return worst


def measured(row: dict[str, Any]) -> tuple[float, float, float]:
    """The largest errors in ulps: of the value, of C's own function, of the partials."""
    oracle = ORACLES[row["name"]]
    value = c = partial = 0.0
    for operands in points(row):
        y, values = node(row, operands)
        exact = oracle.value(*map(mpf, operands))
        error = error_in_ulps(y.data, exact)
        if abs(mpf(y.data) - exact) <= oracle.value_error(*map(mpf, operands)):
            error = 0.0  # it cancels
        value = max(value, error)
        if row["name"] in MADE_OF:
            function, exact, at = MADE_OF[row["name"]]
            c = max(c, error_in_ulps(function(at(*operands)), exact(mpf(at(*operands)))))
        elif row["name"] not in (*EXACT, *CHOICES, *MADE_OF_NONE):
            c = max(c, error)  # it is C's own function
        y.backward()
        partial = max(partial, partial_error(row, operands, values))
    return value, c, partial


def comments() -> dict[str, str]:
    """What each row of ops.def says behind its formulas: the conventions at kinks and ties."""
    rows = re.finditer(
        r"^ARENAGRAD_OP\(\w+, +(\w+),.*?\)(?: +// (.*))?$", OPS.read_text(), re.MULTILINE
    )
    return {row[1]: row[2] or "" for row in rows}


def line(row: dict[str, Any], errors: tuple[float, float, float]) -> str:
    kind = "a, constant" if row["parametric"] else "a, b" if row["arity"] == 2 else "a"
    value, c, partial = (f"{error:.2f}" for error in errors)
    library = "-" if row["name"] in (*EXACT, *CHOICES, *MADE_OF_NONE) else c
    domain = f"{row['low']:g} to {row['high']:g}"
    cells = f"`{row['name']}`", f"`{row['symbol']}`", kind, domain, value, library, partial
    return f"| {' | '.join(cells)} | {comments()[row['name']]} |"


SMALL = [5e-324, 1e-320, 1e-310, 1e-300, 1e-250, 1e-160, 1e-20, 1e-3, 1.0, 1e20, 1e150, 1e300]
POWERS = [  # a**(b - 1) is beyond the largest float here, and b times it is not
    *((5e-324, 1e-17), (1e-320, 1e-13), (1e-310, -1e-3), (-5e-324, -0.0), (1e-309, -1e-300)),
    *((3e-310, 0.0), (2e-309, 0.01), (1e-308, 0.999), (1e-300, -0.03), (1e300, 1.02)),
]


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("a", SMALL)
def test_partials_of_an_angle_are_exact_though_a_part_is_tiny(a: float, sign: float) -> None:
    for b in SMALL:
        x, y = Value(sign * a), Value(b)
        x.arctan2(y).backward()
        with mp.workdps(50):
            square = mpf(a) ** 2 + mpf(b) ** 2
            for found, wanted in ((x.grad, mpf(b) / square), (y.grad, -mpf(sign * a) / square)):
                assert error_in_ulps(found, wanted) <= 4.0, (a, b, found, wanted)


@pytest.mark.parametrize(("a", "b"), POWERS)
def test_partials_of_a_power_are_exact_where_a_part_is_too_large(a: float, b: float) -> None:
    x, y = Value(a), Value(b)
    x.power(y).backward()
    with mp.workdps(50):
        wanted = mpf(b) * mp.power(mpf(a), mpf(b) - 1)
        allowed = mpf(2) ** -50 * abs(wanted) + exponent_error(mpf(a), mpf(b))
        assert abs(mpf(x.grad) - wanted) <= allowed, (x.grad, wanted)


@pytest.fixture(scope="module")
def figures() -> dict[str, tuple[float, float, float]]:
    with mp.workdps(50):
        return {row["name"]: measured(row) for row in TABLE}


@pytest.mark.slow
def test_no_operation_is_more_than_one_ulp_worse_than_the_c_function_it_is_made_of(
    figures: dict[str, tuple[float, float, float]],
) -> None:
    for name, (value, c, partial) in figures.items():
        library = 0.0 if name in CHOICES else max(c, 0.5)
        assert value <= (4.0 if name == "digamma" else library + 1.0), (name, value, c)
        assert partial <= 4.0, (name, partial)
        assert name not in EXACT or value <= 0.5, (name, value)
        assert name not in CHOICES or value == 0.0, (name, value)


def test_the_operations_that_are_c_functions_give_the_bits_of_python_s_math() -> None:
    """So that their errors in the table are those of C and no one else's."""
    ours = {"arc" + name[1:]: name for name in dir(math) if name[1:] in ("sin", "cos", "tan")}
    for row in TABLE:
        function = getattr(math, row["name"], None) or getattr(
            math, ours.get(row["name"], ""), None
        )
        if function is None or row["name"] in ("hypot", "lgamma", "remainder"):  # Python's own
            continue
        for operands in points(row):
            assert node(row, operands)[0].data == function(*operands), (row["name"], operands)


@pytest.mark.slow
def test_the_table_in_the_docs_is_complete_and_true(
    figures: dict[str, tuple[float, float, float]],
) -> None:
    text = HEAD.format(points=POINTS) + "\n".join(line(row, figures[row["name"]]) for row in TABLE)
    if os.environ.get("ARENAGRAD_WRITE_DOCS") == "1":
        DOCS.write_text(text + "\n", encoding="utf-8")
    written = DOCS.read_text(encoding="utf-8").splitlines()
    fresh = text.splitlines()
    assert len(written) == len(fresh)
    for old, new in zip(written, fresh, strict=True):
        before, now = old.split(" | "), new.split(" | ")
        if not old.startswith("| `"):
            assert old == new
            continue
        figure = slice(4, 7)
        assert before[:4] + before[7:] == now[:4] + now[7:], "run with ARENAGRAD_WRITE_DOCS=1"
        for stated, seen in zip(before[figure], now[figure], strict=True):
            assert (stated == "-") == (seen == "-")
            assert stated == "-" or float(seen) <= float(stated) + SLACK, (old, new)
