// Expectation step of EM on a latent-tree circuit (see neuralcodec/circuits/reference.py for the same in
// plain NumPy). Free of the determinism law of the coder: compiled with FMA.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "blocks.hpp"

namespace neuralcodec {

struct LearnNode {
    int32_t parent, variable, states, alphabet;
    int32_t last_child, previous_sibling;  // -1: none
    int32_t basis;                         // -1: silent or free
    bool free;
    int32_t rank;
    // offsets into the flat parameter arrays
    size_t transition, weight, free_table;
    // offsets into the count arrays (rows rounded up to 16 floats, but for transitions stored by blocks)
    size_t transition_counts, weight_counts;
    // first row of its likelihood, and of its message to the parent, among all nodes' rows
    size_t likelihood_row, message_row;
    std::shared_ptr<const BlockEdge> blocks;  // nullptr: every transition is stored, and counts are padded
};

struct LearnBasis {
    int32_t size, alphabet;
    size_t table;
    size_t counts;  // alphabet x padded size
};

struct LearnCircuit {
    std::vector<LearnNode> nodes;
    std::vector<LearnBasis> bases;
    int32_t variables = 0, max_states = 0, max_rank = 0, max_alphabet = 0;
    size_t likelihood_rows = 0, message_rows = 0;
    size_t transition_counts = 0, weight_counts = 0, basis_counts = 0;
};

struct LearnParameters {
    const float *root, *transition, *weight, *free, *basis;
};

// Sums over samples of posterior / parameter; times the parameter they are expected counts.
struct LearnCounts {
    float *root, *transition, *weight, *free, *basis;
};

struct LearnTile {
    const uint16_t* samples;  // signals x variables
    const uint8_t* missing;   // or nullptr
    int32_t signals;
};

struct LearningKernels {
    size_t (*scratch_floats)(const LearnCircuit&, int32_t signals);
    // Natural-log likelihood of each signal; adds to counts unless they are nullptr.
    void (*expectation)(const LearnCircuit&, const LearnParameters&, const LearnTile&, float* scratch,
                        double* log_likelihood, const LearnCounts* counts);
    // Stepwise M-step of rows, row r from offset[r] to offset[r + 1]: s = (1 - rate) s + rate * scale *
    // counts * theta; theta = (s + prior) / sum(s + prior), where prior = pseudocount / length of the row.
    void (*maximisation)(float* theta, float* statistics, const float* counts, const int64_t* offset,
                         size_t rows, float rate, float scale, float pseudocount);
};

extern const LearningKernels learning_scalar;
extern const LearningKernels learning_avx2;
extern const LearningKernels learning_avx512;

const LearningKernels& learning_kernels();

}  // namespace neuralcodec
