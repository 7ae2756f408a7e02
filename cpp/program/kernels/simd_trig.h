// Circular functions of V and their inverses: see simd_math.h.
#pragma once

#include "simd_math.h"

namespace arenagrad::program {
namespace {

// a = k pi/2 + r + rest with |r| <= pi/4, and sin(r) and cos(r).
struct Turn {
  U k;
  I odd; // where what this gives is not good, and evaluate is to be asked
  V sine, cosine;

  ARENAGRAD_INLINE explicit Turn(V a) {
    const V shifted = multiply_add(a, broadcast(kTwoOverPi), broadcast(kShift));
    const V turns = shifted - kShift;
    k = raw(shifted);
    const V first = multiply_add(turns, broadcast(-kHalfPiHigh), a), second = turns * kHalfPiMiddle;
    const V rough = first - second;
    const V low = ((first - rough) - second) - turns * kHalfPiLow;
    const V r = rough + low, rest = (rough - r) + low;
    // Too many turns for exact products, or so close to a multiple that the parts are too few.
    odd = ~(fabs(a) < 1e6) | ((fabs(r) < 0x1p-25) & (turns != 0.0));

    const V z = r * r, half = 0.5 * z;
    const V s = poly(z, kSinPolynomial);
    const V c = poly(z, kCosPolynomial);
    sine = r + multiply_add(z * r, s, rest - half * rest);
    const V top = 1.0 - half;
    cosine = top + (((1.0 - top) - half) + multiply_add(z * z, c, -(r * rest)));
  }

  // The sine of a plus so many quarter turns.
  ARENAGRAD_INLINE V of(std::uint64_t more) const {
    const U turns = k + more;
    const V size = (turns & 1) != 0 ? cosine : sine;
    return number(raw(size) ^ ((turns & 2) << 62));
  }
};

ARENAGRAD_INLINE V sin(V a) {
  const Turn turn(a);
  V y = fabs(a) < 0x1p-27 ? a : turn.of(0);
  if (any(turn.odd)) [[unlikely]]
    y = scalar_fallback(Opcode::Sin, turn.odd, y, a);
  return y;
}
ARENAGRAD_INLINE V cos(V a) {
  const Turn turn(a);
  V y = turn.of(1);
  if (any(turn.odd)) [[unlikely]]
    y = scalar_fallback(Opcode::Cos, turn.odd, y, a);
  return y;
}
ARENAGRAD_INLINE V tan(V a) {
  const Turn turn(a);
  const I swapped = (turn.k & 1) != 0;
  const V ratio = (swapped ? -turn.cosine : turn.sine) / (swapped ? turn.sine : turn.cosine);
  V y = fabs(a) < 0x1p-27 ? a : ratio;
  if (any(turn.odd)) [[unlikely]]
    y = scalar_fallback(Opcode::Tan, turn.odd, y, a);
  return y;
}

// The angle of top / bottom, both above 0: beyond tan(pi/8) from what is left of pi/4 or pi/2. Any
// rounding of top and bottom is in `ratio` alone, and small against the angle taken off.
struct Angle {
  V base, base_rest, part;

  ARENAGRAD_INLINE Angle(V top, V bottom) {
    const I beyond = top > kTanOfEighthPi * bottom, far = top > kTanOfThreeEighthsPi * bottom;
    const V above = far ? -bottom : beyond ? top - bottom : top;
    const V below = far ? top : beyond ? top + bottom : bottom;
    const V t = above / below, z = t * t;
    base = far ? broadcast(2.0 * kQuarterPi) : beyond ? broadcast(kQuarterPi) : V{};
    base_rest = far ? broadcast(2.0 * kQuarterPiRest) : beyond ? broadcast(kQuarterPiRest) : V{};
    const V p = poly(z, kAtanPolynomial);
    // What is left out of t is only large where base is 0.
    base_rest = multiply_add(t * z, p, base_rest);
    part = t;
  }
  ARENAGRAD_INLINE V value() const { return base + (part + base_rest); }
};

ARENAGRAD_INLINE V atan(V a) {
  const V x = fabs(a);
  const V y = Angle(x, broadcast(1.0)).value();
  return x < 0x1p-27 ? a : with_sign(x > 1e17 ? broadcast(2.0 * kQuarterPi) : a == a ? y : a, a);
}

ARENAGRAD_INLINE V atan2(V a, V b) {
  const V top = fabs(a), bottom = fabs(b);
  const V y = Angle(top, bottom).value();
  const V turned = (4.0 * kQuarterPi - y) + 4.0 * kQuarterPiRest;
  V angle = with_sign(b < 0.0 ? turned : y, a);
  const auto odd_size = [](V size) { return ~((size > 1e-140) & (size < 1e140)); };
  const I odd = odd_size(top) | odd_size(bottom);
  if (any(odd)) [[unlikely]]
    angle = scalar_fallback(Opcode::Arctan2, odd, angle, a, b);
  return angle;
}

// asin(x) / x - 1 for z = x x up to 1/4.
ARENAGRAD_INLINE V arcsine_rest(V z) { return z * poly(z, kAsinPolynomial); }

// Near 1 by twice the angle whose sine is sqrt((1 - x) / 2), with what the root is rounded by.
struct Arcsine {
  I near_one;
  V x, root, root_rest, rest;

  ARENAGRAD_INLINE explicit Arcsine(V a) {
    x = fabs(a);
    near_one = x > 0.5;
    const V half = 0.5 - 0.5 * x;
    root = sqrt(half);
    root_rest = kFused ? multiply_add(-root, root, half) / (root + root) : V{};
    root_rest = root > 0.0 ? root_rest : V{};
    rest = arcsine_rest(near_one ? half : x * x);
  }
  // The angle of the root, or of x.
  ARENAGRAD_INLINE V small() const { return multiply_add(root, rest, root_rest); }
};

ARENAGRAD_INLINE V asin(V a) {
  const Arcsine of(a);
  const V far = 2.0 * kQuarterPi - (2.0 * of.root - (2.0 * kQuarterPiRest - 2.0 * of.small()));
  const V y = of.near_one ? far : multiply_add(of.x, of.rest, of.x);
  return of.x < 0x1p-27 ? a : with_sign(y, a);
}
ARENAGRAD_INLINE V acos(V a) {
  const Arcsine of(a);
  const V small = of.root + of.small();
  const V above = small + small;
  const V below = 4.0 * kQuarterPi - (above - 4.0 * kQuarterPiRest);
  const V middle =
      2.0 * kQuarterPi - (a + multiply_add(a, of.rest, broadcast(-2.0 * kQuarterPiRest)));
  return of.near_one ? (a < 0.0 ? below : above) : middle;
}

ARENAGRAD_INLINE V arctan_partial(V a) {
  return fabs(a) > 1e100 ? 1.0 / a / a : 1.0 / multiply_add(a, a, broadcast(1.0));
}

} // namespace
} // namespace arenagrad::program
