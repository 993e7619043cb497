// The search for the parameters of a tensor's model. Nothing here binds a decoder: any parameters decode.

#include <algorithm>
#include <array>
#include <cmath>

#include "weights_coder.hpp"
#include "weights_sample.hpp"
#include "weights_walk.hpp"

namespace neuralcodec {
namespace {

constexpr size_t kTrial = 1 << 13;
constexpr int kBins = 96, kFirstBin = -48;  // histogram of distances, in eighths of an octave of the scale

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

// The likeliest shape, and by how many eighths of an octave the scale moves for it. The likelihood has one
// maximum over the shift, so the search climbs, from shape to shape.
int likeliest(const Densities& densities, const std::array<double, kBins>& histogram, int* shape) {
    std::vector<std::pair<int, double>> filled;
    for (int b = 0; b < kBins; ++b)
        if (histogram[size_t(b)] > 0) filled.emplace_back(b, histogram[size_t(b)]);
    double best = 1e300;
    int shift = 0, best_shift = 0;
    for (int s = 0; s < kShapes; ++s) {
        auto bits_at = [&](int by) {
            double bits = s == 0 ? 0 : s == 16 ? 2 : 5;  // of the parameter itself
            for (const auto& [bin, count] : filled) bits += count * densities.at(s, bin, by);
            return bits;
        };
        if (s == 17 || s == 25) shift = 0;
        double here = bits_at(shift);
        for (const int way : {-1, 1})
            for (; shift + way >= -16 && shift + way <= 8; shift += way) {
                const double there = bits_at(shift + way);
                if (there >= here) break;
                here = there;
            }
        if (here < best) best = here, best_shift = shift, *shape = s;
    }
    return best_shift;
}

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
    const int shift = likeliest(densities, histogram, &m->shape);
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

// Models tried on the same elements.
class Trials {
  public:
    Trials(const WeightTables& tables, const Geometry& g, const int32_t* levels)
        : tables_(tables), g_(g), levels_(levels), count_(trial_size(g)) {}
    double bits(const TensorModel& m) { return cost_of(tables_, m, g_, levels_, count_, &scratch_); }
    // Replaces a model by another that is worth its while; `bits` are the first one's.
    bool keep(const TensorModel& other, TensorModel* m, double* bits) {
        const double found = this->bits(other);
        if (found >= *bits - 4) return false;
        *bits = found, *m = other;
        return true;
    }

  private:
    const WeightTables& tables_;
    const Geometry& g_;
    const int32_t* levels_;
    uint64_t count_;
    std::vector<int32_t> scratch_;
};

// Where the scale is about a level, the histogram of distances is too coarse: try.
void refine_coarse(Trials* trials, TensorModel* m, double* bits) {
    for (const int shape : {0, 8, 16, 28}) {
        TensorModel other = *m;
        other.shape = shape;
        trials->keep(other, m, bits);
    }
    for (const int by : {8, 4, 2, -8, -4, -2, 1, -1})
        for (bool again = true; again;) {
            TensorModel other = *m;
            for (int& l : other.scale) l = std::clamp(l + by, 0, kScales - 1);
            again = trials->keep(other, m, bits);
        }
}

void choose_gains(Trials* trials, const Fit& fit, TensorModel* m, double* bits) {
    const TensorModel still = *m;
    constexpr int gains[][3] = {{8, 0, 0}, {0, 8, 0},   {0, 0, 6},  {8, 8, 0},
                                {6, 6, 6}, {12, 12, 0}, {12, 0, 4}, {0, 12, 4}};
    for (const auto& gain : gains) {
        if ((gain[0] && !fit.rows) || (gain[1] && !fit.channels) || (gain[2] && !fit.near)) continue;
        for (const int shape : {still.shape, 0}) {
            TensorModel other = still;
            other.row = gain[0], other.channel = gain[1], other.near = gain[2], other.shape = shape;
            trials->keep(other, m, bits);
            if (!still.shape) break;
        }
    }
}

// Sets all but the prediction.
void fit_rest(Trials* trials, const Densities& densities, const Sample& sample, const Geometry& g,
              TensorModel* m) {
    m->row = m->channel = m->near = 0;
    const Fit fit = fit_scales(densities, sample, g, m);
    const int least = *std::min_element(m->scale.begin(), m->scale.end());
    const bool coarse = g.count >= 64 && least < kScaleOrigin + (m->dependent() ? 48 : 32);
    const bool varies = g.count >= 256 && (fit.rows || fit.channels || fit.near);
    if (!coarse && !varies) return;
    double bits = trials->bits(*m);
    if (coarse) refine_coarse(trials, m, &bits);
    if (varies) choose_gains(trials, fit, m, &bits);
}

TensorModel flags_model(const TensorModel& m, const Geometry& g) {
    TensorModel flags;
    flags.kind = m.kind, flags.lattice = m.lattice, flags.trellis = m.trellis, flags.step = m.step;
    flags.error = m.error, flags.centre = m.centre, flags.bins = true;
    flags.scale.assign(g.taps, 0);
    return flags;
}

}  // namespace

void fit_model(const WeightTables& tables, const Geometry& g, const int32_t* levels, TensorModel* m) {
    static const Densities densities(tables);
    const Sample sample(g, levels);
    Trials trials(tables, g, levels);
    choose_prediction(sample, g, m);
    TensorModel apart = *m;
    fit_rest(&trials, densities, sample, g, m);
    const bool dependent = m->lattice == Lattice::zero;
    if (m->lattice == Lattice::odd || (dependent && m->centre)) return;
    uint64_t zeros = 0;
    for (const uint64_t row : sample.rows)
        for (uint64_t c = 0; c < sample.width(row); ++c)
            zeros += sample.levels[row * g.cols + c] == -m->centre;
    const bool many = zeros * 20 > sample.size();
    const bool small = *std::min_element(m->scale.begin(), m->scale.end()) < kScaleOrigin + 16 * 3;
    if (!many && !small) return;
    double bits = trials.bits(*m);
    if (many) {
        apart.spike = true;
        fit_rest(&trials, densities, sample, g, &apart);
        trials.keep(apart, m, &bits);
    }
    if (small && m->lattice != Lattice::floor) trials.keep(flags_model(*m, g), m, &bits);
}

double model_bits(const WeightTables& tables, const TensorModel& m, const Geometry& g,
                  const int32_t* levels) {
    std::vector<int32_t> scratch;
    return cost_of(tables, m, g, levels, g.count, &scratch);
}

}  // namespace neuralcodec
