// Chooses and samples candidates of one block with the library's scalar kernels and no Python:
//   relative_driver TABLE    TABLE: the inverse-normal table (normal.i32)
// Prints the chosen index and the bits of its normals. The posterior is that of test_relative.py.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "../../neuralcodec/native/src/float_state.hpp"
#include "../../neuralcodec/native/src/relative.hpp"

int main(int count, char** arguments) {
    std::vector<int32_t> table(neuralcodec::kNormalEntries);
    std::FILE* file = count == 2 ? std::fopen(arguments[1], "rb") : nullptr;
    if (!file || std::fread(table.data(), 4, table.size(), file) != table.size()) return 2;
    std::fclose(file);
    constexpr int64_t kSize = 37;
    std::vector<float> centre, steepness, peak;
    for (int64_t d = 0; d < kSize; ++d) {
        centre.push_back(float(d % 9 - 4) / 8);
        steepness.push_back(float(24 + d % 5) / 32);
        peak.push_back(20.25f);
    }
    const uint32_t key[2] = {5, 7}, number = 3;
    const int64_t offset[2] = {0, kSize};
    const neuralcodec::FloatState pinned;
    const neuralcodec::RelativeBlocks blocks{key, table.data(), &number, offset};
    const uint32_t index = neuralcodec::relative_scalar.select(
        blocks, {centre.data(), steepness.data(), peak.data(), 1.0f}, 0, 1 << 14);
    std::vector<float> z(kSize);
    neuralcodec::relative_scalar.sample(blocks, 0, index, z.data());
    std::printf("%u", unsigned(index));
    for (const float x : z) {
        uint32_t bits;
        std::memcpy(&bits, &x, 4);
        std::printf(" %08x", unsigned(bits));
    }
    std::printf("\n");
    return 0;
}
