#include "siren.hpp"

#include "learning.hpp"

namespace neuralcodec {

const SirenKernels& siren_kernels() {
#if defined(__x86_64__)
    const LearningKernels* path = &learning_kernels();
    if (path == &learning_avx512) return siren_avx512;
    if (path == &learning_avx2) return siren_avx2;
#endif
    return siren_scalar;
}

}  // namespace neuralcodec
