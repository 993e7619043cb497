#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <stdexcept>

#include "bindings.hpp"
#include "weights_record.hpp"

namespace neuralcodec {
namespace {

TensorType type_of(int width, int mantissa, bool integer, bool is_signed) {
    const bool real = mantissa > 0;
    if (width < 1 || width > 16 || (real && (integer || (width != 2 && width != 4 && width != 8))) ||
        (integer && width > 8))
        throw std::invalid_argument("no such type of elements");
    return {width, mantissa, integer, is_signed};
}

Geometry geometry_of(uint64_t count, uint64_t cols, uint32_t taps) {
    if (!cols || !taps || taps > uint32_t(kMaxTaps) || cols % taps || count > uint64_t(1) << 48)
        throw std::invalid_argument("no such geometry of a tensor");
    return {count, cols, taps};
}

nb::dict described(const TensorModel& m) {
    nb::dict d;
    d["kind"] = int(m.kind);
    d["lattice"] = int(m.lattice);
    d["trellis"] = m.trellis;
    d["step"] = m.step;
    d["error"] = m.error;
    d["exponent"] = m.exponent;
    d["dropped"] = m.dropped;
    d["zeros"] = m.zeros;
    d["centre"] = m.centre;
    d["shape"] = m.shape;
    d["gains"] = nb::make_tuple(m.row, m.channel, m.near);
    d["order"] = m.order;
    d["above"] = m.above;
    d["beside"] = m.beside;
    d["spike"] = m.spike;
    d["bins"] = m.bins;
    nb::list scale, coefficients;
    for (const int l : m.scale) scale.append(l);
    for (const int c : m.coefficients) coefficients.append(c);
    d["scale"] = scale;
    d["coefficients"] = coefficients;
    return d;
}

nb::bytes to_bytes(const std::vector<uint8_t>& v) {
    return nb::bytes(v.data(), v.size());
}

class WeightCoder {
  public:
    WeightCoder(Array1<uint32_t> gaussian, Array1<uint32_t> laplace)
        : tables_(gaussian.data(), gaussian.size(), laplace.data(), laplace.size()) {}

    // tensors: (data, width, mantissa, integer, signed, cols, taps, aim, number of the step or 0)
    nb::tuple encode(nb::list tensors, double step, double bound, int trellis, double price,
                     bool only_measure, size_t threads, const std::string& simd) const {
        if (trellis != 0 && (trellis < 2 || trellis > 8))
            throw std::invalid_argument("a trellis has 4 to 256 states");
        std::vector<TensorInput> inputs;
        std::vector<Array1<uint8_t>> kept;
        for (const nb::handle h : tensors) {
            const nb::tuple t = nb::cast<nb::tuple>(h);
            if (t.size() != 9) throw std::invalid_argument("a tensor is a tuple of nine");
            kept.push_back(nb::cast<Array1<uint8_t>>(t[0]));
            const TensorType type =
                type_of(nb::cast<int>(t[1]), nb::cast<int>(t[2]), nb::cast<bool>(t[3]), nb::cast<bool>(t[4]));
            if (kept.back().size() % size_t(type.width)) throw std::invalid_argument("a part of an element");
            const uint64_t count = kept.back().size() / size_t(type.width);
            const Aim aim = Aim(nb::cast<int>(t[7]));
            if (aim != Aim::lossless && !type.mantissa)
                throw std::invalid_argument("only floats have levels");
            const int64_t number = nb::cast<int64_t>(t[8]);
            if (number < 0 || number > kStepNumbers) throw std::invalid_argument("no such number of a step");
            inputs.push_back({type, geometry_of(count, nb::cast<uint64_t>(t[5]), nb::cast<uint32_t>(t[6])),
                              kept.back().data(), aim, number});
        }
        const RecordSettings settings{step, bound, trellis, price, only_measure, threads, simd};
        EncodedRecord record;
        {
            nb::gil_scoped_release release;
            record = encode_record(tables_, inputs, settings);
        }
        nb::list blocks, reports;
        for (const auto& b : record.blocks) blocks.append(to_bytes(b));
        for (TensorReport& r : record.reports) {
            nb::object decoded = nb::none();
            if (!r.decoded.empty()) {  // the bytes move, for they may be many
                auto* kept = new std::vector<uint8_t>(std::move(r.decoded));
                nb::capsule owner(kept,
                                  [](void* p) noexcept { delete static_cast<std::vector<uint8_t>*>(p); });
                const size_t size = kept->size();
                decoded = nb::cast(nb::ndarray<nb::numpy, uint8_t>(kept->data(), 1, &size, owner));
            }
            reports.append(nb::make_tuple(int(r.model.kind), r.power, r.noise, decoded));
        }
        return nb::make_tuple(to_bytes(record.parameters), to_bytes(record.stored), blocks, reports);
    }

    // tensors: (count, width, mantissa, integer, signed, cols, taps); returns bytes and bits of each.
    nb::list decode(nb::bytes parameters, nb::bytes stored, std::vector<nb::bytes> blocks, nb::list tensors,
                    double step, size_t threads) const {
        std::vector<TensorOutput> outputs = outputs_of(tensors);
        std::vector<std::unique_ptr<uint8_t[]>> memory;
        for (TensorOutput& t : outputs) {
            memory.emplace_back(new uint8_t[t.geometry.count * uint64_t(t.type.width) + 1]);
            t.data = memory.back().get();
        }
        RecordParts parts{bytes_of(parameters), parameters.size(), bytes_of(stored), stored.size(), {}};
        for (const nb::bytes& b : blocks) parts.blocks.emplace_back(bytes_of(b), b.size());
        {
            nb::gil_scoped_release release;
            decode_record(tables_, parts, step, threads, &outputs);
        }
        nb::list result;
        for (size_t i = 0; i < outputs.size(); ++i) {
            const TensorOutput& t = outputs[i];
            const size_t size = size_t(t.geometry.count) * size_t(t.type.width);
            result.append(nb::make_tuple(new_array(memory[i].release(), {size}), t.bits));
        }
        return result;
    }

    nb::list models(nb::bytes parameters, nb::list tensors) const {
        nb::list result;
        for (const TensorModel& m : models_of(bytes_of(parameters), parameters.size(), outputs_of(tensors)))
            result.append(described(m));
        return result;
    }

  private:
    static const uint8_t* bytes_of(const nb::bytes& b) { return static_cast<const uint8_t*>(b.data()); }

    static std::vector<TensorOutput> outputs_of(const nb::list& tensors) {
        std::vector<TensorOutput> outputs;
        for (const nb::handle h : tensors) {
            const nb::tuple t = nb::cast<nb::tuple>(h);
            TensorOutput o{
                type_of(nb::cast<int>(t[1]), nb::cast<int>(t[2]), nb::cast<bool>(t[3]), nb::cast<bool>(t[4])),
                geometry_of(nb::cast<uint64_t>(t[0]), nb::cast<uint64_t>(t[5]), nb::cast<uint32_t>(t[6])),
                nullptr,
                {},
                0};
            outputs.push_back(std::move(o));
        }
        return outputs;
    }

    WeightTables tables_;
};

}  // namespace

void bind_weights(nb::module_& m) {
    using namespace nb::literals;
    nb::class_<WeightCoder>(m, "WeightCoder")
        .def(nb::init<Array1<uint32_t>, Array1<uint32_t>>())
        .def("encode", &WeightCoder::encode, "tensors"_a, "step"_a, "bound"_a, "trellis"_a, "price"_a,
             "only_measure"_a, "threads"_a, "simd"_a)
        .def("decode", &WeightCoder::decode, "parameters"_a, "stored"_a, "blocks"_a, "tensors"_a, "step"_a,
             "threads"_a)
        .def("models", &WeightCoder::models, "parameters"_a, "tensors"_a);
}

}  // namespace neuralcodec
