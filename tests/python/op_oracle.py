"""What every row of ops.def is in mathematics, at 50 digits, and in Python's own floats.

Nothing here shares a formula with the engine where two are known: partials come from mpmath's own
functions (sech, sec, ncdf, digamma) and from no primal. Errors are counted in units in the last
place (ulps) of the exact result. Call within `mp.workdps(50)`. Holds no tests.
"""

import functools
import math
import operator
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from mpmath import mp, mpf

TINY, HUGE = 5e-324, 1.7976931348623157e308
ROUNDING = mpf(2) ** -53  # the most that one rounding changes a float by, relative to it


@dataclass(frozen=True)
class Oracle:
    """One operation as mathematics and as Python know it; all functions take every operand."""

    value: Callable[..., Any]
    partials: tuple[Callable[..., Any], ...]
    python: Callable[..., float]  # the float function: whatever this raises, ours has to raise
    ulps: float  # allowed error of the value; 0.5 is correctly rounded
    partial_ulps: float = 4.0
    partial_error: Callable[..., Any] = lambda *operands: 0  # allowed beside the ulps, absolute
    value_error: Callable[..., Any] = lambda *operands: 0  # the same for the value
    constants: tuple[float, ...] = ()  # what tests choose a Parametric's constant from


def real_power(a: float, b: float) -> float:
    """Python's `**`, in which a complex result is an error: a Value is real."""
    if a < 0 and math.isfinite(a) and math.isfinite(b) and b != math.floor(b):
        raise ValueError("complex")
    return float(a**b)


def error_in_ulps(got: float, exact: Any) -> float:
    """How far apart they are; a result beyond the largest float has to be the infinity."""
    limit = mpf(HUGE) + mpf(math.ulp(HUGE)) / 2
    if abs(exact) >= limit:
        return 0.0 if got == math.copysign(math.inf, exact) else math.inf
    if not math.isfinite(got):
        return math.inf
    return float(abs(mpf(got) - exact) / mpf(math.ulp(float(exact))))


def refused(oracle: Oracle, operands: tuple[float, ...]) -> type[Exception] | None:
    """The class of what Python's own function of floats raises, if it does."""
    try:
        oracle.python(*operands)
    except (ArithmeticError, ValueError) as error:
        return type(error)
    return None


def sigmoid(a: Any) -> Any:
    return 1 / (1 + mp.exp(-a))


def over(a: Any) -> Any:
    """1 / a, which is infinite at 0."""
    return 1 / a if a else mp.inf


def normal_below(a: Any) -> Any:
    """The normal distribution function; far below, where mpmath gives up, its asymptote."""
    return mp.ncdf(a) if a > -1e9 else mp.npdf(a) / -a


def floats_of(value: Callable[[Any], Any], below: float, above: float) -> Callable[[float], float]:
    """A float function that Python lacks: it refuses nothing and has these limits at infinity."""

    def python(a: float) -> float:
        if not math.isfinite(a):
            return a if math.isnan(a) else below if a < 0 else above
        exact = value(mpf(a))
        return math.copysign(float(exact), mp.sign(exact) or a)

    return python


def softplus(a: Any) -> Any:
    return mp.log1p(mp.exp(a))


def silu(a: Any) -> Any:
    return a * sigmoid(a)


def silu_partial(a: Any) -> Any:
    return sigmoid(a) + a * mp.sech(a / 2) ** 2 / 4


def gelu(a: Any) -> Any:
    return a * normal_below(a)


def gelu_partial(a: Any) -> Any:
    return normal_below(a) + a * mp.npdf(a)


def log_gamma(a: Any) -> Any:
    with mp.extradps(30):  # it cancels near its zeros, 1 and 2
        return mp.re(mp.loggamma(a))


def cancelling(partial: Callable[[Any], Any], part: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The allowance for a partial that is the difference of two parts, near its zero.

    There the parts are equal, and each is off by up to three roundings of its own size (one or two
    in exp or erfc, one or two in sums and products); the difference keeps these errors while it
    goes to zero itself. Further off, where it is no longer small beside the part, ulps count.
    """

    def error(a: Any) -> Any:
        size = abs(part(a))
        return 6 * ROUNDING * size if abs(partial(a)) < 0.75 * size else 0

    return error


def digamma_error(a: Any) -> Any:
    """What the parts of digamma are off by where they cancel: near its zeros, 1.46 and below 0.

    Up to 10, ten reciprocals are taken from a logarithm: at most ten roundings of sums that grow
    to their own sum, hence on average of half of it. Below 0 there is pi / tan(pi a) besides, of
    four roundings, and two in pi a itself, which near the cotangent's zeros is what counts.
    """
    if abs(mp.digamma(a)) >= 4 or a >= 10:
        return 0
    if a > 0:
        return 5 * ROUNDING * (mp.digamma(a + 10) - mp.digamma(a) + mp.log(a + 10))
    fraction = abs(a - mp.nint(a))
    cotangent, partial = abs(mp.pi * mp.cot(mp.pi * a)), (mp.pi * mp.csc(mp.pi * a)) ** 2
    beyond = digamma_error(1 - a) + 4 * ROUNDING * abs(mp.digamma(1 - a))
    return ROUNDING * (4 * cotangent + 2 * fraction * partial) + beyond


def exponent_error(a: Any, b: Any) -> Any:
    """The rule's b - 1 is a float: its rounding changes a**(b - 1) by log(a) times as much."""
    if not a:
        return 0
    return abs(b * mp.power(a, b - 1) * mp.log(abs(a)) * ((b - 1) - mpf(float(b) - 1.0)))


def power_partial(a: Any, b: Any) -> Any:
    """d(a**b)/da, at a = 0 from the right."""
    if a or not b:
        return b * mp.power(a, b) / a if b else mpf(0)
    return mp.inf if b < 1 else mpf(int(b == 1))


def largest(a: float, b: float) -> float:
    """The larger of two floats, or nan; 0.0 is above -0.0."""
    if math.isnan(a) or math.isnan(b):
        return math.nan
    return max((a, b), key=lambda x: (x, math.copysign(1, x)))


def half(a: Any, b: Any) -> Any:
    """The partial of the larger by a: a tie gives half to each."""
    return mpf(1) if a > b else mpf(0) if a < b else mpf(1) / 2


def fraction(a: Any) -> Fraction:
    """The very number, since a remainder of large ones needs more than 50 digits."""
    sign, mantissa, exponent, _ = mpf(a)._mpf_
    return (-1) ** sign * Fraction(int(mantissa)) * Fraction(2) ** exponent


def quotient(a: Any, b: Any) -> int:
    """The whole part of a / b, towards 0."""
    return int(fraction(a) / fraction(b))


def exactly(number: Fraction) -> Any:
    return mpf(number.numerator) / number.denominator


def logaddexp(a: Any, b: Any) -> Any:
    return max(a, b) + mp.log1p(mp.exp(-abs(a - b)))


def logaddexp_error(a: Any, b: Any) -> Any:
    """Where the larger one is cancelled by the logarithm, three roundings of its size remain."""
    return 3 * ROUNDING * abs(max(a, b)) if max(a, b) < 0 else 0


def float_logaddexp(a: float, b: float) -> float:
    if math.isnan(a) or math.isnan(b):
        return math.nan
    return float(logaddexp(mpf(a), mpf(b))) if math.isfinite(a + b) else max(a, b)


def error_function_complement(a: Any) -> Any:
    """That of mpmath; far above, where mpmath gives up, its asymptote."""
    return mp.erfc(a) if a < 1e9 else mp.exp(-a * a) / (a * mp.sqrt(mp.pi))


def float_digamma(a: float) -> float:
    if not math.isfinite(a):
        return a if a > 0 or math.isnan(a) else math.log(a)
    if a <= 0 and a == math.floor(a):
        raise ValueError("a pole")
    y = float(mp.digamma(mpf(a)))
    return y if math.isfinite(y) else math.log(-1.0)


def inside_of(value: Callable[[Any], Any], low: float, high: float) -> Callable[[float], float]:
    """A float function that refuses all that is not between these."""

    def python(a: float) -> float:
        if math.isnan(a) or low < a < high:
            return a if math.isnan(a) else float(value(mpf(a))) + 0.0
        raise ValueError("outside")

    return python


def trigamma(a: Any) -> Any:
    if a > 0:
        return mp.polygamma(1, a)
    with mp.extradps(30):
        return (mp.pi / mp.sin(mp.pi * a)) ** 2 - mp.polygamma(1, 1 - a)


@functools.cache
def normal_ppf_at(a: Any, precision: int) -> Any:
    if a > mpf(1) / 2:
        return -normal_ppf_at(1 - a, precision)
    y = mpf(statistics.NormalDist().inv_cdf(float(a)))
    for _ in range(1 if precision < 200 else 4):
        below = normal_below(y)
        y -= mp.log(below / a) * below / mp.npdf(y)
    return y if a != mpf(1) / 2 else mpf(0)


def normal_ppf(a: Any) -> Any:
    """The inverse of the normal distribution function, by Newton on its logarithm."""
    return normal_ppf_at(a, mp.prec)


def inverse_error(y: Any, partial: Any) -> Any:
    """What a rounded y makes of a partial that grows as exp(y y / 2) with it."""
    return 4 * ROUNDING * (1 + y * y) * partial


def inverse_error_function(a: Any) -> Any:
    return mp.sign(a) * -normal_ppf((1 - abs(a)) / 2) / mp.sqrt(2) if abs(a) > 0.1 else mp.erfinv(a)


def log_normal_below(a: Any) -> Any:
    return mp.log1p(-normal_below(-a)) if a > 0 else mp.log(normal_below(a))


def part(a: Any, size: Any) -> Any:
    """A / size, and 0 where both are."""
    return a / size if size else mpf(0)


# The ulps of a value are the C library's own (the largest seen in glibc, or what its manual
# states) and at most one more. Where a formula has several steps, their roundings are added:
# sigmoid has three (exp, sum, quotient), silu four, gelu erfc's two to three and a product.
EXPONENTS = (0, 1, 2, 3, -1, -2, 7, 100, -30, 0.5, -0.5, 1.5, 2.0, -1.0, 1 / 3, -3.7, 0.0, 1e-17)
ORACLES = {
    "add": Oracle(
        value=lambda a, b: mp.fadd(a, b, exact=True),
        partials=(lambda a, b: 1, lambda a, b: 1),
        python=operator.add,
        ulps=0.5,
        partial_ulps=0,
    ),
    "multiply": Oracle(
        value=lambda a, b: mp.fmul(a, b, exact=True),
        partials=(lambda a, b: b, lambda a, b: a),
        python=operator.mul,
        ulps=0.5,
        partial_ulps=0,
    ),
    "pow": Oracle(
        value=lambda a, b: mp.power(a, b),
        partials=(lambda a, b: b * mp.power(a, b - 1) if b else mpf(0),),
        python=real_power,
        ulps=1,
        partial_error=exponent_error,
        constants=EXPONENTS,
    ),
    "power": Oracle(
        value=lambda a, b: mp.power(a, b),
        partials=(
            power_partial,
            lambda a, b: a**b * mp.log(a) if a > 0 else 0 if a == 0 else mp.nan,
        ),
        python=real_power,
        ulps=1,
        partial_error=exponent_error,
    ),
    "relu": Oracle(
        value=lambda a: a if a > 0 else mpf(0),
        partials=(lambda a: 1 if a > 0 else 0,),  # 0 at the kink, as in micrograd
        python=lambda a: 0.0 if a < 0 else a,
        ulps=0,
        partial_ulps=0,
    ),
    "exp": Oracle(mp.exp, (mp.exp,), math.exp, ulps=1),
    "exp2": Oracle(
        lambda a: mp.power(2, a), (lambda a: mp.log(2) * mp.power(2, a),), math.exp2, ulps=1
    ),
    "expm1": Oracle(mp.expm1, (mp.exp,), math.expm1, ulps=1.5),
    "log": Oracle(mp.log, (lambda a: 1 / a,), math.log, ulps=1),
    "log2": Oracle(lambda a: mp.log(a, 2), (lambda a: 1 / (a * mp.log(2)),), math.log2, ulps=1),
    "log10": Oracle(mp.log10, (lambda a: 1 / (a * mp.log(10)),), math.log10, ulps=2.5),
    "log1p": Oracle(mp.log1p, (lambda a: 1 / (1 + a),), math.log1p, ulps=1.5),
    "sqrt": Oracle(mp.sqrt, (lambda a: over(2 * mp.sqrt(a)),), math.sqrt, ulps=0.5),
    "cbrt": Oracle(
        lambda a: mp.sign(a) * mp.cbrt(abs(a)),
        (lambda a: over(3 * mp.cbrt(a * a)),),
        math.cbrt,
        ulps=4,
    ),
    "square": Oracle(
        lambda a: a * a, (lambda a: 2 * a,), lambda a: a * a, ulps=0.5, partial_ulps=0
    ),
    "reciprocal": Oracle(lambda a: 1 / a, (lambda a: -1 / (a * a),), lambda a: 1.0 / a, ulps=0.5),
    "sin": Oracle(mp.sin, (mp.cos,), math.sin, ulps=1),
    "cos": Oracle(mp.cos, (lambda a: -mp.sin(a),), math.cos, ulps=1),
    "tan": Oracle(mp.tan, (lambda a: mp.sec(a) ** 2,), math.tan, ulps=1.5),
    "arcsin": Oracle(mp.asin, (lambda a: over(mp.sqrt(1 - a * a)),), math.asin, ulps=1),
    "arccos": Oracle(mp.acos, (lambda a: -over(mp.sqrt(1 - a * a)),), math.acos, ulps=1),
    "arctan": Oracle(mp.atan, (lambda a: 1 / (1 + a * a),), math.atan, ulps=1),
    "sinh": Oracle(mp.sinh, (mp.cosh,), math.sinh, ulps=2.5),
    "cosh": Oracle(mp.cosh, (mp.sinh,), math.cosh, ulps=2.5),
    "tanh": Oracle(mp.tanh, (lambda a: mp.sech(a) ** 2,), math.tanh, ulps=2.5),
    "arcsinh": Oracle(mp.asinh, (lambda a: 1 / mp.sqrt(1 + a * a),), math.asinh, ulps=2.5),
    "arccosh": Oracle(mp.acosh, (lambda a: over(mp.sqrt(a * a - 1)),), math.acosh, ulps=2.5),
    "arctanh": Oracle(mp.atanh, (lambda a: 1 / (1 - a * a),), math.atanh, ulps=2.5),
    "sigmoid": Oracle(
        sigmoid, (lambda a: mp.sech(a / 2) ** 2 / 4,), floats_of(sigmoid, 0.0, 1.0), ulps=2
    ),
    "softplus": Oracle(softplus, (sigmoid,), floats_of(softplus, 0.0, math.inf), ulps=1.5),
    "silu": Oracle(
        silu,
        (silu_partial,),
        floats_of(silu, -0.0, math.inf),
        ulps=3,
        partial_error=cancelling(silu_partial, lambda a: a * mp.sech(a / 2) ** 2 / 4),
    ),
    "gelu": Oracle(
        gelu,
        (gelu_partial,),
        floats_of(gelu, -0.0, math.inf),
        ulps=4,
        partial_error=cancelling(gelu_partial, lambda a: a * mp.npdf(a)),
    ),
    "leaky_relu": Oracle(
        value=lambda a, b: a if a > 0 else b * a,
        partials=(lambda a, b: 1 if a > 0 else b,),  # b at the kink
        python=lambda a, b: a if a > 0 else b * a,
        ulps=0.5,
        partial_ulps=0,
        constants=(0.01, 0.2, 0.0, 1.0, -0.5),
    ),
    "elu": Oracle(
        value=lambda a, b: a if a > 0 else b * mp.expm1(a),
        partials=(lambda a, b: 1 if a > 0 else b * mp.exp(a),),  # b at the kink
        python=lambda a, b: a if a > 0 else b * math.expm1(a),
        ulps=2,
        constants=(1.0, 0.3, -2.0, 0.0),
    ),
    "maximum": Oracle(max, (half, lambda a, b: half(b, a)), largest, ulps=0, partial_ulps=0),
    "minimum": Oracle(
        min, (lambda a, b: half(b, a), half), lambda a, b: -largest(-a, -b), ulps=0, partial_ulps=0
    ),
    "hypot": Oracle(
        value=mp.hypot,
        partials=(lambda a, b: part(a, mp.hypot(a, b)), lambda a, b: part(b, mp.hypot(a, b))),
        python=math.hypot,
        ulps=1,
    ),
    "arctan2": Oracle(
        value=mp.atan2,
        partials=(lambda a, b: part(b, a * a + b * b), lambda a, b: part(-a, a * a + b * b)),
        python=math.atan2,
        ulps=1,
    ),
    "abs": Oracle(abs, (mp.sign,), math.fabs, ulps=0, partial_ulps=0),
    "sign": Oracle(mp.sign, (lambda a: 0,), lambda a: float(np.sign(a)), ulps=0, partial_ulps=0),
    "floor": Oracle(mp.floor, (lambda a: 0,), lambda a: float(np.floor(a)), ulps=0, partial_ulps=0),
    "ceil": Oracle(mp.ceil, (lambda a: 0,), lambda a: float(np.ceil(a)), ulps=0, partial_ulps=0),
    "erf": Oracle(mp.erf, (lambda a: 2 / mp.sqrt(mp.pi) * mp.exp(-a * a),), math.erf, ulps=1.5),
    "lgamma": Oracle(log_gamma, (mp.digamma,), math.lgamma, ulps=4, partial_error=digamma_error),
    "remainder": Oracle(
        value=lambda a, b: exactly(fraction(a) % fraction(b)),
        partials=(lambda a, b: 1, lambda a, b: mpf(-(fraction(a) // fraction(b)))),
        python=operator.mod,
        ulps=0.5,
        partial_ulps=1,
    ),
    "floor_divide": Oracle(
        value=lambda a, b: mpf(fraction(a) // fraction(b)),
        partials=(lambda a, b: 0, lambda a, b: 0),
        python=operator.floordiv,
        ulps=1,
        partial_ulps=0,
    ),
    "fmod": Oracle(
        value=lambda a, b: exactly(fraction(a) - quotient(a, b) * fraction(b)),
        partials=(lambda a, b: 1, lambda a, b: mpf(-quotient(a, b))),
        python=math.fmod,
        ulps=0,
        partial_ulps=1,
    ),
    "logaddexp": Oracle(
        value=logaddexp,
        partials=(lambda a, b: sigmoid(a - b), lambda a, b: sigmoid(b - a)),
        python=float_logaddexp,
        ulps=2,
        value_error=logaddexp_error,
    ),
    "log_sigmoid": Oracle(
        value=lambda a: -softplus(-a),
        partials=(lambda a: sigmoid(-a),),
        python=floats_of(lambda a: -softplus(-a), -math.inf, -0.0),
        ulps=1.5,
    ),
    "softsign": Oracle(
        value=lambda a: a / (1 + abs(a)),
        partials=(lambda a: 1 / (1 + abs(a)) ** 2,),
        python=floats_of(lambda a: a / (1 + abs(a)), -1.0, 1.0),
        ulps=1.5,
    ),
    "hardtanh": Oracle(
        value=lambda a: max(-1, min(1, a)),
        partials=(lambda a: int(abs(a) < 1),),  # 0 at the kinks, as in torch
        python=lambda a: a if math.isnan(a) else max(-1.0, min(1.0, a)),
        ulps=0,
        partial_ulps=0,
    ),
    "erfc": Oracle(
        error_function_complement,
        (lambda a: -2 / mp.sqrt(mp.pi) * mp.exp(-a * a),),
        math.erfc,
        ulps=3,
    ),
    "norm_cdf": Oracle(normal_below, (mp.npdf,), floats_of(normal_below, 0.0, 1.0), ulps=3),
    "log_norm_cdf": Oracle(
        value=log_normal_below,
        partials=(lambda a: mp.npdf(a) / normal_below(a) if a > -1e9 else -a - 1 / a,),
        python=floats_of(log_normal_below, -math.inf, -0.0),
        ulps=3,
    ),
    "digamma": Oracle(
        value=mp.digamma,
        partials=(trigamma,),
        python=float_digamma,
        ulps=4,
        value_error=digamma_error,
    ),
    "erfinv": Oracle(
        value=inverse_error_function,
        partials=(lambda a: mp.sqrt(mp.pi) / 2 * mp.exp(inverse_error_function(a) ** 2),),
        python=inside_of(inverse_error_function, -1.0, 1.0),
        ulps=4,
        partial_error=lambda a: inverse_error(
            mp.sqrt(2) * inverse_error_function(a), mp.exp(inverse_error_function(a) ** 2)
        ),
    ),
    "norm_ppf": Oracle(
        value=normal_ppf,
        partials=(lambda a: 1 / mp.npdf(normal_ppf(a)),),
        python=inside_of(normal_ppf, 0.0, 1.0),
        ulps=4,
        partial_error=lambda a: inverse_error(normal_ppf(a), 1 / mp.npdf(normal_ppf(a))),
    ),
}
# Python's math has its own lgamma and hypot, and none of the others here; what is not here is C's
# in both, bit for bit.
NOT_IN_C = [
    *("sigmoid", "softplus", "silu", "gelu", "lgamma", "hypot", "elu", "logaddexp", "log_sigmoid"),
    *("softsign", "norm_cdf", "log_norm_cdf", "digamma", "erfinv", "norm_ppf"),
]

# Points beside the edges at which a formula that is right elsewhere goes wrong: where it
# overflows, underflows, cancels, changes branch, or has lost what its operand was rounded by.
EPS = 2.0**-53
NOTABLE: dict[str, list[float]] = {
    "exp": [-745.13, -744.4, 709.78],
    "exp2": [1023.999, -1022.5, -1073.9, -1075.0],
    "expm1": [1e-17, -1e-17, -50.0, 709.78, 0.5, -0.25],
    "log": [1 + 2 * EPS, 1 - EPS],
    "log2": [1 + 2 * EPS, 1 - EPS, HUGE, 8.1e-309, 1024.0],
    "log10": [1 + 2 * EPS, 1 - EPS, 1e308, 2.5e-309, 3e-309, 1e15],
    "log1p": [-1 + EPS, -1 + 2 * EPS, -0.9999999999, 1e-17, -1e-17],
    "cbrt": [5e307, 6.1e307, -1e308, 2e-323, -789.3261304026325],
    "reciprocal": [5.6e-309, -5.5e-309, 1e-308],
    "sin": [math.pi, 1e22, 710 / 226],
    "cos": [math.pi / 2, 1e22, 710 / 452],
    "tan": [math.pi / 2, 11.0, math.pi, 1e22],
    "arcsin": [1 - EPS, -1 + EPS, 0.5],
    "arccos": [1 - EPS, -1 + EPS, -0.5],
    "arctan": [1e8, -1.3e154, 1.5e154, -1e160],
    "sinh": [710.4, -710.4, 1e-17],
    "cosh": [710.4, -710.4, 1e-17],
    "tanh": [1000.0, -1000.0, 372.5, 350.0, 19.06, -19.06, 0.867, 0.868, 1e-17],
    "arccosh": [1 + 2 * EPS, 1.5, 2.0],
    "arctanh": [1 - EPS, -1 + EPS, 0.5],
    "sigmoid": [-800.0, -745.0, -740.0, -709.5, 800.0, 36.9, -37.0],
    "softplus": [800.0, -800.0, -745.0, -740.0, 36.9, -37.0, 1e-17],
    "silu": [800.0, -800.0, -700.0, -720.0, -740.0, -745.0, -746.0, -1.2784645427610738],
    "gelu": [38.0, -37.0, -37.6, -38.0, -38.3, -38.5, -40.0, -20.0, -0.7517915246935645, 1e-17],
    "erf": [5.0, -5.0, 6.0, 26.0, 27.2, 1e-17, 0.84375, 1.25],
    "lgamma": [
        *(-0.5, -1.5, -2.5, -3.3, -10.5, -100.25, -130.8, -1e6 - 0.5, -1e15 + 0.5, -1e-17),
        *(-0.504083008264455, -22.750254369195112, 1.4616321449683623, 1.4642, 0.43, 0.0625),
        *(1 + 2 * EPS, 2 - 2 * EPS, 10.0, 9.9999, 171.5, 1e10, 2.5e305),
    ],
    **{name: [7.5, -7.5, 1e16, -1e300, 0.3] for name in ("remainder", "floor_divide", "fmod")},
    "logaddexp": [-math.log(2.0), -0.5, 700.5, 1e308, -1e308, -745.13],
    "log_sigmoid": [-800.0, 800.0, 745.0, 740.0, -36.9, 37.0],
    "softsign": [1e160, -1e160, 1e200, 0.5],
    "hardtanh": [1 + 2 * EPS, 1 - EPS, -1 + EPS],
    "erfc": [5.0, -5.0, 6.0, 26.0, 26.5, 27.2, 28.0, 0.84375, 1.25, 0.5, -0.5],
    "norm_cdf": [-37.4, -37.6, -38.4, 38.0, 8.3, -20.0, 0.7],
    "log_norm_cdf": [-12.0, -11.999999, -12.1, -37.5, -1e154, -2e154, 38.5, 40.0, 8.3, 0.5, -0.5],
}

# Partials at kinks, jumps, ends of domains and infinity: for each partial, the points that have
# it. At a kink or a jump it is 0; where the tangent is vertical, infinite, with the sign from
# inside.
CONVENTIONS: dict[str, dict[float, str]] = {
    "relu": {0: "0.0 -0.0 -5e-324 -inf nan", 1: "5e-324 inf"},
    "abs": {-1: "-5e-324 -1 -inf", 0: "0.0 -0.0", 1: "5e-324 inf", math.nan: "nan"},
    **{name: {0: "0.0 -0.0 1 -2 0.5 5e-324 inf -inf nan"} for name in ("sign", "floor", "ceil")},
    "sqrt": {math.inf: "0.0 -0.0", 0: "inf", math.nan: "nan"},
    "cbrt": {math.inf: "0.0 -0.0", 0: "inf -inf", math.nan: "nan"},
    "square": {0: "0.0", math.inf: "inf", -math.inf: "-inf", math.nan: "nan"},
    "reciprocal": {0: "inf -inf", -math.inf: "1e-200 -1e-200", math.nan: "nan"},
    **{name: {0: "-inf", math.inf: "inf", math.nan: "nan"} for name in ("exp", "exp2", "expm1")},
    **{name: {0: "inf", math.inf: "5e-324", math.nan: "nan"} for name in ("log", "log2", "log10")},
    "log1p": {0: "inf", 2.0**53: "-0.9999999999999999", math.nan: "nan"},
    **{name: {math.nan: "nan"} for name in ("sin", "cos", "tan")},
    "arcsin": {math.inf: "1 -1", math.nan: "nan"},
    "arccos": {-math.inf: "1 -1", math.nan: "nan"},
    "arccosh": {math.inf: "1", 0: "inf", math.nan: "nan"},
    "arctanh": {1: "0.0", math.nan: "nan"},
    **{name: {1: "0.0", 0: "inf -inf", math.nan: "nan"} for name in ("arctan", "arcsinh")},
    "sinh": {1: "0.0", math.inf: "inf -inf", math.nan: "nan"},
    "cosh": {0: "0.0", math.inf: "inf", -math.inf: "-inf", math.nan: "nan"},
    "tanh": {1: "0.0", 0: "400 -400 1000 -1000 inf -inf", math.nan: "nan"},
    "sigmoid": {0.25: "0.0", 0: "800 -800 inf -inf", math.nan: "nan"},
    "softplus": {0.5: "0.0", 1: "800 inf", 0: "-800 -inf", math.nan: "nan"},
    "silu": {0.5: "0.0 -0.0", 1: "800 inf", 0: "-800 -inf", math.nan: "nan"},
    "gelu": {0.5: "0.0 -0.0", 1: "40 inf", 0: "-40 -inf", math.nan: "nan"},
    "erf": {0: "28 -28 inf -inf", math.nan: "nan"},
    "lgamma": {math.inf: "-5e-324 inf", -math.inf: "5e-324", math.nan: "nan"},
    "log_sigmoid": {0.5: "0.0", 0: "800 inf", 1: "-800 -inf", math.nan: "nan"},
    "softsign": {1: "0.0 -0.0", 0: "inf -inf", math.nan: "nan"},
    "hardtanh": {0: "1 -1 2 -2 inf -inf nan", 1: "0.0 -0.0 0.5 -0.9999999999999999"},
    "erfc": {0: "28 -28 inf -inf", math.nan: "nan"},
    "norm_cdf": {0: "40 -40 inf -inf", math.nan: "nan"},
    "log_norm_cdf": {0: "40 inf", math.inf: "-inf", math.nan: "nan"},
}

# What is refused, with the class of the error left to Python's own function.
OUTSIDE: dict[str, list[tuple[float, ...]]] = {
    "power": [(0.0, -1.0), (-8.0, 1 / 3), (1e155, 2.0)],
    "pow": [(0.0, -1), (-0.0, -2.5), (-8.0, 1 / 3), (-1e-9, 0.5), (1e155, 2), (1e-155, -2)],
    **{name: [(710.0,), (HUGE,)] for name in ("exp", "expm1")},
    "exp2": [(1024.0,), (HUGE,)],
    **{name: [(711.0,), (-711.0,), (HUGE,), (-HUGE,)] for name in ("sinh", "cosh")},
    **{name: [(0.0,), (-0.0,), (-TINY,), (-math.inf,)] for name in ("log", "log2", "log10")},
    "log1p": [(-1.0,), (-1.0 - 4 * EPS,), (-3.0,), (-math.inf,)],
    "sqrt": [(-TINY,), (-1.0,), (-math.inf,)],
    "reciprocal": [(0.0,), (-0.0,)],
    **{name: [(math.inf,), (-math.inf,)] for name in ("sin", "cos", "tan")},
    **{name: [(1 + 2 * EPS,), (-1 - 2 * EPS,), (math.inf,)] for name in ("arcsin", "arccos")},
    "arccosh": [(1 - EPS,), (0.0,), (-1.0,), (-math.inf,)],
    "arctanh": [(1.0,), (-1.0,), (1 + 2 * EPS,), (-2.0,), (math.inf,), (-math.inf,)],
    "lgamma": [(0.0,), (-0.0,), (-1.0,), (-7.0,), (-HUGE,), (HUGE,), (2.6e305,)],
    **{name: [(1.0, 0.0), (-2.5, -0.0)] for name in ("remainder", "floor_divide")},
    "fmod": [(1.0, 0.0), (math.inf, 2.0)],
    "digamma": [(0.0,), (-1.0,), (-7.0,), (-math.inf,)],
    "erfinv": [(1.0,), (-1.0,), (1.5,), (math.inf,)],
    "norm_ppf": [(0.0,), (1.0,), (-0.5,), (2.0,), (-math.inf,)],
}
NEVER_REFUSED = [
    *("add", "multiply", "relu", "cbrt", "square", "arctan", "tanh", "arcsinh", "sigmoid"),
    *("softplus", "silu", "gelu", "leaky_relu", "elu", "abs", "sign", "floor", "ceil", "erf"),
    *("maximum", "minimum", "hypot", "arctan2", "logaddexp", "log_sigmoid", "softsign"),
    *("hardtanh", "erfc", "norm_cdf", "log_norm_cdf"),
]
