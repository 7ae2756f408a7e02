// One register of numbers as a type: the vocabulary in which the loops and the elementary functions
// of the kernels are written.
//
// Included once by each of portable.cpp, avx2.cpp and avx512.cpp, which says by ARENAGRAD_LANES how
// many lanes (numbers of a register) there are. Everything is in an unnamed namespace, so that each
// file has its own copy, compiled for its instruction set; for the same reason no inline function
// of other headers is called (see instruction_sets.h). Pure and thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "core/op_math.h"
#include "instruction_sets.h"

#define ARENAGRAD_INLINE [[gnu::always_inline, maybe_unused]] inline

namespace arenagrad::program {
namespace {

constexpr std::size_t kLanes = ARENAGRAD_LANES;

// The vector types of GCC and Clang, on which + - * / & | ~ << >> < == and ?: work lane by lane.
// V: values.
typedef double V __attribute__((vector_size(ARENAGRAD_LANES * 8)));
// I: masks, as comparisons of V give them (-1: true, 0: false), and the bits of a V with its sign.
typedef std::int64_t I __attribute__((vector_size(ARENAGRAD_LANES * 8)));
// U: bits of a V for arithmetic on exponents, which may wrap around.
typedef std::uint64_t U __attribute__((vector_size(ARENAGRAD_LANES * 8)));

constexpr double kInfinity = __builtin_inf();
constexpr std::int64_t kSign = INT64_MIN;

ARENAGRAD_INLINE V load(const double* at) {
  V v;
  __builtin_memcpy(&v, at, sizeof v);
  return v;
}
ARENAGRAD_INLINE void store(double* at, V v) { __builtin_memcpy(at, &v, sizeof v); }
ARENAGRAD_INLINE I bits(V v) { return (I)v; }
ARENAGRAD_INLINE U raw(V v) { return (U)v; }
ARENAGRAD_INLINE V number(I i) { return (V)i; }
ARENAGRAD_INLINE V number(U i) { return (V)i; }

// For each instruction set: load_partial and store_partial move the first `count` numbers of a
// register, fewer than all, and leave memory behind them alone; the other lanes of a load are 0.
// at_most and at_least keep a nan, which is why `limit` stands first: the instructions return their
// second operand if either is a nan.
#if ARENAGRAD_LANES == 8
ARENAGRAD_INLINE V broadcast(double x) { return _mm512_set1_pd(x); }
ARENAGRAD_INLINE V load_partial(const double* at, std::size_t count) {
  return _mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << count) - 1u), at);
}
ARENAGRAD_INLINE void store_partial(double* at, V v, std::size_t count) {
  _mm512_mask_storeu_pd(at, static_cast<__mmask8>((1u << count) - 1u), v);
}
ARENAGRAD_INLINE bool any(I mask) { return _mm512_movepi64_mask((__m512i)mask) != 0; }
ARENAGRAD_INLINE V multiply_add(V a, V b, V c) { return _mm512_fmadd_pd(a, b, c); }
ARENAGRAD_INLINE V sqrt(V a) { return _mm512_maskz_sqrt_pd(0xff, a); }
ARENAGRAD_INLINE V floor(V a) {
  return _mm512_maskz_roundscale_pd(0xff, a, _MM_FROUND_TO_NEG_INF | 8);
}
ARENAGRAD_INLINE V ceil(V a) {
  return _mm512_maskz_roundscale_pd(0xff, a, _MM_FROUND_TO_POS_INF | 8);
}
ARENAGRAD_INLINE V at_most(double limit, V a) {
  return _mm512_maskz_min_pd(0xff, broadcast(limit), a);
}
ARENAGRAD_INLINE V at_least(double limit, V a) {
  return _mm512_maskz_max_pd(0xff, broadcast(limit), a);
}
#elif ARENAGRAD_LANES == 4
ARENAGRAD_INLINE V broadcast(double x) { return _mm256_set1_pd(x); }
ARENAGRAD_INLINE I lane_mask(std::size_t count) {
  return (I{} + static_cast<std::int64_t>(count)) > I{0, 1, 2, 3};
}
ARENAGRAD_INLINE V load_partial(const double* at, std::size_t count) {
  return _mm256_maskload_pd(at, (__m256i)lane_mask(count));
}
ARENAGRAD_INLINE void store_partial(double* at, V v, std::size_t count) {
  _mm256_maskstore_pd(at, (__m256i)lane_mask(count), v);
}
ARENAGRAD_INLINE bool any(I mask) { return _mm256_movemask_pd((__m256d)mask) != 0; }
ARENAGRAD_INLINE V multiply_add(V a, V b, V c) { return _mm256_fmadd_pd(a, b, c); }
ARENAGRAD_INLINE V sqrt(V a) { return _mm256_sqrt_pd(a); }
ARENAGRAD_INLINE V floor(V a) { return _mm256_floor_pd(a); }
ARENAGRAD_INLINE V ceil(V a) { return _mm256_ceil_pd(a); }
ARENAGRAD_INLINE V at_most(double limit, V a) { return _mm256_min_pd(broadcast(limit), a); }
ARENAGRAD_INLINE V at_least(double limit, V a) { return _mm256_max_pd(broadcast(limit), a); }
#else
ARENAGRAD_INLINE V broadcast(double x) { return V{x, x}; }
ARENAGRAD_INLINE V load_partial(const double* at, std::size_t) { return V{at[0], 0.0}; }
ARENAGRAD_INLINE void store_partial(double* at, V v, std::size_t) { at[0] = v[0]; }
ARENAGRAD_INLINE bool any(I mask) { return (mask[0] | mask[1]) != 0; }
ARENAGRAD_INLINE V multiply_add(V a, V b, V c) { return a * b + c; }
ARENAGRAD_INLINE V sqrt(V a) { return V{__builtin_sqrt(a[0]), __builtin_sqrt(a[1])}; }
ARENAGRAD_INLINE V floor(V a) { return V{__builtin_floor(a[0]), __builtin_floor(a[1])}; }
ARENAGRAD_INLINE V ceil(V a) { return V{__builtin_ceil(a[0]), __builtin_ceil(a[1])}; }
ARENAGRAD_INLINE V at_most(double limit, V a) {
  return limit < a ? broadcast(limit) : a;
} // nan stays
ARENAGRAD_INLINE V at_least(double limit, V a) { return limit > a ? broadcast(limit) : a; }
#endif

ARENAGRAD_INLINE V multiply_no_nan(V a, V b) {
  const V y = a * b;
  return number(bits(y) & ~((y != y) & ((a == 0.0) | (b == 0.0))));
}

// Registers of this and fewer lanes as types with the same names: of a number alone only the first
// lane is loaded and stored. What is done lane by lane has the same bits in each of them.
template <class Register, std::size_t kCount> struct Width {
  using Type = Register;
  static constexpr std::size_t kLanes = kCount;
  ARENAGRAD_INLINE static Register load(const double* at) {
    Register v{};
    __builtin_memcpy(&v, at, kCount * sizeof *at);
    return v;
  }
  ARENAGRAD_INLINE static void store(double* at, Register v) {
    __builtin_memcpy(at, &v, kCount * sizeof *at);
  }
  ARENAGRAD_INLINE static Register broadcast(double x) { return x - Register{}; }
};
typedef double V2 __attribute__((vector_size(16)));
using Whole = Width<V, kLanes>;
using Two = Width<V2, 2>;
using One = Width<V2, 1>;
#if ARENAGRAD_LANES > 2
typedef double V4 __attribute__((vector_size(32)));
using Four = Width<V4, 4>;
ARENAGRAD_INLINE V2 multiply_add(V2 a, V2 b, V2 c) { return _mm_fmadd_pd(a, b, c); }
#endif
#if ARENAGRAD_LANES > 4
ARENAGRAD_INLINE V4 multiply_add(V4 a, V4 b, V4 c) { return _mm256_fmadd_pd(a, b, c); }
#endif

// Whether multiply_add rounds once. Where it does not, functions that need the rest of a product
// have another formula.
constexpr bool kFused = ARENAGRAD_LANES > 2;

ARENAGRAD_INLINE V fabs(V a) { return number(bits(a) & ~kSign); }
ARENAGRAD_INLINE V power_half(V a) {
  return sqrt(fabs(a) == kInfinity ? broadcast(kInfinity) : a + 0.0);
}
ARENAGRAD_INLINE V quotient(V a, V b) {
  const V zero = b * 0.0;
  return a / (fabs(b) <= core::kNoReciprocal ? zero : b);
}
ARENAGRAD_INLINE V with_sign(V size, V of) {
  return number((bits(size) & ~kSign) | (bits(of) & kSign));
}

// The sum of all lanes, in a fixed order.
ARENAGRAD_INLINE double horizontal_sum(V a) {
  double y[kLanes];
  store(y, a);
  for (std::size_t half = kLanes / 2; half > 0; half /= 2)
    for (std::size_t i = 0; i < half; ++i) y[i] += y[i + half];
  return y[0];
}

// y, but with evaluate's result where the mask is set: for operands too rare to be worth a formula
// of their own in every register.
[[gnu::noinline, maybe_unused]] V scalar_fallback(Opcode opcode, I mask, V y, V a, V b = V{},
                                                  V c = V{}) {
  for (std::size_t i = 0; i < kLanes; ++i)
    if (mask[i] != 0) y[i] = evaluate_one(opcode, a[i], b[i], c[i]);
  return y;
}

} // namespace
} // namespace arenagrad::program
