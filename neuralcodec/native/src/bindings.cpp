#include "bindings.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <stdexcept>

#include "circuit.hpp"
#include "tensor_coder.hpp"
#include "threads.hpp"

using namespace neuralcodec;
using namespace nb::literals;

namespace {

// ---- tensors

nb::bytes tensor_encode(Array2<uint32_t> values) {
    std::vector<uint8_t> out;
    {
        nb::gil_scoped_release release;
        out = encode_tensor(values.data(), values.shape(0), values.shape(1));
    }
    return nb::bytes(out.data(), out.size());
}

template <class Element>
nb::object decode_blocks(const TensorDecoder& decoder, size_t rows, size_t cols, size_t threads) {
    std::unique_ptr<Element[]> out(new Element[rows * cols]);
    {
        nb::gil_scoped_release release;
        run_jobs(decoder.blocks(), threads, false, [&](size_t b, size_t) {
            if (!decoder.decode_block(b, out.get()))
                throw std::invalid_argument("tensor block " + std::to_string(b) + " is damaged");
        });
    }
    return new_array(out.release(), {rows, cols});
}

nb::object tensor_decode(nb::bytes body, size_t rows, size_t cols, size_t threads) {
    const TensorDecoder decoder(static_cast<const uint8_t*>(body.data()), body.size(), rows, cols);
    return decoder.has_escapes() ? decode_blocks<uint32_t>(decoder, rows, cols, threads)
                                 : decode_blocks<uint8_t>(decoder, rows, cols, threads);
}

// ---- coding

class CircuitCoder {
  public:
    CircuitCoder(const Structure& s, int32_t floor, Array1<uint16_t> root, Array1<uint16_t> transition,
                 Array1<uint16_t> weight, Array1<uint16_t> free, Array1<uint16_t> basis)
        : circuit_(expand(arrays(s, root, transition, weight, free, basis, floor))) {}

    nb::list encode(Array2<uint16_t> x, nb::object missing, int32_t group, size_t threads,
                    const std::string& simd) const {
        const auto hole = holes(x, missing);
        check_samples(x, hole);
        const WalkKernels& kernels = walk_kernels(simd);
        const size_t n = x.shape(0), groups = group_count(n, group);
        std::vector<std::vector<uint8_t>> coded(groups);
        std::vector<Workspace> memory(std::max<size_t>(threads, 1));
        {
            nb::gil_scoped_release release;
            run_jobs(groups, threads, false, [&](size_t g, size_t worker) {
                const FloatState pinned;
                coded[g] =
                    encode_group(circuit_.view(), kernels,
                                 part(const_cast<uint16_t*>(x.data()), hole, n, group, g), &memory[worker]);
            });
        }
        nb::list out;
        for (const auto& bytes : coded) out.append(nb::bytes(bytes.data(), bytes.size()));
        return out;
    }

    // The samples, and the indices of the groups whose streams are corrupt.
    nb::tuple decode(std::vector<nb::bytes> coded, size_t n, nb::object missing, int32_t group,
                     size_t threads, const std::string& simd) const {
        const size_t variables = size_t(circuit_.view().variables), groups = group_count(n, group);
        if (coded.size() != groups)
            throw std::invalid_argument("the number of groups does not fit the number of signals");
        const auto hole = holes_of(missing, n);
        const WalkKernels& kernels = walk_kernels(simd);
        std::unique_ptr<uint16_t[]> x(new uint16_t[n * variables + 1]);
        std::vector<uint8_t> intact(groups, 0);
        std::vector<std::pair<const uint8_t*, size_t>> bytes;
        for (const auto& b : coded) bytes.emplace_back(static_cast<const uint8_t*>(b.data()), b.size());
        std::vector<Workspace> memory(std::max<size_t>(threads, 1));
        {
            nb::gil_scoped_release release;
            run_jobs(groups, threads, false, [&](size_t g, size_t worker) {
                const FloatState pinned;
                intact[g] = decode_group(circuit_.view(), kernels, part(x.get(), hole, n, group, g),
                                         bytes[g].first, bytes[g].second, &memory[worker]);
            });
        }
        nb::list corrupt;
        for (size_t g = 0; g < groups; ++g)
            if (!intact[g]) corrupt.append(g);
        return nb::make_tuple(new_array(x.release(), {n, variables}), corrupt);
    }

    nb::object tables(Array2<uint16_t> x, nb::object missing, const std::string& simd) const {
        const auto hole = holes(x, missing);
        check_samples(x, hole);
        const WalkKernels& kernels = walk_kernels(simd);
        const CircuitView& view = circuit_.view();
        const size_t stride = size_t(view.max_alphabet) + 1, n = x.shape(0);
        if (n > 1024) throw std::invalid_argument("tables: at most 1024 signals");
        std::unique_ptr<uint32_t[]> out(new uint32_t[n * x.shape(1) * stride]);
        std::unique_ptr<float[]> scratch(new float[kernels.scratch_floats(view, int32_t(n))]);
        const FloatState pinned;
        const size_t coded =
            kernels.tables(view, part(const_cast<uint16_t*>(x.data()), hole, n, int32_t(n), 0), scratch.get(),
                           out.get(), stride);
        return new_array(out.release(), {coded, stride});
    }

  private:
    static Circuit expand(const CircuitArrays& arrays) {
        nb::gil_scoped_release release;
        return Circuit(arrays);
    }

    static CircuitArrays arrays(const Structure& s, Array1<uint16_t> root, Array1<uint16_t> transition,
                                Array1<uint16_t> weight, Array1<uint16_t> free, Array1<uint16_t> basis,
                                int32_t floor) {
        s.check();
        return {int32_t(s.parent.size()),
                int32_t(s.alphabet.size()),
                int32_t(s.basis_size.size()),
                s.parent.data(),
                s.variable.data(),
                s.states.data(),
                s.alphabet.data(),
                s.emission.data(),
                s.basis_size.data(),
                {root.data(), root.size()},
                {transition.data(), transition.size()},
                {weight.data(), weight.size()},
                {free.data(), free.size()},
                {basis.data(), basis.size()},
                s.blocks(),
                floor};
    }

    static size_t group_count(size_t n, int32_t group) {
        if (group < 1 || group > 1024) throw std::invalid_argument("a group has 1 to 1024 signals");
        return (n + size_t(group) - 1) / size_t(group);
    }

    Group part(uint16_t* x, const uint8_t* missing, size_t n, int32_t group, size_t g) const {
        const size_t first = g * size_t(group), variables = size_t(circuit_.view().variables);
        return {x + first * variables, missing ? missing + first * variables : nullptr,
                int32_t(std::min(size_t(group), n - first))};
    }

    const uint8_t* holes_of(const nb::object& missing, size_t n) const {
        if (missing.is_none()) return nullptr;
        const auto m = nb::cast<Array2<uint8_t>>(missing, false);
        if (m.shape(0) != n || m.shape(1) != size_t(circuit_.view().variables))
            throw std::invalid_argument("the mask's shape differs from the samples'");
        return m.data();
    }

    const uint8_t* holes(const Array2<uint16_t>& x, const nb::object& missing) const {
        if (x.shape(1) != size_t(circuit_.view().variables))
            throw std::invalid_argument("signals need " + std::to_string(circuit_.view().variables) +
                                        " samples");
        return holes_of(missing, x.shape(0));
    }

    // The kernels index tables by sample: nothing outside its alphabet may reach them.
    void check_samples(const Array2<uint16_t>& x, const uint8_t* missing) const {
        const CircuitView& view = circuit_.view();
        const size_t variables = size_t(view.variables);
        std::vector<uint16_t> largest(variables);
        for (int32_t v = 0; v < view.count; ++v)
            if (view.nodes[v].variable >= 0)
                largest[size_t(view.nodes[v].variable)] = uint16_t(view.nodes[v].alphabet - 1);
        for (size_t i = 0; i < x.shape(0); ++i) {
            const uint16_t* row = x.data() + i * variables;
            uint16_t beyond = 0;  // one comparison for a whole row first: it vectorises
            for (size_t j = 0; j < variables; ++j) beyond |= uint16_t(row[j] > largest[j]);
            for (size_t j = 0; beyond && j < variables; ++j)
                if (row[j] > largest[j] && !(missing && missing[i * variables + j]))
                    throw std::invalid_argument("signal " + std::to_string(i) + ", sample " +
                                                std::to_string(j) + ": " + std::to_string(row[j]) +
                                                " is not below " + std::to_string(largest[j] + 1));
        }
    }

    Circuit circuit_;
};

// The blocks of transitions that have a level above 0, and the transitions without the others.
nb::tuple pack_transitions(const Structure& s, Array1<uint16_t> dense) {
    s.check_places();
    std::vector<uint8_t> support;
    std::unique_ptr<uint16_t[]> packed(new uint16_t[dense.size() + 1]);
    size_t kept = 0;
    const uint16_t* edge = dense.data();
    for (size_t v = 1; v < s.parent.size(); ++v) {
        const int32_t rows = s.states.data()[s.parent.data()[v]], columns = s.states.data()[v];
        if (size_t(rows) * size_t(columns) > size_t(dense.data() + dense.size() - edge))
            throw std::invalid_argument("the transitions do not fit the structure");
        for (int32_t top = 0; top < rows; top += kBlock, edge += int64_t(kBlock) * columns) {
            const int32_t height = std::min(kBlock, rows - top);
            const size_t first = support.size();
            for (int32_t left = 0; left < columns; left += kBlock) {
                uint32_t any = 0;
                for (int32_t r = 0; r < height; ++r)
                    for (int32_t c = left; c < std::min(left + kBlock, columns); ++c)
                        any |= edge[r * columns + c];
                support.push_back(any != 0);
            }
            for (int32_t r = 0; r < height; ++r)
                for (int32_t c = 0; c < columns; ++c)
                    if (support[first + size_t(c / kBlock)]) packed[kept++] = edge[r * columns + c];
            if (height < kBlock) edge -= int64_t(kBlock - height) * columns;
        }
    }
    std::unique_ptr<uint8_t[]> blocks(new uint8_t[support.size() + 1]);
    std::copy(support.begin(), support.end(), blocks.get());
    return nb::make_tuple(new_array(blocks.release(), {support.size()}), new_array(packed.release(), {kept}));
}

}  // namespace

NB_MODULE(_native, m) {
    nb::class_<Structure>(m, "Structure")
        .def("__init__", [](Structure* self, Array1<uint8_t> support, Array1<int32_t> parent,
                            Array1<int32_t> variable, Array1<int32_t> states, Array1<int32_t> alphabet,
                            Array1<int32_t> emission, Array1<int32_t> basis_size) {
            new (self) Structure{parent, variable, states, alphabet, emission, basis_size, support};
        });
    nb::class_<CircuitCoder>(m, "CircuitCoder")
        .def(nb::init<const Structure&, int32_t, Array1<uint16_t>, Array1<uint16_t>, Array1<uint16_t>,
                      Array1<uint16_t>, Array1<uint16_t>>())
        .def("encode", &CircuitCoder::encode, "x"_a, "missing"_a.none(), "group"_a, "threads"_a, "simd"_a)
        .def("decode", &CircuitCoder::decode, "groups"_a, "n"_a, "missing"_a.none(), "group"_a, "threads"_a,
             "simd"_a)
        .def("tables", &CircuitCoder::tables, "x"_a, "missing"_a.none(), "simd"_a);
    bind_learning(m);
    bind_photo(m);
    bind_relative(m);
    bind_siren(m);
    bind_weights(m);
    m.def("pack_transitions", &pack_transitions, "structure"_a, "transition"_a);
    m.def("encode_tensor", &tensor_encode, "values"_a);
    m.def("decode_tensor", &tensor_decode, "body"_a, "rows"_a, "cols"_a, "threads"_a);
    m.def(
        "simd", [](const std::string& forced) { return std::string(walk_kernels(forced).name); }, "forced"_a);
}
