// What the binding files share: numpy arrays, and a circuit's structure as Python hands it over.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "blocks.hpp"

namespace neuralcodec {

namespace nb = nanobind;

template <class T>
using Array1 = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Array2 = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T>
using Mutable1 = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <class T>
inline nb::object new_array(T* data, std::vector<size_t> shape) {
    nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
    return nb::cast(nb::ndarray<nb::numpy, T>(data, shape.size(), shape.data(), owner));
}

struct Structure {
    Array1<int32_t> parent, variable, states, alphabet, emission, basis_size;
    Array1<uint8_t> support;  // empty: every transition is stored

    void check() const {
        const size_t n = parent.size();
        if (variable.size() != n || states.size() != n || emission.size() != n)
            throw std::invalid_argument("parent, variable, states and emission differ in length");
    }

    std::vector<std::shared_ptr<const BlockEdge>> blocks() const {
        check();
        return block_edges(support.size() ? support.data() : nullptr, support.size(), parent.size(),
                           parent.data(), states.data());
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

void bind_learning(nb::module_& m);
void bind_photo(nb::module_& m);
void bind_relative(nb::module_& m);
void bind_siren(nb::module_& m);
void bind_weights(nb::module_& m);

}  // namespace neuralcodec
