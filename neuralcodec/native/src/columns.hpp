// Operations on messages: matrices of states x columns, whose columns are independent of each other.
#pragma once

#include <type_traits>

#include "shuffles.hpp"
#include "simd.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

constexpr float kFloor = 0x1p-40f;

inline Vec gather(const float* from, const int32_t* index) {
#if defined(__AVX512F__)
    return reinterpret_cast<Vec>(_mm512_i32gather_ps(_mm512_loadu_si512(index), from, 4));
#elif defined(__AVX2__)
    const __m256i lanes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(index));
    return reinterpret_cast<Vec>(_mm256_i32gather_ps(from, lanes, 4));
#else
    return Vec{from[index[0]], from[index[1]], from[index[2]], from[index[3]]};
#endif
}

// Columns of a matrix, in their own order or picked by an index.
struct Columns {
    const float* data;
    int64_t ld;
    const int32_t* index;  // nullptr: in their own order

    inline Vec at(int row, int j) const {
        const float* const from = data + row * ld;
        if (!index) return load(from + j);
#if defined(__AVX512F__)
        // few columns: a row of them fits into one or two registers
        const __m512i lanes = _mm512_loadu_si512(index + j);
        if (ld == 16)
            return reinterpret_cast<Vec>(_mm512_permutexvar_ps(lanes, reinterpret_cast<__m512>(load(from))));
        if (ld == 32)
            return reinterpret_cast<Vec>(_mm512_permutex2var_ps(reinterpret_cast<__m512>(load(from)), lanes,
                                                                reinterpret_cast<__m512>(load(from + 16))));
#endif
        return gather(from, index + j);
    }
};

// Calls work(number of vectors, first column) for blocks of columns that leave the work its registers.
template <class Work>
inline void for_columns(int cols, Work work) {
    int j = 0;
    for (; j + 8 * kLanes <= cols; j += 8 * kLanes) work(std::integral_constant<int, 8>{}, j);
    for (; j + 2 * kLanes <= cols; j += 2 * kLanes) work(std::integral_constant<int, 2>{}, j);
    for (; j < cols; j += kLanes) work(std::integral_constant<int, 1>{}, j);
}

inline void multiply(float* out, int64_t ldo, Columns a, Columns b, int rows, int cols) {
    for (int r = 0; r < rows; ++r)
        for (int j = 0; j < cols; j += kLanes) store(out + r * ldo + j, a.at(r, j) * b.at(r, j));
}

// Per column: divide by the sum, and let no entry fall below the floor (format.md, "normalise" and 7.3).
inline void normalise(float* p, int states, int cols, float floor) {
    for_columns(cols, [=](auto vectors, int j) {
        Vec factor[vectors] = {};
        for (int z = 0; z < states; ++z)
            for (int v = 0; v < vectors; ++v)
                factor[v] = factor[v] + load(p + int64_t(z) * cols + j + v * kLanes);
        for (int v = 0; v < vectors; ++v) factor[v] = splat(1.0f) / factor[v];
        for (int z = 0; z < states; ++z)
            for (int v = 0; v < vectors; ++v) {
                float* const at = p + int64_t(z) * cols + j + v * kLanes;
                store(at, maximum(load(at) * factor[v], splat(floor)));
            }
    });
}

// Per column: out = entry(row, column) with the largest 1 and none below 2^-40 (format.md, "rescale"). entry
// is asked once for each; out may not be what it reads.
template <class Entry>
inline void rescaled(float* out, int states, int cols, Entry entry) {
    for_columns(cols, [=](auto vectors, int j) {
        Vec factor[vectors] = {};
        for (int z = 0; z < states; ++z)
            for (int v = 0; v < vectors; ++v) {
                const Vec q = entry(z, j + v * kLanes);
                factor[v] = maximum(factor[v], q);
                store(out + int64_t(z) * cols + j + v * kLanes, q);
            }
        for (int v = 0; v < vectors; ++v) factor[v] = splat(1.0f) / factor[v];
        for (int z = 0; z < states; ++z)
            for (int v = 0; v < vectors; ++v) {
                float* const at = out + int64_t(z) * cols + j + v * kLanes;
                store(at, maximum(load(at) * factor[v], splat(kFloor)));
            }
    });
}

}  // namespace
