// The layers of a network (docs/format.md, section 11.6), of eight rows side by side. Everything has internal
// linkage.
#pragma once

#include <cstring>

#include "photo.hpp"
#include "photo_inputs.hpp"
#include "photo_vectors.hpp"

namespace {

using namespace neuralcodec;

constexpr int kActivationMost = 16383;

// Four outputs of some groups of rows, `wides` registers of them: sums of the products, without the bias.
template <int wides>
__attribute__((always_inline)) inline void product_tile(IW (&sum)[4][wides], const I8* in, int stride,
                                                        const int32_t* weights, int pairs) {
    for (int o = 0; o < 4; ++o)
        for (int v = 0; v < wides; ++v) sum[o][v] = IW{};
    for (int p = 0; p < pairs; ++p, in += stride, weights += 4) {
        IW x[wides];
        for (int v = 0; v < wides; ++v) x[v] = wide(in + v * kWide);
        for (int o = 0; o < 4; ++o) {
            const IW w = weights[o] - IW{};
            for (int v = 0; v < wides; ++v) sum[o][v] = add_products(sum[o][v], x[v], w);
        }
    }
}

template <int wides, class Use>
inline void layer_groups(const PhotoLayer& layer, const I8* in, int first, int groups, Use use) {
    for (int o = 0; o < layer.outputs; o += 4) {
        IW sum[4][wides];
        product_tile<wides>(sum, in + first, kBatch, layer.weights + size_t(o) * size_t(layer.pairs),
                            layer.pairs);
        I8 each[4][wides * kWide];
        std::memcpy(each, sum, sizeof sum);
        for (int g = 0; g < wides * kWide && first + g < groups; ++g)
            use(o, first + g, each[0][g], each[1][g], each[2][g], each[3][g]);
    }
}

template <class Use>
inline void layer(const PhotoLayer& layer, const I8* in, int groups, Use use) {
    constexpr int most = kWide > 1 ? 3 : 2;  // more would not leave room for all sums in the registers
    int g = 0;
    for (; g + (most - 1) * kWide < groups; g += most * kWide) layer_groups<most>(layer, in, g, groups, use);
    for (; g < groups; g += kWide) layer_groups<1>(layer, in, g, groups, use);
}

inline I8 activation(I8 sum, int32_t bias, int shift) {
    const I8 x = (sum + (bias + (1 << shift >> 1))) >> shift;
    return least(most(x, I8{}), splat(kActivationMost));
}

// Each half of `h` is at most 16383, so that their sums stay 16-bit and carry nothing over.
inline void hidden_layers(const PhotoLayers& n, Scratch& s, int groups) {
    const int32_t* bias = n.first.bias;
    layer(n.first, s.inputs, groups, [&](int o, int g, I8 a, I8 b, I8 c, I8 d) {
        const int k = n.first.shift - 1;  // from 7 fraction bits of the inputs to 8
        I8* h = s.hidden[0] + o / 2 * kBatch + g;
        h[0] = pair(activation(a, bias[o], k), activation(b, bias[o + 1], k));
        h[kBatch] = pair(activation(c, bias[o + 2], k), activation(d, bias[o + 3], k));
    });
    bias = n.second.bias;
    layer(n.second, s.hidden[0], groups, [&](int o, int g, I8 a, I8 b, I8 c, I8 d) {
        const int k = n.second.shift, at = o / 2 * kBatch + g;
        const I8* h = s.hidden[0] + at;
        I8* out = s.hidden[1] + at;
        out[0] = h[0] + pair(activation(a, bias[o], k), activation(b, bias[o + 1], k));
        out[kBatch] = h[kBatch] + pair(activation(c, bias[o + 2], k), activation(d, bias[o + 3], k));
    });
}

inline void network(const PhotoLayers& n, Scratch& s, int groups) {
    hidden_layers(n, s, groups);
    const int32_t* bias = n.last.bias;
    layer(n.last, s.hidden[1], groups, [&](int o, int g, I8 a, I8 b, I8 c, I8 d) {
        I8* out = s.out + o * kBatch + g;
        out[0] = a + bias[o];
        out[kBatch] = b + bias[o + 1];
        out[2 * kBatch] = c + bias[o + 2];
        out[3 * kBatch] = d + bias[o + 3];
    });
    layer(n.linear, s.inputs, groups, [&](int o, int g, I8 a, I8 b, I8 c, I8 d) {
        I8* out = s.linear + o * kBatch + g;
        out[0] = a;
        out[kBatch] = b;
        out[2 * kBatch] = c;
        out[3 * kBatch] = d;
    });
}

}  // namespace
