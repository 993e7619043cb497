// Tables and parameters of tensors' models: docs/format.md, section 10.

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

// The two directions of a parameter: its limits are checked where it is read.
struct Writer {
    static constexpr bool reads = false;
    std::vector<uint8_t>* out;
    template <class T>
    void byte(T& v, int64_t, int64_t, const char*) {
        out->push_back(uint8_t(v));
    }
    template <class T>
    void varint(T& value, uint64_t, const char*) {
        uint64_t v = uint64_t(value);
        for (; v >= 128; v >>= 7) out->push_back(uint8_t(v) | 128);
        out->push_back(uint8_t(v));
    }
    template <class T>
    void zigzag(T& value, int64_t, const char* what) {
        const int64_t v = value;
        uint64_t folded = v < 0 ? 2 * uint64_t(-(v + 1)) + 1 : 2 * uint64_t(v);
        varint(folded, 0, what);
    }
};

struct Parser {
    static constexpr bool reads = true;
    const uint8_t* data;
    size_t size, at = 0;
    uint8_t next() {
        if (at >= size) refuse("the parameters end early");
        return data[at++];
    }
    template <class T>
    void byte(T& v, int64_t least, int64_t most, const char* what) {
        const int64_t found = next();
        if (found < least || found > most) refuse(std::string(what) + " is " + std::to_string(found));
        v = T(found);
    }
    template <class T>
    void varint(T& value, uint64_t most, const char* what) {
        uint64_t v = 0;
        for (int shift = 0;; shift += 7) {
            if (shift == 63) refuse("a varint is longer than 9 bytes");
            const uint8_t b = next();
            v |= uint64_t(b & 127) << shift;
            if (b >= 128) continue;
            if (b == 0 && shift) refuse("a varint is not in its shortest form");
            break;
        }
        if (v > most) refuse(std::string(what) + " is " + std::to_string(v));
        value = T(v);
    }
    template <class T>
    void zigzag(T& value, int64_t most, const char* what) {
        uint64_t v = 0;
        varint(v, 2 * uint64_t(most), what);
        value = T(v & 1 ? -int64_t(v >> 1) - 1 : int64_t(v >> 1));
    }
};

bool is_coded(const TensorModel& m) {
    return m.kind != Kind::stored && m.kind != Kind::planes;
}

void check_kind(const TensorModel& m, const ModelPlace& place) {
    const bool fits = m.kind == Kind::levels        ? m.lattice != Lattice::floor && place.format.mantissa
                      : m.kind == Kind::floats      ? m.lattice == Lattice::floor && place.format.mantissa
                      : m.lattice != Lattice::plain ? false
                      : m.kind == Kind::integers    ? place.integer
                                                    : true;
    if (!fits || (is_coded(m) && !place.geometry.count)) refuse("the kind of coding does not fit the tensor");
}

// Goes through the parameters of all tensors, field by field: like stands by like, which deflates better.
template <class Io>
void exchange(Io& io, std::vector<TensorModel>& models, const std::vector<ModelPlace>& places) {
    const size_t n = models.size();
    auto each = [&](auto wanted, auto field) {
        for (size_t i = 0; i < n; ++i)
            if (wanted(models[i])) field(models[i], places[i]);
    };
    auto any = [](const TensorModel&) { return true; };
    auto levels = [](const TensorModel& m) { return m.kind == Kind::levels; };
    auto floats = [](const TensorModel& m) { return m.kind == Kind::floats; };
    auto modelled = [](const TensorModel& m) { return is_coded(m) && !m.bins; };
    each(any, [&](TensorModel& m, const ModelPlace& place) {
        int code = int(m.kind) | int(m.lattice) << 3;
        io.byte(code, 0, 31, "the kind of coding");
        if ((code & 7) > int(Kind::levels)) refuse("the kind of coding is " + std::to_string(code));
        m.kind = Kind(code & 7), m.lattice = Lattice(code >> 3);
        check_kind(m, place);
    });
    each(levels, [&](TensorModel& m, const ModelPlace&) {
        const bool dependent = m.lattice != Lattice::plain;
        io.byte(m.trellis, dependent ? 2 : 0, dependent ? 8 : 0, "the trellis");
    });
    each(levels,
         [&](TensorModel& m, const ModelPlace&) { io.varint(m.step, uint64_t(kStepNumbers), "the step"); });
    each(levels, [&](TensorModel& m, const ModelPlace&) { io.byte(m.error, 0, 255, "the error"); });
    each(floats, [&](TensorModel& m, const ModelPlace& place) {
        io.zigzag(m.exponent, 2048, "the exponent of the cells");
        io.byte(m.dropped, 0, place.format.mantissa, "the number of dropped bits");
        io.varint(m.zeros, 4096, "the share of zeros");
        if (m.exponent < 1 - place.format.bias() || m.exponent > place.format.bias())
            refuse("the exponent of the cells is " + std::to_string(m.exponent));
    });
    each(is_coded, [&](TensorModel& m, const ModelPlace&) { io.zigzag(m.centre, kMaxLevel, "the centre"); });
    each(is_coded, [&](TensorModel& m, const ModelPlace& place) {
        int order = m.order | m.above << 4 | m.beside << 5 | m.spike << 6 | m.bins << 7;
        io.byte(order, 0, 255, "the order of prediction");
        m.order = order & 15, m.above = order >> 4 & 1, m.beside = order >> 5 & 1;
        m.spike = order >> 6 & 1, m.bins = order >> 7;
        const bool apart = m.spike || m.bins;
        if (m.order > kOrder || (m.beside && place.geometry.taps == 1) || (m.bins && order != 128) ||
            (m.bins && m.lattice == Lattice::floor) ||
            (apart && (m.lattice == Lattice::odd || (m.dependent() && m.centre))))
            refuse("the order of prediction is " + std::to_string(order));
        if (Io::reads) m.scale.resize(place.geometry.taps);
    });
    each(modelled, [&](TensorModel& m, const ModelPlace&) { io.byte(m.shape, 0, kShapes - 1, "the shape"); });
    each(modelled, [&](TensorModel& m, const ModelPlace&) {
        int gains = m.row | m.channel << 4 | m.near << 8;
        io.varint(gains, 4095, "the gains");
        m.row = gains & 15, m.channel = gains >> 4 & 15, m.near = gains >> 8;
    });
    each(modelled, [&](TensorModel& m, const ModelPlace&) { io.varint(m.scale[0], kScales - 1, "a scale"); });
    each(modelled, [&](TensorModel& m, const ModelPlace& place) {
        for (uint32_t t = 1; t < place.geometry.taps; ++t) {
            int more = m.scale[t] - m.scale[t - 1];
            io.zigzag(more, kScales, "a scale");
            m.scale[t] = m.scale[t - 1] + more;
            if (m.scale[t] < 0 || m.scale[t] >= kScales) refuse("a scale is " + std::to_string(m.scale[t]));
        }
    });
    each(modelled, [&](TensorModel& m, const ModelPlace& place) {
        int count = 0;
        for (uint32_t t = 0; t < place.geometry.taps; ++t)
            count += m.tap_coefficients(t, place.geometry.taps);
        m.coefficients.resize(size_t(count));
        for (int8_t& c : m.coefficients) io.byte(c, 0, 255, "a coefficient");
    });
}

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

std::vector<uint8_t> write_models(const std::vector<TensorModel>& models,
                                  const std::vector<ModelPlace>& places) {
    std::vector<uint8_t> out;
    std::vector<TensorModel> copies = models;
    Writer writer{&out};
    exchange(writer, copies, places);
    return out;
}

std::vector<TensorModel> read_models(const uint8_t* data, size_t size,
                                     const std::vector<ModelPlace>& places) {
    std::vector<TensorModel> models(places.size());
    Parser parser{data, size};
    exchange(parser, models, places);
    if (parser.at != size) refuse("the parameters go on behind the last tensor");
    return models;
}

}  // namespace neuralcodec
