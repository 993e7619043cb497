// What the search for a tensor's parameters looks at.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "weights_model.hpp"

namespace neuralcodec {

constexpr size_t kSample = 1 << 17;  // elements at most
constexpr int kUnknowns = kOrder + 2;

// Rows that stand for the tensor: all, or parts spread over it.
struct Sample {
    const int32_t* levels;
    uint64_t cols, count;
    std::vector<uint64_t> rows;

    Sample(const Geometry& g, const int32_t* n) : levels(n), cols(g.cols), count(g.count) {
        const uint64_t all = (g.count + g.cols - 1) / g.cols;
        const uint64_t wanted = std::max<uint64_t>(2, kSample / g.cols);
        if (all <= wanted) {
            for (uint64_t r = 0; r < all; ++r) rows.push_back(r);
            return;
        }
        const uint64_t chunk = std::max<uint64_t>(2, wanted / 8),
                       chunks = std::max<uint64_t>(1, wanted / chunk);
        for (uint64_t c = 0; c < chunks; ++c)
            for (uint64_t r = 0; r < chunk; ++r) {
                const uint64_t row = c * (all - chunk) / chunks + r;
                if (rows.empty() || row > rows.back()) rows.push_back(row);
            }
    }
    uint64_t width(uint64_t row) const { return std::min({cols, count - row * cols, uint64_t(kSample)}); }
    uint64_t size() const {
        uint64_t n = 0;
        for (const uint64_t r : rows) n += width(r);
        return n;
    }
};

// Neighbours of an element in the order of its coefficients; 0 where they are outside.
struct Neighbours {
    int order;
    bool above, beside;
    uint32_t taps;

    template <class T>
    int read(const int32_t* n, uint64_t i, uint64_t column, uint64_t row, uint64_t cols, T* out) const {
        const uint32_t tap = uint32_t(column % taps);
        const int near = taps > 1 && int(tap) < order ? int(tap) : order;
        int k = near;
        if (taps == 1 && uint64_t(k) > column) k = int(column);
        int j = 0;
        for (; j < k; ++j) out[j] = T(n[i - 1 - uint64_t(j)]);
        for (; j < near; ++j) out[j] = 0;
        if (above) out[j++] = T(row ? n[i - cols] : 0);
        if (beside) out[j++] = T(column >= taps ? n[i - taps] : 0);
        return j;
    }
};

// weights_prediction.cpp. Sets the neighbours and the coefficients that save more than they cost.
void choose_prediction(const Sample& sample, const Geometry& g, TensorModel* m);

}  // namespace neuralcodec
