// A latent-tree circuit as the coding kernels read it: structure and tables derived from integer levels.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "blocks.hpp"
#include "float_state.hpp"

namespace neuralcodec {

enum class Emission : int32_t { silent, free, shared };

struct Node {
    int32_t parent, variable, states, alphabet;
    Emission emission = Emission::silent;
    int32_t rank;               // length of the vector that the cumulative table is weighted by
    int32_t padded_rank;        // rank rounded up to a multiple of 16
    int32_t slot;               // where its messages live during the walk
    bool informs;               // its likelihood message is read by somebody
    Matrix transition;          // parent's states x states
    Matrix weight;              // states x rank (shared)
    const float* distribution;  // rank x alphabet
    const float* cumulative;    // alphabet x padded_rank; entry x holds the mass below x
};

struct CircuitView {
    const Node* nodes;
    int32_t count, variables;
    int32_t max_states, max_rank, max_alphabet;
    const float* prior;
    float floor;                 // of the entries of prior messages
    const int32_t* slot_states;  // states that each slot has room for
    int32_t slots;
};

struct Levels {
    const uint16_t* data;
    size_t size;
};

struct CircuitArrays {
    int32_t nodes, variables, bases;
    const int32_t *parent, *variable, *states, *alphabet, *emission, *basis_size;
    Levels root, transition, weight, free, basis;
    std::vector<std::shared_ptr<const BlockEdge>> blocks;  // of each node's transitions
    int32_t floor;                                         // priors are at least 2^-floor; 0: no floor
};

// Owns the tables. Throws std::invalid_argument, naming the node, for anything docs/format.md refuses.
class Circuit {
  public:
    explicit Circuit(const CircuitArrays& arrays);
    const CircuitView& view() const { return view_; }

  private:
    struct Basis;
    void read_structure(const CircuitArrays& a);
    void read_tables(const CircuitArrays& a);
    void assign_slots();
    std::vector<std::shared_ptr<const BlockEdge>> find_weight_blocks(const uint16_t* levels) const;

    std::vector<Node> nodes_;
    std::vector<std::shared_ptr<const BlockEdge>> blocks_, weight_blocks_;
    std::vector<int32_t> slot_states_;
    std::vector<float> prior_, transition_, weight_, distribution_, cumulative_;
    CircuitView view_{};
};

// One group of signals walked through the circuit (docs/format.md, 7.3). Signals are rows of `variables`
// samples.
struct Group {
    uint16_t* samples;
    const uint8_t* missing;  // nullptr, or one byte a sample, nonzero where it is missing
    int32_t signals;
};

struct WalkResult {
    bool intact;  // decoding: the bytes were canonical and the coder ended empty
};

// The kernels, one set for each instruction set.
struct WalkKernels {
    const char* name;
    size_t (*scratch_floats)(const CircuitView&, int32_t signals);
    // intervals: (start, size) pairs of the coded samples in coding order; returns their number
    size_t (*intervals)(const CircuitView&, const Group&, float* scratch, uint32_t* intervals);
    WalkResult (*decode)(const CircuitView&, const Group&, float* scratch, const uint8_t* bytes,
                         size_t length);
    // tables: for each coded sample the integer cumulative table, `stride` apart, padded with 2^24
    size_t (*tables)(const CircuitView&, const Group&, float* scratch, uint32_t* tables, size_t stride);
};

extern const WalkKernels walk_scalar;
extern const WalkKernels walk_avx2;
extern const WalkKernels walk_avx512;

// The path to use: `forced` ("scalar", "avx2", "avx512", "avx512vnni"), or the best this processor has when
// empty.
const WalkKernels& walk_kernels(const std::string& forced);

// Memory that one thread uses for group after group. Messages are aligned to cache lines; nothing is
// initialised, for the walk writes before it reads.
class Workspace {
  public:
    float* messages(size_t floats);
    uint32_t* symbols(size_t count);

  private:
    std::unique_ptr<float[]> messages_;
    std::unique_ptr<uint32_t[]> symbols_;
    size_t floats_ = 0, count_ = 0;
};

// Coder bytes of one group (encode) and back (decode; false if the bytes are not a whole, canonical stream).
std::vector<uint8_t> encode_group(const CircuitView& circuit, const WalkKernels& kernels, const Group& group,
                                  Workspace* workspace = nullptr);
bool decode_group(const CircuitView& circuit, const WalkKernels& kernels, const Group& group,
                  const uint8_t* bytes, size_t length, Workspace* workspace = nullptr);

}  // namespace neuralcodec
