// Sums over signals for transitions stored by blocks: the third product of EM, beside the two of
// block_product.hpp.
#pragma once

#include <algorithm>
#include <utility>

#include "blocks.hpp"
#include "simd.hpp"

namespace {

using neuralcodec::Block;
using neuralcodec::BlockEdge;
using neuralcodec::kBlock;

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

// sums (rows `stride` apart) += the block's sums over signals of left[r] * right[c]; both are states x lanes.
template <int height, int width>
__attribute__((always_inline)) inline void count_block(float* sums, int64_t stride, const float* left,
                                                       const float* right, int64_t lanes) {
    constexpr int cells = (height * width + kLanes - 1) / kLanes * kLanes;
    Vec acc[cells];
    for (int i = 0; i < cells; ++i) acc[i] = Vec{};
    for (int64_t b = 0; b < lanes; b += kLanes) {
        Vec r[width];
        for (int j = 0; j < width; ++j) r[j] = load(right + j * lanes + b);
        for (int i = 0; i < height; ++i) {
            const Vec l = load(left + i * lanes + b);
            for (int j = 0; j < width; ++j) acc[i * width + j] = acc[i * width + j] + l * r[j];
        }
    }
    float total[cells];
    for (int i = 0; i < cells; i += kLanes) store(total + i, lane_sums(acc + i));
    for (int i = 0; i < height; ++i)
        for (int j = 0; j < width; ++j) sums[i * stride + j] += total[i * width + j];
}

// sums (the layout of the edge's stored transitions) += sum over signals of left[k] * right[j].
inline void count_blocks(float* sums, const BlockEdge& edge, const float* left, int height,
                         const float* right, int width, int64_t lanes) {
    for (int i = 0; i < height; i += kBlock) {
        const int32_t* const first = edge.rows.first.data() + i / kBlock;
        for (int32_t b = first[0]; b < first[1]; ++b) {
            const Block& block = edge.rows.blocks[size_t(b)];
            const int j = kBlock * block.across;
            const float *const l = left + i * lanes, *const r = right + j * lanes;
            float* const to = sums + block.offset;
            if (height - i >= kBlock && width - j >= kBlock) {
                count_block<kBlock, kBlock>(to, block.stride, l, r, lanes);
                continue;
            }
            for (int y = 0; y < std::min(kBlock, height - i); ++y)
                for (int x = 0; x < std::min(kBlock, width - j); ++x)
                    count_block<1, 1>(to + y * block.stride + x, block.stride, l + y * lanes, r + x * lanes,
                                      lanes);
        }
    }
}

}  // namespace
