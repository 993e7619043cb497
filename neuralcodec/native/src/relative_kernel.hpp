// The kernels of relative.hpp for the instruction set this translation unit is compiled for. What a lane
// computes does not depend on the number of lanes: integers, and binary32 operations in one order.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "relative.hpp"
#include "simd.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

using neuralcodec::RelativeBlocks;
using neuralcodec::RelativePosteriors;

typedef uint32_t Words __attribute__((vector_size(4 * kLanes)));
typedef uint32_t LooseWords __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

// The fourth counter word tells what the words are for.
constexpr uint32_t kForSamples = 0, kForArrivals = 1;

inline Words all(uint32_t x) {
    return x - Words{};
}
inline Words lane_numbers() {
    Words w;
    for (int i = 0; i < kLanes; ++i) w[i] = uint32_t(i);
    return w;
}

// ---- Philox4x32-10 (Salmon and others, SC 2011)

inline void multiply(Words x, uint32_t by, Words* high, Words* low) {
#if defined(__AVX512F__)
    const __m512i a = __m512i(x), m = _mm512_set1_epi32(int(by));
    const __m512i even = _mm512_mul_epu32(a, m), odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), m);
    *low = Words(_mm512_mask_mov_epi32(even, 0xAAAA, _mm512_slli_epi64(odd, 32)));
    *high = Words(_mm512_mask_mov_epi32(_mm512_srli_epi64(even, 32), 0xAAAA, odd));
#elif defined(__AVX2__)
    const __m256i a = __m256i(x), m = _mm256_set1_epi32(int(by));
    const __m256i even = _mm256_mul_epu32(a, m), odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), m);
    *low = Words(_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA));
    *high = Words(_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA));
#else
    for (int i = 0; i < kLanes; ++i) {
        const uint64_t product = uint64_t(x[i]) * by;
        (*low)[i] = uint32_t(product);
        (*high)[i] = uint32_t(product >> 32);
    }
#endif
}

struct Counters {
    Words word[4];
};

inline Counters philox(const uint32_t* key, Counters c) {
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        Words high0, low0, high1, low1;
        multiply(c.word[0], 0xD2511F53u, &high0, &low0);
        multiply(c.word[2], 0xCD9E8D57u, &high1, &low1);
        c = {{high1 ^ c.word[1] ^ k0, low1, high0 ^ c.word[3] ^ k1, low0}};
    }
    return c;
}

void philox_rows(const uint32_t* key, const uint32_t* counters, uint32_t* words, size_t n) {
    for (size_t first = 0; first < n; first += kLanes) {
        const size_t lanes = std::min(n - first, size_t(kLanes));
        Counters c{};
        for (size_t i = 0; i < lanes; ++i)
            for (int w = 0; w < 4; ++w) c.word[w][i] = counters[4 * (first + i) + size_t(w)];
        c = philox(key, c);
        for (size_t i = 0; i < lanes; ++i)
            for (int w = 0; w < 4; ++w) words[4 * (first + i) + size_t(w)] = c.word[w][i];
    }
}

// ---- words to standard normals

inline IntVec look_up(const int32_t* table, IntVec k) {
#if defined(__AVX512F__)
    return IntVec(_mm512_i32gather_epi32(__m512i(k), table, 4));
#elif defined(__AVX2__)
    return IntVec(_mm256_i32gather_epi32(table, __m256i(k), 4));
#else
    IntVec out;
    for (int i = 0; i < kLanes; ++i) out[i] = table[k[i]];
    return out;
#endif
}

// Docs/format.md, 8.2. The tail is (2 m + 1) / 2^33; its octave and the seven bits that follow the leading
// one are read off the exponent and the fraction of a float, exact because at most 24 bits are converted.
inline Vec normals(const int32_t* table, Words u) {
    const Words tail = u << 1 | 1;
    const IntVec small = tail >> 16 == 0;
    const Words scaled = small ? tail : tail >> 8;
    const IntVec bits = IntVec(__builtin_convertvector(IntVec(scaled), Vec));
    const IntVec k = (bits >> 16) - (127 << 7) + (~small & (8 << 7));
    const IntVec fraction = IntVec(tail << Words(31 - (k >> 7)) >> 8) & 0xFFFF;
    const IntVec left = look_up(table, k), drop = left - look_up(table + 1, k);
    const IntVec size = left - ((drop * fraction + (1 << 15)) >> 16);
    const IntVec sign = IntVec(u) >> 31;
    return __builtin_convertvector((size ^ sign) - sign, Vec) * splat(0x1p-21f);
}

void sample(const RelativeBlocks& blocks, size_t job, uint32_t index, float* out) {
    const int64_t n = blocks.offset[job + 1] - blocks.offset[job];
    for (int64_t first = 0; first < n; first += 4 * kLanes) {
        const Words four = uint32_t(first / 4) + lane_numbers();
        const Counters c =
            philox(blocks.key, {{all(index), all(blocks.number[job]), four, all(kForSamples)}});
        for (int w = 0; w < 4; ++w) {
            const Vec z = normals(blocks.table, c.word[w]);
            for (int64_t i = 0, at = first + w; i < kLanes && at < n; ++i, at += 4) out[at] = z[i];
        }
    }
}

// ---- the encoder's choice

// Natural logarithm of positive normal numbers, to 2e-7 of the value or 1e-7; no libm, so the same
// everywhere.
inline Vec logarithm(Vec x) {
    const IntVec bits = IntVec(x), shifted = bits - 0x3F3504F3;  // sqrt(1/2)
    const IntVec exponent = shifted >> 23;
    const Vec m = Vec(bits - (exponent << 23));
    const Vec s = (m - 1.0f) / (m + 1.0f), s2 = s * s;
    const Vec series = 2.0f + s2 * (0x1.555556p-1f + s2 * (0.4f + s2 * 0x1.24924ap-2f));
    return s * series + __builtin_convertvector(exponent, Vec) * 0x1.62e43p-1f;
}

inline bool any_greater(Vec a, Vec b) {
#if defined(__AVX512F__)
    return _mm512_cmp_ps_mask(__m512(a), __m512(b), _CMP_GT_OQ) != 0;
#elif defined(__AVX2__)
    return _mm256_movemask_ps(_mm256_cmp_ps(__m256(a), __m256(b), _CMP_GT_OQ)) != 0;
#else
    const IntVec greater = a > b;
    int32_t any = 0;
    for (int i = 0; i < kLanes; ++i) any |= greater[i];
    return any != 0;
#endif
}

// -weight ln T_i, T_i the sum of i + 1 standard exponentials, made as far as they are asked for.
class Arrivals {
  public:
    static constexpr int kChunk = 1024;

    Arrivals(const uint32_t* key, uint32_t number, float weight)
        : key_(key), number_(number), weight_(weight) {}

    // The kChunk values from i on; chunks are asked for in ascending order.
    const float* chunk(uint32_t i) {
        for (int at = 0; at < kChunk; at += 4 * kLanes) {
            const Words four = (i + uint32_t(at)) / 4 + lane_numbers();
            const Counters c = philox(key_, {{four, all(number_), all(0), all(kForArrivals)}});
            for (int w = 0; w < 4; ++w) {
                // (word >> 8) + 1/2 in 2^-24: exact, and never 0 or 1
                const Vec uniform = (__builtin_convertvector(IntVec(c.word[w] >> 8), Vec) + 0.5f) * 0x1p-24f;
                const Vec gap = -logarithm(uniform);
                for (int l = 0; l < kLanes; ++l) values_[at + 4 * l + w] = gap[l];
            }
        }
        for (int at = 0; at < kChunk; ++at) values_[at] = float(time_ += double(values_[at]));
        for (int at = 0; at < kChunk; at += kLanes)
            store(values_ + at, -logarithm(load(values_ + at)) * weight_);
        return values_;
    }

  private:
    const uint32_t* key_;
    uint32_t number_;
    float weight_;
    double time_ = 0;
    float values_[kChunk];
};

// What a bound must stay below before a candidate is given up: the best score, less room for the roundings of
// sums, so that what is given up never depends on the number of lanes.
inline float threshold(float best) {
    return best - (1e-2f + 1e-3f * std::fabs(best));
}

uint32_t select(const RelativeBlocks& blocks, const RelativePosteriors& posteriors, size_t job,
                uint32_t count) {
    const int64_t start = blocks.offset[job], n = blocks.offset[job + 1] - start;
    const float *centre = posteriors.centre + start, *steepness = posteriors.steepness + start;
    const int64_t fours = (n + 3) / 4;
    std::vector<float> rest(size_t(fours) + 1);  // the most that dimensions 4 q, ... can still add
    for (int64_t q = fours - 1; q >= 0; --q) {
        rest[size_t(q)] = rest[size_t(q) + 1];
        for (int64_t d = 4 * q; d < std::min(n, 4 * q + 4); ++d)
            rest[size_t(q)] += posteriors.peak[start + d];
    }
    Arrivals arrivals(blocks.key, blocks.number[job], posteriors.weight);
    float best = -std::numeric_limits<float>::infinity();
    uint32_t chosen = 0;
    for (uint32_t base = 0; base < count; base += Arrivals::kChunk) {
        const float* chunk = arrivals.chunk(base);
        if (!(rest[0] + chunk[0] > threshold(best))) break;  // T only grows: no later candidate can win
        const uint32_t end = std::min(count - base, uint32_t(Arrivals::kChunk));
        for (uint32_t at = 0; at < end; at += kLanes) {
            Vec score = load(chunk + at);
            const Words index = base + at + lane_numbers();
            const Vec bound = splat(threshold(best));
            int64_t q = 0;
            for (; q < fours && any_greater(score + rest[size_t(q)], bound); ++q) {
                const Counters c = philox(
                    blocks.key, {{index, all(blocks.number[job]), all(uint32_t(q)), all(kForSamples)}});
                for (int64_t d = 4 * q; d < std::min(n, 4 * q + 4); ++d) {
                    const Vec z = normals(blocks.table, c.word[d - 4 * q]);
                    const Vec off = (z - centre[d]) * steepness[d];
                    score = score + (z * z * 0.5f - off * off);
                }
            }
            if (q < fours || !any_greater(score, splat(best))) continue;
            for (int lane = 0; lane < kLanes && at + uint32_t(lane) < end; ++lane)
                if (score[lane] > best) best = score[lane], chosen = base + at + uint32_t(lane);
        }
    }
    return chosen;
}

}  // namespace
