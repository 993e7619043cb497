// Networks that go on learning from the samples that are coded (docs/format.md, section 11.8). Everything has
// internal linkage.
#pragma once

#include <cstring>

#include "photo.hpp"
#include "photo_inputs.hpp"
#include "photo_layers.hpp"
#include "photo_vectors.hpp"

namespace {

using namespace neuralcodec;

constexpr int kMostGradient = 4096;         // of outputs: 4, with 10 fraction bits
constexpr int kMostHiddenGradient = 16384;  // with 12
constexpr int kStepSamples = 128;           // that are coded before a step is taken

// Inputs of a layer in pairs of rows: of each pair of units (a, b), two words of 16-bit halves, a of both
// rows and b of both rows. Rows 2r and 2r + 1 stand at the lanes 2r and 2r + 1.
inline I8 by_rows(I8 units) {
    const I8 other = swapped(units), even = {-1, 0, -1, 0, -1, 0, -1, 0};
    const I8 a = (units & 0xFFFF) | (other << 16);
    const I8 b = (other >> 16 & 0xFFFF) | (units & ~0xFFFF);
    return (a & even) | (b & ~even);
}

// Adam (Kingma and Ba, 2015) on the weights and biases of one layer, in the order of PhotoLayer: the four
// outputs of a tile, each with a pair of inputs, are eight lanes.
class OnlineLayer {
  public:
    OnlineLayer() = default;
    // Takes its memory from `memory` on.
    OnlineLayer(const PhotoLayer& source, float rate, int unit, uint8_t*& memory)
        : source_(source), rate_(rate * float(1 << source.shift)), unit_(float(1 << unit)) {
        size_ = vectors(source);
        const auto take = [&](size_t bytes) {
            uint8_t* at = memory;
            memory += bytes;
            return at;
        };
        weights_ = reinterpret_cast<Weights*>(take(size_ * sizeof(Weights)));
        gradients_ = reinterpret_cast<I8*>(take(size_ * sizeof(I8)));
        words_ = reinterpret_cast<int32_t*>(take(size_ * sizeof(H8)));
        biases_ = reinterpret_cast<Weights*>(take(tiles() * sizeof(Weights)));
        bias_gradients_ = reinterpret_cast<I8*>(take(tiles() * sizeof(I8)));
        offsets_ = reinterpret_cast<int32_t*>(take(tiles() * sizeof(I8)));
        reset();
    }
    static size_t bytes(const PhotoLayer& layer) {
        return vectors(layer) * (sizeof(Weights) + sizeof(I8) + sizeof(H8)) +
               size_t(layer.outputs / 4) * (sizeof(Weights) + 2 * sizeof(I8));
    }

    PhotoLayer layer() const {
        return {source_.pairs, source_.outputs, source_.shift, words_, source_.bias ? offsets_ : nullptr};
    }
    // `rows`: of each of some groups of rows, the inputs by_rows(), kMostWords apart; `gradients`: of the
    // outputs, kBatch apart. Sums are modulo 2^32, which they hardly ever reach.
    void gather(const I8* rows, const I8* gradients, int groups) {
        int o = 0;
        if (kWide > 1)
            for (; o + 16 <= source_.outputs; o += 16) gather_tiles<4>(rows, gradients, groups, o / 4);
        for (; o + 8 <= source_.outputs; o += 8) gather_tiles<2>(rows, gradients, groups, o / 4);
        if (o < source_.outputs) gather_tiles<1>(rows, gradients, groups, o / 4);
    }

    // Take a step. `factor`: of the step size, for the bias of the means.
    void step(float factor) {
        const float size = rate_ * factor;
        for (size_t i = 0; i < size_; ++i) {
            weights_[i].step(gradients_[i], size, 32767.0f);
            const H8 word = narrow(nearest(weights_[i].value));
            std::memcpy(words_ + 4 * i, &word, sizeof word);
        }
        if (!source_.bias) return;
        for (size_t i = 0; i < tiles(); ++i) {
            biases_[i].step(bias_gradients_[i], size * unit_, 1073741824.0f);
            const I8 offset = nearest(biases_[i].value);
            for (int o = 0; o < 4; ++o) offsets_[4 * i + size_t(o)] = offset[2 * o];
        }
    }

  private:
    struct Weights {
        F8 value, mean, square;

        void step(I8& gradient, float size, float most_value) {
            const F8 g = real(gradient);
            const F8 smooth = mean * 0.9f + g * 0.1f;
            // what has faded is 0: subnormal numbers are slow
            mean = most(smooth, -smooth) < 0.0625f ? F8{} : smooth;
            square = square * 0.99f + g * g * 0.01f;
            value = within(value - mean * size / (root(square) + 64.0f), most_value);
            gradient = I8{};
        }
    };

    PhotoLayer source_;
    float rate_, unit_;
    size_t size_;
    Weights *weights_, *biases_;
    I8 *gradients_, *bias_gradients_;
    int32_t *words_, *offsets_;

    static size_t vectors(const PhotoLayer& layer) { return size_t(layer.outputs / 4) * size_t(layer.pairs); }
    size_t tiles() const { return size_t(source_.outputs / 4); }

    void reset() {
        std::memset(weights_, 0, size_ * sizeof(Weights));
        std::memset(biases_, 0, tiles() * sizeof(Weights));
        std::memset(gradients_, 0, size_ * sizeof(I8));
        std::memset(bias_gradients_, 0, tiles() * sizeof(I8));
        std::memcpy(words_, source_.weights, size_ * sizeof(H8));
        for (size_t i = 0; i < size_; ++i)
            for (int o = 0; o < 4; ++o) {
                const int32_t word = words_[4 * i + size_t(o)];
                weights_[i].value[2 * o] = float(word << 16 >> 16);
                weights_[i].value[2 * o + 1] = float(word >> 16);
            }
        if (!source_.bias) return;
        std::memcpy(offsets_, source_.bias, size_t(source_.outputs) * sizeof(int32_t));
        for (int o = 0; o < source_.outputs; ++o)
            for (int twice = 0; twice < 2; ++twice)
                biases_[o / 4].value[2 * (o % 4) + twice] = float(offsets_[o]);
    }

    // Of `count` tiles of 4 outputs.
    template <int count>
    void gather_tiles(const I8* rows, const I8* gradients, int groups, int tile) {
        I8 g[kBatch][kLanes / 2][count];
        for (int group = 0; group < groups; ++group)
            for (int c = 0; c < count; ++c) {
                const I8* own = gradients + 4 * (tile + c) * kBatch + group;
                I8 both[4];
                for (int o = 0; o < 4; ++o) both[o] = pair(own[o * kBatch], swapped(own[o * kBatch]));
                for (int r = 0; r < kLanes / 2; ++r) {
                    const I8 one = {both[0][2 * r], both[0][2 * r], both[1][2 * r], both[1][2 * r],
                                    both[2][2 * r], both[2][2 * r], both[3][2 * r], both[3][2 * r]};
                    bias_gradients_[tile + c] += products(one, splat(0x00010001));
                    g[group][r][c] = one;
                }
            }
        for (int p = 0; p < source_.pairs; p += kWide) {
            I8* out = gradients_ + size_t(tile) * size_t(source_.pairs) + size_t(p);
            IW sum[count];
            for (int c = 0; c < count; ++c) sum[c] = wide(out + c * source_.pairs);
            for (int group = 0; group < groups; ++group) {
                const IW x = wide(rows + group * kMostWords + p);
                for (int r = 0; r < kLanes / 2; ++r) {
                    const IW some = twice_each(x, r);
                    for (int c = 0; c < count; ++c)
                        sum[c] = add_products(sum[c], some, repeated(g[group][r][c]));
                }
            }
            for (int c = 0; c < count; ++c) std::memcpy(out + c * source_.pairs, &sum[c], sizeof sum[c]);
        }
    }
};

// A layer's weights from its outputs to its inputs.
class Transposed {
  public:
    Transposed() = default;
    Transposed(const PhotoLayer& layer, uint8_t*& memory)
        : inputs_(2 * layer.pairs), pairs_(layer.outputs / 2), shift_(layer.shift) {
        words_ = reinterpret_cast<int32_t*>(memory);
        memory += bytes(layer);
        update(layer);
    }
    static size_t bytes(const PhotoLayer& layer) {
        return size_t(layer.pairs) * size_t(layer.outputs) * sizeof(int32_t);
    }
    PhotoLayer layer() const { return {pairs_, inputs_, shift_, words_, nullptr}; }

    void update(const PhotoLayer& layer) {
        for (int o = 0; o < layer.outputs; o += 4)
            for (int p = 0; p < layer.pairs; ++p) {
                const int32_t* w = layer.weights + (size_t(o / 4) * size_t(layer.pairs) + size_t(p)) * 4;
                for (int i = 0; i < 2; ++i) {
                    const int input = 2 * p + i;
                    int32_t* out =
                        words_ + (size_t(input / 4) * size_t(pairs_) + size_t(o / 2)) * 4 + input % 4;
                    for (int both = 0; both < 2; ++both) {
                        const auto half = [&](int32_t word) {
                            return uint32_t(i ? word >> 16 : word) & 0xFFFF;
                        };
                        out[4 * both] = int32_t(half(w[2 * both]) | half(w[2 * both + 1]) << 16);
                    }
                }
            }
    }

  private:
    int inputs_, pairs_, shift_;
    int32_t* words_;
};

// What a plane's network learns while a tile is coded.
class Online {
  public:
    // `memory`: bytes() of it, aligned to 64.
    Online(const PhotoNetwork& network, void* memory)
        : components_(network.components),
          differences_(photo_inputs(network.plane)),
          online_(network.online),
          layers_(network.layers) {
        if (online_ == PhotoOnline::none) return;
        auto* at = static_cast<uint8_t*>(memory);
        const PhotoLayers& l = network.layers;
        last_ = OnlineLayer(l.last, 1.0f / 1024, 8, at);
        linear_ = OnlineLayer(l.linear, 1.0f / 8192, 7, at);
        layers_.last = last_.layer();
        layers_.linear = linear_.layer();
        if (online_ == PhotoOnline::last) return;
        first_ = OnlineLayer(l.first, 1.0f / 2048, 7, at);
        second_ = OnlineLayer(l.second, 1.0f / 1024, 8, at);
        layers_.first = first_.layer();
        layers_.second = second_.layer();
        last_back_ = Transposed(layers_.last, at);
        second_back_ = Transposed(layers_.second, at);
    }
    static size_t bytes(const PhotoNetwork& network) {
        const PhotoLayers& l = network.layers;
        if (network.online == PhotoOnline::none) return 0;
        const size_t some = OnlineLayer::bytes(l.last) + OnlineLayer::bytes(l.linear);
        if (network.online == PhotoOnline::last) return some;
        return some + OnlineLayer::bytes(l.first) + OnlineLayer::bytes(l.second) + Transposed::bytes(l.last) +
               Transposed::bytes(l.second);
    }

    const PhotoLayers& layers() const { return layers_; }

    // Learn from groups of eight rows, the gradients of whose outputs are there.
    void learn(Scratch& s, int groups) {
        if (online_ == PhotoOnline::none) return;
        if (online_ == PhotoOnline::all) propagate(s, groups);
        I8 rows[kBatch * kMostWords];
        const auto read = [&](const I8* units, int pairs) {
            for (int g = 0; g < groups; ++g)
                for (int p = 0; p < pairs; ++p) rows[g * kMostWords + p] = by_rows(units[p * kBatch + g]);
            return rows;
        };
        last_.gather(read(s.hidden[1], layers_.last.pairs), s.gradients, groups);
        // The linear layer reads differences alone: of logarithms it learns nothing.
        for (int g = 0; g < groups; ++g)
            for (int p = 0; p < layers_.linear.pairs; ++p)
                rows[g * kMostWords + p] =
                    p < differences_ ? by_rows(s.inputs[p * kBatch + g] & 0xFFFF) : I8{};
        linear_.gather(rows, s.gradients + components_ * kBatch, groups);
        if (online_ == PhotoOnline::last) return;
        second_.gather(read(s.hidden[0], layers_.second.pairs), s.hidden_gradients[1], groups);
        first_.gather(read(s.inputs, layers_.first.pairs), s.hidden_gradients[0], groups);
    }

    // A diagonal of so many samples has ended.
    void coded(int samples) {
        if (online_ == PhotoOnline::none) return;
        waiting_ += samples;
        if (waiting_ < kStepSamples) return;
        waiting_ = 0;
        mean_decay_ *= 0.9f;
        square_decay_ *= 0.99f;
        const float factor = root(splat(1.0f - square_decay_))[0] / (1.0f - mean_decay_);
        last_.step(factor);
        linear_.step(factor);
        if (online_ == PhotoOnline::last) return;
        first_.step(factor);
        second_.step(factor);
        last_back_.update(layers_.last);
        second_back_.update(layers_.second);
    }

  private:
    int components_, differences_;
    PhotoOnline online_;
    PhotoLayers layers_;
    OnlineLayer first_, second_, last_, linear_;
    Transposed last_back_, second_back_;
    int waiting_ = 0;
    float mean_decay_ = 1.0f, square_decay_ = 1.0f;  // powers of the decay of Adam's means

    // The gradients of what both hidden layers give before they are clamped.
    void propagate(Scratch& s, int groups) const {
        I8 *first = s.hidden_gradients[0], *second = s.hidden_gradients[1];
        const auto back = [&](const Transposed& way, const I8* from, int outputs, int gain, auto use) {
            for (int o = 0; o < outputs; o += 2)
                for (int g = 0; g < groups; ++g)
                    s.gradient_pairs[o / 2 * kBatch + g] =
                        pair(from[o * kBatch + g], from[(o + 1) * kBatch + g]);
            const PhotoLayer there = way.layer();
            const int shift = there.shift - gain, half = 1 << shift >> 1;
            layer(there, s.gradient_pairs, groups, [&](int u, int g, I8 a, I8 b, I8 c, I8 d) {
                const I8 sums[4] = {a, b, c, d};
                for (int i = 0; i < 4; ++i) use(u + i, g, (sums[i] + half) >> shift);
            });
        };
        const auto bounded = [](I8 x) {
            return least(most(x, splat(-kMostHiddenGradient)), splat(kMostHiddenGradient));
        };
        const auto moves = [](I8 value) { return (value > 0) & (value < kActivationMost); };
        const auto unit = [](const I8* units, int u, int g) {
            const I8 both = units[u / 2 * kBatch + g];
            return u % 2 ? both >> 16 : both & 0xFFFF;
        };
        // The second layer is added to the first, whose gradient has two parts.
        back(last_back_, s.gradients, layers_.last.outputs, 2, [&](int u, int g, I8 sum) {
            const int at = u * kBatch + g;
            first[at] = bounded(sum);
            second[at] = first[at] & moves(unit(s.hidden[1], u, g) - unit(s.hidden[0], u, g));
        });
        back(second_back_, second, layers_.second.outputs, 0, [&](int u, int g, I8 sum) {
            const int at = u * kBatch + g;
            first[at] = bounded(first[at] + sum) & moves(unit(s.hidden[0], u, g));
        });
    }
};

}  // namespace
