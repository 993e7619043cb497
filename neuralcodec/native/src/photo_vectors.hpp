// Eight lanes of floats, of integers, or of 16-bit integers: the same results on every machine. Everything
// has internal linkage, as it is compiled once for each instruction set.
#pragma once

#include <cstdint>
#include <cstring>

#include "photo.hpp"

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace {

constexpr int kLanes = neuralcodec::kPhotoLanes;
typedef float F8 __attribute__((vector_size(4 * kLanes)));
typedef int32_t I8 __attribute__((vector_size(4 * kLanes)));
typedef int16_t H8 __attribute__((vector_size(2 * kLanes)));
typedef uint8_t B8 __attribute__((vector_size(kLanes), aligned(1), may_alias));
typedef uint16_t W8 __attribute__((vector_size(2 * kLanes), aligned(2), may_alias));

inline F8 real(I8 x) {
    return __builtin_convertvector(x, F8);
}
inline I8 loaded(const uint8_t* at) {
    return __builtin_convertvector(*reinterpret_cast<const B8*>(at), I8);
}
inline I8 loaded(const uint16_t* at) {
    return __builtin_convertvector(*reinterpret_cast<const W8*>(at), I8);
}
inline I8 whole(F8 x) {  // towards zero
    return __builtin_convertvector(x, I8);
}
inline H8 narrow(I8 x) {
    return __builtin_convertvector(x, H8);
}
inline F8 least(F8 a, F8 b) {
    return a < b ? a : b;
}
inline F8 most(F8 a, F8 b) {
    return a > b ? a : b;
}
inline I8 least(I8 a, I8 b) {
    return a < b ? a : b;
}
inline I8 most(I8 a, I8 b) {
    return a > b ? a : b;
}
inline F8 splat(float x) {
    return x - F8{};
}
inline I8 splat(int32_t x) {
    return x - I8{};
}
inline F8 within(F8 x, float bound) {
    return least(most(x, splat(-bound)), splat(bound));
}

// Sum of the products of the two 16-bit halves.
inline I8 products(I8 a, I8 b) {
#if defined(__AVX2__)
    return (I8)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    __m128i x[2], y[2];
    std::memcpy(x, &a, sizeof x);
    std::memcpy(y, &b, sizeof y);
    for (int i = 0; i < 2; ++i) x[i] = _mm_madd_epi16(x[i], y[i]);
    std::memcpy(&a, x, sizeof x);
    return a;
#else
    return (a << 16 >> 16) * (b << 16 >> 16) + (a >> 16) * (b >> 16);
#endif
}
inline I8 pair(I8 low, I8 high) {
    return (low & 0xFFFF) | (high << 16);
}

// As many vectors as a register holds.
#if defined(__AVX512BW__)
constexpr int kWide = 2;
typedef int32_t IW __attribute__((vector_size(64)));
inline IW add_products(IW sum, IW a, IW b) {
#if defined(__AVX512VNNI__)
    return (IW)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
#else
    return sum + (IW)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#endif
}
// The lanes 2r and 2r + 1 of each vector, four times.
inline IW twice_each(IW x, int r) {
    typedef int64_t L8 __attribute__((vector_size(64)));
    const L8 places = {r, r, r, r, 4 + r, 4 + r, 4 + r, 4 + r};
    return (IW)_mm512_permutexvar_epi64((__m512i)places, (__m512i)x);
}
inline IW repeated(I8 x) {
    return (IW)_mm512_broadcast_i64x4((__m256i)x);
}
#else
constexpr int kWide = 1;
typedef I8 IW;
inline IW add_products(IW sum, IW a, IW b) {
    return sum + products(a, b);
}
inline IW twice_each(IW x, int r) {
    typedef int64_t L4 __attribute__((vector_size(4 * kLanes)));
    return (IW)(((L4)x)[r] - L4{});
}
inline IW repeated(I8 x) {
    return x;
}
#endif
inline IW wide(const I8* at) {
    IW x;
    std::memcpy(&x, at, sizeof x);
    return x;
}

// Neighbouring lanes change places.
inline I8 swapped(I8 x) {
    return __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6);
}
// To the nearest integer, halves away from 0.
inline I8 nearest(F8 x) {
    return whole(x + (x < 0.0f ? splat(-0.5f) : splat(0.5f)));
}

// Correctly rounded, as IEEE 754 asks.
inline F8 root(F8 x) {
#if defined(__AVX__)
    return (F8)_mm256_sqrt_ps((__m256)x);
#elif defined(__SSE2__)
    __m128 half[2];
    std::memcpy(half, &x, sizeof x);
    for (__m128& one : half) one = _mm_sqrt_ps(one);
    std::memcpy(&x, half, sizeof x);
    return x;
#elif defined(__aarch64__)
    float32x4_t half[2];
    std::memcpy(half, &x, sizeof x);
    for (float32x4_t& one : half) one = vsqrtq_f32(one);
    std::memcpy(&x, half, sizeof x);
    return x;
#else
#error "a vector square root is wanted"
#endif
}

// log2 of positive numbers, linear between powers of 2, in 1/128.
inline I8 logarithm(F8 x) {
    I8 bits;
    std::memcpy(&bits, &x, sizeof bits);
    return (bits >> 16) - (127 << 7);
}

}  // namespace
