// The rANS coder of docs/format.md, section 4: 64-bit state, 32-bit words, 24-bit probabilities; its words
// are those of constriction's default AnsCoder.
#pragma once

#include <cstddef>
#include <cstdint>

namespace {

constexpr int kPrecision = 24;
constexpr uint32_t kTotal = 1u << kPrecision;

struct Interval {
    uint32_t start, size;
};

// Encodes into a caller's buffer; one word per symbol is always enough.
struct AnsEncoder {
    uint64_t state = 0;
    uint32_t* words;
    size_t count = 0;

    inline void encode(Interval s) {
        if (s.size == kTotal) return;  // p = 2^24 leaves the state as it is (and p * 2^40 would overflow)
        if (state >= uint64_t(s.size) << 40) {
            words[count++] = uint32_t(state);
            state >>= 32;
        }
        // state < size * 2^40, so the quotient is below 2^40 and the new state below 2^64
        state = (state / s.size << kPrecision) + state % s.size + s.start;
    }
};

struct AnsDecoder {
    uint64_t state = 0;
    const uint8_t* bytes = nullptr;
    size_t words = 0;

    // False if the bytes are not in the canonical form.
    inline bool open(const uint8_t* data, size_t length) {
        if (length && data[length - 1] == 0) return false;
        const size_t head = length <= 8 ? length : (length - 1) % 4 + 5;
        bytes = data;
        words = (length - head) / 4;
        state = 0;
        for (size_t i = 0; i < head; ++i) state |= uint64_t(data[length - head + i]) << (8 * i);
        return true;
    }
    inline uint32_t target() const { return uint32_t(state) & (kTotal - 1); }
    inline void consume(Interval s) {
        state = (state >> kPrecision) * s.size + target() - s.start;
        if (state < (uint64_t(1) << 32) && words) {
            const uint8_t* w = bytes + 4 * --words;
            state = state << 32 |
                    (uint32_t(w[0]) | uint32_t(w[1]) << 8 | uint32_t(w[2]) << 16 | uint32_t(w[3]) << 24);
        }
    }
    inline bool empty() const { return state == 0 && words == 0; }
};

}  // namespace
