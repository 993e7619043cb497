// The tensor body of docs/format.md, section 6.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace neuralcodec {

std::vector<uint8_t> encode_tensor(const uint32_t* values, uint64_t rows, uint64_t cols);

// Parsed and checked body; blocks decode independently.
class TensorDecoder {
  public:
    // Throws std::invalid_argument (what is wrong) for a body that is not well formed.
    TensorDecoder(const uint8_t* body, size_t length, uint64_t rows, uint64_t cols);
    size_t blocks() const { return block_start_.size() - 1; }
    bool has_escapes() const { return escapes_; }
    // Writes block b's elements; `out` is the whole tensor. False if the block's stream is corrupt.
    bool decode_block(size_t b, uint8_t* out) const;
    bool decode_block(size_t b, uint32_t* out) const;

  private:
    struct Token {
        uint32_t start;
        uint32_t size;
    };
    template <class Element>
    bool decode_rows(size_t b, Element* out) const;

    const uint8_t* body_;
    uint64_t rows_, cols_, block_rows_;
    std::vector<size_t> block_start_;
    bool escapes_ = false;
    int contexts_;
    std::vector<std::vector<Token>> tokens_;       // by context
    std::vector<std::vector<uint8_t>> symbol_at_;  // by context: token owning each of the 4,096 slots
};

}  // namespace neuralcodec
