// Functions of the C library in lanes, bit for bit: loops for strict tables. Each computes the
// exact result to far more digits than a double has. Where that is clearly on one side of the
// middle between two doubles, the library rounds it as we do; the few other elements (3 %) are
// computed by the library itself.
//
// Requires a library whose error before its last rounding is known to be below kDoubt: glibc's exp
// is within 0.511 ulps and its pow within 0.514 where the result is in kOrdinary, as its sources
// say. With any other library strict tables keep their plain loops. The proof is in README.md.
//
// Included as simd.h is. Needs fused multiply-adds.
#pragma once

#include <climits> // has __GLIBC__

#include "polynomials.h"
#include "simd.h"

namespace arenagrad::program {
namespace {

#if defined(__GLIBC__)
constexpr bool kKnowsLibrary = kFused;
#else
constexpr bool kKnowsLibrary = false;
#endif

#if ARENAGRAD_LANES > 2

// In units in the last place of the result: the error of the library's functions before they round,
// and of ours.
constexpr double kDoubt = 0x1p-6;
constexpr double kOrdinary = 0x1p92; // results between 1 / kOrdinary and kOrdinary
constexpr double kLargestExp = 690.0;

// One bit a lane.
ARENAGRAD_INLINE std::uint64_t lanes_in(I mask) {
#if ARENAGRAD_LANES == 8
  return _mm512_movepi64_mask((__m512i)mask);
#else
  return static_cast<std::uint64_t>(_mm256_movemask_pd((__m256d)mask));
#endif
}

// table[i] for 16 numbers, i the last four bits of each lane.
ARENAGRAD_INLINE V lookup(const double (&table)[16], U i) {
#if ARENAGRAD_LANES == 8
  return _mm512_permutex2var_pd(load(table), (__m512i)i, load(table + 8));
#else
  return _mm256_i64gather_pd(table, (__m256i)(i & 15), 8);
#endif
}

// high + low, rounded, and whether the library is known to round it so.
struct Rounded {
  V y;
  I known;

  // Requires |low| <= |high| / 1024, and that the sum is the exact result but for 2**-9 ulps.
  ARENAGRAD_INLINE Rounded(V high, V low) {
    y = high + low;
    // The power of two below y, times 2**-52, is a unit in its last place.
    const V power = number(bits(y) & (std::int64_t{0x7ff} << 52));
    const V doubt = power * (0x1p-52 * kDoubt);
    known = (high + (low + doubt) == y) & (high + (low - doubt) == y);
  }
};

// For each function of(a), and what the library calls it.

struct LikeExp {
  static double library(double a, double) { return __builtin_exp(a); }

  // a = k log(2) / 16 + r, and exp(a) = 2**(k / 16) (1 + r + r**2 p(r)).
  ARENAGRAD_INLINE static Rounded of(V a) {
    const V shifted = multiply_add(a, broadcast(kSixteenOverLn2), broadcast(0x1.8p52));
    const V k = shifted - 0x1.8p52;
    const V exact = multiply_add(k, broadcast(-kLn2Over16High), a), small = k * kLn2Over16Low;
    const V r = exact - small, rest = (exact - r) - small;
    V p = broadcast(kShortExpPolynomial[5]);
    for (int i = 5; i-- > 0;) p = multiply_add(r, p, broadcast(kShortExpPolynomial[i]));
    const V power = lookup(kPowersHigh, raw(shifted)), missing = lookup(kPowersLow, raw(shifted));
    const V product = power * r, product_rest = multiply_add(power, r, -product);
    const V low = product_rest + multiply_add(power, multiply_add(r * r, p, rest), missing);
    const V sum = power + product;
    Rounded y(sum, ((power - sum) + product) + low);
    y.y *= number(((raw(shifted) >> 4) << 52) + (std::uint64_t{1023} << 52));
    y.known &= fabs(a) <= kLargestExp;
    return y;
  }
};

ARENAGRAD_INLINE I is_ordinary(V y) {
  return (fabs(y) >= 1.0 / kOrdinary) & (fabs(y) <= kOrdinary);
}

struct LikeSquare {
  static double library(double a, double b) { return __builtin_pow(a, b); }

  ARENAGRAD_INLINE static Rounded of(V a) {
    const V y = a * a;
    Rounded square(y, multiply_add(a, a, -y));
    square.known = (square.known & is_ordinary(y)) | (a == 0.0);
    return square;
  }
};

struct LikeCube {
  static double library(double a, double b) { return __builtin_pow(a, b); }

  ARENAGRAD_INLINE static Rounded of(V a) {
    const V square = a * a, rest = multiply_add(a, a, -square);
    const V y = square * a;
    Rounded cube(y, multiply_add(rest, a, multiply_add(square, a, -y)));
    cube.known &= is_ordinary(y);
    return cube;
  }
};

struct LikeReciprocal {
  static double library(double a, double b) { return __builtin_pow(a, b); }

  ARENAGRAD_INLINE static Rounded of(V a) {
    const V y = 1.0 / a;
    Rounded reciprocal(y, multiply_add(-y, a, broadcast(1.0)) * y);
    reciprocal.known &= is_ordinary(y);
    return reciprocal;
  }
};

struct LikeRoot {
  static double library(double a, double b) { return __builtin_pow(a, b); }

  ARENAGRAD_INLINE static Rounded of(V a) {
    const V y = sqrt(a);
    Rounded root(y, 0.5 * multiply_add(-y, y, a) / y);
    root.known &= is_ordinary(y);
    return root;
  }
};

// y[i] = what the library gives for a[i], and for b if it takes two operands. A block at a time, so
// that one branch, and not one a register, finds the elements that are left to the library. Their
// operands are kept apart, because y may be a.
template <class Like>
[[gnu::noinline]] void map_like_library(double* y, const double* a, double b, std::size_t n) {
  constexpr std::size_t kBlock = 64;
  for (std::size_t i = 0; i < n; i += kBlock) {
    const std::size_t count = n - i < kBlock ? n - i : kBlock;
    double operands[kBlock];
    std::uint64_t open = 0;
    const auto compute = [&](V x, std::size_t k) {
      store(operands + k, x);
      const Rounded of = Like::of(x);
      open |= lanes_in(~of.known) << k;
      return of.y;
    };
    std::size_t k = 0;
    for (; k + kLanes <= count; k += kLanes) store(y + i + k, compute(load(a + i + k), k));
    if (k < count) {
      const std::size_t rest = count - k;
      store_partial(y + i + k, compute(load_partial(a + i + k, rest), k), rest);
      open &= (std::uint64_t{1} << count) - 1;
    }
    for (; open != 0; open &= open - 1) {
      const auto left = static_cast<std::size_t>(__builtin_ctzll(open));
      y[i + left] = Like::library(operands[left], b);
    }
  }
}

// Number by number; for operands that are rare.
[[gnu::noinline]] void map_by_one(Opcode opcode, double* y, Strided a, Strided b, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i)
    y[i] = evaluate_one(opcode, a.at[i * a.step], b.at[i * b.step], 0.0);
}

void exp_like_library(double* y, Strided a, Strided, Strided, std::size_t n) {
  if (a.step == 0) return map_by_one(Opcode::Exp, y, a, a, n);
  map_like_library<LikeExp>(y, a.at, 0.0, n);
}

// An exponent is mostly one number for all.
void pow_like_library(double* y, Strided a, Strided b, Strided, std::size_t n) {
  const double exponent = b.at[0];
  if (a.step == 0 || b.step != 0) return map_by_one(Opcode::Pow, y, a, b, n);
  if (exponent == 2.0) return map_like_library<LikeSquare>(y, a.at, exponent, n);
  if (exponent == -1.0) return map_like_library<LikeReciprocal>(y, a.at, exponent, n);
  if (exponent == 0.5) return map_like_library<LikeRoot>(y, a.at, exponent, n);
  if (exponent == 3.0) return map_like_library<LikeCube>(y, a.at, exponent, n);
  map_by_one(Opcode::Pow, y, a, b, n);
}

void use_like_library(Kernels& table) {
  table.map[static_cast<std::size_t>(Opcode::Exp)] = exp_like_library;
  table.map[static_cast<std::size_t>(Opcode::Pow)] = pow_like_library;
}

#else

void use_like_library(Kernels& /*table*/) {}

#endif

} // namespace
} // namespace arenagrad::program
