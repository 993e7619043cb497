#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <stdexcept>

#include "bindings.hpp"
#include "photo.hpp"
#include "threads.hpp"

namespace neuralcodec {
namespace {

template <class Sample>
using Image = nb::ndarray<const Sample, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

template <class T>
std::vector<T> copied(const Array1<T>& a) {
    return {a.data(), a.data() + a.size()};
}

void check_side(int64_t side) {
    if (side < 1 || side > kPhotoMostSide) throw std::invalid_argument("a tile has sides of 1 to 4,096");
}

// The networks of a model; a tile's planes are coded by the networks 0, 1, 2.
class PhotoCoder {
  public:
    PhotoCoder() = default;
    PhotoCoder(const PhotoCoder&) = delete;
    PhotoCoder& operator=(const PhotoCoder&) = delete;

    // For each plane in order: (hidden, components), shifts, and the arrays of PhotoArrays.
    void add(int hidden, int components, bool fitted, int online, const std::vector<int>& shifts,
             Array1<int16_t> first, Array1<int16_t> second, Array1<int16_t> last, Array1<int16_t> linear,
             Array1<int32_t> first_bias, Array1<int32_t> second_bias, Array1<int32_t> last_bias) {
        if (online < 0 || online > 2) throw std::invalid_argument("layers that learn online are 0, 1 or 2");
        if (shifts.size() != 4) throw std::invalid_argument("there are 4 shifts");
        networks_.push_back(photo_network({int(networks_.size()),
                                           hidden,
                                           components,
                                           fitted,
                                           PhotoOnline(online),
                                           {shifts[0], shifts[1], shifts[2], shifts[3]},
                                           copied(first),
                                           copied(second),
                                           copied(last),
                                           copied(linear),
                                           copied(first_bias),
                                           copied(second_bias),
                                           copied(last_bias)}));
    }

    // The streams of each of some tiles of an image (H, W, channels), of the channels in the order given.
    template <class Sample>
    nb::list encode(Image<Sample> image, const std::vector<int>& channels, Array2<int64_t> boxes, int streams,
                    size_t threads, const std::string& simd) const {
        const PhotoKernels& kernels = photo_kernels(simd);
        const auto height = int64_t(image.shape(0)), width = int64_t(image.shape(1));
        const auto depth = int64_t(image.shape(2));
        const auto networks = used(channels.size());
        if (boxes.shape(1) != 4) throw std::invalid_argument("a box has 4 numbers");
        if (streams != 1 && streams != kPhotoLanes) throw std::invalid_argument("there are 1 or 8 streams");
        for (int c : channels)
            if (c < 0 || c >= depth) throw std::invalid_argument("no such channel");
        const size_t count = boxes.shape(0);
        for (size_t i = 0; i < count; ++i) {
            const int64_t* b = boxes.data() + 4 * i;
            check_side(b[2]), check_side(b[3]);
            if (b[0] < 0 || b[1] < 0 || b[0] > width - b[2] || b[1] > height - b[3])
                throw std::invalid_argument("a tile leaves the image");
        }
        std::vector<std::vector<std::vector<uint8_t>>> coded(count);
        {
            nb::gil_scoped_release release;
            run_jobs(count, threads, false, [&](size_t i, size_t) {
                const int64_t* b = boxes.data() + 4 * i;
                std::vector<PhotoSource<Sample>> sources;
                for (int c : channels)
                    sources.push_back({image.data() + (b[1] * width + b[0]) * depth + c, ptrdiff_t(depth),
                                       ptrdiff_t(width * depth)});
                coded[i] = photo_encode(networks, sources, int(b[2]), int(b[3]), streams, kernels);
            });
        }
        nb::list out;
        for (const auto& tile : coded) {
            nb::list parts;
            for (const auto& stream : tile) parts.append(nb::bytes(stream.data(), stream.size()));
            out.append(parts);
        }
        return out;
    }

    // Arrays (height, width, planes) of tiles of the sizes given, None where streams are not what was coded.
    template <class Sample>
    nb::list decode(nb::list tiles, Array2<int64_t> sizes, int planes, size_t threads,
                    const std::string& simd) const {
        const PhotoKernels& kernels = photo_kernels(simd);
        const auto networks = used(size_t(planes));
        const size_t count = tiles.size();
        if (sizes.shape(0) != count || sizes.shape(1) != 2)
            throw std::invalid_argument("a size has 2 numbers");
        std::vector<std::vector<const uint8_t*>> bytes(count);
        std::vector<std::vector<size_t>> lengths(count);
        std::vector<std::unique_ptr<Sample[]>> out(count);
        std::vector<nb::bytes> kept;
        for (size_t i = 0; i < count; ++i) {
            const auto parts = nb::cast<nb::list>(tiles[i]);
            if (parts.size() != 1 && parts.size() != size_t(kPhotoLanes))
                throw std::invalid_argument("there are 1 or 8 streams");
            check_side(sizes.data()[2 * i]), check_side(sizes.data()[2 * i + 1]);
            for (nb::handle part : parts) {
                kept.push_back(nb::cast<nb::bytes>(part));
                bytes[i].push_back(static_cast<const uint8_t*>(kept.back().data()));
                lengths[i].push_back(kept.back().size());
            }
        }
        std::vector<uint8_t> whole(count);
        {
            nb::gil_scoped_release release;
            run_jobs(count, threads, false, [&](size_t i, size_t) {
                const int64_t* s = sizes.data() + 2 * i;
                out[i].reset(new Sample[size_t(s[0] * s[1] * planes)]);
                whole[i] =
                    photo_decode(networks, int(s[1]), int(s[0]), bytes[i], lengths[i], out[i].get(), kernels);
            });
        }
        nb::list found;
        for (size_t i = 0; i < count; ++i) {
            const int64_t* s = sizes.data() + 2 * i;
            if (whole[i])
                found.append(new_array(out[i].release(), {size_t(s[0]), size_t(s[1]), size_t(planes)}));
            else
                found.append(nb::none());
        }
        return found;
    }

  private:
    std::vector<const PhotoNetwork*> used(size_t planes) const {
        if (planes < 1 || planes > networks_.size())
            throw std::invalid_argument("the model has too few networks");
        std::vector<const PhotoNetwork*> out;
        for (size_t p = 0; p < planes; ++p) out.push_back(&networks_[p]);
        return out;
    }

    std::vector<PhotoNetwork> networks_;
};

// What networks learn from beside the samples: of each channel in the order given, (height, width, 2).
template <class Sample>
nb::object regressions(Image<Sample> image, const std::vector<int>& channels, const std::string& simd) {
    const size_t height = image.shape(0), width = image.shape(1), depth = image.shape(2);
    const size_t planes = channels.size();
    check_side(int64_t(height)), check_side(int64_t(width));
    if (planes < 1 || planes > size_t(kPhotoPlanes)) throw std::invalid_argument("there are 1 to 3 planes");
    std::vector<PhotoSource<Sample>> sources;
    for (int c : channels) {
        if (c < 0 || size_t(c) >= depth) throw std::invalid_argument("no such channel");
        sources.push_back({image.data() + c, ptrdiff_t(depth), ptrdiff_t(width * depth)});
    }
    std::unique_ptr<int16_t[]> out(new int16_t[planes * height * width * 2]);
    {
        nb::gil_scoped_release release;
        photo_regressions(sources, int(width), int(height), out.get(), photo_kernels(simd));
    }
    return new_array(out.release(), {planes, height, width, 2});
}

template <class Sample>
void bind_samples(nb::module_& m, nb::class_<PhotoCoder>& coder, const char* decode) {
    using namespace nb::literals;
    coder
        .def("encode", &PhotoCoder::encode<Sample>, "image"_a.noconvert(), "channels"_a, "boxes"_a,
             "streams"_a, "threads"_a, "simd"_a)
        .def(decode, &PhotoCoder::decode<Sample>, "tiles"_a, "sizes"_a, "planes"_a, "threads"_a, "simd"_a);
    m.def("photo_regressions", &regressions<Sample>, "image"_a.noconvert(), "channels"_a, "simd"_a);
}

}  // namespace

void bind_photo(nb::module_& m) {
    using namespace nb::literals;
    nb::class_<PhotoCoder> coder(m, "PhotoCoder");
    coder.def(nb::init<>())
        .def("add", &PhotoCoder::add, "hidden"_a, "components"_a, "fitted"_a, "online"_a, "shifts"_a,
             "first"_a, "second"_a, "last"_a, "linear"_a, "first_bias"_a, "second_bias"_a, "last_bias"_a);
    bind_samples<uint8_t>(m, coder, "decode_bytes");
    bind_samples<uint16_t>(m, coder, "decode_words");
}

}  // namespace neuralcodec
