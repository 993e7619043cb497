// Quantisation of reals to levels: scalar, or dependent by the Viterbi algorithm (docs/format.md, 9.5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "weights_model.hpp"

namespace neuralcodec {

// Rates by magnitude of a level, the last one for all beyond, times the price of a bit in squared levels.
constexpr int kRates = 64;

struct Quantiser {
    Lattice lattice;
    int trellis;         // log2 of the number of states
    double inverse;      // levels in a unit of the values
    double centre;       // levels
    const float* rates;  // kRates entries, or null: the nearest levels
};

struct TrellisKernels {
    // Levels, less the centre, of n values; they are at most kMaxLevel where the values are.
    void (*quantise)(const Quantiser&, const float* values, size_t n, int32_t* levels);
};

extern const TrellisKernels trellis_scalar;
extern const TrellisKernels trellis_avx2;
extern const TrellisKernels trellis_avx512;

const TrellisKernels& trellis_kernels(const std::string& forced);

}  // namespace neuralcodec
