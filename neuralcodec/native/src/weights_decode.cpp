// From the parts of a record back to the bytes of its tensors.

#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "float_state.hpp"
#include "tensor_coder.hpp"
#include "threads.hpp"
#include "weights_coder.hpp"
#include "weights_record.hpp"

namespace neuralcodec {
namespace {

void read_planes(const uint8_t* data, size_t size, size_t* at, TensorOutput* t) {
    const uint64_t n = t->geometry.count;
    if (n > kPlaneLimit) throw std::invalid_argument("planes of too large a tensor");
    const bool whole = n % t->geometry.cols == 0;
    std::vector<uint32_t> plane(n);
    for (int p = 0; p < t->type.width; ++p) {
        uint64_t length = 0;
        for (int shift = 0;; shift += 7) {
            if (*at >= size || shift > 56) throw std::invalid_argument("the stored bytes end early");
            const uint8_t b = data[(*at)++];
            length |= uint64_t(b & 127) << shift;
            if (b < 128) break;
        }
        if (length > size - *at) throw std::invalid_argument("the stored bytes end early");
        const TensorDecoder decoder(data + *at, length, whole ? n / t->geometry.cols : 1,
                                    whole ? t->geometry.cols : n);
        *at += length;
        uint32_t seen = 0;
        for (size_t b = 0; b < decoder.blocks(); ++b)
            if (!decoder.decode_block(b, plane.data())) throw std::invalid_argument("a plane is damaged");
        for (uint64_t i = 0; i < n; ++i) {
            seen |= plane[i];
            t->data[i * uint64_t(t->type.width) + uint64_t(p)] = uint8_t(plane[i]);
        }
        if (seen > 255) throw std::invalid_argument("a plane has elements above 255");
    }
}

void store_integers(const int32_t* levels, uint64_t n, int64_t centre, const TensorType& type, uint8_t* out) {
    const int bits = 8 * type.width;
    const int64_t least = type.is_signed ? (bits == 64 ? INT64_MIN : -(int64_t(1) << (bits - 1))) : 0;
    const int64_t most = bits == 64 ? INT64_MAX : (int64_t(1) << (bits - type.is_signed)) - 1;
    for (uint64_t i = 0; i < n; ++i) {
        const int64_t v = levels[i] + centre;
        if (v < least || v > most) throw std::invalid_argument("an element is " + std::to_string(v));
        store_bits(out + i * uint64_t(type.width), uint64_t(v), type.width);
    }
}

void decode_segment(BlockDecoder* decoder, const TensorOutput& t, double file_step, uint64_t first,
                    uint64_t count) {
    const FloatState pinned;  // products of levels and steps are rounded to nearest
    const Segment s{&t.model, {count, t.geometry.cols, t.geometry.taps}};
    uint8_t* out = t.data + first * uint64_t(t.type.width);
    if (t.model.kind == Kind::floats) {
        if (!decoder->floats(s, out, t.type.format())) throw std::invalid_argument("a block is damaged");
        return;
    }
    std::unique_ptr<int32_t[]> levels(new int32_t[count]);
    if (!decoder->levels(s, levels.get())) throw std::invalid_argument("a block is damaged");
    if (t.model.kind == Kind::integers) {
        store_integers(levels.get(), count, t.model.centre, t.type, out);
    } else {
        const double step = t.model.step ? grid_step(t.model.step) : file_step;
        reconstruct(levels.get(), count, t.model.centre, step, t.type, out);
    }
}

}  // namespace

std::vector<TensorModel> models_of(const uint8_t* data, size_t size,
                                   const std::vector<TensorOutput>& tensors) {
    std::vector<ModelPlace> places;
    for (const TensorOutput& t : tensors) places.push_back({t.geometry, t.type.format(), t.type.integer});
    return read_models(data, size, places);
}

void decode_record(const WeightTables& tables, const RecordParts& parts, double step, size_t threads,
                   std::vector<TensorOutput>* tensors) {
    const auto models = models_of(parts.parameters, parts.parameters_size, *tensors);
    size_t at = 0;
    bool coded = false;
    for (size_t i = 0; i < tensors->size(); ++i) {
        TensorOutput& t = (*tensors)[i];
        t.model = models[i];
        const size_t before = at, raw = size_t(t.geometry.count) * size_t(t.type.width);
        if (t.model.kind == Kind::stored) {
            if (raw > parts.stored_size - at) throw std::invalid_argument("the stored bytes end early");
            if (raw) std::memcpy(t.data, parts.stored + at, raw);
            at += raw;
        } else if (t.model.kind == Kind::planes) {
            read_planes(parts.stored, parts.stored_size, &at, &t);
        } else {
            coded = true;
        }
        t.bits = 8 * (at - before);
    }
    if (at != parts.stored_size) throw std::invalid_argument("stored bytes are left over");
    if (tensors->size() == 1 && coded) {
        TensorOutput& t = (*tensors)[0];
        const uint64_t size = block_size(t.geometry);
        if (parts.blocks.size() != (t.geometry.count + size - 1) / size)
            throw std::invalid_argument("the number of blocks is wrong");
        run_jobs(parts.blocks.size(), threads, false, [&](size_t b, size_t) {
            BlockDecoder decoder(tables, parts.blocks[b].first, parts.blocks[b].second);
            decode_segment(&decoder, t, step, b * size, std::min(size, t.geometry.count - b * size));
            if (!decoder.finish()) throw std::invalid_argument("the coder of a block does not end empty");
        });
        for (const auto& block : parts.blocks) t.bits += 8 * block.second;
        return;
    }
    if (parts.blocks.size() != (tensors->size() > 1))
        throw std::invalid_argument("the number of blocks is wrong");
    if (tensors->size() < 2) return;
    BlockDecoder decoder(tables, parts.blocks[0].first, parts.blocks[0].second);
    for (TensorOutput& t : *tensors) {
        if (t.model.kind == Kind::stored || t.model.kind == Kind::planes) continue;
        if (t.geometry.count > kBlockElements)
            throw std::invalid_argument("a tensor is too large to share a block");
        const uint64_t before = decoder.bits();
        decode_segment(&decoder, t, step, 0, t.geometry.count);
        t.bits = before - decoder.bits();
    }
    if (!decoder.finish()) throw std::invalid_argument("the coder of a block does not end empty");
}

}  // namespace neuralcodec
