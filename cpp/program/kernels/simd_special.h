// Lengths, roots, error functions and other rarer functions of V: see simd_math.h.
#pragma once

#include "simd_math.h"

namespace arenagrad::program {
namespace {

constexpr double kExpSeries[] = {1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24};

ARENAGRAD_INLINE I is_odd_pair(V largest, V smallest) {
  // Squares that overflow, or sink below what their sum can hold
  return ~((largest > 1e-140) & (largest < 1e150) & (smallest >= 0.0));
}

ARENAGRAD_INLINE V hypot(V a, V b) {
  const V x = fabs(a), z = fabs(b);
  const V largest = x > z ? x : z, smallest = x > z ? z : x;
  const V square = largest * largest, sum = multiply_add(smallest, smallest, square);
  V y = sqrt(sum);
  if constexpr (kFused) { // what the squares and their sum were rounded by
    const V other = smallest * smallest, rough = square + other;
    const V rest = (other - (rough - square)) + multiply_add(largest, largest, -square) +
                   multiply_add(smallest, smallest, -other);
    y = sqrt(rough);
    y = y + (multiply_add(-y, y, rough) + rest) * 0.5 / y;
  }
  const I odd = is_odd_pair(largest, smallest);
  if (any(odd)) [[unlikely]]
    y = scalar_fallback(Opcode::Hypot, odd, y, a, b);
  return y;
}

ARENAGRAD_INLINE V hypot_partial(V a, V y) {
  V partial = a / y;
  const I odd = ~((y > 0.0) & (y < kInfinity) & (fabs(a) < kInfinity));
  if (any(odd)) [[unlikely]]
    partial = scalar_fallback(Opcode::HypotPartial, odd, partial, a, y);
  return partial;
}
ARENAGRAD_INLINE V hypot_partial(V a, V b, V y) {
  V partial = a / y;
  const I odd = ~((y > 1e-290) & (y < kInfinity));
  if (any(odd)) [[unlikely]]
    partial = scalar_fallback(Opcode::HypotPartialOf, odd, partial, a, b, y);
  return partial;
}
ARENAGRAD_INLINE V arctan2_partial(V a, V b) {
  const V x = fabs(a), z = fabs(b);
  const V largest = x > z ? x : z, smallest = x > z ? z : x;
  V partial = a / multiply_add(a, a, b * b);
  const I odd = is_odd_pair(largest, smallest);
  if (any(odd)) [[unlikely]]
    partial = scalar_fallback(Opcode::Arctan2Partial, odd, partial, a, b);
  return partial;
}

ARENAGRAD_INLINE V asinh(V a) {
  const V x = fabs(a), square = x * x;
  V y = with_sign(log1p_inside(x + square / (1.0 + sqrt(1.0 + square))), a);
  y = x < 0x1p-27 ? a : y;
  const I odd = ~(x < 1e150);
  if (any(odd)) [[unlikely]]
    y = scalar_fallback(Opcode::Arcsinh, odd, y, a);
  return y;
}
ARENAGRAD_INLINE V acosh(V a) {
  const V t = a - 1.0;
  V y = log1p_inside(t + sqrt(t * (t + 2.0)));
  const I odd = ~((a > 1.0) & (a < 1e150));
  if (any(odd)) [[unlikely]]
    y = scalar_fallback(Opcode::Arccosh, odd, y, a);
  return y;
}
ARENAGRAD_INLINE V atanh(V a) {
  const V x = fabs(a);
  V y = with_sign(0.5 * log1p_inside((x + x) / (1.0 - x)), a);
  y = x < 0x1p-27 ? a : y;
  const I odd = ~(x < 1.0);
  if (any(odd)) [[unlikely]]
    y = scalar_fallback(Opcode::Arctanh, odd, y, a);
  return y;
}

ARENAGRAD_INLINE V hardtanh(V a) {
  const V below = a > 1.0 ? broadcast(1.0) : a;
  return below < -1.0 ? broadcast(-1.0) : below;
}
ARENAGRAD_INLINE V softsign(V a) {
  const V x = fabs(a), y = a / (1.0 + x);
  return x == kInfinity ? with_sign(broadcast(1.0), a) : y;
}

// exp(u u) times what erf(u) lacks of 1, for u from 0 to 27.5, as a quotient with 1 + 2u.
ARENAGRAD_INLINE V tail_ratio(V u) {
  const V t = (u - 4.0) / (u + 4.0);
  const V top = poly(t, kErfTailPolynomial);
  return top / multiply_add(broadcast(2.0), u, broadcast(1.0));
}

// erf(x) / x for z = x x up to 1.
ARENAGRAD_INLINE V erf_ratio(V z) { return poly(z, kErfPolynomial); }

ARENAGRAD_INLINE V erf(V a) {
  const V x = fabs(a), u = at_most(6.0, x);
  const V far = 1.0 - exp(-u * u) * tail_ratio(u);
  V y = with_sign(x < 1.0 ? x * erf_ratio(x * x) : far, a);
  const I odd = ~(x > 1e-150);
  if (any(odd)) [[unlikely]]
    y = scalar_fallback(Opcode::Erf, odd, y, a);
  return y;
}

// What needs the rounding errors of products, and has none without a fused multiply-add.
#if ARENAGRAD_LANES > 2

ARENAGRAD_INLINE V exp_minus_square(V a, V b) {
  const V square = a * a, y = exp(-square * b);
  V corrected = y - y * (multiply_add(a, a, -square) * b);
  const I odd = ~(square * b < 700.0);
  if (any(odd)) [[unlikely]]
    corrected = scalar_fallback(Opcode::ExpMinusSquare, odd, corrected, a, b);
  return corrected;
}

// The standard normal distribution function and its density. Requires |a| < 37.4.
struct Normal {
  V below, density;

  ARENAGRAD_INLINE explicit Normal(V a) {
    const V x = fabs(a), square = x * x, e = exp(-0.5 * square);
    const V fall = e - e * (0.5 * multiply_add(x, x, -square));
    const V tail = 0.5 * fall * tail_ratio(x * kRootOfHalf);
    const V middle = multiply_add((0.5 * kRootOfHalf) * a, erf_ratio(0.5 * square), broadcast(0.5));
    below = ((a > -0.7) & (a < 1.4)) ? middle : a < 0.0 ? tail : 1.0 - tail;
    density = fall * kOneOverRootTwoPi;
  }
};

ARENAGRAD_INLINE V gelu(V a) {
  V y = a * Normal(a).below;
  const I odd = ~(fabs(a) < 37.0);
  if (any(odd)) [[unlikely]]
    y = scalar_fallback(Opcode::Gelu, odd, y, a);
  return y;
}
ARENAGRAD_INLINE V gelu_partial(V a) {
  const Normal of(a);
  V y = multiply_add(a, of.density, of.below);
  const I odd = ~(fabs(a) < 37.0);
  if (any(odd)) [[unlikely]]
    y = scalar_fallback(Opcode::GeluPartial, odd, y, a);
  return y;
}

// exp(log(a) / 3), and a step of Newton's.
ARENAGRAD_INLINE V cbrt(V a) {
  const V x = fabs(a);
  const V y = Exponential(Logarithm(x).natural() * kThird).value();
  const V square = y * y, rest = multiply_add(y, y, -square);
  const V left = multiply_add(-y, square, x) - y * rest;
  V root = with_sign(y + left / (3.0 * square), a);
  const I odd = ~((x > 1e-280) & (x < kInfinity));
  if (any(odd)) [[unlikely]]
    root = scalar_fallback(Opcode::Cbrt, odd, root, a);
  return root;
}

// 1 / (3 y y) for y = cbrt(a), corrected for what y is off by, as core::cbrt_partial is.
ARENAGRAD_INLINE V cbrt_partial(V a, V y) {
  const V square = y * y, rest = multiply_add(y, y, -square);
  const V left = multiply_add(-y, square, a) - y * rest; // a - y y y
  const V partial = 1.0 / (3.0 * square);
  const V off = 3.0 * ((left * partial) * (partial * y)); // of y, relative to it
  V corrected = partial - partial * (2.0 * off + 3.0 * (partial * rest));
  const V x = fabs(a);
  const I odd = ~((x > 1e-280) & (x < kInfinity));
  if (any(odd)) [[unlikely]]
    corrected = scalar_fallback(Opcode::CbrtPartial, odd, corrected, a, y);
  return corrected;
}

// exp(b log(a)), the logarithm with some 66 bits; what is exact, or nearly, without either.
ARENAGRAD_INLINE V pow(V a, V b) {
  const I square = b == 2.0, cube = b == 3.0, inverse_of = b == -1.0;
  const I easy = square | cube | inverse_of;
  const V simple = square ? a * a : cube ? a * a * a : 1.0 / a;
  if (!any(~easy)) return simple;

  Logarithm of;
  of.take_apart(a);
  const V f = of.f, sum = 2.0 + f, sum_rest = f - (sum - 2.0), inverse = 1.0 / sum;
  const V s = f * inverse;
  const V s_rest = (multiply_add(-s, sum, f) - s * sum_rest) * inverse;
  // log(1 + f) / 2 = s + s z / 3 + s z z R(z)
  const V z = s * s, z_rest = multiply_add(s, s, -z) + 2.0 * s * s_rest;
  const V series = poly(z, kPowLogPolynomial);
  const V third = z * kThird;
  const V third_rest =
      multiply_add(z, broadcast(kThird), -third) + z * kThirdRest + z_rest * kThird;
  const V cubic = s * third;
  const V cubic_rest =
      multiply_add(s, third, -cubic) + s * third_rest + s_rest * third + 0.5 * s * z * z * series;
  // k log(2) + 2 s + 2 cubic + what they lack, from the largest
  const V base = of.k * kLn2High, high = base + 2.0 * s;
  const V low = 2.0 * (cubic_rest + s_rest) + of.k * kLn2Low + ((base - high) + 2.0 * s);
  const V both = high + 2.0 * cubic, both_rest = ((high - both) + 2.0 * cubic) + low;
  const V log_high = both + both_rest, log_low = (both - log_high) + both_rest;

  const V product = b * log_high;
  const I usual = ~no_logarithm(a) & (fabs(product) < 700.0);
  const V power = usual ? product : V{};
  const V power_rest = multiply_add(b, log_high, -power) + b * log_low;
  const V shifted = multiply_add(power, broadcast(kLog2E), broadcast(kShift));
  const V k = shifted - kShift;
  const V rough = multiply_add(k, broadcast(-kLn2High), power), k_low = k * kLn2Low;
  const V r = rough - k_low, rest = ((rough - r) - k_low) + power_rest;
  // rest may be many units of r's last place: its share is rest * exp(r)
  const V share = rest * poly(r, kExpSeries);
  V y = Exponential(shifted, r, share).value();
  if (any(~(usual | easy))) [[unlikely]]
    y = scalar_fallback(Opcode::Power, ~usual, y, a, b);
  return easy ? simple : y;
}

ARENAGRAD_INLINE V power_partial(V a, V b) {
  const I square = b == 2.0;
  if (!any(~square)) return b * a;
  const V rest = square ? a : pow(a, b - 1.0);
  return (b == 0.0) & (fabs(rest) == kInfinity) ? broadcast(0.0) : b * rest;
}

#endif

} // namespace
} // namespace arenagrad::program
