// A record of a weights file: tensors whose bytes become parameters, stored bytes and coded blocks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "trellis.hpp"
#include "weights_model.hpp"

namespace neuralcodec {

constexpr uint64_t kBlockElements = 1 << 16;
constexpr uint64_t kPlaneLimit = uint64_t(1) << 27;  // elements of a tensor that is coded by its planes

// Elements of a block of a tensor that has a record of its own.
inline uint64_t block_size(const Geometry& g) {
    return std::max<uint64_t>(1, kBlockElements / g.cols) * g.cols;
}

struct TensorType {
    int width;     // bytes of an element
    int mantissa;  // bits; 0 for what is no binary float
    bool integer;  // a two's complement or unsigned integer
    bool is_signed;
    FloatFormat format() const { return {8 * width, mantissa}; }
};

enum class Aim : uint8_t { lossless = 0, file_step = 1, bounded = 2 };

struct TensorInput {
    TensorType type;
    Geometry geometry;
    const uint8_t* data;
    Aim aim;
    int64_t step = 0;  // with the aim file_step: the number of a step of its own, or 0 for the file's
};

struct RecordSettings {
    double step = 0;            // of the file, in units of the values
    double bound = 0;           // of the error of a bounded tensor, relative to its norm
    int trellis = 3;            // log2 of the states
    double price = 0;           // of a bit, in squared levels, where rates are weighed
    bool only_measure = false;  // quantise, and code nothing
    size_t threads = 1;
    std::string simd;
};

struct TensorReport {
    TensorModel model;
    double power = 0, noise = 0;   // sums of squares of the values and of their errors
    std::vector<uint8_t> decoded;  // where it differs from the input
};

struct EncodedRecord {
    std::vector<uint8_t> parameters, stored;
    std::vector<std::vector<uint8_t>> blocks;
    std::vector<TensorReport> reports;
};

EncodedRecord encode_record(const WeightTables& tables, const std::vector<TensorInput>& tensors,
                            const RecordSettings& settings);

struct RecordParts {
    const uint8_t* parameters;
    size_t parameters_size;
    const uint8_t* stored;
    size_t stored_size;
    std::vector<std::pair<const uint8_t*, size_t>> blocks;
};

struct TensorOutput {
    TensorType type;
    Geometry geometry;
    uint8_t* data;
    TensorModel model;
    uint64_t bits = 0;  // that it takes of the blocks and the stored bytes
};

// Throws std::invalid_argument for parts that break a rule. `step` is the file's.
void decode_record(const WeightTables& tables, const RecordParts& parts, double step, size_t threads,
                   std::vector<TensorOutput>* tensors);

// Parses the parameters alone.
std::vector<TensorModel> models_of(const uint8_t* data, size_t size,
                                   const std::vector<TensorOutput>& tensors);

// The step of a tensor with its own; `number` is TensorModel::step, not 0.
double grid_step(int64_t number);

// round-to-nearest of level times step in the tensor's format
void reconstruct(const int32_t* levels, uint64_t n, int64_t centre, double step, const TensorType& type,
                 uint8_t* out);

}  // namespace neuralcodec
