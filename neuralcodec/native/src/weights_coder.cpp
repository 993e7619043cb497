#include "weights_coder.hpp"

#include <stdexcept>

#include "ans.hpp"
#include "weights_walk.hpp"

namespace neuralcodec {
namespace {

constexpr int kPieceBits = 12;
constexpr int kLengthBits = 6;
constexpr uint64_t kPlainFloat = 63;  // in the place of a length: the value's own bits follow

inline int bit_length(uint64_t x) {
    return x ? 64 - __builtin_clzll(x) : 0;
}

struct Sink {
    std::vector<BlockEncoder::Symbol>* out;
    inline void put(uint32_t start, uint32_t size) { out->push_back({start, size}); }
    inline void bits(uint64_t v, int count) {
        for (; count > 0; count -= kPieceBits, v >>= kPieceBits) {
            const int b = count < kPieceBits ? count : kPieceBits;
            put(uint32_t(v & ((1u << b) - 1)) << (kPrecision - b), 1u << (kPrecision - b));
        }
    }
    // Whether something of probability p / 2^24 is so.
    inline void flag(bool is, uint32_t p) { put(is ? 0 : p, is ? p : kTotal - p); }
    inline void symbol(const Cells& c, int h) {
        const uint32_t start = c.start(h);
        put(start, c.start(h + 1) - start);
    }
    inline void index(const Cells& c, int64_t k) {
        const int64_t r = k - c.centre, h = r >> c.plain;
        if (h > -kHalf && h < kHalf - 1) {
            symbol(c, int(h));
            if (c.plain) bits(uint64_t(r) & ((uint64_t(1) << c.plain) - 1), c.plain);
            return;
        }
        const int end = h < 0 ? -kHalf : kHalf - 1;
        const int64_t least = int64_t(kHalf - 1) << c.plain;
        const uint64_t beyond = uint64_t(h < 0 ? -least - 1 - r : r - least);
        const int length = bit_length(beyond);
        symbol(c, end);
        bits(uint64_t(length), kLengthBits);
        if (length > 1) bits(beyond & ((uint64_t(1) << (length - 1)) - 1), length - 1);
    }
};

struct Source {
    AnsDecoder coder;
    const float* quantile;
    const WeightTables* tables;

    inline uint64_t bits(int count) {
        uint64_t v = 0;
        for (int done = 0; done < count; done += kPieceBits) {
            const int b = count - done < kPieceBits ? count - done : kPieceBits;
            const uint32_t piece = coder.target() >> (kPrecision - b);
            coder.consume({piece << (kPrecision - b), 1u << (kPrecision - b)});
            v |= uint64_t(piece) << done;
        }
        return v;
    }
    inline bool flag(uint32_t p) {
        const bool is = coder.target() < p;
        coder.consume(is ? Interval{0, p} : Interval{p, kTotal - p});
        return is;
    }
    // The symbol that the target lies in; the guess only tells where to look first.
    inline int symbol(const Cells& c) {
        const uint32_t t = coder.target();
        const float* q = quantile + (t >> 14);
        const float z = q[0] + (q[1] - q[0]) * (float(t & 16383) * (1.0f / 16384));
        float k = z * tables->scale(c.l) + float(c.mean - c.lattice_origin()) * (1.0f / 65536);
        if (c.lattice == Lattice::odd || c.lattice == Lattice::zero) k *= 0.5f;
        k -= float(c.centre);
        k /= float(int64_t(1) << c.plain);
        int h = k < -kHalf ? -kHalf : k > kHalf - 1 ? kHalf - 1 : int(k + kHalf) - kHalf;
        int low = -kHalf, high = kHalf;  // start(low) <= t < start(high)
        uint32_t start = c.start(h), next = c.start(h + 1);
        for (int tries = 0; t < start || t >= next; ++tries) {
            if (t < start) {
                high = h, next = start;
                h = tries < 3 ? h - 1 : low + (high - low) / 2;
                start = c.start(h);
                if (tries >= 3) next = c.start(h + 1);
            } else {
                low = h + 1, start = next;
                h = tries < 3 ? h + 1 : low + (high - low) / 2;
                next = c.start(h + 1);
                if (tries >= 3) start = c.start(h);
            }
        }
        coder.consume({start, next - start});
        return h;
    }
    // Returns false where a plain value stands instead of an index, or for an index out of range.
    inline bool index(const Cells& c, int64_t* k, bool* plain) {
        const int h = symbol(c);
        int64_t r;
        if (h > -kHalf && h < kHalf - 1) {
            r = int64_t(h) * (int64_t(1) << c.plain);
            if (c.plain) r += int64_t(bits(c.plain));
        } else {
            const int length = int(bits(kLengthBits));
            if (length == int(kPlainFloat)) {
                *plain = true;
                return false;
            }
            if (length > 40) return false;
            uint64_t beyond = length > 1 ? bits(length - 1) : 0;
            if (length) beyond |= uint64_t(1) << (length - 1);
            const int64_t least = int64_t(kHalf - 1) << c.plain;
            r = h < 0 ? -least - 1 - int64_t(beyond) : least + int64_t(beyond);
        }
        *k = c.centre + r;
        return *k >= -2 * kMaxLevel && *k <= 2 * kMaxLevel;
    }
};

struct LevelsOut {
    Sink sink;
    const int32_t* levels;
    Lattice lattice;
    int32_t zero_level;
    inline bool bit(bool value, uint32_t p) { return sink.flag(value, p), value; }
    inline uint64_t raw(uint64_t value, int count) { return sink.bits(value, count), value; }
    inline bool is_zero(uint64_t i) const { return levels[i] == zero_level; }
    inline int64_t wanted(uint64_t i, Lattice of, int odd) const { return index_of(levels[i], of, odd); }
    inline void zero(uint64_t) {}
    inline bool operator()(uint64_t i, const Cells& c, int64_t* index) {
        *index = index_of(levels[i], lattice, c.odd);
        sink.index(c, *index);
        return true;
    }
};

struct LevelsIn {
    Source source;
    inline bool bit(bool, uint32_t p) { return source.flag(p); }
    inline uint64_t raw(uint64_t, int count) { return source.bits(count); }
    inline bool is_zero(uint64_t) const { return false; }
    inline int64_t wanted(uint64_t, Lattice, int) const { return 0; }
    inline void zero(uint64_t) {}
    inline bool operator()(uint64_t, const Cells& c, int64_t* index) {
        bool plain = false;
        return source.index(c, index, &plain);
    }
};

// What is left of a value below its cell.
struct Rest {
    const TensorModel& m;
    const FloatFormat& f;

    int top_exponent() const { return m.exponent + f.bias(); }  // biased, of a cell's width
    static int64_t magnitude(int64_t level) { return level < 0 ? -1 - level : level; }

    void write(Sink& sink, int64_t level, uint64_t bits) const {
        const uint64_t mantissa = bits & ((uint64_t(1) << f.mantissa) - 1);
        const uint64_t size = bits & ((uint64_t(1) << (f.width - 1)) - 1);
        const int64_t magnitude = Rest::magnitude(level);
        if (magnitude) {
            const int known = bit_length(uint64_t(magnitude)) - 1, rest = f.mantissa - m.dropped - known;
            if (rest > 0) sink.bits(mantissa >> m.dropped & ((uint64_t(1) << rest) - 1), rest);
            return;
        }
        if (m.zeros == 4096) return;
        if (m.zeros) {
            sink.flag(!size, m.zeros << 12);
            if (!size) return;
        }
        const int exponent = int(size >> f.mantissa);
        for (int e = top_exponent() - 1; e > 0; --e) {  // each octave below holds half of what is left
            sink.bits(exponent != e, 1);
            if (exponent == e) break;
        }
        sink.bits(mantissa >> m.dropped, f.mantissa - m.dropped);
    }

    bool read(Source& source, int64_t level, uint64_t* bits) const {
        const int64_t magnitude = Rest::magnitude(level);
        uint64_t size = 0;
        if (magnitude) {
            const int known = bit_length(uint64_t(magnitude)) - 1, rest = f.mantissa - m.dropped - known;
            const int64_t exponent = top_exponent() + known;
            if (exponent >= int64_t(f.infinity() >> f.mantissa)) return false;
            uint64_t mantissa = uint64_t(magnitude) ^ (uint64_t(1) << known);
            if (rest > 0) {
                mantissa = (mantissa << rest | source.bits(rest)) << m.dropped;
            } else {
                if (mantissa & ((uint64_t(1) << -rest) - 1)) return false;  // no value lies in this cell
                mantissa = mantissa >> -rest << m.dropped;
            }
            size = uint64_t(exponent) << f.mantissa | mantissa;
        } else if (m.zeros < 4096) {
            if (!m.zeros || !source.flag(m.zeros << 12)) {
                int e = top_exponent() - 1;
                while (e > 0 && source.bits(1)) --e;
                if (e < 0) e = 0;
                size = uint64_t(e) << f.mantissa | source.bits(f.mantissa - m.dropped) << m.dropped;
            }
        }
        *bits = size | uint64_t(level < 0) << (f.width - 1);
        return true;
    }
};

struct FloatsOut {
    Sink sink;
    const uint8_t* values;
    Rest rest;
    inline bool bit(bool value, uint32_t p) { return sink.flag(value, p), value; }
    inline uint64_t raw(uint64_t value, int count) { return sink.bits(value, count), value; }
    inline bool is_zero(uint64_t i) const {
        const int bytes = rest.f.width / 8;
        return load_bits(values + i * uint64_t(bytes), bytes) == 0;
    }
    inline int64_t wanted(uint64_t, Lattice, int) const { return 0; }
    inline void zero(uint64_t) {}
    inline bool operator()(uint64_t i, const Cells& c, int64_t* index) {
        const int bytes = rest.f.width / 8;
        const uint64_t bits = load_bits(values + i * uint64_t(bytes), bytes);
        const FloatCell cell = float_cell(bits, rest.f, rest.m.exponent);
        if (cell.plain) {
            *index = c.centre < -kMaxLevel ? -kMaxLevel : c.centre > kMaxLevel ? kMaxLevel : c.centre;
            sink.symbol(c, kHalf - 1);
            sink.bits(kPlainFloat, kLengthBits);
            sink.bits(bits, rest.f.width);
            return true;
        }
        *index = cell.level - rest.m.centre;
        sink.index(c, *index);
        rest.write(sink, cell.level, bits);
        return true;
    }
};

struct FloatsIn {
    Source source;
    uint8_t* values;
    Rest rest;
    inline bool bit(bool, uint32_t p) { return source.flag(p); }
    inline uint64_t raw(uint64_t, int count) { return source.bits(count); }
    inline bool is_zero(uint64_t) const { return false; }
    inline int64_t wanted(uint64_t, Lattice, int) const { return 0; }
    inline void zero(uint64_t i) {
        const int bytes = rest.f.width / 8;
        store_bits(values + i * uint64_t(bytes), 0, bytes);
    }
    inline bool operator()(uint64_t i, const Cells& c, int64_t* index) {
        const int bytes = rest.f.width / 8;
        uint64_t bits = 0;
        bool plain = false;
        if (source.index(c, index, &plain)) {
            if (!rest.read(source, *index + rest.m.centre, &bits)) return false;
        } else if (plain) {
            *index = c.centre < -kMaxLevel ? -kMaxLevel : c.centre > kMaxLevel ? kMaxLevel : c.centre;
            bits = source.bits(rest.f.width);
        } else {
            return false;
        }
        store_bits(values + i * uint64_t(bytes), bits, bytes);
        return true;
    }
};

}  // namespace

FloatCell float_cell(uint64_t bits, const FloatFormat& f, int exponent) {
    const uint64_t size = bits & ((uint64_t(1) << (f.width - 1)) - 1);
    const bool negative = bits >> (f.width - 1) & 1;
    const int e = int(size >> f.mantissa), octave = e - (exponent + f.bias());
    if (size >= f.infinity() || octave > 27) return {0, true};
    int64_t magnitude = 0;
    if (octave >= 0) {
        const uint64_t full = (size & ((uint64_t(1) << f.mantissa) - 1)) | uint64_t(1) << f.mantissa;
        magnitude =
            int64_t(octave <= f.mantissa ? full >> (f.mantissa - octave) : full << (octave - f.mantissa));
    }
    return {negative ? -1 - magnitude : magnitude, false};
}

void BlockEncoder::levels(const Segment& s, const int32_t* levels) {
    scratch_.resize(s.geometry.count);
    LevelsOut visit{{&symbols_}, levels, s.model->lattice, int32_t(-s.model->centre)};
    walk(*s.model, tables_, s.geometry, s.geometry.count, scratch_.data(), visit);
}

void BlockEncoder::floats(const Segment& s, const uint8_t* values, const FloatFormat& format) {
    scratch_.resize(s.geometry.count);
    FloatsOut visit{{&symbols_}, values, {*s.model, format}};
    walk(*s.model, tables_, s.geometry, s.geometry.count, scratch_.data(), visit);
}

std::vector<uint8_t> BlockEncoder::finish() {
    std::vector<uint32_t> words(symbols_.size() + 1);
    AnsEncoder coder;
    coder.words = words.data();
    for (size_t i = symbols_.size(); i-- > 0;) coder.encode({symbols_[i].start, symbols_[i].size});
    std::vector<uint8_t> out(4 * coder.count);
    for (size_t i = 0; i < coder.count; ++i) store_bits(out.data() + 4 * i, words[i], 4);
    for (uint64_t s = coder.state; s; s >>= 8) out.push_back(uint8_t(s));
    symbols_.clear();
    return out;
}

BlockDecoder::BlockDecoder(const WeightTables& tables, const uint8_t* data, size_t size) : tables_(tables) {
    AnsDecoder coder;
    if (!coder.open(data, size)) throw std::invalid_argument("the bytes of a coder end with a 0");
    state_ = coder.state, data_ = coder.bytes, words_ = coder.words;
}

bool BlockDecoder::levels(const Segment& s, int32_t* levels) {
    LevelsIn visit{{{state_, data_, words_}, tables_.quantile(s.model->shape), &tables_}};
    const bool whole = walk(*s.model, tables_, s.geometry, s.geometry.count, levels, visit);
    state_ = visit.source.coder.state, words_ = visit.source.coder.words;
    return whole;
}

bool BlockDecoder::floats(const Segment& s, uint8_t* values, const FloatFormat& format) {
    scratch_.resize(s.geometry.count);
    FloatsIn visit{
        {{state_, data_, words_}, tables_.quantile(s.model->shape), &tables_}, values, {*s.model, format}};
    const bool whole = walk(*s.model, tables_, s.geometry, s.geometry.count, scratch_.data(), visit);
    state_ = visit.source.coder.state, words_ = visit.source.coder.words;
    return whole;
}

}  // namespace neuralcodec
