#include "trellis.hpp"

#include "circuit.hpp"

namespace neuralcodec {

const TrellisKernels& trellis_kernels(const std::string& forced) {
    const std::string name = walk_kernels(forced).name;
#if defined(__x86_64__)
    if (name == "avx512" || name == "avx512vnni") return trellis_avx512;
    if (name == "avx2") return trellis_avx2;
#endif
    return trellis_scalar;
}

}  // namespace neuralcodec
