// Vectors of the width this translation unit is compiled for, and one small matrix product.
// Everything has internal linkage: the same source is compiled once per instruction set, and nothing
// compiled for a wide set may be picked by the linker for a narrow one.
#pragma once

#include <cstdint>

namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
constexpr int kTileVectors = 4;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
constexpr int kTileVectors = 2;
#else
constexpr int kLanes = 4;
constexpr int kTileVectors = 2;
#endif
constexpr int kTileRows = 4;

// Row lengths are padded to this many floats on every path, so that layouts do not depend on the path.
constexpr int kPad = 16;

typedef float Vec __attribute__((vector_size(4 * kLanes)));
typedef int32_t IntVec __attribute__((vector_size(4 * kLanes)));
typedef float LooseVec __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

inline Vec load(const float* p) {
    return *reinterpret_cast<const LooseVec*>(p);
}
inline void store(float* p, Vec v) {
    *reinterpret_cast<LooseVec*>(p) = v;
}
inline Vec splat(float x) {
    return x - Vec{};
}
inline Vec maximum(Vec a, Vec b) {
    return a > b ? a : b;
}

constexpr int padded(int n) {
    return (n + kPad - 1) / kPad * kPad;
}

// A matrix read through two strides, so that a transpose costs nothing.
struct Strided {
    const float* data;
    int64_t row, col;
};

template <int rows, int vectors, bool add>
__attribute__((always_inline)) inline void product_tile(float* c, int64_t ldc, Strided a, const float* b,
                                                        int64_t ldb, int depth) {
    Vec acc[rows][vectors];
    for (int i = 0; i < rows; ++i)
        for (int j = 0; j < vectors; ++j) acc[i][j] = add ? load(c + i * ldc + j * kLanes) : Vec{};
    for (int k = 0; k < depth; ++k) {
        Vec right[vectors];
        for (int j = 0; j < vectors; ++j) right[j] = load(b + k * ldb + j * kLanes);
        for (int i = 0; i < rows; ++i) {
            const Vec left = splat(a.data[i * a.row + k * a.col]);
            for (int j = 0; j < vectors; ++j) acc[i][j] = acc[i][j] + left * right[j];
        }
    }
    for (int i = 0; i < rows; ++i)
        for (int j = 0; j < vectors; ++j) store(c + i * ldc + j * kLanes, acc[i][j]);
}

template <int tile_rows, int vectors, bool add>
void product_columns(float* c, int64_t ldc, Strided a, const float* b, int64_t ldb, int m, int depth) {
    int i = 0;
    for (; i + tile_rows <= m; i += tile_rows)
        product_tile<tile_rows, vectors, add>(c + i * ldc, ldc, {a.data + i * a.row, a.row, a.col}, b, ldb,
                                              depth);
    for (; i < m; ++i)
        product_tile<1, vectors, add>(c + i * ldc, ldc, {a.data + i * a.row, a.row, a.col}, b, ldb, depth);
}

// c (m x n, rows ldc apart) = or += a (m x depth) times b (depth x n, rows ldb apart); n is a multiple of
// kPad. Every element starts at 0 (or at c) and adds its products for k ascending: docs/format.md, "product
// sum". Tiles differ in shape so that enough independent sums are under way to hide an addition's latency.
template <bool add = false>
void product(float* c, int64_t ldc, Strided a, const float* b, int64_t ldb, int m, int n, int depth) {
    int j = 0;
    for (; j + kTileVectors * kLanes <= n; j += kTileVectors * kLanes)
        product_columns<kTileRows, kTileVectors, add>(c + j, ldc, a, b + j, ldb, m, depth);
    if constexpr (kTileVectors > 2)
        for (; j + 2 * kLanes <= n; j += 2 * kLanes)
            product_columns<2 * kTileRows, 2, add>(c + j, ldc, a, b + j, ldb, m, depth);
    for (; j < n; j += kLanes) product_columns<2 * kTileRows, 1, add>(c + j, ldc, a, b + j, ldb, m, depth);
}

}  // namespace
