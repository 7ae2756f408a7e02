"""Writes polynomials.h: the polynomials of the SIMD functions, and constants split into parts.

    python cpp/program/kernels/fit_polynomials.py --check    # is polynomials.h what this gives?
    python cpp/program/kernels/fit_polynomials.py --write    # write it anew

A row of POLYNOMIALS says what a polynomial p is for: x**power * p(x) replaces target(x) for x in
the interval. Its coefficients minimise the largest absolute error (Remez exchange, 60 digits). If
power is above 0, the first coefficient (the first two, where x may be negative) is rounded to a
double and the others are fitted again, so that they compensate for its rounding; then these are
rounded. If power is 0, p(0) is the first coefficient, nothing can compensate for its rounding, and
all are rounded at once.

A row of TABLES is an array of numbers as the doubles nearest to them, and one of the doubles
nearest to the rests.

A row of SPLITS is a constant as a sum of doubles. Each but the last is cut off after a number of
bits, so that its product with a short integer is exact; the last is the double nearest to the rest.
"""

import argparse
import functools
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

try:
    from mpmath import MPContext
except ImportError:
    sys.exit("fit_polynomials.py needs mpmath: python -m pip install mpmath")

HEADER = Path(__file__).with_name("polynomials.h")
OP_MATH = Path(__file__).parents[2] / "core" / "op_math.h"

mp = MPContext()  # not mpmath.mp: an importer keeps its own number of digits
mp.dps = 60
Real = Any  # a number of mp
Function = Callable[[Real], Real]


class Polynomial(NamedTuple):
    """A polynomial p with `terms` coefficients: x**power * p(x) replaces target(x)."""

    name: str
    meaning: str
    where: str
    target: Function
    interval: tuple[Real, Real]
    power: int
    terms: int


class Split(NamedTuple):
    """The value as a sum of doubles with these names; all but the last have `bits` bits."""

    names: tuple[str, ...]
    meaning: str
    value: Real
    bits: int = 53


class Table(NamedTuple):
    """Values of one kind, each as the sum of two doubles, in an array of either."""

    names: tuple[str, str]
    meaning: str
    values: list[Real]


def over_root(f: Function, z: Real) -> Real:
    """f(x) / x for x = sqrt(z); at 0 the limit, to 50 digits."""
    x = mp.sqrt(z) or mp.mpf("1e-25")
    return f(x) / x


def scaled_tail(t: Real) -> Real:
    u = 4 * (1 + t) / (1 - t)
    return mp.exp(u * u) * mp.erfc(u) * (1 + 2 * u)


ZERO, ONE, LN2 = mp.mpf(0), mp.mpf(1), mp.log(2)
LOG_WHERE = "s = f / (2 + f), z = s**2 <= 0.0295"
LOG_INTERVAL = (ZERO, (3 - 2 * mp.sqrt(2)) ** 2)  # f from sqrt(1/2) - 1 to sqrt(2) - 1

POLYNOMIALS = [
    Polynomial(
        "kExpPolynomial",
        "exp(r) = 1 + r + r**2 p(r)",
        "|r| <= log(2) / 2",
        lambda r: mp.exp(r) - 1 - r,
        (-LN2 / 2, LN2 / 2),
        power=2,
        terms=10,
    ),
    Polynomial(
        "kShortExpPolynomial",
        "exp(r) = 1 + r + r**2 p(r)",
        "|r| <= log(2) / 32",
        lambda r: mp.exp(r) - 1 - r,
        (-LN2 / 32, LN2 / 32),
        power=2,
        terms=6,
    ),
    Polynomial(
        "kLogPolynomial",
        "log(1 + f) / s = 2 + z p(z)",
        LOG_WHERE,
        lambda z: 2 * over_root(mp.atanh, z) - 2,
        LOG_INTERVAL,
        power=1,
        terms=7,
    ),
    Polynomial(
        "kPowLogPolynomial",
        "log(1 + f) / s = 2 + 2/3 z + z**2 p(z)",
        LOG_WHERE,
        lambda z: 2 * over_root(mp.atanh, z) - 2 - 2 * z / 3,
        LOG_INTERVAL,
        power=2,
        terms=7,
    ),
    Polynomial(
        "kSinPolynomial",
        "sin(r) / r = 1 + z p(z)",
        "z = r**2 <= (pi / 4)**2",
        lambda z: over_root(mp.sin, z) - 1,
        (ZERO, (mp.pi / 4) ** 2),
        power=1,
        terms=6,
    ),
    Polynomial(
        "kCosPolynomial",
        "cos(r) = 1 - z / 2 + z**2 p(z)",
        "z = r**2 <= (pi / 4)**2",
        lambda z: mp.cos(mp.sqrt(z)) - 1 + z / 2,
        (ZERO, (mp.pi / 4) ** 2),
        power=2,
        terms=6,
    ),
    Polynomial(
        "kAtanPolynomial",
        "atan(t) / t = 1 + z p(z)",
        "z = t**2 <= tan(pi / 8)**2",
        lambda z: over_root(mp.atan, z) - 1,
        (ZERO, mp.tan(mp.pi / 8) ** 2),
        power=1,
        terms=11,
    ),
    Polynomial(
        "kAsinPolynomial",
        "asin(x) / x = 1 + z p(z)",
        "z = x**2 <= 1/4",
        lambda z: over_root(mp.asin, z) - 1,
        (ZERO, ONE / 4),
        power=1,
        terms=13,
    ),
    Polynomial(
        "kErfPolynomial",
        "erf(x) / x = p(z)",
        "z = x**2 <= 1",
        lambda z: over_root(mp.erf, z),
        (ZERO, ONE),
        power=0,
        terms=13,
    ),
    Polynomial(
        "kErfTailPolynomial",
        "exp(u**2) erfc(u) (1 + 2u) = p(t)",
        "t = (u - 4) / (u + 4), 0 <= u <= 27.5",
        scaled_tail,
        (-ONE, ONE * 47 / 63),
        power=0,
        terms=24,
    ),
]

SPLITS = [
    Split(("kLn2High", "kLn2Low"), "log(2)", LN2, 41),
    Split(("kLn2", "kLn2Rest"), "log(2)", LN2),
    Split(("kLn2Over16High", "kLn2Over16Low"), "log(2) / 16", LN2 / 16, 38),
    Split(("kSixteenOverLn2",), "16 / log(2)", 16 / LN2),
    Split(("kLog2E", "kLog2ERest"), "log2(e)", 1 / LN2),
    Split(("kLog10Of2High", "kLog10Of2Low"), "log10(2)", LN2 / mp.log(10), 41),
    Split(("kLog10E", "kLog10ERest"), "log10(e)", 1 / mp.log(10)),
    Split(("kHalfPiHigh", "kHalfPiMiddle", "kHalfPiLow"), "pi / 2", mp.pi / 2, 33),
    Split(("kQuarterPi", "kQuarterPiRest"), "pi / 4", mp.pi / 4),
    Split(("kTwoOverPi",), "2 / pi", 2 / mp.pi),
    Split(("kTanOfEighthPi",), "tan(pi / 8)", mp.tan(mp.pi / 8)),
    Split(("kTanOfThreeEighthsPi",), "tan(3 pi / 8)", mp.tan(3 * mp.pi / 8)),
    Split(("kThird", "kThirdRest"), "1 / 3", ONE / 3),
    Split(("kRootOfHalf",), "sqrt(1 / 2)", mp.sqrt(ONE / 2)),
    Split(("kOneOverRootTwoPi",), "1 / sqrt(2 pi)", 1 / mp.sqrt(2 * mp.pi)),
]

TABLES = [
    Table(
        ("kPowersHigh", "kPowersLow"),
        "2**(k / 16) for k = 0, 1, ..., 15",
        [mp.mpf(2) ** (mp.mpf(k) / 16) for k in range(16)],
    ),
]

# Written by hand in op_math.h, so that the core needs no generated file; --check compares them.
OF_OP_MATH = [
    Split(("kLn2",), "log(2)", LN2),
    Split(("kLog2E",), "log2(e)", 1 / LN2),
    Split(("kLog10E",), "log10(e)", 1 / mp.log(10)),
    Split(("kRootHalf", "kRootHalfRest"), "sqrt(1 / 2)", mp.sqrt(ONE / 2)),
    Split(("kTwoOverRootPi",), "2 / sqrt(pi)", 2 / mp.sqrt(mp.pi)),
    Split(("kOneOverRootTwoPi",), "1 / sqrt(2 pi)", 1 / mp.sqrt(2 * mp.pi)),
    Split(("kPi",), "pi", +mp.pi),
]


# Remez's exchange


def chebyshev_extrema(interval: tuple[Real, Real], count: int) -> list[Real]:
    """`count` points of the interval, both ends included, denser near them."""
    low, high = interval
    angles = [mp.pi * k / (count - 1) for k in range(count)]
    return [(low + high) / 2 - (high - low) / 2 * mp.cos(angle) for angle in angles]


def evaluate(coefficients: Sequence[Real], power: int, x: Real) -> Real:
    """x**power * p(x)."""
    value = ZERO
    for c in reversed(coefficients):
        value = value * x + c
    return x**power * value


def levelled(target: Function, power: int, points: Sequence[Real]) -> list[Real]:
    """The coefficients whose errors at the points are equal in size, with alternating signs."""
    terms = len(points) - 1
    rows = [[x**power * x**k for k in range(terms)] + [(-1) ** i] for i, x in enumerate(points)]
    solution = mp.lu_solve(mp.matrix(rows), mp.matrix([target(x) for x in points]))
    return [solution[k] for k in range(terms)]


def peak(error: Function, left: Real, middle: Real, right: Real) -> Real:
    """The place of an extremum of error near the middle, by parabolas on ever closer points."""
    low, high = left, right
    for _ in range(6):
        a, b, c = error(left), error(middle), error(right)
        top = (middle - left) ** 2 * (b - c) - (middle - right) ** 2 * (b - a)
        bottom = (middle - left) * (b - c) - (middle - right) * (b - a)
        if bottom == 0:
            break
        step = (right - left) / 16
        middle = min(max(middle - top / (2 * bottom), low + step), high - step)
        left, right = middle - step, middle + step
    return middle


def extrema(error: Function, grid: Sequence[Real], count: int) -> list[Real]:
    """The places of the `count` largest extrema of error whose signs alternate."""
    errors = [error(x) for x in grid]
    size = [abs(e) for e in errors]
    noise = max(size) * mp.mpf("1e-10")  # the sign of less than this means nothing
    places: list[int] = []  # of the largest error in each run of one sign
    for i, e in enumerate(errors):
        if size[i] < noise:
            continue
        if not places or (errors[places[-1]] > 0) != (e > 0):
            places.append(i)
        elif size[i] > size[places[-1]]:
            places[-1] = i
    while len(places) > count:
        sizes = [size[i] for i in places]
        ends = [0, len(places) - 1]
        least = sizes.index(min(sizes))
        if least in ends or len(places) == count + 1:
            del places[min(ends, key=sizes.__getitem__)]
        else:  # with its smaller neighbour, so that the signs still alternate
            neighbour = min(least - 1, least + 1, key=sizes.__getitem__)
            del places[min(least, neighbour) : max(least, neighbour) + 1]
    if len(places) < count:
        raise ArithmeticError(f"{len(places)} extrema of the error, {count} are needed")
    last = len(grid) - 1
    return [peak(error, *grid[i - 1 : i + 2]) if 0 < i < last else grid[i] for i in places]


def error_of(coefficients: Sequence[Real], target: Function, power: int) -> Function:
    return lambda x: evaluate(coefficients, power, x) - target(x)


def minimax(target: Function, interval: tuple[Real, Real], power: int, terms: int) -> list[Real]:
    """The coefficients for which the largest error of x**power * p(x) is smallest."""
    target = functools.cache(target)
    grid = chebyshev_extrema(interval, 16 * (terms + 1) + 1)
    points = chebyshev_extrema(interval, 2 * terms + 3)[1::2]  # within, so that errors cross 0
    for _ in range(20):
        coefficients = levelled(target, power, points)
        error = error_of(coefficients, target, power)
        points = extrema(error, grid, terms + 1)
        sizes = [abs(error(x)) for x in points]
        if max(sizes) - min(sizes) < mp.mpf("1e-15") * max(sizes):
            return coefficients
    raise ArithmeticError("the exchange of points does not converge")


# From fits to doubles


def largest_error(row: Polynomial, coefficients: Sequence[Real]) -> Real:
    """The largest error of x**power * p(x) on many points of the interval, and 1 % more."""
    error = error_of(coefficients, row.target, row.power)
    return max(abs(error(x)) for x in chebyshev_extrema(row.interval, 40 * row.terms)) * 1.01


def fit(row: Polynomial) -> tuple[list[float], Real]:
    """The coefficients as doubles, and the error of the polynomial before it was rounded."""
    exact = minimax(row.target, row.interval, row.power, row.terms)
    if row.power == 0:
        return [*map(float, exact)], largest_error(row, exact)
    leading = 2 if row.interval[0] < 0 else 1  # the power stays even where x may be negative
    first = [float(c) for c in exact[:leading]]
    rest = minimax(
        lambda x: row.target(x) - evaluate(first, row.power, x),
        row.interval,
        row.power + leading,
        row.terms - leading,
    )
    return [*first, *map(float, rest)], largest_error(row, exact)


def cut(value: Real, bits: int) -> float:
    """The value cut off after its first `bits` bits."""
    scale = mp.mpf(2) ** (bits - 1 - int(mp.floor(mp.log(value, 2))))
    return float(mp.floor(value * scale) / scale)


def parts(row: Split) -> list[float]:
    """The doubles whose sum is the value."""
    found: list[float] = []
    rest = row.value
    for name in row.names:
        is_short = row.bits < 53 and name != row.names[-1]
        found.append(cut(rest, row.bits) if is_short else float(rest))
        rest -= found[-1]
    return found


# The header

HEAD = """\
// Coefficients and constants of the SIMD functions. Written by fit_polynomials.py: change that,
// and run it with --write. Errors are absolute, in the function on the left.
#pragma once

// clang-format off: one number a line

namespace arenagrad::program {
namespace {
"""
FOOT = """
} // namespace
} // namespace arenagrad::program
"""


def rounded_up(value: Real) -> str:
    """The value with two digits, not below it."""
    exponent = int(mp.floor(mp.log10(value))) - 1
    return mp.nstr(mp.ceil(value / mp.mpf(10) ** exponent) * mp.mpf(10) ** exponent, 2)


def text_of_polynomial(row: Polynomial) -> str:
    coefficients, exact = fit(row)
    error = rounded_up(largest_error(row, coefficients))
    lines = [
        f"// {row.meaning}, degree {row.terms - 1}, for {row.where}.",
        f"// Largest error {error}, and {rounded_up(exact)} before the coefficients were rounded.",
        f"constexpr double {row.name}[] = {{",
        *(f"    {c!r}," for c in coefficients),
        "};",
    ]
    return "\n".join(lines)


def text_of_split(row: Split) -> str:
    spare = 53 - row.bits
    use = f", cut to {row.bits} bits: exact times an integer below 2**{spare}" if spare else ""
    values = zip(row.names, parts(row), strict=True)
    lines = [f"constexpr double {name} = {value!r};" for name, value in values]
    return "\n".join([f"// {row.meaning}{use}", *lines])


def text_of_table(row: Table) -> str:
    high = [float(value) for value in row.values]
    low = [float(value - double) for value, double in zip(row.values, high, strict=True)]
    lines = [f"// {row.meaning}, and what these doubles lack"]
    for name, numbers in zip(row.names, (high, low), strict=True):
        lines += [
            f"constexpr double {name}[] = {{",
            *(f"    {number!r}," for number in numbers),
            "};",
        ]
    return "\n".join(lines)


@functools.cache
def header() -> str:
    """The text of polynomials.h."""
    texts = [
        *map(text_of_polynomial, POLYNOMIALS),
        *map(text_of_table, TABLES),
        *map(text_of_split, SPLITS),
    ]
    return HEAD + "".join(f"\n{text}\n" for text in texts) + FOOT


def definitions(text: str) -> dict[str, str]:
    """The constants that a header defines, as they are written, by name."""
    found = re.findall(r"constexpr double (\w+)(?:\[\])? =\s*(\{[^}]*\}|[^;]*);", text)
    return {name: " ".join(value.split()) for name, value in found}


def differences(text: str, op_math: str) -> list[str]:
    """One line for each constant of these headers that differs from the derived one."""
    given, wanted = definitions(text), definitions(header())
    found = [
        f"{name}: {given.get(name, 'missing')} where {wanted.get(name, 'nothing')} is derived"
        for name in sorted(given.keys() | wanted.keys())
        if given.get(name) != wanted.get(name)
    ]
    if not found and text != header():
        found.append("the comments or the order of the constants differ")
    by_hand = definitions(op_math)
    for row in OF_OP_MATH:
        for name, value in zip(row.names, parts(row), strict=True):
            if name not in by_hand or float(by_hand[name]) != value:
                found.append(f"op_math.h: {name} is not {value!r}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The constants of the SIMD functions.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true", help="compare the headers with the fits")
    action.add_argument("--write", action="store_true", help="write polynomials.h")
    parser.add_argument("--header", type=Path, default=HEADER, help="the file, if it is another")
    options = parser.parse_args(arguments)
    if options.write:
        options.header.write_text(header())
    found = differences(options.header.read_text(), OP_MATH.read_text())
    print("\n".join(found) or f"{options.header.name} is what the script gives")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
