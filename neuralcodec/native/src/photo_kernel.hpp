// The arithmetic of docs/format.md, sections 11.3, 11.6 and 11.7, eight rows side by side. Compiled once for
// each instruction set; everything has internal linkage.
#pragma once

#include <cstring>
#include <utility>

#include "ans.hpp"
#include "photo.hpp"
#include "photo_inputs.hpp"
#include "photo_regression.hpp"
#include "photo_vectors.hpp"

namespace {

using namespace neuralcodec;

constexpr int kActivationMost = 16383;

// ---- the network

// Four outputs of `groups` groups of rows: sums of the products, without the bias.
template <int groups>
__attribute__((always_inline)) inline void product_tile(I8 (&sum)[4][groups], const I8* in, int stride,
                                                        const int32_t* weights, int pairs) {
    for (int o = 0; o < 4; ++o)
        for (int g = 0; g < groups; ++g) sum[o][g] = I8{};
    for (int p = 0; p < pairs; ++p, in += stride, weights += 4) {
        I8 x[groups];
        for (int g = 0; g < groups; ++g) x[g] = in[g];
        for (int o = 0; o < 4; ++o) {
            const I8 w = splat(weights[o]);
            for (int g = 0; g < groups; ++g) sum[o][g] += products(x[g], w);
        }
    }
}

template <int groups, class Use>
inline void layer_groups(const PhotoLayer& layer, const I8* in, int first, Use use) {
    for (int o = 0; o < layer.outputs; o += 4) {
        I8 sum[4][groups];
        product_tile<groups>(sum, in + first, kBatch, layer.weights + size_t(o) * size_t(layer.pairs),
                             layer.pairs);
        for (int g = 0; g < groups; ++g) use(o, first + g, sum[0][g], sum[1][g], sum[2][g], sum[3][g]);
    }
}

template <class Use>
inline void layer(const PhotoLayer& layer, const I8* in, int groups, Use use) {
    int g = 0;
    // More at a time would not leave room for all sums in the registers of AVX2.
    for (; g + 2 <= groups; g += 2) layer_groups<2>(layer, in, g, use);
    if (g < groups) layer_groups<1>(layer, in, g, use);
}

inline I8 activation(I8 sum, int32_t bias, int shift) {
    const I8 x = (sum + (bias + (1 << shift >> 1))) >> shift;
    return least(most(x, I8{}), splat(kActivationMost));
}

// Each half of `h` is at most 16383, so that their sums stay 16-bit and carry nothing over.
inline void hidden_layers(const PhotoNetwork& n, Scratch& s, int groups) {
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

inline void network(const PhotoNetwork& n, Scratch& s, int groups) {
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

// ---- the mixture

// 2^x for -126 <= x <= 126, never decreasing: a polynomial of positive coefficients on [0, 1], which ends
// at 2.
inline F8 power(F8 x) {
    I8 n = whole(x);
    n += real(n) > x;
    const F8 f = x - real(n);
    F8 p = f * 0.013670309f + 0.051690447f;
    p = p * f + 0.24163916f;
    p = p * f + 0.6929997f;
    p = least(p * f + 1.0f, splat(2.0f));
    I8 bits;
    std::memcpy(&bits, &p, sizeof bits);
    bits += n << 23;
    std::memcpy(&p, &bits, sizeof bits);
    return p;
}

template <int levels>
struct Mixture {
    int components;
    F8 weight[kPhotoMostComponents], mean[kPhotoMostComponents], inverse[kPhotoMostComponents];

    Mixture(const PhotoNetwork& n, const Scratch& s, int g) : components(n.components) {
        const float unit = 1.0f / float(1 << (n.last.shift + 8));
        const float linear_unit = 1.0f / float(1 << (n.linear.shift + 7));
        const I8 *logits = s.out + g, *means = logits + components * kBatch,
                 *scales = means + components * kBatch;
        const F8 prediction = real(s.prediction[g]), activity = real(s.activity[g]) * 0.125f;
        const F8 narrowing = 1.0f / activity;
        F8 highest = splat(-1024.0f), sum = {};
        for (int k = 0; k < components; ++k) {
            weight[k] = real(logits[k * kBatch]) * unit;
            highest = most(highest, weight[k]);
        }
        for (int k = 0; k < components; ++k) {
            weight[k] = power(most(weight[k] - highest, splat(-64.0f)));
            sum += weight[k];
        }
        const F8 share = 1.0f / sum;
        for (int k = 0; k < components; ++k) {
            weight[k] *= share;
            const F8 mean_k = real(means[k * kBatch]) * unit + real(s.linear[k * kBatch + g]) * linear_unit;
            mean[k] =
                least(most(mean_k * activity + prediction, splat(-2.0f * levels)), splat(3.0f * levels));
            const F8 scale = least(most(real(scales[k * kBatch]) * unit, splat(-9.0f)), splat(7.0f));
            inverse[k] = power(scale) * narrowing;
        }
    }

    // Where the interval of each x starts, for 0 < x < levels.
    I8 start(I8 x) const {
        const F8 edge = real(x) - 0.5f;
        F8 sum = {};
        for (int k = 0; k < components; ++k) {
            const F8 z = least(most((mean[k] - edge) * inverse[k], splat(-40.0f)), splat(40.0f));
            sum += weight[k] * (1.0f / (power(z) + 1.0f));
        }
        return whole(least(sum, splat(1.0f)) * float(kTotal - levels)) + x;
    }
};

// ---- the order of coding

// Calls use(t, first group, groups) for batches of groups of 8 rows, diagonal after diagonal.
template <class Use>
inline void wavefront(int width, int height, Use use) {
    const int last = width - 1 + kPhotoSlope * (height - 1);
    for (int t = 0; t <= last; ++t) {
        const int top = t < width ? 0 : (t - width + kPhotoSlope) / kPhotoSlope;
        const int bottom = t / kPhotoSlope < height ? t / kPhotoSlope : height - 1;
        if (top > bottom) continue;
        for (int g = top / kLanes; g <= bottom / kLanes; g += kBatch) {
            const int left = bottom / kLanes - g + 1;
            use(t, g, left < kBatch ? left : kBatch);
        }
    }
}

template <class Sample, class Code>
inline void code_plane(const PhotoNetwork& n, const PhotoPlane<Sample>* planes, const PhotoScratch& scratch,
                       Code code) {
    const PhotoPlane<Sample>& own = planes[n.plane];
    Scratch& s = *static_cast<Scratch*>(scratch.network);
    Regression regression(scratch.regression, n.plane, own.width, own.height);
    if (n.fitted) regression.clear();
    wavefront(own.width, own.height, [&](int t, int group, int groups) {
        for (int g = 0; g < groups; ++g)
            read_inputs(planes, n.plane, t, (group + g) * kLanes, g, s, n.fitted ? &regression : nullptr);
        network(n, s, groups);
        for (int g = 0; g < groups; ++g) {
            const int row = (group + g) * kLanes;
            const Mixture<PhotoPlane<Sample>::kLevels> mixture(n, s, g);
            // Rows that are at a column of the tile on this diagonal.
            const int end = own.height - row < kLanes ? own.height - row : kLanes;
            int lane = 0, stop = 0;
            while (lane < end && t - kPhotoSlope * (row + lane) >= own.width) ++lane;
            for (stop = lane; stop < end && t - kPhotoSlope * (row + stop) >= 0;) ++stop;
            code(mixture, t, row, lane, stop);
        }
    });
}

template <class Sample>
void intervals(const PhotoNetwork& n, const PhotoPlane<Sample>* planes, int streams, PhotoInterval** out,
               const PhotoScratch& scratch) {
    const PhotoPlane<Sample>& own = planes[n.plane];
    code_plane(n, planes, scratch, [&](const auto& mixture, int t, int row, int lane, int stop) {
        const I8 x = Diagonal<Sample>(own, t, row)(0, 0);
        const I8 from = x > 0 ? mixture.start(x) : I8{};
        const I8 to = x < PhotoPlane<Sample>::kLevels - 1 ? mixture.start(x + 1) : splat(int32_t(kTotal));
        for (; lane < stop; ++lane)
            *out[lane % streams]++ = {uint32_t(from[lane]), uint32_t(to[lane] - from[lane])};
    });
}

// What the regression tells of each sample of a plane: prediction and spread, two numbers of 1/128, in rows.
template <class Sample>
void regressions(const PhotoPlane<Sample>* planes, int plane, int16_t* out, const PhotoScratch& scratch) {
    const PhotoPlane<Sample>& own = planes[plane];
    Scratch& s = *static_cast<Scratch*>(scratch.network);
    Regression regression(scratch.regression, plane, own.width, own.height);
    regression.clear();
    wavefront(own.width, own.height, [&](int t, int group, int groups) {
        for (int row = group * kLanes; row < (group + groups) * kLanes; row += kLanes) {
            read_inputs(planes, plane, t, row, 0, s, &regression);
            const I8 found = s.inputs[(photo_inputs(plane) - 1) * kBatch] << 16 >> 16;
            const I8 spread = regression.spread(row);
            for (int lane = 0; lane < kLanes; ++lane) {
                const int y = row + lane, x = t - kPhotoSlope * y;
                if (x < 0 || x >= own.width || y >= own.height) continue;
                int16_t* at = out + 2 * (size_t(y) * size_t(own.width) + size_t(x));
                at[0] = int16_t(found[lane]);
                at[1] = int16_t(spread[lane]);
            }
        }
    });
}

struct Found {
    I8 sample, start, end;
};

template <int levels>
inline Found search(const Mixture<levels>& mixture, I8 target) {
    Found f = {I8{}, I8{}, splat(int32_t(kTotal))};
    for (int step = levels / 2; step; step /= 2) {
        const I8 next = f.sample + step, at = mixture.start(next), taken = at <= target;
        f.sample = taken ? next : f.sample;
        f.start = taken ? at : f.start;
        f.end = taken ? f.end : at;
    }
    return f;
}

template <class Sample>
bool decode(const PhotoNetwork* const* networks, const PhotoPlane<Sample>* planes, int count, int streams,
            const uint8_t* const* bytes, const size_t* lengths, const PhotoScratch& scratch) {
    AnsDecoder coders[kLanes];
    for (int s = 0; s < streams; ++s)
        if (!coders[s].open(bytes[s], lengths[s])) return false;
    for (int p = 0; p < count; ++p) {
        const PhotoPlane<Sample>& own = planes[p];
        code_plane(*networks[p], planes, scratch,
                   [&](const auto& mixture, int t, int row, int lane, int stop) {
                       Found found;
                       for (int l = lane; l < stop; ++l) {
                           if (streams == 1 || l == lane) {
                               I8 target;
                               for (int i = 0; i < kLanes; ++i)
                                   target[i] = int32_t(coders[i % streams].target());
                               found = search(mixture, target);
                           }
                           const auto start = uint32_t(found.start[l]);
                           coders[l % streams].consume({start, uint32_t(found.end[l]) - start});
                           const int y = row + l, x = t - kPhotoSlope * y;
                           const auto value = Sample(found.sample[l]);
                           *own.at(x, y) = value;
                           own.surround(x, y, value);
                       }
                   });
    }
    bool empty = true;
    for (int s = 0; s < streams; ++s) empty = empty && coders[s].empty();
    return empty;
}

template <class Sample>
constexpr PhotoCoding<Sample> kCoding = {intervals<Sample>, decode<Sample>, regressions<Sample>};

}  // namespace
