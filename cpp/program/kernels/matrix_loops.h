// The loops in which many results share their operands: an operand is loaded once for a tile of
// results, which are kept in registers. A tile is as large as the registers allow: 4 rows of 4 with
// AVX-512, of 2 without. The order of each sum is the same in every tile. See simd.h for how it is
// included.
#pragma once

#include "simd.h"

namespace arenagrad::program {
namespace {

// kRows results of kTile registers, from element i on. Only a tile of one register may have a
// length below kLanes.
template <bool kStrict, int kRows, int kTile>
ARENAGRAD_INLINE void layer_tile(double* const* y, const double* w, const double* const* x,
                                 std::size_t terms, std::size_t i, std::size_t length) {
  V sums[kRows][kTile];
  for (int r = 0; r < kRows; ++r)
    for (int t = 0; t < kTile; ++t) sums[r][t] = broadcast(w[r * (terms + 1)]);
  for (std::size_t k = 0; k < terms; ++k) {
    V of_x[kTile];
    for (int t = 0; t < kTile; ++t)
      of_x[t] = length >= kLanes ? load(x[k] + i + t * kLanes) : load_partial(x[k] + i, length);
    for (int r = 0; r < kRows; ++r) {
      const V of_w = broadcast(w[r * (terms + 1) + 1 + k]);
      for (int t = 0; t < kTile; ++t)
        sums[r][t] =
            kStrict ? of_w * of_x[t] + sums[r][t] : multiply_add(of_w, of_x[t], sums[r][t]);
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int t = 0; t < kTile; ++t)
      if (length >= kLanes)
        store(y[r] + i + t * kLanes, sums[r][t]);
      else
        store_partial(y[r] + i, sums[r][t], length);
}

// kRows results of all elements.
template <bool kStrict, int kRows> void layer_rows(double* const* y, const double* w,
                                                   const double* const* x, std::size_t terms,
                                                   std::size_t n) {
  constexpr int kTile = kLanes == 8 ? 4 : 2;
  std::size_t i = 0;
  for (; i + kTile * kLanes <= n; i += kTile * kLanes)
    layer_tile<kStrict, kRows, kTile>(y, w, x, terms, i, kLanes);
  for (; i + kLanes <= n; i += kLanes) layer_tile<kStrict, kRows, 1>(y, w, x, terms, i, kLanes);
  if (i < n) layer_tile<kStrict, kRows, 1>(y, w, x, terms, i, n - i);
}

template <bool kStrict> void layer(double* const* y, const double* w, const double* const* x,
                                   std::size_t results, std::size_t terms, std::size_t n) {
  std::size_t r = 0;
  for (; r + 4 <= results; r += 4) layer_rows<kStrict, 4>(y + r, w + r * (terms + 1), x, terms, n);
  for (; r < results; ++r) layer_rows<kStrict, 1>(y + r, w + r * (terms + 1), x, terms, n);
}

// Lane r of the result is the sum of the lanes of a[r], for kLanes registers at once: fewer
// instructions than kLanes times horizontal_sum().
ARENAGRAD_INLINE V across_each(const V* a) {
#if ARENAGRAD_LANES == 8
  const auto halves = [](V one, V other) {
    return V(_mm512_maskz_shuffle_f64x2(0xff, one, other, 0x88)) +
           V(_mm512_maskz_shuffle_f64x2(0xff, one, other, 0xdd));
  };
  const auto pairs = [](V one, V other) {
    return V(_mm512_maskz_unpacklo_pd(0xff, one, other)) +
           V(_mm512_maskz_unpackhi_pd(0xff, one, other));
  };
  return halves(halves(pairs(a[0], a[1]), pairs(a[2], a[3])),
                halves(pairs(a[4], a[5]), pairs(a[6], a[7])));
#elif ARENAGRAD_LANES == 4
  const V one = _mm256_hadd_pd(a[0], a[1]), other = _mm256_hadd_pd(a[2], a[3]);
  return V(_mm256_permute2f128_pd(one, other, 0x20)) + V(_mm256_permute2f128_pd(one, other, 0x31));
#else
  return V{a[0][0] + a[0][1], a[1][0] + a[1][1]};
#endif
}

// The kRows * kColumns sums of a tile, each in a register until all elements are added, whose lanes
// are then added across for as many sums at once as a register has lanes.
template <int kRows, int kColumns> void grid_tile(double* sums, std::size_t step,
                                                  const double* const* a, const double* const* b,
                                                  std::size_t n) {
  constexpr int kCount = kRows * kColumns;
  constexpr int kWhole = (kCount + int(kLanes) - 1) / int(kLanes) * int(kLanes);
  V part[kWhole] = {};
  const auto add = [&](auto&& load_one) {
    V of_b[kColumns];
    for (int c = 0; c < kColumns; ++c) of_b[c] = load_one(b[c]);
    for (int r = 0; r < kRows; ++r) {
      const V of_a = load_one(a[r]);
      for (int c = 0; c < kColumns; ++c)
        part[r * kColumns + c] = multiply_add(of_a, of_b[c], part[r * kColumns + c]);
    }
  };
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) add([i](const double* at) { return load(at + i); });
  if (i < n) add([i, n](const double* at) { return load_partial(at + i, n - i); });
  double added[kWhole];
  for (int k = 0; k < kWhole; k += int(kLanes)) store(added + k, across_each(part + k));
  for (int r = 0; r < kRows; ++r)
    for (int c = 0; c < kColumns; ++c) sums[r * step + c] += added[r * kColumns + c];
}

// All columns of kRows rows.
template <int kRows> void grid_rows(double* sums, const double* const* a, const double* const* b,
                                    std::size_t columns, std::size_t n) {
  constexpr int kWide = kLanes == 8 ? 4 : 2;
  std::size_t c = 0;
  for (; c + kWide <= columns; c += kWide) grid_tile<kRows, kWide>(sums + c, columns, a, b + c, n);
  for (; kWide > 2 && c + 2 <= columns; c += 2) grid_tile<kRows, 2>(sums + c, columns, a, b + c, n);
  for (; c < columns; ++c) grid_tile<kRows, 1>(sums + c, columns, a, b + c, n);
}

[[maybe_unused]] void grid(double* sums, const double* const* a, std::size_t rows,
                           const double* const* b, std::size_t columns, std::size_t n) {
  std::size_t r = 0;
  for (; r + 4 <= rows; r += 4) grid_rows<4>(sums + r * columns, a + r, b, columns, n);
  for (; r < rows; ++r) grid_rows<1>(sums + r * columns, a + r, b, columns, n);
}

} // namespace
} // namespace arenagrad::program
