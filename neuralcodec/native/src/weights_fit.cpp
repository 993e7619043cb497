// The search for the parameters of a tensor's model. Nothing here binds a decoder: any parameters decode.

#include <algorithm>
#include <array>
#include <cmath>

#include "weights_coder.hpp"
#include "weights_walk.hpp"

namespace neuralcodec {
namespace {

constexpr size_t kSample = 1 << 17, kTrial = 1 << 13;
constexpr double kCoefficientCost = 7;      // bits
constexpr int kBins = 96, kFirstBin = -48;  // histogram of distances, in eighths of an octave of the scale

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

// Least squares of up to kOrder + 2 unknowns by Cholesky; false if the matrix is too close to singular.
constexpr int kUnknowns = kOrder + 2;
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

// log2 of the density of a shape at bins of log-distance, for all shapes.
struct Densities {
    std::vector<float> bits;  // shape by shape: -log2 of the mass of a bin
    explicit Densities(const WeightTables& tables) : bits(size_t(kShapes) * 2 * kBins) {
        for (int s = 0; s < kShapes; ++s) {
            const uint32_t* tail = tables.tail(s);
            auto upper = [&](double z) {
                const double at = z * 256;
                const size_t i = size_t(at);
                return i >= size_t(kTail)
                           ? 0.0
                           : tail[i] + (double(tail[i + 1]) - double(tail[i])) * (at - double(i));
            };
            for (int b = 0; b < 2 * kBins; ++b) {
                const int octave = b - kBins / 2 + kFirstBin;
                const double low = std::exp2(octave / 8.0), high = std::exp2((octave + 1) / 8.0);
                const double mass = 2 * (upper(low) - upper(high)) / 4294967296.0;
                // the same for all models of a bin: what the place within it costs
                bits[size_t(s) * 2 * kBins + size_t(b)] = float(-std::log2(mass + 1e-9 * (high - low)));
            }
        }
    }
    float at(int shape, int bin, int shift) const {
        return bits[size_t(shape) * 2 * kBins + size_t(bin - shift + kBins / 2)];
    }
};

struct Cost {
    const int32_t* levels;
    Lattice lattice;
    int32_t zero_level;
    double bits = 0;
    inline bool bit(bool value, uint32_t p) {
        bits += 24 - std::log2(float(value ? p : (1 << 24) - p));
        return value;
    }
    inline uint64_t raw(uint64_t value, int count) {
        bits += count;
        return value;
    }
    inline bool is_zero(uint64_t i) const { return levels[i] == zero_level; }
    inline int64_t wanted(uint64_t i, Lattice of, int odd) const { return index_of(levels[i], of, odd); }
    inline void zero(uint64_t) {}
    inline bool operator()(uint64_t i, const Cells& c, int64_t* index) {
        *index = index_of(levels[i], lattice, c.odd);
        const int64_t h = (*index - c.centre) >> c.plain;
        const int s = h <= -kHalf ? -kHalf : h >= kHalf - 1 ? kHalf - 1 : int(h);
        bits += 24 - std::log2(float(c.start(s + 1) - c.start(s))) + float(c.plain);
        if (s != h || s == kHalf - 1) bits += 2 * std::log2(1 + std::fabs(double(h))) + 6;
        return true;
    }
};

double cost_of(const WeightTables& tables, const TensorModel& m, const Geometry& g, const int32_t* levels,
               uint64_t count, std::vector<int32_t>* scratch) {
    scratch->resize(count);
    Cost cost{levels, m.lattice, int32_t(-m.centre)};
    walk(m, tables, g, count, scratch->data(), cost);
    return cost.bits;
}

// Elements on which models are tried.
uint64_t trial_size(const Geometry& g) {
    return std::min<uint64_t>(g.count, std::max<uint64_t>(kTrial, 2 * std::min<uint64_t>(g.cols, 1 << 16)));
}

struct Spread {
    std::vector<double> sum, size;
    explicit Spread(uint64_t groups) : sum(groups), size(groups) {}
    void add(uint64_t group, double v) { sum[group] += v, size[group] += 1; }
    // Variance between the groups' means over what chance gives.
    double ratio(double variance) const {
        double all = 0, count = 0, between = 0, groups = 0;
        for (size_t i = 0; i < sum.size(); ++i) all += sum[i], count += size[i];
        const double mean = all / std::max(count, 1.0);
        for (size_t i = 0; i < sum.size(); ++i)
            if (size[i] > 0)
                between += (sum[i] / size[i] - mean) * (sum[i] / size[i] - mean) * size[i], groups += 1;
        return groups > 1 && variance > 0 ? between / (groups - 1) / variance : 1;
    }
};

// Scales and shape from the distances to the predictions, and which adaptations look worth a trial.
struct Fit {
    bool rows = false, channels = false, near = false;
};

Fit fit_scales(const Densities& densities, const Sample& sample, const Geometry& g, TensorModel* m) {
    const Neighbours near{m->order, m->above, m->beside, g.taps};
    std::vector<size_t> first(g.taps + 1, 0);
    for (uint32_t t = 0; t < g.taps; ++t) first[t + 1] = first[t] + size_t(m->tap_coefficients(t, g.taps));
    std::vector<float> away(sample.size());
    std::vector<double> power(g.taps), count(g.taps);
    size_t at = 0;
    int64_t values[kUnknowns];
    for (const uint64_t row : sample.rows) {
        const uint64_t start = row * g.cols, width = sample.width(row);
        for (uint64_t column = 0; column < width; ++column) {
            const uint32_t tap = uint32_t(column % g.taps);
            int64_t mean = 0;
            if (!m->coefficients.empty()) {
                const int k = near.read(sample.levels, start + column, column, row, g.cols, values);
                for (int j = 0; j < k; ++j) mean += values[j] * m->coefficients[first[tap] + size_t(j)];
            }
            const double d =
                std::fabs(sample.levels[start + column] - double(mean) / (1 << kCoefficientBits));
            if (m->spike && sample.levels[start + column] == -m->centre) {
                away[at++] = -1;
                continue;
            }
            away[at++] = float(d);
            power[tap] += d * d, count[tap] += 1;
        }
    }
    double all = 0, total = 0;
    for (uint32_t t = 0; t < g.taps; ++t) all += power[t], total += count[t];
    m->scale.assign(g.taps, 0);
    std::vector<float> inverse(g.taps);
    for (uint32_t t = 0; t < g.taps; ++t) {
        // shrunk towards the mean of all taps, for what few elements tell is not sure
        const double rms = std::sqrt((power[t] + 4 * all / std::max(total, 1.0)) / (count[t] + 4));
        inverse[t] = float(1 / std::max(rms, 0.02));
        m->scale[t] =
            std::clamp(int(std::lround(kScaleOrigin + 16 * std::log2(std::max(rms, 0.02)))), 0, kScales - 1);
    }
    std::array<double, kBins> histogram{};
    at = 0;
    double mean = 0, square = 0, lag = 0, last = 0;
    Spread rows(sample.rows.size()), channels(std::min<uint64_t>(g.cols, kSample) / g.taps + 1);
    for (size_t r = 0; r < sample.rows.size(); ++r) {
        const uint64_t width = sample.width(sample.rows[r]);
        uint32_t tap = 0;
        uint64_t channel = 0;
        for (uint64_t column = 0; column < width; ++column) {
            if (away[at] < 0) {
                ++at;
                if (++tap == g.taps) tap = 0, ++channel;
                continue;
            }
            const float z = away[at++] * inverse[tap];
            const int bin = z > 0 ? int(std::floor(8 * std::log2(z))) - kFirstBin : 0;
            histogram[size_t(std::clamp(bin, 0, kBins - 1))] += 1;
            const double v = std::min(z, 4.0f);
            mean += v, square += v * v, lag += v * last, last = v;
            rows.add(r, v), channels.add(channel, v);
            if (++tap == g.taps) tap = 0, ++channel;
        }
    }
    double best = 1e300;
    int shift = 0;
    for (int s = 0; s < kShapes; ++s)
        for (int by = -16; by <= 8; ++by) {
            double bits = 0;
            for (int b = 0; b < kBins; ++b)
                if (histogram[size_t(b)] > 0) bits += histogram[size_t(b)] * densities.at(s, b, by);
            bits += s == 0 ? 0 : s == 16 ? 2 : 5;  // of the parameter itself
            if (bits < best) best = bits, m->shape = s, shift = by;
        }
    for (int& l : m->scale) {
        l = std::clamp(l + 2 * shift, 0, kScales - 1);
        if (g.count < 256 && g.taps == 1) l &= ~1;  // few elements do not tell more
    }
    const double n = std::max(total, 1.0), variance = square / n - mean / n * (mean / n);
    Fit fit;
    fit.rows = rows.ratio(variance) > 1.5, fit.channels = channels.ratio(variance) > 1.5;
    fit.near = variance > 0 && (lag / n - mean / n * (mean / n)) / variance > 0.04 + 2 / std::sqrt(n);
    return fit;
}

// Sets all but the prediction; returns the bits of a trial.
double fit_rest(const WeightTables& tables, const Densities& densities, const Sample& sample,
                const Geometry& g, const int32_t* levels, TensorModel* m) {
    m->row = m->channel = m->near = 0;
    const Fit fit = fit_scales(densities, sample, g, m);
    std::vector<int32_t> scratch;
    const uint64_t trial = trial_size(g);
    double best = cost_of(tables, *m, g, levels, trial, &scratch);
    auto keep = [&](const TensorModel& other) {
        const double bits = cost_of(tables, other, g, levels, trial, &scratch);
        const bool better = bits < best - 4;
        if (better) best = bits, *m = other;
        return better;
    };
    // Where the scale is about a level, the histogram of distances is too coarse: try.
    const int least = *std::min_element(m->scale.begin(), m->scale.end());
    const bool coarse =
        least < kScaleOrigin + (m->lattice == Lattice::odd || m->lattice == Lattice::zero ? 48 : 32);
    if (coarse && g.count >= 64) {
        for (const int shape : {0, 8, 16, 28}) {
            TensorModel other = *m;
            other.shape = shape;
            keep(other);
        }
        for (const int by : {8, 4, 2, -8, -4, -2, 1, -1})
            for (bool again = true; again;) {
                TensorModel other = *m;
                for (int& l : other.scale) l = std::clamp(l + by, 0, kScales - 1);
                again = keep(other);
            }
    }
    if (g.count >= 256 && (fit.rows || fit.channels || fit.near)) {
        const TensorModel still = *m;
        constexpr int gains[][3] = {{8, 0, 0}, {0, 8, 0},   {0, 0, 6},  {8, 8, 0},
                                    {6, 6, 6}, {12, 12, 0}, {12, 0, 4}, {0, 12, 4}};
        for (const auto& gain : gains) {
            if ((gain[0] && !fit.rows) || (gain[1] && !fit.channels) || (gain[2] && !fit.near)) continue;
            for (const int shape : {still.shape, 0}) {
                TensorModel other = still;
                other.row = gain[0], other.channel = gain[1], other.near = gain[2], other.shape = shape;
                keep(other);
                if (!still.shape) break;
            }
        }
    }
    return best;
}

}  // namespace

void fit_model(const WeightTables& tables, const Geometry& g, const int32_t* levels, TensorModel* m) {
    static const Densities densities(tables);
    const Sample sample(g, levels);
    choose_prediction(sample, g, m);
    uint64_t zeros = 0;
    for (const uint64_t row : sample.rows)
        for (uint64_t c = 0; c < sample.width(row); ++c)
            zeros += sample.levels[row * g.cols + c] == -m->centre;
    const bool dependent = m->lattice == Lattice::zero;
    const bool possible =
        m->lattice != Lattice::odd && !(dependent && m->centre) && zeros * 20 > sample.size();
    const TensorModel predicted = *m;
    double least = fit_rest(tables, densities, sample, g, levels, m);
    if (possible) {
        TensorModel apart = predicted;
        apart.spike = true;
        const double bits = fit_rest(tables, densities, sample, g, levels, &apart);
        if (bits < least) least = bits, *m = apart;
    }
    const bool small = *std::min_element(m->scale.begin(), m->scale.end()) < kScaleOrigin + 16 * 3;
    if (small && (m->lattice == Lattice::plain || (dependent && !m->centre))) {
        TensorModel flags;
        flags.kind = m->kind, flags.lattice = m->lattice, flags.trellis = m->trellis, flags.step = m->step;
        flags.error = m->error, flags.centre = m->centre, flags.bins = true;
        flags.scale.assign(g.taps, 0);
        std::vector<int32_t> scratch;
        const double bits = cost_of(tables, flags, g, levels, trial_size(g), &scratch);
        if (bits < least) *m = flags;
    }
}

double model_bits(const WeightTables& tables, const TensorModel& m, const Geometry& g,
                  const int32_t* levels) {
    std::vector<int32_t> scratch;
    return cost_of(tables, m, g, levels, g.count, &scratch);
}

}  // namespace neuralcodec
