// Operations on messages: matrices of states x columns, whose columns are independent of each other.
#pragma once

#include "simd.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

constexpr float kFloor = 0x1p-40f;

inline void transpose(float* out, int64_t ldo, const float* in, int64_t ldi, int rows, int cols) {
    for (int r = 0; r < rows; ++r)
        for (int c = 0; c < cols; ++c) out[c * ldo + r] = in[r * ldi + c];
}

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
        return index ? gather(data + row * ld, index + j) : load(data + row * ld + j);
    }
};

inline void multiply(float* out, int64_t ldo, Columns a, Columns b, int rows, int cols) {
    for (int r = 0; r < rows; ++r)
        for (int j = 0; j < cols; j += kLanes) store(out + r * ldo + j, a.at(r, j) * b.at(r, j));
}

// Per column: divide by the sum, and let no entry fall below the floor (format.md, "normalise" and 7.3).
inline void normalise(float* p, int states, int cols, float floor) {
    for (int j = 0; j < cols; j += kLanes) {
        Vec sum{};
        for (int z = 0; z < states; ++z) sum = sum + load(p + int64_t(z) * cols + j);
        const Vec r = splat(1.0f) / sum;
        for (int z = 0; z < states; ++z)
            store(p + int64_t(z) * cols + j, maximum(load(p + int64_t(z) * cols + j) * r, splat(floor)));
    }
}

// Per column: largest entry 1, none below 2^-40 (format.md, "rescale").
inline void rescale(float* out, const float* q, int states, int cols) {
    for (int j = 0; j < cols; j += kLanes) {
        Vec top{};
        for (int z = 0; z < states; ++z) top = maximum(top, load(q + int64_t(z) * cols + j));
        const Vec r = splat(1.0f) / top;
        for (int z = 0; z < states; ++z)
            store(out + int64_t(z) * cols + j, maximum(load(q + int64_t(z) * cols + j) * r, splat(kFloor)));
    }
}

}  // namespace
