// Lanes exchanged between vectors: transposes and sums over lanes.
#pragma once

#include <utility>

#include "simd.hpp"

namespace {

template <int step, bool low, int... lane>
inline Vec blend(Vec a, Vec b, std::integer_sequence<int, lane...>) {
    return __builtin_shufflevector(
        a, b,
        (low ? (lane & step ? kLanes + lane - step : lane) : (lane & step ? kLanes + lane : lane + step))...);
}

// Lane l of the result is the sum of all lanes of rows[l]: each round adds pairs of lanes of two vectors into
// one.
template <int step = 1>
inline Vec lane_sums(Vec* rows) {
    using Lanes = std::make_integer_sequence<int, kLanes>;
    for (int i = 0; i < kLanes; i += 2 * step)
        rows[i] = blend<step, true>(rows[i], rows[i + step], Lanes{}) +
                  blend<step, false>(rows[i], rows[i + step], Lanes{});
    if constexpr (2 * step < kLanes)
        return lane_sums<2 * step>(rows);
    else
        return rows[0];
}

// One round of the butterfly transpose: swaps the off-diagonal blocks of `step` lanes.
template <int step>
inline void swap_blocks(Vec* rows) {
    using Lanes = std::make_integer_sequence<int, kLanes>;
    for (int i = 0; i < kLanes; ++i) {
        if (i & step) continue;
        const Vec a = rows[i], b = rows[i + step];
        rows[i] = blend<step, true>(a, b, Lanes{});
        rows[i + step] = blend<step, false>(a, b, Lanes{});
    }
}

// out (cols x rows, ldo apart) = in (rows x cols, ldi apart) transposed; cols is a multiple of kPad, and out
// has room for padded(rows) columns: the padding is set to 0.
inline void transpose(float* out, int64_t ldo, const float* in, int64_t ldi, int rows, int cols) {
    for (int r = 0; r < padded(rows); r += kLanes)
        for (int c = 0; c < cols; c += kLanes) {
            Vec block[kLanes];
            for (int i = 0; i < kLanes; ++i) block[i] = r + i < rows ? load(in + (r + i) * ldi + c) : Vec{};
            swap_blocks<1>(block);
            swap_blocks<2>(block);
            if constexpr (kLanes >= 8) swap_blocks<4>(block);
            if constexpr (kLanes >= 16) swap_blocks<8>(block);
            for (int i = 0; i < kLanes; ++i) store(out + (c + i) * ldo + r, block[i]);
        }
}

}  // namespace
