// Decodes tiles of photographs with the library's kernels and no Python, and encodes them again:
//   photo_driver FILE    FILE: numbers of 64 bits and bytes, as test_photo.py writes them
// Prints a hash (FNV-1a) of the samples and of the streams of each tile, one a line.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "../../neuralcodec/native/src/photo.hpp"

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
    template <class T>
    std::vector<T> integers() {  // little-endian, as all machines here are
        const std::vector<uint8_t> raw = bytes();
        std::vector<T> v(raw.size() / sizeof(T));
        std::memcpy(v.data(), raw.data(), raw.size());
        return v;
    }
};

struct Hash {
    uint64_t value = 0xCBF29CE484222325u;
    void add(const uint8_t* data, size_t size) {
        for (size_t i = 0; i < size; ++i) value = (value ^ data[i]) * 0x100000001B3u;
    }
};

// A tile of samples of a type; whether it decodes.
template <class Sample>
bool run(Reader& in, const std::vector<neuralcodec::PhotoNetwork>& networks) {
    using namespace neuralcodec;
    const PhotoKernels& kernels = photo_kernels("");
    const auto height = int(in.number()), width = int(in.number()), used = int(in.number());
    std::vector<std::vector<uint8_t>> streams(in.number());
    std::vector<const uint8_t*> bytes;
    std::vector<size_t> lengths;
    for (auto& stream : streams) {
        stream = in.bytes();
        bytes.push_back(stream.data()), lengths.push_back(stream.size());
    }
    std::vector<const PhotoNetwork*> own;
    std::vector<PhotoSource<Sample>> sources;
    std::vector<Sample> samples(size_t(height) * size_t(width) * size_t(used));
    for (int p = 0; p < used; ++p) {
        own.push_back(&networks[size_t(p)]);
        sources.push_back({samples.data() + p, used, ptrdiff_t(width) * used});
    }
    if (!photo_decode(own, width, height, bytes, lengths, samples.data(), kernels)) return false;
    Hash decoded, encoded;
    decoded.add(reinterpret_cast<const uint8_t*>(samples.data()), samples.size() * sizeof(Sample));
    for (const auto& stream : photo_encode(own, sources, width, height, int(streams.size()), kernels))
        encoded.add(stream.data(), stream.size());
    std::printf("%016llx %016llx\n", (unsigned long long)(decoded.value),
                (unsigned long long)(encoded.value));
    return true;
}

}  // namespace

int main(int count, char** arguments) {
    using namespace neuralcodec;
    Reader in{count == 2 ? std::fopen(arguments[1], "rb") : nullptr};
    if (!in.file) return 2;
    std::vector<PhotoNetwork> networks;
    const auto planes = int(in.number());
    for (int p = 0; p < planes; ++p) {
        PhotoArrays a{};
        a.plane = p;
        a.hidden = int(in.number()), a.components = int(in.number()), a.fitted = in.number();
        a.online = PhotoOnline(in.number());
        for (int& shift : a.shifts) shift = int(in.number());
        a.first = in.integers<int16_t>(), a.second = in.integers<int16_t>();
        a.last = in.integers<int16_t>(), a.linear = in.integers<int16_t>();
        a.first_bias = in.integers<int32_t>(), a.second_bias = in.integers<int32_t>();
        a.last_bias = in.integers<int32_t>();
        networks.push_back(photo_network(a));
    }
    for (uint64_t tiles = in.number(); tiles > 0; --tiles) {
        const bool deep = in.number() == 16;
        if (!(deep ? run<uint16_t>(in, networks) : run<uint8_t>(in, networks))) return 1;
    }
    return 0;
}
