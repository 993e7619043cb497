// Transitions of one edge that are stored by blocks of 4 x 4 states: which blocks, and where.
//
// Rows keep their stored entries only: row r of block row i is `width` floats, 4 for each stored block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace neuralcodec {

constexpr int kBlock = 4;

// A stored block as one of its strips sees it. Entry (r, c) of the block is at offset + r * stride + c.
struct Block {
    int32_t across;  // number of the block along the strip: its block column in a block row, or the other way
    int32_t offset;  // of its first entry among the edge's stored transitions
    int32_t stride;
};

// The blocks of an edge in strips: block rows (a parent's states) or block columns (a child's states).
struct Strips {
    std::vector<int32_t> first;  // strip i is blocks[first[i]] to blocks[first[i + 1]]
    std::vector<Block> blocks;
};

// The blocks of an edge, both ways.
struct BlockEdge {
    Strips rows, columns;
    int64_t entries = 0;

    // support: one byte a block, block row by block row.
    BlockEdge(const uint8_t* support, int32_t parent_states, int32_t states);

    // Stored transitions of one of the parent's states; 0 if its strip has no block.
    int32_t width(int32_t parent_state) const {
        const size_t i = size_t(parent_state / kBlock);
        return rows.first[i] == rows.first[i + 1] ? 0 : rows.blocks[size_t(rows.first[i])].stride;
    }

    static size_t size(int32_t parent_states, int32_t states);  // of the support
};

// A matrix of probabilities: all entries row by row, or what is stored of them by blocks.
struct Matrix {
    const float* entries = nullptr;
    const BlockEdge* blocks = nullptr;  // nullptr: every entry is stored
    int32_t rows = 0, columns = 0;
};

// The blocks of each node's transitions from the whole support (nullptr: every transition is stored); nullptr
// for the root, and for edges of which every block is stored. Throws std::invalid_argument if the sizes do
// not fit.
std::vector<std::shared_ptr<const BlockEdge>> block_edges(const uint8_t* support, size_t size, size_t nodes,
                                                          const int32_t* parent, const int32_t* states);

}  // namespace neuralcodec
