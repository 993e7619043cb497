// What is done at a variable: integer cumulative tables, and the visitors that code or decode with them.
#pragma once

#include "ans.hpp"
#include "circuit.hpp"
#include "simd.hpp"

namespace {

using namespace neuralcodec;

// docs/format.md, "dot product": 16 lanes, then halves are added. n is a multiple of 16.
inline float dot(const float* a, const float* b, int n) {
    constexpr int vectors = kPad / kLanes;
    Vec acc[vectors] = {};
    for (int k = 0; k < n; k += kPad)
        for (int j = 0; j < vectors; ++j)
            acc[j] = acc[j] + load(a + k + j * kLanes) * load(b + k + j * kLanes);
#if defined(__AVX512F__)
    typedef float Half __attribute__((vector_size(32)));
    typedef float Quarter __attribute__((vector_size(16)));
    const Half h = __builtin_shufflevector(acc[0], acc[0], 0, 1, 2, 3, 4, 5, 6, 7) +
                   __builtin_shufflevector(acc[0], acc[0], 8, 9, 10, 11, 12, 13, 14, 15);
    const Quarter q = __builtin_shufflevector(h, h, 0, 1, 2, 3) + __builtin_shufflevector(h, h, 4, 5, 6, 7);
#elif defined(__AVX2__)
    typedef float Quarter __attribute__((vector_size(16)));
    const Vec h = acc[0] + acc[1];
    const Quarter q = __builtin_shufflevector(h, h, 0, 1, 2, 3) + __builtin_shufflevector(h, h, 4, 5, 6, 7);
#else
    const Vec q = (acc[0] + acc[2]) + (acc[1] + acc[3]);
#endif
    return (q[0] + q[2]) + (q[1] + q[3]);
}

// Start of symbol x in a variable's integer cumulative table. q and table rows are non-negative, so every
// rounded product and sum is monotone in the table, and "+ x" makes the starts strictly increasing.
struct Cumulative {
    const float* q;
    const float* table;
    int rank;
    uint32_t alphabet;
    float scale;

    Cumulative(const Node& node, const float* weights)
        : q(weights),
          table(node.cumulative),
          rank(node.padded_rank),
          alphabet(uint32_t(node.alphabet)),
          scale(float(kTotal - uint32_t(node.alphabet))) {}

    inline uint32_t inner(uint32_t x) const {
        const float mass = dot(q, table + int64_t(x) * rank, rank);
        return uint32_t((mass > 1.0f ? 1.0f : mass) * scale) + x;
    }
    inline uint32_t start(uint32_t x) const {
        if (x == 0) return 0;
        return x == alphabet ? kTotal : inner(x);
    }
    inline Interval interval(uint32_t x) const {
        const uint32_t s = start(x);
        return {s, start(x + 1) - s};
    }
    // The symbol whose interval holds t: the guess first, then a search on the side that is left.
    inline uint32_t find(uint32_t t, uint32_t guess, Interval* found) const {
        uint32_t low = 0, high = alphabet, low_start = 0, high_start = kTotal;
        const uint32_t here = start(guess), next = start(guess + 1);
        if (t < here) {
            high = guess, high_start = here;
        } else if (t < next) {
            low = guess, low_start = here, high = guess + 1, high_start = next;
        } else {
            low = guess + 1, low_start = next;
        }
        // Three inner points at a time: their dot products overlap, where bisection would wait for each.
        while (high - low > 1) {
            const uint32_t n = high - low;
            const uint32_t at[3] = {low + n / 4, low + n / 2, low + n * 3 / 4};
            const uint32_t starts[3] = {inner(at[0]), inner(at[1]), inner(at[2])};
            for (int i = 0; i < 3; ++i) {
                const bool below = starts[i] <= t;
                low = below ? at[i] : low;
                low_start = below ? starts[i] : low_start;
            }
            for (int i = 2; i >= 0; --i) {
                const bool above = starts[i] > t;
                high = above ? at[i] : high;
                high_start = above ? starts[i] : high_start;
            }
        }
        *found = {low_start, high_start - low_start};
        return low;
    }
};

// What is done with a variable's tables at each coded sample, and at each missing one. Only decoding writes
// samples.
struct CollectIntervals {
    static constexpr bool decodes = false;
    uint32_t* out;
    size_t coded = 0;
    inline void begin(const Node&) {}
    inline void sample(const Cumulative& c, uint16_t* x) {
        const Interval i = c.interval(*x);
        out[2 * coded] = i.start;
        out[2 * coded + 1] = i.size;
        ++coded;
    }
    inline void skip(uint16_t*) {}
};

struct DecodeSamples {
    static constexpr bool decodes = true;
    AnsDecoder coder;
    uint32_t guess = 0;
    int32_t votes = 0;
    inline void begin(const Node&) { guess = 0, votes = 0; }
    inline void sample(const Cumulative& c, uint16_t* x) {
        Interval i;
        const uint32_t symbol = c.find(coder.target(), guess, &i);
        coder.consume(i);
        *x = uint16_t(symbol);
        // majority vote: the guess settles on a value that more than half of the group has at this variable
        if (symbol == guess) {
            ++votes;
        } else if (votes-- <= 0) {
            guess = symbol;
            votes = 1;
        }
    }
    inline void skip(uint16_t* x) { *x = 0; }
};

struct CollectTables {
    static constexpr bool decodes = false;
    uint32_t* out;
    size_t stride, coded = 0;
    inline void begin(const Node&) {}
    inline void sample(const Cumulative& c, uint16_t*) {
        uint32_t* row = out + stride * coded++;
        for (size_t x = 0; x < stride; ++x) row[x] = x < c.alphabet ? c.start(uint32_t(x)) : kTotal;
    }
    inline void skip(uint16_t*) {}
};

}  // namespace
