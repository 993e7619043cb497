// The model of one tensor of a weights file (docs/format.md, section 10): parameters, tables, and the walk
// that predicts each level, which encoding, decoding and the search for parameters share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

namespace neuralcodec {

constexpr int kAlphabet = 1024, kHalf = kAlphabet / 2;
constexpr int kOrder = 8;     // taps before this one that a prediction may use
constexpr int kMaxTaps = 64;  // larger kernels are rows without taps
constexpr int kScales = 512;  // scale l stands for 2^((l - 64) / 16) levels
constexpr int kScaleOrigin = 64;
constexpr int kShapes = 33;
constexpr int kTail = 17 * 256;  // entries of a tail table, at steps of 1/256 of the scale
constexpr int kCoefficientBits = 6;
constexpr int64_t kMaxLevel = int64_t(1) << 28;
constexpr int kMaxStates = 256;
constexpr int64_t kStepNumbers = 8192;

enum class Kind : uint8_t { stored = 0, planes = 1, integers = 2, floats = 3, levels = 4 };
enum class Lattice : uint8_t { plain = 0, odd = 1, zero = 2, floor = 3 };

// Rows of `cols` elements, the last one perhaps short; a kernel is `taps` neighbours in a row.
struct Geometry {
    uint64_t count;
    uint64_t cols;
    uint32_t taps;
};

struct FloatFormat {
    int width, mantissa;  // bits
    int bias() const { return (1 << (width - mantissa - 2)) - 1; }
    uint64_t infinity() const { return ((uint64_t(1) << (width - mantissa - 1)) - 1) << mantissa; }
};

struct TensorModel {
    Kind kind = Kind::stored;
    Lattice lattice = Lattice::plain;
    int trellis = 0;     // log2 of the states of dependent quantisation
    int64_t step = 0;    // 0: the file's; else its number on the grid, plus a bias (weights_params.cpp)
    int error = 255;     // half decibels of signal to noise, for the report
    int exponent = 0;    // floats: of the cell's width
    int dropped = 0;     // floats: low mantissa bits that are 0 throughout
    uint32_t zeros = 0;  // floats: share of zeros among the values below a cell, of 4,096
    int64_t centre = 0;  // subtracted from every level
    int shape = 0;
    int row = 0, channel = 0, near = 0;  // gains of adaptation, of 16
    int order = 0;
    bool above = false, beside = false;
    bool spike = false;                // whether zeros are coded apart
    bool bins = false;                 // whether magnitudes are coded by flags, one for each size
    std::vector<int> scale;            // one for each tap
    std::vector<int8_t> coefficients;  // tap by tap: neighbours, nearest first; above; beside

    bool adapts() const { return row || channel || near; }
    bool dependent() const { return lattice == Lattice::odd || lattice == Lattice::zero; }
    // Neighbours of tap t that a prediction uses; without taps rows are predicted along themselves.
    int neighbours(uint32_t t, uint32_t taps) const { return taps > 1 && int(t) < order ? int(t) : order; }
    int tap_coefficients(uint32_t t, uint32_t taps) const { return neighbours(t, taps) + above + beside; }
};

// Tables derived from the shipped tails of the Gaussian and the Laplace distribution.
class WeightTables {
  public:
    WeightTables(const uint32_t* gaussian, size_t gaussian_size, const uint32_t* laplace,
                 size_t laplace_size);
    const uint32_t* tail(int shape) const { return tails_.data() + size_t(shape) * (kTail + 2); }
    // Quantile, in scales, of a probability in steps of 1/1,024: where a decoder starts to look.
    const float* quantile(int shape) const { return quantiles_.data() + size_t(shape) * 1025; }
    // log2 of a mean distance over its expectation, in 1/16
    int log_ratio(uint32_t distance) const { return log_ratio_[distance < 4096 ? distance : 4095]; }
    float scale(int l) const { return scales_[l]; }

  private:
    std::vector<uint32_t> tails_;
    std::vector<float> quantiles_;
    std::vector<int16_t> log_ratio_;
    std::vector<float> scales_;
};

// Codes of rate 1/2 (Ungerboeck 1982, for amplitudes), as masks on the last inputs, the newest in bit 0:
// which lattice a state quantises to, and how an index's parity becomes the next input.
struct Trellis {
    uint32_t lattice, parity;
};
constexpr Trellis kTrellis[9] = {{0, 0},    {0, 0},     {01, 02},    {02, 05},    {02, 011},
                                 {04, 022}, {012, 041}, {053, 0116}, {0171, 0246}};

extern const uint32_t kPowers[16], kInverses[16];

// A distance of d 2^-16 levels from the mean, in 2^-24 scales of l, saturated at 32 scales.
inline uint64_t in_scales(uint64_t d, int l) {
    const int octave = (l >> 4) - (kScaleOrigin >> 4);
    if (octave >= 0) {
        d >>= octave;
    } else {
        d = d >> 40 ? uint64_t(1) << 44 : d << -octave;
    }
    if (d >> 21) return uint64_t(32) << 24;
    return d * kInverses[l & 15] >> 23;
}

// Bits of an index that are coded plainly, so that the scale is 16 to 32 symbols where it is more.
inline int plain_bits(int l, Lattice lattice) {
    const int octave =
        (l >> 4) - (kScaleOrigin >> 4) - 4 - (lattice == Lattice::odd || lattice == Lattice::zero);
    return octave > 0 ? octave : 0;
}

// Where the cell of index k begins, in 2^-16 levels.
inline int64_t cell_start(int64_t k, Lattice lattice, int odd) {
    switch (lattice) {
        case Lattice::plain:
            return k * 65536 - 32768;
        case Lattice::floor:
            return k * 65536;
        case Lattice::odd:
            return (2 * k - 1 + odd) * 65536;
        default:
            if (!odd) return (2 * k - 1) * 65536;
            if (k > 1) return (2 * k - 2) * 65536;
            if (k == 1) return 32768;
            return k == 0 ? -32768 : 2 * k * 65536;
    }
}

inline int64_t level_of(int64_t k, Lattice lattice, int odd) {
    if (lattice == Lattice::plain || lattice == Lattice::floor) return k;
    if (!odd) return 2 * k;
    if (lattice == Lattice::odd) return 2 * k + 1;
    return k > 0 ? 2 * k - 1 : k < 0 ? 2 * k + 1 : 0;
}

inline int64_t index_of(int64_t n, Lattice lattice, int odd) {
    if (lattice == Lattice::plain || lattice == Lattice::floor) return n;
    if (!odd) return n / 2;
    if (lattice == Lattice::odd) return (n - 1) / 2 - ((n - 1) % 2 != 0 && n < 1);
    return n > 0 ? (n + 1) / 2 : -((1 - n) / 2);
}

// The index nearest to a mean in 1/64 levels.
inline int64_t centre_index(int64_t mean, Lattice lattice, int odd) {
    switch (lattice) {
        case Lattice::plain:
            return (mean + 32) >> 6;
        case Lattice::floor:
            return mean >> 6;
        case Lattice::odd:
            return odd ? mean >> 7 : (mean + 64) >> 7;
        default:
            if (!odd) return (mean + 64) >> 7;
            return mean >= 0 ? (mean + 64) >> 7 : -((64 - mean) >> 7);
    }
}

// The distribution of one index: symbols are its distance from the centre, less the plain bits.
struct Cells {
    const uint32_t* tail;
    int64_t mean;  // 2^-16 levels
    int64_t centre;
    int l, plain, odd;
    Lattice lattice;

    // Where index 0 begins, about, in 2^-16 levels.
    inline int64_t lattice_origin() const { return cell_start(0, lattice, odd); }

    inline uint32_t start(int symbol) const {
        if (symbol <= -kHalf) return 0;
        if (symbol >= kHalf) return uint32_t(1) << 24;
        const int64_t k = centre + int64_t(symbol) * (int64_t(1) << plain);
        const int64_t d = cell_start(k, lattice, odd) - mean;
        uint64_t z = in_scales(uint64_t(d < 0 ? -d : d), l);
        uint64_t i = z >> 16, f = z & 0xFFFF;
        if (i >= uint64_t(kTail)) i = kTail, f = 0;
        const uint64_t q = (tail[i] * (65536 - f) + tail[i + 1] * f) >> 16;
        const uint64_t below = d < 0 ? q : (uint64_t(1) << 32) - q;
        return uint32_t(below * ((1u << 24) - kAlphabet) >> 32) + uint32_t(symbol + kHalf);
    }
};

// Where a model belongs.
struct ModelPlace {
    Geometry geometry;
    FloatFormat format;  // no mantissa: no float
    bool integer;
};

// weights_params.cpp
std::vector<uint8_t> write_models(const std::vector<TensorModel>& models,
                                  const std::vector<ModelPlace>& places);
// Throws std::invalid_argument for parameters that break a rule.
std::vector<TensorModel> read_models(const uint8_t* data, size_t size, const std::vector<ModelPlace>& places);

}  // namespace neuralcodec
