#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <memory>
#include <stdexcept>

#include "bindings.hpp"
#include "float_state.hpp"
#include "relative.hpp"
#include "threads.hpp"

namespace neuralcodec {
namespace {

RelativeBlocks checked(Array1<uint32_t> key, Array1<int32_t> table, Array1<uint32_t> number,
                       Array1<int64_t> offset) {
    if (key.size() != 2 || table.size() != kNormalEntries)
        throw std::invalid_argument("a key of 2 words and a table of 4,097 entries are needed");
    if (offset.size() != number.size() + 1 || offset.data()[0] != 0)
        throw std::invalid_argument("offsets must start at 0 and be one more than the blocks");
    for (size_t j = 0; j < number.size(); ++j)
        if (offset.data()[j + 1] < offset.data()[j]) throw std::invalid_argument("offsets must not descend");
    return {key.data(), table.data(), number.data(), offset.data()};
}

nb::object philox(Array1<uint32_t> key, Array2<uint32_t> counters, const std::string& simd) {
    if (key.size() != 2 || counters.shape(1) != 4)
        throw std::invalid_argument("a key has 2 words, a counter 4");
    const size_t n = counters.shape(0);
    std::unique_ptr<uint32_t[]> out(new uint32_t[4 * n]);
    relative_kernels(simd).philox(key.data(), counters.data(), out.get(), n);
    return new_array(out.release(), {n, 4});
}

nb::object sample(Array1<uint32_t> key, Array1<int32_t> table, Array1<uint32_t> number,
                  Array1<int64_t> offset, Array1<uint32_t> index, size_t threads, const std::string& simd) {
    const RelativeBlocks blocks = checked(key, table, number, offset);
    if (index.size() != number.size()) throw std::invalid_argument("one index a block is needed");
    const size_t n = size_t(offset.data()[number.size()]);
    std::unique_ptr<float[]> out(new float[n]);
    const RelativeKernels& kernels = relative_kernels(simd);
    {
        nb::gil_scoped_release release;
        run_jobs(number.size(), threads, false, [&](size_t j, size_t) {
            const FloatState pinned;
            kernels.sample(blocks, j, index.data()[j], out.get() + offset.data()[j]);
        });
    }
    return new_array(out.release(), {n});
}

nb::object select(Array1<uint32_t> key, Array1<int32_t> table, Array1<uint32_t> number,
                  Array1<int64_t> offset, Array1<float> centre, Array1<float> steepness, Array1<float> peak,
                  uint32_t count, float weight, size_t threads, const std::string& simd) {
    const RelativeBlocks blocks = checked(key, table, number, offset);
    const size_t n = size_t(offset.data()[number.size()]);
    if (centre.size() != n || steepness.size() != n || peak.size() != n)
        throw std::invalid_argument("one centre, steepness and peak a dimension is needed");
    const RelativePosteriors posteriors{centre.data(), steepness.data(), peak.data(), weight};
    std::unique_ptr<uint32_t[]> out(new uint32_t[number.size()]);
    const RelativeKernels& kernels = relative_kernels(simd);
    {
        nb::gil_scoped_release release;
        run_jobs(number.size(), threads, false, [&](size_t j, size_t) {
            const FloatState pinned;
            out[j] = kernels.select(blocks, posteriors, j, count);
        });
    }
    return new_array(out.release(), {number.size()});
}

}  // namespace

void bind_relative(nb::module_& m) {
    using namespace nb::literals;
    m.def("philox", &philox, "key"_a, "counters"_a, "simd"_a);
    m.def("relative_sample", &sample, "key"_a, "table"_a, "number"_a, "offset"_a, "index"_a, "threads"_a,
          "simd"_a);
    m.def("relative_select", &select, "key"_a, "table"_a, "number"_a, "offset"_a, "centre"_a, "steepness"_a,
          "peak"_a, "count"_a, "weight"_a, "threads"_a, "simd"_a);
}

}  // namespace neuralcodec
