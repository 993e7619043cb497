// Three orders of asking a latent tree for the code lengths of signals; benchmarks/complexity.py measures
// them. They share all arithmetic, so that times and counts differ by the order alone.
//
// LANES signals are worked on at once, one to a vector lane; all nodes have STATES states. A message has a
// power-of-two exponent for each lane, and a place for each depth of the tree: no order ever needs two nodes
// of one depth at once. Counts are multiply-adds for one signal: every multiplication of the matrix,
// elementwise and inner products, of rescaling and of normalising counts as one. With Dry nothing is done but
// counting.
#include <cstdint>
#include <cstring>
#include <vector>

// Arrays are over nodes, which are numbered in depth-first preorder, unless said otherwise.
extern "C" struct Tree {
    int32_t nodes, variables, alphabet, depths;
    const int32_t* parent;      // -1 for the root
    const int32_t* variable;    // -1 if silent
    const int32_t* depth;       // below `depths`
    const int32_t* last_child;  // 1 if no sibling follows
    const int32_t* first;       // where the variables of the node's subtree begin in `order`
    const int32_t* last;        // and the last of them; the node's own one if it has one
    const int32_t* order;       // nodes that own variables, children before their parent
    const int32_t* head;        // for each place in `order`: the lowest node above all variables up to there
    const float* prior;         // STATES, of the root
    const float* marginal;      // nodes x STATES: each node's state without any evidence
    const float* transition;    // nodes x STATES x STATES (of the parent)
    const float* emission;      // nodes x alphabet x STATES
};

namespace {

constexpr int kStates = STATES, kLanes = LANES;
typedef float Vec __attribute__((vector_size(4 * kLanes)));
typedef int32_t IntVec __attribute__((vector_size(4 * kLanes)));

inline Vec splat(float x) {
    return Vec{} + x;
}

// The largest power of two in each lane, as a factor that divides by it and as its exponent.
inline Vec power_below(Vec x, IntVec* exponent) {
    IntVec bits;
    std::memcpy(&bits, &x, sizeof bits);
    *exponent = (bits >> 23) - 127;
    const IntVec inverse = (127 - *exponent) << 23;
    Vec factor;
    std::memcpy(&factor, &inverse, sizeof factor);
    return factor;
}

struct Message {
    Vec value[kStates];
    IntVec exponent;
};

// A running product of conditional probabilities; minus its log2 is the code length.
struct Product {
    Vec value = splat(1.0f);
    IntVec exponent{};
    void times(Vec p, IntVec e) {
        IntVec shift;
        value *= p;
        value *= power_below(value, &shift);
        exponent += shift + e;
    }
};

// The arithmetic that all orders share.
template <bool Dry>
class Arithmetic {
  public:
    explicit Arithmetic(const Tree& tree) : t_(tree) {}
    uint64_t count = 0;

    void set_ones(Message& m) {
        if (Dry) return;
        for (int k = 0; k < kStates; ++k) m.value[k] = splat(1.0f);
        m.exponent = IntVec{};
    }
    void copy(Message& to, const Message& from) {
        if (!Dry) to = from;
    }
    void multiply(Message& to, const Message& from) {
        count += kStates;
        if (Dry) return;
        for (int k = 0; k < kStates; ++k) to.value[k] *= from.value[k];
        to.exponent += from.exponent;
    }
    // to *= T_v from
    void fold(const Message& from, int v, Message& to) {
        count += kStates * kStates + kStates;
        if (Dry) return;
        const float* t = transition(v);
        Vec m[kStates] = {};
        for (int j = 0; j < kStates; ++j)
            for (int k = 0; k < kStates; ++k) m[k] += t[j * kStates + k] * from.value[j];
        for (int k = 0; k < kStates; ++k) to.value[k] *= m[k];
        to.exponent += from.exponent;
    }
    // own = normalised (prior * likelihood) T_v, both of the parent
    void descend(const Message& prior, const Message& likelihood, int v, Message& own) {
        count += kStates + kStates * kStates + kStates;
        if (Dry) return;
        const float* t = transition(v);
        Vec sum{}, above[kStates];
        for (int k = 0; k < kStates; ++k) above[k] = prior.value[k] * likelihood.value[k];
        for (int j = 0; j < kStates; ++j) {
            Vec p{};
            for (int k = 0; k < kStates; ++k) p += t[j * kStates + k] * above[k];
            own.value[j] = p;
            sum += p;
        }
        const Vec factor = 1.0f / sum;
        for (int j = 0; j < kStates; ++j) own.value[j] *= factor;
    }
    void rescale(Message& m) {
        count += kStates;
        if (Dry) return;
        Vec most = m.value[0];
        for (int k = 1; k < kStates; ++k) most = m.value[k] > most ? m.value[k] : most;
        IntVec exponent;
        const Vec factor = power_below(most, &exponent);
        for (int k = 0; k < kStates; ++k) m.value[k] *= factor;
        m.exponent += exponent;
    }
    Vec inner_product(const Message& a, const Message& b) {
        count += kStates;
        Vec sum{};
        for (int k = 0; k < kStates && !Dry; ++k) sum += a.value[k] * b.value[k];
        return sum;
    }
    Vec inner_product(const float* weights, const Message& m) {
        count += kStates;
        Vec sum{};
        for (int k = 0; k < kStates && !Dry; ++k) sum += weights[k] * m.value[k];
        return sum;
    }
    // The input units of a node: 1 where it is silent.
    void observe(const uint16_t* x, int v, Message& to) {
        set_ones(to);
        if (Dry || t_.variable[v] < 0) return;
        for (int b = 0; b < kLanes; ++b) {
            const int value = x[int64_t(b) * t_.variables + t_.variable[v]];
            const float* row = t_.emission + (int64_t(v) * t_.alphabet + value) * kStates;
            for (int k = 0; k < kStates; ++k) to.value[k][b] = row[k];
        }
    }

  private:
    const float* transition(int v) const { return t_.transition + int64_t(v) * kStates * kStates; }
    const Tree& t_;
};

template <bool Dry>
class Orders {
  public:
    explicit Orders(const Tree& tree)
        : a(tree), t_(tree), done_(Dry ? 1 : size_t(tree.depths)), current_(done_.size()) {}

    Arithmetic<Dry> a;
    Product product;

    void run(int order, const uint16_t* x) {
        a.count = 0;
        product = Product{};
        before_ = splat(1.0f);
        before_exponent_ = IntVec{};
        if (order == 0) naive(x);
        if (order == 1) path(x);
        if (order == 2) walk(x);
    }

  private:
    // One whole marginal evaluation for each variable. Inputs are looked up once, and those of variables that
    // are still to come are 1.
    void naive(const uint16_t* x) {
        inputs_.resize(Dry ? 1 : size_t(t_.nodes));
        for (int v = 0; v < t_.nodes && !Dry; ++v) a.observe(x, v, inputs_[size_t(v)]);
        for (int i = 0; i < t_.variables; ++i) {
            for (int v = t_.nodes - 1; v >= 0; --v) {
                Message& own = at(done_, v);
                if (v + 1 == t_.nodes || t_.parent[v + 1] != v) a.set_ones(own);
                if (t_.variable[v] >= 0 && t_.last[v] <= i) a.multiply(own, inputs_[Dry ? 0 : size_t(v)]);
                a.rescale(own);
                if (v == 0) break;
                Message& up = at(done_, t_.parent[v]);
                if (t_.last_child[v]) a.set_ones(up);
                a.fold(own, v, up);
            }
            ratio(at(done_, 0), t_.prior);
        }
    }

    // Only the units between the variable and the head; above the head the marginals are known.
    void path(const uint16_t* x) {
        Message input;
        for (int i = 0; i < t_.variables; ++i) {
            const int owner = t_.order[i], head = t_.head[i];
            // what the last head's subtree came to is folded in only now that somebody asks for it
            for (int h = i ? t_.head[i - 1] : head; h != head; h = t_.parent[h]) {
                Message& up = at(done_, t_.parent[h]);
                a.set_ones(up);
                a.fold(at(done_, h), h, up);
                a.rescale(up);
            }
            for (int u = owner; t_.first[u] == i; u = t_.parent[u]) {
                a.set_ones(at(done_, u));
                if (u == head) break;
            }
            a.observe(x, owner, input);
            a.multiply(at(done_, owner), input);
            a.rescale(at(done_, owner));
            a.copy(at(current_, owner), at(done_, owner));
            for (int u = owner; u != head; u = t_.parent[u]) {
                Message& up = at(current_, t_.parent[u]);
                a.copy(up, at(done_, t_.parent[u]));
                a.fold(at(current_, u), u, up);
                a.rescale(up);
                if (t_.last[u] == i) a.copy(at(done_, t_.parent[u]), up);
            }
            ratio(at(current_, head), t_.marginal + int64_t(head) * kStates);
        }
    }

    // The walk of docs/format.md, 7.3: every edge once down and, where somebody still reads it, once up.
    // current_ holds the priors, done_ the likelihoods.
    void walk(const uint16_t* x) {
        for (int k = 0; k < kStates && !Dry; ++k) current_[0].value[k] = splat(t_.prior[k]);
        for (int v = 0; v < t_.nodes; ++v) {
            const int parent = t_.parent[v];
            for (int c = v - 1; v > 0 && c != parent; c = t_.parent[c]) {
                Message& up = at(done_, t_.parent[c]);
                a.fold(at(done_, c), c, up);
                a.rescale(up);
            }
            if (v > 0) a.descend(at(current_, parent), at(done_, parent), v, at(current_, v));
            a.observe(x, v, at(done_, v));
            if (t_.variable[v] < 0) continue;
            const Vec p = a.inner_product(at(current_, v), at(done_, v));
            if (!Dry) product.times(p, IntVec{});
        }
    }

    Message& at(std::vector<Message>& messages, int v) { return messages[Dry ? 0 : size_t(t_.depth[v])]; }

    // A conditional probability: the probability of this prefix over that of the one before it.
    void ratio(const Message& top, const float* weights) {
        const Vec sum = a.inner_product(weights, top);
        if (Dry) return;
        product.times(sum / before_, top.exponent - before_exponent_);
        before_ = sum;
        before_exponent_ = top.exponent;
    }

    const Tree& t_;
    std::vector<Message> done_, current_, inputs_;
    Vec before_;
    IntVec before_exponent_;
};

template <bool Dry>
uint64_t run(const Tree& tree, int order, const uint16_t* x, int64_t blocks, float* value,
             int32_t* exponent) {
    Orders<Dry> orders(tree);
    for (int64_t i = 0; i < blocks; ++i) {
        orders.run(order, x + i * kLanes * tree.variables);
        if (Dry) break;
        std::memcpy(value + i * kLanes, &orders.product.value, sizeof(Vec));
        std::memcpy(exponent + i * kLanes, &orders.product.exponent, sizeof(IntVec));
    }
    return orders.a.count;
}

}  // namespace

// The probability of each of blocks x LANES signals as value * 2^exponent, by order 0 (naive), 1 (path) or 2
// (walk). Returns the multiply-adds for one signal; with dry != 0 that is all.
extern "C" uint64_t run_order(const Tree* tree, int order, const uint16_t* x, int64_t blocks, float* value,
                              int32_t* exponent, int dry) {
    return dry ? run<true>(*tree, order, x, 1, value, exponent)
               : run<false>(*tree, order, x, blocks, value, exponent);
}
