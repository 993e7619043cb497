#include "blocks.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace neuralcodec {

size_t BlockEdge::size(int32_t parent_states, int32_t states) {
    return size_t((parent_states + kBlock - 1) / kBlock) * size_t((states + kBlock - 1) / kBlock);
}

BlockEdge::BlockEdge(const uint8_t* support, int32_t parent_states, int32_t states) {
    const int32_t height = (parent_states + kBlock - 1) / kBlock, width = (states + kBlock - 1) / kBlock;
    columns.first.assign(size_t(width) + 1, 0);
    rows.first.push_back(0);
    for (int32_t i = 0; i < height; ++i) {
        const uint8_t* stored = support + int64_t(i) * width;
        int32_t stride = 0;
        for (int32_t j = 0; j < width; ++j)
            if (stored[j]) stride += std::min(kBlock, states - kBlock * j);
        int32_t offset = int32_t(entries);
        for (int32_t j = 0; j < width; ++j) {
            if (!stored[j]) continue;
            rows.blocks.push_back({j, offset, stride});
            ++columns.first[size_t(j) + 1];
            offset += std::min(kBlock, states - kBlock * j);
        }
        rows.first.push_back(int32_t(rows.blocks.size()));
        entries += int64_t(stride) * std::min(kBlock, parent_states - kBlock * i);
    }
    for (int32_t j = 0; j < width; ++j) columns.first[size_t(j) + 1] += columns.first[size_t(j)];
    columns.blocks.resize(rows.blocks.size());
    std::vector<int32_t> next(columns.first.begin(), columns.first.end() - 1);
    for (int32_t i = 0; i < height; ++i)
        for (int32_t b = rows.first[size_t(i)]; b < rows.first[size_t(i) + 1]; ++b) {
            const Block& block = rows.blocks[size_t(b)];
            columns.blocks[size_t(next[size_t(block.across)]++)] = {i, block.offset, block.stride};
        }
}

std::vector<std::shared_ptr<const BlockEdge>> block_edges(const uint8_t* support, size_t size, size_t nodes,
                                                          const int32_t* parent, const int32_t* states) {
    std::vector<std::shared_ptr<const BlockEdge>> result(nodes);
    size_t used = 0;
    for (size_t v = 1; support && v < nodes; ++v) {
        const int32_t up = parent[v];
        if (up < 0 || size_t(up) >= v || states[v] < 1 || states[up] < 1)
            throw std::invalid_argument("node " + std::to_string(v) + ": bad parent or states");
        const size_t blocks = BlockEdge::size(states[up], states[v]);
        if (blocks > size - used) break;
        const uint8_t* const first = support + used;
        if (std::find(first, first + blocks, uint8_t(0)) != first + blocks)
            result[v] = std::make_shared<const BlockEdge>(first, states[up], states[v]);
        used += blocks;
    }
    if (support && used != size)
        throw std::invalid_argument("the support has " + std::to_string(size) +
                                    " blocks, which does not fit the structure");
    return result;
}

}  // namespace neuralcodec
