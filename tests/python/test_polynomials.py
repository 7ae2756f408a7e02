"""The constants of the SIMD functions: where they come from, and how close they are.

`fit_polynomials.py` writes `polynomials.h`. The truth here is mpmath at 50 digits, asked for whole
functions, while the script fits what remains of them; the two share no code.
"""

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import mpmath
import pytest

KERNELS = Path(__file__).resolve().parents[2] / "cpp" / "program" / "kernels"
HEADER = (KERNELS / "polynomials.h").read_text()
OP_MATH = (KERNELS.parents[1] / "core" / "op_math.h").read_text()
POLYNOMIAL = re.compile(r"// Largest error (\S+), .*\nconstexpr double (\w+)\[\] = \{([^}]*)\};")
SCALAR = re.compile(r"constexpr double (\w+) = (\S+);")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fit_polynomials", KERNELS / "fit_polynomials.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


Real = Any
POLYNOMIALS = {
    name: ([float(c) for c in values.split(",") if c.strip()], float(bound))
    for bound, name, values in POLYNOMIAL.findall(HEADER)
}
CONSTANTS = {name: float(value) for name, value in SCALAR.findall(HEADER)}

# For each polynomial: the function by the formula of the kernel, given p and the operand; the
# function itself; the operands, from 0 or from the negative, up to the largest.
Check = tuple[Callable[[Any, Real], Real], Callable[[Real], Real], Callable[[], tuple[Real, Real]]]


def _log_by_s(s: Real) -> Real:
    return mpmath.log((1 + s) / (1 - s)) / s  # s = f / (2 + f)


def _largest_s() -> Real:
    f = mpmath.sqrt(2) - 1
    return f / (2 + f)


CHECKS: dict[str, Check] = {
    "kExpPolynomial": (
        lambda p, r: 1 + r + r * r * p(r),
        mpmath.exp,
        lambda: (-mpmath.log(2) / 2, mpmath.log(2) / 2),
    ),
    "kShortExpPolynomial": (
        lambda p, r: 1 + r + r * r * p(r),
        mpmath.exp,
        lambda: (-mpmath.log(2) / 32, mpmath.log(2) / 32),
    ),
    "kLogPolynomial": (
        lambda p, s: 2 + s * s * p(s * s),
        _log_by_s,
        lambda: (0, _largest_s()),
    ),
    "kPowLogPolynomial": (
        lambda p, s: 2 + 2 * s * s / 3 + s**4 * p(s * s),
        _log_by_s,
        lambda: (0, _largest_s()),
    ),
    "kSinPolynomial": (
        lambda p, r: 1 + r * r * p(r * r),
        lambda r: mpmath.sin(r) / r,
        lambda: (0, mpmath.pi / 4),
    ),
    "kCosPolynomial": (
        lambda p, r: 1 - r * r / 2 + r**4 * p(r * r),
        mpmath.cos,
        lambda: (0, mpmath.pi / 4),
    ),
    "kAtanPolynomial": (
        lambda p, t: 1 + t * t * p(t * t),
        lambda t: mpmath.atan(t) / t,
        lambda: (0, mpmath.tan(mpmath.pi / 8)),
    ),
    "kAsinPolynomial": (
        lambda p, x: 1 + x * x * p(x * x),
        lambda x: mpmath.asin(x) / x,
        lambda: (0, mpmath.mpf(1) / 2),
    ),
    "kErfPolynomial": (
        lambda p, x: p(x * x),
        lambda x: mpmath.erf(x) / x,
        lambda: (0, 1),
    ),
    "kErfTailPolynomial": (
        lambda p, t: p(t),
        lambda t: _scaled_tail(4 * (1 + t) / (1 - t)),
        lambda: (-1, mpmath.mpf(235) / 315),
    ),
}


def _scaled_tail(u: Real) -> Real:
    return mpmath.exp(u * u) * mpmath.erfc(u) * (1 + 2 * u)


def test_every_polynomial_of_the_header_is_checked_here() -> None:
    assert set(POLYNOMIALS) == set(CHECKS)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKS)
def test_a_polynomial_is_as_close_as_its_comment_says(name: str) -> None:
    formula, function, interval = CHECKS[name]
    coefficients, bound = POLYNOMIALS[name]
    with mpmath.workdps(50):

        def p(x: Real) -> Real:
            return mpmath.fsum(c * x**k for k, c in enumerate(coefficients))

        low, high = map(mpmath.mpf, interval())
        points = [low + (high - low) * k / 797 for k in range(798)]
        worst = max(abs(formula(p, x) - function(x)) for x in points if x != 0)
        assert worst <= bound
        assert worst >= bound / 2, "the comment promises less than there is"


def test_constants_in_parts_sum_up_to_the_constant() -> None:
    with mpmath.workdps(50):
        truth = {
            "kLn2High kLn2Low": mpmath.log(2),
            "kLn2 kLn2Rest": mpmath.log(2),
            "kLn2Over16High kLn2Over16Low": mpmath.log(2) / 16,
            "kSixteenOverLn2": 16 / mpmath.log(2),
            "kLog2E kLog2ERest": 1 / mpmath.log(2),
            "kLog10Of2High kLog10Of2Low": mpmath.log10(2),
            "kLog10E kLog10ERest": 1 / mpmath.log(10),
            "kHalfPiHigh kHalfPiMiddle kHalfPiLow": mpmath.pi / 2,
            "kQuarterPi kQuarterPiRest": mpmath.pi / 4,
            "kTwoOverPi": 2 / mpmath.pi,
            "kTanOfEighthPi": mpmath.sqrt(2) - 1,
            "kTanOfThreeEighthsPi": mpmath.sqrt(2) + 1,
            "kThird kThirdRest": mpmath.mpf(1) / 3,
            "kRootOfHalf": mpmath.sqrt(2) / 2,
            "kOneOverRootTwoPi": 1 / mpmath.sqrt(2 * mpmath.pi),
        }
        assert set(" ".join(truth).split()) == set(CONSTANTS)
        for names, value in truth.items():
            *before, last = (CONSTANTS[name] for name in names.split())
            assert last == float(value - mpmath.fsum(before)), names


def test_the_powers_of_two_and_their_rests_are_the_nearest_doubles() -> None:
    arrays = re.findall(r"double kPowers(?:High|Low)\[\] = \{([^}]*)\}", HEADER)
    high, low = ([float(x) for x in array.split(",") if x.strip()] for array in arrays)
    assert len(high) == len(low) == 16
    with mpmath.workdps(50):
        for k in range(16):
            power = mpmath.mpf(2) ** (mpmath.mpf(k) / 16)
            assert high[k] == float(power)
            assert low[k] == float(power - high[k])


@pytest.mark.parametrize(
    ("name", "largest"),
    [
        ("kLn2Over16High", 16 * 1024),
        ("kLn2High", 1100),
        ("kLog10Of2High", 1100),
        ("kHalfPiMiddle", 640_000),
    ],
)
def test_the_product_of_a_short_part_with_an_integer_is_exact(name: str, largest: int) -> None:
    part = CONSTANTS[name]
    for k in range(largest - 1000, largest):
        assert mpmath.mpf(k * part) == mpmath.fmul(k, part, exact=True)


@pytest.mark.slow
def test_the_headers_are_what_the_script_gives(
    script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main(["--check"]) == 0, capsys.readouterr().out


@pytest.mark.slow
def test_each_altered_constant_of_a_copy_is_noticed(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "polynomials.h"
    for name in (*POLYNOMIALS, *CONSTANTS):
        # The last digit of the constant, or of the last coefficient.
        number = re.compile(rf"(double {name}\b[^;]*\d\.\d+)(\d)")
        altered, count = number.subn(lambda m: m[1] + str((int(m[2]) + 1) % 10), HEADER)
        assert count == 1
        copy.write_text(altered)
        assert script.main(["--check", "--header", str(copy)]) == 1
        assert capsys.readouterr().out.startswith(f"{name}: ")


@pytest.mark.slow
def test_an_altered_constant_of_the_core_is_noticed(script: ModuleType) -> None:
    altered = OP_MATH.replace("0.70710678118654752440", "0.70710678118654742440")
    assert altered != OP_MATH
    assert script.differences(HEADER, altered) == ["op_math.h: kRootHalf is not 0.7071067811865476"]


@pytest.mark.parametrize("path", sorted(KERNELS.glob("simd*.h")), ids=lambda path: path.name)
def test_the_functions_hold_no_digits_of_their_own(path: Path) -> None:
    assert not re.findall(r"\b\d*\.\d{8,}", path.read_text())
