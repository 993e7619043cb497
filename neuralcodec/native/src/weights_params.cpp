// Tables and parameters of tensors' models: docs/format.md, section 9.

#include <cmath>
#include <stdexcept>
#include <string>

#include "weights_model.hpp"

namespace neuralcodec {

// round(2^31 2^(i / 16)) and round(2^31 2^(-i / 16))
const uint32_t kPowers[16] = {2147483648u, 2242560872u, 2341847524u, 2445529972u, 2553802834u, 2666869345u,
                              2784941738u, 2908241642u, 3037000500u, 3171459999u, 3311872529u, 3458501653u,
                              3611622603u, 3771522796u, 3938502376u, 4112874773u};
const uint32_t kInverses[16] = {2147483648u, 2056437387u, 1969251188u, 1885761398u, 1805811301u, 1729250827u,
                                1655936265u, 1585730000u, 1518500250u, 1454120821u, 1392470869u, 1333434672u,
                                1276901417u, 1222764986u, 1170923762u, 1121280436u};

namespace {

constexpr uint64_t kHalfOne = uint64_t(1) << 31;  // a tail at 0: one half, in 2^-32
constexpr uint64_t kUniformSlope = 4843165;       // 2^31 / (256 sqrt 3), rounded

// The tail at z = step / 256 (256 / unit) of a distribution given at steps of 1/256.
uint64_t scaled_tail(const uint32_t* table, size_t size, uint64_t position) {
    const uint64_t i = position >> 8, f = position & 255;
    if (i + 1 >= size) return 0;
    return (table[i] * (256 - f) + table[i + 1] * f) >> 8;
}

// 16 times log2 of j, rounded down.
int log2_16(uint32_t j) {
    const int octave = 31 - __builtin_clz(j);
    const uint64_t mantissa = uint64_t(j) << (31 - octave);
    int l = 0;
    while (l < 15 && mantissa >= kPowers[l + 1]) ++l;
    return 16 * octave + l;
}

[[noreturn]] void refuse(const std::string& what) {
    throw std::invalid_argument(what);
}

struct Writer {
    std::vector<uint8_t>* out;
    void varint(uint64_t v) {
        for (; v >= 128; v >>= 7) out->push_back(uint8_t(v) | 128);
        out->push_back(uint8_t(v));
    }
    void zigzag(int64_t v) { varint(v < 0 ? 2 * uint64_t(-(v + 1)) + 1 : 2 * uint64_t(v)); }
};

struct Parser {
    const uint8_t* data;
    size_t size, at;
    uint8_t byte() {
        if (at >= size) refuse("the parameters end early");
        return data[at++];
    }
    uint64_t varint(uint64_t most, const char* what) {
        uint64_t v = 0;
        for (int shift = 0; shift < 63; shift += 7) {
            const uint8_t b = byte();
            v |= uint64_t(b & 127) << shift;
            if (b < 128) {
                if (b == 0 && shift) refuse("a varint is not in its shortest form");
                if (v > most) refuse(std::string(what) + " is " + std::to_string(v));
                return v;
            }
        }
        refuse("a varint is longer than 9 bytes");
    }
    int64_t zigzag(int64_t most, const char* what) {
        const uint64_t v = varint(2 * uint64_t(most), what);
        return v & 1 ? -int64_t(v >> 1) - 1 : int64_t(v >> 1);
    }
};

}  // namespace

WeightTables::WeightTables(const uint32_t* gaussian, size_t gaussian_size, const uint32_t* laplace,
                           size_t laplace_size)
    : tails_(size_t(kShapes) * (kTail + 2)),
      quantiles_(size_t(kShapes) * 1025),
      log_ratio_(4096),
      scales_(kScales) {
    for (int shape = 0; shape < kShapes; ++shape) {
        uint32_t* tail = tails_.data() + size_t(shape) * (kTail + 2);
        for (uint64_t i = 0; i < uint64_t(kTail); ++i) {
            const uint64_t g = scaled_tail(gaussian, gaussian_size, i << 8);
            const uint64_t narrow = scaled_tail(laplace, laplace_size, i * 362);
            const uint64_t wide = scaled_tail(laplace, laplace_size, i * 64);
            const uint64_t flat = i * kUniformSlope < kHalfOne ? kHalfOne - i * kUniformSlope : 0;
            uint64_t q;
            if (shape <= 16) {
                const uint64_t s = uint64_t(shape);
                q = (g * (16 - s) + narrow * s) >> 4;
            } else if (shape <= 24) {
                const uint64_t s = uint64_t(shape) - 16;
                q = (g * (8 - s) + flat * s) >> 3;
            } else {
                const uint64_t s = uint64_t(shape) - 24;
                q = (g * (16 - s) + wide * s) >> 4;
            }
            tail[i] = uint32_t(q);
        }
        tail[kTail] = tail[kTail + 1] = 0;
        float* quantile = quantiles_.data() + size_t(shape) * 1025;
        int i = kTail - 1;
        for (int p = 0; p <= 512; ++p) {  // the tail descends: the place of p / 1024 moves towards 0
            const uint64_t wanted = uint64_t(p) << 22;
            while (i > 0 && tail[i] < wanted) --i;
            const float width = float(tail[i]) - float(tail[i + 1]);
            const float part = width > 0 ? (float(tail[i]) - float(wanted)) / width : 0;
            const float z = (float(i) + (part < 0 ? 0 : part > 1 ? 1 : part)) / 256;
            quantile[p] = -z;
            quantile[1024 - p] = z;
        }
    }
    for (uint32_t j = 0; j < 4096; ++j) log_ratio_[j] = int16_t(log2_16(2 * j + 1) - 170);
    for (int l = 0; l < kScales; ++l)
        scales_[size_t(l)] = float(std::ldexp(double(kPowers[l & 15]), (l >> 4) - kScaleOrigin / 16 - 31));
}

void write_model(const TensorModel& m, const Geometry& g, std::vector<uint8_t>* out) {
    Writer w{out};
    out->push_back(uint8_t(int(m.kind) | int(m.lattice) << 3));
    if (m.kind == Kind::stored || m.kind == Kind::planes) return;
    if (m.kind == Kind::levels) {
        out->push_back(uint8_t(m.trellis));
        w.varint(uint64_t(m.step));
        out->push_back(uint8_t(m.error));
    }
    if (m.kind == Kind::floats) {
        w.zigzag(m.exponent);
        out->push_back(uint8_t(m.dropped));
        w.varint(m.zeros);
    }
    w.zigzag(m.centre);
    out->push_back(uint8_t(m.shape));
    w.varint(uint64_t(m.row | m.channel << 4 | m.near << 8));
    out->push_back(uint8_t(m.order | m.above << 4 | m.beside << 5));
    w.varint(uint64_t(m.scale[0]));
    for (uint32_t t = 1; t < g.taps; ++t) w.zigzag(m.scale[t] - m.scale[t - 1]);
    for (const int8_t c : m.coefficients) out->push_back(uint8_t(c));
}

TensorModel read_model(const uint8_t* data, size_t size, size_t* at, const Geometry& g,
                       const FloatFormat& f) {
    Parser p{data, size, *at};
    TensorModel m;
    const uint8_t first = p.byte();
    if (first >> 5 || (first & 7) > int(Kind::levels))
        refuse("the kind of coding is " + std::to_string(first));
    m.kind = Kind(first & 7);
    m.lattice = Lattice(first >> 3);
    const bool coded = m.kind != Kind::stored && m.kind != Kind::planes;
    const bool fits = m.kind == Kind::levels   ? m.lattice != Lattice::floor
                      : m.kind == Kind::floats ? m.lattice == Lattice::floor
                                               : m.lattice == Lattice::plain;
    if (!fits) refuse("the kind of coding is " + std::to_string(first));
    if ((m.kind == Kind::levels || m.kind == Kind::floats) != (f.mantissa != 0) && coded)
        refuse("the kind of coding does not fit the dtype");
    if (coded) {
        if (m.kind == Kind::levels) {
            m.trellis = p.byte();
            const bool dependent = m.lattice != Lattice::plain;
            if (dependent ? m.trellis < 2 || m.trellis > 8 : m.trellis != 0)
                refuse("a trellis of 2^" + std::to_string(m.trellis) + " states");
            m.step = int64_t(p.varint(8192, "the step"));
            m.error = p.byte();
        }
        if (m.kind == Kind::floats) {
            m.exponent = int(p.zigzag(2048, "the exponent of the cells"));
            m.dropped = p.byte();
            m.zeros = uint32_t(p.varint(4096, "the share of zeros"));
            if (m.exponent < 1 - f.bias() || m.exponent > f.bias())
                refuse("cells of 2^" + std::to_string(m.exponent));
            if (m.dropped > f.mantissa) refuse(std::to_string(m.dropped) + " bits are dropped");
        }
        m.centre = p.zigzag(kMaxLevel, "the centre");
        m.shape = p.byte();
        if (m.shape >= kShapes) refuse("the shape is " + std::to_string(m.shape));
        const uint64_t gains = p.varint(4095, "the gains");
        m.row = int(gains & 15), m.channel = int(gains >> 4 & 15), m.near = int(gains >> 8);
        const uint8_t order = p.byte();
        m.order = order & 15, m.above = order >> 4 & 1, m.beside = order >> 5 & 1;
        if (order >> 6 || m.order > kOrder || (m.beside && g.taps == 1))
            refuse("the order of prediction is " + std::to_string(order));
        int64_t l = int64_t(p.varint(kScales - 1, "a scale"));
        m.scale.push_back(int(l));
        for (uint32_t t = 1; t < g.taps; ++t) {
            l += p.zigzag(kScales, "a scale");
            if (l < 0 || l >= kScales) refuse("a scale is " + std::to_string(l));
            m.scale.push_back(int(l));
        }
        for (uint32_t t = 0; t < g.taps; ++t)
            for (int c = m.tap_coefficients(t, g.taps); c > 0; --c)
                m.coefficients.push_back(int8_t(p.byte()));
    }
    *at = p.at;
    return m;
}

}  // namespace neuralcodec
