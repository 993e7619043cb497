// Decodes records of weights with the library's kernels and no Python:
//   weights_driver FILE    FILE: numbers of 64 bits and bytes, as test_weights.py writes them
// Prints a hash (FNV-1a) of the bytes of each record's tensors, one a line.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "../../neuralcodec/native/src/weights_record.hpp"

namespace {

struct Reader {
    std::FILE* file;
    uint64_t number() {
        uint8_t b[8] = {};
        if (std::fread(b, 1, 8, file) != 8) std::abort();
        uint64_t v = 0;
        for (int i = 0; i < 8; ++i) v |= uint64_t(b[i]) << (8 * i);
        return v;
    }
    std::vector<uint8_t> bytes() {
        std::vector<uint8_t> v(number());
        if (std::fread(v.data(), 1, v.size(), file) != v.size()) std::abort();
        return v;
    }
    std::vector<uint32_t> table() {
        const std::vector<uint8_t> raw = bytes();
        std::vector<uint32_t> v(raw.size() / 4);
        for (size_t i = 0; i < v.size(); ++i)
            for (size_t j = 0; j < 4; ++j) v[i] |= uint32_t(raw[4 * i + j]) << (8 * j);
        return v;
    }
};

}  // namespace

int main(int count, char** arguments) {
    using namespace neuralcodec;
    Reader in{count == 2 ? std::fopen(arguments[1], "rb") : nullptr};
    if (!in.file) return 2;
    const auto gaussian = in.table(), laplace = in.table();
    const WeightTables tables(gaussian.data(), gaussian.size(), laplace.data(), laplace.size());
    for (uint64_t records = in.number(); records > 0; --records) {
        double step;
        const uint64_t bits = in.number();
        std::memcpy(&step, &bits, 8);
        const auto parameters = in.bytes(), stored = in.bytes();
        std::vector<std::vector<uint8_t>> blocks(in.number());
        for (auto& block : blocks) block = in.bytes();
        RecordParts parts{parameters.data(), parameters.size(), stored.data(), stored.size(), {}};
        for (const auto& block : blocks) parts.blocks.emplace_back(block.data(), block.size());
        std::vector<TensorOutput> tensors(in.number());
        std::vector<std::unique_ptr<uint8_t[]>> memory;
        for (TensorOutput& t : tensors) {
            t.geometry.count = in.number();
            t.type.width = int(in.number()), t.type.mantissa = int(in.number());
            t.type.integer = in.number() != 0, t.type.is_signed = in.number() != 0;
            t.geometry.cols = in.number(), t.geometry.taps = uint32_t(in.number());
            memory.emplace_back(new uint8_t[t.geometry.count * uint64_t(t.type.width) + 1]);
            t.data = memory.back().get();
        }
        decode_record(tables, parts, step, 1, &tensors);
        uint64_t hash = 0xcbf29ce484222325;
        for (const TensorOutput& t : tensors)
            for (uint64_t i = 0; i < t.geometry.count * uint64_t(t.type.width); ++i)
                hash = (hash ^ t.data[i]) * 0x100000001b3;
        std::printf("%016llx\n", static_cast<unsigned long long>(hash));
    }
    return 0;
}
