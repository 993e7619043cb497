// Photographs (docs/format.md, section 11): planes under mixtures of logistics whose parameters an integer
// network reads off the neighbours that come before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace neuralcodec {

constexpr int kPhotoLanes = 8;  // rows that are coded side by side, each into a stream of its own
constexpr int kPhotoPlanes = 3;
constexpr int kPhotoOwn = 18, kPhotoFinished = 9;
constexpr int kPhotoSlope = 3;  // columns by which a row lags behind the one above it
constexpr int kPhotoTop = 3, kPhotoSide = 3, kPhotoLead = 12;
constexpr int kPhotoMostHidden = 128, kPhotoMostComponents = 16;
constexpr int kPhotoMostSide = 4096;  // of a tile

constexpr int kPhotoCell = 8;  // samples of a row that share a least-squares predictor

// Differences that this reads: of a plane's neighbours relative to the first finished plane, if there is one,
// and of those in finished planes.
constexpr int photo_regressors(int plane) {
    return kPhotoOwn + plane * kPhotoFinished;
}

// Differences that the network of a plane reads: of its neighbours relative to each finished plane, of these
// alone, of those in finished planes, and that to the least-squares prediction.
constexpr int photo_inputs(int plane) {
    return kPhotoOwn * (plane + 1) + plane * kPhotoFinished + 1;
}

// Pairs of inputs: of each difference, and the logarithms of activities, one for each kind of neighbours,
// with that of the least-squares error.
constexpr int photo_words(int plane) {
    return photo_inputs(plane) + plane + 1;
}

// One layer: 32-bit words of two 16-bit weights, in tiles of 4 outputs: [out / 4][pair][4].
struct PhotoLayer {
    int pairs, outputs, shift;
    const int32_t* weights;
    const int32_t* bias;  // in units of the sums; none of the linear layer
};

struct PhotoLayers {
    PhotoLayer first, second, last, linear;
};

// Which layers go on learning from the samples that are coded.
enum class PhotoOnline { none, last, all };

struct PhotoNetwork {
    int plane, hidden, components;
    bool fitted;  // it reads what local least squares tell; else zeros in their place
    PhotoOnline online;
    PhotoLayers layers;
    std::vector<std::unique_ptr<int32_t[]>> storage;  // what the layers point to
};

// Kernels are compiled once for each instruction set: what they share must leave no function behind.
#define NEURALCODEC_INLINE __attribute__((always_inline)) inline

// A plane with its surroundings, stored by diagonals, so that what is coded at one time lies side by side:
// the sample of row y and column x is at ((x + 3 y + lead) * stride + y + top). Samples have 8 or 16 bits.
template <class Sample>
struct PhotoPlane {
    static constexpr int kLevels = 1 << (8 * sizeof(Sample));

    Sample* data;
    int width, height;

    NEURALCODEC_INLINE static size_t stride_of(int height) { return (size_t(height) + 7) / 8 * 8 + 8; }
    NEURALCODEC_INLINE static size_t size(int width, int height) {
        return (size_t(width) + 3 * size_t(height) + kPhotoLead + kPhotoSide) * stride_of(height);
    }
    NEURALCODEC_INLINE size_t stride() const { return stride_of(height); }
    NEURALCODEC_INLINE Sample* at(int x, int y) const {
        return data + size_t(x + kPhotoSlope * y + kPhotoLead) * stride() + size_t(y + kPhotoTop);
    }
    NEURALCODEC_INLINE void fill_left(int y, Sample value) const {
        for (int x = -kPhotoSide; x < 0; ++x) *at(x, y) = value;
    }
    NEURALCODEC_INLINE void fill_right(int y, Sample value) const {
        for (int x = 0; x < kPhotoSide; ++x) *at(width + x, y) = value;
    }
    // What lies around a sample is known as soon as it is.
    NEURALCODEC_INLINE void surround(int x, int y, Sample value) const {
        if (x == 0) fill_left(y + 1, value);
        if (x == width - 1) fill_right(y, value);
        if (y == height - 1) {
            *at(x, height) = value;
            if (x == width - 1) fill_right(height, value);
        }
    }
};

struct PhotoInterval {
    uint32_t start, size;
};

// Memory of a kernel, aligned to 64.
struct PhotoScratch {
    void* network;
    void* regression;
    void* online;
};

// For samples of one type.
template <class Sample>
struct PhotoCoding {
    // Intervals of all samples of a plane, those before it being finished; stream s (of 1 or 8) goes to
    // intervals[s], in the order in which it is decoded, and the pointer moves on.
    void (*intervals)(const PhotoNetwork&, const PhotoPlane<Sample>* planes, int streams,
                      PhotoInterval** intervals, const PhotoScratch&);
    // Decodes planes one after the other; false if a stream is not canonical or does not end empty.
    bool (*decode)(const PhotoNetwork* const* networks, const PhotoPlane<Sample>* planes, int count,
                   int streams, const uint8_t* const* bytes, const size_t* lengths, const PhotoScratch&);
    // The least-squares prediction of each sample of a plane and the logarithm of its error: (height, width,
    // 2).
    void (*regressions)(const PhotoPlane<Sample>* planes, int plane, int16_t* out, const PhotoScratch&);
};

struct PhotoKernels {
    const char* name;
    PhotoCoding<uint8_t> bytes;
    PhotoCoding<uint16_t> words;
    size_t network_bytes;
    size_t (*regression_bytes)(int width, int height);
    size_t (*online_bytes)(const PhotoNetwork&);

    template <class Sample>
    const PhotoCoding<Sample>& of() const {
        if constexpr (sizeof(Sample) == 1)
            return bytes;
        else
            return words;
    }
};

extern const PhotoKernels photo_scalar;
extern const PhotoKernels photo_avx2;
extern const PhotoKernels photo_avx512;
extern const PhotoKernels photo_avx512vnni;

const PhotoKernels& photo_kernels(const std::string& forced);

// The network's layers from weights in their natural order; throws std::invalid_argument if a sum could
// leave 32 bits, or a size is out of range.
struct PhotoArrays {
    int plane, hidden, components;
    bool fitted;
    PhotoOnline online;
    int shifts[4];  // first, second, last, linear
    std::vector<int16_t> first, second, last, linear;
    std::vector<int32_t> first_bias, second_bias, last_bias;  // in 2^-12
};
PhotoNetwork photo_network(const PhotoArrays&);

// Streams of a tile: planes of (height x width) samples, `pixel` and `row` samples apart. Of uint8_t and
// uint16_t, as all that follows.
template <class Sample>
struct PhotoSource {
    const Sample* data;
    ptrdiff_t pixel, row;
};
template <class Sample>
std::vector<std::vector<uint8_t>> photo_encode(const std::vector<const PhotoNetwork*>&,
                                               const std::vector<PhotoSource<Sample>>&, int width, int height,
                                               int streams, const PhotoKernels&);
// What networks learn from beside the samples themselves: (planes, height, width, 2).
template <class Sample>
void photo_regressions(const std::vector<PhotoSource<Sample>>&, int width, int height, int16_t* out,
                       const PhotoKernels&);
template <class Sample>
bool photo_decode(const std::vector<const PhotoNetwork*>&, int width, int height,
                  const std::vector<const uint8_t*>& bytes, const std::vector<size_t>& lengths, Sample* out,
                  const PhotoKernels&);

}  // namespace neuralcodec
