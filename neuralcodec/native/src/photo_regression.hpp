// Local least squares (docs/format.md, section 11.5): for every eight samples of a row a linear predictor is
// fitted to what has been coded around them. Everything has internal linkage.
#pragma once

#include <cstring>
#include <utility>

#include "photo.hpp"
#include "photo_vectors.hpp"

namespace {

using namespace neuralcodec;

constexpr int kMostTerms = photo_regressors(kPhotoPlanes - 1) + 1;  // regressors, and the target

constexpr int vectors_of(int terms) {
    return (terms + kLanes - 1) / kLanes;
}
// The upper triangle of a symmetric matrix in vectors: those left of a row's diagonal are not there.
constexpr int triangle_of(int terms) {
    int sum = 0;
    for (int i = 0; i < terms; ++i) sum += vectors_of(terms) - i / kLanes;
    return sum;
}

// Sums of the products of the terms of samples in a column of cells, older ones fading, and of these samples.
struct RegressionBlock {
    F8 products[triangle_of(kMostTerms)];
    float count;
};

// Eight rows: the terms of their last eight samples, and the solution of each row's cell.
struct RegressionGroup {
    H8 history[kPhotoCell][kMostTerms];
    F8 weights[kMostTerms - 1];
    I8 spread;      // log2 of the mean squared error of the fit, in 1/128
    I8 prediction;  // of the sample before, and its gain
    F8 gain;
};

// Normal equations of a number of terms, the last of which is the target.
template <int terms>
struct NormalEquations {
    static constexpr int n = terms - 1, vectors = vectors_of(terms), size = triangle_of(terms);
    static constexpr float kFade = 0.953125f, kRidge = 4.0f, kLeastPivot = 2.0f, kMostWeight = 64.0f;
    static constexpr int kPanel = 4;  // pivots that one pass over the rows below takes into account

    F8 a[terms][vectors];
    float inverse[n];

    // Calls use(k, v) for each row k from `first` on, v being its first vector, as a constant.
    template <class Use, int... v>
    static void each_row(int first, Use use, std::integer_sequence<int, v...>) {
        const auto some = [&](auto vector) {
            const int end = vector * kLanes + kLanes < terms ? vector * kLanes + kLanes : terms;
            for (int k = first > vector * kLanes ? first : vector * kLanes; k < end; ++k) use(k, vector);
        };
        (some(std::integral_constant<int, v>()), ...);
    }
    template <class Use>
    static void each_row(int first, Use use) {
        each_row(first, use, std::make_integer_sequence<int, vectors>());
    }

    static void accumulate(RegressionBlock& block, const RegressionGroup& group, int lane) {
        alignas(32) int32_t words[kPhotoCell / 2][vectors * kLanes] = {};
        for (int s = 0; s < kPhotoCell; s += 2)
            for (int i = 0; i < terms; ++i)
                words[s / 2][i] = int32_t(uint16_t(group.history[s][i][lane]) |
                                          uint32_t(uint16_t(group.history[s + 1][i][lane])) << 16);
        I8 pairs[kPhotoCell / 2][vectors];
        std::memcpy(pairs, words, sizeof words);
        F8* out = block.products;
        each_row(0, [&](int i, auto first) {
            for (int v = first; v < vectors; ++v, ++out) {
                I8 sum = {};
                for (int s = 0; s < kPhotoCell / 2; ++s) sum += products(splat(words[s][i]), pairs[s][v]);
                *out = *out * kFade + real(sum) * (1.0f / 16384);  // inputs have 7 fraction bits
            }
        });
        block.count = block.count * kFade + float(kPhotoCell);
    }

    // Of the column's block and two on each side.
    static void solve(const RegressionBlock* block, RegressionGroup& group, int lane) {
        NormalEquations equations;
        equations.gather(block);
        constexpr int in_panels = n / kPanel * kPanel;
        for (int i = 0; i < in_panels; i += kPanel) equations.template eliminate<kPanel>(i);
        for (int i = in_panels; i < n; ++i) equations.template eliminate<1>(i);
        equations.substitute(group, lane);
        const float error = equations.a[n][n / kLanes][n % kLanes];
        const float count =
            (block[-2].count + block[2].count) * 0.5f + ((block[-1].count + block[1].count) + block[0].count);
        const I8 spread = logarithm(splat(((error > 0 ? error : 0) + 1) / (count + 1)));
        group.spread[lane] = least(most(spread, splat(-1024)), splat(1024))[lane];
    }

    void gather(const RegressionBlock* block) {
        int at = 0;
        each_row(0, [&](int i, auto first) {
            for (int v = first; v < vectors; ++v, ++at)
                a[i][v] = (block[-2].products[at] + block[2].products[at]) * 0.5f +
                          ((block[-1].products[at] + block[1].products[at]) + block[0].products[at]);
        });
    }

    // Gaussian elimination by the pivots i to i + count - 1.
    template <int count>
    void eliminate(int i) {
        for (int p = i; p < i + count; ++p) {
            const float pivot = a[p][p / kLanes][p % kLanes] + kRidge;
            inverse[p] = 1.0f / (pivot > kLeastPivot ? pivot : kLeastPivot);
            for (int k = p + 1; k < i + count; ++k) subtract<1>(p, k, k / kLanes);
        }
        each_row(i + count, [&](int k, auto first) { subtract<count>(i, k, first); });
    }
    // Take the rows i to i + count - 1, one after the other, off row k.
    template <int count, class First>
    __attribute__((always_inline)) void subtract(int i, int k, First first) {
        F8 share[count];
        for (int p = 0; p < count; ++p) share[p] = splat(a[i + p][first][k % kLanes] * inverse[i + p]);
        for (int v = first; v < vectors; ++v) {
            F8 rest = a[k][v];
            for (int p = 0; p < count; ++p) rest -= share[p] * a[i + p][v];
            a[k][v] = rest;
        }
    }

    void substitute(RegressionGroup& group, int lane) const {
        const I8 lanes = {0, 1, 2, 3, 4, 5, 6, 7};
        F8 weights[vectors] = {};
        for (int first = (n - 1) / kLanes; first >= 0; --first) {
            F8 own = {};  // weights[first], in a register: a load behind stores of single lanes would wait
            const int end = n < (first + 1) * kLanes ? n : (first + 1) * kLanes;
            for (int i = end - 1; i >= first * kLanes; --i) {
                F8 sum = term(i, first, own);  // those not yet known, and the target's, are 0
                for (int v = first + 1; v < vectors; ++v) sum += term(i, v, weights[v]);
                const float known =
                    ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
                float w = (a[i][n / kLanes][n % kLanes] - known) * inverse[i];
                w = w < kMostWeight ? (w > -kMostWeight ? w : -kMostWeight) : kMostWeight;
                own = lanes == i % kLanes ? splat(w) : own;
                group.weights[i][lane] = w;
            }
            weights[first] = own;
        }
    }
    F8 term(int i, int v, F8 weights) const { return weights == 0.0f ? F8{} : a[i][v] * weights; }
};

class Regression {
  public:
    // `memory`: bytes() of it, aligned to 64.
    Regression(void* memory, int plane, int width, int height)
        : plane_(plane), width_(width), height_(height), regressors_(photo_regressors(plane)) {
        groups_ = static_cast<RegressionGroup*>(memory);
        blocks_ = reinterpret_cast<RegressionBlock*>(groups_ + groups(height)) + kBeside;
    }
    static size_t bytes(int width, int height) {
        return size_t(groups(height)) * sizeof(RegressionGroup) +
               size_t((width + kPhotoCell - 1) / kPhotoCell + 2 * kBeside) * sizeof(RegressionBlock);
    }

    void clear() { std::memset(groups_, 0, bytes(width_, height_)); }

    // Before the neighbours of diagonal t are read: the targets of the samples before are known, and so is
    // what a row's new cell is fitted to. `west`: the neighbours (0, -1), in the first kind.
    void begin(int t, int first_row, I8 west) {
        RegressionGroup& group = groups_[first_row / kLanes];
        const F8 target = real(west - group.prediction) * group.gain;
        group.history[(t - 1) & 7][regressors_] = narrow(whole(within(target, 512.0f)));
        // Columns of the rows differ by 3, so that one of eight rows starts a cell: 3 * 3 l = l modulo 8.
        const int lane = 3 * t & 7, y = first_row + lane, x = t - kPhotoSlope * y;
        if (x < 0 || x >= width_ || y >= height_) return;
        if (plane_ == 0)
            start_cell<0>(x, group, lane);
        else if (plane_ == 1)
            start_cell<1>(x, group, lane);
        else
            start_cell<2>(x, group, lane);
    }

    // The residual that the fit predicts, in 1/128 activities, as the rest of the inputs.
    I8 predict(int t, int first_row, const I8* inputs, int stride, I8 prediction, F8 gain) {
        RegressionGroup& group = groups_[first_row / kLanes];
        H8* history = group.history[t & 7];
        F8 sum = {};
        const auto use = [&](int i, I8 word) {
            const I8 z = word << 16 >> 16;
            history[i] = narrow(z);
            sum += group.weights[i] * real(z);
        };
        for (int i = 0; i < kPhotoOwn; ++i) use(i, inputs[i * stride]);
        // Between the first kind and finished planes come the other kinds of a plane's own neighbours.
        const I8* finished = inputs + kPhotoOwn * plane_ * stride;
        for (int i = kPhotoOwn; i < regressors_; ++i) use(i, finished[i * stride]);
        group.prediction = prediction;
        group.gain = gain;
        return whole(within(sum, 2048.0f));
    }
    I8 spread(int first_row) const { return groups_[first_row / kLanes].spread; }

  private:
    static constexpr int kBeside = 2;

    RegressionGroup* groups_;
    RegressionBlock* blocks_;
    int plane_, width_, height_, regressors_;

    static int groups(int height) { return (height + kLanes - 1) / kLanes; }

    template <int plane>
    void start_cell(int x, RegressionGroup& group, int lane) const {
        using Equations = NormalEquations<photo_regressors(plane) + 1>;
        RegressionBlock* block = blocks_ + x / kPhotoCell;
        if (x) Equations::accumulate(block[-1], group, lane);
        Equations::solve(block, group, lane);
    }
};

}  // namespace
