#include "weights_record.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "float_state.hpp"
#include "tensor_coder.hpp"
#include "threads.hpp"
#include "weights_coder.hpp"

namespace neuralcodec {
namespace {

constexpr double kDependentGain[9] = {0, 0, 1.256, 1.285, 1.303, 1.322, 1.337, 1.35, 1.359};
// Below so many levels of deviation zero is a level of both lattices.
constexpr double kZeroLattice = 0.85;
constexpr double kSparse = 0.05;
constexpr int kOutlierOctaves = 16;
constexpr uint64_t kLeastModelled = 16, kLeastPlanes = 512;  // bytes of a tensor
constexpr double kFewLevels = 1.5, kFewPrice = 1.6;
constexpr double kPlainPrice = 0.6;  // of a bit in scalar quantisation, against dependent

// One element as a real number.
double real(const uint8_t* p, const TensorType& t) {
    if (t.width == 4) {
        float x;
        std::memcpy(&x, p, 4);
        return x;
    }
    if (t.width == 8) {
        double x;
        std::memcpy(&x, p, 8);
        return x;
    }
    const uint64_t bits = load_bits(p, t.width);
    const FloatFormat f = t.format();
    if (f.mantissa == 7) {
        const uint32_t wide = uint32_t(bits) << 16;
        float x;
        std::memcpy(&x, &wide, 4);
        return x;
    }
    const int exponent = int(bits >> f.mantissa & ((1u << (f.width - 1 - f.mantissa)) - 1));
    const double m = double(bits & ((1u << f.mantissa) - 1));
    const double x = exponent ? std::ldexp(m + double(1u << f.mantissa), exponent - f.bias() - f.mantissa)
                              : std::ldexp(m, 1 - f.bias() - f.mantissa);
    return bits >> (f.width - 1) & 1 ? -x : x;
}

struct Moments {
    double sum = 0, square = 0, largest = 0;
    bool finite = true;
};

Moments moments(const TensorInput& t) {
    Moments m;
    for (uint64_t i = 0; i < t.geometry.count; ++i) {
        const double x = real(t.data + i * uint64_t(t.type.width), t.type);
        if (!std::isfinite(x)) {
            m.finite = false;
            continue;
        }
        m.sum += x, m.square += x * x, m.largest = std::max(m.largest, std::fabs(x));
    }
    return m;
}

// A mean to about a sixteenth of the deviation: a finer one would cost more than it saves.
int64_t rounded_centre(double mean, double deviation) {
    const double unit = std::exp2(std::max(0, std::ilogb(std::max(deviation, 1.0)) - 3));
    return int64_t(std::llround(mean / unit) * std::llround(unit));
}

// ---- lossy

class Leveller {
  public:
    Leveller(const WeightTables& tables, const TensorInput& t, const RecordSettings& s)
        : tables_(tables), input_(t), settings_(s), levels_(t.geometry.count) {
        values_.resize(t.geometry.count);
        for (uint64_t i = 0; i < t.geometry.count; ++i)
            values_[i] = float(real(t.data + i * uint64_t(t.type.width), t.type));
    }

    std::vector<int32_t> levels(TensorReport* report) {
        const Moments m = moments(input_);
        const double n = double(input_.geometry.count);
        report->power = m.square;
        TensorModel& model = report->model;
        model.kind = Kind::levels;
        double zeros = 0;
        for (const float x : values_) zeros += x == 0;
        sparse_ = zeros > kSparse * n;
        mean_ = m.sum / n, deviation_ = std::sqrt(std::max(m.square / n - mean_ * mean_, 0.0));
        if (input_.aim == Aim::file_step) {
            model.step = input_.step;
            attempt(model.step ? grid_step(model.step) : settings_.step, report);
        } else {
            const double gain = settings_.trellis ? kDependentGain[settings_.trellis] / 4 : 1;
            const double wanted = settings_.bound * settings_.bound * m.square;
            const double step = std::sqrt(12 * gain * wanted / n);
            int64_t number = int64_t(std::floor(16 * std::log2(std::max(step, 1e-40)))) + 4097 + 1;
            number = std::min<int64_t>(std::max<int64_t>(number, 1), kStepNumbers);
            for (;; --number) {
                model.step = number;
                attempt(grid_step(number), report);
                if (report->noise <= wanted || number == 1) break;
            }
        }
        const double ratio = report->noise > 0 ? 20 * std::log10(report->power / report->noise) : 254;
        model.error = int(std::clamp(ratio, 0.0, 254.0));
        return std::move(levels_);
    }

  private:
    void attempt(double step, TensorReport* report) {
        TensorModel& model = report->model;
        const double spread = deviation_ / step;
        model.centre =
            std::fabs(mean_) > deviation_ / 8 && !sparse_ ? rounded_centre(mean_ / step, spread) : 0;
        model.lattice = !settings_.trellis || input_.geometry.count < 8 ? Lattice::plain
                        : spread < kZeroLattice || sparse_              ? Lattice::zero
                                                                        : Lattice::odd;
        model.trellis = model.lattice == Lattice::plain ? 0 : settings_.trellis;
        float rates[kRates];
        const bool weighs = settings_.price > 0 && input_.aim == Aim::file_step && spread < 16;
        if (weighs) weigh(model.lattice, spread, rates);
        quantise(model, step, weighs ? rates : nullptr);
        report->decoded.resize(input_.geometry.count * uint64_t(input_.type.width));
        reconstruct(levels_.data(), levels_.size(), model.centre, step, input_.type, report->decoded.data());
        report->noise = 0;
        for (uint64_t i = 0; i < levels_.size(); ++i) {
            const uint64_t at = i * uint64_t(input_.type.width);
            const double e =
                real(input_.data + at, input_.type) - real(report->decoded.data() + at, input_.type);
            report->noise += e * e;
        }
    }

    void quantise(const TensorModel& model, double step, const float* rates) {
        const Quantiser q{model.lattice, model.trellis, 1 / step, double(model.centre), rates};
        const TrellisKernels& kernels = trellis_kernels(settings_.simd);
        const uint64_t size = block_size(input_.geometry), count = levels_.size();
        run_jobs(size_t((count + size - 1) / size), settings_.threads, false, [&](size_t b, size_t) {
            const FloatState pinned;
            const uint64_t first = b * size, n = std::min(size, count - first);
            kernels.quantise(q, values_.data() + first, size_t(n), levels_.data() + first);
        });
    }

    // Bits of a level under a Laplace distribution, times their price.
    void weigh(Lattice lattice, double spread, float* rates) const {
        const double scale = std::max(spread, 0.05) / std::sqrt(2.0);
        const double width = lattice == Lattice::plain ? 1 : 2;
        const double price = settings_.price * (lattice == Lattice::plain ? kPlainPrice
                                                : spread < kFewLevels     ? kFewPrice
                                                                          : 1);
        for (int n = 0; n < kRates; ++n) {
            const double low = std::max(n - width / 2, 0.0), high = n + width / 2;
            const double mass =
                n ? (std::exp(-low / scale) - std::exp(-high / scale)) / 2 : 1 - std::exp(-high / scale);
            rates[n] = float(price * -std::log2(mass + 1e-9));
        }
    }

    const WeightTables& tables_;
    const TensorInput& input_;
    const RecordSettings& settings_;
    std::vector<int32_t> levels_;
    std::vector<float> values_;
    double mean_ = 0, deviation_ = 0;
    bool sparse_ = false;  // so many zeros that they must stay zeros
};

// ---- lossless

bool integer_levels(const TensorInput& t, std::vector<int32_t>* levels, int64_t* centre) {
    const int bits = 8 * t.type.width;
    const uint64_t n = t.geometry.count;
    levels->resize(n);
    double sum = 0, square = 0;
    for (uint64_t i = 0; i < n; ++i) {
        const uint64_t raw = load_bits(t.data + i * uint64_t(t.type.width), t.type.width);
        const int64_t v = t.type.is_signed ? int64_t(raw << (64 - bits)) >> (64 - bits) : int64_t(raw);
        if (v < -kMaxLevel || v > kMaxLevel) return false;
        (*levels)[i] = int32_t(v);
        sum += double(v), square += double(v) * double(v);
    }
    const double mean = sum / double(n);
    *centre = rounded_centre(mean, std::sqrt(std::max(square / double(n) - mean * mean, 0.0)));
    for (int32_t& v : *levels) v = int32_t(v - *centre);
    return true;
}

bool float_levels(const TensorInput& t, std::vector<int32_t>* levels, TensorModel* m, double* rest_bits) {
    const FloatFormat f = t.type.format();
    const uint64_t n = t.geometry.count;
    const Moments about = moments(t);
    double mean = about.sum / double(n);
    double deviation = std::sqrt(std::max(about.square / double(n) - mean * mean, 0.0));
    uint64_t mantissas = 0;
    double octaves = 0, nonzero = 0;
    for (uint64_t i = 0; i < n; ++i) {
        const uint64_t bits = load_bits(t.data + i * uint64_t(t.type.width), t.type.width);
        if ((bits & f.infinity()) == f.infinity()) continue;
        mantissas |= bits;
        if (bits << (65 - f.width))
            octaves += double((bits & f.infinity()) >> f.mantissa) - f.bias(), nonzero += 1;
    }
    m->dropped = mantissas << (64 - f.mantissa) ? __builtin_ctzll(mantissas) : f.mantissa;
    const int largest = about.largest > 0 ? std::ilogb(about.largest) : 1 - f.bias();
    const int typical = nonzero > 0 ? int(std::lround(octaves / nonzero)) : largest;
    if (largest - typical > kOutlierOctaves) {  // a few values are beyond all others: they are coded plainly
        mean = 0, deviation = std::ldexp(1.0, typical + 1);
        m->exponent = typical - 3;
    } else {
        m->exponent = deviation > 0 ? std::max(std::ilogb(deviation) - 4, largest - 26) : largest - 26;
    }
    m->exponent = std::clamp(m->exponent, 1 - f.bias(), f.bias());
    levels->resize(n);
    double below = 0, zero = 0, sum = 0;
    *rest_bits = 0;
    for (uint64_t i = 0; i < n; ++i) {
        const uint64_t bits = load_bits(t.data + i * uint64_t(t.type.width), t.type.width);
        const FloatCell cell = float_cell(bits, f, m->exponent);
        (*levels)[i] = int32_t(cell.level);
        sum += double(cell.level);
        if (cell.plain) {
            *rest_bits += f.width + 16;
        } else if (cell.level == 0 || cell.level == -1) {
            below += 1;
            if ((bits << (65 - f.width)) == 0) {
                zero += 1;
                continue;
            }
            const int octave = int((bits & ~(uint64_t(1) << (f.width - 1))) >> f.mantissa);
            *rest_bits += f.mantissa - m->dropped +
                          std::min(m->exponent + f.bias() - octave, m->exponent + f.bias() - 1);
        } else {
            const uint64_t magnitude = uint64_t(cell.level < 0 ? -1 - cell.level : cell.level);
            *rest_bits += std::max(0, f.mantissa - m->dropped - (63 - __builtin_clzll(magnitude)));
        }
    }
    if (zero > 0 && zero < below)
        *rest_bits -= zero * std::log2(zero / below) + (below - zero) * std::log2(1 - zero / below);
    m->zeros = zero == 0       ? 0
               : zero == below ? 4096
                               : uint32_t(std::clamp(std::lround(4096 * zero / below), 1L, 4095L));
    m->centre = std::fabs(mean) > deviation / 8
                    ? rounded_centre(sum / double(n), std::ldexp(deviation, -m->exponent))
                    : 0;
    for (int32_t& v : *levels) v = int32_t(v - m->centre);
    return true;
}

std::vector<uint8_t> plane_bodies(const TensorInput& t) {
    std::vector<uint8_t> out;
    const uint64_t n = t.geometry.count;
    const bool whole = n % t.geometry.cols == 0;
    std::vector<uint32_t> plane(n);
    for (int p = 0; p < t.type.width; ++p) {
        for (uint64_t i = 0; i < n; ++i) plane[i] = t.data[i * uint64_t(t.type.width) + uint64_t(p)];
        const auto body =
            encode_tensor(plane.data(), whole ? n / t.geometry.cols : 1, whole ? t.geometry.cols : n);
        for (uint64_t size = body.size();; size >>= 7) {
            out.push_back(uint8_t(size < 128 ? size : (size & 127) | 128));
            if (size < 128) break;
        }
        out.insert(out.end(), body.begin(), body.end());
    }
    return out;
}

// Bytes of the planes of a tensor; of a large one, as many as those of its first rows let expect.
double expected_planes(const TensorInput& t) {
    TensorInput part = t;
    const double whole = double(t.geometry.count);
    if (t.geometry.count > 4 * kBlockElements) part.geometry.count = block_size(t.geometry);
    return double(plane_bodies(part).size()) * whole / double(part.geometry.count);
}

// How a tensor is coded without loss: the shortest of its bytes, their planes, and a model of its values.
std::vector<int32_t> choose_lossless(const WeightTables& tables, const TensorInput& t, TensorModel* model,
                                     std::vector<uint8_t>* stored) {
    const uint64_t raw = t.geometry.count * uint64_t(t.type.width);
    double bits = 8.0 * double(raw), rest = 0;
    bool fits = false;
    std::vector<int32_t> levels;
    TensorModel coded;
    if (raw > kLeastModelled && t.type.integer) {
        coded.kind = Kind::integers;
        fits = integer_levels(t, &levels, &coded.centre);
    } else if (raw > kLeastModelled && t.type.mantissa) {
        coded.kind = Kind::floats;
        coded.lattice = Lattice::floor;
        fits = float_levels(t, &levels, &coded, &rest);
    }
    if (fits) {
        fit_model(tables, t.geometry, levels.data(), &coded);
        if (coded.spike) coded.zeros = 0;
        const double expected = model_bits(tables, coded, t.geometry, levels.data()) + rest + 64;
        if (expected < bits) bits = expected, *model = coded;
    }
    if (raw >= kLeastPlanes && t.geometry.count <= kPlaneLimit && 8 * expected_planes(t) < bits) {
        std::vector<uint8_t> planes = plane_bodies(t);
        if (8.0 * double(planes.size()) < bits) {
            *model = TensorModel{};
            model->kind = Kind::planes;
            *stored = std::move(planes);
        }
    }
    if (model->kind == Kind::stored) stored->assign(t.data, t.data + raw);
    return model->kind == Kind::integers ? std::move(levels) : std::vector<int32_t>{};
}

}  // namespace

EncodedRecord encode_record(const WeightTables& tables, const std::vector<TensorInput>& tensors,
                            const RecordSettings& settings) {
    EncodedRecord record;
    record.reports.resize(tensors.size());
    BlockEncoder shared(tables);
    for (size_t i = 0; i < tensors.size(); ++i) {
        const TensorInput& t = tensors[i];
        TensorReport& report = record.reports[i];
        TensorModel& model = report.model;
        std::vector<uint8_t> stored;
        std::vector<int32_t> levels;
        if (t.aim != Aim::lossless && t.geometry.count) {
            levels = Leveller(tables, t, settings).levels(&report);
            if (settings.only_measure) continue;
            fit_model(tables, t.geometry, levels.data(), &model);
        } else if (!settings.only_measure) {
            levels = choose_lossless(tables, t, &model, &stored);
        }
        if (settings.only_measure) continue;
        record.stored.insert(record.stored.end(), stored.begin(), stored.end());
        if (model.kind == Kind::stored || model.kind == Kind::planes) continue;
        auto code = [&](BlockEncoder* coder, uint64_t first, uint64_t count) {
            const Segment s{&model, {count, t.geometry.cols, t.geometry.taps}};
            if (model.kind == Kind::floats) {
                coder->floats(s, t.data + first * uint64_t(t.type.width), t.type.format());
            } else {
                coder->levels(s, levels.data() + first);
            }
        };
        if (tensors.size() > 1) {
            code(&shared, 0, t.geometry.count);
            continue;
        }
        const uint64_t size = block_size(t.geometry);
        record.blocks.resize(size_t((t.geometry.count + size - 1) / size));
        run_jobs(record.blocks.size(), settings.threads, false, [&](size_t b, size_t) {
            BlockEncoder coder(tables);
            code(&coder, b * size, std::min(size, t.geometry.count - b * size));
            record.blocks[b] = coder.finish();
        });
    }
    if (settings.only_measure) return record;
    std::vector<TensorModel> models;
    std::vector<ModelPlace> places;
    for (size_t i = 0; i < tensors.size(); ++i) {
        models.push_back(record.reports[i].model);
        places.push_back({tensors[i].geometry, tensors[i].type.format(), tensors[i].type.integer});
    }
    record.parameters = write_models(models, places);
    if (tensors.size() > 1) record.blocks.push_back(shared.finish());
    return record;
}

}  // namespace neuralcodec
