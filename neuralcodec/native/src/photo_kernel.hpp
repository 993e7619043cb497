// The arithmetic of docs/format.md, sections 11.3, 11.6 and 11.7, eight rows side by side. Compiled once for
// each instruction set; everything has internal linkage.
#pragma once

#include <cstring>
#include <utility>

#include "ans.hpp"
#include "photo.hpp"
#include "photo_inputs.hpp"
#include "photo_online.hpp"
#include "photo_regression.hpp"
#include "photo_vectors.hpp"

namespace {

using namespace neuralcodec;

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
    F8 activity;
    F8 weight[kPhotoMostComponents], mean[kPhotoMostComponents], inverse[kPhotoMostComponents];

    Mixture(const PhotoNetwork& n, const Scratch& s, int g) : components(n.components) {
        const float unit = 1.0f / float(1 << (n.layers.last.shift + 8));
        const float linear_unit = 1.0f / float(1 << (n.layers.linear.shift + 7));
        const I8 *logits = s.out + g, *means = logits + components * kBatch,
                 *scales = means + components * kBatch;
        const F8 prediction = real(s.prediction[g]);
        activity = real(s.activity[g]) * 0.125f;
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

    // How far a logistic's mean lies beyond an edge, in its scale; the share of it below is 1 / (1 + 2^z).
    F8 beyond(int k, F8 edge) const { return within((mean[k] - edge) * inverse[k], 40.0f); }
    static F8 below(F8 z) { return 1.0f / (power(z) + 1.0f); }

    // Where the interval of each x starts, for 0 < x < levels.
    I8 start(I8 x) const {
        const F8 edge = real(x) - 0.5f;
        F8 sum = {};
        for (int k = 0; k < components; ++k) sum += weight[k] * below(beyond(k, edge));
        return whole(least(sum, splat(1.0f)) * float(kTotal - levels)) + x;
    }

    // How fast the code length of each x grows with what the network gives, in 1/1024 bits: 0 where `where`
    // is. With S = 1 / (1 + 2^z), z = (mean - edge) inverse, f = S (1 - S) and P = sum w (S_hi - S_lo), that
    // of a logit is w - w (S_hi - S_lo) / P, that of a mean in activities w (f_hi - f_lo) inverse activity /
    // P, and that of a scale ln 2 w (z_hi f_hi - z_lo f_lo) / P.
    void gradients(I8 x, I8 where, I8* out) const {
        F8 share[kPhotoMostComponents], sum = {};
        I8 *logits = out, *means = out + components * kBatch, *scales = means + components * kBatch;
        F8 slope[kPhotoMostComponents], turn[kPhotoMostComponents];
        const F8 low = real(x) - 0.5f, high = real(x) + 0.5f;
        for (int k = 0; k < components; ++k) {
            const F8 z_low = beyond(k, low), z_high = beyond(k, high);
            const F8 to_low = x == 0 ? F8{} : below(z_low);
            const F8 to_high = x == levels - 1 ? splat(1.0f) : below(z_high);
            const F8 at_low = to_low * (1.0f - to_low), at_high = to_high * (1.0f - to_high);
            share[k] = weight[k] * (to_high - to_low);
            sum += share[k];
            slope[k] = weight[k] * (at_high - at_low) * (inverse[k] * activity);
            turn[k] = weight[k] * (z_high * at_high - z_low * at_low) * 0.6931472f;
        }
        const F8 unit = 1024.0f / (sum + 1.0f / 16777216);
        const F8 all = sum * unit;
        const auto gradient = [&](F8 value) { return whole(within(value, float(kMostGradient))) & where; };
        for (int k = 0; k < components; ++k) {
            logits[k * kBatch] = gradient(weight[k] * all - share[k] * unit);
            means[k * kBatch] = gradient(slope[k] * unit);
            scales[k * kBatch] = gradient(turn[k] * unit);
        }
    }
};

// ---- the order of coding

// Calls use(t, first group, groups) for batches of groups of 8 rows, and end(samples) behind each diagonal.
template <class Use, class End>
inline void wavefront(int width, int height, Use use, End end) {
    const int last = width - 1 + kPhotoSlope * (height - 1);
    for (int t = 0; t <= last; ++t) {
        const int top = t < width ? 0 : (t - width + kPhotoSlope) / kPhotoSlope;
        const int bottom = t / kPhotoSlope < height ? t / kPhotoSlope : height - 1;
        if (top > bottom) continue;
        for (int g = top / kLanes; g <= bottom / kLanes; g += kBatch) {
            const int left = bottom / kLanes - g + 1;
            use(t, g, left < kBatch ? left : kBatch);
        }
        end(bottom - top + 1);
    }
}

template <class Sample, class Code>
inline void code_plane(const PhotoNetwork& n, const PhotoPlane<Sample>* planes, const PhotoScratch& scratch,
                       Code code) {
    const PhotoPlane<Sample>& own = planes[n.plane];
    Scratch& s = *static_cast<Scratch*>(scratch.network);
    Regression regression(scratch.regression, n.plane, own.width, own.height);
    if (n.fitted) regression.clear();
    Online online(n, scratch.online);
    const auto use = [&](int t, int group, int groups) {
        for (int g = 0; g < groups; ++g)
            read_inputs(planes, n.plane, t, (group + g) * kLanes, g, s, n.fitted ? &regression : nullptr);
        network(online.layers(), s, groups);
        for (int g = 0; g < groups; ++g) {
            const int row = (group + g) * kLanes;
            const Mixture<PhotoPlane<Sample>::kLevels> mixture(n, s, g);
            // Rows that are at a column of the tile on this diagonal.
            const int end = own.height - row < kLanes ? own.height - row : kLanes;
            int lane = 0, stop = 0;
            while (lane < end && t - kPhotoSlope * (row + lane) >= own.width) ++lane;
            for (stop = lane; stop < end && t - kPhotoSlope * (row + stop) >= 0;) ++stop;
            code(mixture, t, row, lane, stop);
            if (n.online == PhotoOnline::none) continue;
            I8 there;
            for (int l = 0; l < kLanes; ++l) there[l] = -(l >= lane && l < stop);
            mixture.gradients(Diagonal<Sample>(own, t, row)(0, 0), there, s.gradients + g);
        }
        online.learn(s, groups);
    };
    wavefront(own.width, own.height, use, [&](int samples) { online.coded(samples); });
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
    const auto use = [&](int t, int group, int groups) {
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
    };
    wavefront(own.width, own.height, use, [](int) {});
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
