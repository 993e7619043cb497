#include "circuit.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>

#include "ans.hpp"

namespace neuralcodec {
namespace {

constexpr int32_t kMaxStates = 4096, kMaxAlphabet = 4096, kMaxNodes = 131072;
constexpr int32_t kMaxFloor = 100;
constexpr uint32_t kMaxLevel = 4095;
constexpr uint64_t kMaxRowSum = uint64_t(1) << 24;
constexpr uint64_t kMaxTables = uint64_t(1) << 28;  // entries of all derived tables: 1 GiB

[[noreturn]] void refuse(const std::string& what) {
    throw std::invalid_argument(what);
}

void check(bool holds, int32_t node, const char* what, int64_t value) {
    if (!holds) refuse("node " + std::to_string(node) + ": " + what + " (" + std::to_string(value) + ")");
}

int32_t pad16(int32_t n) {
    return (n + 15) / 16 * 16;
}

void expect_levels(const char* name, Levels levels, uint64_t count) {
    if (levels.size != count)
        refuse(std::string(name) + " has " + std::to_string(levels.size) +
               " levels; the structure asks for " + std::to_string(count));
}

// A cursor over the rows of one level array.
class Rows {
  public:
    Rows(Levels levels, const char* name) : levels_(levels), name_(name) {}
    const uint16_t* take(size_t n) {
        const uint16_t* p = levels_.data + used_;
        used_ += n;
        return p;
    }
    const char* name() const { return name_; }

  private:
    Levels levels_;
    const char* name_;
    size_t used_ = 0;
};

uint32_t row_sum(const uint16_t* levels, int32_t n, const char* name) {
    uint64_t sum = 0;
    uint32_t top = 0;
    for (int32_t j = 0; j < n; ++j) {
        sum += uint32_t(levels[j]) * levels[j];
        top = std::max<uint32_t>(top, levels[j]);
    }
    if (top > kMaxLevel) refuse(std::string(name) + " has a level above 4095: " + std::to_string(top));
    if (sum == 0 || sum >= kMaxRowSum)
        refuse(std::string(name) + " has a row whose squared levels sum to " + std::to_string(sum));
    return uint32_t(sum);
}

// Probabilities of one row: the integers are below 2^24, so both conversions are exact.
void expand_row(float* out, const uint16_t* levels, int32_t n, const char* name) {
    const float sum = float(row_sum(levels, n, name));
    for (int32_t j = 0; j < n; ++j) out[j] = float(uint32_t(levels[j]) * levels[j]) / sum;
}

// Keeps what the matrix stores of one row; returns how many entries that is.
int32_t store_row(float* out, const float* row, const Matrix& m, int32_t number) {
    if (!m.blocks) {
        std::copy_n(row, m.columns, out);
        return m.columns;
    }
    int32_t kept = 0;
    const size_t strip = size_t(number / kBlock);
    for (int32_t b = m.blocks->rows.first[strip]; b < m.blocks->rows.first[strip + 1]; ++b) {
        const int32_t first = kBlock * m.blocks->rows.blocks[size_t(b)].across;
        for (int32_t k = first; k < std::min(first + kBlock, m.columns); ++k) out[kept++] = row[k];
    }
    return kept;
}

// Entry x of column k (rows `stride` apart) holds the mass below x.
void expand_cumulative(float* out, int32_t stride, const uint16_t* levels, int32_t n, const char* name) {
    const float sum = float(row_sum(levels, n, name));
    uint32_t below = 0;
    for (int32_t x = 0; x < n; ++x) {
        out[int64_t(x) * stride] = float(below) / sum;
        below += uint32_t(levels[x]) * levels[x];
    }
}

}  // namespace

struct Circuit::Basis {
    int32_t size, alphabet;
    size_t distribution, cumulative;
};

Circuit::Circuit(const CircuitArrays& a) {
    const FloatState pinned;
    read_structure(a);
    assign_slots();
    read_tables(a);
    view_.nodes = nodes_.data();
    view_.count = a.nodes;
    view_.variables = a.variables;
    view_.prior = prior_.data();
    if (a.floor < 0 || a.floor > kMaxFloor) refuse("the floor of priors is out of range");
    view_.floor = a.floor ? std::ldexp(1.0f, -a.floor) : 0.0f;
    view_.slot_states = slot_states_.data();
    view_.slots = int32_t(slot_states_.size());
    for (const Node& n : nodes_) {
        view_.max_states = std::max(view_.max_states, n.states);
        view_.max_rank = std::max(view_.max_rank, n.rank);
        view_.max_alphabet = std::max(view_.max_alphabet, n.alphabet);
    }
}

void Circuit::read_structure(const CircuitArrays& a) {
    if (a.nodes < 1 || a.nodes > kMaxNodes)
        refuse("a circuit has 1 to 131072 nodes, not " + std::to_string(a.nodes));
    nodes_.resize(size_t(a.nodes));
    blocks_ = a.blocks;
    blocks_.resize(nodes_.size());  // none given: every transition is stored
    std::vector<bool> owned(size_t(a.variables), false);
    for (int32_t v = 0; v < a.nodes; ++v) {
        Node& n = nodes_[size_t(v)];
        n = Node{};
        n.parent = a.parent[v], n.variable = a.variable[v], n.states = a.states[v];
        check(v == 0 ? n.parent == -1 : n.parent >= 0 && n.parent < v, v, "bad parent", n.parent);
        int32_t on_path = v - 1;
        while (on_path > n.parent) on_path = nodes_[size_t(on_path)].parent;
        check(on_path == n.parent, v, "parent breaks the depth-first order", n.parent);
        check(n.states >= 1 && n.states <= kMaxStates, v, "number of states out of range", n.states);
        const int32_t emission = a.emission[v];
        check((n.variable < 0) == (emission < 0), v, "a node has emissions exactly if it owns a variable",
              emission);
        if (n.variable < 0) continue;
        check(n.variable < a.variables && !owned[size_t(n.variable)], v,
              "variable out of range or owned twice", n.variable);
        owned[size_t(n.variable)] = true;
        n.alphabet = a.alphabet[n.variable];
        check(n.alphabet >= 1 && n.alphabet <= kMaxAlphabet, v, "alphabet out of range", n.alphabet);
        check(emission <= a.bases, v, "unknown basis", emission - 1);
        n.emission = emission == 0 ? Emission::free : Emission::shared;
        n.rank = emission == 0 ? n.states : a.basis_size[emission - 1];
        check(n.rank >= 1 && n.rank <= kMaxStates, v, "basis size out of range", n.rank);
        n.padded_rank = pad16(n.rank);
    }
    for (int32_t i = 0; i < a.variables; ++i)
        if (!owned[size_t(i)]) refuse("no node owns variable " + std::to_string(i));
}

// A message is kept only while somebody may still read it. A node informs its parent only if the walk comes
// back to the parent or above: on the last path down from the root nobody climbs, and two slots take turns.
void Circuit::assign_slots() {
    const size_t count = nodes_.size();
    std::vector<int32_t> last_child(count, -1);
    for (size_t v = 1; v < count; ++v) last_child[size_t(nodes_[v].parent)] = int32_t(v);
    std::vector<bool> climbs(count, false);
    for (size_t v = 0; v < count; ++v) {
        Node& n = nodes_[v];
        if (v > 0) {
            const size_t up = size_t(n.parent);
            climbs[v] = climbs[up] || last_child[up] != int32_t(v);
            n.slot = climbs[v] ? std::max(nodes_[up].slot, 1) + 1 : 1 - nodes_[up].slot;
        }
        n.informs = climbs[v] || last_child[v] >= 0;
        if (slot_states_.size() <= size_t(n.slot)) slot_states_.resize(size_t(n.slot) + 1, 0);
        slot_states_[size_t(n.slot)] = std::max(slot_states_[size_t(n.slot)], n.states);
    }
}

// Weights that have few blocks besides zeros; nullptr where leaving those out would not pay.
std::vector<std::shared_ptr<const BlockEdge>> Circuit::find_weight_blocks(const uint16_t* levels) const {
    std::vector<std::shared_ptr<const BlockEdge>> result(nodes_.size());
    std::vector<uint8_t> support;
    for (size_t v = 0; v < nodes_.size(); ++v) {
        const Node& n = nodes_[v];
        if (n.emission != Emission::shared) continue;
        const int32_t across = (n.rank + kBlock - 1) / kBlock;
        support.assign(BlockEdge::size(n.states, n.rank), 0);
        for (int32_t z = 0; z < n.states; ++z)
            for (int32_t k = 0; k < n.rank; ++k)
                support[size_t(z / kBlock * across + k / kBlock)] |= levels[int64_t(z) * n.rank + k] != 0;
        levels += int64_t(n.states) * n.rank;
        const auto stored = size_t(std::count(support.begin(), support.end(), uint8_t(1)));
        if (10 * stored < 9 * support.size())
            result[v] = std::make_shared<const BlockEdge>(support.data(), n.states, n.rank);
    }
    return result;
}

void Circuit::read_tables(const CircuitArrays& a) {
    // Lay out first (offsets), so that the vectors never move once nodes point into them.
    std::vector<Basis> bases(size_t(a.bases), Basis{0, 0, 0, 0});
    uint64_t transitions = 0, weights = 0, distributions = 0, cumulatives = 0, all = 0;
    uint64_t weight_levels = 0, free_levels = 0, basis_levels = 0;
    auto reserve = [&](uint64_t& total, uint64_t n) {
        const uint64_t at = total;
        total += n;
        if ((all += n) > kMaxTables) refuse("the circuit's tables exceed 2^28 entries");
        return size_t(at);
    };
    for (size_t v = 0; v < nodes_.size(); ++v) {
        const Node& n = nodes_[v];
        if (v > 0)
            reserve(transitions, blocks_[v] ? uint64_t(blocks_[v]->entries)
                                            : uint64_t(n.states) * uint64_t(nodes_[size_t(n.parent)].states));
        if (n.emission == Emission::free) {
            free_levels += uint64_t(n.rank) * uint64_t(n.alphabet);
            reserve(distributions, uint64_t(n.rank) * uint64_t(n.alphabet));
            reserve(cumulatives, uint64_t(n.padded_rank) * uint64_t(n.alphabet));
        } else if (n.emission == Emission::shared) {
            weight_levels += uint64_t(n.states) * uint64_t(n.rank);
            reserve(weights, uint64_t(n.states) * uint64_t(n.rank));
            Basis& b = bases[size_t(a.emission[v] - 1)];
            check(b.alphabet == 0 || b.alphabet == n.alphabet, int32_t(v),
                  "alphabet differs from its basis's", n.alphabet);
            if (b.alphabet == 0) b = {n.rank, n.alphabet, 0, 0};
        }
    }
    for (Basis& b : bases) {
        if (b.alphabet == 0) refuse("a shared basis is used by no node");
        basis_levels += uint64_t(b.size) * uint64_t(b.alphabet);
        b.distribution = reserve(distributions, uint64_t(b.size) * uint64_t(b.alphabet));
        b.cumulative = reserve(cumulatives, uint64_t(pad16(b.size)) * uint64_t(b.alphabet));
    }
    // What the structure asks for must be there before memory is taken for it.
    expect_levels("root", a.root, uint64_t(nodes_[0].states));
    expect_levels("transition", a.transition, transitions);
    expect_levels("weight", a.weight, weight_levels);
    expect_levels("free", a.free, free_levels);
    expect_levels("basis", a.basis, basis_levels);
    weight_blocks_ = find_weight_blocks(a.weight.data);
    prior_.resize(size_t(nodes_[0].states));
    transition_.resize(transitions);
    weight_.resize(weights);
    distribution_.resize(distributions);
    cumulative_.resize(cumulatives);

    Rows root(a.root, "root"), transition(a.transition, "transition"), weight(a.weight, "weight"),
        free(a.free, "free"), basis(a.basis, "basis");
    expand_row(prior_.data(), root.take(prior_.size()), nodes_[0].states, root.name());
    auto expand_table = [&](size_t d, size_t c, int32_t rows, int32_t alphabet, Rows& levels) {
        for (int32_t k = 0; k < rows; ++k) {
            const uint16_t* l = levels.take(size_t(alphabet));
            expand_row(&distribution_[d + size_t(k) * size_t(alphabet)], l, alphabet, levels.name());
            expand_cumulative(&cumulative_[c + size_t(k)], pad16(rows), l, alphabet, levels.name());
        }
    };
    for (Basis& b : bases) expand_table(b.distribution, b.cumulative, b.size, b.alphabet, basis);
    std::vector<float> row(kMaxStates);
    size_t t = 0, w = 0, d = 0, c = 0;
    for (size_t v = 0; v < nodes_.size(); ++v) {
        Node& n = nodes_[v];
        if (v > 0) {
            const int32_t rows = nodes_[size_t(n.parent)].states;
            n.transition = {transition_.data() + t, blocks_[v].get(), rows, n.states};
            for (int32_t k = 0; k < rows; ++k) {
                const int32_t width = blocks_[v] ? blocks_[v]->width(k) : n.states;
                expand_row(&transition_[t], transition.take(size_t(width)), width, transition.name());
                t += size_t(width);
            }
        }
        if (n.emission == Emission::shared) {
            const Basis& b = bases[size_t(a.emission[v] - 1)];
            n.distribution = distribution_.data() + b.distribution;
            n.cumulative = cumulative_.data() + b.cumulative;
            n.weight = {weight_.data() + w, weight_blocks_[v].get(), n.states, n.rank};
            for (int32_t z = 0; z < n.states; ++z) {
                expand_row(row.data(), weight.take(size_t(n.rank)), n.rank, weight.name());
                w += size_t(store_row(&weight_[w], row.data(), n.weight, z));
            }
        } else if (n.emission == Emission::free) {
            n.distribution = distribution_.data() + d;
            n.cumulative = cumulative_.data() + c;
            expand_table(d, c, n.rank, n.alphabet, free);
            d += size_t(n.rank) * size_t(n.alphabet);
            c += size_t(n.padded_rank) * size_t(n.alphabet);
        }
    }
}

float* Workspace::messages(size_t floats) {
    if (floats > floats_) {
        messages_.reset(new float[floats + 16]);
        floats_ = floats;
    }
    const auto address = reinterpret_cast<uintptr_t>(messages_.get());
    return messages_.get() + (64 - address % 64) % 64 / sizeof(float);
}

uint32_t* Workspace::symbols(size_t count) {
    if (count > count_) {
        symbols_.reset(new uint32_t[count]);
        count_ = count;
    }
    return symbols_.get();
}

std::vector<uint8_t> encode_group(const CircuitView& c, const WalkKernels& kernels, const Group& group,
                                  Workspace* workspace) {
    Workspace own;
    Workspace& memory = workspace ? *workspace : own;
    const size_t symbols = size_t(group.signals) * size_t(c.variables);
    uint32_t* const intervals = memory.symbols(3 * symbols + 1);
    const size_t coded =
        kernels.intervals(c, group, memory.messages(kernels.scratch_floats(c, group.signals)), intervals);
    AnsEncoder coder;
    coder.words = intervals + 2 * symbols;
    for (size_t i = coded; i-- > 0;) coder.encode({intervals[2 * i], intervals[2 * i + 1]});
    std::vector<uint8_t> bytes;
    bytes.reserve(4 * coder.count + 8);
    for (size_t i = 0; i < coder.count; ++i)
        for (int shift = 0; shift < 32; shift += 8) bytes.push_back(uint8_t(coder.words[i] >> shift));
    for (uint64_t s = coder.state; s; s >>= 8) bytes.push_back(uint8_t(s));
    return bytes;
}

bool decode_group(const CircuitView& c, const WalkKernels& kernels, const Group& group, const uint8_t* bytes,
                  size_t length, Workspace* workspace) {
    Workspace own;
    Workspace& memory = workspace ? *workspace : own;
    float* const messages = memory.messages(kernels.scratch_floats(c, group.signals));
    return kernels.decode(c, group, messages, bytes, length).intact;
}

}  // namespace neuralcodec
