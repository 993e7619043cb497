#include "relative.hpp"

#include "circuit.hpp"

namespace neuralcodec {

const RelativeKernels& relative_kernels(const std::string& forced) {
    const std::string name = walk_kernels(forced).name;
#if defined(__x86_64__)
    if (name == "avx512" || name == "avx512vnni") return relative_avx512;
    if (name == "avx2") return relative_avx2;
#endif
    return relative_scalar;
}

}  // namespace neuralcodec
