// Included by one translation unit per instruction set. A signal is walked in tiles of points, forward and
// back, so that its activations never leave the cache; every product has the output channels along the vector
// lanes.
#pragma once

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "simd.hpp"
#include "siren.hpp"

namespace {

using namespace neuralcodec;

constexpr int kPoints = 64;

inline IntVec as_bits(Vec v) {
    return reinterpret_cast<IntVec>(v);
}

// Sine and cosine to about 2e-7, for |x| up to some thousands: x - n pi/2 in three parts, then polynomials on
// [-pi/4, pi/4].
inline void sine_cosine(Vec x, Vec& sine, Vec& cosine) {
    const Vec magic =
        splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to whole numbers, kept in the low bits
    const Vec shifted = x * splat(0.636619772f) + magic;
    const IntVec quadrant = as_bits(shifted);
    const Vec n = shifted - magic;
    Vec r = x - n * splat(1.5703125f);
    r = r - n * splat(4.837512969970703125e-4f);
    r = r - n * splat(7.549789948768648e-8f);
    const Vec s = r * r;
    const Vec sin_r =
        r + r * s * (splat(-1.6666654611e-1f) + s * (splat(8.3321608736e-3f) + s * splat(-1.9515295891e-4f)));
    const Vec cos_r = splat(1.0f) - splat(0.5f) * s +
                      s * s *
                          (splat(4.166664568298827e-2f) +
                           s * (splat(-1.388731625493765e-3f) + s * splat(2.443315711809948e-5f)));
    const IntVec one = IntVec{} + 1, two = one + one;
    const IntVec swapped = (quadrant & one) == one;
    const Vec a = swapped ? cos_r : sin_r, b = swapped ? sin_r : cos_r;
    sine = (quadrant & two) == two ? -a : a;
    cosine = ((quadrant + one) & two) == two ? -b : b;
}

// Weights and gradients of a layer with rows padded to vectors, and tiles of what enters it.
struct Layer {
    int in, out, padded_in, padded_out;
    float *weights, *turned,
        *bias;  // in x padded_out; out x padded_in (of the own inputs for the first); padded_out
    float *weight_gradient, *bias_gradient;
    float *input, *slope;  // kPoints x padded_in: activations, and cosines of what made them
};

class Siren {
  public:
    Siren(const SirenShape& shape, float* scratch) : shape_(shape), layers_(size_t(shape.layers)) {
        float* const start = scratch;
        int widest = 0;
        for (int l = 0; l < shape.layers; ++l) {
            Layer& y = layers_[size_t(l)];
            y.in = shape.width[l], y.out = shape.width[l + 1];
            y.padded_in = padded(y.in), y.padded_out = padded(y.out);
            y.weights = take(scratch, y.in * y.padded_out);
            y.bias = take(scratch, y.padded_out);
            y.weight_gradient = take(scratch, y.in * y.padded_out);
            y.bias_gradient = take(scratch, y.padded_out);
            y.turned = take(scratch, y.out * y.padded_in);
            y.input = take(scratch, kPoints * y.padded_in);
            y.slope = take(scratch, kPoints * y.padded_in);
            widest = std::max(widest, std::max(y.padded_in, y.padded_out));
        }
        above_ = take(scratch, kPoints * widest);
        below_ = take(scratch, kPoints * widest);
        floats_ = size_t(scratch - start);
    }

    size_t floats() const { return floats_; }

    double run(const float* features, const SirenSignal& signal) {
        unpack(signal.parameters, signal.target != nullptr);
        double error = 0;
        for (int first = 0; first < shape_.points; first += kPoints) {
            const int points = std::min(kPoints, shape_.points - first);
            forward(features, signal, first, points);
            if (signal.out) copy_outputs(signal.out, first, points);
            if (signal.target) {
                error += residual(signal.target, first, points);
                backward(signal, first, points);
            }
        }
        if (signal.target) pack(signal.parameter_gradient);
        return error;
    }

  private:
    static float* take(float*& scratch, int n) {
        float* p = scratch;
        scratch += padded(n);
        return p;
    }

    void unpack(const float* p, bool learning) {
        for (size_t l = 0; l < layers_.size(); ++l) {
            Layer& y = layers_[l];
            std::memset(y.bias, 0, sizeof(float) * size_t(y.padded_out));
            std::memcpy(y.bias, p, sizeof(float) * size_t(y.out));
            p += y.out;
            std::memset(y.weights, 0, sizeof(float) * size_t(y.in * y.padded_out));
            for (int i = 0; i < y.in; ++i, p += y.out)
                std::memcpy(y.weights + i * y.padded_out, p, sizeof(float) * size_t(y.out));
            if (!learning) continue;
            std::memset(y.turned, 0, sizeof(float) * size_t(y.out * y.padded_in));
            const int skip = l ? 0 : shape_.shared, width = padded(y.in - skip);
            for (int o = 0; o < y.out; ++o)
                for (int i = skip; i < y.in; ++i)
                    y.turned[o * width + i - skip] = y.weights[i * y.padded_out + o];
            std::memset(y.weight_gradient, 0, sizeof(float) * size_t(y.in * y.padded_out));
            std::memset(y.bias_gradient, 0, sizeof(float) * size_t(y.padded_out));
        }
    }

    void forward(const float* features, const SirenSignal& signal, int first, int points) {
        Layer& bottom = layers_[0];
        for (int p = 0; p < points; ++p) {
            float* row = bottom.input + p * bottom.padded_in;
            std::memcpy(row, features + size_t(first + p) * size_t(shape_.shared),
                        sizeof(float) * size_t(shape_.shared));
            if (shape_.own)
                std::memcpy(row + shape_.shared, signal.own + size_t(first + p) * size_t(shape_.own),
                            sizeof(float) * size_t(shape_.own));
        }
        for (size_t l = 0; l < layers_.size(); ++l) {
            const Layer& y = layers_[l];
            for (int p = 0; p < points; ++p)
                std::memcpy(above_ + p * y.padded_out, y.bias, sizeof(float) * size_t(y.padded_out));
            product<true>(above_, y.padded_out, {y.input, y.padded_in, 1}, y.weights, y.padded_out, points,
                          y.padded_out, y.in);
            if (l + 1 == layers_.size()) break;
            const Layer& next = layers_[l + 1];
            for (int i = 0; i < points * y.padded_out; i += kLanes) {
                Vec sine, cosine;
                sine_cosine(load(above_ + i), sine, cosine);
                store(next.input + i, sine);
                store(next.slope + i, cosine);
            }
        }
    }

    void copy_outputs(float* out, int first, int points) const {
        const Layer& top = layers_.back();
        for (int p = 0; p < points; ++p)
            std::memcpy(out + size_t(first + p) * size_t(top.out), above_ + p * top.padded_out,
                        sizeof(float) * size_t(top.out));
    }

    // Turns the outputs into the gradient of their squared error.
    double residual(const float* target, int first, int points) {
        const Layer& top = layers_.back();
        float error = 0;
        for (int p = 0; p < points; ++p)
            for (int o = 0; o < top.out; ++o) {
                float& value = above_[p * top.padded_out + o];
                value -= target[size_t(first + p) * size_t(top.out) + size_t(o)];
                error += value * value;
                value *= 2;
            }
        return double(error);
    }

    void backward(const SirenSignal& signal, int first, int points) {
        for (size_t l = layers_.size(); l-- > 0;) {
            Layer& y = layers_[l];
            for (int p = 0; p < points; ++p)
                for (int o = 0; o < y.padded_out; o += kLanes)
                    store(y.bias_gradient + o,
                          load(y.bias_gradient + o) + load(above_ + p * y.padded_out + o));
            product<true>(y.weight_gradient, y.padded_out, {y.input, 1, y.padded_in}, above_, y.padded_out,
                          y.in, y.padded_out, points);
            const int width = l ? y.padded_in : padded(shape_.own);
            if (!width) break;
            product(below_, width, {above_, y.padded_out, 1}, y.turned, width, points, width, y.out);
            if (l) {
                for (int i = 0; i < points * width; i += kLanes)
                    store(below_ + i, load(below_ + i) * load(y.slope + i));
                std::swap(above_, below_);
            } else {
                for (int p = 0; p < points; ++p)
                    std::memcpy(signal.own_gradient + size_t(first + p) * size_t(shape_.own),
                                below_ + p * width, sizeof(float) * size_t(shape_.own));
            }
        }
    }

    void pack(float* p) const {
        for (const Layer& y : layers_) {
            std::memcpy(p, y.bias_gradient, sizeof(float) * size_t(y.out));
            p += y.out;
            for (int i = 0; i < y.in; ++i, p += y.out)
                std::memcpy(p, y.weight_gradient + i * y.padded_out, sizeof(float) * size_t(y.out));
        }
    }

    const SirenShape& shape_;
    std::vector<Layer> layers_;
    float *above_, *below_;
    size_t floats_;
};

size_t scratch_floats(const SirenShape& shape) {
    return Siren(shape, nullptr).floats();
}

double run(const SirenShape& shape, const float* features, const SirenSignal& signal, float* scratch) {
    return Siren(shape, scratch).run(features, signal);
}

}  // namespace
