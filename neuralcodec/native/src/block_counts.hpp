// Sums over signals for transitions stored by blocks: the third product of EM, beside the two of
// block_product.hpp.
#pragma once

#include <algorithm>

#include "blocks.hpp"
#include "shuffles.hpp"
#include "simd.hpp"

namespace {

using neuralcodec::Block;
using neuralcodec::BlockEdge;
using neuralcodec::kBlock;

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
