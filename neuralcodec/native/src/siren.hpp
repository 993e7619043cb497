// Sine networks (SIREN), one for each signal, and the gradient of their squared error: the hot loop of
// learning and encoding neural representations. Free of the determinism law of the coder: compiled with FMA.
#pragma once

#include <cstddef>
#include <cstdint>

namespace neuralcodec {

// Layer l maps width[l] to width[l + 1] values, with sin(x) after all but the last. The first layer reads
// `shared` features of the coordinates, which all signals have in common, then `own` ones of the signal. The
// parameters of a signal are, for each layer, the biases and then the weights (in x out).
struct SirenShape {
    const int32_t* width;
    int32_t layers;
    int32_t points, shared, own;

    int32_t outputs() const { return width[layers]; }
    size_t parameters() const {
        size_t n = 0;
        for (int32_t l = 0; l < layers; ++l) n += size_t(width[l] + 1) * size_t(width[l + 1]);
        return n;
    }
};

struct SirenSignal {
    const float* own;           // points x own
    const float* parameters;    // as above
    const float* target;        // points x outputs; nullptr where only the outputs are wanted
    float* out;                 // points x outputs, or nullptr
    float* parameter_gradient;  // of the summed squared error; nullptr without a target
    float* own_gradient;
};

struct SirenKernels {
    size_t (*scratch_floats)(const SirenShape&);
    // The summed squared error, 0 without a target.
    double (*run)(const SirenShape&, const float* features, const SirenSignal&, float* scratch);
};

extern const SirenKernels siren_scalar;
extern const SirenKernels siren_avx2;
extern const SirenKernels siren_avx512;

const SirenKernels& siren_kernels();

}  // namespace neuralcodec
