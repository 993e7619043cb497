// What a network reads (docs/format.md, section 11.4), of eight rows side by side. Everything has internal
// linkage.
#pragma once

#include "photo.hpp"
#include "photo_regression.hpp"
#include "photo_vectors.hpp"

namespace {

using namespace neuralcodec;

constexpr int kBatch = 6;  // groups of rows that pass the network together: its buffers stay in cache
constexpr int kMostWords = photo_words(kPhotoPlanes - 1);

struct Scratch {
    I8 inputs[kMostWords * kBatch];
    I8 hidden[2][kPhotoMostHidden / 2 * kBatch];
    I8 out[3 * kPhotoMostComponents * kBatch];
    I8 linear[kPhotoMostComponents * kBatch];
    I8 prediction[kBatch], activity[kBatch];
    // Of learning online: of the outputs, and of both hidden layers; pairs of them.
    I8 gradients[3 * kPhotoMostComponents * kBatch];
    I8 hidden_gradients[2][kPhotoMostHidden * kBatch];
    I8 gradient_pairs[kPhotoMostHidden / 2 * kBatch];
};

constexpr int8_t kOwn[kPhotoOwn][2] = {{0, -1}, {0, -2}, {0, -3}, {-1, -3}, {-1, -2}, {-1, -1},
                                       {-1, 0}, {-1, 1}, {-1, 2}, {-2, -2}, {-2, -1}, {-2, 0},
                                       {-2, 1}, {-2, 2}, {-2, 3}, {-3, -1}, {-3, 0},  {-3, 1}};
constexpr int8_t kFinished[kPhotoFinished][2] = {{0, 0},  {0, -1}, {0, 1}, {-1, -1}, {-1, 0},
                                                 {-1, 1}, {1, -1}, {1, 0}, {1, 1}};
constexpr int kNear[] = {0, 1, 4, 5, 6, 7, 10, 11};
constexpr int kLogCentre = 6 << 7, kLogMost = 1024;
constexpr int kWest = 0, kNorthwest = 5, kNorth = 6;                          // in kOwn
constexpr int kWestFinished = 1, kNorthwestFinished = 3, kNorthFinished = 4;  // in kFinished

inline I8 median_edge(I8 west, I8 north, I8 northwest) {
    return least(most(west + north - northwest, least(west, north)), most(west, north));
}
inline I8 magnitude(I8 d) {
    return most(d, -d);
}
// A number of 1/128, and the logarithm of its size.
inline I8 sized(I8 z) {
    return pair(z, logarithm(real(magnitude(z)) * 0.03125f + 1.0f));
}
// A difference in activities, with the logarithm of its size.
inline I8 input_word(I8 d, F8 gain) {
    return sized(whole(within(real(d) * gain, 2048.0f)));
}

// Neighbour values of eight rows at one diagonal.
template <class Sample>
struct Diagonal {
    const Sample* base;
    ptrdiff_t stride;

    Diagonal(const PhotoPlane<Sample>& p, int t, int row)
        : base(p.data + size_t(t + kPhotoLead) * p.stride() + size_t(row + kPhotoTop)),
          stride(ptrdiff_t(p.stride())) {}
    I8 operator()(int dy, int dx) const { return loaded(base + (dx + kPhotoSlope * dy) * stride + dy); }
};

// Neighbours of eight samples in a plane, or in the difference of two planes, relative to their own
// prediction.
template <int count>
struct Neighbours {
    I8 difference[count];
    I8 prediction;
    I8 activity = splat(4);

    template <class Value>
    Neighbours(const int8_t (&places)[count][2], int west, int north, int northwest, Value value) {
        for (int i = 0; i < count; ++i) difference[i] = value(places[i][0], places[i][1]);
        prediction = median_edge(difference[west], difference[north], difference[northwest]);
        for (int i = 0; i < count; ++i) difference[i] -= prediction;
    }
    void write(F8 gain, I8*& out) const {
        for (int i = 0; i < count; ++i, out += kBatch) *out = input_word(difference[i], gain);
    }
    I8 log_activity() const { return least(logarithm(real(activity)) - kLogCentre, splat(kLogMost)); }
};

template <class Value>
inline Neighbours<kPhotoOwn> own_neighbours(Value value) {
    Neighbours<kPhotoOwn> n(kOwn, kWest, kNorth, kNorthwest, value);
    for (int i : kNear) n.activity += magnitude(n.difference[i]);
    return n;
}
template <class Value>
inline Neighbours<kPhotoFinished> finished_neighbours(Value value) {
    Neighbours<kPhotoFinished> n(kFinished, kWestFinished, kNorthFinished, kNorthwestFinished, value);
    for (int i = 0; i < kPhotoFinished; ++i) n.activity += magnitude(n.difference[i]);
    return n;
}

template <class Sample>
inline void read_inputs(const PhotoPlane<Sample>* planes, int plane, int t, int row, int g, Scratch& s,
                        Regression* regression) {
    I8* out = s.inputs + g;
    I8 logs[6] = {};
    int count = 0;
    const Diagonal<Sample> own(planes[plane], t, row), first(planes[0], t, row);
    F8 gain = {};
    I8 relative = {};  // prediction in the first kind
    // The first kind of neighbours gives the prediction, and the unit of all differences.
    const auto read = [&](const auto& neighbours, I8 offset) __attribute__((always_inline)) {
        if (count == 0) {
            s.prediction[g] = neighbours.prediction + offset;
            s.activity[g] = neighbours.activity;
            gain = 1024.0f / real(neighbours.activity);
            relative = neighbours.prediction;
            if (regression) regression->begin(t, row, neighbours.difference[kWest] + relative);
        }
        neighbours.write(gain, out);
        logs[count++] = neighbours.log_activity();
    };
    for (int other = 0; other < plane; ++other) {
        const Diagonal<Sample> theirs(planes[other], t, row);
        read(own_neighbours([&](int dy, int dx)
                                __attribute__((always_inline)) { return own(dy, dx) - theirs(dy, dx); }),
             theirs(0, 0));
    }
    read(own_neighbours(own), I8{});
    for (int other = 0; other < plane; ++other) {
        const Diagonal<Sample> theirs(planes[other], t, row);
        read(finished_neighbours([&](int dy, int dx) __attribute__((always_inline)) {
                 return other ? theirs(dy, dx) - first(dy, dx) : theirs(dy, dx);
             }),
             I8{});
    }
    *out = regression ? sized(regression->predict(t, row, s.inputs + g, kBatch, relative, gain)) : I8{};
    out += kBatch;
    if (regression) logs[count] = regression->spread(row);
    ++count;
    for (int i = 0; i < count; i += 2, out += kBatch) *out = pair(logs[i], logs[i + 1]);
}

}  // namespace
