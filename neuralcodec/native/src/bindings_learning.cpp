// Bindings of the learner.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "bindings.hpp"
#include "float_state.hpp"
#include "learning.hpp"
#include "threads.hpp"

namespace neuralcodec {

using namespace nb::literals;

namespace {

class Learner {
  public:
    Learner(const Structure& s) {
        s.check_places();
        circuit_.variables = int32_t(s.alphabet.size());
        std::vector<int32_t> basis_alphabet(s.basis_size.size(), 0);
        const auto blocks = s.blocks();
        for (size_t v = 0; v < s.parent.size(); ++v) add_node(s, v, blocks[v], basis_alphabet);
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
                const FloatState fast(FloatState::Subnormals::flushed);
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
    static size_t padded_size(int64_t n) { return size_t((n + 15) / 16 * 16); }

    void add_node(const Structure& s, size_t v, std::shared_ptr<const BlockEdge> blocks,
                  std::vector<int32_t>& basis_alphabet) {
        LearnNode n{};
        n.blocks = std::move(blocks);
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
            transition_ += n.blocks ? size_t(n.blocks->entries) : rows * size_t(n.states);
            circuit_.transition_counts +=
                n.blocks ? padded_size(n.blocks->entries) : rows * padded_size(n.states);
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
            const int32_t rows = v > 0 && !n.blocks ? circuit_.nodes[size_t(n.parent)].states : 0;
            if (n.blocks)
                add_up(
                    out[1] + n.transition, size_t(n.blocks->entries),
                    [&](size_t w) { return parts[w].transition + n.transition_counts; }, threads);
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

void maximisation(Mutable1<float> theta, Mutable1<float> statistics, Array1<float> counts,
                  Array1<int64_t> offset, float rate, float scale, float pseudocount, size_t threads) {
    if (offset.size() == 0) throw std::invalid_argument("array sizes");
    const size_t n = theta.size(), rows = offset.size() - 1;
    if (statistics.size() != n || counts.size() != n || offset.data()[0] != 0 ||
        offset.data()[rows] != int64_t(n) || !std::is_sorted(offset.data(), offset.data() + rows + 1))
        throw std::invalid_argument("array sizes");
    nb::gil_scoped_release release;
    const size_t block = std::max<size_t>(1, rows * 65536 / (n + 1));
    run_jobs((rows + block - 1) / block, threads, false, [&](size_t b, size_t) {
        const FloatState fast(FloatState::Subnormals::flushed);
        learning_kernels().maximisation(theta.data(), statistics.data(), counts.data(),
                                        offset.data() + b * block, std::min(block, rows - b * block), rate,
                                        scale, pseudocount);
    });
}

}  // namespace

void bind_learning(nb::module_& m) {
    nb::class_<Learner>(m, "Learner")
        .def(nb::init<const Structure&>())
        .def("expectation", &Learner::expectation, "root"_a, "transition"_a, "weight"_a, "free"_a, "basis"_a,
             "x"_a, "missing"_a.none(), "counts"_a.none(), "tile"_a, "threads"_a);
    m.def("maximisation", &maximisation, nb::arg("theta").noconvert(), nb::arg("statistics").noconvert(),
          "counts"_a, "offset"_a, "rate"_a, "scale"_a, "pseudocount"_a, "threads"_a);
}

}  // namespace neuralcodec
