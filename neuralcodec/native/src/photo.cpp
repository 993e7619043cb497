#include "photo.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>

#include "ans.hpp"
#include "circuit.hpp"
#include "float_state.hpp"

namespace neuralcodec {

namespace {

constexpr int64_t kMostDifference = 2048, kMostLogarithm = 1024, kMostActivation = 16383;
constexpr int kBiasBits = 12;

[[noreturn]] void refuse(const std::string& what) {
    throw std::invalid_argument(what);
}

// `unit`: fraction bits of the inputs; `most`: the largest magnitude of the inputs at even and at odd places.
PhotoLayer make_layer(PhotoNetwork& network, const char* name, const std::vector<int16_t>& weights,
                      const std::vector<int32_t>& bias, int outputs, int pairs, int shift, int unit,
                      int64_t most_even, int64_t most_odd) {
    const std::string where = std::string("layer ") + name + ": ";
    if (shift < 6 || shift > 14) refuse(where + "its weights have 6 to 14 fraction bits");
    const size_t rows = size_t(outputs), columns = size_t(pairs);
    if (weights.size() != rows * columns * 2) refuse(where + "its weights do not fit its size");
    if (!bias.empty() && bias.size() != rows) refuse(where + "one bias for each output is needed");
    std::unique_ptr<int32_t[]> words(new int32_t[rows * columns]), offsets(new int32_t[rows]);
    for (size_t o = 0; o < rows; ++o) {
        // shift + unit is at least 13, and biases have 12 fraction bits
        const int64_t offset =
            bias.empty() ? 0 : int64_t(bias[o]) * (int64_t(1) << (shift + unit - kBiasBits));
        int64_t reach = std::abs(offset) + (int64_t(1) << shift);
        for (size_t p = 0; p < columns; ++p) {
            const int16_t* w = weights.data() + (o * columns + p) * 2;
            reach += std::abs(int64_t(w[0])) * most_even + std::abs(int64_t(w[1])) * most_odd;
            words[o / 4 * 4 * columns + p * 4 + o % 4] =
                int32_t(uint32_t(uint16_t(w[0])) | uint32_t(uint16_t(w[1])) << 16);
        }
        if (reach >= int64_t(1) << 31)
            refuse(where + "the sums of output " + std::to_string(o) + " could overflow");
        offsets[o] = int32_t(offset);
    }
    network.storage.push_back(std::move(words));
    network.storage.push_back(std::move(offsets));
    const size_t last = network.storage.size() - 1;
    return {pairs, outputs, shift, network.storage[last - 1].get(),
            bias.empty() ? nullptr : network.storage[last].get()};
}

// The planes of a tile in the layout of the kernels, and their scratch memory.
template <class Sample>
class Tile {
  public:
    Tile(size_t count, int width, int height, const PhotoKernels& kernels,
         const std::vector<const PhotoNetwork*>& networks = {}) {
        const size_t size = PhotoPlane<Sample>::size(width, height);
        samples_.reset(new Sample[size * count]);
        std::fill_n(samples_.get(), size * count, Sample(PhotoPlane<Sample>::kLevels / 2));
        for (size_t p = 0; p < count; ++p) planes.push_back({samples_.get() + p * size, width, height});
        const auto whole = [](size_t bytes) { return (bytes + 63) / 64 * 64; };
        const size_t network = whole(kernels.network_bytes);
        const size_t regression = whole(kernels.regression_bytes(width, height));
        size_t online = 0;
        for (const PhotoNetwork* one : networks) online = std::max(online, kernels.online_bytes(*one));
        scratch_.reset(new uint8_t[network + regression + online + 64]);
        const auto address = reinterpret_cast<uintptr_t>(scratch_.get());
        uint8_t* aligned = scratch_.get() + (64 - address % 64) % 64;
        std::memset(aligned, 0, network);  // rows beyond the last are read, too
        scratch = {aligned, aligned + network, aligned + network + regression};
    }
    void fill(size_t plane, const PhotoSource<Sample>& source) const {
        const PhotoPlane<Sample>& own = planes[plane];
        for (int y = 0; y < own.height; ++y)
            for (int x = 0; x < own.width; ++x) {
                const Sample value = source.data[y * source.row + x * source.pixel];
                *own.at(x, y) = value;
                own.surround(x, y, value);
            }
    }
    std::vector<PhotoPlane<Sample>> planes;
    PhotoScratch scratch;

  private:
    std::unique_ptr<Sample[]> samples_;
    std::unique_ptr<uint8_t[]> scratch_;
};

// How many of a plane's samples go to each stream.
std::vector<size_t> stream_sizes(int width, int height, int streams) {
    std::vector<size_t> sizes;
    for (int s = 0; s < streams; ++s)
        sizes.push_back(size_t(width) * (size_t(height - s + streams - 1) / size_t(streams)));
    for (int s = height; s < streams; ++s) sizes[size_t(s)] = 0;
    return sizes;
}

std::vector<uint8_t> stream_bytes(const PhotoInterval* intervals, size_t count) {
    std::unique_ptr<uint32_t[]> words(new uint32_t[count + 1]);
    AnsEncoder encoder;
    encoder.words = words.get();
    while (count--) encoder.encode({intervals[count].start, intervals[count].size});
    std::vector<uint8_t> out(encoder.count * 4);
    for (size_t i = 0; i < encoder.count; ++i)
        for (size_t b = 0; b < 4; ++b) out[4 * i + b] = uint8_t(words[i] >> (8 * b));
    for (uint64_t state = encoder.state; state; state >>= 8) out.push_back(uint8_t(state));
    return out;
}

}  // namespace

const PhotoKernels& photo_kernels(const std::string& forced) {
    const std::string name = walk_kernels(forced).name;
#if defined(__x86_64__)
    if (name == "avx512vnni") return photo_avx512vnni;
    if (name == "avx512") return photo_avx512;
    if (name == "avx2") return photo_avx2;
#endif
    return photo_scalar;
}

PhotoNetwork photo_network(const PhotoArrays& a) {
    if (a.plane < 0 || a.plane >= kPhotoPlanes) refuse("a network is of plane 0, 1 or 2");
    if (a.hidden < 4 || a.hidden > kPhotoMostHidden || a.hidden % 4)
        refuse("hidden units are a multiple of 4, 4 to " + std::to_string(kPhotoMostHidden));
    if (a.components < 4 || a.components > kPhotoMostComponents || a.components % 4)
        refuse("components are a multiple of 4, 4 to " + std::to_string(kPhotoMostComponents));
    const int n = photo_words(a.plane), h = a.hidden, k = a.components;
    PhotoNetwork out{a.plane, h, k, a.fitted, a.online, {}, {}};
    out.layers.first = make_layer(out, "first", a.first, a.first_bias, h, n, a.shifts[0], 7, kMostDifference,
                                  kMostLogarithm);
    out.layers.second = make_layer(out, "second", a.second, a.second_bias, h, h / 2, a.shifts[1], 8,
                                   kMostActivation, kMostActivation);
    out.layers.last = make_layer(out, "last", a.last, a.last_bias, 3 * k, h / 2, a.shifts[2], 8,
                                 2 * kMostActivation, 2 * kMostActivation);
    out.layers.linear =
        make_layer(out, "linear", a.linear, {}, k, n, a.shifts[3], 7, kMostDifference, kMostLogarithm);
    return out;
}

template <class Sample>
std::vector<std::vector<uint8_t>> photo_encode(const std::vector<const PhotoNetwork*>& networks,
                                               const std::vector<PhotoSource<Sample>>& sources, int width,
                                               int height, int streams, const PhotoKernels& kernels) {
    const FloatState state;
    const Tile<Sample> tile(sources.size(), width, height, kernels, networks);
    const std::vector<size_t> sizes = stream_sizes(width, height, streams);
    const size_t total = size_t(width) * size_t(height) * sources.size();
    std::unique_ptr<PhotoInterval[]> intervals(new PhotoInterval[total]);
    PhotoInterval *starts[kPhotoLanes], *next[kPhotoLanes], *at = intervals.get();
    for (size_t s = 0; s < size_t(streams); ++s) {
        starts[s] = next[s] = at;
        at += sizes[s] * sources.size();
    }
    for (size_t p = 0; p < sources.size(); ++p) {
        tile.fill(p, sources[p]);
        kernels.of<Sample>().intervals(*networks[p], tile.planes.data(), streams, next, tile.scratch);
    }
    std::vector<std::vector<uint8_t>> out;
    for (size_t s = 0; s < size_t(streams); ++s)
        out.push_back(stream_bytes(starts[s], size_t(next[s] - starts[s])));
    return out;
}

template <class Sample>
void photo_regressions(const std::vector<PhotoSource<Sample>>& sources, int width, int height, int16_t* out,
                       const PhotoKernels& kernels) {
    const FloatState state;
    const Tile<Sample> tile(sources.size(), width, height, kernels);
    for (size_t p = 0; p < sources.size(); ++p) {
        tile.fill(p, sources[p]);
        kernels.of<Sample>().regressions(tile.planes.data(), int(p), out, tile.scratch);
        out += 2 * size_t(width) * size_t(height);
    }
}

template <class Sample>
bool photo_decode(const std::vector<const PhotoNetwork*>& networks, int width, int height,
                  const std::vector<const uint8_t*>& bytes, const std::vector<size_t>& lengths, Sample* out,
                  const PhotoKernels& kernels) {
    const FloatState state;
    const Tile<Sample> tile(networks.size(), width, height, kernels, networks);
    if (!kernels.of<Sample>().decode(networks.data(), tile.planes.data(), int(networks.size()),
                                     int(bytes.size()), bytes.data(), lengths.data(), tile.scratch))
        return false;
    const size_t count = networks.size();
    for (size_t p = 0; p < count; ++p)
        for (int y = 0; y < height; ++y)
            for (int x = 0; x < width; ++x)
                out[(size_t(y) * size_t(width) + size_t(x)) * count + p] = *tile.planes[p].at(x, y);
    return true;
}

// What the bindings call.
#define NEURALCODEC_PHOTO(Sample)                                                                         \
    template std::vector<std::vector<uint8_t>> photo_encode(const std::vector<const PhotoNetwork*>&,      \
                                                            const std::vector<PhotoSource<Sample>>&, int, \
                                                            int, int, const PhotoKernels&);               \
    template void photo_regressions(const std::vector<PhotoSource<Sample>>&, int, int, int16_t*,          \
                                    const PhotoKernels&);                                                 \
    template bool photo_decode(const std::vector<const PhotoNetwork*>&, int, int,                         \
                               const std::vector<const uint8_t*>&, const std::vector<size_t>&, Sample*,   \
                               const PhotoKernels&);
NEURALCODEC_PHOTO(uint8_t)
NEURALCODEC_PHOTO(uint16_t)

}  // namespace neuralcodec
