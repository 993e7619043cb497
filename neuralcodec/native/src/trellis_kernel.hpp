// The kernel of trellis.hpp for the instruction set this translation unit is compiled for. Lanes hold states;
// every path adds and compares the same binary32 numbers, so that all give the same levels.
#pragma once

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "simd.hpp"
#include "trellis.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

using neuralcodec::kRates;
using neuralcodec::kTrellis;
using neuralcodec::Lattice;
using neuralcodec::Quantiser;

constexpr int kClasses = 4;  // an index's parity, times 2, plus its lattice
constexpr size_t kRescale = 512;

struct Candidates {
    float cost[kClasses];
    int32_t level[kClasses];
};

inline float rate_of(const Quantiser& q, int32_t n) {
    const int32_t a = n < 0 ? -n : n;
    return q.rates[a < kRates ? a : kRates - 1];
}

// The cheapest level of each class.
inline void find(const Quantiser& q, float value, Candidates* c) {
    const double y = double(value) * q.inverse - q.centre;
    int32_t base = int32_t(y);
    base -= double(base) > y;
    const float f = float(y - base);
    const float cost[4] = {(f + 1) * (f + 1), f * f, (1 - f) * (1 - f), (2 - f) * (2 - f)};
    if (q.lattice == Lattice::odd) {
        for (int j = 0; j < 4; ++j) {
            const int32_t n = base - 1 + j;
            const int z = n & 3;  // twice the index's parity, plus the lattice
            c->cost[z] = q.rates ? cost[j] + rate_of(q, n) : cost[j];
            c->level[z] = n;
        }
        return;
    }
    const float zero = float(y * y) + (q.rates ? q.rates[0] : 0);
    c->cost[0] = c->cost[1] = zero;
    c->level[0] = c->level[1] = 0;
    c->cost[2] = c->cost[3] = std::numeric_limits<float>::max() / 4;
    c->level[2] = 2, c->level[3] = 1;
    for (int j = 0; j < 4; ++j) {
        const int32_t n = base - 1 + j;
        const int odd = n & 1;
        const int z = int(neuralcodec::index_of(n, Lattice::zero, odd) & 1) << 1 | odd;
        const float d = q.rates ? cost[j] + rate_of(q, n) : cost[j];
        if (d < c->cost[z]) c->cost[z] = d, c->level[z] = n;
    }
}

inline int class_of(uint32_t state, const neuralcodec::Trellis& code) {
    return __builtin_parity(state & code.parity) << 1 | __builtin_parity(state & code.lattice);
}

inline uint32_t bits_of(IntVec mask) {
#if defined(__AVX512F__)
    return uint32_t(_mm512_movepi32_mask(__m512i(mask)));
#elif defined(__AVX2__)
    return uint32_t(_mm256_movemask_ps(__m256(mask)));
#elif defined(__x86_64__)
    return uint32_t(_mm_movemask_ps(__m128(mask)));
#else
    uint32_t bits = 0;
    for (int i = 0; i < kLanes; ++i) bits |= uint32_t(mask[i] & 1) << i;
    return bits;
#endif
}

inline void interleave(Vec even, Vec odd, float* out) {
#if defined(__AVX512F__)
    store(out, __builtin_shufflevector(even, odd, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
    store(out + kLanes,
          __builtin_shufflevector(even, odd, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
#elif defined(__AVX2__)
    store(out, __builtin_shufflevector(even, odd, 0, 8, 1, 9, 2, 10, 3, 11));
    store(out + kLanes, __builtin_shufflevector(even, odd, 4, 12, 5, 13, 6, 14, 7, 15));
#else
    store(out, __builtin_shufflevector(even, odd, 0, 4, 1, 5));
    store(out + kLanes, __builtin_shufflevector(even, odd, 2, 6, 3, 7));
#endif
}

// The survivors of one step: state 2j + u comes from state j or j + S / 2 with the input u. The decisions are
// bits, those of even states first.
template <int states>
struct Step {
    static constexpr int half = states / 2;
    static constexpr int words = half > 64 ? half / 64 : 1;
    static constexpr bool vector = half >= kLanes;
    IntVec low_mask, high_mask;  // of the first kLanes states' classes
    int group[2][vector ? half / kLanes : 1];
    int single[states];

    explicit Step(const neuralcodec::Trellis& code) {
        for (int s = 0; s < states; ++s) single[s] = class_of(uint32_t(s), code);
        for (int i = 0; i < kLanes; ++i) {
            const int z = class_of(uint32_t(i), code);
            low_mask[i] = z & 1 ? -1 : 0;
            high_mask[i] = z & 2 ? -1 : 0;
        }
        if constexpr (vector)
            for (int g = 0; g < half / kLanes; ++g) {
                group[0][g] = single[g * kLanes];
                group[1][g] = single[g * kLanes + half];
            }
    }

    inline void run(const float* metric, const float* from, float* to, uint64_t* even, uint64_t* odd) const {
        for (int w = 0; w < words; ++w) even[w] = odd[w] = 0;
        if constexpr (vector) {
            const Vec m0 = splat(metric[0]), m1 = splat(metric[1]), m2 = splat(metric[2]),
                      m3 = splat(metric[3]);
            const Vec a = low_mask ? m1 : m0, b = low_mask ? m0 : m1, c = low_mask ? m3 : m2,
                      d = low_mask ? m2 : m3;
            const Vec of[4] = {high_mask ? c : a, high_mask ? d : b, high_mask ? a : c, high_mask ? b : d};
            for (int g = 0; g < half / kLanes; ++g) {
                const Vec first = load(from + g * kLanes), second = load(from + g * kLanes + half);
                const Vec e1 = first + of[group[0][g]], e2 = second + of[group[1][g]];
                const Vec o1 = first + of[group[0][g] ^ 2], o2 = second + of[group[1][g] ^ 2];
                const IntVec take_e = e2 < e1, take_o = o2 < o1;
                even[g * kLanes / 64] |= uint64_t(bits_of(take_e)) << (g * kLanes % 64);
                odd[g * kLanes / 64] |= uint64_t(bits_of(take_o)) << (g * kLanes % 64);
                interleave(take_e ? e2 : e1, take_o ? o2 : o1, to + 2 * g * kLanes);
            }
        } else {
            for (int j = 0; j < half; ++j) {
                const int za = single[j], zb = single[j + half];
                const float e1 = from[j] + metric[za], e2 = from[j + half] + metric[zb];
                const float o1 = from[j] + metric[za ^ 2], o2 = from[j + half] + metric[zb ^ 2];
                to[2 * j] = e2 < e1 ? e2 : e1;
                to[2 * j + 1] = o2 < o1 ? o2 : o1;
                even[0] |= uint64_t(e2 < e1) << j;
                odd[0] |= uint64_t(o2 < o1) << j;
            }
        }
    }
};

template <int states>
void viterbi(const Quantiser& q, const float* values, size_t n, int32_t* levels) {
    const Step<states> step(kTrellis[q.trellis]);
    constexpr int words = Step<states>::words, half = states / 2;
    std::vector<uint64_t> decisions(n * 2 * words);
    alignas(64) float costs[2][states];
    for (int s = 0; s < states; ++s) costs[0][s] = s ? 1e30f : 0.0f;
    int now = 0;
    Candidates c;
    for (size_t i = 0; i < n; ++i) {
        find(q, values[i], &c);
        uint64_t* d = decisions.data() + i * 2 * words;
        step.run(c.cost, costs[now], costs[1 - now], d, d + words);
        now = 1 - now;
        if (i % kRescale == kRescale - 1) {
            float least = costs[now][0];
            for (int s = 1; s < states; ++s) least = costs[now][s] < least ? costs[now][s] : least;
            for (int s = 0; s < states; ++s) costs[now][s] -= least;
        }
    }
    int state = 0;
    for (int s = 1; s < states; ++s)
        if (costs[now][s] < costs[now][state]) state = s;
    for (size_t i = n; i-- > 0;) {
        const uint64_t* d = decisions.data() + i * 2 * words + (state & 1) * words;
        const int j = state >> 1, second = int(d[j / 64] >> (j % 64) & 1);
        const int before = j + second * half;
        find(q, values[i], &c);
        levels[i] = c.level[step.single[before] ^ (state & 1) << 1];
        state = before;
    }
}

void nearest(const Quantiser& q, const float* values, size_t n, int32_t* levels) {
    for (size_t i = 0; i < n; ++i) {
        const double y = double(values[i]) * q.inverse - q.centre;
        const double rounded = std::nearbyint(y);
        int32_t best = int32_t(rounded);
        if (q.rates && best != 0) {
            // one step towards zero, or zero itself, may cost less
            const int32_t other[2] = {best < 0 ? best + 1 : best - 1, 0};
            float least = float((y - rounded) * (y - rounded)) + rate_of(q, best);
            for (const int32_t m : other) {
                const float cost = float((y - m) * (y - m)) + rate_of(q, m);
                if (cost < least) least = cost, best = m;
            }
        }
        levels[i] = best;
    }
}

void quantise(const Quantiser& q, const float* values, size_t n, int32_t* levels) {
    if (q.lattice == Lattice::plain) return nearest(q, values, n, levels);
    switch (q.trellis) {
        case 2:
            return viterbi<4>(q, values, n, levels);
        case 3:
            return viterbi<8>(q, values, n, levels);
        case 4:
            return viterbi<16>(q, values, n, levels);
        case 5:
            return viterbi<32>(q, values, n, levels);
        case 6:
            return viterbi<64>(q, values, n, levels);
        case 7:
            return viterbi<128>(q, values, n, levels);
        default:
            return viterbi<256>(q, values, n, levels);
    }
}

}  // namespace
