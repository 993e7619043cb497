// libFuzzer harness over the C++ parsers and kernels. Built twice by run.py, with -DTARGET=1 or 2:
//   1 tensor: a shape (two bytes each) and a tensor body; every block is decoded to both element types.
//   2 circuit: arrays of a circuit, then coder bytes. What Circuit accepts is decoded on every path, which
//   must
//     agree, and encoded again.
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "../../neuralcodec/native/src/circuit.hpp"
#include "../../neuralcodec/native/src/tensor_coder.hpp"

using namespace neuralcodec;

namespace {

void require(bool holds) {
    if (!holds) abort();
}

struct Bytes {
    const uint8_t* data;
    size_t size;
    uint8_t next() { return size ? --size, *data++ : 0; }
    // Small numbers mostly, large ones sometimes, negative ones too.
    int32_t number() {
        const uint8_t b = next();
        if (b < 0xF0) return int32_t(b) - 2;
        const uint8_t c = next();
        return b < 0xF8 ? int32_t(c) << (b & 7) << 2 : -int32_t(c);
    }
    std::vector<int32_t> numbers(size_t n) {
        std::vector<int32_t> v(n);
        for (int32_t& x : v) x = number();
        return v;
    }
    // A run-length code, so that short inputs reach large tables.
    std::vector<uint16_t> levels() {
        std::vector<uint16_t> v;
        for (size_t runs = next(); runs-- > 0;) {
            const uint16_t level = uint16_t(next() * 17);
            v.insert(v.end(), size_t(next()) + 1, level);
        }
        return v;
    }
};

void fuzz_tensor(Bytes in) {
    const uint64_t rows = in.next() | uint64_t(in.next()) << 8, cols = in.next() | uint64_t(in.next()) << 8;
    try {
        const TensorDecoder decoder(in.data, in.size, rows, cols);
        std::vector<uint32_t> wide(rows * cols);
        std::vector<uint8_t> narrow(rows * cols);
        bool intact = true;
        for (size_t b = 0; b < decoder.blocks(); ++b) {
            const bool good = decoder.decode_block(b, wide.data());
            require(decoder.decode_block(b, narrow.data()) == good || decoder.has_escapes());
            intact = intact && good;
        }
        if (!intact) return;
        for (size_t i = 0; i < wide.size(); ++i)
            require(wide[i] < 1u << 23 && (decoder.has_escapes() || wide[i] == narrow[i]));
        const auto body = encode_tensor(wide.data(), rows, cols);
        const TensorDecoder again(body.data(), body.size(), rows, cols);
        std::vector<uint32_t> copy(rows * cols);
        for (size_t b = 0; b < again.blocks(); ++b) require(again.decode_block(b, copy.data()));
        require(copy == wide);
    } catch (const std::invalid_argument&) {
    }
}

std::vector<const WalkKernels*> paths() {
    std::vector<const WalkKernels*> found;
    for (const char* name : {"scalar", "avx2", "avx512"}) try {
            found.push_back(&walk_kernels(name));
        } catch (const std::invalid_argument&) {
        }
    return found;
}

void decode_on_all(const Circuit& circuit, int32_t n, const uint8_t* mask, Bytes in) {
    const size_t samples = size_t(n) * size_t(circuit.view().variables);
    std::vector<uint16_t> first(samples);
    const FloatState pinned;
    bool intact = false;
    for (const WalkKernels* path : paths()) {
        std::vector<uint16_t> x(samples, 0);  // which every alphabet has: bytes that are no stream leave it
        const bool good = decode_group(circuit.view(), *path, {x.data(), mask, n}, in.data, in.size);
        if (path == paths()[0]) first = x, intact = good;
        require(x == first && good == intact);
    }
    for (const WalkKernels* path : paths()) {
        const auto coded = encode_group(circuit.view(), *path, {first.data(), mask, n});
        if (intact) require(coded == std::vector<uint8_t>(in.data, in.data + in.size));
    }
}

void fuzz_circuit(Bytes in) {
    const size_t nodes = in.next() % 24, variables = in.next() % 24, bases = in.next() % 4;
    const auto parent = in.numbers(nodes), variable = in.numbers(nodes), states = in.numbers(nodes),
               emission = in.numbers(nodes), alphabet = in.numbers(variables), basis_size = in.numbers(bases);
    const auto root = in.levels(), transition = in.levels(), weight = in.levels(), free = in.levels(),
               basis = in.levels();
    const int32_t n = in.next() % 20 + 1;
    const bool holes = in.next() & 1;
    std::vector<uint8_t> mask(size_t(n) * variables);
    for (uint8_t& m : mask) m = holes && in.next() % 4 == 0;
    try {
        const Circuit circuit({int32_t(nodes),
                               int32_t(variables),
                               int32_t(bases),
                               parent.data(),
                               variable.data(),
                               states.data(),
                               alphabet.data(),
                               emission.data(),
                               basis_size.data(),
                               {root.data(), root.size()},
                               {transition.data(), transition.size()},
                               {weight.data(), weight.size()},
                               {free.data(), free.size()},
                               {basis.data(), basis.size()}});
        decode_on_all(circuit, n, holes ? mask.data() : nullptr, in);
    } catch (const std::invalid_argument&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    (TARGET == 1 ? fuzz_tensor : fuzz_circuit)({data, size});
    return 0;
}
