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
#include "learning.hpp"
#include "tensor_coder.hpp"
#include "threads.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace neuralcodec;

namespace {

template <class T>
using Array1 = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Array2 = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T>
using Mutable1 = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <class T>
nb::object new_array(T* data, std::vector<size_t> shape) {
    nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
    return nb::cast(nb::ndarray<nb::numpy, T>(data, shape.size(), shape.data(), owner));
}

struct Structure {
    Array1<int32_t> parent, variable, states, alphabet, emission, basis_size;

    void check() const {
        const size_t n = parent.size();
        if (variable.size() != n || states.size() != n || emission.size() != n)
            throw std::invalid_argument("parent, variable, states and emission differ in length");
    }

    // What the learner indexes by (the coder checks more, and says more: Circuit).
    void check_places() const {
        check();
        const size_t n = parent.size();
        for (size_t v = 0; v < n; ++v) {
            const int32_t up = parent.data()[v], i = variable.data()[v], kind = emission.data()[v];
            const bool placed = v == 0 ? up == -1 : up >= 0 && size_t(up) < v;
            const bool emits =
                (i < 0) == (kind < 0) && i < int32_t(alphabet.size()) && kind <= int32_t(basis_size.size());
            if (!placed || !emits || states.data()[v] < 1)
                throw std::invalid_argument("node " + std::to_string(v) +
                                            ": bad parent, variable, emission or states");
        }
        for (size_t b = 0; b < basis_size.size(); ++b)
            if (basis_size.data()[b] < 1) throw std::invalid_argument("a basis of no distributions");
        if (n == 0) throw std::invalid_argument("a circuit has at least one node");
    }
};

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
    CircuitCoder(const Structure& s, Array1<uint16_t> root, Array1<uint16_t> transition,
                 Array1<uint16_t> weight, Array1<uint16_t> free, Array1<uint16_t> basis)
        : circuit_(expand(arrays(s, root, transition, weight, free, basis))) {}

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
                                Array1<uint16_t> weight, Array1<uint16_t> free, Array1<uint16_t> basis) {
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
                {basis.data(), basis.size()}};
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

// ---- learning

class Learner {
  public:
    Learner(const Structure& s) {
        s.check_places();
        circuit_.variables = int32_t(s.alphabet.size());
        std::vector<int32_t> basis_alphabet(s.basis_size.size(), 0);
        for (size_t v = 0; v < s.parent.size(); ++v) add_node(s, v, basis_alphabet);
        for (size_t b = 0; b < s.basis_size.size(); ++b) {
            const int32_t size = s.basis_size.data()[b], alphabet = basis_alphabet[b];
            circuit_.bases.push_back({size, alphabet, basis_, circuit_.basis_counts});
            basis_ += size_t(size) * size_t(alphabet);
            circuit_.basis_counts += size_t(alphabet) * padded_size(size);
        }
        root_ = size_t(circuit_.nodes[0].states);
    }

    // Natural-log likelihoods. If `counts` is a tuple of arrays in the layout of `root, transition, weight,
    // free, basis`, they are filled with the expected counts divided by the parameters. One call at a time:
    // the sums are kept between calls.
    nb::object expectation(Array1<float> root, Array1<float> transition, Array1<float> weight,
                           Array1<float> free, Array1<float> basis, Array2<uint16_t> x, nb::object missing,
                           nb::object counts, int32_t tile, size_t threads) {
        if (root.size() != root_ || transition.size() != transition_ || weight.size() != weight_ ||
            free.size() != free_ || basis.size() != basis_ || x.shape(1) != size_t(circuit_.variables) ||
            tile < 1)
            throw std::invalid_argument("array sizes do not fit the structure");
        const uint8_t* holes = nullptr;
        if (!missing.is_none()) {
            const auto m = nb::cast<Array2<uint8_t>>(missing, false);
            if (m.shape(0) != x.shape(0) || m.shape(1) != x.shape(1))
                throw std::invalid_argument("mask shape");
            holes = m.data();
        }
        check_samples(x, holes);
        std::vector<float*> out;
        if (!counts.is_none()) out = outputs(nb::cast<nb::tuple>(counts));
        const size_t n = x.shape(0), tiles = (n + size_t(tile) - 1) / size_t(tile);
        threads = std::max<size_t>(1, std::min(threads, tiles));
        const LearnParameters theta{root.data(), transition.data(), weight.data(), free.data(), basis.data()};
        std::unique_ptr<double[]> ll(new double[n + 1]);
        {
            nb::gil_scoped_release release;
            const std::lock_guard<std::mutex> lock(busy_);
            const LearningKernels& kernels = learning_kernels();
            if (sums_.size() < threads) sums_.resize(threads);
            if (!out.empty())
                run_jobs(threads, threads, true,
                         [&](size_t, size_t w) { sums_[w].assign(count_floats(), 0.0f); });
            std::vector<std::unique_ptr<float[]>> scratch(threads);
            run_jobs(tiles, threads, true, [&](size_t t, size_t worker) {
                if (!scratch[worker])
                    scratch[worker].reset(new float[kernels.scratch_floats(circuit_, tile) + 16]);
                float* aligned = scratch[worker].get();
                aligned += (64 - reinterpret_cast<uintptr_t>(aligned) % 64) % 64 / sizeof(float);
                const size_t first = t * size_t(tile);
                const LearnTile part{x.data() + first * x.shape(1),
                                     holes ? holes + first * x.shape(1) : nullptr,
                                     int32_t(std::min(size_t(tile), n - first))};
                const LearnCounts sums = out.empty() ? LearnCounts{} : split(sums_[worker].data());
                kernels.expectation(circuit_, theta, part, aligned, ll.get() + first,
                                    out.empty() ? nullptr : &sums);
            });
            if (!out.empty()) gather(out, threads);
        }
        return new_array(ll.release(), {n});
    }

  private:
    static size_t padded_size(int32_t n) { return size_t((n + 15) / 16 * 16); }

    void add_node(const Structure& s, size_t v, std::vector<int32_t>& basis_alphabet) {
        LearnNode n{};
        n.parent = s.parent.data()[v];
        n.last_child = n.previous_sibling = -1;
        if (v > 0) std::swap(n.previous_sibling, circuit_.nodes[size_t(n.parent)].last_child);
        if (v > 0) circuit_.nodes[size_t(n.parent)].last_child = int32_t(v);
        n.variable = s.variable.data()[v];
        n.states = s.states.data()[v];
        const int32_t emission = s.emission.data()[v];
        n.basis = emission - 1;
        n.free = emission == 0;
        n.alphabet = n.variable < 0 ? 0 : s.alphabet.data()[n.variable];
        n.transition = transition_;
        n.transition_counts = circuit_.transition_counts;
        n.likelihood_row = circuit_.likelihood_rows;
        n.message_row = circuit_.message_rows;
        circuit_.likelihood_rows += size_t(n.states);
        if (v > 0) {
            const size_t rows = size_t(circuit_.nodes[size_t(n.parent)].states);
            transition_ += rows * size_t(n.states);
            circuit_.transition_counts += rows * padded_size(n.states);
            circuit_.message_rows += rows;
        }
        n.weight = weight_;
        n.weight_counts = circuit_.weight_counts;
        n.free_table = free_;
        if (n.free) free_ += size_t(n.states) * size_t(n.alphabet);
        if (n.variable >= 0 && !n.free) {
            n.rank = s.basis_size.data()[n.basis];
            basis_alphabet[size_t(n.basis)] = n.alphabet;
            weight_ += size_t(n.states) * size_t(n.rank);
            circuit_.weight_counts += size_t(n.states) * padded_size(n.rank);
        }
        circuit_.max_states = std::max(circuit_.max_states, n.states);
        circuit_.max_rank = std::max(circuit_.max_rank, n.rank);
        circuit_.max_alphabet = std::max(circuit_.max_alphabet, n.alphabet);
        circuit_.nodes.push_back(n);
    }

    void check_samples(const Array2<uint16_t>& x, const uint8_t* missing) const {
        std::vector<int32_t> alphabet(size_t(circuit_.variables));
        for (const LearnNode& n : circuit_.nodes)
            if (n.variable >= 0) alphabet[size_t(n.variable)] = n.alphabet;
        for (size_t i = 0; i < x.shape(0); ++i)
            for (size_t j = 0; j < alphabet.size(); ++j) {
                const size_t at = i * alphabet.size() + j;
                if (x.data()[at] >= alphabet[j] && !(missing && missing[at]))
                    throw std::invalid_argument("signal " + std::to_string(i) + ", sample " +
                                                std::to_string(j) + " is outside its alphabet");
            }
    }

    size_t count_floats() const {
        return root_ + circuit_.transition_counts + circuit_.weight_counts + free_ + circuit_.basis_counts;
    }
    LearnCounts split(float* p) const {
        LearnCounts c{};
        c.transition = p;
        c.weight = c.transition + circuit_.transition_counts;
        c.free = c.weight + circuit_.weight_counts;
        c.basis = c.free + free_;
        c.root = c.basis + circuit_.basis_counts;
        return c;
    }

    std::vector<float*> outputs(const nb::tuple& counts) const {
        const size_t sizes[] = {root_, transition_, weight_, free_, basis_};
        std::vector<float*> out;
        for (size_t i = 0; i < 5; ++i) {
            const auto array = nb::cast<Mutable1<float>>(counts[i], false);
            if (array.size() != sizes[i])
                throw std::invalid_argument("count arrays do not fit the structure");
            out.push_back(array.data());
        }
        return out;
    }

    // Adds the workers' sums in the workers' order and takes the padding out.
    void gather(const std::vector<float*>& out, size_t threads) const {
        std::vector<LearnCounts> parts;
        for (size_t w = 0; w < threads; ++w) parts.push_back(split(const_cast<float*>(sums_[w].data())));
        add_up(out[0], root_, [&](size_t w) { return parts[w].root; }, threads);
        add_up(out[3], free_, [&](size_t w) { return parts[w].free; }, threads);
        run_jobs(circuit_.nodes.size(), threads, false, [&](size_t v, size_t) {
            const LearnNode& n = circuit_.nodes[v];
            const int32_t rows = v > 0 ? circuit_.nodes[size_t(n.parent)].states : 0;
            for (int32_t r = 0; r < rows; ++r)
                add_up(
                    out[1] + n.transition + size_t(r) * size_t(n.states), size_t(n.states),
                    [&](size_t w) {
                        return parts[w].transition + n.transition_counts + size_t(r) * padded_size(n.states);
                    },
                    threads);
            for (int32_t z = 0; n.rank && z < n.states; ++z)
                add_up(
                    out[2] + n.weight + size_t(z) * size_t(n.rank), size_t(n.rank),
                    [&](size_t w) {
                        return parts[w].weight + n.weight_counts + size_t(z) * padded_size(n.rank);
                    },
                    threads);
        });
        for (const LearnBasis& b : circuit_.bases)
            for (int32_t k = 0; k < b.size; ++k)
                for (int32_t y = 0; y < b.alphabet; ++y) {
                    float sum = 0;
                    for (const LearnCounts& p : parts)
                        sum += p.basis[b.counts + size_t(y) * padded_size(b.size) + size_t(k)];
                    out[4][b.table + size_t(k) * size_t(b.alphabet) + size_t(y)] = sum;
                }
    }

    template <class Part>
    static void add_up(float* out, size_t n, Part part, size_t threads) {
        std::copy_n(part(0), n, out);
        for (size_t w = 1; w < threads; ++w) {
            const float* p = part(w);
            for (size_t i = 0; i < n; ++i) out[i] += p[i];
        }
    }

    LearnCircuit circuit_;
    size_t root_ = 0, transition_ = 0, weight_ = 0, free_ = 0, basis_ = 0;
    std::vector<std::vector<float>> sums_;
    std::mutex busy_;
};

void maximisation(Mutable1<float> theta, Mutable1<float> statistics, Array1<float> counts, size_t cols,
                  float rate, float scale, float pseudocount, size_t threads) {
    const size_t n = theta.size();
    if (statistics.size() != n || counts.size() != n || cols == 0 || n % cols)
        throw std::invalid_argument("array sizes");
    nb::gil_scoped_release release;
    const size_t rows = n / cols, block = std::max<size_t>(1, 65536 / cols);
    run_jobs((rows + block - 1) / block, threads, false, [&](size_t b, size_t) {
        const size_t first = b * block * cols;
        learning_kernels().maximisation(theta.data() + first, statistics.data() + first,
                                        counts.data() + first, std::min(block, rows - b * block), cols, rate,
                                        scale, pseudocount);
    });
}

}  // namespace

NB_MODULE(_native, m) {
    nb::class_<Structure>(m, "Structure")
        .def("__init__",
             [](Structure* self, Array1<int32_t> parent, Array1<int32_t> variable, Array1<int32_t> states,
                Array1<int32_t> alphabet, Array1<int32_t> emission, Array1<int32_t> basis_size) {
                 new (self) Structure{parent, variable, states, alphabet, emission, basis_size};
             });
    nb::class_<CircuitCoder>(m, "CircuitCoder")
        .def(nb::init<const Structure&, Array1<uint16_t>, Array1<uint16_t>, Array1<uint16_t>,
                      Array1<uint16_t>, Array1<uint16_t>>())
        .def("encode", &CircuitCoder::encode, "x"_a, "missing"_a.none(), "group"_a, "threads"_a, "simd"_a)
        .def("decode", &CircuitCoder::decode, "groups"_a, "n"_a, "missing"_a.none(), "group"_a, "threads"_a,
             "simd"_a)
        .def("tables", &CircuitCoder::tables, "x"_a, "missing"_a.none(), "simd"_a);
    nb::class_<Learner>(m, "Learner")
        .def(nb::init<const Structure&>())
        .def("expectation", &Learner::expectation, "root"_a, "transition"_a, "weight"_a, "free"_a, "basis"_a,
             "x"_a, "missing"_a.none(), "counts"_a.none(), "tile"_a, "threads"_a);
    m.def("maximisation", &maximisation, nb::arg("theta").noconvert(), nb::arg("statistics").noconvert(),
          "counts"_a, "cols"_a, "rate"_a, "scale"_a, "pseudocount"_a, "threads"_a);
    m.def("encode_tensor", &tensor_encode, "values"_a);
    m.def("decode_tensor", &tensor_decode, "body"_a, "rows"_a, "cols"_a, "threads"_a);
    m.def(
        "simd", [](const std::string& forced) { return std::string(walk_kernels(forced).name); }, "forced"_a);
}
