// Included by one translation unit per instruction set. Messages are states x signals as in walk.hpp; all
// nodes' messages of a tile are kept for the way down.
#pragma once

#include <cmath>
#include <cstring>
#include <utility>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "block_counts.hpp"
#include "block_product.hpp"
#include "learning.hpp"
#include "simd.hpp"

namespace {

using namespace neuralcodec;

constexpr float kTiny = 1e-30f;

// a / b to about 2^-23 relative; a plain division is the slowest instruction of the whole step.
inline Vec quotient(Vec a, Vec b) {
#if defined(__AVX512F__)
    const Vec r = reinterpret_cast<Vec>(_mm512_rcp14_ps(reinterpret_cast<__m512>(b)));
    return a * (r * (splat(2.0f) - b * r));  // one Newton step: the error e of r becomes e^2
#else
    return a / b;
#endif
}

class Expectation {
  public:
    Expectation(const LearnCircuit& circuit, const LearnParameters& theta, const LearnTile& tile,
                float* scratch)
        : c_(circuit), theta_(theta), tile_(tile), lanes_(padded(tile.signals)) {
        const int64_t states = padded(c_.max_states), rank = padded(c_.max_rank);
        lambda_ = take(scratch, int64_t(c_.likelihood_rows) * lanes_);
        message_ = take(scratch, int64_t(c_.message_rows) * lanes_);
        work_ = take(scratch, states * lanes_);
        turned_ = take(scratch, states * lanes_);
        emitted_ = take(scratch, states * lanes_);
        emitted_turned_ = take(scratch, states * (lanes_ + 1));
        ratio_ = take(scratch, states * lanes_);
        basis_ = take(scratch, rank * lanes_);
        basis_turned_ = take(scratch, rank * lanes_);
        basis_counts_ = take(scratch, rank * lanes_);
        weight_ = take(scratch, states * rank);
        scale_ = take(scratch, lanes_);
        exponent_ = reinterpret_cast<int32_t*>(take(scratch, lanes_));
        column_ = reinterpret_cast<int32_t*>(take(scratch, lanes_));
        distinct_ = reinterpret_cast<int32_t*>(take(scratch, lanes_));
        seen_ = reinterpret_cast<int32_t*>(take(scratch, padded(c_.max_alphabet)));
        for (int i = 0; i < c_.max_alphabet; ++i) seen_[i] = -1;
    }

    static size_t scratch_floats(const LearnCircuit& c, int32_t signals) {
        const int64_t lanes = padded(signals), states = padded(c.max_states), rank = padded(c.max_rank);
        const int64_t rows = int64_t(c.likelihood_rows + c.message_rows) + 5 * states + 3 * rank + 4;
        return size_t(lanes * rows + states * (rank + 1) + padded(c.max_alphabet));
    }

    void up(double* log_likelihood) {
        for (int b = 0; b < lanes_; ++b) scale_[b] = 1.0f, exponent_[b] = 0;
        for (size_t v = c_.nodes.size(); v-- > 0;) {
            observe(v);
            for (int32_t child = c_.nodes[v].last_child; child >= 0;
                 child = c_.nodes[size_t(child)].previous_sibling)
                absorb(v, size_t(child));
            if (v > 0) send(v);
        }
        const LearnNode& root = c_.nodes[0];
        float* lambda = likelihood(0);
        for (int b = 0; b < lanes_; ++b) work_[b] = 0;
        for (int z = 0; z < root.states; ++z)
            for (int b = 0; b < lanes_; ++b) {
                float& l = lambda[int64_t(z) * lanes_ + b];
                l *= theta_.root[z];
                work_[b] += l;
            }
        for (int b = 0; b < lanes_; ++b) {
            const float total = work_[b] > kTiny ? work_[b] : kTiny;
            work_[b] = 1.0f / total;
            if (b < tile_.signals)
                log_likelihood[b] = std::log(double(total)) + std::log(double(scale_[b])) +
                                    double(exponent_[b]) * 0.69314718055994530942;
        }
        for (int z = 0; z < root.states; ++z)
            for (int b = 0; b < lanes_; ++b) lambda[int64_t(z) * lanes_ + b] *= work_[b];
    }

    // After up(): lambda of the root is its posterior. Each node's lambda becomes its posterior in turn.
    void down(const LearnCounts& counts) {
        const LearnNode& root = c_.nodes[0];
        blank_padding(likelihood(0), root.states);
        for (int z = 0; z < root.states; ++z)
            for (int b = 0; b < tile_.signals; ++b)
                counts.root[z] += likelihood(0)[int64_t(z) * lanes_ + b] / (theta_.root[z] + kTiny);
        for (size_t v = 0; v < c_.nodes.size(); ++v) {
            if (v > 0) receive(v, counts);
            if (c_.nodes[v].variable >= 0) count_emissions(v, counts);
        }
    }

  private:
    static float* take(float*& from, int64_t n) {
        float* p = from;
        from += (n + 15) / 16 * 16;
        return p;
    }

    void blank_padding(float* posterior, int states) {
        for (int z = 0; z < states; ++z)
            for (int b = tile_.signals; b < lanes_; ++b) posterior[int64_t(z) * lanes_ + b] = 0;
    }

    inline bool missing(int b, int variable) const {
        return tile_.missing && tile_.missing[int64_t(b) * c_.variables + variable];
    }

    int find_distinct(const LearnNode& node) {
        int count = 0;
        for (int b = 0; b < lanes_; ++b) {
            column_[b] = -1;
            if (b >= tile_.signals || missing(b, node.variable)) continue;
            const int x = tile_.samples[int64_t(b) * c_.variables + node.variable];
            if (seen_[x] < 0) {
                seen_[x] = count;
                distinct_[count++] = x;
            }
            column_[b] = seen_[x];
        }
        for (int d = 0; d < count; ++d) seen_[distinct_[d]] = -1;
        for (int d = count; count && d < padded(count); ++d) distinct_[d] = distinct_[0];
        return count;
    }

    // emitted_turned_[d][z] = P(value d | state z) for the distinct values; returns their number. One more
    // row, of ones, stands for missing samples.
    int emit(const LearnNode& node) {
        const int count = node.variable < 0 ? 0 : find_distinct(node), width = padded(count);
        const int states = padded(node.states);
        if (!count) return 0;
        if (node.free) {
            for (int z = 0; z < node.states; ++z)
                for (int d = 0; d < width; ++d)
                    emitted_[int64_t(z) * width + d] =
                        theta_
                            .free[node.free_table + size_t(z) * size_t(node.alphabet) + size_t(distinct_[d])];
        } else {
            const float* table = theta_.basis + c_.bases[size_t(node.basis)].table;
            for (int k = 0; k < node.rank; ++k)
                for (int d = 0; d < width; ++d)
                    basis_[int64_t(k) * width + d] = table[int64_t(k) * node.alphabet + distinct_[d]];
            product(emitted_, width, {theta_.weight + node.weight, node.rank, 1}, basis_, width, node.states,
                    width, node.rank);
        }
        transpose(emitted_turned_, states, emitted_, width, node.states, width);
        for (int z = 0; z < states; ++z) emitted_turned_[int64_t(count) * states + z] = 1.0f;
        return count;
    }

    void observe(size_t v) {
        const LearnNode& node = c_.nodes[v];
        const int count = emit(node), states = padded(node.states);
        if (!count) {
            for (int64_t i = 0; i < int64_t(node.states) * lanes_; i += kLanes)
                store(likelihood(v) + i, splat(1.0f));
            return;
        }
        for (int b = 0; b < lanes_; ++b) {
            const float* row = emitted_turned_ + int64_t(column_[b] < 0 ? count : column_[b]) * states;
            for (int z = 0; z < states; z += kLanes) store(turned_ + int64_t(b) * states + z, load(row + z));
        }
        transpose_rows(likelihood(v), turned_, states, node.states);
        rescale(likelihood(v), node.states);
    }

    // lambda (states x lanes) from its transpose; rows of padding are dropped.
    void transpose_rows(float* lambda, const float* turned, int ld, int states) {
        const int whole = states / kPad * kPad;
        if (whole) transpose(lambda, lanes_, turned, ld, lanes_, whole);
        if (whole == states) return;
        transpose(work_, lanes_, turned + whole, ld, lanes_, kPad);
        std::memcpy(lambda + int64_t(whole) * lanes_, work_,
                    sizeof(float) * size_t(states - whole) * size_t(lanes_));
    }

    // Divide each signal's column by its largest entry and remember the factor as mantissa and exponent.
    void rescale(float* lambda, int states) {
        for (int j = 0; j < lanes_; j += kLanes) {
            Vec top = splat(kTiny);
            for (int z = 0; z < states; ++z) top = maximum(top, load(lambda + int64_t(z) * lanes_ + j));
            const Vec r = splat(1.0f) / top;
            for (int z = 0; z < states; ++z) {
                float* p = lambda + int64_t(z) * lanes_ + j;
                store(p, maximum(load(p) * r, splat(kTiny)));
            }
            const IntVec bits = reinterpret_cast<IntVec>(load(scale_ + j) * top);
            IntVec e;
            std::memcpy(&e, exponent_ + j, sizeof e);
            e = e + (bits >> 23) - 127;
            std::memcpy(exponent_ + j, &e, sizeof e);
            store(scale_ + j, reinterpret_cast<Vec>((bits & 0x007FFFFF) | 0x3F800000));
        }
    }

    void send(size_t v) {
        const LearnNode &node = c_.nodes[v], &up = c_.nodes[size_t(node.parent)];
        const float* const transition = theta_.transition + node.transition;
        float* const message = message_to_parent(v);
        if (node.blocks)
            block_product<false>(message, lanes_, transition, node.blocks->rows, likelihood(v), lanes_,
                                 up.states, lanes_, node.states);
        else
            product(message, lanes_, {transition, node.states, 1}, likelihood(v), lanes_, up.states, lanes_,
                    node.states);
    }

    void absorb(size_t v, size_t child) {
        float *lambda = likelihood(v), *message = message_to_parent(child);
        const int states = c_.nodes[v].states;
        for (int64_t i = 0; i < int64_t(states) * lanes_; i += kLanes) {
            const Vec m = maximum(load(message + i), splat(kTiny));
            store(message + i, m);
            store(lambda + i, load(lambda + i) * m);
        }
        rescale(lambda, states);
    }

    void receive(size_t v, const LearnCounts& counts) {
        const LearnNode &node = c_.nodes[v], &up = c_.nodes[size_t(node.parent)];
        float *ratio = message_to_parent(v), *lambda = likelihood(v);
        const float* posterior_up = likelihood(size_t(node.parent));
        for (int64_t i = 0; i < int64_t(up.states) * lanes_; i += kLanes)
            store(ratio + i, quotient(load(posterior_up + i), load(ratio + i)));
        const float* const transition = theta_.transition + node.transition;
        float* const sums = counts.transition + node.transition_counts;
        if (node.blocks) {
            count_blocks(sums, *node.blocks, ratio, up.states, lambda, node.states, lanes_);
            block_product<true>(work_, lanes_, transition, node.blocks->columns, ratio, lanes_, node.states,
                                lanes_, up.states);
        } else {
            const int cols = padded(node.states);
            transpose(turned_, cols, lambda, lanes_, node.states, lanes_);
            product<true>(sums, cols, {ratio, lanes_, 1}, turned_, cols, up.states, cols, tile_.signals);
            product(work_, lanes_, {transition, 1, node.states}, ratio, lanes_, node.states, lanes_,
                    up.states);
        }
        for (int64_t i = 0; i < int64_t(node.states) * lanes_; i += kLanes)
            store(lambda + i, load(lambda + i) * load(work_ + i));
    }

    // Posteriors are summed for each distinct value and divided by the value's emission, states running
    // fastest.
    void count_emissions(size_t v, const LearnCounts& counts) {
        const LearnNode& node = c_.nodes[v];
        const int count = emit(node), width = padded(count), states = padded(node.states);
        if (!count) return;
        transpose(turned_, states, likelihood(v), lanes_, node.states, lanes_);
        std::memset(ratio_, 0, sizeof(float) * size_t(width) * size_t(states));
        for (int b = 0; b < tile_.signals; ++b)
            if (column_[b] >= 0)
                add(ratio_ + int64_t(column_[b]) * states, turned_ + int64_t(b) * states, states);
        for (int64_t i = 0; i < int64_t(count) * states; i += kLanes)
            store(ratio_ + i, quotient(load(ratio_ + i), load(emitted_turned_ + i) + splat(kTiny)));
        if (node.free) {
            for (int z = 0; z < node.states; ++z)
                for (int d = 0; d < count; ++d)
                    counts.free[node.free_table + size_t(z) * size_t(node.alphabet) + size_t(distinct_[d])] +=
                        ratio_[int64_t(d) * states + z];
        } else {
            count_basis(node, count, counts);
        }
    }

    void count_basis(const LearnNode& node, int count, const LearnCounts& counts) {
        const int width = padded(count), states = padded(node.states), rank = padded(node.rank);
        const LearnBasis& basis = c_.bases[size_t(node.basis)];
        transpose(basis_turned_, rank, basis_, width, node.rank, width);
        product<true>(counts.weight + node.weight_counts, rank, {ratio_, 1, states}, basis_turned_, rank,
                      node.states, rank, count);
        const float* weight = theta_.weight + node.weight;
        if (rank != node.rank) {
            std::memset(weight_, 0, sizeof(float) * size_t(rank) * size_t(node.states));
            for (int z = 0; z < node.states; ++z)
                std::memcpy(weight_ + int64_t(z) * rank, weight + int64_t(z) * node.rank,
                            sizeof(float) * size_t(node.rank));
            weight = weight_;
        }
        product(basis_counts_, rank, {ratio_, states, 1}, weight, rank, count, rank, node.states);
        for (int d = 0; d < count; ++d)
            add(counts.basis + basis.counts + size_t(distinct_[d]) * size_t(rank),
                basis_counts_ + int64_t(d) * rank, rank);
    }

    static inline void add(float* sum, const float* x, int n) {
        for (int i = 0; i < n; i += kLanes) store(sum + i, load(sum + i) + load(x + i));
    }

    float* likelihood(size_t v) { return lambda_ + c_.nodes[v].likelihood_row * size_t(lanes_); }
    float* message_to_parent(size_t v) { return message_ + c_.nodes[v].message_row * size_t(lanes_); }

    const LearnCircuit& c_;
    const LearnParameters& theta_;
    const LearnTile& tile_;
    const int lanes_;
    float *lambda_, *message_, *work_, *turned_, *emitted_, *emitted_turned_, *ratio_, *basis_,
        *basis_turned_, *basis_counts_, *weight_, *scale_;
    int32_t *exponent_, *column_, *distinct_, *seen_;
};

size_t scratch_floats(const LearnCircuit& c, int32_t signals) {
    return Expectation::scratch_floats(c, signals);
}

void expectation(const LearnCircuit& c, const LearnParameters& theta, const LearnTile& tile, float* scratch,
                 double* log_likelihood, const LearnCounts* counts) {
    Expectation e(c, theta, tile, scratch);
    e.up(log_likelihood);
    if (counts) e.down(*counts);
}

void maximisation(float* theta, float* statistics, const float* counts, const int64_t* offset, size_t rows,
                  float rate, float scale, float pseudocount) {
    const float keep = 1.0f - rate, gain = rate * scale;
    for (size_t r = 0; r < rows; ++r) {
        const size_t cols = size_t(offset[r + 1] - offset[r]);
        float *t = theta + offset[r], *s = statistics + offset[r];
        const float* n = counts + offset[r];
        float sum = 0;
        for (size_t j = 0; j < cols; ++j) {
            s[j] = keep * s[j] + gain * n[j] * t[j];
            sum += s[j];
        }
        const float prior = pseudocount / float(cols), scale_row = 1.0f / (sum + pseudocount + kTiny);
        for (size_t j = 0; j < cols; ++j) t[j] = (s[j] + prior) * scale_row;
    }
}

}  // namespace
