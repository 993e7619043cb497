// The walk through a tensor's levels, which encoding, decoding and the search for parameters share: what is
// expected of each level, and what is learned from it (docs/format.md, 9.6).
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "weights_model.hpp"

namespace neuralcodec {

// A probability that learns: of a flag being set, in 2^-16.
struct Flag {
    uint32_t p = 1 << 15, seen = 0;

    inline void learn(bool set) {
        constexpr uint32_t limit = 126, least = 32;
        const int64_t towards = (set ? 65536 : 0) - int64_t(p);
        const int64_t rate = 65536 / (seen + 2);
        p = uint32_t(int64_t(p) + (towards * rate >> 16));
        p = p < least ? least : p > 65536 - least ? 65536 - least : p;
        if (seen < limit) ++seen;
    }
};

// Place of an element in its block.
struct Place {
    uint64_t i = 0, column = 0, row = 0, channel = 0;
    uint32_t tap = 0;

    inline void next(const Geometry& g) {
        ++i;
        ++column;
        if (++tap == g.taps) tap = 0, ++channel;
        if (column == g.cols) column = channel = 0, ++row;
    }
};

// The mean of a level from its neighbours, in 1/64.
class Predictor {
  public:
    Predictor(const TensorModel& m, const Geometry& g)
        : m_(m), g_(g), first_(g.taps), predicts_(m.order || m.above || m.beside) {
        const int8_t* at = m.coefficients.data();
        for (uint32_t t = 0; t < g.taps; ++t) first_[t] = at, at += m.tap_coefficients(t, g.taps);
    }
    inline int64_t mean(const int32_t* n, const Place& at) const {
        if (!predicts_) return 0;
        int64_t sum = 0;
        const int8_t* c = first_[at.tap];
        const int stored = m_.neighbours(at.tap, g_.taps);
        const int there = g_.taps == 1 && uint64_t(stored) > at.column ? int(at.column) : stored;
        for (int j = 0; j < there; ++j) sum += int64_t(c[j]) * n[at.i - 1 - uint64_t(j)];
        c += stored;
        if (m_.above && at.row) sum += int64_t(*c) * n[at.i - g_.cols];
        c += m_.above;
        if (m_.beside && at.channel) sum += int64_t(*c) * n[at.i - g_.taps];
        return sum;
    }

  private:
    const TensorModel& m_;
    const Geometry& g_;
    std::vector<const int8_t*> first_;
    bool predicts_;
};

// The scale of a level: its tap's, and how large levels were nearby.
class Scales {
  public:
    static constexpr uint32_t kExpected = 204
                                          << 8;  // mean distance of a Gaussian from its mean, 2^-16 scales
    Scales(const TensorModel& m, const WeightTables& tables, const Geometry& g, uint64_t count)
        : m_(m),
          tables_(tables),
          g_(g),
          adapts_(m.adapts()),
          channels_(m.channel ? size_t(std::min(g.cols, count) / g.taps) + 1 : 0, kExpected) {}

    inline int scale(const Place& at) const {
        const int l = m_.scale[at.tap];
        if (!adapts_) return l;
        int shift = m_.row * tables_.log_ratio(row_ >> 6) + m_.near * tables_.log_ratio(near_ >> 6);
        if (m_.channel) shift += m_.channel * tables_.log_ratio(channels_[at.channel] >> 6);
        return std::clamp(l + (shift >> 4), 0, kScales - 1);
    }
    inline void learn(const Place& at, int64_t level, int64_t mean) {
        if (!adapts_) return;
        const int64_t away = level * 65536 - mean;
        const uint64_t z = in_scales(uint64_t(away < 0 ? -away : away), m_.scale[at.tap]) >> 16;
        const int32_t seen = int32_t((z < 1023 ? z : 1023) << 8);
        move(&row_, seen, at.column < 16 ? 4 : 5);
        move(&near_, seen, 3);
        if (m_.channel) move(&channels_[at.channel], seen, at.row * g_.taps < 16 ? 3 : 5);
    }
    inline void next_row() { row_ = kExpected; }

  private:
    static inline void move(uint32_t* mean, int32_t seen, int rate) {
        *mean = uint32_t(int32_t(*mean) + ((seen - int32_t(*mean)) >> rate));
    }
    const TensorModel& m_;
    const WeightTables& tables_;
    const Geometry& g_;
    bool adapts_;
    std::vector<uint32_t> channels_;
    uint32_t row_ = kExpected, near_ = kExpected;
};

// Magnitudes of indices by flags, "larger than j", in contexts of the lattice and the neighbours.
class Bins {
  public:
    static constexpr int kFlags = 14, kContexts = 5;

    template <class Visitor>
    inline bool code(Visitor& visit, const int32_t* n, const Place& at, const Geometry& g, Lattice lattice,
                     int odd, int64_t wanted, int64_t* index) {
        auto& flags = flags_[size_t(odd)][size_t(context(n, at, g, lattice))];
        const uint64_t most = uint64_t(wanted < 0 ? -wanted : wanted);
        uint64_t size = 0;
        while (size < kFlags) {
            Flag& flag = flags[size_t(size)];
            const bool more = visit.bit(most > size, flag.p << 8);
            flag.learn(more);
            if (!more) break;
            ++size;
        }
        if (size == kFlags) {
            const uint64_t beyond = most - kFlags + 1;
            const int length = int(visit.raw(uint64_t(64 - __builtin_clzll(beyond | 1)), 6));
            if (length < 1 || length > 32) return false;
            const uint64_t low = visit.raw(beyond & ((uint64_t(1) << (length - 1)) - 1), length - 1);
            size = kFlags - 1 + (low | uint64_t(1) << (length - 1));
        }
        const bool negative = size && visit.raw(wanted < 0, 1);
        *index = negative ? -int64_t(size) : int64_t(size);
        return true;
    }

  private:
    static inline int small(int32_t n, Lattice lattice) {
        const int64_t a = n < 0 ? -int64_t(n) : n, k = lattice == Lattice::plain ? a : (a + 1) >> 1;
        return k > 2 ? 2 : int(k);
    }
    static inline int context(const int32_t* n, const Place& at, const Geometry& g, Lattice lattice) {
        int s = 0;
        if (at.column) s += 2 * small(n[at.i - 1], lattice);
        if (at.column > 1) s += small(n[at.i - 2], lattice);
        if (at.row) s += 2 * small(n[at.i - g.cols], lattice);
        return (s + 1) / 2 < kContexts ? (s + 1) / 2 : kContexts - 1;
    }
    std::array<std::array<std::array<Flag, kFlags>, kContexts>, 2> flags_;
};

// Goes through the levels of a block of rows; n takes them, less the centre. A visitor encodes, decodes or
// counts:
//   visit(i, cells, &index)        the index of element i; false for failure
//   visit.bit(value, p)            a flag of probability p, in 2^-24, of being set; returns it
//   visit.raw(value, count)        `count` plain bits; returns them
//   visit.is_zero(i)               whether the value is zero; of no account to a decoder, like
//   visit.wanted(i, lattice, odd)  the index
//   visit.zero(i)                  the value turned out to be zero
template <class Visitor>
bool walk(const TensorModel& m, const WeightTables& tables, const Geometry& g, uint64_t count, int32_t* n,
          Visitor& visit) {
    const bool dependent = m.dependent();
    const Trellis code = kTrellis[dependent ? m.trellis : 0];
    const uint32_t states = (1u << (dependent ? m.trellis : 0)) - 1;
    const Predictor predictor(m, g);
    Scales scales(m, tables, g, count);
    Bins bins;
    Flag zeros[4];
    Cells cells{tables.tail(m.shape), 0, 0, 0, 0, 0, m.lattice};
    const int32_t zero = int32_t(-m.centre);
    uint32_t state = 0;
    for (Place at; at.i < count; at.next(g)) {
        if (!at.column) scales.next_row();
        cells.odd = dependent ? __builtin_parity(state & code.lattice) : 0;
        int64_t index;
        bool is_zero = false;
        if (m.bins) {
            const int64_t wanted = visit.wanted(at.i, m.lattice, cells.odd);
            if (!bins.code(visit, n, at, g, m.lattice, cells.odd, wanted, &index)) return false;
        } else {
            const int64_t mean = predictor.mean(n, at);
            cells.l = scales.scale(at);
            cells.plain = plain_bits(cells.l, m.lattice);
            cells.mean = mean * 1024;
            cells.centre = centre_index(mean, m.lattice, cells.odd);
            if (m.spike) {
                Flag& flag =
                    zeros[(at.column && n[at.i - 1] == zero) + 2 * (at.row && n[at.i - g.cols] == zero)];
                is_zero = visit.bit(visit.is_zero(at.i), flag.p << 8);
                flag.learn(is_zero);
            }
            if (is_zero) {
                index = index_of(zero, m.lattice, cells.odd);
                visit.zero(at.i);
            } else if (!visit(at.i, cells, &index)) {
                return false;
            }
        }
        const int64_t level = level_of(index, m.lattice, cells.odd);
        if (level < -4 * kMaxLevel || level > 4 * kMaxLevel) return false;
        n[at.i] = int32_t(level);
        if (dependent)
            state = (state << 1 | uint32_t((index & 1) ^ __builtin_parity(state & code.parity))) & states;
        if (!is_zero && !m.bins) scales.learn(at, level, cells.mean);
    }
    return true;
}

}  // namespace neuralcodec
