// Relative entropy coding of diagonal-Gaussian blocks by A* coding (docs/format.md, section 8).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace neuralcodec {

// Entries of the inverse-normal table: 32 octaves of 128 steps, and the end.
constexpr size_t kNormalEntries = 32 * 128 + 1;

// Blocks of a call: job j is block number[j], whose dimensions stand at offset[j] to offset[j + 1].
struct RelativeBlocks {
    const uint32_t* key;     // the two words of the seed, the low one first
    const int32_t* table;    // kNormalEntries normal quantiles in 2^-21, descending
    const uint32_t* number;  // of the jobs' blocks
    const int64_t* offset;
};

// A candidate z of job j scores sum_d [z_d^2 / 2 - (steepness_d (z_d - centre_d))^2] - weight ln T_i, where
// T_i is the i-th arrival of a Poisson process; `peak_d` is no less than the largest value of the d-th
// summand.
struct RelativePosteriors {
    const float *centre, *steepness, *peak;
    float weight;  // from 0 up
};

struct RelativeKernels {
    const char* name;
    // The four words of Philox4x32-10 for each of n counters (rows of 4 words).
    void (*philox)(const uint32_t* key, const uint32_t* counters, uint32_t* words, size_t n);
    // Standard normals of candidate `index` of job j.
    void (*sample)(const RelativeBlocks&, size_t job, uint32_t index, float* out);
    // The best of candidates 0 to count - 1 of job j.
    uint32_t (*select)(const RelativeBlocks&, const RelativePosteriors&, size_t job, uint32_t count);
};

extern const RelativeKernels relative_scalar;
extern const RelativeKernels relative_avx2;
extern const RelativeKernels relative_avx512;

// The kernels of the path that walk_kernels takes.
const RelativeKernels& relative_kernels(const std::string& forced);

}  // namespace neuralcodec
