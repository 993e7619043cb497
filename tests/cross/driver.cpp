// Decodes a case (cases.py) with the library's own kernels and no Python, and prints what it got as hashes:
//   driver PATH CASE    PATH: scalar, avx2 or avx512
// One line each: the expanded tables, the integer tables of the first signals, the samples, whether encoding
// them again gives the same bytes, and the tensors of the model file.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "../../neuralcodec/native/src/circuit.hpp"
#include "../../neuralcodec/native/src/tensor_coder.hpp"

using namespace neuralcodec;

namespace {

// SHA-256 (FIPS 180-4).
class Sha256 {
  public:
    void add(const void* data, size_t size) {
        const uint8_t* p = static_cast<const uint8_t*>(data);
        length_ += size;
        for (size_t i = 0; i < size; ++i) {
            block_[used_++] = p[i];
            if (used_ == 64) mix();
        }
    }
    std::string hex() {
        const uint64_t bits = length_ * 8;
        const uint8_t one = 0x80, zero = 0;
        add(&one, 1);
        while (used_ != 56) add(&zero, 1);
        for (int shift = 56; shift >= 0; shift -= 8) {
            const uint8_t b = uint8_t(bits >> shift);
            add(&b, 1);
        }
        std::string text;
        char digits[9];
        for (const uint32_t s : state_) {
            std::snprintf(digits, sizeof digits, "%08x", unsigned(s));
            text += digits;
        }
        return text;
    }

  private:
    static uint32_t turn(uint32_t x, int n) { return x >> n | x << (32 - n); }
    void mix() {
        uint32_t w[64];
        for (int i = 0; i < 16; ++i)
            w[i] = uint32_t(block_[4 * i]) << 24 | uint32_t(block_[4 * i + 1]) << 16 |
                   uint32_t(block_[4 * i + 2]) << 8 | block_[4 * i + 3];
        for (int i = 16; i < 64; ++i)
            w[i] = w[i - 16] + w[i - 7] + (turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >> 3) +
                   (turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >> 10);
        std::array<uint32_t, 8> s = state_;
        for (int i = 0; i < 64; ++i) {
            const uint32_t t1 = s[7] + (turn(s[4], 6) ^ turn(s[4], 11) ^ turn(s[4], 25)) +
                                ((s[4] & s[5]) ^ (~s[4] & s[6])) + kRound[i] + w[i];
            const uint32_t t2 = (turn(s[0], 2) ^ turn(s[0], 13) ^ turn(s[0], 22)) +
                                ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
            s = {t1 + t2, s[0], s[1], s[2], s[3] + t1, s[4], s[5], s[6]};
        }
        for (size_t i = 0; i < 8; ++i) state_[i] += s[i];
        used_ = 0;
    }

    static const uint32_t kRound[64];
    std::array<uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint8_t block_[64];
    size_t used_ = 0;
    uint64_t length_ = 0;
};

const uint32_t Sha256::kRound[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// The file of a case, read from the front. All integers are little-endian, as the machines that this runs on.
class Reader {
  public:
    explicit Reader(const char* path) {
        std::ifstream file(path, std::ios::binary);
        bytes_.assign(std::istreambuf_iterator<char>(file), {});
        if (bytes_.empty()) throw std::runtime_error("cannot read the case");
    }
    template <class T>
    std::vector<T> take(size_t n) {
        std::vector<T> out(n);
        if (n * sizeof(T) > bytes_.size() - at_) throw std::runtime_error("the case ends early");
        if (n) std::memcpy(out.data(), bytes_.data() + at_, n * sizeof(T));
        at_ += n * sizeof(T);
        return out;
    }
    uint32_t number() { return take<uint32_t>(1)[0]; }

  private:
    std::vector<char> bytes_;
    size_t at_ = 0;
};

struct Case {
    std::vector<int32_t> parent, variable, states, emission, alphabet, basis_size;
    std::vector<uint8_t> support;
    int32_t floor;
    std::array<std::vector<uint16_t>, 5> levels;
    int32_t signals, group;
    std::vector<uint8_t> mask;
    std::vector<std::vector<uint8_t>> coded;

    explicit Case(Reader& in) {
        const size_t nodes = in.number(), variables = in.number(), bases = in.number();
        for (auto* array : {&parent, &variable, &states, &emission}) *array = in.take<int32_t>(nodes);
        alphabet = in.take<int32_t>(variables);
        basis_size = in.take<int32_t>(bases);
        support = in.take<uint8_t>(in.number());
        floor = int32_t(in.number());
        for (auto& array : levels) array = in.take<uint16_t>(in.number());
        signals = int32_t(in.number());
        group = int32_t(in.number());
        if (in.number()) mask = in.take<uint8_t>(size_t(signals) * variables);
        coded.resize(in.number());
        for (auto& bytes : coded) bytes = in.take<uint8_t>(in.number());
    }
    CircuitArrays arrays() const {
        auto part = [&](size_t i) { return Levels{levels[i].data(), levels[i].size()}; };
        return {int32_t(parent.size()),
                int32_t(alphabet.size()),
                int32_t(basis_size.size()),
                parent.data(),
                variable.data(),
                states.data(),
                alphabet.data(),
                emission.data(),
                basis_size.data(),
                part(0),
                part(1),
                part(2),
                part(3),
                part(4),
                block_edges(support.empty() ? nullptr : support.data(), support.size(), parent.size(),
                            parent.data(), states.data()),
                floor};
    }
    Group part(std::vector<uint16_t>& x, size_t g) const {
        const size_t first = g * size_t(group), width = alphabet.size();
        return {x.data() + first * width, mask.empty() ? nullptr : mask.data() + first * width,
                std::min(group, signals - int32_t(first))};
    }
};

// All entries, with the zeros that are not stored.
void hash_matrix(Sha256& hash, const Matrix& m) {
    std::vector<float> all(m.entries, m.entries + (m.blocks ? 0 : size_t(m.rows) * size_t(m.columns)));
    all.resize(size_t(m.rows) * size_t(m.columns), 0.0f);
    for (int32_t i = 0; m.blocks && i < m.rows; ++i)
        for (int32_t b = m.blocks->rows.first[size_t(i / kBlock)];
             b < m.blocks->rows.first[size_t(i / kBlock) + 1]; ++b) {
            const Block& block = m.blocks->rows.blocks[size_t(b)];
            for (int32_t j = kBlock * block.across; j < std::min(kBlock * (block.across + 1), m.columns); ++j)
                all[size_t(i) * size_t(m.columns) + size_t(j)] =
                    m.entries[block.offset + i % kBlock * block.stride + j % kBlock];
        }
    hash.add(all.data(), sizeof(float) * all.size());
}

// Prior, then node by node transitions, weights, and the tables of emissions that no node before had; no
// padding.
std::string hash_tables(const CircuitView& c) {
    Sha256 hash;
    std::set<const float*> seen;
    hash.add(c.prior, sizeof(float) * size_t(c.nodes[0].states));
    for (int32_t v = 0; v < c.count; ++v) {
        const Node& n = c.nodes[v];
        if (v > 0) hash_matrix(hash, n.transition);
        if (n.emission == Emission::shared) hash_matrix(hash, n.weight);
        if (n.emission == Emission::silent || !seen.insert(n.distribution).second) continue;
        hash.add(n.distribution, sizeof(float) * size_t(n.rank) * size_t(n.alphabet));
        for (int32_t x = 0; x < n.alphabet; ++x)
            hash.add(n.cumulative + size_t(x) * size_t(n.padded_rank), sizeof(float) * size_t(n.rank));
    }
    return hash.hex();
}

std::string hash_integer_tables(const CircuitView& c, const WalkKernels& kernels, Group group) {
    group.signals = std::min(group.signals, 16);
    const size_t stride = size_t(c.max_alphabet) + 1;
    std::vector<uint32_t> out(size_t(group.signals) * size_t(c.variables) * stride);
    std::vector<float> scratch(kernels.scratch_floats(c, group.signals) + 16);
    const size_t coded = kernels.tables(c, group, scratch.data(), out.data(), stride);
    Sha256 hash;
    hash.add(out.data(), coded * stride * sizeof(uint32_t));
    return hash.hex();
}

std::string hash_tensors(Reader& in) {
    Sha256 hash;
    for (uint32_t left = in.number(); left > 0; --left) {
        const uint64_t rows = in.number(), cols = in.number();
        const auto body = in.take<uint8_t>(in.number());
        const TensorDecoder decoder(body.data(), body.size(), rows, cols);
        std::vector<uint32_t> values(rows * cols);
        for (size_t b = 0; b < decoder.blocks(); ++b)
            if (!decoder.decode_block(b, values.data())) throw std::runtime_error("a tensor is damaged");
        hash.add(values.data(), values.size() * sizeof(uint32_t));
    }
    return hash.hex();
}

void run(const char* path, const char* file) {
    Reader in(file);
    const Case data(in);
    const WalkKernels& kernels = walk_kernels(path);
    const Circuit circuit(data.arrays());
    const CircuitView& view = circuit.view();
    std::printf("tables %s\n", hash_tables(view).c_str());
    std::vector<uint16_t> x(size_t(data.signals) * data.alphabet.size());
    bool again = true;
    for (size_t g = 0; g < data.coded.size(); ++g) {
        const FloatState pinned;
        const auto& bytes = data.coded[g];
        const Group group = data.part(x, g);
        if (!decode_group(view, kernels, group, bytes.data(), bytes.size()))
            throw std::runtime_error("a group is damaged");
        again = again && encode_group(view, kernels, group) == bytes;
    }
    std::printf("integers %s\n", hash_integer_tables(view, kernels, data.part(x, 0)).c_str());
    Sha256 hash;
    hash.add(x.data(), x.size() * sizeof(uint16_t));
    std::printf("samples %s\nagain %s\ntensors %s\n", hash.hex().c_str(), again ? "same" : "DIFFERENT",
                hash_tensors(in).c_str());
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 3) return std::fprintf(stderr, "driver PATH CASE\n"), 2;
    try {
        run(arguments[1], arguments[2]);
    } catch (const std::exception& error) {
        return std::fprintf(stderr, "%s\n", error.what()), 1;
    }
    return 0;
}
