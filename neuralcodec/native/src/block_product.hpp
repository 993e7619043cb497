// Products with transitions stored by blocks. Skipping a block of zeros changes no bit of a product sum:
// messages are finite and not negative, and s + 0 * x = s for every s >= +0.
#pragma once

#include "blocks.hpp"
#include "simd.hpp"

namespace {

using neuralcodec::Block;
using neuralcodec::kBlock;
using neuralcodec::Matrix;
using neuralcodec::Strips;

// acc += column k of a block times one row of b. Along a block row entry (i, k) of a block is at i * stride +
// k, along a block column at k * stride + i.
template <bool columns, int out, int vectors>
__attribute__((always_inline)) inline void strip_step(Vec (&acc)[out][vectors], const float* a,
                                                      int64_t stride, int k, const float* row) {
    Vec right[vectors];
    for (int j = 0; j < vectors; ++j) right[j] = load(row + j * kLanes);
    for (int i = 0; i < out; ++i) {
        const Vec left = splat(columns ? a[k * stride + i] : a[i * stride + k]);
        for (int j = 0; j < vectors; ++j) acc[i][j] = acc[i][j] + left * right[j];
    }
}

// `out` rows of c from the blocks of one strip; `depth` is the number of rows of b, for a ragged last block.
template <bool columns, int out, int vectors>
__attribute__((always_inline)) inline void strip_tile(float* c, int64_t ldc, const float* entries,
                                                      const Block* block, const Block* end, const float* b,
                                                      int64_t ldb, int depth) {
    Vec acc[out][vectors];
    for (int i = 0; i < out; ++i)
        for (int j = 0; j < vectors; ++j) acc[i][j] = Vec{};
    // only the last block can be ragged: blocks are in ascending order
    const Block* whole = end;
    if (block != end && kBlock * (end[-1].across + 1) > depth) --whole;
    for (; block != whole; ++block) {
        const float *const a = entries + block->offset, *const row = b + kBlock * block->across * ldb;
        // unrolled, all loads of a block would come first, and sums would be spilled
#pragma GCC unroll 1
        for (int k = 0; k < kBlock; ++k) strip_step<columns>(acc, a, block->stride, k, row + k * ldb);
    }
    for (; block != end; ++block)
        for (int k = kBlock * block->across; k < depth; ++k)
            strip_step<columns>(acc, entries + block->offset, block->stride, k % kBlock, b + k * ldb);
    for (int i = 0; i < out; ++i)
        for (int j = 0; j < vectors; ++j) store(c + i * ldc + j * kLanes, acc[i][j]);
}

template <bool columns, int vectors>
void strip_columns(float* c, int64_t ldc, const float* entries, const Strips& strips, const float* b,
                   int64_t ldb, int m, int depth) {
    const Block* const blocks = strips.blocks.data();
    int i = 0;
    for (; i + kBlock <= m; i += kBlock) {
        const int32_t* const first = strips.first.data() + i / kBlock;
        strip_tile<columns, kBlock, vectors>(c + i * ldc, ldc, entries, blocks + first[0], blocks + first[1],
                                             b, ldb, depth);
    }
    if (i == m) return;
    const int32_t* const first = strips.first.data() + i / kBlock;
    const Block *const begin = blocks + first[0], *const end = blocks + first[1];
    if (m - i == 3) strip_tile<columns, 3, vectors>(c + i * ldc, ldc, entries, begin, end, b, ldb, depth);
    if (m - i == 2) strip_tile<columns, 2, vectors>(c + i * ldc, ldc, entries, begin, end, b, ldb, depth);
    if (m - i == 1) strip_tile<columns, 1, vectors>(c + i * ldc, ldc, entries, begin, end, b, ldb, depth);
}

// c (m x n) = T b (strips: block rows) or T^t b (strips: block columns), n a multiple of kPad; the same
// product sums as `product` gives for the transitions with their zeros.
template <bool columns>
void block_product(float* c, int64_t ldc, const float* entries, const Strips& strips, const float* b,
                   int64_t ldb, int m, int n, int depth) {
    int j = 0;
    for (; j + kTileVectors * kLanes <= n; j += kTileVectors * kLanes)
        strip_columns<columns, kTileVectors>(c + j, ldc, entries, strips, b + j, ldb, m, depth);
    if constexpr (kTileVectors > 2)
        for (; j + 2 * kLanes <= n; j += 2 * kLanes)
            strip_columns<columns, 2>(c + j, ldc, entries, strips, b + j, ldb, m, depth);
    for (; j < n; j += kLanes) strip_columns<columns, 1>(c + j, ldc, entries, strips, b + j, ldb, m, depth);
}

// c (rows ldc apart, n columns) = m b, or m^t b, as product sums.
template <bool transposed>
void matrix_product(float* c, int64_t ldc, const Matrix& m, const float* b, int64_t ldb, int n) {
    const int out = transposed ? m.columns : m.rows, depth = transposed ? m.rows : m.columns;
    if (m.blocks)
        block_product<transposed>(c, ldc, m.entries, transposed ? m.blocks->columns : m.blocks->rows, b, ldb,
                                  out, n, depth);
    else
        product(c, ldc, {m.entries, transposed ? 1 : m.columns, transposed ? m.columns : 1}, b, ldb, out, n,
                depth);
}

}  // namespace
