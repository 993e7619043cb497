// The coding walk of docs/format.md, section 7.3. Included by one translation unit per instruction set.
//
// Messages are matrices of states x signals with the signal running fastest, so each signal's arithmetic
// stays in its own lane: neither the vector width nor the size of the group can change a result.
#pragma once

#include "ans.hpp"
#include "circuit.hpp"
#include "simd.hpp"

namespace {

using namespace neuralcodec;

constexpr float kFloor = 0x1p-40f;

// docs/format.md, "dot product": 16 lanes, then halves are added. n is a multiple of 16.
inline float dot(const float* a, const float* b, int n) {
    constexpr int vectors = kPad / kLanes;
    Vec acc[vectors] = {};
    for (int k = 0; k < n; k += kPad)
        for (int j = 0; j < vectors; ++j)
            acc[j] = acc[j] + load(a + k + j * kLanes) * load(b + k + j * kLanes);
#if defined(__AVX512F__)
    typedef float Half __attribute__((vector_size(32)));
    typedef float Quarter __attribute__((vector_size(16)));
    const Half h = __builtin_shufflevector(acc[0], acc[0], 0, 1, 2, 3, 4, 5, 6, 7) +
                   __builtin_shufflevector(acc[0], acc[0], 8, 9, 10, 11, 12, 13, 14, 15);
    const Quarter q = __builtin_shufflevector(h, h, 0, 1, 2, 3) + __builtin_shufflevector(h, h, 4, 5, 6, 7);
#elif defined(__AVX2__)
    typedef float Quarter __attribute__((vector_size(16)));
    const Vec h = acc[0] + acc[1];
    const Quarter q = __builtin_shufflevector(h, h, 0, 1, 2, 3) + __builtin_shufflevector(h, h, 4, 5, 6, 7);
#else
    const Vec q = (acc[0] + acc[2]) + (acc[1] + acc[3]);
#endif
    return (q[0] + q[2]) + (q[1] + q[3]);
}

// Start of symbol x in a variable's integer cumulative table. q and table rows are non-negative, so every
// rounded product and sum is monotone in the table, and "+ x" makes the starts strictly increasing.
struct Cumulative {
    const float* q;
    const float* table;
    int rank;
    uint32_t alphabet;
    float scale;

    Cumulative(const Node& node, const float* weights)
        : q(weights),
          table(node.cumulative),
          rank(node.padded_rank),
          alphabet(uint32_t(node.alphabet)),
          scale(float(kTotal - uint32_t(node.alphabet))) {}

    inline uint32_t inner(uint32_t x) const {
        const float mass = dot(q, table + int64_t(x) * rank, rank);
        return uint32_t((mass > 1.0f ? 1.0f : mass) * scale) + x;
    }
    inline uint32_t start(uint32_t x) const {
        if (x == 0) return 0;
        return x == alphabet ? kTotal : inner(x);
    }
    inline Interval interval(uint32_t x) const {
        const uint32_t s = start(x);
        return {s, start(x + 1) - s};
    }
    // The symbol whose interval holds t: the guess first, then bisection on the side that is left.
    inline uint32_t find(uint32_t t, uint32_t guess, Interval* found) const {
        uint32_t low = 0, high = alphabet, low_start = 0, high_start = kTotal;
        const uint32_t here = start(guess), next = start(guess + 1);
        if (t < here) {
            high = guess, high_start = here;
        } else if (t < next) {
            low = guess, low_start = here, high = guess + 1, high_start = next;
        } else {
            low = guess + 1, low_start = next;
        }
        while (high - low > 1) {
            const uint32_t middle = (low + high) / 2, s = inner(middle);
            const bool below = s <= t;
            low = below ? middle : low;
            low_start = below ? s : low_start;
            high = below ? high : middle;
            high_start = below ? high_start : s;
        }
        *found = {low_start, high_start - low_start};
        return low;
    }
};

// What is done with a variable's tables at each coded sample, and at each missing one. Only decoding writes
// samples.
struct CollectIntervals {
    uint32_t* out;
    size_t coded = 0;
    inline void begin(const Node&) {}
    inline void sample(const Cumulative& c, uint16_t* x) {
        const Interval i = c.interval(*x);
        out[2 * coded] = i.start;
        out[2 * coded + 1] = i.size;
        ++coded;
    }
    inline void skip(uint16_t*) {}
};

struct DecodeSamples {
    AnsDecoder coder;
    uint32_t guess = 0;
    int32_t votes = 0;
    inline void begin(const Node&) { guess = 0, votes = 0; }
    inline void sample(const Cumulative& c, uint16_t* x) {
        Interval i;
        const uint32_t symbol = c.find(coder.target(), guess, &i);
        coder.consume(i);
        *x = uint16_t(symbol);
        // majority vote: the guess settles on a value that more than half of the group has at this variable
        if (symbol == guess) {
            ++votes;
        } else if (votes-- <= 0) {
            guess = symbol;
            votes = 1;
        }
    }
    inline void skip(uint16_t* x) { *x = 0; }
};

struct CollectTables {
    uint32_t* out;
    size_t stride, coded = 0;
    inline void begin(const Node&) {}
    inline void sample(const Cumulative& c, uint16_t*) {
        uint32_t* row = out + stride * coded++;
        for (size_t x = 0; x < stride; ++x) row[x] = x < c.alphabet ? c.start(uint32_t(x)) : kTotal;
    }
    inline void skip(uint16_t*) {}
};

inline void transpose(float* out, int64_t ldo, const float* in, int64_t ldi, int rows, int cols) {
    for (int r = 0; r < rows; ++r)
        for (int c = 0; c < cols; ++c) out[c * ldo + r] = in[r * ldi + c];
}

// Per column: divide by the sum (format.md, "normalise").
inline void normalise(float* p, int states, int lanes) {
    for (int j = 0; j < lanes; j += kLanes) {
        Vec sum{};
        for (int z = 0; z < states; ++z) sum = sum + load(p + int64_t(z) * lanes + j);
        const Vec r = splat(1.0f) / sum;
        for (int z = 0; z < states; ++z)
            store(p + int64_t(z) * lanes + j, load(p + int64_t(z) * lanes + j) * r);
    }
}

// Per column: largest entry 1, none below 2^-40 (format.md, "rescale").
inline void rescale(float* q, int states, int lanes) {
    for (int j = 0; j < lanes; j += kLanes) {
        Vec top{};
        for (int z = 0; z < states; ++z) top = maximum(top, load(q + int64_t(z) * lanes + j));
        const Vec r = splat(1.0f) / top;
        for (int z = 0; z < states; ++z) {
            float* p = q + int64_t(z) * lanes + j;
            store(p, maximum(load(p) * r, splat(kFloor)));
        }
    }
}

inline void pick(float* __restrict out, const float* __restrict from, const int32_t* __restrict index,
                 int n) {
    for (int i = 0; i < n; ++i) out[i] = from[index[i]];
}

template <class Visitor>
class Walk {
  public:
    Walk(const CircuitView& circuit, const Group& group, float* scratch, Visitor& visitor)
        : circuit_(circuit), group_(group), visitor_(visitor), lanes_(padded(group.signals)) {
        const int64_t states = circuit.max_states, rank = padded(circuit.max_rank);
        outgoing_ = take(scratch, states * lanes_);
        weights_ = take(scratch, rank * lanes_);
        basis_ = take(scratch, rank * (lanes_ + kPad));
        emitted_ = take(scratch, states * (lanes_ + kPad));
        column_ = reinterpret_cast<int32_t*>(take(scratch, lanes_));
        distinct_ = reinterpret_cast<int32_t*>(take(scratch, lanes_ + kPad));
        seen_ = reinterpret_cast<int32_t*>(take(scratch, padded(circuit.max_alphabet)));
        for (int i = 0; i < circuit.max_alphabet; ++i) seen_[i] = -1;
        slots_ = scratch;
    }

    static size_t scratch_floats(const CircuitView& c, int32_t signals) {
        const int64_t lanes = padded(signals);
        int64_t total = lanes * (2 * int64_t(c.max_states) + 2 * padded(c.max_rank) + 2) +
                        padded(c.max_alphabet) + kPad * (int64_t(c.max_states) + padded(c.max_rank) + 1);
        for (int s = 0; s < c.slots; ++s) total += 2 * lanes * c.slot_states[s];
        return size_t(total);
    }

    void run(float** slot_messages) {
        float* next = slots_;
        for (int s = 0; s < circuit_.slots; ++s)
            slot_messages[s] = take(next, 2 * lanes_ * int64_t(circuit_.slot_states[s]));
        messages_ = slot_messages;
        for (int v = 0; v < circuit_.count; ++v) {
            const Node& node = circuit_.nodes[v];
            for (int c = v - 1; v > 0 && c != node.parent; c = circuit_.nodes[c].parent)
                leave(circuit_.nodes[c]);
            enter(node);
        }
    }

  private:
    static float* take(float*& from, int64_t n) {
        float* p = from;
        from += n;
        return p;
    }
    float* prior(const Node& n) { return messages_[n.slot]; }
    float* likelihood(const Node& n) {
        return messages_[n.slot] + int64_t(circuit_.slot_states[n.slot]) * lanes_;
    }

    void enter(const Node& node) {
        float* pi = prior(node);
        if (node.parent < 0) {
            for (int z = 0; z < node.states; ++z)
                for (int b = 0; b < lanes_; ++b) pi[int64_t(z) * lanes_ + b] = circuit_.prior[z];
        } else {
            const Node& up = circuit_.nodes[node.parent];
            const float *pi_up = prior(up), *lambda_up = likelihood(up);
            for (int64_t i = 0; i < int64_t(up.states) * lanes_; i += kLanes)
                store(outgoing_ + i, load(pi_up + i) * load(lambda_up + i));
            product(pi, lanes_, {node.transition, 1, node.states}, outgoing_, lanes_, node.states, lanes_,
                    up.states);
        }
        normalise(pi, node.states, lanes_);
        if (node.emission != Emission::silent) code(node, pi);
        if (node.informs) observe(node, likelihood(node));
    }

    // Fold a finished child's likelihood into its parent's.
    void leave(const Node& child) {
        const Node& up = circuit_.nodes[child.parent];
        float* lambda = likelihood(up);
        product(outgoing_, lanes_, {child.transition, child.states, 1}, likelihood(child), lanes_, up.states,
                lanes_, child.states);
        for (int64_t i = 0; i < int64_t(up.states) * lanes_; i += kLanes)
            store(lambda + i, load(lambda + i) * load(outgoing_ + i));
        rescale(lambda, up.states, lanes_);
    }

    inline bool missing(int b, int variable) const {
        return group_.missing && group_.missing[int64_t(b) * circuit_.variables + variable];
    }

    void code(const Node& node, const float* pi) {
        if (node.emission == Emission::shared) {
            product(weights_, node.padded_rank, {pi, 1, lanes_}, node.weight, node.padded_rank,
                    group_.signals, node.padded_rank, node.states);
        } else {
            for (int b = 0; b < group_.signals; ++b)
                for (int z = node.states; z < node.padded_rank; ++z)
                    weights_[int64_t(b) * node.padded_rank + z] = 0;
            transpose(weights_, node.padded_rank, pi, lanes_, node.states, group_.signals);
        }
        visitor_.begin(node);
        for (int b = 0; b < group_.signals; ++b) {
            uint16_t* x = group_.samples + int64_t(b) * circuit_.variables + node.variable;
            if (missing(b, node.variable))
                visitor_.skip(x);
            else
                visitor_.sample(Cumulative(node, weights_ + int64_t(b) * node.padded_rank), x);
        }
    }

    // lambda_v from v's own sample. Emissions are worked out once for each value that occurs in the group;
    // one column more, of ones, stands for missing samples and for the lanes that pad the group.
    void observe(const Node& node, float* lambda) {
        const int count = node.emission == Emission::silent ? 0 : find_distinct(node);
        if (!count) {
            for (int64_t i = 0; i < int64_t(node.states) * lanes_; i += kLanes)
                store(lambda + i, splat(1.0f));
            return;
        }
        const int width = padded(count + 1);
        float* gathered = node.emission == Emission::shared ? basis_ : emitted_;
        for (int k = 0; k < node.rank; ++k)
            pick(gathered + int64_t(k) * width, node.distribution + int64_t(k) * node.alphabet, distinct_,
                 width);
        if (node.emission == Emission::shared)
            product(emitted_, width, {node.weight, node.padded_rank, 1}, basis_, width, node.states, width,
                    node.rank);
        for (int z = 0; z < node.states; ++z) {
            float *row = emitted_ + int64_t(z) * width, *out = lambda + int64_t(z) * lanes_;
            for (int d = 0; d < width; d += kLanes) store(row + d, maximum(load(row + d), splat(kFloor)));
            row[count] = 1.0f;
            pick(out, row, column_, lanes_);
        }
        rescale(lambda, node.states, lanes_);
    }

    // column_[b]: index into distinct_ of signal b's value; beyond the last for missing samples and padding.
    // Returns how many values there are; the list is padded with copies of the first.
    int find_distinct(const Node& node) {
        int count = 0;
        for (int b = 0; b < lanes_; ++b) {
            column_[b] = -1;
            if (b >= group_.signals || missing(b, node.variable)) continue;
            const int x = group_.samples[int64_t(b) * circuit_.variables + node.variable];
            if (seen_[x] < 0) {
                seen_[x] = count;
                distinct_[count++] = x;
            }
            column_[b] = seen_[x];
        }
        for (int d = 0; d < count; ++d) seen_[distinct_[d]] = -1;
        for (int d = count; count && d < padded(count + 1); ++d) distinct_[d] = distinct_[0];
        for (int b = 0; b < lanes_; ++b) column_[b] = column_[b] < 0 ? count : column_[b];
        return count;
    }

    const CircuitView& circuit_;
    const Group& group_;
    Visitor& visitor_;
    const int lanes_;
    float *outgoing_, *weights_, *basis_, *emitted_, *slots_;
    float** messages_ = nullptr;
    int32_t *column_, *distinct_, *seen_;
};

// Slot pointers live at the end of the scratch memory.
inline size_t pointer_floats(const CircuitView& c) {
    return 2 * size_t(c.slots) + 16;
}

template <class Visitor>
void walk(const CircuitView& circuit, const Group& group, float* scratch, Visitor& visitor) {
    Walk<Visitor> w(circuit, group, scratch, visitor);
    const size_t floats = Walk<Visitor>::scratch_floats(circuit, group.signals);
    w.run(reinterpret_cast<float**>(scratch + (floats + 1) / 2 * 2));
}

size_t scratch_floats(const CircuitView& c, int32_t signals) {
    return Walk<CollectIntervals>::scratch_floats(c, signals) + pointer_floats(c);
}

size_t intervals(const CircuitView& c, const Group& g, float* scratch, uint32_t* out) {
    CollectIntervals visitor{out};
    walk(c, g, scratch, visitor);
    return visitor.coded;
}

WalkResult decode(const CircuitView& c, const Group& g, float* scratch, const uint8_t* bytes, size_t length) {
    DecodeSamples visitor;
    if (!visitor.coder.open(bytes, length)) return {false};
    walk(c, g, scratch, visitor);
    return {visitor.coder.empty()};
}

size_t tables(const CircuitView& c, const Group& g, float* scratch, uint32_t* out, size_t stride) {
    CollectTables visitor{out, stride};
    walk(c, g, scratch, visitor);
    return visitor.coded;
}

}  // namespace
