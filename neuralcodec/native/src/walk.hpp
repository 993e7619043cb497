// The coding walk of docs/format.md, section 7.3. Included by one translation unit per instruction set.
//
// Messages are matrices of states x signals with the signal running fastest, so each signal's arithmetic
// stays in its own lane: neither the vector width nor the size of the group can change a result.
#pragma once

#include <algorithm>
#include <utility>

#include "block_product.hpp"
#include "circuit.hpp"
#include "columns.hpp"
#include "symbols.hpp"

namespace {

using namespace neuralcodec;

// The messages of one node on the path from the root.
struct Message {
    float* prior;  // states x lanes
    float*
        likelihood;   // states x width: one column for each class of signals that agree on the subtree so far
    int32_t* column;  // of the likelihood, for each lane
    int32_t width;    // number of columns, padded
    bool plain;       // column[b] is b for every lane
};

template <class Visitor>
class Walk {
  public:
    Walk(const CircuitView& circuit, const Group& group, float* scratch, Visitor& visitor)
        : circuit_(circuit), group_(group), visitor_(visitor), lanes_(padded(group.signals)) {
        const int64_t states = circuit.max_states, rank = padded(circuit.max_rank);
        float* const messages = take(scratch, message_floats(circuit));
        messages_ = reinterpret_cast<Message*>(messages);
        outgoing_ = take(scratch, states * lanes_);
        product_ = take(scratch, states * lanes_);
        weights_ = take(scratch, rank * lanes_);
        basis_ = take(scratch, rank * lanes_);
        left_ = take_integers(scratch, lanes_);
        right_ = take_integers(scratch, lanes_);
        distinct_ = take_integers(scratch, lanes_);
        pairs_ = take_integers(scratch, kPairSlotsPerLane * lanes_);
        seen_ = take_integers(scratch, padded(circuit.max_alphabet));
        samples_ = reinterpret_cast<uint16_t*>(take(scratch, sample_floats(circuit, lanes_)));
        for (int i = 0; i < circuit.max_alphabet; ++i) seen_[i] = -1;
        for (int s = 0; s < circuit.slots; ++s) {
            const int64_t size = int64_t(circuit.slot_states[s]) * lanes_;
            float* const prior = take(scratch, size);
            float* const likelihood = take(scratch, size);
            messages_[s] = {prior, likelihood, take_integers(scratch, lanes_), 0, false};
        }
    }

    static size_t scratch_floats(const CircuitView& c, int32_t signals) {
        const int64_t lanes = padded(signals);
        int64_t total = message_floats(c) + padded(c.max_alphabet) + sample_floats(c, lanes) +
                        lanes * (2 * int64_t(c.max_states) + 2 * padded(c.max_rank) + 3 + kPairSlotsPerLane);
        for (int s = 0; s < c.slots; ++s) total += lanes * (2 * int64_t(c.slot_states[s]) + 1);
        return size_t(total);
    }

    void run() {
        if (!Visitor::decodes) turn_samples<true>();
        for (int v = 0; v < circuit_.count; ++v) {
            const Node& node = circuit_.nodes[v];
            for (int c = v - 1; v > 0 && c != node.parent; c = circuit_.nodes[c].parent)
                leave(circuit_.nodes[c]);
            enter(node);
        }
        if (Visitor::decodes) turn_samples<false>();
    }

  private:
    static constexpr int kPairSlotsPerLane = 4;

    static float* take(float*& from, int64_t n) {
        float* p = from;
        from += n;
        return p;
    }
    static int32_t* take_integers(float*& from, int64_t n) {
        return reinterpret_cast<int32_t*>(take(from, n));
    }
    static int64_t message_floats(const CircuitView& c) {
        return padded(int(c.slots * int64_t(sizeof(Message) / sizeof(float))));
    }
    static int64_t sample_floats(const CircuitView& c, int64_t lanes) {
        return (c.variables * lanes / 2 + kPad - 1) / kPad * kPad;
    }
    // The largest power of two that there is room for: more than twice the lanes.
    int pair_slots() const {
        int slots = 1;
        while (2 * slots <= kPairSlotsPerLane * lanes_) slots *= 2;
        return slots;
    }
    Message& message(const Node& n) { return messages_[n.slot]; }
    Columns likelihoods(const Message& m) const {
        return {m.likelihood, m.width, m.plain ? nullptr : m.column};
    }

    void enter(const Node& node) {
        Message& own = message(node);
        if (node.parent < 0) {
            for (int z = 0; z < node.states; ++z)
                for (int b = 0; b < lanes_; ++b) own.prior[int64_t(z) * lanes_ + b] = circuit_.prior[z];
        } else {
            const Node& up = circuit_.nodes[node.parent];
            const Message& above = message(up);
            multiply(outgoing_, lanes_, {above.prior, lanes_, nullptr}, likelihoods(above), up.states,
                     lanes_);
            matrix_product<true>(own.prior, lanes_, node.transition, outgoing_, lanes_, lanes_);
        }
        normalise(own.prior, node.states, lanes_, circuit_.floor);
        if (node.emission != Emission::silent) code(node, own.prior);
        if (node.informs) observe(node, own);
    }

    // Fold a finished child's likelihood into its parent's.
    void leave(const Node& child) {
        const Node& up = circuit_.nodes[child.parent];
        const Message& from = message(child);
        Message& to = message(up);
        matrix_product<false>(outgoing_, from.width, child.transition, from.likelihood, from.width,
                              from.width);
        bool left_plain, right_plain;
        const Columns old{to.likelihood, to.width, left_};
        const int width = padded(join(to, from, &left_plain, &right_plain));
        const Columns left{old.data, old.ld, left_plain ? nullptr : left_};
        const Columns right{outgoing_, from.width, right_plain ? nullptr : right_};
        rescaled(product_, up.states, width, [=](int z, int j) { return left.at(z, j) * right.at(z, j); });
        if (circuit_.slot_states[up.slot] == circuit_.max_states)
            std::swap(to.likelihood, product_);
        else
            std::copy_n(product_, int64_t(up.states) * width, to.likelihood);
        to.width = width;
    }

    // The classes of signals that agree on both messages, numbered by their first signal; `to` takes them
    // over. left_ and right_ name each class's columns. Returns the number of classes.
    int join(Message& to, const Message& from, bool* left_plain, bool* right_plain) {
        if ((to.plain && to.width == lanes_) || (from.plain && from.width == lanes_)) {
            std::copy_n(to.column, lanes_, left_);
            std::copy_n(from.column, lanes_, right_);
            return apart(to, left_plain, right_plain);
        }
        const uint32_t slots = uint32_t(pair_slots());
        for (uint32_t i = 0; i < slots; ++i) pairs_[i] = -1;
        int count = 0;
        *left_plain = *right_plain = to.plain = true;
        for (int b = 0; b < lanes_; ++b) {
            const int32_t left = to.column[b], right = from.column[b];
            uint32_t i = (uint32_t(left) * 0x9E3779B1u ^ uint32_t(right) * 0x85EBCA77u) >> 7 & (slots - 1);
            while (pairs_[i] >= 0 && (left_[pairs_[i]] != left || right_[pairs_[i]] != right))
                i = (i + 1) & (slots - 1);
            if (pairs_[i] < 0) {
                *left_plain = *left_plain && left == count;
                *right_plain = *right_plain && right == count;
                left_[count] = left, right_[count] = right;
                pairs_[i] = count++;
            }
            to.column[b] = pairs_[i];
            to.plain = to.plain && pairs_[i] == b;
        }
        // hardly fewer classes than signals: a column for each signal needs no picking of columns from now on
        if (4 * count > 3 * lanes_) {
            for (int b = lanes_; b-- > 0;)  // a class's number is that of its first lane or less
                left_[b] = left_[to.column[b]], right_[b] = right_[to.column[b]];
            return apart(to, left_plain, right_plain);
        }
        for (int n = count; n < padded(count); ++n) left_[n] = left_[0], right_[n] = right_[0];
        // beyond the last class, columns in their own order would be others than those of the first class
        *left_plain = *left_plain && count % kPad == 0;
        *right_plain = *right_plain && count % kPad == 0;
        return count;
    }

    // Each lane becomes a class of its own; left_ and right_ name its columns.
    int apart(Message& to, bool* left_plain, bool* right_plain) {
        *left_plain = *right_plain = to.plain = true;
        for (int b = 0; b < lanes_; ++b) {
            to.column[b] = b;
            *left_plain = *left_plain && left_[b] == b;
            *right_plain = *right_plain && right_[b] == b;
        }
        return lanes_;
    }

    // The group's samples, variable by variable: signal by signal, those of one variable would lie so far
    // apart that for large signals they meet in the same few sets of the caches.
    template <bool in>
    void turn_samples() {
        constexpr int block = 32;  // 64 bytes of a signal
        for (int32_t first = 0; first < circuit_.variables; first += block)
            for (int b = 0; b < group_.signals; ++b) {
                uint16_t* const signal = group_.samples + int64_t(b) * circuit_.variables;
                for (int32_t v = first; v < std::min(first + block, circuit_.variables); ++v) {
                    uint16_t& turned = samples_[int64_t(v) * lanes_ + b];
                    if (in)
                        turned = signal[v];
                    else
                        signal[v] = turned;
                }
            }
    }

    inline bool missing(int b, int variable) const {
        return group_.missing && group_.missing[int64_t(b) * circuit_.variables + variable];
    }

    void code(const Node& node, const float* pi) {
        if (node.emission == Emission::shared)
            matrix_product<true>(basis_, lanes_, node.weight, pi, lanes_, lanes_);
        transpose(weights_, node.padded_rank, node.emission == Emission::shared ? basis_ : pi, lanes_,
                  node.rank, lanes_);
        visitor_.begin(node);
        for (int b = 0; b < group_.signals; ++b) {
            uint16_t* const x = samples_ + int64_t(node.variable) * lanes_ + b;
            if (missing(b, node.variable))
                visitor_.skip(x);
            else
                visitor_.sample(Cumulative(node, weights_ + int64_t(b) * node.padded_rank), x);
        }
    }

    // The likelihood of a node's own sample, worked out once for each value that occurs in the group.
    void observe(const Node& node, Message& own) {
        int unknown = -1;
        const int count = classify(node, own, &unknown), width = padded(count);
        own.width = width;
        float* const lambda = own.likelihood;
        if (node.emission == Emission::silent) {
            for (int64_t i = 0; i < int64_t(node.states) * width; i += kLanes) store(lambda + i, splat(1.0f));
            return;
        }
        const bool shared = node.emission == Emission::shared;
        for (int k = 0; k < node.rank; ++k)
            for (int d = 0; d < width; d += kLanes)
                store((shared ? basis_ : product_) + int64_t(k) * width + d,
                      gather(node.distribution + int64_t(k) * node.alphabet, distinct_ + d));
        if (shared) matrix_product<false>(product_, width, node.weight, basis_, width, width);
        for (int z = 0; unknown >= 0 && z < node.states; ++z) product_[int64_t(z) * width + unknown] = 1.0f;
        const float* const emitted = product_;
        rescaled(lambda, node.states, width, [=](int z, int j) {
            return maximum(load(emitted + int64_t(z) * width + j), splat(kFloor));
        });
    }

    // The classes of signals with the same sample at a node, numbered by their first signal: their values go
    // to distinct_, padded with the first. Missing samples are the class `unknown`; lanes beyond the group's
    // signals follow the first signal.
    int classify(const Node& node, Message& own, int* unknown) {
        int count = 0;
        own.plain = true;
        for (int b = 0; b < lanes_; ++b) {
            if (node.emission == Emission::silent || b >= group_.signals) {
                own.column[b] = 0;
            } else if (missing(b, node.variable)) {
                if (*unknown < 0) distinct_[*unknown = count++] = 0;
                own.column[b] = *unknown;
            } else {
                const int x = samples_[int64_t(node.variable) * lanes_ + b];
                if (seen_[x] < 0) distinct_[seen_[x] = count++] = x;
                own.column[b] = seen_[x];
            }
            own.plain = own.plain && own.column[b] == b;
        }
        for (int d = 0; d < count; ++d)
            if (d != *unknown) seen_[distinct_[d]] = -1;
        if (!count) distinct_[count++] = 0;
        for (int d = count; d < padded(count); ++d) distinct_[d] = distinct_[0];
        return count;
    }

    const CircuitView& circuit_;
    const Group& group_;
    Visitor& visitor_;
    const int lanes_;
    Message* messages_;
    float *outgoing_, *product_, *weights_, *basis_;
    uint16_t* samples_;
    int32_t *left_, *right_, *distinct_, *pairs_, *seen_;
};

template <class Visitor>
void walk(const CircuitView& circuit, const Group& group, float* scratch, Visitor& visitor) {
    Walk<Visitor>(circuit, group, scratch, visitor).run();
}

size_t scratch_floats(const CircuitView& c, int32_t signals) {
    return Walk<CollectIntervals>::scratch_floats(c, signals);
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
