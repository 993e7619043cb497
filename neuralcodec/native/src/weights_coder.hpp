// Coding of weights: the stream of a block, and the search for the parameters of a tensor's model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "weights_model.hpp"

namespace neuralcodec {

// Part of a tensor in a block: rows of its geometry, `count` elements.
struct Segment {
    const TensorModel* model;
    Geometry geometry;  // its count is the segment's
};

// Collects the symbols of a block in decoding order.
class BlockEncoder {
  public:
    explicit BlockEncoder(const WeightTables& tables) : tables_(tables) {}
    // `levels` are less the centre.
    void levels(const Segment& s, const int32_t* levels);
    void floats(const Segment& s, const uint8_t* values, const FloatFormat& format);
    std::vector<uint8_t> finish();

    struct Symbol {
        uint32_t start, size;
    };

  private:
    const WeightTables& tables_;
    std::vector<Symbol> symbols_;
    std::vector<int32_t> scratch_;
};

class BlockDecoder {
  public:
    // Throws std::invalid_argument for bytes that no encoder writes.
    BlockDecoder(const WeightTables& tables, const uint8_t* data, size_t size);
    // False if the stream is corrupt.
    bool levels(const Segment& s, int32_t* levels);
    bool floats(const Segment& s, uint8_t* values, const FloatFormat& format);
    bool finish() const { return state_ == 0 && words_ == 0; }
    // Bits that are left.
    uint64_t bits() const { return 32 * words_ + (state_ ? 64 - uint64_t(__builtin_clzll(state_)) : 0); }

  private:
    const WeightTables& tables_;
    uint64_t state_ = 0;
    const uint8_t* data_;
    size_t words_ = 0;
    std::vector<int32_t> scratch_;
};

// A value's bits taken apart: the cell of 2^exponent that it lies in, and where in the cell.
struct FloatCell {
    int64_t level;
    bool plain;  // infinite, NaN or too large: coded by its bits
};
FloatCell float_cell(uint64_t bits, const FloatFormat& f, int exponent);

// weights_fit.cpp. Finds prediction, scales and shape for the levels (less m->centre) of the first rows.
void fit_model(const WeightTables& tables, const Geometry& g, const int32_t* levels, TensorModel* m);

// Bits of all levels under a model.
double model_bits(const WeightTables& tables, const TensorModel& m, const Geometry& g, const int32_t* levels);

inline uint64_t load_bits(const uint8_t* p, int bytes) {
    uint64_t v = 0;
    for (int i = 0; i < bytes; ++i) v |= uint64_t(p[i]) << (8 * i);
    return v;
}
inline void store_bits(uint8_t* p, uint64_t v, int bytes) {
    for (int i = 0; i < bytes; ++i) p[i] = uint8_t(v >> (8 * i));
}

}  // namespace neuralcodec
