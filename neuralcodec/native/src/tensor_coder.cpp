#include "tensor_coder.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "ans.hpp"

namespace neuralcodec {
namespace {

constexpr int kDirect = 240;       // elements below are tokens of their own
constexpr int kFirstExponent = 7;  // token 240 + (e - 7) starts an element of 2^e and above
constexpr int kTokens = 256;
constexpr int kTableBits = 12;
constexpr uint32_t kTableSum = 1u << kTableBits;
constexpr int kSlotShift = kPrecision - kTableBits;
constexpr int kPieceBits = 12;
constexpr uint64_t kElementsPerByte = 4096;
constexpr uint64_t kElementsPerBlock = 1u << 18;

inline int floor_log2(uint32_t x) {
    return 31 - __builtin_clz(x);
}

inline int context_of(uint32_t above, uint32_t left) {
    const uint64_t sum = 2 * uint64_t(above) + left;
    const uint32_t s = sum > 255 ? 255 : uint32_t(sum);
    if (s < 4) return int(s);
    const int e = floor_log2(s);
    return 2 * e + int(s >> (e - 1) & 1);
}

inline int token_of(uint32_t x) {
    return x < kDirect ? int(x) : kDirect + floor_log2(x) - kFirstExponent;
}

void put_varint(std::vector<uint8_t>& out, uint64_t n) {
    for (; n >= 128; n >>= 7) out.push_back(uint8_t(n) | 128);
    out.push_back(uint8_t(n));
}

using Histogram = std::vector<uint64_t>;

// Calls f(value, context) for the elements of a block in coding order.
template <class F>
void each_element(const uint32_t* block, uint64_t rows, uint64_t cols, int contexts, F f) {
    for (uint64_t i = 0; i < rows; ++i)
        for (uint64_t j = 0; j < cols; ++j) {
            const uint32_t above = i ? block[(i - 1) * cols + j] : 0, left = j ? block[i * cols + j - 1] : 0;
            f(block[i * cols + j], contexts == 1 ? 0 : context_of(above, left));
        }
}

// Frequencies of sum 4,096, at least 1 up to the last token that occurs: scaled down, then the rest is given
// or taken where it changes the code length least.
std::vector<uint32_t> fit_table(const Histogram& counts) {
    size_t m = kTokens;
    while (m && !counts[m - 1]) --m;
    if (!m) return {};
    double total = 0;
    for (size_t y = 0; y < m; ++y) total += double(counts[y]);
    std::vector<uint32_t> p(m);
    int64_t rest = kTableSum;
    for (size_t y = 0; y < m; ++y) {
        p[y] = std::max<uint32_t>(1, uint32_t(double(counts[y]) * kTableSum / total));
        rest -= p[y];
    }
    for (; rest != 0; rest += rest > 0 ? -1 : 1) {
        const int step = rest > 0 ? 1 : -1;
        size_t best = m;
        double gain = -1e300;
        for (size_t y = 0; y < m; ++y) {
            if (p[y] == 1 && step < 0) continue;
            const double g = double(counts[y]) * std::log2(double(int64_t(p[y]) + step) / double(p[y]));
            if (g > gain) gain = g, best = y;
        }
        p[best] = uint32_t(int64_t(p[best]) + step);
    }
    return p;
}

double code_length(const Histogram& counts, const std::vector<uint32_t>& p) {
    double bits = 8;
    for (size_t y = 0; y < p.size(); ++y)
        bits += (p[y] < 128 ? 8 : 16) + double(counts[y]) * (kTableBits - std::log2(double(p[y])));
    return bits;
}

struct Tables {
    std::vector<std::vector<uint32_t>> sizes, starts;
    double bits = 0;
};

Tables fit_tables(const uint32_t* values, uint64_t rows, uint64_t cols, uint64_t block_rows, int contexts) {
    std::vector<Histogram> counts(size_t(contexts), Histogram(kTokens, 0));
    for (uint64_t r = 0; r < rows; r += block_rows)
        each_element(values + r * cols, std::min(block_rows, rows - r), cols, contexts,
                     [&](uint32_t x, int c) { ++counts[size_t(c)][size_t(token_of(x))]; });
    Tables t;
    for (const Histogram& h : counts) {
        t.sizes.push_back(fit_table(h));
        t.bits += code_length(h, t.sizes.back());
        std::vector<uint32_t> start(t.sizes.back().size());
        for (size_t y = 1; y < start.size(); ++y) start[y] = start[y - 1] + t.sizes.back()[y - 1];
        t.starts.push_back(std::move(start));
    }
    return t;
}

void encode_block(std::vector<uint8_t>& out, const uint32_t* block, uint64_t rows, uint64_t cols,
                  int contexts, const Tables& t) {
    std::vector<Interval> symbols;
    symbols.reserve(rows * cols + rows * cols / 8);
    each_element(block, rows, cols, contexts, [&](uint32_t x, int c) {
        const size_t y = size_t(token_of(x));
        symbols.push_back({t.starts[size_t(c)][y] << kSlotShift, t.sizes[size_t(c)][y] << kSlotShift});
        if (y < kDirect) return;
        const int e = int(y) - kDirect + kFirstExponent;
        for (int done = 0; done < e; done += kPieceBits) {
            const int k = std::min(kPieceBits, e - done);
            const uint32_t piece = x >> done & ((1u << k) - 1);
            symbols.push_back({piece << (kPrecision - k), 1u << (kPrecision - k)});
        }
    });
    std::vector<uint32_t> words(symbols.size() + 1);
    AnsEncoder coder;
    coder.words = words.data();
    for (size_t i = symbols.size(); i-- > 0;) coder.encode(symbols[i]);
    for (size_t i = 0; i < coder.count; ++i)
        for (int shift = 0; shift < 32; shift += 8) out.push_back(uint8_t(words[i] >> shift));
    for (uint64_t s = coder.state; s; s >>= 8) out.push_back(uint8_t(s));
}

// Bounded reads from the head of a body.
struct BodyReader {
    const uint8_t* data;
    size_t length, at = 0;

    uint8_t byte() {
        if (at >= length) throw std::invalid_argument("tensor body ends early");
        return data[at++];
    }
    uint64_t varint(uint64_t limit) {
        uint64_t n = 0;
        for (int i = 0; i < 9; ++i) {
            const uint8_t b = byte();
            n |= uint64_t(b & 127) << (7 * i);
            if (b & 128) continue;
            if (i && !b) throw std::invalid_argument("tensor body has an overlong varint");
            if (n > limit)
                throw std::invalid_argument("tensor body has a number out of range: " + std::to_string(n));
            return n;
        }
        throw std::invalid_argument("tensor body has an overlong varint");
    }
};

}  // namespace

std::vector<uint8_t> encode_tensor(const uint32_t* values, uint64_t rows, uint64_t cols) {
    std::vector<uint8_t> out;
    if (rows * cols == 0) return out;
    for (uint64_t i = 0; i < rows * cols; ++i)
        if (values[i] >> 23)
            throw std::invalid_argument("tensor elements must be below 2^23, not " +
                                        std::to_string(values[i]));
    const uint64_t block_rows = std::max<uint64_t>(1, std::min(rows, kElementsPerBlock / cols));
    const Tables plain = fit_tables(values, rows, cols, block_rows, 1);
    const Tables modelled = fit_tables(values, rows, cols, block_rows, 16);
    const int contexts = modelled.bits < plain.bits ? 16 : 1;
    const Tables& t = contexts == 16 ? modelled : plain;
    out.push_back(uint8_t(contexts));
    for (const auto& sizes : t.sizes) {
        put_varint(out, sizes.size());
        for (const uint32_t p : sizes) put_varint(out, p);
    }
    put_varint(out, block_rows);
    std::vector<uint8_t> blocks;
    for (uint64_t r = 0; r < rows; r += block_rows) {
        const size_t before = blocks.size();
        encode_block(blocks, values + r * cols, std::min(block_rows, rows - r), cols, contexts, t);
        put_varint(out, blocks.size() - before);
    }
    out.insert(out.end(), blocks.begin(), blocks.end());
    const uint64_t least = (rows * cols + kElementsPerByte - 1) / kElementsPerByte;
    if (out.size() < least) out.resize(least, 0);
    return out;
}

TensorDecoder::TensorDecoder(const uint8_t* body, size_t length, uint64_t rows, uint64_t cols)
    : body_(body), rows_(rows), cols_(cols) {
    const uint64_t most = uint64_t(1) << 28;
    if (!rows || !cols || rows > most || cols > most || rows * cols > most)
        throw std::invalid_argument("tensor shape out of range");
    if (rows * cols > kElementsPerByte * length)
        throw std::invalid_argument("tensor body too short for its shape");
    BodyReader in{body, length};
    contexts_ = in.byte();
    if (contexts_ != 1 && contexts_ != 16)
        throw std::invalid_argument("tensor contexts must be 1 or 16, not " + std::to_string(contexts_));
    for (int c = 0; c < contexts_; ++c) {
        std::vector<Token> tokens(in.varint(kTokens));
        std::vector<uint8_t> symbols(tokens.empty() ? 0 : kTableSum);
        uint32_t start = 0;
        for (size_t y = 0; y < tokens.size(); ++y) {
            const uint32_t p = uint32_t(in.varint(kTableSum));
            if (p == 0 || start + p > kTableSum)
                throw std::invalid_argument("tensor table does not sum to 4096");
            tokens[y] = {start << kSlotShift, p << kSlotShift};
            std::fill_n(symbols.begin() + start, p, uint8_t(y));
            start += p;
        }
        if (!tokens.empty() && start != kTableSum)
            throw std::invalid_argument("tensor table does not sum to 4096");
        escapes_ = escapes_ || tokens.size() > kDirect;
        tokens_.push_back(std::move(tokens));
        symbol_at_.push_back(std::move(symbols));
    }
    block_rows_ = in.varint(most);
    if (!block_rows_) throw std::invalid_argument("tensor blocks of no rows");
    const uint64_t blocks = (rows + block_rows_ - 1) / block_rows_;
    if (blocks > length) throw std::invalid_argument("tensor body ends early");
    std::vector<uint64_t> sizes(blocks);
    for (uint64_t& s : sizes) s = in.varint(length);
    block_start_.push_back(in.at);
    for (const uint64_t s : sizes) {
        if (s > length - block_start_.back()) throw std::invalid_argument("tensor body ends early");
        block_start_.push_back(block_start_.back() + s);
    }
    for (size_t i = block_start_.back(); i < length; ++i)
        if (body[i]) throw std::invalid_argument("tensor padding is not zero");
}

template <class Element>
bool TensorDecoder::decode_rows(size_t b, Element* out) const {
    AnsDecoder coder;
    if (!coder.open(body_ + block_start_[b], block_start_[b + 1] - block_start_[b])) return false;
    const uint64_t first = uint64_t(b) * block_rows_, last = std::min(first + block_rows_, rows_);
    for (uint64_t i = first; i < last; ++i) {
        Element* row = out + i * cols_;
        uint32_t left = 0;
        for (uint64_t j = 0; j < cols_; ++j) {
            const uint32_t above = i > first ? uint32_t(row[int64_t(j) - int64_t(cols_)]) : 0;
            const size_t c = contexts_ == 1 ? 0 : size_t(context_of(above, left));
            if (tokens_[c].empty()) return false;
            const size_t y = symbol_at_[c][coder.target() >> kSlotShift];
            const Token token = tokens_[c][y];
            coder.consume({token.start, token.size});
            uint32_t x = uint32_t(y);
            if (y >= kDirect) {
                const int e = int(y) - kDirect + kFirstExponent;
                x = 1u << e;
                for (int done = 0; done < e; done += kPieceBits) {
                    const int k = std::min(kPieceBits, e - done);
                    const uint32_t piece = coder.target() >> (kPrecision - k);
                    coder.consume({piece << (kPrecision - k), 1u << (kPrecision - k)});
                    x |= piece << done;
                }
                if (x < kDirect) return false;  // such an element has a token of its own
            }
            row[j] = Element(x);
            left = x;
        }
    }
    return coder.empty();
}

bool TensorDecoder::decode_block(size_t b, uint8_t* out) const {
    return decode_rows(b, out);
}
bool TensorDecoder::decode_block(size_t b, uint32_t* out) const {
    return decode_rows(b, out);
}

}  // namespace neuralcodec
