// Elementary functions of V, under the names by which ops.def and opcodes.def call them:
// exponentials, logarithms, and what is made of them. Polynomials are in polynomials.h, with their
// intervals and errors.
//
// Errors are in ERRORS.md. Unusual operands are left to evaluate where a test for them costs
// less than to treat them. Included as simd.h is.
#pragma once

#include "polynomials.h"
#include "simd.h"

namespace arenagrad::program {
namespace {

constexpr double kShift = 0x1.8p52; // added to a number below 2**51, leaves its integer in the bits
constexpr double kSmallestNormal = 0x1p-1022;
constexpr std::uint64_t kOneBits = std::uint64_t{1023} << 52;

// c[0] + c[1] x + c[2] x**2 and so on.
template <std::size_t first = 0, std::size_t terms>
ARENAGRAD_INLINE V poly(V x, const double (&c)[terms]) {
  if constexpr (first + 1 == terms)
    return broadcast(c[first]);
  else
    return multiply_add(x, poly<first + 1>(x, c), broadcast(c[first]));
}

ARENAGRAD_INLINE V maximum(V a, V b) {
  return (a > b) | (a != a) | ((a == b) & (bits(b) < 0)) ? a : b;
}
ARENAGRAD_INLINE V wins(V a, V b) {
  return a > b ? broadcast(1.0) : a < b ? broadcast(0.0) : a == b ? broadcast(0.5) : a - b;
}
ARENAGRAD_INLINE V sign(V a) {
  return a > 0.0 ? broadcast(1.0) : a < 0.0 ? broadcast(-1.0) : a == 0.0 ? broadcast(0.0) : a;
}

// exp(a) as 2**k (1 + q). Requires |a| <= 800, or nan.
struct Exponential {
  V shifted, q; // k + kShift

  ARENAGRAD_INLINE explicit Exponential(V a) {
    shifted = multiply_add(a, broadcast(kLog2E), broadcast(kShift));
    const V k = shifted - kShift;
    const V high = multiply_add(k, broadcast(-kLn2High), a), low = k * kLn2Low;
    const V r = high - low;
    finish(r, (high - r) - low);
  }
  // Of base 2: exp(r + rest) times the power in `shifted`.
  ARENAGRAD_INLINE Exponential(V shifted, V r, V rest) : shifted(shifted) { finish(r, rest); }

  ARENAGRAD_INLINE void finish(V r, V rest) {
    const V p = poly(r, kExpPolynomial);
    q = r + multiply_add(r * r, p, rest);
  }

  // 2**k y, rounded once, also where that is not normal.
  ARENAGRAD_INLINE V scaled(V y) const {
#if ARENAGRAD_LANES == 8
    return _mm512_maskz_scalef_pd(0xff, y, shifted - kShift);
#else
    const U half = raw(multiply_add(shifted - kShift, broadcast(0.5), broadcast(kShift)));
    return y * number((half << 52) + kOneBits) * number(((raw(shifted) - half) << 52) + kOneBits);
#endif
  }
  ARENAGRAD_INLINE V value() const { return scaled(1.0 + q); }

  // A quarter of exp(a), and of exp(a) - 1, which do not overflow before what is made of them does.
  // Requires -1020 < k < 1026.
  ARENAGRAD_INLINE V quarter_power() const {
    return number((raw(shifted) << 52) + (kOneBits - (std::uint64_t{2} << 52)));
  }
  ARENAGRAD_INLINE V quarter() const {
    const V h = quarter_power();
    return multiply_add(h, q, h);
  }
  ARENAGRAD_INLINE V quarter_minus_one() const {
    const V h = quarter_power();
    return multiply_add(h, q, h - 0.25);
  }
};

// top / (sum + rest) for a rest far smaller than the sum; `rough` is 1 / sum.
ARENAGRAD_INLINE V divide(V top, V sum, V rest, V rough) {
  if constexpr (!kFused) {
    const V y = top / sum;
    return y - y * (rough * rest);
  }
  const V y = top * rough;
  return multiply_add(multiply_add(-y, sum, top) - y * rest, rough, y);
}

ARENAGRAD_INLINE V exp(V a) { return Exponential(at_least(-760.0, at_most(760.0, a))).value(); }

ARENAGRAD_INLINE V exp2(V a) {
  const V limited = at_least(-1100.0, at_most(1100.0, a));
  const V shifted = limited + kShift, f = limited - (shifted - kShift);
  const V r = f * kLn2;
  const V rest = multiply_add(f, broadcast(kLn2), -r) + f * kLn2Rest;
  return Exponential(shifted, r, rest).value();
}

ARENAGRAD_INLINE V expm1(V a) {
  const V y = 4.0 * Exponential(at_least(-50.0, at_most(710.0, a))).quarter_minus_one();
  return fabs(a) < 0x1p-54 ? a : y;
}

// Beyond this the hyperbolic functions are infinite.
constexpr double kLargestHyperbolic = 710.6;

ARENAGRAD_INLINE V sinh(V a) {
  const V x = fabs(a), part = Exponential(at_most(kLargestHyperbolic, x)).quarter_minus_one();
  // ((e - 1) + (e - 1) / e) / 2 for e = exp(x)
  const V y = 2.0 * (part + part / (4.0 * part + 1.0));
  return x < 0x1p-54 ? a : with_sign(x >= kLargestHyperbolic ? broadcast(kInfinity) : y, a);
}

ARENAGRAD_INLINE V cosh(V a) {
  const V x = fabs(a), part = Exponential(at_most(kLargestHyperbolic, x)).quarter();
  return x >= kLargestHyperbolic ? broadcast(kInfinity) : 2.0 * (part + 0.0625 / part);
}

// Of e = exp(-2|a|): (1 - e) / (1 + e) by expm1 where that is small, else 1 - 2e / (1 + e),
// corrected for the rounding error of 1 + e.
struct TanhAndPartial {
  V y, partial;

  ARENAGRAD_INLINE explicit TanhAndPartial(V a) {
    const V x = fabs(a);
    const Exponential e(at_least(-760.0, -2.0 * x));
    const V four_e = e.scaled(multiply_add(broadcast(4.0), e.q, broadcast(4.0)));
    const V sum = multiply_add(broadcast(0.25), four_e, broadcast(1.0));
    const V rest = multiply_add(broadcast(0.25), four_e, 1.0 - sum);
    const I is_near = x < 0.55;
    const V top = is_near ? -4.0 * e.quarter_minus_one() : 0.5 * four_e;
    const V part = divide(top, sum, rest, 1.0 / sum);
    y = x < 0x1p-54 ? a : with_sign(is_near ? part : 1.0 - part, a);
    partial = is_near ? multiply_add(-part, part, broadcast(1.0)) : part * (2.0 - part);
  }
};

ARENAGRAD_INLINE V tanh(V a) { return TanhAndPartial(a).y; }

ARENAGRAD_INLINE V tanh_partial(V a, V) { return TanhAndPartial(a).partial; }

// 1 / (1 + exp(-a)), and the same of -a.
struct Sigmoids {
  V sum, rest, rough, e;

  ARENAGRAD_INLINE explicit Sigmoids(V a) {
    e = Exponential(at_least(-760.0, -fabs(a))).value();
    sum = 1.0 + e, rest = e - (sum - 1.0), rough = 1.0 / sum;
  }
  ARENAGRAD_INLINE V of(V a) const {
    return divide(a < 0.0 ? e : broadcast(1.0), sum, rest, rough);
  }
};

ARENAGRAD_INLINE V sigmoid(V a) { return Sigmoids(a).of(a); }

ARENAGRAD_INLINE V silu(V a) {
  V y = a * sigmoid(a);
  if (const I far = a < -700.0; any(far)) [[unlikely]]
    y = scalar_fallback(Opcode::Silu, far, y, a);
  return y;
}

ARENAGRAD_INLINE V silu_partial(V a) {
  const Sigmoids s(a);
  V y = s.of(a) * multiply_add(a, s.of(-a), broadcast(1.0));
  const I far = fabs(a) > 700.0;
  if (any(far)) [[unlikely]]
    y = scalar_fallback(Opcode::SiluPartial, far, y, a);
  return y;
}

// log(a) as k log(2) + f - t with a = 2**k (1 + f), f in [sqrt(1/2) - 1, sqrt(2) - 1]. Requires
// that a is positive, normal and finite.
struct Logarithm {
  V k, f, t;

  Logarithm() = default;
  ARENAGRAD_INLINE explicit Logarithm(V a) {
    take_apart(a);
    finish();
  }
  // Of a + rest, where rest is so small that a + rest is a.
  ARENAGRAD_INLINE Logarithm(V a, V rest) {
    const U power = take_apart(a);
    const V scaled = rest * number((std::uint64_t{2047} << 52) - power);
    f += a < 0x1p60 ? scaled : broadcast(0.0);
    finish();
  }

  // Returns k + 1024 as an exponent's bits.
  ARENAGRAD_INLINE U take_apart(V a) {
    constexpr std::uint64_t kRootHalfBits = 0x3fe6a09e667f3bcd, kBias = std::uint64_t{1024} << 52;
    const U above = raw(a) + (kBias - kRootHalfBits);
    const U power = above & (std::uint64_t{0xfff} << 52);
    k = number((power >> 52) | raw(broadcast(0x1p52))) - (0x1p52 + 1024.0);
    f = number(raw(a) - (power - kBias)) - 1.0;
    return power;
  }
  // log(1 + f) = 2s + s R(s s) for s = f / (2 + f); with 2s = f - s f no rounding of s matters.
  ARENAGRAD_INLINE void finish() {
    const V s = f / (2.0 + f), z = s * s;
    const V r = z * poly(z, kLogPolynomial);
    const V half = 0.5 * f * f;
    t = half - s * (half + r);
  }

  ARENAGRAD_INLINE V natural() const {
    const V small = multiply_add(k, broadcast(-kLn2Low), t) - f;
    return multiply_add(k, broadcast(kLn2High), -small);
  }
  // To another base: k * (high + low) + (f - t) * (factor + rest)
  ARENAGRAD_INLINE V to_base(double high, double low, double factor, double rest) const {
    const V main = f * factor;
    const V part = kFused ? multiply_add(f, broadcast(factor), -main) : V{};
    const V small = part + (f * rest - t * factor) + k * low;
    return k * high + (main + small);
  }
};

ARENAGRAD_INLINE I no_logarithm(V a) { return ~((a >= kSmallestNormal) & (a < kInfinity)); }

ARENAGRAD_INLINE V log(V a) {
  V y = Logarithm(a).natural();
  if (const I odd = no_logarithm(a); any(odd)) [[unlikely]]
    y = scalar_fallback(Opcode::Log, odd, y, a);
  return y;
}
ARENAGRAD_INLINE V log2(V a) {
  V y = Logarithm(a).to_base(1.0, 0.0, kLog2E, kLog2ERest);
  if (const I odd = no_logarithm(a); any(odd)) [[unlikely]]
    y = scalar_fallback(Opcode::Log2, odd, y, a);
  return y;
}
ARENAGRAD_INLINE V log10(V a) {
  V y = Logarithm(a).to_base(kLog10Of2High, kLog10Of2Low, kLog10E, kLog10ERest);
  if (const I odd = no_logarithm(a); any(odd)) [[unlikely]]
    y = scalar_fallback(Opcode::Log10, odd, y, a);
  return y;
}
ARENAGRAD_INLINE V log_or_zero(V a) {
  V y = Logarithm(a).natural();
  if (const I odd = no_logarithm(a); any(odd)) [[unlikely]]
    y = scalar_fallback(Opcode::LogOrZero, odd, y, a);
  return y;
}

// Requires -1 < a < infinity.
ARENAGRAD_INLINE V log1p_inside(V a) {
  const V sum = 1.0 + a, part = sum - 1.0;
  const V y = Logarithm(sum, (1.0 - (sum - part)) + (a - part)).natural();
  return fabs(a) < 0x1p-54 ? a : y;
}
ARENAGRAD_INLINE V log1p(V a) {
  V y = log1p_inside(a);
  const I odd = ~((a > -1.0) & (a < kInfinity));
  if (any(odd)) [[unlikely]]
    y = scalar_fallback(Opcode::Log1p, odd, y, a);
  return y;
}

ARENAGRAD_INLINE V softplus(V a) {
  const V e = Exponential(at_least(-760.0, -fabs(a))).value();
  const V y = (a > 0.0 ? a : broadcast(0.0)) + log1p_inside(e);
  return a == a ? y : a;
}

ARENAGRAD_INLINE V shifted_exp(V a, V b) { return a == b ? broadcast(1.0) : exp(a - b); }

} // namespace
} // namespace arenagrad::program
