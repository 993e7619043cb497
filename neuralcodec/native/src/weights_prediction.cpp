// Linear prediction of levels by least squares. Nothing here binds a decoder.

#include <algorithm>
#include <cmath>

#include "weights_sample.hpp"

namespace neuralcodec {
namespace {

constexpr double kCoefficientCost = 7;  // bits

// Least squares of up to kOrder + 2 unknowns by Cholesky; false if the matrix is too close to singular.
struct Normal {
    double a[kUnknowns][kUnknowns] = {}, b[kUnknowns] = {}, power = 0;
    int size = 0;

    bool solve(double* x) const {
        double l[kUnknowns][kUnknowns] = {};
        for (int i = 0; i < size; ++i)
            for (int j = 0; j <= i; ++j) {
                double s = a[i][j] + (i == j ? 1e-6 * a[i][i] + 1e-9 : 0);
                for (int k = 0; k < j; ++k) s -= l[i][k] * l[j][k];
                if (i != j) {
                    l[i][j] = s / l[j][j];
                } else {
                    if (!(s > 0)) return false;
                    l[i][i] = std::sqrt(s);
                }
            }
        double y[kUnknowns];
        for (int i = 0; i < size; ++i) {
            y[i] = b[i];
            for (int k = 0; k < i; ++k) y[i] -= l[i][k] * y[k];
            y[i] /= l[i][i];
        }
        for (int i = size - 1; i >= 0; --i) {
            x[i] = y[i];
            for (int k = i + 1; k < size; ++k) x[i] -= l[k][i] * x[k];
            x[i] /= l[i][i];
        }
        return true;
    }
};

// Tries a set of neighbours: sets the coefficients in m and returns the bits that they save.
double try_prediction(const Sample& sample, const Geometry& g, Neighbours near, TensorModel* m) {
    std::vector<Normal> systems(g.taps);
    double values[kUnknowns];
    for (const uint64_t row : sample.rows) {
        const uint64_t start = row * g.cols, width = sample.width(row);
        for (uint64_t column = 0; column < width; ++column) {
            Normal& s = systems[column % g.taps];
            const double y = sample.levels[start + column];
            s.size = near.read(sample.levels, start + column, column, row, g.cols, values);
            s.power += y * y;
            for (int i = 0; i < s.size; ++i) {
                s.b[i] += values[i] * y;
                for (int j = 0; j <= i; ++j) s.a[i][j] += values[i] * values[j];
            }
        }
    }
    m->order = near.order, m->above = near.above, m->beside = near.beside;
    m->coefficients.clear();
    double saved = -kCoefficientCost;
    const double share = double(g.count) / double(g.taps);
    for (const Normal& s : systems) {
        double x[kUnknowns];
        if (s.size && !s.solve(x)) return -1;
        double left = s.power;
        int8_t rounded[kUnknowns];
        for (int i = 0; i < s.size; ++i) {
            rounded[i] = int8_t(std::lround(std::clamp(x[i] * (1 << kCoefficientBits), -127.0, 127.0)));
            m->coefficients.push_back(rounded[i]);
            saved -= kCoefficientCost;
        }
        for (int i = 0; i < s.size; ++i) {
            const double ci = rounded[i] / double(1 << kCoefficientBits);
            left += ci * (ci * s.a[i][i] - 2 * s.b[i]);
            for (int j = 0; j < i; ++j)
                left += 2 * ci * rounded[j] / double(1 << kCoefficientBits) * s.a[i][j];
        }
        const double floor = 0.1 * share;  // cells of a level's width: there is nothing to save below
        if (s.power > floor) saved += share / 2 * std::log2(s.power / std::max(left, floor));
    }
    return saved;
}

}  // namespace

void choose_prediction(const Sample& sample, const Geometry& g, TensorModel* m) {
    m->order = 0, m->above = m->beside = false;
    m->coefficients.clear();
    if (g.count < 48) return;
    // Correlations tell which neighbours are worth a look.
    double power = 0, lag[kOrder + 1] = {}, above = 0, beside = 0;
    const int lags =
        int(std::min<uint64_t>(g.taps > 1 ? std::min<uint64_t>(g.taps - 1, kOrder) : kOrder, g.cols - 1));
    for (const uint64_t row : sample.rows) {
        const int32_t* n = sample.levels + row * g.cols;
        const uint64_t width = sample.width(row);
        for (uint64_t c = 0; c < width; ++c) {
            const double y = n[c];
            power += y * y;
            for (int j = 1; j <= lags && uint64_t(j) <= c; ++j) lag[j] += y * n[c - uint64_t(j)];
            if (row) above += y * n[int64_t(c) - int64_t(g.cols)];
            if (g.taps > 1 && c >= g.taps) beside += y * n[c - g.taps];
        }
    }
    const double significant = std::max(0.004, 10.0 / double(sample.size())) * power * power;
    bool along = false;
    for (int j = 1; j <= lags; ++j) along = along || lag[j] * lag[j] > significant;
    const bool up = above * above > significant, left = beside * beside > significant;
    TensorModel best = *m;
    double most = 0;
    for (const Neighbours near :
         {Neighbours{lags, false, false, g.taps}, Neighbours{lags, up, left, g.taps},
          Neighbours{0, up, left, g.taps}, Neighbours{std::min(lags, 2), up, left, g.taps}}) {
        if (!(near.order && along) && !(near.above || near.beside)) continue;
        TensorModel trial = *m;
        const double saved = try_prediction(sample, g, near, &trial);
        if (saved > most) most = saved, best = trial;
    }
    *m = best;
}

}  // namespace neuralcodec
